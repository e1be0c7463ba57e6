//! Two replicas: one writes, the other stands by with everything at hand and takes over.

mod outage;

use std::{path::Path, thread, time::Duration};

use controlplane::{
    ADMIN, Answer, Audit, AuditEntry, Controllers, FaultProxy, Lent, OPERATOR, Operator, Options, Request, SPARES,
    eventually,
};
use jiff::{SignedDuration, Timestamp};
use serde_json::json;

use crate::{
    evidence::{namespaces, versions},
    world::{SOON, World, cluster, key, operator_with},
};

/// The second replica's user, with the same rights, so that the audit log tells the two apart.
const SECOND: &str = SPARES[0];

/// How long a leader writes after its last renewal, and when another may take the Lease.
const WRITES: SignedDuration = SignedDuration::from_secs(10);
const TERM: SignedDuration = SignedDuration::from_secs(13);

fn audited() -> Lent {
    cluster(Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() })
}

fn replica(kubeconfig: &Path, more: &[&str]) -> Operator {
    let args = [&["--leader-elect", "true"], more].concat();
    operator_with(kubeconfig, &args)
}

/// A world whose operator leads.
fn led(cluster: Lent, kubeconfig: &Path, args: &[&str]) -> World {
    let operator = replica(kubeconfig, args);
    operator.wait_ready(SOON);
    wait_leads(&operator, 1);
    World::with(cluster, operator)
}

/// A second replica that stands by.
fn standby(world: &World, args: &[&str]) -> Operator {
    let bind = |args: &[&str]| {
        world.cluster.kubectl_ok(&[&["create"], args, &[&format!("--user={SECOND}")]].concat());
    };
    bind(&["clusterrolebinding", "second", "--clusterrole=regcred"]);
    bind(&["rolebinding", "second", "--role=regcred-events", "-n=default"]);
    bind(&["rolebinding", "second-sources", "--role=regcred-sources", "-n=regcred-system"]);
    bind(&["rolebinding", "second-state", "--role=regcred-state", "-n=regcred-state"]);
    bind(&["rolebinding", "second-leader", "--role=regcred-leader", "-n=regcred-system"]);
    world.standby.set(SECOND).unwrap();
    // A right takes effect a moment after it is there, and who has none runs for the Lease to say so.
    let may_create = ["auth", "can-i", "-n=regcred-system", "--as", SECOND, "create", "leases"];
    eventually(SOON, || match world.cluster.kubectl_as(ADMIN, &may_create).status.success() {
        true => Ok(()),
        false => Err("the rights aren't in force yet".to_owned()),
    });
    let second = replica(&world.cluster.kubeconfig(SECOND), args);
    second.wait_ready(SOON);
    assert!(is_leader(&second, 0));
    second
}

/// Two replicas on a cluster of their own; the world's operator leads.
fn pair(args: &[&str]) -> (Operator, World) {
    let cluster = audited();
    let kubeconfig = cluster.kubeconfig(OPERATOR);
    let world = led(cluster, &kubeconfig, args);
    (standby(&world, args), world)
}

fn is_leader(operator: &Operator, value: u8) -> bool {
    let metrics = operator.get("/metrics").map(|(_, text)| text).unwrap_or_default();
    metrics.lines().any(|line| line == format!("regcred_leader {value}"))
}

#[track_caller]
fn wait_leads(operator: &Operator, value: u8) {
    eventually(SOON, || if is_leader(operator, value) { Ok(()) } else { Err("it doesn't lead".to_owned()) });
}

/// The writes of one replica in the order of their answers, those of its Lease apart.
fn writes(world: &World, user: &str) -> Vec<AuditEntry> {
    let all = world.cluster.audit_log().into_iter();
    all.filter(|entry| entry.user == user && entry.is_write() && entry.resource != "leases").collect()
}

/// What it did to the Lease with success.
fn holds(world: &World, user: &str) -> Vec<AuditEntry> {
    let all = world.cluster.audit_log().into_iter();
    all.filter(|e| e.user == user && e.is_write() && e.resource == "leases" && e.code < 300).collect()
}

fn received(entry: &AuditEntry) -> Timestamp {
    entry.received.parse().unwrap()
}

fn last(entries: &[AuditEntry]) -> Timestamp {
    entries.iter().map(received).max().unwrap()
}

fn first(entries: &[AuditEntry]) -> Timestamp {
    entries.iter().map(received).min().unwrap()
}

/// Waits for the first write of the second replica and gives its time.
fn wait_takeover(world: &World) -> Timestamp {
    eventually(SOON, || match &writes(world, SECOND)[..] {
        [] => Err("the standby hasn't written".to_owned()),
        some => Ok(first(some)),
    })
}

/// A roll-out to so many namespaces that is under way when this returns.
fn begin_roll_out(world: &World, count: usize) {
    namespaces(&world.cluster, "team", count);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    eventually(SOON, || match writes(world, OPERATOR).len() {
        0..5 => Err("it hasn't begun".to_owned()),
        _ => Ok(()),
    });
}

fn wait_rolled_out(world: &World, count: usize) {
    // A namespace that has just been made may not have its service account yet, and is then another roll-out.
    eventually(SOON, || match world.wait_ready("darwin")["serviceAccounts"]["summary"].clone() {
        summary if summary == format!("{count}/{count}") => Ok(()),
        summary => Err(summary.to_string()),
    });
}

fn wait_exit(operator: &Operator) -> i32 {
    eventually(SOON, || operator.exit_code().ok_or_else(|| "it still runs".to_owned()))
}

#[test]
fn a_standby_takes_over_within_fifteen_seconds_of_a_kill_and_not_before_the_leaders_time_is_up() {
    let (_second, world) = pair(&["--concurrency", "2"]);
    begin_roll_out(&world, 40);
    let killed = Timestamp::now();
    world.operator.kill9();
    world.namespace("team-new", json!({})); // work for certain
    let taken = wait_takeover(&world);
    println!("first write {} after the kill", taken - killed);
    assert!(taken.duration_since(killed) < SignedDuration::from_secs(15), "{killed} {taken}");
    // Had it only hung, it would have written until then.
    assert!(taken > last(&holds(&world, OPERATOR)) + WRITES);
    assert!(last(&writes(&world, OPERATOR)) < taken);
    wait_rolled_out(&world, 41);
}

#[test]
fn after_sigterm_the_standby_takes_over_within_two_seconds_and_no_write_of_the_old_leader_comes_later() {
    let (proxy, second, world) = proxied_pair(&["--concurrency", "16"]);
    // Always some under way.
    let is_write = |request: &Request| request.method == "PATCH";
    proxy.answer(move |request| is_write(request).then_some(Answer::Held(Duration::from_millis(500))));
    begin_roll_out(&world, 80);
    let asked = Timestamp::now();
    let exit = world.operator.stop();
    let taken = wait_takeover(&world);
    println!("ended after {:?}, first write {} after SIGTERM", exit.after, taken - asked);
    assert_eq!(exit.code, 0);
    assert!(taken.duration_since(asked) < SignedDuration::from_secs(2), "{asked} {taken}");
    wait_rolled_out(&world, 80);
    // In the order of the answers: everything of the old leader's, its release of the Lease, the new leader's.
    let log = world.cluster.audit_log();
    let ours = log.iter().filter(|e| e.is_write() && [OPERATOR, SECOND].contains(&&*e.user));
    let ours: Vec<&AuditEntry> = ours.collect();
    let old: Vec<usize> = (0..ours.len()).filter(|i| ours[*i].user == OPERATOR).collect();
    let release = *old.last().unwrap();
    assert_eq!((&*ours[release].resource, old.len()), ("leases", release + 1), "{:#?}", ours[release]);
    assert_eq!(ours[release + 1].resource, "leases");
    assert!(is_leader(&second, 1));
}

/// Stops a leader in the middle of a roll-out, with answers to come and many more writes to do; gives the time.
fn stop_with_work_left(world: &World) -> Timestamp {
    begin_roll_out(world, MANY);
    world.operator.signal("STOP");
    let stopped = Timestamp::now();
    let made = world.cluster.get_json(&["secrets", "-A", "--field-selector=type=kubernetes.io/dockerconfigjson"]);
    assert!(made["items"].as_array().unwrap().len() < MANY - 20, "it has too little left to do");
    stopped
}

const MANY: usize = 120;

#[test]
fn a_leader_that_stood_still_for_too_long_writes_nothing_any_more() {
    let (_second, world) = pair(&["--concurrency", "16"]);
    let stopped = stop_with_work_left(&world);
    let taken = wait_takeover(&world);
    wait_rolled_out(&world, MANY);
    world.operator.signal("CONT");
    assert_eq!(wait_exit(&world.operator), 1);
    assert!(world.operator.log().contains("the Lease regcred-system/regcred"), "{}", world.operator.log());
    // A thread that stood still between its last look at the gate and its call to the kernel sends what it had: a
    // request that was decided on what is no longer so, which the API server therefore refuses.
    let (late, in_time): (Vec<_>, Vec<_>) = writes(&world, OPERATOR)
        .into_iter()
        .partition(|write| received(write) >= stopped + SignedDuration::from_secs(1));
    let threads = thread::available_parallelism().unwrap().get();
    assert!(late.len() <= threads && late.iter().all(|write| write.code == 409), "{stopped} {taken} {late:#?}");
    assert!(last(&in_time) < taken, "{stopped} {taken}");
}

#[test]
fn a_leader_that_stood_still_writes_nothing_before_it_knows_that_nobody_has_followed_it() {
    let cluster = audited();
    let kubeconfig = cluster.kubeconfig(OPERATOR);
    let world = led(cluster, &kubeconfig, &["--concurrency", "16"]);
    let stopped = stop_with_work_left(&world);
    thread::sleep(Duration::from_secs(11)); // longer than it may write
    let (pid, before) = (world.operator.pid(), writes(&world, OPERATOR).len());
    world.operator.signal("CONT");
    wait_rolled_out(&world, MANY);
    assert_eq!((world.operator.pid(), world.operator.is_running()), (pid, true));
    let resumed = stopped + SignedDuration::from_secs(10);
    let renewed = holds(&world, OPERATOR).iter().map(received).find(|time| *time > resumed).unwrap();
    let after = first(&writes(&world, OPERATOR)[before..]);
    assert!(renewed < after, "{renewed} {after}");
    assert!(world.operator.log().contains("nobody has led meanwhile"), "{}", world.operator.log());
}

/// A leader that reaches the API server through a proxy, and a standby that doesn't need it.
fn proxied_pair(args: &[&str]) -> (FaultProxy, Operator, World) {
    let cluster = audited();
    let proxy = FaultProxy::start(&cluster);
    let world = led(cluster, proxy.kubeconfig(), args);
    let second = standby(&world, &[]);
    (proxy, second, world)
}

fn unreachable() -> Option<Answer> {
    Some(Answer::Refuse(503, "ServiceUnavailable", "a fault of the test".to_owned()))
}

#[test]
fn a_leader_that_cant_renew_stops_writing_before_another_may_begin() {
    let (proxy, _second, world) = proxied_pair(&["--concurrency", "2"]);
    namespaces(&world.cluster, "team", 20);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    wait_rolled_out(&world, 20);
    let is_renewal = |request: &Request| request.method == "PUT" && request.uri.contains("/leases/");
    proxy.answer(move |request| if is_renewal(request) { unreachable() } else { None });
    // It has something to repair all the time. (Deleted Secrets are made again ever later.)
    let revision = "regcred.dev/revision=none";
    let taken = eventually(SOON, || {
        world.kubectl(&["annotate", "--overwrite", "secrets", "-A", "-l", "regcred.dev/credential", revision]);
        writes(&world, SECOND).first().map(received).ok_or_else(|| "the standby hasn't written".to_owned())
    });
    assert_eq!(wait_exit(&world.operator), 1);
    let (renewed, late) = (last(&holds(&world, OPERATOR)), last(&writes(&world, OPERATOR)));
    println!("the last write {} after the last renewal, the other's first {}", late - renewed, taken - renewed);
    assert!(late > renewed + WRITES / 2, "it had nothing to do: {renewed} {late}");
    // What was sent in the last moment takes its time to come in.
    assert!(late < renewed + WRITES + SignedDuration::from_secs(1), "{renewed} {late}");
    assert!(taken > renewed + TERM && late < taken, "{renewed} {late} {taken}");
    assert!(world.operator.log().contains("nothing is written until the Lease is renewed"), "{}", world.operator.log());
}

#[test]
fn a_leader_that_is_cut_off_writes_nothing_ends_once_it_hears_of_another_and_that_one_does_its_work() {
    let (proxy, _second, world) = proxied_pair(&["--concurrency", "2"]);
    begin_roll_out(&world, 60);
    proxy.answer(|_| unreachable());
    proxy.cut_watches();
    let taken = wait_takeover(&world);
    assert!(world.operator.is_running() && is_leader(&world.operator, 0), "it can't know");
    proxy.answer(|_| None);
    assert_eq!(wait_exit(&world.operator), 1);
    wait_rolled_out(&world, 60);
    assert!(last(&writes(&world, OPERATOR)) < taken);
}

#[test]
fn a_standby_writes_nothing_and_takes_over_a_converged_cluster_without_a_write_or_a_list() {
    let (second, world) = pair(&[]);
    namespaces(&world.cluster, "team", 10);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    wait_rolled_out(&world, 10);
    let reads = || {
        let log = world.cluster.audit_log().into_iter();
        log.filter(|e| e.user == SECOND && e.verb == "get" && e.resource == "secrets" && e.name == "key").count()
    };
    let before = eventually(SOON, || match reads() {
        0 => Err("the standby hasn't read the source".to_owned()),
        count => Ok(count),
    });
    world.source("key", &key('b'));
    for i in 0..10 {
        world.wait_password(&format!("team-{i}"), "darwin", &key('b'));
    }
    // Ready with the new source: what the status says last.
    let version = world.get(&["-n", "regcred-system", "secret", "key"]).unwrap()["metadata"]["resourceVersion"].clone();
    eventually(SOON, || {
        let status = world.status("darwin")?;
        let ready = status["conditions"]
            .as_array()
            .is_some_and(|conditions| conditions.iter().any(|c| c["type"] == "Reconciling" && c["status"] == "False"));
        if ready && status["observedSource"]["resourceVersion"] == version {
            Ok(())
        } else {
            Err(format!("{status:#}"))
        }
    });
    eventually(SOON, || if reads() > before { Ok(()) } else { Err("it hasn't read the new one".to_owned()) });

    // While nothing happens, a renewal every few seconds is all.
    let at = world.cluster.audit_position();
    thread::sleep(Duration::from_secs(10));
    let asked = |user: &'static str, at: u64| {
        let log = world.cluster.audit_log_since(at).into_iter();
        log.filter(move |e| e.user == user).collect::<Vec<_>>()
    };
    let idle = asked(OPERATOR, at);
    let renewals = idle.iter().filter(|e| e.verb == "update" && e.resource == "leases" && e.code == 200).count();
    assert!((2..=4).contains(&renewals), "{renewals} renewals");
    // Less and less often it asks whether it may watch pods by now; the standby doesn't.
    let quiet = |e: &AuditEntry| e.resource == "leases" || e.verb == "watch" || e.is_question();
    assert!(idle.iter().all(quiet), "{idle:#?}");
    let wrote: Vec<_> = asked(SECOND, 0).into_iter().filter(|e| e.is_write() || e.is_question()).collect();
    assert!(wrote.is_empty(), "{wrote:#?}");
    assert_eq!(second.get("/readyz").unwrap().0, 200);

    let (objects, at) = (versions(&world), world.cluster.audit_position());
    world.operator.stop();
    wait_leads(&second, 1);
    // A marker: all of its first plans are older than what it does about this.
    world.namespace("team-new", json!({}));
    world.wait_entries("team-new", "default", &["darwin"]);
    wait_rolled_out(&world, 11);
    assert_eq!(second.get("/readyz").unwrap().0, 200);
    let mut left = versions(&world);
    left.retain(|name, _| !name.contains(" team-new/"));
    assert_eq!(left, objects);
    let more = asked(SECOND, at).into_iter().filter(|e| e.resource != "leases" && !e.is_question());
    let more: Vec<_> = more.collect();
    // Whether the key that it has resolved with is still the one that is stored, and then the marker.
    let marker = |e: &AuditEntry| {
        (e.verb == "get" && e.name == "root-key") || e.namespace == "team-new" || e.subresource == "status"
    };
    assert!(more.iter().all(marker), "{more:#?}");
    assert!(more.iter().filter(|e| e.subresource == "status").count() <= 2, "the marker's status: {more:#?}");

    // The old one comes back as the standby.
    let at = world.cluster.audit_position();
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.namespace("team-newer", json!({}));
    world.wait_entries("team-newer", "default", &["darwin"]);
    assert!(is_leader(&world.operator, 0) && is_leader(&second, 1));
    let wrote: Vec<_> = asked(OPERATOR, at).into_iter().filter(AuditEntry::is_write).collect();
    assert!(wrote.is_empty(), "{wrote:#?}");
}

#[test]
fn what_came_and_went_while_it_stood_by_is_counted_right_and_the_leaders_removals_are_no_fight() {
    let (second, world) = pair(&[]);
    namespaces(&world.cluster, "team", 3);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.credential("gone", json!({"namespaces": {"names": ["team-*"]}}));
    world.credential("labelled", json!({"namespaces": {"selector": {"matchLabels": {"pulls": "yes"}}}}));
    let unattached =
        |suspend: bool| json!({"namespaces": {"names": ["team-*"]}, "attach": {"mode": "None"}, "suspend": suspend});
    world.credential("suspended", unattached(false));
    world.wait_ready("suspended");
    world.wait_ready("gone");
    wait_rolled_out(&world, 3);
    world.credential("suspended", unattached(true));
    world.wait_condition("suspended", "Suspended", "True", "Suspended");
    // Each of these removals is the leader's own.
    for _ in 0..3 {
        world.cluster.kubectl_ok(&["label", "namespace", "team-1", "pulls=yes"]);
        world.wait_entries("team-1", "default", &["darwin", "gone", "labelled"]);
        world.cluster.kubectl_ok(&["label", "namespace", "team-1", "pulls-"]);
        world.wait_entries("team-1", "default", &["darwin", "gone"]);
    }
    world.cluster.kubectl_ok(&["delete", "namespace", "team-2"]);
    world.cluster.kubectl_ok(&["delete", "registrycredential", "gone"]);
    world.wait_entries("team-1", "default", &["darwin"]);
    let server = ["--docker-server=gcr.io", "--docker-username=u", "--docker-password=p"];
    let foreign = ["-n", "team-0", "create", "secret", "docker-registry", "late-pull"];
    world.cluster.kubectl_ok(&[&foreign[..], &server].concat());
    // A Secret name that came into use after its lists.
    let late = json!({"namespaces": {"names": ["team-0"]}, "secretTemplate": {"name": "late-pull"}});
    world.credential("late", late);
    world.wait_condition("late", "Ready", "False", "PartiallyReady");

    let at = world.cluster.audit_position();
    world.operator.stop();
    wait_leads(&second, 1);
    world.cluster.kubectl_ok(&["label", "namespace", "team-1", "pulls=yes"]);
    world.wait_entries("team-1", "default", &["darwin", "labelled"]);
    world.wait_ready("labelled");
    namespaces(&world.cluster, "team-new", 1);
    wait_rolled_out(&world, 3);
    world.wait_namespaces("suspended", "2/3");
    let log = world.cluster.audit_log_since(at).into_iter();
    let refused: Vec<_> = log.filter(|e| e.user == SECOND && e.is_write() && e.code >= 400).collect();
    assert!(refused.is_empty(), "it knew of the foreign Secret: {refused:#?}");
}

#[test]
fn a_lease_that_is_deleted_is_made_again_and_one_that_is_taken_ends_the_leader() {
    let cluster = audited();
    let kubeconfig = cluster.kubeconfig(OPERATOR);
    let world = led(cluster, &kubeconfig, &[]);
    let lease = || world.get(&["-n", "regcred-system", "lease", "regcred"]);
    let holder = lease().unwrap()["spec"]["holderIdentity"].clone();
    world.cluster.kubectl_ok(&["-n", "regcred-system", "delete", "lease", "regcred"]);
    assert_eq!(eventually(SOON, lease)["spec"]["holderIdentity"], holder);
    // Somebody else's change of it is no reason to end.
    world.cluster.kubectl_ok(&["-n", "regcred-system", "annotate", "lease", "regcred", "seen=yes"]);
    let renewed = lease().unwrap()["spec"]["renewTime"].clone();
    let now = eventually(SOON, || match lease()? {
        lease if lease["spec"]["renewTime"] != renewed => Ok(lease),
        _ => Err("not renewed".to_owned()),
    });
    assert_eq!((&now["spec"]["holderIdentity"], &now["metadata"]["annotations"]["seen"]), (&holder, &json!("yes")));

    let taken = r#"{"spec": {"holderIdentity": "somebody"}}"#;
    world.cluster.kubectl_ok(&["-n", "regcred-system", "patch", "lease", "regcred", "--type=merge", "-p", taken]);
    assert_eq!(wait_exit(&world.operator), 1);
    assert!(world.operator.log().contains("was taken by somebody"), "{}", world.operator.log());
}
