//! Secrets that others make, and that aren't there. Tools delete Secrets and make them again, so entries outlast an absence
//! that is short.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use crate::api::{NamespaceName, SecretName};

/// Secrets of one namespace that others make, and that have been away for so long that nothing needs to name them.
pub type LongAbsent = BTreeSet<SecretName>;

/// For how long a Secret may be away before its entries go.
const PATIENCE: Duration = Duration::from_secs(600);

/// Remembers since when Secrets have been away. It takes the time as an argument, so that tests can choose it.
#[derive(Debug, Default)]
pub struct AbsenceTracker {
    since: HashMap<NamespaceName, HashMap<SecretName, Instant>>,
}

impl AbsenceTracker {
    /// At `now` these, and no others, can't be used in a namespace. Which of them have been so for long, and when will the
    /// next one have been?
    pub fn long_absent(
        &mut self,
        namespace: &NamespaceName,
        absent: &BTreeSet<SecretName>,
        now: Instant,
    ) -> (LongAbsent, Option<Instant>) {
        if absent.is_empty() {
            self.forget(namespace);
            return Default::default();
        }
        let since = self.since.entry(namespace.clone()).or_default();
        since.retain(|secret, _| absent.contains(secret));
        for secret in absent {
            since.entry(secret.clone()).or_insert(now);
        }
        let (long, short): (Vec<_>, Vec<_>) =
            since.iter().partition(|(_, since)| now.duration_since(**since) >= PATIENCE);
        let next = short.into_iter().map(|(_, since)| *since + PATIENCE).min();
        (long.into_iter().map(|(secret, _)| secret.clone()).collect(), next)
    }

    /// The namespace is gone.
    pub fn forget(&mut self, namespace: &NamespaceName) {
        self.since.remove(namespace);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    struct Watch {
        tracker: AbsenceTracker,
        start: Instant,
    }

    impl Watch {
        fn new() -> Self {
            Self { tracker: AbsenceTracker::default(), start: Instant::now() }
        }

        /// What has been absent for long after so many minutes, when these are, and in which minute the next one will have been.
        fn seen(&mut self, absent: &[&str], minute: u32) -> (Vec<String>, Option<u32>) {
            let absent = absent.iter().map(|&secret| secret.into()).collect();
            let (long, next) = self.tracker.long_absent(&"team-a".into(), &absent, self.start + MINUTE * minute);
            let next = next.map(|next| ((next - self.start).as_secs() / 60) as u32);
            (long.iter().map(SecretName::to_string).collect(), next)
        }
    }

    #[test]
    fn ten_minutes_without_a_break_are_long() {
        let mut watch = Watch::new();
        assert_eq!(watch.seen(&["pull"], 0), (vec![], Some(10)));
        assert_eq!(watch.seen(&["pull"], 9), (vec![], Some(10)), "it counts from the first time");
        assert_eq!(watch.seen(&["pull"], 10), (vec!["pull".to_owned()], None));
        assert_eq!(watch.seen(&["pull"], 99), (vec!["pull".to_owned()], None), "it stays so");
    }

    #[test]
    fn one_that_comes_back_starts_anew() {
        let mut watch = Watch::new();
        watch.seen(&["pull"], 0);
        assert_eq!(watch.seen(&[], 9), (vec![], None));
        assert!(watch.tracker.since.is_empty(), "nothing is kept of it");
        assert_eq!(watch.seen(&["pull"], 10), (vec![], Some(20)));
        assert_eq!(watch.seen(&["other"], 15), (vec![], Some(25)), "also where another one is absent");
        assert_eq!(watch.seen(&["other", "pull"], 20), (vec![], Some(25)));
    }

    #[test]
    fn each_secret_is_counted_by_itself_and_the_next_one_decides() {
        let mut watch = Watch::new();
        watch.seen(&["pull"], 0);
        assert_eq!(watch.seen(&["other", "pull"], 5), (vec![], Some(10)));
        assert_eq!(watch.seen(&["other", "pull"], 10), (vec!["pull".to_owned()], Some(15)));
        assert_eq!(watch.seen(&["other", "pull"], 15), (vec!["other".to_owned(), "pull".to_owned()], None));
    }

    #[test]
    fn a_namespace_that_is_gone_is_forgotten() {
        let mut watch = Watch::new();
        watch.seen(&["pull"], 0);
        watch.tracker.forget(&"team-b".into());
        assert_eq!(watch.seen(&["pull"], 10).0.len(), 1);
        watch.tracker.forget(&"team-a".into());
        assert_eq!(watch.seen(&["pull"], 10), (vec![], Some(20)));
    }
}
