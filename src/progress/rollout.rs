//! How far every credential is in every namespace, with the sums kept up to date.

use std::collections::{BTreeMap, HashMap};

use crate::{
    api::{CredentialName, NamespaceName, Reason},
    plan::{
        Progress,
        catalog::{Catalog, Epoch},
    },
};

/// Why a namespace isn't ready, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
}

/// What one reconcile of a namespace came to, for one credential that targets it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The credential.
    pub credential: CredentialName,
    /// How far it is.
    pub progress: Progress,
    /// Why it isn't ready.
    pub failure: Option<Failure>,
}

/// The sums over all namespaces of one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Target namespaces.
    pub desired: usize,
    /// Of these, ready ones.
    pub ready: usize,
    /// Chosen service accounts.
    pub accounts_desired: usize,
    /// Of these, ready ones.
    pub accounts_ready: usize,
    /// Namespaces that have not been planned since the last change.
    pub behind: usize,
    /// Namespaces that failed, in all.
    pub failed: usize,
    /// Of these, the ones where the Secret isn't there that somebody else has to make.
    pub missing: usize,
    /// The first of the failed ones by name, at most [`MAX_FAILURES`].
    pub failures: Vec<(NamespaceName, Failure)>,
}

/// How many failures a status lists.
pub const MAX_FAILURES: usize = 10;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct RolloutProgress {
    rollouts: HashMap<CredentialName, Rollout>,
}

#[derive(Debug, Default)]
struct Rollout {
    epoch: Epoch,
    namespaces: HashMap<NamespaceName, Option<Progress>>,
    failures: BTreeMap<NamespaceName, Failure>,
    sums: Summary,
}

impl Rollout {
    fn set(&mut self, namespace: &NamespaceName, progress: Option<Progress>, failure: Option<Failure>) {
        self.remove(namespace);
        self.sums.desired += 1;
        match progress {
            None => self.sums.behind += 1,
            Some(progress) => {
                self.sums.ready += usize::from(progress.is_ready() && failure.is_none());
                self.sums.accounts_desired += progress.desired;
                self.sums.accounts_ready += progress.ready;
            }
        }
        self.namespaces.insert(namespace.clone(), progress);
        if let Some(failure) = failure {
            self.failures.insert(namespace.clone(), failure);
        }
    }

    fn remove(&mut self, namespace: &NamespaceName) {
        let failed = self.failures.remove(namespace).is_some();
        let Some(progress) = self.namespaces.remove(namespace) else {
            return;
        };
        self.sums.desired -= 1;
        match progress {
            None => self.sums.behind -= 1,
            Some(progress) => {
                self.sums.ready -= usize::from(progress.is_ready() && !failed);
                self.sums.accounts_desired -= progress.desired;
                self.sums.accounts_ready -= progress.ready;
            }
        }
    }
}

impl RolloutProgress {
    /// A credential has changed: all of its target namespaces are behind.
    pub fn begin(&mut self, credential: &CredentialName, epoch: Epoch, targets: Vec<NamespaceName>) {
        let mut rollout = Rollout { epoch, ..Rollout::default() };
        for namespace in targets {
            rollout.set(&namespace, None, None);
        }
        self.rollouts.insert(credential.clone(), rollout);
    }

    /// A credential is gone, or held by something else than `suspend: true`: nothing is counted for it.
    pub fn end(&mut self, credential: &CredentialName) {
        self.rollouts.remove(credential);
    }

    /// Whether anything is counted for it.
    pub fn counts(&self, credential: &CredentialName) -> bool {
        self.rollouts.contains_key(credential)
    }

    /// What a reconcile of `namespace` with this catalog came to, for every credential that targets it; one that isn't
    /// among `outcomes` doesn't. Returns the credentials whose sums have changed.
    pub fn record(&mut self, namespace: &NamespaceName, seen: &Catalog, outcomes: &[Outcome]) -> Vec<CredentialName> {
        let mut touched = Vec::new();
        for (credential, rollout) in &mut self.rollouts {
            if seen.get(credential).is_none_or(|entry| entry.epoch != rollout.epoch) {
                // The credential has changed meanwhile, and the namespace is queued again for it.
                continue;
            }
            match outcomes.iter().find(|outcome| outcome.credential == *credential) {
                Some(outcome) => {
                    let same = rollout.namespaces.get(namespace) == Some(&Some(outcome.progress))
                        && rollout.failures.get(namespace) == outcome.failure.as_ref();
                    if same {
                        continue;
                    }
                    rollout.set(namespace, Some(outcome.progress), outcome.failure.clone());
                }
                None if !rollout.namespaces.contains_key(namespace) => continue,
                None => rollout.remove(namespace),
            }
            touched.push(credential.clone());
        }
        touched
    }

    /// The sums of one credential; `None` where nothing is counted for it.
    pub fn summary(&self, credential: &CredentialName) -> Option<Summary> {
        let rollout = self.rollouts.get(credential)?;
        let failures = rollout.failures.iter().take(MAX_FAILURES);
        Some(Summary {
            failed: rollout.failures.len(),
            missing: rollout.failures.values().filter(|failure| failure.reason == Reason::SecretMissing).count(),
            failures: failures.map(|(namespace, failure)| (namespace.clone(), failure.clone())).collect(),
            ..rollout.sums.clone()
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::plan::{Desired, DesiredState, Maker, Scope, SecretProgress};

    fn entry(credential: &CredentialName, epoch: u64) -> crate::plan::catalog::Entry {
        let desired = Desired {
            credential: credential.clone(),
            uid: "u".into(),
            created: Default::default(),
            secret: "pull".into(),
            maker: Maker::Us,
            scope: Scope::Unknown,
            policy: Default::default(),
            state: DesiredState::Stalled,
            stuck: Default::default(),
        };
        crate::plan::catalog::Entry { desired, pull_secret: None, epoch: Epoch(epoch) }
    }

    fn catalog(epochs: &[(&CredentialName, u64)]) -> Catalog {
        let mut catalog = Catalog::default();
        epochs.iter().for_each(|(credential, epoch)| catalog.insert(entry(credential, *epoch)));
        catalog
    }

    fn darwin() -> CredentialName {
        "darwin".into()
    }

    fn progress(secret: SecretProgress, desired: usize, ready: usize) -> Progress {
        Progress { secret, desired, ready }
    }

    fn done() -> Progress {
        progress(SecretProgress::Current, 2, 2)
    }

    fn outcome(progress: Progress, failed: bool) -> Outcome {
        let failure = failed.then(|| Failure { reason: Reason::ForeignSecret, message: "in the way".to_owned() });
        Outcome { credential: darwin(), progress, failure }
    }

    #[test]
    fn a_namespace_is_behind_until_it_has_been_planned() {
        let (mut rollout, catalog) = (RolloutProgress::default(), catalog(&[(&darwin(), 1)]));
        assert_eq!(rollout.summary(&darwin()), None);
        rollout.begin(&darwin(), Epoch(1), vec!["a".into(), "b".into()]);
        let summary = rollout.summary(&darwin()).unwrap();
        assert_eq!(summary, Summary { desired: 2, behind: 2, ..Summary::default() });
        assert_eq!(rollout.record(&"a".into(), &catalog, &[outcome(done(), false)]), [darwin()]);
        let summary = rollout.summary(&darwin()).unwrap();
        let expected =
            Summary { desired: 2, ready: 1, accounts_desired: 2, accounts_ready: 2, behind: 1, ..Summary::default() };
        assert_eq!(summary, expected);
        assert!(rollout.record(&"a".into(), &catalog, &[outcome(done(), false)]).is_empty(), "nothing new");
        assert!(rollout.record(&"c".into(), &catalog, &[]).is_empty(), "never a target");
        assert_eq!(rollout.record(&"b".into(), &catalog, &[]), [darwin()], "a target no longer");
        assert_eq!(rollout.summary(&darwin()).unwrap().desired, 1);
        rollout.end(&darwin());
        assert_eq!(rollout.summary(&darwin()), None);
    }

    #[test]
    fn an_outcome_of_an_older_catalog_is_not_counted() {
        let mut rollout = RolloutProgress::default();
        rollout.begin(&darwin(), Epoch(2), vec!["a".into()]);
        for seen in [catalog(&[(&darwin(), 1)]), catalog(&[])] {
            assert!(rollout.record(&"a".into(), &seen, &[outcome(done(), false)]).is_empty());
        }
        assert_eq!(rollout.summary(&darwin()).unwrap().behind, 1);
    }

    #[test]
    fn failures_are_counted_all_and_listed_ten_in_order() {
        let (mut rollout, catalog) = (RolloutProgress::default(), catalog(&[(&darwin(), 1)]));
        rollout.begin(&darwin(), Epoch(1), Vec::new());
        for n in (0..12).rev() {
            rollout.record(&format!("team-{n:02}").into(), &catalog, &[outcome(done(), true)]);
        }
        let summary = rollout.summary(&darwin()).unwrap();
        assert_eq!((summary.desired, summary.ready, summary.failed), (12, 0, 12));
        let names: Vec<_> = summary.failures.iter().map(|(namespace, _)| namespace.to_string()).collect();
        assert_eq!(names, (0..10).map(|n| format!("team-{n:02}")).collect::<Vec<_>>());
    }

    #[test]
    fn namespaces_without_a_secret_of_others_are_counted_among_those_that_failed() {
        let (mut rollout, catalog) = (RolloutProgress::default(), catalog(&[(&darwin(), 1)]));
        rollout.begin(&darwin(), Epoch(1), Vec::new());
        for n in 0..20 {
            let reason = if n % 4 == 0 { Reason::ServiceAccountContested } else { Reason::SecretMissing };
            let failure = Some(Failure { reason, message: String::new() });
            let outcome = Outcome { failure, ..outcome(done(), false) };
            rollout.record(&format!("team-{n:02}").into(), &catalog, &[outcome]);
        }
        let summary = rollout.summary(&darwin()).unwrap();
        assert_eq!((summary.failed, summary.missing), (20, 15));
    }

    #[derive(Clone, Debug)]
    enum Event {
        Begin(Vec<u8>),
        End,
        Record(u8, Option<(bool, usize, usize, bool)>),
    }

    fn event() -> impl Strategy<Value = Event> {
        let outcome = proptest::option::of((any::<bool>(), 0..4_usize, 0..4_usize, any::<bool>()));
        prop_oneof![
            1 => proptest::collection::vec(0..5_u8, 0..6).prop_map(Event::Begin),
            1 => Just(Event::End),
            12 => (0..5_u8, outcome).prop_map(|(namespace, outcome)| Event::Record(namespace, outcome)),
        ]
    }

    proptest! {
        #[test]
        fn the_sums_are_what_a_recount_gives(events in proptest::collection::vec(event(), 0..40)) {
            let mut rollout = RolloutProgress::default();
            // None: it has no rollout. Each namespace: None while it is behind.
            let mut counted: Option<BTreeMap<u8, Option<(Progress, bool)>>> = None;
            for event in events {
                match event {
                    Event::Begin(targets) => {
                        rollout.begin(&darwin(), Epoch(1), targets.iter().map(|n| n.to_string().into()).collect());
                        counted = Some(targets.into_iter().map(|n| (n, None)).collect());
                    }
                    Event::End => {
                        rollout.end(&darwin());
                        counted = None;
                    }
                    Event::Record(namespace, result) => {
                        let result = result.map(|(current, desired, ready, failed)| {
                            let secret = if current { SecretProgress::Current } else { SecretProgress::Missing };
                            (progress(secret, desired, ready.min(desired)), failed)
                        });
                        let outcomes: Vec<_> = result.into_iter().map(|(p, failed)| outcome(p, failed)).collect();
                        rollout.record(&namespace.to_string().into(), &catalog(&[(&darwin(), 1)]), &outcomes);
                        if let Some(counted) = &mut counted {
                            match result {
                                Some(result) => counted.insert(namespace, Some(result)),
                                None => counted.remove(&namespace),
                            };
                        }
                    }
                }
                let recount = counted.as_ref().map(|counted| {
                    let all = || counted.values().flatten();
                    Summary {
                        desired: counted.len(),
                        ready: all().filter(|(p, failed)| p.is_ready() && !failed).count(),
                        accounts_desired: all().map(|(p, _)| p.desired).sum(),
                        accounts_ready: all().map(|(p, _)| p.ready).sum(),
                        behind: counted.values().filter(|known| known.is_none()).count(),
                        failed: all().filter(|(_, failed)| *failed).count(),
                        missing: 0,
                        failures: Vec::new(),
                    }
                });
                let summary = rollout.summary(&darwin()).map(|sums| Summary { failures: Vec::new(), ..sums });
                prop_assert_eq!(summary, recount);
            }
        }
    }
}
