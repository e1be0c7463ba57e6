//! Starts and ends of the operator: what it costs, what it catches up with, and that no moment is a bad one to die.

use std::{
    thread,
    time::{Duration, Instant},
};

use controlplane::{Audit, Controllers, Options, eventually};
use serde_json::{Value, json};

use crate::{
    evidence::{namespaces, requests, versions},
    world::{SOON, World, cluster, key, operator},
};

/// What "within seconds" means on a busy machine.
const SECONDS: Duration = Duration::from_secs(10);

fn world_with(args: &[&str]) -> World {
    let options = Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() };
    World::on(cluster(options), args)
}

/// How many namespaces `team-*` have the Secret with this key, and how many have the entry.
fn progress(world: &World, secret: &str, password: &str) -> (usize, usize) {
    let list = world.cluster.get_json(&["secrets,serviceaccounts", "-A"]);
    let items: Vec<Value> = list["items"].as_array().unwrap().clone();
    let of = |kind: &str, name: &str| {
        let (kind, name) = (kind.to_owned(), name.to_owned());
        items.iter().filter(move |o| o["kind"] == *kind && o["metadata"]["name"] == *name).cloned().collect::<Vec<_>>()
    };
    let secrets = of("Secret", secret);
    let secrets = secrets.iter().filter(|s| controlplane::password(s).is_ok_and(|p| p == password)).count();
    let names = |account: &Value| account["imagePullSecrets"].as_array().cloned().unwrap_or_default();
    let accounts = of("ServiceAccount", "default");
    let entries = accounts.iter().filter(|a| names(a).iter().any(|e| e["name"] == secret)).count();
    (secrets, entries)
}

#[track_caller]
fn wait_progress(world: &World, secret: &str, password: &str, wanted: (usize, usize)) {
    eventually(SOON, || match progress(world, secret, password) {
        found if found == wanted => Ok(()),
        found => Err(format!("{found:?} of {wanted:?} have {secret}")),
    });
}

/// Waits until the operator has begun to write, then kills it.
fn kill_while_writing(world: &World, before: usize, verbs: &[&str]) {
    eventually(SOON, || {
        let written = requests(&world.cluster).split_off(before);
        let writes =
            |r: &controlplane::AuditEntry| verbs.contains(&r.verb.as_str()) && r.namespace.starts_with("team-");
        match written.into_iter().filter(writes).count() {
            0..5 => Err("it hasn't begun".to_owned()),
            _ => Ok(()),
        }
    });
    world.operator.kill9();
}

#[test]
fn a_restart_in_a_converged_cluster_writes_nothing_and_idling_asks_nothing() {
    let world = world_with(&[]);
    namespaces(&world.cluster, "team", 50);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.credential("other", json!({"namespaces": {"names": ["team-1*"]}, "secretTemplate": {"labels": {"a": "b"}}}));
    world.credential("off", json!({"namespaces": {"names": ["team-1*"]}, "suspend": true}));
    let foreign = ["-n", "team-10", "create", "secret", "docker-registry", "partial", "--docker-password=p"];
    world.cluster.kubectl_ok(&[&foreign[..], &["--docker-username=u", "--docker-server=gcr.io"]].concat());
    world.credential("partial", json!({"namespaces": {"names": ["team-*"], "exclude": ["team-new"]}}));
    world.wait_ready("darwin");
    world.wait_ready("other");
    world.wait_condition("off", "Ready", "Unknown", "Suspended");
    world.wait_namespaces("off", "0/11");
    world.wait_condition("partial", "Ready", "False", "PartiallyReady");
    world.operator.stop();
    let before = requests(&world.cluster).len();
    let objects = versions(&world);

    world.operator.restart();
    world.operator.wait_ready(SOON);
    thread::sleep(SECONDS / 2); // whatever follows readiness
    let ready = requests(&world.cluster).len();
    thread::sleep(Duration::from_secs(20));
    assert_eq!(versions(&world), objects);
    let idle: Vec<_> = requests(&world.cluster).split_off(ready);
    let (questions, asked): (Vec<_>, Vec<_>) = idle.iter().filter(|r| r.verb != "watch").partition(|r| r.is_question());
    assert!(asked.is_empty(), "while idle: {asked:?}");
    // Three, at 4, 8 and 16 s or so after the start; chance moves them.
    assert!(questions.len() <= 4, "whether it may watch pods is asked less and less often: {questions:?}");

    // A marker: it is alive, and its first write since the start is this one.
    world.namespace("team-new", json!({}));
    world.wait_entries("team-new", "default", &["darwin"]);
    let since = requests(&world.cluster).split_off(before);
    let written: Vec<_> = since.iter().filter(|r| r.is_write() && r.namespace != "team-new").collect();
    let only_status = written.iter().all(|r| r.subresource == "status" && r.name == "darwin");
    assert!(only_status, "after the restart: {written:?}");
    assert!(written.len() <= 2, "the marker's status: {written:?}");
}

#[test]
fn a_roll_out_to_a_hundred_namespaces_takes_two_requests_for_each() {
    let world = world_with(&[]);
    namespaces(&world.cluster, "team", 100);
    world.source("key", &key('a'));
    let before = requests(&world.cluster).len();
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    let status = world.wait_ready("darwin");
    assert_eq!(status["serviceAccounts"]["summary"], "100/100");
    let mut all = requests(&world.cluster).split_off(before);
    all.retain(|r| !r.is_question()); // their number depends on the time that all of it takes
    let failed: Vec<_> = all.iter().filter(|r| r.code >= 400).collect();
    assert!(failed.is_empty(), "{failed:?}");
    assert!(all.len() <= 210, "{} requests", all.len());

    // A rotation is one request for each.
    let before = requests(&world.cluster).len();
    world.source("key", &key('b'));
    wait_progress(&world, "darwin", &key('b'), (100, 100));
    world.wait_ready("darwin");
    let mut all = requests(&world.cluster).split_off(before);
    all.retain(|r| !r.is_question());
    assert!(all.len() <= 110, "{} requests", all.len());
}

#[test]
fn what_happens_while_it_is_down_is_done_within_seconds_of_its_start() {
    let world = world_with(&[]);
    namespaces(&world.cluster, "team", 4);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.source("gone", &key('a'));
    let from = json!({"gcpServiceAccountKey": {"secretRef": {"name": "gone"}}});
    world.credential("gone", json!({"credential": from, "namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    world.wait_ready("gone");
    world.operator.stop();

    let kubectl = |args: &[&str]| world.cluster.kubectl_ok(args);
    world.source("key", &key('b'));
    kubectl(&["delete", "registrycredential", "gone"]);
    kubectl(&["-n", "team-0", "delete", "secret", "darwin"]);
    kubectl(&["-n", "team-1", "delete", "serviceaccount", "default"]);
    kubectl(&["-n", "team-2", "patch", "serviceaccount", "default", "-p", r#"{"imagePullSecrets": null}"#]);
    kubectl(&["-n", "team-3", "patch", "secret", "darwin", "-p", r#"{"data": {".dockerconfigjson": "e30="}}"#]);
    world.namespace("team-4", json!({}));

    world.operator.restart();
    world.operator.wait_ready(SOON);
    let started = Instant::now();
    wait_progress(&world, "darwin", &key('b'), (5, 5));
    wait_progress(&world, "gone", &key('a'), (0, 0));
    assert!(started.elapsed() < SECONDS, "{:?}", started.elapsed());
    let status = world.wait_ready("darwin");
    assert_eq!(status["namespaces"]["summary"], "5/5");
}

#[test]
fn a_kill_in_the_middle_of_a_roll_out_a_rotation_or_a_removal_loses_nothing() {
    const COUNT: usize = 60;
    let world = world_with(&["--concurrency", "2"]);
    namespaces(&world.cluster, "team", COUNT);
    world.source("key", &key('a'));
    let restart = || {
        world.operator.restart();
        world.operator.wait_ready(SOON);
    };

    let mut caught = Vec::new();
    let before = requests(&world.cluster).len();
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    kill_while_writing(&world, before, &["patch"]);
    caught.push(progress(&world, "darwin", &key('a')) < (COUNT, COUNT));
    restart();
    wait_progress(&world, "darwin", &key('a'), (COUNT, COUNT));
    world.wait_ready("darwin");

    let before = requests(&world.cluster).len();
    world.source("key", &key('b'));
    kill_while_writing(&world, before, &["update"]);
    caught.push(progress(&world, "darwin", &key('b')) < (COUNT, COUNT));
    restart();
    wait_progress(&world, "darwin", &key('b'), (COUNT, COUNT));
    world.wait_ready("darwin");

    // Without the garbage collector, so that the Secrets are the operator's to remove, too.
    world.cluster.stop_controllers();
    let before = requests(&world.cluster).len();
    world.cluster.kubectl_ok(&["delete", "registrycredential", "darwin"]);
    kill_while_writing(&world, before, &["patch", "delete"]);
    caught.push(progress(&world, "darwin", &key('b')) > (0, 0));
    restart();
    wait_progress(&world, "darwin", &key('b'), (0, 0));
    // A test that comes too late each time shows nothing.
    assert!(caught.iter().any(|caught| *caught), "every kill came too late");
}

#[test]
fn sigterm_ends_it_cleanly_at_any_moment() {
    let world = world_with(&["--concurrency", "2"]);
    let ends_well = |when: &str| {
        let exit = world.operator.stop();
        assert!(exit.code == 0 && exit.after < Duration::from_secs(5), "{when}: {exit:?}");
    };
    ends_well("idle");
    world.operator.restart();
    world.operator.wait_ready(SOON);

    namespaces(&world.cluster, "team", 60);
    world.source("key", &key('a'));
    let before = requests(&world.cluster).len();
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    eventually(SOON, || match requests(&world.cluster).len() {
        now if now > before + 5 => Ok(()),
        _ => Err("the roll-out hasn't begun".to_owned()),
    });
    ends_well("in a roll-out");
    let (secrets, entries) = progress(&world, "darwin", &key('a'));
    assert!(entries <= secrets, "{entries} entries, {secrets} Secrets");

    // Nothing is there to talk to.
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.cluster.stop_apiserver();
    ends_well("in an outage");
    let alone = operator(&world.cluster, &[]);
    eventually(SOON, || alone.get("/livez"));
    let exit = alone.stop();
    assert!(exit.code == 0 && exit.after < Duration::from_secs(5), "before the first list: {exit:?}");
}
