//! An API server that refuses, stalls and forgets: the end state is right, and nothing is deleted that shouldn't be.

use std::{
    collections::HashMap,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use base64::{Engine, engine::general_purpose::STANDARD};
use controlplane::{ADMIN, Answer, Audit, Controllers, FaultProxy, Options, Request, eventually};
use serde_json::{Value, json};

use crate::{
    evidence::{assert_unsaid, namespaces, requests, versions},
    world::{SOON, World, cluster, key, operator_with},
};

/// A world whose operator talks to the API server through a proxy.
fn proxied(args: &[&str]) -> (World, FaultProxy) {
    proxied_with(Controllers::Default, args)
}

fn proxied_with(controllers: Controllers, args: &[&str]) -> (World, FaultProxy) {
    let options = Options { controllers, audit: Audit::Metadata, ..Options::default() };
    let cluster = cluster(options);
    let proxy = FaultProxy::start(&cluster);
    let operator = operator_with(proxy.kubeconfig(), args);
    operator.wait_ready(SOON);
    (World::with(cluster, operator), proxy)
}

/// Each object's first writes fail, each in another way.
fn unreliable(codes: &'static [(u16, &'static str)]) -> impl FnMut(&Request) -> Option<Answer> + Send {
    let mut tries: HashMap<String, usize> = HashMap::new();
    move |request| {
        let path = request.uri.split('?').next().unwrap_or_default();
        if request.method == "GET" && !path.ends_with("/secrets/key") {
            return None;
        }
        let tried = tries.entry(format!("{} {path}", request.method)).or_default();
        *tried += 1;
        let (code, reason) = codes.get(*tried - 1)?;
        Some(Answer::Refuse(*code, reason, "a fault of the test".to_owned()))
    }
}

/// The timers of the connections to a port of this machine: 0 none, 1 waits for an acknowledgement, 2 probes (proc(5)).
fn timers(port: u16) -> Vec<String> {
    let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
    let rows = table.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    let established = rows.filter(|row| row[2].ends_with(&format!(":{port:04X}")) && row[3] == "01");
    established.map(|row| row[5][..2].to_owned()).collect()
}

#[test]
fn each_of_its_watches_is_probed_while_it_is_quiet() {
    let (_world, proxy) = proxied(&[]);
    eventually(SOON, || match timers(proxy.port()) {
        timers if timers.len() >= 5 && timers.iter().all(|timer| timer == "02") => Ok(()),
        timers => Err(format!("the timers are {timers:?}")),
    });
}

#[test]
fn conflicts_and_an_overloaded_api_server_are_survived() {
    let (world, proxy) = proxied(&[]);
    namespaces(&world.cluster, "team", 6);
    world.source("key", &key('a'));
    const CODES: &[(u16, &str)] =
        &[(409, "Conflict"), (429, "TooManyRequests"), (503, "ServiceUnavailable"), (500, "InternalError")];
    const FEWER: &[(u16, &str)] = &[(409, "Conflict"), (503, "ServiceUnavailable")];
    proxy.answer(unreliable(CODES));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    let status = world.wait_ready("darwin");
    assert_eq!(
        (&status["namespaces"]["summary"], &status["serviceAccounts"]["summary"]),
        (&json!("6/6"), &json!("6/6"))
    );
    for i in 0..6 {
        world.wait_entries(&format!("team-{i}"), "default", &["darwin"]);
        world.wait_password(&format!("team-{i}"), "darwin", &key('a'));
    }

    proxy.answer(unreliable(FEWER));
    world.source("key", &key('b'));
    for i in 0..6 {
        world.wait_password(&format!("team-{i}"), "darwin", &key('b'));
    }
    world.wait_ready("darwin");

    // The Secrets are the operator's to delete where no garbage collector is faster.
    world.cluster.stop_controllers();
    proxy.answer(unreliable(FEWER));
    world.cluster.kubectl_ok(&["delete", "registrycredential", "darwin"]);
    for i in 0..6 {
        world.wait_entries(&format!("team-{i}"), "default", &[]);
        world.wait_no_secret(&format!("team-{i}"), "darwin");
    }
}

#[test]
fn a_watch_that_has_to_begin_anew_deletes_nothing_and_misses_nothing() {
    let (world, proxy) = proxied(&[]);
    namespaces(&world.cluster, "team", 4);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    let before = versions(&world);
    let written = requests(&world.cluster).len();

    // Every watch: its version is too old, said in both ways; then its new list breaks off twice.
    let mut tries: HashMap<String, usize> = HashMap::new();
    proxy.answer(move |request| {
        if !request.is_watch() {
            return None;
        }
        let path = request.uri.split('?').next().unwrap_or_default().to_owned();
        let tried = tries.entry(path).or_default();
        *tried += 1;
        match *tried {
            1 => Some(Answer::GoneEvent),
            2 | 3 => Some(Answer::Nothing),
            4 => Some(Answer::Refuse(410, "Expired", "too old resource version".to_owned())),
            _ => None,
        }
    });
    assert!(proxy.cut_watches() >= 5);
    // Nobody sees this happen: only the new list tells.
    world.cluster.kubectl_ok(&["-n", "team-1", "delete", "secret", "darwin"]);
    world.wait_password("team-1", "darwin", &key('a'));
    world.namespace("team-4", json!({}));
    world.wait_entries("team-4", "default", &["darwin"]);
    world.wait_ready("darwin");

    let untouched = |all: std::collections::BTreeMap<String, String>| -> Vec<_> {
        let new = |name: &str| name.contains(" team-4/") || name == "Secret team-1/darwin";
        all.into_iter().filter(|(name, _)| !new(name)).collect()
    };
    assert_eq!(untouched(versions(&world)), untouched(before));
    let since = requests(&world.cluster).split_off(written);
    assert_eq!(since.iter().find(|r| r.verb == "delete"), None);
}

#[test]
fn a_namespace_that_is_made_again_keeps_its_service_account_though_news_of_its_end_come_late() {
    let (world, proxy) = proxied(&[]);
    namespaces(&world.cluster, "team", 1);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    let late = |request: &Request| request.is_watch() && request.uri.starts_with("/api/v1/namespaces?");
    proxy.answer(move |request| late(request).then_some(Answer::Late(Duration::from_secs(1))));
    proxy.cut_watches();
    world.namespace("team-1", json!({}));
    world.wait_entries("team-1", "default", &["darwin"]); // the slow watch is there

    world.cluster.kubectl_ok(&["delete", "namespace", "team-0"]);
    namespaces(&world.cluster, "team", 2);
    // The slow watch tells of this one after all that.
    world.namespace("team-2", json!({}));
    world.wait_entries("team-2", "default", &["darwin"]);
    world.wait_entries("team-0", "default", &["darwin"]);
    eventually(SOON, || match world.status("darwin")? {
        status if status["serviceAccounts"]["summary"] == "3/3" => Ok(()),
        status => Err(status.to_string()),
    });
}

#[test]
fn a_refusal_that_quotes_the_credential_is_withheld() {
    let (world, proxy) = proxied(&["--log-filter", "trace"]);
    namespaces(&world.cluster, "team", 4);
    world.source("key", &key('a'));
    proxy.answer(|request| {
        let data = request.json().pointer("/data/.dockerconfigjson").and_then(Value::as_str).map(str::to_owned)?;
        let (_, login) = controlplane::logins(&request.json()).unwrap().into_values().next().unwrap();
        let at = login.find("PRIVATE KEY").unwrap();
        let quoted = format!("admission webhook refuses {}", &login[at..at + 150]);
        let text = match request.uri.split('/').nth(4)? {
            "team-0" => return Some(Answer::Refuse(403, "Forbidden", quoted)),
            "team-1" => return Some(Answer::Refuse(422, "Invalid", format!("data: Invalid value: {data}"))),
            "team-2" => return Some(Answer::Refuse(500, "InternalError", format!("panic: {}", &data[500..700]))),
            _ => "quota exceeded",
        };
        Some(Answer::Refuse(403, "Forbidden", text.to_owned()))
    });
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_condition("darwin", "Ready", "False", "PartiallyReady");
    let failures = eventually(SOON, || {
        let failures = world.status("darwin")?["failures"].as_array().cloned().unwrap_or_default();
        if failures.len() == 4 { Ok(failures) } else { Err(format!("{failures:?}")) }
    });
    let withheld = "the refusal quotes the credential, so it isn't repeated here";
    for (i, reason) in ["WriteDenied", "WriteInvalid", "WriteFailed"].iter().enumerate() {
        let message = failures[i]["message"].as_str().unwrap();
        assert_eq!(failures[i]["reason"], *reason);
        assert!(message == withheld || message.contains("(withheld)"), "{message}");
    }
    assert_eq!(failures[3]["message"], "quota exceeded");
    let file: Value = serde_json::from_str(&key('a')).unwrap();
    let secrets: Vec<String> =
        file["private_key"].as_str().unwrap().lines().filter(|l| l.len() == 64).map(str::to_owned).collect();
    assert!(secrets.len() > 10);
    assert_unsaid(&world, &secrets);
    // The base64 of base64, as it is in the Secret.
    let encoded: Vec<String> = secrets.iter().map(|line| STANDARD.encode(&line[..60])).collect();
    assert_unsaid(&world, &encoded);

    // Once it is allowed, it is done without a restart.
    proxy.answer(|_| None);
    world.cluster.kubectl_ok(&["label", "namespace", "-l", "kubernetes.io/metadata.name", "nudged=true"]);
    world.wait_ready("darwin");
}

#[test]
fn while_nobody_tells_of_a_deletion_the_garbage_collector_is_not_fought() {
    let (world, proxy) = proxied(&[]);
    namespaces(&world.cluster, "team", 1);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    let of_credentials = |request: &Request| request.uri.starts_with("/apis/regcred.dev/v1alpha1/registrycredentials?");
    proxy.answer(move |request| {
        of_credentials(request).then(|| Answer::Refuse(503, "ServiceUnavailable", "a fault of the test".to_owned()))
    });
    proxy.cut_watches();
    world.namespace("team-1", json!({}));
    world.wait_entries("team-1", "default", &["darwin"]); // the other watches are there again

    let before = world.writes("team-0", "secrets").len();
    let deleted = Instant::now();
    world.cluster.kubectl_ok(&["delete", "registrycredential", "darwin"]);
    // Made again twice at once, then after 0.5 and 1 s, each time to be collected.
    eventually(SOON, || match world.writes("team-0", "secrets").len() - before {
        ..4 => Err("it isn't made again, or not so often".to_owned()),
        _ => Ok(()),
    });
    assert!(deleted.elapsed() >= Duration::from_millis(1500), "a fight: four writes in {:?}", deleted.elapsed());
    proxy.answer(|_| None);
    world.wait_no_secret("team-0", "darwin");
    world.wait_entries("team-0", "default", &[]);
    world.wait_no_secret("team-1", "darwin");
}

#[test]
fn a_reconcile_that_waits_for_an_answer_while_its_credential_is_suspended_goes_on_with_nothing() {
    let (world, proxy) = proxied(&[]);
    namespaces(&world.cluster, "team", 1);
    world.source("key", &key('a'));
    // With rights by name it is an apply.
    let first = |request: &Request| match &*request.method {
        "POST" => request.path().ends_with("/team-0/secrets"),
        "PATCH" => request.path().ends_with("/team-0/secrets/darwin"),
        _ => false,
    };
    proxy.answer(move |request| first(request).then_some(Answer::Late(Duration::from_secs(4))));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_secret("team-0", "darwin");
    let suspend = json!({"spec": {"suspend": true}}).to_string();
    world.cluster.kubectl_ok(&["patch", "registrycredential", "darwin", "--type=merge", "-p", &suspend]);
    world.wait_condition("darwin", "Suspended", "True", "Suspended");
    // A namespace is worked on once at a time, so this one's Secret comes after the late answer.
    let none = json!({"mode": "None"});
    world.credential("other", json!({"namespaces": {"names": ["team-*"]}, "attach": none}));
    world.wait_secret("team-0", "other");
    world.wait_ready("other");
    assert_eq!(world.entries("team-0", "default").unwrap(), [""; 0]);
}

#[test]
fn no_secret_goes_before_an_entry_of_which_only_the_answer_was_lost() {
    // No garbage collector, which would take the Secret by itself.
    let (world, proxy) = proxied_with(Controllers::Off, &[]);
    world.namespace("team-0", json!({}));
    world.service_account("team-0", "default", json!({}), &[]);
    world.source("key", &key('a'));
    let spec = |attach: &str| json!({"namespaces": {"names": ["team-*"]}, "attach": {"mode": attach}});
    world.credential("darwin", spec("None"));
    world.wait_ready("darwin");

    // From now on the API server's word on service accounts reaches nobody, and the answer to the entry gets lost while
    // the RegistryCredential is deleted.
    let mut delete = world.cluster.kubectl_command(ADMIN, &["delete", "registrycredential", "darwin"]);
    let mut look =
        world.cluster.kubectl_command(ADMIN, &["-n", "team-0", "get", "serviceaccount", "default", "-o=json"]);
    let early = Arc::new(AtomicBool::new(false));
    let (mut is_deleted, seen) = (false, early.clone());
    proxy.answer(move |request| match (request.method.as_str(), request.path()) {
        ("GET", "/api/v1/serviceaccounts") => {
            Some(Answer::Refuse(503, "ServiceUnavailable", "a fault of the test".to_owned()))
        }
        ("PATCH", path) if path.ends_with("/serviceaccounts/default") && !is_deleted => {
            is_deleted = delete.output().unwrap().status.success();
            Some(Answer::Lost)
        }
        ("DELETE", path) if path.ends_with("/secrets/darwin") => {
            let account: Value = serde_json::from_slice(&look.output().unwrap().stdout).unwrap();
            seen.fetch_or(account["imagePullSecrets"][0]["name"] == "darwin", Ordering::SeqCst);
            None
        }
        _ => None,
    });
    proxy.cut_watches();
    world.credential("darwin", spec("ServiceAccounts"));
    world.wait_no_secret("team-0", "darwin");
    world.wait_entries("team-0", "default", &[]);
    assert!(!early.load(Ordering::SeqCst), "its Secret was deleted while it was there");
}

#[test]
fn a_watch_of_sources_that_was_refused_and_goes_on_stops_no_rotation() {
    let (world, proxy) = proxied(&[]);
    namespaces(&world.cluster, "team", 1);
    world.source("key", &key('a'));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("darwin");
    // As an API server does that has just started and doesn't know its roles yet.
    let refused = Arc::new(AtomicBool::new(false));
    let refusing = refused.clone();
    proxy.answer(move |request| {
        let watches = request.uri.starts_with("/api/v1/namespaces/regcred-system/secrets?");
        let refuses = watches && !refusing.swap(true, Ordering::SeqCst);
        refuses.then(|| Answer::Refuse(403, "Forbidden", "a fault of the test".to_owned()))
    });
    proxy.cut_watches();
    eventually(SOON, || if refused.load(Ordering::SeqCst) { Ok(()) } else { Err("not refused".to_owned()) });
    world.source("key", &key('b'));
    world.wait_password("team-0", "darwin", &key('b'));
    world.wait_ready("darwin");
}

#[test]
fn nothing_is_made_for_a_credential_whose_orphaning_was_over_before_it_was_looked_at() {
    let (world, proxy) = proxied(&[]);
    namespaces(&world.cluster, "team", 1);
    world.source("key", &key('a'));
    let spec = |attach: &str| json!({"namespaces": {"names": ["team-*"]}, "attach": {"mode": attach}});
    world.credential("darwin", spec("ServiceAccounts"));
    world.wait_ready("darwin");

    // While its source is read, it is orphaned and goes.
    let (is_reading, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let reading = is_reading.clone();
    proxy.answer(move |request| {
        let reads = request.method == "GET" && request.path().ends_with("/regcred-system/secrets/key");
        (reads && !reading.swap(true, Ordering::SeqCst)).then_some(Answer::Late(Duration::from_secs(5)))
    });
    world.source("key", &key('b'));
    eventually(SOON, || if is_reading.load(Ordering::SeqCst) { Ok(()) } else { Err("it isn't read".to_owned()) });
    world.cluster.kubectl_ok(&["delete", "registrycredential", "darwin", "--cascade=orphan"]);
    eventually(SOON, || match world.secret("team-0", "darwin")?["metadata"]["ownerReferences"] {
        Value::Null => Ok(()),
        _ => Err("the garbage collector hasn't let it go".to_owned()),
    });

    let ask = seen.clone();
    proxy.answer(move |request| {
        ask.fetch_or(request.path().ends_with("/team-1/secrets/darwin"), Ordering::SeqCst);
        None
    });
    world.namespace("team-1", json!({}));
    world.credential("other", spec("None"));
    world.wait_secret("team-1", "other");
    assert!(!seen.load(Ordering::SeqCst), "a Secret was made for one that is gone");
    assert_eq!(world.password("team-0", "darwin").unwrap(), key('a'), "it is people's");
}
