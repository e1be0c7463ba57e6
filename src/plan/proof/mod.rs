//! The plan, proved and not sampled: in every state of a small world (two credentials, two service accounts, two Secret
//! names), every way that its plans can be executed, cut short or overtaken leads to the one specified end.
//!
//! - [`world`]: the API server's side; [`spec`]: the end, in plain rules; [`fixtures`] and [`space`]: the states;
//!   [`forecast_check`]: that a forecast says the same end beforehand.
//! - Steps of one plan are executed side by side and a crash may cut them short anywhere, so from each state every
//!   subset of the plan's steps is executed, and from where that leads a new plan is made, until nothing is left.

mod fixtures;
mod forecast_check;
mod space;
mod spec;
mod world;

use std::collections::BTreeSet;

use serde_json::Value;
use spec::{Whose, has_name, is_usable, keeper, specified_end, whose};
use world::{Answer, World, count, record};

use super::{Change, Contested, Desired, DesiredState, LongAbsent, Maker, Namespace, Scope, Step, plan};
use crate::api::{ADDED_PREFIX, ConflictPolicy, CredentialName, NamespaceName, SecretName};

/// How many plans in a row there may be until nothing is left: an entry of managedFields, Secrets, entries, deletions, and
/// one that says so.
const ROUNDS: usize = 5;

/// One state from which the operator may start.
#[derive(Debug)]
struct Case {
    all_desired: Vec<Desired>,
    world: World,
    contested: Contested,
    long_absent: LongAbsent,
}

/// What a search has seen.
#[derive(Clone, Copy, Debug, Default)]
struct Seen {
    /// States to start from.
    cases: usize,
    /// States in which a plan was made.
    states: usize,
    /// Steps that were executed.
    steps: usize,
}

impl Case {
    fn all_desired(&self) -> Vec<&Desired> {
        self.all_desired.iter().collect()
    }

    fn plan(&self, world: &World) -> (Namespace, Vec<Step>) {
        let seen = world.observe();
        let mut steps = plan(&namespace(), &self.all_desired(), &seen, &self.contested, &self.long_absent);
        steps.retain(|step| !matches!(step, Step::Refuse { .. }));
        (seen, steps)
    }

    fn end(&self, world: &World) -> World {
        specified_end(&namespace(), &self.all_desired(), world, &self.contested, &self.long_absent)
    }

    /// Executes every subset of every plan's steps until nothing is left.
    fn check(&self, total: &mut Seen) {
        total.cases += 1;
        let end = self.end(&self.world);
        let mut reached = vec![self.world.timeless()];
        let mut open = vec![self.world.clone()];
        while let Some(world) = open.pop() {
            total.states += 1;
            let (seen, steps) = self.plan(&world);
            if steps.is_empty() {
                assert_eq!(world.timeless().unmarked(), end, "a run ended elsewhere than specified");
                continue;
            }
            let targets: BTreeSet<String> = steps.iter().map(target).collect();
            assert_eq!(targets.len(), steps.len(), "two steps of one plan write to the same object: {steps:?}");
            for subset in 1..1_u32 << steps.len() {
                let mut next = world.clone();
                for (_, step) in steps.iter().enumerate().filter(|(i, _)| subset >> i & 1 == 1) {
                    total.steps += 1;
                    self.step(step, &world, &mut next, &seen);
                }
                let timeless = next.timeless();
                if !reached.contains(&timeless) {
                    self.kept(&next);
                    reached.push(timeless);
                    open.push(next);
                }
            }
        }
        self.run_to_the_end();
    }

    /// Executes one step that nothing overtakes: it has to be allowed, and right where it is executed.
    fn step(&self, step: &Step, planned_at: &World, world: &mut World, seen: &Namespace) {
        let all_desired = self.all_desired();
        match step {
            Step::PatchServiceAccount { service_account, changes } => {
                for change in changes {
                    if let Change::Append(secret, credential) | Change::Record(secret, credential) = change {
                        let there = planned_at.secrets.get(secret).filter(|there| !there.meta.wrong_type);
                        if self.is_attaching(credential) {
                            assert!(
                                there.is_some_and(|there| is_usable(&there.meta)),
                                "{service_account}: {change:?} for no Secret of somebody else's"
                            );
                            continue;
                        }
                        let whose = there.map(|there| whose(&there.meta, &all_desired));
                        assert_eq!(whose, Some(Whose::Ours(credential)), "{service_account}: {change:?} too soon");
                    }
                }
            }
            Step::DeleteSecret { secret, .. } => {
                let label = planned_at.secrets.get(secret).and_then(|there| there.meta.label.as_ref());
                assert!(!label.is_some_and(|label| self.is_attaching(label)), "{secret} isn't ours to delete");
                let named = planned_at.accounts.values().filter(|a| a["metadata"].get("deletionTimestamp").is_none());
                let records: Vec<_> = named.filter_map(|account| record(account, secret)).collect();
                assert_eq!(records, [], "{secret} is deleted before its entries are gone");
            }
            Step::WriteSecret { credential, .. } => {
                let desired = self.all_desired.iter().find(|desired| desired.credential == *credential);
                let resolved = |desired: &Desired| matches!(desired.state, DesiredState::Resolved { .. });
                assert!(desired.is_some_and(resolved), "{credential} is held, or makes no Secrets");
            }
            Step::Refuse { .. } => {}
        }
        let before = world.clone();
        assert_eq!(world.execute(step, &all_desired, seen), Answer::Done, "{step:?}");
        assert_ne!(*world, before, "a write for nothing: {step:?}");
    }

    /// What holds in every state that is reached.
    fn kept(&self, world: &World) {
        let start = &self.world;
        let all_desired = self.all_desired();
        for (name, before) in &start.secrets {
            let adopted = || self.all_desired.iter().any(|c| c.secret == *name && c.policy == ConflictPolicy::Adopt);
            let not_ours = matches!(whose(&before.meta, &all_desired), Whose::Foreign | Whose::GivenAway(_));
            if not_ours && !adopted() {
                assert_eq!(world.secrets.get(name), Some(before), "a foreign Secret is touched");
            }
            let is_attached = || {
                self.all_desired.iter().any(|desired| desired.maker == Maker::Others)
                    && keeper(&namespace(), name, &all_desired, start).is_some_and(|it| it.maker == Maker::Others)
            };
            if not_ours && is_attached() {
                assert_eq!(world.secrets.get(name), Some(before), "a Secret that others make is touched");
            }
            let by_held = match whose(&before.meta, &all_desired) {
                Whose::Ours(maker) | Whose::Dying(maker) => self.is_held(maker),
                _ => false,
            };
            if by_held {
                assert_eq!(world.secrets.get(name), Some(before), "a held credential's Secret is touched");
            }
        }
        for held in self.all_desired.iter().filter(|desired| desired.state == DesiredState::Stalled) {
            if matches!(held.scope, Scope::Unknown) && !start.secrets.contains_key(&held.secret) {
                let first = self.all_desired.iter().filter(|c| c.secret == held.secret).min_by_key(|c| c.created);
                if first.is_some_and(|first| first.credential == held.credential) {
                    assert!(!world.secrets.contains_key(&held.secret), "a reserved name is taken");
                }
            }
        }
        for (name, before) in &start.accounts {
            let after = &world.accounts[name];
            assert_eq!(foreign_part(after), foreign_part(before), "{name}: what is foreign is touched");
            for secret in world::SECRETS.map(SecretName::from) {
                let (recorded, now) = (record(before, &secret), record(after, &secret));
                let (entries, left) = (count(before, &secret), count(after, &secret));
                match recorded {
                    None => assert!(left >= entries, "{name}: a foreign entry is gone"),
                    Some(credential) if self.is_held_with(&credential, &secret) => {
                        assert_eq!(
                            (now, left),
                            (Some(credential), entries),
                            "{name}: a held credential's entry is touched"
                        );
                    }
                    Some(_) => assert!(left + 1 >= entries, "{name}: more than our entry is gone"),
                }
                assert!(left <= entries.max(1), "{name}: an entry is added twice");
            }
        }
    }

    fn is_attaching(&self, credential: &CredentialName) -> bool {
        self.all_desired.iter().any(|desired| desired.credential == *credential && desired.maker == Maker::Others)
    }

    fn is_held(&self, credential: &CredentialName) -> bool {
        self.all_desired
            .iter()
            .any(|desired| desired.credential == *credential && desired.state == DesiredState::Stalled)
    }

    fn is_held_with(&self, credential: &CredentialName, secret: &SecretName) -> bool {
        let named = |desired: &&Desired| desired.credential == *credential;
        self.is_held(credential) && self.all_desired.iter().find(named).is_some_and(|desired| has_name(desired, secret))
    }

    /// A run without a crash ends soon, and writes once to each service account unless a Secret has to come first.
    fn run_to_the_end(&self) {
        let mut world = self.world.clone();
        let (mut written, mut patched) = (0, Vec::new());
        for round in 1.. {
            assert!(round <= ROUNDS, "the run doesn't end");
            let (seen, steps) = self.plan(&world);
            if steps.is_empty() {
                break;
            }
            for step in steps {
                match &step {
                    Step::WriteSecret { .. } => written += 1,
                    Step::PatchServiceAccount { service_account, .. } => patched.push(service_account.clone()),
                    Step::DeleteSecret { .. } | Step::Refuse { .. } => {}
                }
                assert_eq!(world.execute(&step, &self.all_desired(), &seen), Answer::Done);
            }
        }
        let remembered = (&self.contested, &self.long_absent);
        forecast_check::check(&namespace(), &self.all_desired(), remembered, &self.world, &world);
        let patches = patched.len();
        patched.sort();
        patched.dedup();
        assert!(written > 0 || patched.len() == patches, "a service account is written more than once");
    }

    /// Something happens to an object between a plan and the execution of its step there: the step fails, or it does
    /// what is right anyway.
    fn check_overtaken(&self, total: &mut Seen) {
        total.cases += 1;
        let (seen, steps) = self.plan(&self.world);
        for step in &steps {
            let events: &[fn(&mut World)] = match step {
                Step::PatchServiceAccount { .. } => &space::ACCOUNT_EVENTS,
                _ => &space::SECRET_EVENTS,
            };
            for event in events {
                let mut before = self.world.clone();
                event(&mut before);
                if before == self.world {
                    continue;
                }
                let mut after = before.clone();
                total.states += 1;
                total.steps += 1;
                if after.execute(step, &self.all_desired(), &seen) == Answer::Done {
                    assert_eq!(self.end(&after), self.end(&before), "{step:?}, overtaken by {before:#?}");
                } else {
                    assert_eq!(after, before);
                }
            }
        }
    }
}

/// A service account without the entries and records of the two Secret names.
fn foreign_part(account: &Value) -> Value {
    let mut rest = account.clone();
    rest["metadata"]["resourceVersion"] = Value::Null;
    if let Some(list) = rest.get_mut("imagePullSecrets").and_then(Value::as_array_mut) {
        list.retain(|entry| world::SECRETS.iter().all(|secret| entry["name"] != **secret));
    }
    if let Some(annotations) = rest["metadata"].get_mut("annotations").and_then(Value::as_object_mut) {
        annotations.retain(|key, _| !key.starts_with(ADDED_PREFIX));
    }
    world::prune(&mut rest, "imagePullSecrets");
    world::prune(&mut rest["metadata"], "annotations");
    rest
}

fn namespace() -> NamespaceName {
    fixtures::NAMESPACE.into()
}

fn target(step: &Step) -> String {
    match step {
        Step::WriteSecret { secret, .. } | Step::DeleteSecret { secret, .. } => format!("Secret {secret}"),
        Step::PatchServiceAccount { service_account, .. } => format!("ServiceAccount {service_account}"),
        Step::Refuse { credential, .. } => format!("nothing, for {credential}"),
    }
}

/// Checks every case and says how many there were; a failing case is printed whole.
fn search(what: &str, cases: impl Iterator<Item = Case>, at_least: usize, check: fn(&Case, &mut Seen)) {
    struct Shown<'a>(&'a Case);
    impl Drop for Shown<'_> {
        fn drop(&mut self) {
            if std::thread::panicking() {
                eprintln!("in this case: {:#?}", self.0);
            }
        }
    }
    let mut total = Seen::default();
    for case in cases {
        let shown = Shown(&case);
        check(&case, &mut total);
        std::mem::forget(shown);
    }
    let Seen { cases, states, steps } = total;
    println!("{what}: {cases} starts, {states} states, {steps} steps");
    assert!(cases >= at_least, "only {cases} starts, not {at_least}");
}

/// All of two credentials and of one Secret, with one service account.
#[test]
fn every_secret_under_every_pair_of_credentials_ends_as_specified() {
    search("every Secret", space::every_secret(), 64_800, Case::check);
}

/// All of a service account beside another one.
#[test]
fn every_service_account_ends_as_specified() {
    search("every service account", space::every_account(), 53_760, Case::check);
}

/// Credentials with a Secret name each.
#[test]
fn two_secret_names_end_as_specified() {
    search("two Secret names", space::two_names(), 36_288, Case::check);
}

/// Credentials that leave it to others to make their Secrets, beside every kind of other one.
#[test]
fn secrets_that_others_make_are_attached_as_specified() {
    search("attaching", space::attaching(), 8_000, Case::check);
}

/// What others do between a plan and its execution.
#[test]
fn overtaken_steps_do_no_harm() {
    let cases = space::every_secret().chain(space::two_names()).chain(space::attaching());
    search("overtaken", cases, 101_088 + 8_000, Case::check_overtaken);
}
