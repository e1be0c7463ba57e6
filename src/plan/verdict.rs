//! What is to become of one Secret name in one namespace.

use super::{
    claim::{Claim, ClaimState},
    observed::{Namespace, Secret},
    ownership::{self, Ownership},
    refusal::Refusal,
    winner,
};
use crate::{
    api::{ConflictPolicy, CredentialName, NamespaceName, SecretName},
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
        let winner = winner::winner(claims, secret, name, namespace);
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
