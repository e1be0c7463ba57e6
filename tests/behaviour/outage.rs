//! The API server goes away and comes back, and what was missed meanwhile is noticed.

use std::{
    thread,
    time::{Duration, Instant},
};

use controlplane::{Controllers, eventually};
use serde_json::json;

use crate::{
    evidence::{namespaces, versions},
    world::{SOON, World, key},
};

/// What "within seconds" means on a busy machine.
const SECONDS: Duration = Duration::from_secs(10);

/// Waits until the status counts so many namespaces and, as each has one, service accounts.
fn wait_summaries(world: &World, wanted: &str) {
    eventually(SOON, || {
        let status = world.status("darwin")?;
        let found = (&status["namespaces"]["summary"], &status["serviceAccounts"]["summary"]);
        if found == (&json!(wanted), &json!(wanted)) { Ok(()) } else { Err(format!("{found:?}, not {wanted}")) }
    });
}

#[test]
fn an_outage_is_survived_without_a_restart_and_a_change_after_it_is_followed_within_seconds() {
    let mut world = World::new();
    world.may_be_refused = true;
    namespaces(&world.cluster, "team", 3);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    let (pid, before) = (world.operator.pid(), versions(&world));

    world.cluster.stop_apiserver();
    thread::sleep(Duration::from_secs(20)); // long enough for every backoff to reach its longest
    assert_eq!(world.operator.get("/livez").unwrap().0, 200);
    world.cluster.start_apiserver();
    let back = Instant::now();
    world.source("key", &key('b'));
    for i in 0..3 {
        world.wait_password(&format!("team-{i}"), "darwin", &key('b'));
    }
    assert!(back.elapsed() < SECONDS, "{:?}", back.elapsed());
    world.wait_ready("darwin");
    assert!(world.operator.is_running());
    assert_eq!(world.operator.pid(), pid);
    let accounts = |versions: &std::collections::BTreeMap<String, String>| -> Vec<_> {
        let accounts = versions.iter().filter(|(name, _)| name.starts_with("ServiceAccount"));
        accounts.map(|(name, version)| (name.clone(), version.clone())).collect()
    };
    assert_eq!(accounts(&versions(&world)), accounts(&before));

    // A short one, and a new namespace right after it. The controller manager is slower to come back.
    world.cluster.kill_apiserver();
    world.cluster.start_apiserver();
    world.cluster.start_controllers(&Controllers::Default).unwrap();
    namespaces(&world.cluster, "team-new", 1);
    let back = Instant::now();
    world.wait_entries("team-new-0", "default", &["darwin"]);
    assert!(back.elapsed() < SECONDS, "{:?}", back.elapsed());
}

#[test]
fn what_was_deleted_while_no_event_could_come_is_noticed() {
    let world = World::new();
    namespaces(&world.cluster, "team", 6);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.source("gone", &key('a'));
    let from = json!({"gcpServiceAccountKey": {"secretRef": {"name": "gone"}}});
    world.credential("gone", json!({"credential": from, "namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    world.wait_ready("gone");

    world.operator.signal("STOP");
    let kubectl = |args: &[&str]| world.cluster.kubectl_ok(args);
    kubectl(&["-n", "team-0", "delete", "secret", "darwin"]);
    kubectl(&["-n", "team-1", "delete", "serviceaccount", "default"]);
    kubectl(&["delete", "namespace", "team-2", "team-3"]);
    kubectl(&["delete", "registrycredential", "gone"]);
    world.namespace("team-3", json!({})); // another one of that name
    world.source("key", &key('b'));
    eventually(SECONDS * 2, || world.get(&["-n", "team-3", "serviceaccount", "default"]));
    eventually(SECONDS * 2, || world.get(&["-n", "team-1", "serviceaccount", "default"]));
    // The watches break, and a new API server remembers no event of before.
    world.cluster.restart_apiserver();
    world.operator.signal("CONT");

    for i in [0, 1, 3, 4, 5] {
        world.wait_password(&format!("team-{i}"), "darwin", &key('b'));
        world.wait_entries(&format!("team-{i}"), "default", &["darwin"]);
        world.wait_no_secret(&format!("team-{i}"), "gone");
    }
    wait_summaries(&world, "5/5");
}

#[test]
fn namespaces_that_are_made_again_while_it_stands_still_are_served_like_any_other() {
    let world = World::new();
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    for _ in 0..3 {
        namespaces(&world.cluster, "team", 8);
        for i in 0..8 {
            world.wait_entries(&format!("team-{i}"), "default", &["darwin"]);
        }
        world.operator.signal("STOP");
        let names: Vec<String> = (0..8).map(|i| format!("team-{i}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        world.cluster.kubectl_ok(&[&["delete", "namespace"], &names[..]].concat());
        namespaces(&world.cluster, "team", 8);
        // Five watches, each at its own pace, tell of the end and the beginning in any order.
        world.operator.signal("CONT");
        for name in names {
            world.wait_entries(name, "default", &["darwin"]);
            world.wait_password(name, "darwin", &key('a'));
        }
        wait_summaries(&world, "8/8");
    }
}
