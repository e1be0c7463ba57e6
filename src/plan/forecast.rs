//! What becomes of a namespace if its plans are executed until nothing is left, and nobody else does anything but the
//! garbage collector. It takes nothing for granted that the API server and the operator don't see to.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    absence_tracker::LongAbsent,
    decision::{Ownership, ownership},
    desired::{Desired, DesiredState},
    observed::{Annotations, Namespace, OtherOwners, ResourceVersion, Secret, ServiceAccount},
    patch::Change,
    refusal::Refusal,
    removal_tracker::Contested,
    steps::{Step, plan},
    write::Write,
};
use crate::api::{CredentialName, NamespaceName, SecretName, ServiceAccountName};

/// How many plans in a row are executed at most. The proof says that four do all work; the collector may make it two
/// times as many.
const ROUNDS: usize = 10;

/// What is different in the end.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Effect {
    /// Of a Secret.
    Secret {
        /// The Secret.
        secret: SecretName,
        /// Whose it becomes, or was.
        credential: CredentialName,
        /// What becomes of it.
        fate: SecretFate,
    },
    /// Of an entry in a service account, or of its record.
    Entry {
        /// The service account.
        service_account: ServiceAccountName,
        /// The Secret that the entry names.
        secret: SecretName,
        /// Whose it becomes, or was.
        credential: CredentialName,
        /// What becomes of it.
        fate: RefFate,
    },
    /// Nothing is, though a credential wants it.
    Refused {
        /// Whose it is.
        credential: CredentialName,
        /// Why.
        refusal: Refusal,
    },
}

/// What becomes of a Secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SecretFate {
    /// It is made.
    Created,
    /// It is written over, in place.
    Updated(UpdateCause),
    /// It is deleted, by the operator or by the garbage collector.
    Deleted,
}

/// Why a Secret is written over.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum UpdateCause {
    /// It holds another revision than it should.
    Contents,
    /// Somebody has changed its value, or a label or annotation that regcred applied.
    Drift,
    /// It is somebody else's, and `conflictPolicy: Adopt` takes it over.
    Adopted,
    /// Its RegistryCredential is gone, and this one takes its place.
    Inherited,
    /// The garbage collector deletes it, and it is made again.
    Replaced,
}

/// What becomes of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RefFate {
    /// It is appended, and recorded as regcred's.
    Added,
    /// It is there, and recorded as regcred's, or as another credential's.
    Recorded,
    /// It is taken out, and its record.
    Removed,
    /// It is out already, and its record is taken out.
    Forgotten,
}

/// See the module's documentation.
#[derive(Clone, Debug)]
pub struct Forecast {
    /// All that is different, and all that is refused in the end.
    pub effects: BTreeSet<Effect>,
    /// The namespace in the end.
    pub end: Namespace,
}

/// The forecast for one namespace, given *all* RegistryCredentials that exist.
pub fn forecast(
    name: &NamespaceName,
    all_desired: &[&Desired],
    namespace: &Namespace,
    contested: &Contested,
    long_absent: &LongAbsent,
) -> Forecast {
    let mut run = Run { all_desired, now: namespace.clone(), secrets: BTreeMap::new(), entries: BTreeSet::new() };
    for _ in 0..ROUNDS {
        let steps = plan(name, all_desired, &run.now, contested, long_absent);
        let mut written = false;
        for step in &steps {
            written |= run.execute(step);
        }
        if !written && !run.collect_garbage() {
            break;
        }
    }
    let refused = plan(name, all_desired, &run.now, contested, long_absent).into_iter().filter_map(|step| match step {
        Step::Refuse { credential, refusal } => Some(Effect::Refused { credential, refusal }),
        _ => None,
    });
    let entries = run.entries.iter().filter_map(|(account, secret)| {
        let (before, after) = (namespace.service_accounts.get(account)?, run.now.service_accounts.get(account)?);
        let (credential, fate) = entry(before, after, secret)?;
        Some(Effect::Entry { service_account: account.clone(), secret: secret.clone(), credential, fate })
    });
    let secrets = run.secrets.iter().map(|(secret, (credential, fate))| Effect::Secret {
        secret: secret.clone(),
        credential: credential.clone(),
        fate: *fate,
    });
    Forecast { effects: secrets.chain(entries).chain(refused).collect(), end: run.now }
}

struct Run<'a> {
    all_desired: &'a [&'a Desired],
    now: Namespace,
    secrets: BTreeMap<SecretName, (CredentialName, SecretFate)>,
    /// Those that are changed at least once.
    entries: BTreeSet<(ServiceAccountName, SecretName)>,
}

impl Run<'_> {
    /// Does to the namespace what the API server would; false where that is nothing.
    fn execute(&mut self, step: &Step) -> bool {
        match step {
            Step::WriteSecret { credential, secret, write } => self.write(credential, secret, write),
            Step::PatchServiceAccount { service_account, changes } => {
                let Some(account) = self.now.service_accounts.get_mut(service_account) else { return false };
                for change in changes {
                    let secret = patch(account, change);
                    self.entries.insert((service_account.clone(), secret.clone()));
                }
                account.resource_version = next(account.resource_version);
                true
            }
            Step::DeleteSecret { secret, .. } => match self.now.secrets.remove(secret) {
                Some(gone) => {
                    self.gone(secret, &gone);
                    true
                }
                None => false,
            },
            Step::Refuse { .. } => false,
        }
    }

    fn write(&mut self, credential: &CredentialName, name: &SecretName, write: &Write) -> bool {
        if matches!(write, Write::Settle { .. }) {
            // What becomes of the Secret, the apply that follows says.
            let Some(secret) = self.now.secrets.get_mut(name) else { return false };
            secret.resource_version = next(secret.resource_version);
            secret.creation = None;
            return true;
        }
        let desired = self.all_desired.iter().find(|desired| desired.credential == *credential);
        let Some((desired, DesiredState::Resolved { revision, fields })) =
            desired.map(|desired| (*desired, &desired.state))
        else {
            return false;
        };
        let before = self.now.secrets.get(name);
        let fate = match (write, before, self.secrets.get(name)) {
            (Write::Replace { .. } | Write::Patch { .. } | Write::Apply { .. }, Some(before), _) => {
                SecretFate::Updated(self.cause(desired, before))
            }
            (_, _, Some((_, SecretFate::Deleted))) => SecretFate::Updated(UpdateCause::Replaced),
            _ => SecretFate::Created,
        };
        let before = before.cloned().unwrap_or_default();
        let owner = (desired.credential.clone(), desired.uid.clone());
        let others = before.credential_owners.iter().filter(|known| **known != owner).cloned();
        let credential_owners = match write {
            Write::Patch { .. } => before.credential_owners.clone(),
            // What a POST has put there stays.
            Write::Apply { .. } if before.creation.is_some() => [owner.clone()].into_iter().chain(others).collect(),
            // Owner references that earlier applies set go.
            _ => [owner.clone()].into(),
        };
        let secret = Secret {
            resource_version: next(before.resource_version),
            label: Some(desired.credential.clone()),
            credential_owners,
            revision: Some(revision.as_str().into()),
            owned_fields: Some(*fields),
            ..before
        };
        self.now.secrets.insert(name.clone(), secret);
        self.secrets.insert(name.clone(), (credential.clone(), fate));
        true
    }

    fn cause(&self, desired: &Desired, before: &Secret) -> UpdateCause {
        match ownership(before, self.all_desired) {
            Ownership::Ours(owner) if owner == desired.credential => match &desired.state {
                DesiredState::Resolved { revision, .. }
                    if before.revision.as_ref().is_some_and(|before| before.as_str() == revision.as_str()) =>
                {
                    UpdateCause::Drift
                }
                _ => UpdateCause::Contents,
            },
            Ownership::Ours(_) | Ownership::Left(_) => UpdateCause::Inherited,
            Ownership::Orphaned(_) | Ownership::Foreign => UpdateCause::Adopted,
        }
    }

    /// Deletes the Secrets whose owners were RegistryCredentials and are all gone, and says whether there were any.
    fn collect_garbage(&mut self) -> bool {
        let exists = |uid: &crate::process::Text| self.all_desired.iter().any(|desired| desired.uid == *uid);
        let is_garbage = |secret: &Secret| {
            let owners = &secret.credential_owners;
            !secret.deleting
                && !owners.is_empty()
                && secret.other_owners == OtherOwners::None
                && !owners.iter().any(|(_, uid)| exists(uid))
        };
        let garbage = self.now.secrets.iter().filter(|(_, secret)| is_garbage(secret));
        let garbage: Vec<_> = garbage.map(|(name, secret)| (name.clone(), secret.clone())).collect();
        for (name, secret) in &garbage {
            self.now.secrets.remove(name);
            self.gone(name, secret);
        }
        !garbage.is_empty() && !self.now.terminating
    }

    fn gone(&mut self, name: &SecretName, secret: &Secret) {
        let owner = || secret.credential_owners.first().map(|(owner, _)| owner.clone());
        let credential = secret.label.clone().or_else(owner).unwrap_or_default();
        self.secrets.insert(name.clone(), (credential, SecretFate::Deleted));
    }
}

/// What becomes of an entry in all: one that is taken back may be added again.
fn entry(before: &ServiceAccount, after: &ServiceAccount, secret: &SecretName) -> Option<(CredentialName, RefFate)> {
    let count = |account: &ServiceAccount| account.entries.iter().filter(|entry| *entry == secret).count();
    let (had, has) = (count(before), count(after));
    let (was, is) = (before.added.get(secret), after.added.get(secret));
    let fate = match is {
        Some(_) if has > had => RefFate::Added,
        Some(_) if is != was => RefFate::Recorded,
        None if has < had => RefFate::Removed,
        None if was.is_some() => RefFate::Forgotten,
        _ => return None,
    };
    Some((is.or(was).cloned().unwrap_or_default(), fate))
}

/// Makes one change of a service account, and says which Secret it is about.
fn patch<'a>(account: &mut ServiceAccount, change: &'a Change) -> &'a SecretName {
    let mut entries = std::mem::take(&mut account.entries).into_vec();
    let secret = match change {
        Change::Append(secret, credential) | Change::Record(secret, credential) => {
            if matches!(change, Change::Append(..)) {
                entries.push(secret.clone());
            }
            account.added.insert(secret.clone(), credential.clone());
            account.annotations = Annotations::Present;
            secret
        }
        Change::Remove(secret) | Change::Forget(secret) => {
            account.added.remove(secret);
            let ours = entries.iter().rposition(|entry| entry == secret);
            if let Some(at) = ours.filter(|_| matches!(change, Change::Remove(_))) {
                entries.remove(at);
            }
            secret
        }
    };
    account.entries = entries.into();
    secret
}

fn next(version: ResourceVersion) -> ResourceVersion {
    ResourceVersion(version.0 + 1)
}
