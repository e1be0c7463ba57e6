//! How far one namespace is, for the status, and what it waits for.

use std::collections::BTreeSet;

use super::{
    absence_tracker::LongAbsent,
    decision::{Ownership, SecretDecision, ownership, unusable},
    desired::{Desired, DesiredState, Maker},
    observed::Namespace,
};
use crate::api::{CredentialName, NamespaceName, SecretName};

/// How far one credential is in one of its target namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the Secret is there as wanted.
    pub secret: SecretProgress,
    /// How many service accounts are chosen.
    pub desired: usize,
    /// How many of these name the Secret while it is there as wanted.
    pub ready: usize,
}

/// Whether a namespace has the Secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SecretProgress {
    /// It isn't there, or not as wanted.
    #[default]
    Missing,
    /// It is as wanted.
    Current,
}

impl Progress {
    /// Nothing is left to do.
    pub fn is_ready(&self) -> bool {
        self.secret == SecretProgress::Current && self.ready == self.desired
    }
}

/// The progress of each credential that targets this namespace. A held one has nothing that it wants there now: it is
/// measured by what was made for it, whatever that holds.
pub fn assess(
    name: &NamespaceName,
    all_desired: &[&Desired],
    namespace: &Namespace,
) -> Vec<(CredentialName, Progress)> {
    if namespace.terminating {
        return Vec::new();
    }
    let affected = all_desired.iter().filter(|c| c.targets(name, namespace));
    affected
        .map(|desired| {
            let current = match desired.state {
                DesiredState::Resolved { .. } | DesiredState::Attached => holds(desired, name, all_desired, namespace),
                DesiredState::Stalled => keeps(desired, all_desired, namespace),
            };
            let chosen = namespace.service_accounts.iter().filter(|(n, a)| !a.deleting && desired.chooses(n, a));
            let (mut chosen_count, mut ready) = (0, 0);
            for (_, account) in chosen {
                chosen_count += 1;
                ready += usize::from(current && account.entries.contains(&desired.secret));
            }
            let secret = if current { SecretProgress::Current } else { SecretProgress::Missing };
            (desired.credential.clone(), Progress { secret, desired: chosen_count, ready })
        })
        .collect()
}

/// The Secrets that RegistryCredentials attach here, and that can't be used now.
pub fn absent(name: &NamespaceName, all_desired: &[&Desired], namespace: &Namespace) -> BTreeSet<SecretName> {
    let attached = all_desired.iter().filter(|c| c.state == DesiredState::Attached && c.targets(name, namespace));
    let decision = |secret| SecretDecision::new(secret, name, all_desired, namespace, &LongAbsent::new());
    let absent = attached.filter(|c| matches!(decision(&c.secret), SecretDecision::Absent { .. }));
    absent.map(|desired| desired.secret.clone()).collect()
}

/// Whether the Secret that was made for the credential is there, and nobody has changed its value since. One that others
/// make only has to be there.
fn keeps(desired: &Desired, all_desired: &[&Desired], namespace: &Namespace) -> bool {
    let there = namespace.secrets.get(&desired.secret);
    if desired.maker == Maker::Others {
        return unusable(&desired.secret, there).is_none();
    }
    there.is_some_and(|secret| {
        ownership(secret, all_desired) == Ownership::Ours(desired.credential.clone())
            && secret.owned_fields.is_some()
            && !secret.wrong_type
            && !secret.deleting
    })
}

/// Whether this namespace holds the credential's Secret as it should be.
pub(super) fn holds(desired: &Desired, name: &NamespaceName, all_desired: &[&Desired], namespace: &Namespace) -> bool {
    match SecretDecision::new(&desired.secret, name, all_desired, namespace, &LongAbsent::new()) {
        SecretDecision::Present(name_owner) if name_owner.credential == desired.credential => {
            namespace.secrets.get(&desired.secret).is_some_and(|s| desired.is_current(s) && !s.deleting)
        }
        SecretDecision::Attached(name_owner) => name_owner.credential == desired.credential,
        _ => false,
    }
}
