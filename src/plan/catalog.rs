//! All RegistryCredentials that exist, each with what it wants and whether there is something to write.

use std::{collections::BTreeMap, sync::Arc};

use super::desired::Desired;
use crate::{
    api::{CredentialName, SecretName},
    credential::PullSecret,
};

/// Counts the changes of a credential; a namespace is up to date when it has been planned for the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Epoch(pub u64);

/// One RegistryCredential.
#[derive(Clone, Debug)]
pub struct Entry {
    /// What it wants.
    pub desired: Desired,
    /// What to write, unless it is held.
    pub pull_secret: Option<Arc<PullSecret>>,
    /// How many changes led here.
    pub epoch: Epoch,
}

/// A snapshot of all of them. One that isn't in it is absent, which is the only thing that leads to removal.
#[derive(Clone, Debug, Default)]
pub struct Catalog {
    entries: BTreeMap<CredentialName, Arc<Entry>>,
}

impl Catalog {
    /// One of them.
    pub fn get(&self, name: &CredentialName) -> Option<&Arc<Entry>> {
        self.entries.get(name)
    }

    /// All of them, by name.
    pub fn entries(&self) -> impl Iterator<Item = &Arc<Entry>> {
        self.entries.values()
    }

    /// What all of them want, by name.
    pub fn all_desired(&self) -> Vec<&Desired> {
        self.entries.values().map(|entry| &entry.desired).collect()
    }

    /// The Secret names that they use.
    pub fn secret_names(&self) -> impl Iterator<Item = &SecretName> {
        self.entries.values().map(|entry| &entry.desired.secret)
    }

    /// Adds or replaces one.
    pub fn insert(&mut self, entry: Entry) {
        self.entries.insert(entry.desired.credential.clone(), Arc::new(entry));
    }

    /// Takes one out: it is absent from now on.
    pub fn remove(&mut self, name: &CredentialName) -> Option<Arc<Entry>> {
        self.entries.remove(name)
    }
}
