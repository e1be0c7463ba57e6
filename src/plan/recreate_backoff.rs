//! Secrets of ours that vanish again and again. One that is deleted is made again at once; but where nobody has told us yet
//! that its RegistryCredential is gone, the garbage collector deletes what we make as fast as we make it.

use std::{
    collections::{BTreeSet, HashMap, VecDeque},
    time::{Duration, Instant},
};

use crate::api::{NamespaceName, SecretName};

/// How often within [`WINDOW`] a Secret is made again at once.
const AT_ONCE: usize = 2;

/// How far back deletions count.
const WINDOW: Duration = Duration::from_secs(60);

/// How long the first one waits that isn't made again at once; each in a row waits twice as long as the one before.
const FIRST: Duration = Duration::from_millis(500);

/// The longest wait.
const LONGEST: Duration = Duration::from_secs(5);

/// Remembers which Secrets vanished within [`WINDOW`]. It takes the time as an argument, so that tests can choose it.
#[derive(Debug, Default)]
pub struct RecreateBackoff {
    times: HashMap<NamespaceName, HashMap<SecretName, Vec<Instant>>>,
    /// The same in the order in which it happened, so that what is too long ago is forgotten without a search.
    order: VecDeque<(Instant, NamespaceName)>,
}

impl RecreateBackoff {
    /// A Secret of ours was there, and at `now` it isn't.
    pub fn gone(&mut self, namespace: &NamespaceName, secret: &SecretName, now: Instant) {
        self.forget_old(now);
        self.times.entry(namespace.clone()).or_default().entry(secret.clone()).or_default().push(now);
        self.order.push_back((now, namespace.clone()));
    }

    /// The Secrets that aren't to be made again yet at `now`, and when the first of them may be.
    pub fn waiting(&mut self, namespace: &NamespaceName, now: Instant) -> (BTreeSet<SecretName>, Option<Instant>) {
        self.forget_old(now);
        let secrets = self.times.get(namespace).into_iter().flatten();
        let due = secrets.filter_map(|(secret, times)| Some((secret, due(times)?))).filter(|(_, due)| *due > now);
        let due: Vec<_> = due.collect();
        (due.iter().map(|(secret, _)| (*secret).clone()).collect(), due.iter().map(|(_, due)| *due).min())
    }

    /// The namespace is gone.
    pub fn forget(&mut self, namespace: &NamespaceName) {
        self.times.remove(namespace);
    }

    fn forget_old(&mut self, now: Instant) {
        while let Some((_, namespace)) = self.order.pop_front_if(|(time, _)| now.duration_since(*time) >= WINDOW) {
            let Some(secrets) = self.times.get_mut(&namespace) else { continue };
            secrets.retain(|_, times| {
                times.retain(|time| now.duration_since(*time) < WINDOW);
                !times.is_empty()
            });
            if secrets.is_empty() {
                self.times.remove(&namespace);
            }
        }
    }
}

/// When a Secret that vanished at these times may be made again; `None` where that is at once.
fn due(times: &[Instant]) -> Option<Instant> {
    let doublings = u32::try_from(times.len().checked_sub(AT_ONCE + 1)?).unwrap_or(u32::MAX);
    let wait = FIRST.saturating_mul(2_u32.saturating_pow(doublings)).min(LONGEST);
    times.last().map(|last| *last + wait)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_vanishes_again_and_again_is_made_again_ever_later() {
        let (mut recreate_backoff, start) = (RecreateBackoff::default(), Instant::now());
        let (namespace, secret): (NamespaceName, SecretName) = ("team-a".into(), "pull".into());
        let at = |millis: u64| start + Duration::from_millis(millis);
        for _ in 0..2 {
            recreate_backoff.gone(&namespace, &secret, start);
            assert_eq!(recreate_backoff.waiting(&namespace, start), Default::default());
        }
        let mut waits = Vec::new();
        for _ in 0..6 {
            recreate_backoff.gone(&namespace, &secret, start);
            let (secrets, due) = recreate_backoff.waiting(&namespace, start);
            assert_eq!(secrets, [secret.clone()].into());
            waits.push(due.unwrap().duration_since(start).as_millis());
        }
        assert_eq!(waits, [500, 1000, 2000, 4000, 5000, 5000]);
        assert_eq!(recreate_backoff.waiting(&namespace, at(5000)), Default::default());
        assert_eq!(recreate_backoff.waiting(&"team-b".into(), start), Default::default());
    }

    #[test]
    fn what_is_long_ago_or_was_in_another_namespace_of_that_name_is_forgotten() {
        let (mut recreate_backoff, start) = (RecreateBackoff::default(), Instant::now());
        let (namespace, secret): (NamespaceName, SecretName) = ("team-a".into(), "pull".into());
        (0..3).for_each(|_| recreate_backoff.gone(&namespace, &secret, start));
        recreate_backoff.gone(&namespace, &secret, start + WINDOW);
        assert_eq!(recreate_backoff.waiting(&namespace, start + WINDOW), Default::default());
        assert_eq!((recreate_backoff.times.len(), recreate_backoff.order.len()), (1, 1));
        (0..3).for_each(|_| recreate_backoff.gone(&namespace, &secret, start + WINDOW));
        recreate_backoff.forget(&namespace);
        assert_eq!(recreate_backoff.waiting(&namespace, start + WINDOW), Default::default());
        recreate_backoff.waiting(&namespace, start + WINDOW * 2);
        assert!(recreate_backoff.times.is_empty() && recreate_backoff.order.is_empty());
    }
}
