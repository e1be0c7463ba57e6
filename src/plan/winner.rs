//! Who may have a Secret name in a namespace when several RegistryCredentials want it.

use super::{
    claim::{Claim, ClaimState, Scope},
    observed::Namespace,
    ownership::{self, Ownership},
};
use crate::api::{NamespaceName, SecretName};

/// The claim that has `secret` in this namespace: the one that owns the Secret, or made it and is held; else the
/// oldest; else the first by name.
pub fn winner<'a>(
    claims: &[&'a Claim],
    secret: &SecretName,
    name: &NamespaceName,
    namespace: &Namespace,
) -> Option<&'a Claim> {
    let contenders = || claims.iter().copied().filter(|c| contends(c, secret, name, namespace));
    let owner = namespace.secrets.get(secret).and_then(|observed| {
        let ownership = ownership::of(observed, claims);
        contenders().find(|c| match &ownership {
            Ownership::Ours(owner) => *owner == c.credential,
            Ownership::Left(maker) => *maker == c.credential && c.state == ClaimState::Held,
            Ownership::Orphaned(_) | Ownership::Foreign => false,
        })
    });
    owner.or_else(|| contenders().min_by_key(|c| (c.created, &c.credential)))
}

/// Whether nobody else may have `secret` here without regard to this claim. A held claim keeps what it may have
/// made, wherever that is: its Secret, or an entry that its annotation records.
fn contends(claim: &Claim, secret: &SecretName, name: &NamespaceName, namespace: &Namespace) -> bool {
    let wants = claim.secret == *secret && claim.targets(name, namespace);
    match claim.state {
        ClaimState::Resolved { .. } => wants,
        ClaimState::Held => {
            wants
                || (claim.secret == *secret && matches!(claim.scope, Scope::Unknown))
                || namespace.secrets.get(secret).is_some_and(|s| s.label.as_ref() == Some(&claim.credential))
                || (claim.may_have_made(secret)
                    && namespace.service_accounts.values().any(|a| a.added.get(secret) == Some(&claim.credential)))
        }
    }
}
