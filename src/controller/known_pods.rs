//! What is known of pods that were too early, for the watch, the statuses and the evictions.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::backoff::Backoff;
use crate::{
    api::{CredentialName, StuckPods},
    plan::{Turns, WaitingPods, catalog::Catalog},
    process::Text,
    progress::{self, Tally},
};

/// What is known of pods that were too early.
#[derive(Default)]
pub struct Stuck {
    known: Mutex<Known>,
    /// Whether any RegistryCredential wants them looked for.
    pub wanted: watch::Sender<bool>,
    /// There may be something to evict.
    pub found: Notify,
    /// How often an owner's eviction has failed in a row.
    pub retries: Backoff<Text>,
}

/// What the watch has told, and what became of it.
#[derive(Default)]
pub struct Known {
    /// Whether pods are seen.
    pub sight: Sight,
    /// Those that wait for an image.
    pub pods: WaitingPods,
    /// Those that were too early, by credential.
    pub tally: Tally,
    /// Whose turn it is to be evicted.
    pub turns: Turns,
    /// The last eviction was refused, and that has been said.
    pub refused: bool,
}

/// Whether pods are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Sight {
    /// They haven't been listed yet.
    #[default]
    NotYet,
    /// They may not be watched.
    Forbidden,
    /// All that wait are known.
    All,
}

impl Stuck {
    /// The RegistryCredentials have changed.
    pub fn wanted_by(&self, catalog: &Catalog) {
        let wanted = catalog.entries().any(|entry| entry.claim.stuck.policy != StuckPods::Off);
        self.wanted.send_if_modified(|before| std::mem::replace(before, wanted) != wanted);
    }

    /// What a status says.
    pub fn report(&self, name: &CredentialName, catalog: &Catalog) -> progress::Stuck {
        let known = self.known();
        match (catalog.get(name).map(|entry| entry.claim.stuck.policy), known.sight) {
            (None | Some(StuckPods::Off), _) | (_, Sight::Forbidden) => progress::Stuck::Untold,
            (_, Sight::NotYet) => progress::Stuck::Unknown,
            (_, Sight::All) => progress::Stuck::Found(known.tally.counts(name)),
        }
    }

    /// Held for a moment and never across an await.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        // A panic while it was held can't have left half a change: each change is one call.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is known any more. Returns whether that is news for the statuses.
    pub fn forget(&self, sight: Sight) -> bool {
        let mut known = self.known();
        let before = known.sight;
        (known.sight, known.pods, known.tally) = (sight, WaitingPods::default(), Tally::default());
        before != sight
    }
}
