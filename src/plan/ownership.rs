//! Whose Secret it is. A label alone proves nothing, as anybody can set it; nor does an owner reference alone, as the
//! garbage collector takes it away when a RegistryCredential is deleted with `--cascade=orphan`.

use super::{
    claim::Claim,
    observed::{OtherOwners, Secret},
};
use crate::{api::CredentialName, process::Text};

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
pub fn of(secret: &Secret, claims: &[&Claim]) -> Ownership {
    let Some(label) = &secret.label else {
        return Ownership::Foreign;
    };
    let owners = &secret.credential_owners;
    let exists = |uid: &Text| claims.iter().any(|c| c.uid == *uid);
    let named = claims.iter().find(|c| c.credential == *label);
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
