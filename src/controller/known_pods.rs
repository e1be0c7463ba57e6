//! What is known of pods that were created before their pull secret, for the watch, the statuses and the evictions.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::{Notify, watch};

use super::backoff::Backoff;
use crate::{
    api::{CredentialName, StuckPods},
    plan::{EvictionLimiter, WaitingPods, catalog::Catalog},
    process::Text,
    progress::{self, StuckCounts},
};

/// What is known of pods that were created before their pull secret.
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
    pub visibility: Visibility,
    /// Those that wait for an image.
    pub pods: WaitingPods,
    /// Those that were created before their pull secret, by credential.
    pub stuck_counts: StuckCounts,
    /// Whose turn it is to be evicted.
    pub eviction_limiter: EvictionLimiter,
    /// The last eviction was refused, and that has been said.
    pub refused: bool,
}

/// Whether pods are seen.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Visibility {
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
        let wanted = catalog.entries().any(|entry| entry.desired.stuck.policy != StuckPods::Off);
        self.wanted.send_if_modified(|before| std::mem::replace(before, wanted) != wanted);
    }

    /// What a status says.
    pub fn report(&self, name: &CredentialName, catalog: &Catalog) -> progress::Stuck {
        let known = self.known();
        match (catalog.get(name).map(|entry| entry.desired.stuck.policy), known.visibility) {
            (None | Some(StuckPods::Off), _) | (_, Visibility::Forbidden) => progress::Stuck::Untold,
            (_, Visibility::NotYet) => progress::Stuck::Unknown,
            (_, Visibility::All) => progress::Stuck::Found(known.stuck_counts.counts(name)),
        }
    }

    /// Held for a moment and never across an await.
    pub fn known(&self) -> MutexGuard<'_, Known> {
        // A panic while it was held can't have left half a change: each change is one call.
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing is known any more. Returns whether that is news for the statuses.
    pub fn forget(&self, visibility: Visibility) -> bool {
        let mut known = self.known();
        let before = known.visibility;
        (known.visibility, known.pods, known.stuck_counts) =
            (visibility, WaitingPods::default(), StuckCounts::default());
        before != visibility
    }
}
