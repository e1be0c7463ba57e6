//! One trial: an operator of its own on an arena, what people do, and what has to be so when all is quiet.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex},
    thread,
    time::{Duration, Instant},
};

use controlplane::{AuditEntry, ControlPlane, Operator};
use libtest_mimic::Failed;

use crate::{
    arena::Arena,
    check::{self, Observed},
    evidence::{self, Causes},
    faults::{self, Count},
    figures,
    order::{Early, Order},
    random::Random,
    script::{Script, TAKEN_AWAY_AT_MOST},
};

/// How long it may take after the last fault. regcred tries each thing again within five seconds; the garbage collector,
/// which a deleted owner's Secrets are left to, may take minutes after the API server was away.
const SETTLES_WITHIN: Duration = Duration::from_secs(300);

/// How long nothing may be written once all is as it should be.
const SILENCE: Duration = Duration::from_secs(2);

/// How often the cluster is looked at; each look is four lists.
const INTERVAL: Duration = Duration::from_millis(100);

pub struct Trial<'a> {
    pub arena: &'a Arena,
    pub operator: Operator,
    pub script: Script<'a>,
    pub random: Random,
    pub faults: Arc<Mutex<Count>>,
    early: Arc<Mutex<Vec<Early>>>,
    name: String,
    position: u64,
    began: Instant,
    looks: usize,
    /// Requests that were refused by an API server that had just started and didn't know its own roles yet.
    unknown: usize,
}

/// Runs a trial in an arena; says how to run it alone if it fails.
pub fn run(name: &str, seed: u64, how: &str, args: &[&str], trial: impl FnOnce(&mut Trial<'_>)) -> Result<(), Failed> {
    let arena = Arena::take();
    let mut story = Vec::new();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let mut random = Random::new(seed);
        let script = Script::new(&arena.people, name, random.fork());
        let operator = arena.operator(args);
        let position = arena.cluster.audit_position();
        let (faults, early, began) = (Arc::default(), Arc::default(), Instant::now());
        let (name, looks, unknown) = (name.to_owned(), 0, 0);
        let mut this =
            Trial { arena: &arena, operator, script, random, faults, early, name, position, began, looks, unknown };
        this.restarted();
        let result = catch_unwind(AssertUnwindSafe(|| trial(&mut this)));
        arena.proxy.answer(|_| None);
        story = std::mem::take(&mut this.script.story);
        if let Err(panic) = result {
            std::panic::resume_unwind(panic); // drops the operator, which shows its last log lines
        }
        figures::add(|figures| figures.acts += story.len());
        this.script.clean_up();
    }));
    match result {
        Ok(()) => {
            arena.give_back();
            Ok(())
        }
        Err(panic) => {
            let message = panic.downcast_ref::<String>().cloned();
            let message = message.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
            let story = story.join("\n  ");
            let message = message.unwrap_or_default();
            let writes = writes(&arena.cluster, &message);
            Err(Failed::from(format!(
                "{message}\n\nThis one alone: {how}\n\nWhat people did:\n  {story}\n\nWho wrote to that:\n  {writes}"
            )))
        }
    }
}

/// Every write to what a failure's message names as NAMESPACE/NAME.
fn writes(cluster: &ControlPlane, message: &str) -> String {
    let words: Vec<&str> = message.split(|c: char| c.is_whitespace() || c == ':').collect();
    let is_named = |entry: &AuditEntry| words.contains(&&*format!("{}/{}", entry.namespace, entry.name));
    let log = cluster.audit_log().into_iter().filter(|entry| entry.is_write() && is_named(entry));
    let line = |AuditEntry { received, user, verb, resource, namespace, name, code, .. }| {
        format!("{received} {user} {verb} {resource} {namespace}/{name}: {code}")
    };
    log.map(line).collect::<Vec<_>>().join("\n  ")
}

impl Trial<'_> {
    /// Faults until [`Trial::quiet`].
    pub fn begin_faults(&mut self, chance: usize) {
        let (random, order) = (self.random.fork(), self.order());
        faults::begin(&self.arena.proxy, random, chance, &self.faults, order);
    }

    fn order(&self) -> Order {
        Order::new(&self.arena.people, &self.early)
    }

    /// kill -9, and a new start.
    pub fn kill(&mut self) {
        self.operator.kill9();
        self.operator.restart();
        self.restarted();
        self.script.story.push("the operator is killed and started".to_owned());
        figures::add(|figures| figures.kills += 1);
    }

    /// What it knew is lost, so that it may write what it has written already.
    fn restarted(&mut self) {
        *self.script.events.entry(String::new()).or_default() += 1;
    }

    /// The API server dies and comes back, and has forgotten what the watches would go on from.
    pub fn restart_apiserver(&mut self) {
        let position = self.arena.cluster.audit_position();
        self.arena.cluster.kill_apiserver();
        self.arena.cluster.compact_etcd();
        self.arena.cluster.start_apiserver();
        self.unknown += self.requests(position).iter().filter(|request| request.unauthorized).count();
        self.restarted();
        self.script.model.uncollected = true;
        self.script.story.push("the API server is killed and started, and etcd compacted".to_owned());
        figures::add(|figures| figures.outages += 1);
    }

    /// No more faults: then everything becomes as people asked, and stays so without a write.
    pub fn quiet(&mut self) {
        faults::end(&self.arena.proxy, self.order());
        self.script.finish();
        self.script.story.push("quiet".to_owned());
        let begun = Instant::now();
        let observed = loop {
            let observed = Observed::of(&self.arena.people);
            let wrong = check::compare(&self.script.model, &observed);
            // The model doesn't know what is counted of a suspended one, whose status says so within two seconds.
            let mut credentials = self.script.model.credentials.values();
            if wrong.is_empty() && !credentials.any(|credential| credential.suspend) {
                break observed;
            }
            if wrong.is_empty() {
                thread::sleep(SILENCE + INTERVAL);
                if Observed::of(&self.arena.people).has_the_credentials_of(&observed) {
                    break observed;
                }
            }
            if begun.elapsed() > SETTLES_WITHIN {
                panic!("after {SETTLES_WITHIN:?} without faults, this is wrong:\n  {}", wrong.join("\n  "));
            }
            thread::sleep(INTERVAL);
        };
        let took = begun.elapsed();
        figures::add(|figures| figures.settled.push(took));
        check::settle(&mut self.script.model, &observed);
        self.silence();
        let wrong = check::compare(&self.script.model, &Observed::of(&self.arena.people));
        assert!(wrong.is_empty(), "it doesn't stay as it should be:\n  {}", wrong.join("\n  "));
        assert!(self.operator.is_running(), "the operator has ended");
    }

    /// Nothing is written for a while.
    fn silence(&mut self) {
        let position = self.arena.cluster.audit_position();
        thread::sleep(SILENCE);
        self.unwritten_since(position);
    }

    fn unwritten_since(&mut self, position: u64) {
        let mut written = self.requests(position);
        // A write that is refused, for a Secret of another type, is how such a one is looked for again.
        written.retain(|request| request.is_write() && request.code < 300 && request.resource != "events");
        assert!(written.is_empty(), "written though all was as it should be: {written:#?}");
    }

    /// A start where all is as it should be writes nothing.
    pub fn restart_in_quiet(&mut self) {
        let position = self.arena.cluster.audit_position();
        self.kill();
        self.operator.wait_ready(SETTLES_WITHIN);
        thread::sleep(SILENCE);
        self.unwritten_since(position);
    }

    /// Somebody undoes an entry each time, for as long as the operator makes it again.
    pub fn fight(&mut self) {
        if let Some(came_back) = self.script.fight() {
            figures::add(|figures| figures.fights += 1);
            assert!(came_back <= TAKEN_AWAY_AT_MOST, "a fight: an entry came back {came_back} times and more");
        }
    }

    /// Nothing was written that nobody asked for, nor more often than there was reason to.
    pub fn judge(&mut self) {
        let requests = self.requests(self.position);
        let faults = self.faults.lock().unwrap();
        let seconds = self.began.elapsed().as_secs();
        let (events, endings) = (&self.script.events, &self.script.endings);
        let causes = Causes { events, endings, faults: &faults, seconds };
        let mut wrong = evidence::judge(&self.script.model, &requests, &causes);
        wrong.extend(evidence::too_early(
            &self.early.lock().unwrap(),
            &self.arena.cluster.audit_log_since(self.position),
        ));
        let forbidden: Vec<_> = requests.iter().filter(|request| request.unauthorized).skip(self.unknown).collect();
        wrong.extend(forbidden.iter().map(|request| format!("forbidden: {} {}", request.verb, request.uri)));
        assert!(wrong.is_empty(), "of the operator's requests, these are wrong:\n  {}", wrong.join("\n  "));
        let writes = requests.iter().filter(|request| request.is_write() && request.code < 300).count();
        figures::add(|figures| figures.writes += writes);
    }

    fn requests(&mut self, since: u64) -> Vec<controlplane::AuditEntry> {
        self.looks += 1;
        evidence::requests(&self.arena.cluster, since, &format!("mark-{}-{}", self.name, self.looks))
    }
}
