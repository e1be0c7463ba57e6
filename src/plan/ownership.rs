//! Whose a Secret is, and who may have its name where several RegistryCredentials want it. A label alone proves nothing, as anybody can set it; nor does an owner reference alone, as the
//! garbage collector takes it away when a RegistryCredential is deleted with `--cascade=orphan`.

use super::{
    desired::{Desired, DesiredState, Scope},
    observed::{Namespace, OtherOwners, Secret},
};
use crate::{
    api::{CredentialName, NamespaceName, SecretName},
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
    /// Somebody else's.
    Foreign,
}

/// Whose `secret` is, given all RegistryCredentials that exist.
pub fn of(secret: &Secret, all_desired: &[&Desired]) -> Ownership {
    let Some(label) = &secret.label else {
        return Ownership::Foreign;
    };
    let owners = &secret.credential_owners;
    let exists = |uid: &Text| all_desired.iter().any(|c| c.uid == *uid);
    let named = all_desired.iter().find(|c| c.credential == *label);
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
        let ownership = of(observed, all_desired);
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
        DesiredState::Resolved { .. } => wants,
        DesiredState::Stalled => {
            wants
                || (desired.secret == *secret && matches!(desired.scope, Scope::Unknown))
                || namespace.secrets.get(secret).is_some_and(|s| s.label.as_ref() == Some(&desired.credential))
                || (desired.may_have_made(secret)
                    && namespace.service_accounts.values().any(|a| a.added.get(secret) == Some(&desired.credential)))
        }
    }
}
