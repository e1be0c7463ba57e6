//! Which entries of docker configs the kubelet uses for an image, in the order in which it tries them.
//!
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/credentialprovider/keyring.go>

use std::collections::BTreeMap;

use super::{
    EntryName, Reference,
    entry_name::Target,
    reference::{DOCKER_HUB, DOCKER_HUB_INDEX},
};

/// The entries of all docker configs that a pod names, each with something of the caller's.
///
/// The kubelet tries each entry that matches: the greatest name first, byte by byte (so a longer path comes before its
/// beginning, and a host before a wildcard), and of the same name the one that was added first. Where two names in one
/// docker config stand for the same, as `gcr.io` and `https://gcr.io` do, its order is by chance.
#[derive(Clone, Debug)]
pub struct Keyring<T> {
    entries: BTreeMap<Vec<u8>, (EntryName, Vec<T>)>,
}

impl<T> Default for Keyring<T> {
    fn default() -> Self {
        Self { entries: BTreeMap::new() }
    }
}

impl<T> Keyring<T> {
    /// Adds an entry by its name in a docker config. One whose name can't be read is passed over, as the kubelet does.
    pub fn add(&mut self, name: &str, login: T) {
        if let Some(name) = EntryName::parse(name) {
            let (_, logins) = self.entries.entry(name.key().to_vec()).or_insert_with(|| (name, Vec::new()));
            logins.push(login);
        }
    }

    /// What is tried for an image, in order; nothing if none matches.
    pub fn lookup(&self, image: &Reference) -> Vec<(&EntryName, &T)> {
        self.lookup_name(&image.name())
    }

    fn lookup_name(&self, name: &str) -> Vec<(&EntryName, &T)> {
        let target = Target::parse(name.as_bytes());
        let matching = |(entry, _): &&(EntryName, Vec<T>)| target.as_ref().is_some_and(|image| entry.matches(image));
        let found: Vec<_> = self.entries.values().rev().filter(matching).flat_map(each).collect();
        if found.is_empty() && is_of_docker_hub(name) {
            // Docker's own name for its registry: an entry of exactly this name is for all that Docker Hub has.
            return self.entries.get(DOCKER_HUB_INDEX.as_bytes()).into_iter().flat_map(each).collect();
        }
        found
    }
}

fn each<T>((name, logins): &(EntryName, Vec<T>)) -> impl Iterator<Item = (&EntryName, &T)> {
    logins.iter().map(move |login| (name, login))
}

/// What the kubelet takes for an image of Docker Hub's: also one of a host that is a single word.
fn is_of_docker_hub(name: &str) -> bool {
    match name.split_once('/') {
        Some(("", _)) => false,
        Some((DOCKER_HUB | DOCKER_HUB_INDEX, _)) => true,
        Some((first, _)) => !first.contains(['.', ':']),
        None => !name.is_empty(),
    }
}

#[cfg(test)]
#[path = "keyring_tests.rs"]
mod tests;
