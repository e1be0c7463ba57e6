//! Whose a Secret is, who may have its name where several RegistryCredentials want it, and so what is to become of the
//! Secret, and of its entry in each service account.
//!
//! A label alone doesn't prove whose a Secret is, as anybody can set it; nor does an owner reference alone, as the garbage
//! collector takes it away when a RegistryCredential is deleted with `--cascade=orphan`.

use super::{
    absence_tracker::LongAbsent,
    desired::{Desired, DesiredState, Maker, Scope},
    observed::{Namespace, OtherOwners, Secret, ServiceAccount, WriteOperation},
    patch::Change,
    refusal::Refusal,
    write::Write,
};
use crate::{
    api::{ConflictPolicy, CredentialName, NamespaceName, SecretName, ServiceAccountName},
    process::Text,
};

/// Whose a Secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ownership {
    /// Our label names this existing RegistryCredential, and an owner reference has its UID.
    Ours(CredentialName),
    /// Our label names this RegistryCredential, and the only owners are RegistryCredentials that no longer exist: the
    /// garbage collector will delete it, so taking it over or deleting it takes nothing from anybody.
    Left(CredentialName),
    /// Our label, and no owner: `--cascade=orphan` left it behind for people to keep.
    Orphaned(CredentialName),
    /// Somebody else's. So is one that is said to be of a RegistryCredential which makes none.
    Foreign,
}

/// Whose `secret` is, given all RegistryCredentials that exist.
pub fn ownership(secret: &Secret, all_desired: &[&Desired]) -> Ownership {
    let Some(label) = &secret.label else {
        return Ownership::Foreign;
    };
    let owners = &secret.credential_owners;
    let exists = |uid: &Text| all_desired.iter().any(|c| c.uid == *uid);
    let named = all_desired.iter().find(|c| c.credential == *label);
    if named.is_some_and(|c| c.maker == Maker::Others) {
        return Ownership::Foreign;
    }
    if named.is_some_and(|c| owners.iter().any(|(_, uid)| *uid == c.uid)) {
        return Ownership::Ours(label.clone());
    }
    match secret.other_owners {
        OtherOwners::Some => Ownership::Foreign,
        OtherOwners::None if owners.is_empty() => Ownership::Orphaned(label.clone()),
        OtherOwners::None if owners.iter().all(|(name, uid)| name == label && !exists(uid)) => {
            Ownership::Left(label.clone())
        }
        OtherOwners::None => Ownership::Foreign,
    }
}

/// The credential that has `secret` in this namespace: the one that owns the Secret, or made it and is held; else the
/// oldest; else the first by name.
pub fn name_owner<'a>(
    all_desired: &[&'a Desired],
    secret: &SecretName,
    name: &NamespaceName,
    namespace: &Namespace,
) -> Option<&'a Desired> {
    let contenders = || all_desired.iter().copied().filter(|c| contends(c, secret, name, namespace));
    let owner = namespace.secrets.get(secret).and_then(|observed| {
        let ownership = ownership(observed, all_desired);
        contenders().find(|c| match &ownership {
            Ownership::Ours(owner) => *owner == c.credential,
            Ownership::Left(maker) => *maker == c.credential && c.state == DesiredState::Stalled,
            Ownership::Orphaned(_) | Ownership::Foreign => false,
        })
    });
    owner.or_else(|| contenders().min_by_key(|c| (c.created, &c.credential)))
}

/// Whether nobody else may have `secret` here without regard to this credential. A stalled one keeps what it may have
/// made, wherever that is: its Secret, or an entry that its annotation records.
fn contends(desired: &Desired, secret: &SecretName, name: &NamespaceName, namespace: &Namespace) -> bool {
    let wants = desired.secret == *secret && desired.targets(name, namespace);
    match desired.state {
        DesiredState::Resolved { .. } | DesiredState::Attached => wants,
        DesiredState::Stalled => {
            wants
                || (desired.secret == *secret && matches!(desired.scope, Scope::Unknown))
                || namespace.secrets.get(secret).is_some_and(|s| s.label.as_ref() == Some(&desired.credential))
                || (desired.may_have_made(secret)
                    && namespace.service_accounts.values().any(|a| a.added.get(secret) == Some(&desired.credential)))
        }
    }
}

/// Why nobody's pods should be given this Secret, which somebody else makes; `None` where it is as it should be.
pub(super) fn unusable(secret: &SecretName, observed: Option<&Secret>) -> Option<Refusal> {
    match observed.filter(|observed| !observed.wrong_type && !observed.deleting) {
        None => Some(Refusal::SecretMissing { secret: secret.clone() }),
        Some(observed) => {
            let label = observed.label.clone()?;
            Some(Refusal::ManagedSecret { secret: secret.clone(), label })
        }
    }
}

/// What is to become of one Secret name.
#[derive(Clone, Debug)]
pub(super) enum SecretDecision<'a> {
    /// A held credential has the name: nothing about it is touched.
    Frozen(&'a Desired),
    /// The credential's own Secret is there.
    Present(&'a Desired),
    /// The credential's Secret isn't there yet, and nothing stands in its way.
    Pending(&'a Desired),
    /// The credential attaches the Secret, which somebody else has made and which can be used.
    Attached(&'a Desired),
    /// The credential attaches the Secret, which can't be used, though not for long. Tools delete Secrets and make them
    /// again, so what is there stays.
    Absent {
        /// Who attaches it.
        desired: &'a Desired,
        /// What is wrong with it.
        refusal: Refusal,
    },
    /// Somebody else's Secret stands in the credential's way, or there has been none to attach for long.
    Refused {
        /// Whose way.
        desired: &'a Desired,
        /// What is wrong.
        refusal: Refusal,
        /// The credential whose deletion with `--cascade=orphan` left that Secret to people.
        orphaned_by: Option<CredentialName>,
    },
    /// Nobody makes it any more, and the Secret there is ours: it goes as soon as its entries are gone.
    Unwanted,
    /// Nobody wants it, and there is nothing to delete.
    Idle {
        /// The credential whose deletion with `--cascade=orphan` left the Secret to people.
        orphaned_by: Option<CredentialName>,
    },
}

impl<'a> SecretDecision<'a> {
    pub(super) fn new(
        secret: &SecretName,
        name: &NamespaceName,
        all_desired: &[&'a Desired],
        namespace: &Namespace,
        long_absent: &LongAbsent,
    ) -> Self {
        let observed = namespace.secrets.get(secret);
        let ownership = observed.map(|s| ownership(s, all_desired));
        let name_owner = name_owner(all_desired, secret, name, namespace);
        let orphaned_by = match &ownership {
            Some(Ownership::Orphaned(credential)) => Some(credential.clone()),
            _ => None,
        };
        match (name_owner, observed, ownership) {
            (Some(desired), ..) if desired.state == DesiredState::Stalled => Self::Frozen(desired),
            (Some(desired), _, ownership) if desired.state == DesiredState::Attached => {
                match (ownership, unusable(secret, observed)) {
                    // It was made for one that doesn't want it here any more, and goes as it would without who attaches.
                    (Some(Ownership::Ours(_) | Ownership::Left(_)), _) => Self::Unwanted,
                    (_, None) => Self::Attached(desired),
                    (_, Some(refusal)) if long_absent.contains(secret) => {
                        Self::Refused { desired, refusal, orphaned_by }
                    }
                    (_, Some(refusal)) => Self::Absent { desired, refusal },
                }
            }
            // Even one with our label and owner reference: its type can't be changed, and kubelets can't use it.
            (Some(desired), Some(observed), _) if observed.wrong_type => {
                let refusal = Refusal::WrongType { secret: secret.clone() };
                Self::Refused { desired, refusal, orphaned_by }
            }
            (Some(desired), _, Some(Ownership::Ours(owner))) if owner == desired.credential => Self::Present(desired),
            (Some(desired), _, Some(Ownership::Orphaned(_) | Ownership::Foreign))
                if desired.policy == ConflictPolicy::Fail =>
            {
                let refusal = Refusal::ForeignSecret { secret: secret.clone() };
                Self::Refused { desired, refusal, orphaned_by }
            }
            (Some(desired), ..) => Self::Pending(desired),
            (None, _, Some(Ownership::Ours(_) | Ownership::Left(_))) => Self::Unwanted,
            (None, ..) => Self::Idle { orphaned_by },
        }
    }

    /// Whose Secret is to be written now, and how.
    pub(super) fn write(&self, observed: Option<&Secret>) -> Option<(CredentialName, Write)> {
        let (desired, is_ours) = match self {
            Self::Pending(desired) => (desired, false),
            Self::Present(desired) => (desired, true),
            _ => return None,
        };
        let write = match observed {
            None => Write::Create,
            // It can't be kept, and a new one can't be made before it is gone.
            Some(secret) if secret.deleting => return None,
            Some(secret) if is_ours && desired.is_current(secret) => return None,
            Some(secret) => change(secret, is_ours && desired.lacks_data_only(secret)),
        };
        Some((desired.credential.clone(), write))
    }

    /// Why `desired`, which wants this name here, can't have it.
    pub(super) fn refusal(&self, desired: &Desired) -> Option<Refusal> {
        let name_owner = match self {
            Self::Refused { desired: name_owner, refusal, .. } if name_owner.credential == desired.credential => {
                return Some(refusal.clone());
            }
            Self::Absent { desired: name_owner, refusal } if name_owner.credential == desired.credential => {
                return Some(refusal.clone());
            }
            Self::Frozen(name_owner)
            | Self::Present(name_owner)
            | Self::Pending(name_owner)
            | Self::Attached(name_owner)
            | Self::Absent { desired: name_owner, .. }
            | Self::Refused { desired: name_owner, .. } => name_owner,
            Self::Unwanted | Self::Idle { .. } => return None,
        };
        (name_owner.credential != desired.credential)
            .then(|| Refusal::NameTaken { secret: desired.secret.clone(), name_owner: name_owner.credential.clone() })
    }
}

/// How a Secret that is there is made what it should be; `data_only`: it is one of ours and lacks no more than what it holds.
fn change(secret: &Secret, data_only: bool) -> Write {
    let resource_version = secret.resource_version;
    // An apply takes out only what an apply has put in. So where one has made the Secret, no PUT changes more than what it
    // holds: else others might come, and an apply would leave what the PUT had put in.
    if secret.is_ours_alone && (data_only || secret.creation.is_some()) {
        return Write::Replace { uid: secret.uid.clone(), resource_version };
    }
    if data_only {
        return Write::Patch { resource_version, entry: secret.creation };
    }
    // One whose label somebody has taken off is to get it back first: config/policy refuses all else.
    match secret.creation.filter(|_| secret.label.is_some()) {
        Some(entry) => Write::Settle { resource_version, entry },
        // The UID alone wouldn't do, even where it is ours: giving it away changes its owner references only.
        None => Write::Apply { uid: secret.uid.clone(), resource_version },
    }
}

/// What to do about one entry.
pub(super) enum RefDecision {
    /// Nothing.
    Leave,
    /// One change of the service account.
    Change(Change),
    /// Nothing, though a credential wants it.
    Refuse(CredentialName, Refusal),
}

/// Decides about the entry for `secret` in one service account. `taken_away`: somebody keeps removing it.
pub(super) fn decide(
    name: &ServiceAccountName,
    observed: &ServiceAccount,
    secret: &SecretName,
    decision: &SecretDecision<'_>,
    all_desired: &[&Desired],
    taken_away: bool,
) -> RefDecision {
    let record = observed.added.get(secret);
    let held = |record: &CredentialName| {
        all_desired
            .iter()
            .any(|c| c.state == DesiredState::Stalled && c.credential == *record && c.may_have_made(secret))
    };
    if record.is_some_and(held) {
        return RefDecision::Leave;
    }
    match decision {
        SecretDecision::Frozen(_) => RefDecision::Leave,
        SecretDecision::Present(desired) | SecretDecision::Attached(desired) if desired.chooses(name, observed) => {
            want(name, observed, secret, desired, taken_away)
        }
        // What is there stays while the Secret is being made; nothing is added before it is there.
        SecretDecision::Pending(desired) | SecretDecision::Absent { desired, .. }
            if desired.chooses(name, observed) =>
        {
            RefDecision::Leave
        }
        SecretDecision::Present(_)
        | SecretDecision::Pending(_)
        | SecretDecision::Attached(_)
        | SecretDecision::Absent { .. }
        | SecretDecision::Unwanted => take_back(observed, secret),
        // Who orphaned the Secret wants pods to go on using it.
        SecretDecision::Refused { orphaned_by, .. } | SecretDecision::Idle { orphaned_by } => {
            if record.is_some() && record == orphaned_by.as_ref() {
                RefDecision::Leave
            } else {
                take_back(observed, secret)
            }
        }
    }
}

/// The entry is wanted, and the Secret is there.
fn want(
    name: &ServiceAccountName,
    observed: &ServiceAccount,
    secret: &SecretName,
    desired: &Desired,
    taken_away: bool,
) -> RefDecision {
    let credential = || desired.credential.clone();
    if observed.entries.contains(secret) {
        return match observed.added.get(secret) {
            Some(record) if *record == desired.credential => RefDecision::Leave,
            // Somebody else's entry does what we want; it stays theirs.
            None if desired.policy == ConflictPolicy::Fail => RefDecision::Leave,
            Some(_) | None => RefDecision::Change(Change::Record(secret.clone(), credential())),
        };
    }
    let writer = observed.list_writer.as_ref();
    let refusal = if taken_away {
        Refusal::TakenAway {
            service_account: name.clone(),
            secret: secret.clone(),
            manager: writer.map(|w| w.manager.clone()),
        }
    } else if let (Some(writer), ConflictPolicy::Fail) =
        (writer.filter(|w| w.operation == WriteOperation::Apply), desired.policy)
    {
        Refusal::Applied {
            service_account: name.clone(),
            secret: secret.clone(),
            manager: writer.manager.clone(),
            maker: desired.maker,
        }
    } else {
        return RefDecision::Change(Change::Append(secret.clone(), credential()));
    };
    RefDecision::Refuse(credential(), refusal)
}

/// The entry isn't wanted: what our record says that we added goes, and nothing else.
fn take_back(observed: &ServiceAccount, secret: &SecretName) -> RefDecision {
    if !observed.added.contains_key(secret) {
        RefDecision::Leave
    } else if observed.entries.contains(secret) {
        RefDecision::Change(Change::Remove(secret.clone()))
    } else {
        RefDecision::Change(Change::Forget(secret.clone()))
    }
}
