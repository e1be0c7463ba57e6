//! How far one namespace is, for the status.

use super::{
    decision::Verdict,
    desired::{Claim, ClaimState},
    observed::Namespace,
    ownership::{self, Ownership},
};
use crate::api::{CredentialName, NamespaceName};

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
pub fn assess(name: &NamespaceName, claims: &[&Claim], namespace: &Namespace) -> Vec<(CredentialName, Progress)> {
    if namespace.terminating {
        return Vec::new();
    }
    let wishes = claims.iter().filter(|c| c.targets(name, namespace));
    wishes
        .map(|claim| {
            let current = match claim.state {
                ClaimState::Resolved { .. } => holds(claim, name, claims, namespace),
                ClaimState::Held => keeps(claim, claims, namespace),
            };
            let chosen = namespace.service_accounts.iter().filter(|(n, a)| !a.deleting && claim.chooses(n, a));
            let (mut desired, mut ready) = (0, 0);
            for (_, account) in chosen {
                desired += 1;
                ready += usize::from(current && account.entries.contains(&claim.secret));
            }
            let secret = if current { SecretProgress::Current } else { SecretProgress::Missing };
            (claim.credential.clone(), Progress { secret, desired, ready })
        })
        .collect()
}

/// Whether the Secret that was made for the claim is there, and nobody has changed its value since.
fn keeps(claim: &Claim, claims: &[&Claim], namespace: &Namespace) -> bool {
    namespace.secrets.get(&claim.secret).is_some_and(|secret| {
        ownership::of(secret, claims) == Ownership::Ours(claim.credential.clone())
            && secret.applied_fields.is_some()
            && !secret.wrong_type
            && !secret.deleting
    })
}

/// Whether this namespace holds the claim's Secret as it should be.
pub(super) fn holds(claim: &Claim, name: &NamespaceName, claims: &[&Claim], namespace: &Namespace) -> bool {
    let verdict = Verdict::new(&claim.secret, name, claims, namespace);
    matches!(verdict, Verdict::Present(winner) if winner.credential == claim.credential)
        && namespace.secrets.get(&claim.secret).is_some_and(|s| claim.is_current(s) && !s.deleting)
}
