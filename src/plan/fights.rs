//! Entries that somebody keeps taking away. Putting them back each time would be a fight that nobody wins.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use super::Contested;
use crate::names::{NamespaceName, SecretName, ServiceAccountName};

/// How often an entry may be taken away within [`WINDOW`] before we stop putting it back.
const LIMIT: usize = 3;

/// How far back removals count, and for how long we stop.
const WINDOW: Duration = Duration::from_secs(600);

/// Remembers when our entries were taken away. It takes the time as an argument, so that tests can choose it.
#[derive(Debug, Default)]
pub struct Fights {
    taken: HashMap<NamespaceName, HashMap<(ServiceAccountName, SecretName), Vec<Instant>>>,
}

impl Fights {
    /// Our entry was there, and at `now` it is not, by somebody else's write.
    pub fn taken_away(
        &mut self,
        namespace: &NamespaceName,
        name: &ServiceAccountName,
        secret: &SecretName,
        now: Instant,
    ) {
        let entry = self.taken.entry(namespace.clone()).or_default();
        let times = entry.entry((name.clone(), secret.clone())).or_default();
        times.retain(|time| now.duration_since(*time) < WINDOW);
        times.push(now);
    }

    /// What is contested in this namespace at `now`, and when the first of it may be tried again.
    pub fn contested(&mut self, namespace: &NamespaceName, now: Instant) -> (Contested, Option<Instant>) {
        let Some(entries) = self.taken.get_mut(namespace) else {
            return Default::default();
        };
        // The pause counts from the last removal, so the removals before it are kept until it is over.
        entries.retain(|_, times| times.last().is_some_and(|last| now.duration_since(*last) < WINDOW));
        let fought = || entries.iter().filter(|(_, times)| times.len() >= LIMIT);
        let contested = fought().map(|(key, _)| key.clone()).collect();
        let until = fought().filter_map(|(_, times)| times.last()).min().map(|last| *last + WINDOW);
        if entries.is_empty() {
            self.taken.remove(namespace);
        }
        (contested, until)
    }

    /// The namespace is gone.
    pub fn forget(&mut self, namespace: &NamespaceName) {
        self.taken.remove(namespace);
    }
}
