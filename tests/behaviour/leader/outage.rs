//! The API server goes away under two replicas and comes back.

use std::{
    thread,
    time::{Duration, Instant},
};

use controlplane::{Controllers, OPERATOR, Operator, eventually};
use serde_json::json;

use super::{SECOND, begin_roll_out, is_leader, pair, wait_rolled_out, writes};
use crate::world::{SOON, World, key};

/// Twice as long as a leader writes without a renewal, and as it takes a standby to want the Lease.
const OUTAGE: Duration = Duration::from_secs(30);

/// Waits until one of the two leads and the other stands by; at no time do both lead.
fn wait_one_leads(first: &Operator, second: &Operator) {
    eventually(SOON, || {
        let leads = [first, second].map(|replica| is_leader(replica, 1));
        assert_ne!(leads, [true, true], "both lead");
        match leads {
            [false, false] => Err("nobody leads".to_owned()),
            _ => Ok(()),
        }
    });
}

/// Whatever was written, in the order of the answers, came from who had been the last to write the Lease.
fn assert_only_holders_wrote(world: &World) {
    let log = world.cluster.audit_log();
    let replicas = log.iter().filter(|entry| entry.is_write() && [OPERATOR, SECOND].contains(&&*entry.user));
    let (mut holder, mut wrote) = ("nobody", 0);
    for entry in replicas {
        if entry.resource != "leases" {
            assert_eq!(entry.user, holder, "it doesn't hold the Lease: {entry:#?}");
            wrote += 1;
        } else if entry.code < 300 {
            holder = &entry.user;
        }
    }
    assert!(wrote > 0);
}

#[test]
fn an_outage_of_thirty_seconds_restarts_nobody_and_the_leader_goes_on_with_what_was_missed() {
    let (second, mut world) = pair(&["--concurrency", "2"]);
    world.may_be_refused = true; // an API server that starts knows no roles at first
    let pids = [world.operator.pid(), second.pid()];
    begin_roll_out(&world, 60);
    world.cluster.kill_apiserver();
    let killed = Instant::now();
    let made = writes(&world, OPERATOR).into_iter().filter(|entry| entry.resource == "secrets").count();
    assert!(made < 60, "it was done before the outage");
    thread::sleep(OUTAGE.saturating_sub(killed.elapsed()));
    assert!(is_leader(&world.operator, 0) && is_leader(&second, 0), "nobody may write");
    world.cluster.start_apiserver();
    world.source("key", &key('b'));

    wait_one_leads(&world.operator, &second);
    wait_rolled_out(&world, 60);
    for namespace in ["team-0", "team-59"] {
        world.wait_password(namespace, "darwin", &key('b'));
    }
    world.wait_ready("darwin");
    world.operator.wait_ready(SOON);
    second.wait_ready(SOON);
    wait_one_leads(&world.operator, &second);
    let replicas = [&world.operator, &second];
    assert!(is_leader(&world.operator, 1), "who led before");
    assert_eq!(replicas.map(Operator::pid), pids);
    assert!(replicas.iter().all(|replica| replica.is_running()));

    // What happens now is done by that one.
    world.cluster.start_controllers(&Controllers::Default).unwrap();
    world.namespace("team-new", json!({}));
    world.wait_entries("team-new", "default", &["darwin"]);
    world.source("key", &key('a'));
    for namespace in ["team-0", "team-59", "team-new"] {
        world.wait_password(namespace, "darwin", &key('a'));
    }
    world.wait_namespaces("darwin", "61/61");
    assert_only_holders_wrote(&world);
}
