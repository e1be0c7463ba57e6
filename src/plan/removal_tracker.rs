//! Entries that somebody keeps taking away. Putting them back each time would be a fight that nobody wins.

use std::{
    collections::{BTreeSet, HashMap},
    time::{Duration, Instant},
};

use crate::api::{NamespaceName, SecretName, ServiceAccountName};

/// Service accounts and Secrets whose entry somebody keeps taking away.
pub type Contested = BTreeSet<(ServiceAccountName, SecretName)>;

/// How often an entry may be taken away within [`WINDOW`] before we stop putting it back.
const LIMIT: usize = 3;

/// How far back removals count, and for how long we stop.
const WINDOW: Duration = Duration::from_secs(600);

/// Remembers when our entries were taken away. It takes the time as an argument, so that tests can choose it.
#[derive(Debug, Default)]
pub struct RemovalTracker {
    taken: HashMap<NamespaceName, HashMap<(ServiceAccountName, SecretName), Vec<Instant>>>,
}

impl RemovalTracker {
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

#[cfg(test)]
mod tests {
    use super::*;

    const MINUTE: Duration = Duration::from_secs(60);

    struct Fight {
        removal_tracker: RemovalTracker,
        start: Instant,
    }

    impl Fight {
        fn with(taken_at_minutes: &[u32]) -> Self {
            let mut fight = Self { removal_tracker: RemovalTracker::default(), start: Instant::now() };
            taken_at_minutes.iter().for_each(|minute| fight.taken("pull", *minute));
            fight
        }

        fn taken(&mut self, secret: &str, minute: u32) {
            let at = self.start + MINUTE * minute;
            self.removal_tracker.taken_away(&"team-a".into(), &"default".into(), &secret.into(), at);
        }

        /// What is contested after so many minutes, and until which minute.
        fn contested(&mut self, minute: u32) -> (Vec<String>, Option<u32>) {
            let (contested, until) = self.removal_tracker.contested(&"team-a".into(), self.start + MINUTE * minute);
            let until = until.map(|until| ((until - self.start).as_secs() / 60) as u32);
            (contested.iter().map(|(account, secret)| format!("{account}/{secret}")).collect(), until)
        }
    }

    #[test]
    fn the_third_removal_in_ten_minutes_is_a_fight() {
        let pull = || vec!["default/pull".to_owned()];
        for (taken, asked, expected) in [
            (&[][..], 1, (vec![], None)),
            (&[0, 1], 2, (vec![], None)),
            (&[0, 1, 2], 2, (pull(), Some(12))),
            (&[0, 5, 9], 9, (pull(), Some(19))),
            // Ten minutes after the first it no longer counts.
            (&[0, 5, 10], 10, (vec![], None)),
            (&[0, 1, 2, 3], 4, (pull(), Some(13))),
        ] {
            assert_eq!(Fight::with(taken).contested(asked), expected, "taken at {taken:?}");
        }
    }

    #[test]
    fn a_fight_rests_for_ten_minutes_from_the_last_removal() {
        let mut fight = Fight::with(&[0, 1, 9]);
        assert_eq!(fight.contested(18).1, Some(19), "the removals before the last one are kept until then");
        assert_eq!(fight.contested(19), (vec![], None));
        assert!(fight.removal_tracker.taken.is_empty(), "nothing is kept of it");
        fight.taken("pull", 20);
        assert_eq!(fight.contested(20), (vec![], None), "it starts from one again");
    }

    #[test]
    fn each_entry_is_counted_by_itself_and_the_first_to_rest_decides() {
        let mut fight = Fight::with(&[0, 1, 2]);
        for minute in [3, 4] {
            fight.taken("other", minute);
        }
        assert_eq!(fight.contested(5).0, ["default/pull"]);
        fight.taken("other", 6);
        assert_eq!(fight.contested(6), (vec!["default/other".to_owned(), "default/pull".to_owned()], Some(12)));
    }

    #[test]
    fn a_namespace_that_is_gone_is_forgotten() {
        let mut fight = Fight::with(&[0, 1, 2]);
        fight.removal_tracker.forget(&"team-b".into());
        assert_eq!(fight.contested(2).0.len(), 1);
        fight.removal_tracker.forget(&"team-a".into());
        assert_eq!(fight.contested(2), (vec![], None));
    }
}
