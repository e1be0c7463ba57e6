//! What is to become of one Secret name in one namespace, and of its entry in each service account there.

use super::{
    desired::{Claim, ClaimState},
    observed::{Namespace, Secret, ServiceAccount, WriteOperation},
    ownership::{self, Ownership},
    patch::Change,
    refusal::Refusal,
};
use crate::{
    api::{ConflictPolicy, CredentialName, NamespaceName, SecretName, ServiceAccountName},
    credential::Guard,
};

/// What is to become of one Secret name.
#[derive(Clone, Debug)]
pub(super) enum Verdict<'a> {
    /// A held credential has the name: nothing about it is touched.
    Frozen(&'a Claim),
    /// The credential's own Secret is there.
    Present(&'a Claim),
    /// The credential's Secret isn't there yet, and nothing stands in its way.
    Pending(&'a Claim),
    /// Somebody else's Secret stands in the credential's way.
    Refused {
        /// Whose way.
        claim: &'a Claim,
        /// What is wrong.
        refusal: Refusal,
        /// The credential whose deletion with `--cascade=orphan` left that Secret to people.
        orphaned_by: Option<CredentialName>,
    },
    /// Nobody wants it, and the Secret there is ours: it goes as soon as its entries are gone.
    Unwanted,
    /// Nobody wants it, and there is nothing to delete.
    Idle {
        /// The credential whose deletion with `--cascade=orphan` left the Secret to people.
        orphaned_by: Option<CredentialName>,
    },
}

impl<'a> Verdict<'a> {
    pub(super) fn new(secret: &SecretName, name: &NamespaceName, claims: &[&'a Claim], namespace: &Namespace) -> Self {
        let observed = namespace.secrets.get(secret);
        let ownership = observed.map(|s| ownership::of(s, claims));
        let winner = ownership::winner(claims, secret, name, namespace);
        let orphaned_by = match &ownership {
            Some(Ownership::Orphaned(credential)) => Some(credential.clone()),
            _ => None,
        };
        match (winner, observed, ownership) {
            (Some(claim), ..) if claim.state == ClaimState::Held => Self::Frozen(claim),
            // Even one with our label and owner reference: its type can't be changed, and kubelets can't use it.
            (Some(claim), Some(observed), _) if observed.wrong_type => {
                let refusal = Refusal::WrongType { secret: secret.clone() };
                Self::Refused { claim, refusal, orphaned_by }
            }
            (Some(claim), _, Some(Ownership::Ours(owner))) if owner == claim.credential => Self::Present(claim),
            (Some(claim), _, Some(Ownership::Orphaned(_) | Ownership::Foreign))
                if claim.policy == ConflictPolicy::Fail =>
            {
                let refusal = Refusal::ForeignSecret { secret: secret.clone() };
                Self::Refused { claim, refusal, orphaned_by }
            }
            (Some(claim), ..) => Self::Pending(claim),
            (None, _, Some(Ownership::Ours(_) | Ownership::Left(_))) => Self::Unwanted,
            (None, ..) => Self::Idle { orphaned_by },
        }
    }

    /// Whose Secret is to be written now, and on what condition.
    pub(super) fn write(&self, observed: Option<&Secret>) -> Option<(CredentialName, Guard)> {
        let (claim, guard) = match (self, observed) {
            (Self::Pending(claim), None) => (claim, Guard::Create),
            // It can't be kept, and a new one can't be made before it is gone.
            (Self::Pending(_) | Self::Present(_), Some(secret)) if secret.deleting => return None,
            (Self::Present(claim), Some(secret)) if claim.is_current(secret) => return None,
            // Its UID alone wouldn't do, even where it is ours: giving it away changes its owner references only.
            (Self::Pending(claim) | Self::Present(claim), Some(secret)) => {
                let uid = secret.uid.to_string();
                (claim, Guard::Exact { uid, resource_version: secret.resource_version.to_string() })
            }
            _ => return None,
        };
        Some((claim.credential.clone(), guard))
    }

    /// Why `claim`, which wants this name here, can't have it.
    pub(super) fn refusal(&self, claim: &Claim) -> Option<Refusal> {
        let winner = match self {
            Self::Refused { claim: winner, refusal, .. } if winner.credential == claim.credential => {
                return Some(refusal.clone());
            }
            Self::Frozen(winner)
            | Self::Present(winner)
            | Self::Pending(winner)
            | Self::Refused { claim: winner, .. } => winner,
            Self::Unwanted | Self::Idle { .. } => return None,
        };
        (winner.credential != claim.credential)
            .then(|| Refusal::NameTaken { secret: claim.secret.clone(), winner: winner.credential.clone() })
    }
}

/// What to do about one entry.
pub(super) enum Decision {
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
    verdict: &Verdict<'_>,
    claims: &[&Claim],
    taken_away: bool,
) -> Decision {
    let record = observed.added.get(secret);
    let held = |record: &CredentialName| {
        claims.iter().any(|c| c.state == ClaimState::Held && c.credential == *record && c.may_have_made(secret))
    };
    if record.is_some_and(held) {
        return Decision::Leave;
    }
    match verdict {
        Verdict::Frozen(_) => Decision::Leave,
        Verdict::Present(claim) if claim.chooses(name, observed) => want(name, observed, secret, claim, taken_away),
        // What is there stays while the Secret is being made; nothing is added before it is there.
        Verdict::Pending(claim) if claim.chooses(name, observed) => Decision::Leave,
        Verdict::Present(_) | Verdict::Pending(_) | Verdict::Unwanted => take_back(observed, secret),
        // Who orphaned the Secret wants pods to go on using it.
        Verdict::Refused { orphaned_by, .. } | Verdict::Idle { orphaned_by } => {
            if record.is_some() && record == orphaned_by.as_ref() {
                Decision::Leave
            } else {
                take_back(observed, secret)
            }
        }
    }
}

/// The entry is wanted, and our Secret is there.
fn want(
    name: &ServiceAccountName,
    observed: &ServiceAccount,
    secret: &SecretName,
    claim: &Claim,
    taken_away: bool,
) -> Decision {
    let credential = || claim.credential.clone();
    if observed.entries.contains(secret) {
        return match observed.added.get(secret) {
            Some(record) if *record == claim.credential => Decision::Leave,
            // Somebody else's entry does what we want; it stays theirs.
            None if claim.policy == ConflictPolicy::Fail => Decision::Leave,
            Some(_) | None => Decision::Change(Change::Record(secret.clone(), credential())),
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
        (writer.filter(|w| w.operation == WriteOperation::Apply), claim.policy)
    {
        Refusal::Applied { service_account: name.clone(), secret: secret.clone(), manager: writer.manager.clone() }
    } else {
        return Decision::Change(Change::Append(secret.clone(), credential()));
    };
    Decision::Refuse(credential(), refusal)
}

/// The entry isn't wanted: what our record says that we added goes, and nothing else.
fn take_back(observed: &ServiceAccount, secret: &SecretName) -> Decision {
    if !observed.added.contains_key(secret) {
        Decision::Leave
    } else if observed.entries.contains(secret) {
        Decision::Change(Change::Remove(secret.clone()))
    } else {
        Decision::Change(Change::Forget(secret.clone()))
    }
}
