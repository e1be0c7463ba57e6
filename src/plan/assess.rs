//! How far one namespace is, for the status.

use super::{
    claim::{Claim, ClaimState},
    observed::Namespace,
    verdict::Verdict,
};
use crate::names::{CredentialName, NamespaceName};

/// How far one credential is in one of its target namespaces.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Whether the Secret is there with the current revision.
    pub secret: SecretProgress,
    /// How many service accounts are chosen.
    pub desired: usize,
    /// How many of these name the Secret while it is current.
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

/// The progress of each resolved credential that targets this namespace. A held one isn't assessed: what its status
/// said last still stands.
pub fn assess(name: &NamespaceName, claims: &[&Claim], namespace: &Namespace) -> Vec<(CredentialName, Progress)> {
    if namespace.terminating {
        return Vec::new();
    }
    let wishes = claims.iter().filter(|c| c.state != ClaimState::Held && c.targets(name, namespace));
    wishes
        .map(|claim| {
            let current = holds(claim, name, claims, namespace);
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

/// Whether this namespace holds the claim's Secret as it should be.
pub(super) fn holds(claim: &Claim, name: &NamespaceName, claims: &[&Claim], namespace: &Namespace) -> bool {
    let verdict = Verdict::new(&claim.secret, name, claims, namespace);
    matches!(verdict, Verdict::Present(winner) if winner.credential == claim.credential)
        && namespace.secrets.get(&claim.secret).is_some_and(|s| claim.is_current(s) && !s.deleting)
}
