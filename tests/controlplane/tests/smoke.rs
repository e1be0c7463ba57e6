//! The control plane keeps its own promises.
#![allow(missing_docs)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use std::{env, fs, thread};

use controlplane::{Audit, ControlPlane, Controllers, Operator, Options, Process, User, diff, eventually};

const SOON: Duration = Duration::from_secs(20);

const CRD: &str = r#"
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: owners.smoke.test}
spec:
  group: smoke.test
  scope: Cluster
  names: {plural: owners, singular: owner, kind: Owner}
  versions: [{name: v1, served: true, storage: true, schema: {openAPIV3Schema: {type: object}}}]
"#;

fn everything() -> Options {
    Options {
        controllers: Controllers::Default,
        audit: Audit::Metadata,
        manifests: vec![CRD.to_owned()],
        users: vec![User::new("auditor", &["auditors"])],
        ..Options::default()
    }
}

/// Whether the process runs (a zombie that nobody has collected doesn't).
fn runs(pid: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}

#[test]
fn a_namespace_gets_its_service_account_and_is_deleted_in_the_end() {
    let started = Instant::now();
    let cluster = ControlPlane::shared_with(everything);
    eprintln!("shared control plane after {:?}", started.elapsed());
    cluster.kubectl_ok(&["create", "namespace", "born"]);
    eventually(SOON, || cluster.try_get_json(&["serviceaccount", "default", "-n", "born"]));
    cluster.kubectl_ok(&["delete", "namespace", "born", "--wait=false"]);
    eventually(SOON, || match cluster.try_get_json(&["namespace", "born"]) {
        Err(error) if error.contains("NotFound") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn secrets_of_a_deleted_owner_are_collected() {
    let cluster = ControlPlane::shared_with(everything);
    cluster.apply("{apiVersion: smoke.test/v1, kind: Owner, metadata: {name: darwin}}").unwrap();
    let uid = cluster.kubectl_ok(&["get", "owner", "darwin", "-o", "jsonpath={.metadata.uid}"]);
    let owner = format!("{{apiVersion: smoke.test/v1, kind: Owner, name: darwin, uid: {uid}}}");
    let secret = format!(
        "{{apiVersion: v1, kind: Secret, metadata: {{name: owned, namespace: default, ownerReferences: [{owner}]}}}}"
    );
    cluster.apply(&secret).unwrap();
    cluster.kubectl_ok(&["delete", "owner", "darwin"]);
    eventually(SOON, || match cluster.try_get_json(&["secret", "owned"]) {
        Err(error) if error.contains("NotFound") => Ok(()),
        other => Err(format!("{other:?}")),
    });
}

#[test]
fn requests_are_counted_and_written_down() {
    let cluster = ControlPlane::shared_with(everything);
    let before = cluster.requests();
    cluster.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: seen, namespace: default}}").unwrap();
    eventually(SOON, || {
        let new = diff(&before, &cluster.requests());
        let apply = new.iter().find(|count| count.verb == "APPLY" && count.resource == "configmaps");
        match apply {
            Some(apply) if (apply.code, apply.count) == (201, 1) && apply.is_write() => Ok(()),
            _ => Err(format!("{new:?}")),
        }
    });
    let written = eventually(SOON, || {
        let mut log = cluster.audit_log().into_iter();
        log.find(|entry| entry.name == "seen" && entry.is_write()).ok_or("not in the audit log".to_owned())
    });
    assert_eq!((written.user.as_str(), written.verb.as_str(), written.code), ("admin", "patch", 201));
    assert_eq!((written.namespace.as_str(), written.resource.as_str()), ("default", "configmaps"));
    assert!(written.user_agent.starts_with("kubectl/v1.36"), "{}", written.user_agent);
    assert!(written.uri.starts_with("/api/v1/namespaces/default/configmaps/seen?"), "{}", written.uri);
}

#[test]
fn users_have_only_the_rights_bound_to_them() {
    let cluster = ControlPlane::shared_with(everything);
    for user in [controlplane::OPERATOR, controlplane::READER, "auditor"] {
        let output = cluster.kubectl_as(user, &["get", "secrets", "-A"]);
        let message = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(message.contains(&format!("User \"{user}\" cannot list resource \"secrets\"")), "{message}");
    }
    cluster.kubectl_ok(&["create", "clusterrolebinding", "smoke", "--clusterrole=view", "--group=auditors"]);
    eventually(SOON, || {
        let output = cluster.kubectl_as("auditor", &["get", "configmaps", "-A"]);
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    });
}

#[test]
fn an_apiserver_comes_back_after_an_outage_with_its_data() {
    let started = Instant::now();
    let cluster = ControlPlane::start(Options::default());
    eprintln!("etcd and kube-apiserver after {:?}", started.elapsed());
    cluster.kubectl_ok(&["create", "namespace", "kept"]);
    let watch = cluster.kubectl_command("admin", &["get", "namespaces", "--watch"]);
    let watch = Process::start("watch", &watch, &cluster.folder().join("watch.log")).unwrap();
    eventually(SOON, || if watch.log().contains("kept") { Ok(()) } else { Err(watch.log()) });

    let url = cluster.url();
    let exit = cluster.stop_apiserver().expect("it ran");
    eprintln!("the apiserver stopped in {:?} with {}", exit.after, exit.code);
    assert_eq!(exit.code, 0, "a watch holds it up no longer than it must");
    assert!(!cluster.kubectl(&["get", "namespaces"]).status.success());

    let started = Instant::now();
    cluster.start_apiserver();
    eprintln!("the apiserver was back in {:?}", started.elapsed());
    assert_eq!(cluster.url(), url);
    cluster.kubectl_ok(&["get", "namespace", "kept"]);

    let (pids, folder) = (cluster.pids(), cluster.folder().to_owned());
    assert!(pids.len() == 2 && pids.iter().all(|&pid| runs(pid)) && folder.exists());
    drop(watch);
    let stopping = Instant::now();
    drop(cluster);
    eprintln!("all stopped in {:?}", stopping.elapsed());
    assert!(!pids.iter().any(|&pid| runs(pid)), "something of {pids:?} is left");
    assert!(!folder.exists(), "{} is left", folder.display());
}

#[test]
fn a_lent_control_plane_holds_what_it_held_at_its_start_and_tells_nothing_of_before() {
    let options = || Options { users: vec![User::new("lent", &[])], ..everything() };
    let objects = |cluster: &ControlPlane| {
        let kinds = "namespaces,secrets,serviceaccounts,configmaps,clusterroles,owners,customresourcedefinitions";
        let mut objects = cluster.get_json(&[kinds, "-A"])["items"].take();
        // What is put back is another version of what it was.
        objects.as_array_mut().unwrap().iter_mut().for_each(|object| {
            object["metadata"].as_object_mut().unwrap().remove("resourceVersion");
        });
        objects
    };
    let first = ControlPlane::lend(options());
    let (pids, beginning) = (first.pids(), objects(&first));
    first.kubectl_ok(&["create", "namespace", "team"]);
    first.apply("{apiVersion: smoke.test/v1, kind: Owner, metadata: {name: darwin}}").unwrap();
    first.kubectl_ok(&["delete", "serviceaccount", "default"]);
    first.kubectl_ok(&["delete", "clusterrole", "view"]);
    first.kubectl_ok(&["label", "configmap", "kube-root-ca.crt", "changed=yes"]);
    let (watch, log) =
        (first.kubectl_command("lent", &["get", "secrets", "--watch"]), first.folder().join("watch.log"));
    let watch = Process::start("watch", &watch, &log).unwrap();
    eventually(SOON, || watch.exit_code().ok_or("it is refused".to_owned()));
    drop((watch, first));

    let second = ControlPlane::lend(options());
    assert_eq!(second.pids(), pids, "it is the same one");
    assert_eq!(objects(&second), beginning);
    second.kubectl_ok(&["get", "namespace", "default"]);
    let log = eventually(SOON, || match second.audit_log() {
        log if log.iter().any(|entry| entry.name == "default" && entry.verb == "get") => Ok(log),
        log => Err(format!("{log:?}")),
    });
    let before = log.iter().find(|entry| entry.name == "team" || entry.user == "lent");
    assert!(before.is_none(), "{before:?}");

    // What controllers rely on can't be put back without their noticing.
    second.kubectl_ok(&["delete", "customresourcedefinition", "owners.smoke.test"]);
    drop(second);
    assert_ne!(ControlPlane::lend(options()).pids(), pids, "another one");
}

#[test]
fn what_cannot_start_says_why() {
    let options = Options { apiserver_flags: vec!["--no-such-flag".to_owned()], ..Options::default() };
    let error = ControlPlane::try_start(&options).unwrap_err();
    assert!(error.contains("kube-apiserver ended while starting") && error.contains("no-such-flag"), "{error}");
}

#[test]
fn a_killed_parent_leaves_neither_child_nor_folder() {
    let mut parent = Command::new(env::current_exe().unwrap())
        .args(["--exact", "parent_to_be_killed", "--ignored", "--nocapture"])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(parent.stdout.take().unwrap()).lines().map(Result::unwrap);
    let line = lines.filter_map(|line| line.split_once("started ").map(|(_, rest)| rest.to_owned())).next();
    let line = line.expect("the helper starts a control plane");
    let (folder, pids) = line.split_once(' ').unwrap();
    let (folder, pids): (PathBuf, Vec<u32>) =
        (folder.into(), pids.split(' ').map(|pid| pid.parse().unwrap()).collect());
    assert!(pids.len() == 2 && pids.iter().all(|&pid| runs(pid)) && folder.exists());

    parent.kill().unwrap();
    parent.wait().unwrap();
    eventually(Duration::from_secs(5), || match pids.iter().find(|&&pid| runs(pid)) {
        Some(pid) => Err(format!("{pid} is left: {:?}", fs::read(format!("/proc/{pid}/cmdline")))),
        None if folder.exists() => Err(format!("{} is left", folder.display())),
        None => Ok(()),
    });
}

#[test]
#[ignore = "the helper of a_killed_parent_leaves_neither_child_nor_folder"]
fn parent_to_be_killed() {
    let cluster = ControlPlane::start(Options::default());
    let pids: Vec<String> = cluster.pids().iter().map(u32::to_string).collect();
    println!("started {} {}", cluster.folder().display(), pids.join(" "));
    thread::sleep(Duration::from_secs(60));
}

#[test]
fn many_processes_at_once_end_each_in_its_own_way() {
    let folder = tempfile::tempdir().unwrap();
    let start = |name: String, script: &str| {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start(&name, &command, &folder.path().join(&name)).unwrap()
    };
    thread::scope(|scope| {
        for index in 0..40 {
            let start = &start;
            scope.spawn(move || {
                let short = start(format!("short-{index}"), &format!("echo said {index}; exit {index}"));
                let long = start(format!("long-{index}"), "exec sleep 300");
                assert_eq!(short.wait(SOON), Some(index));
                assert_eq!(short.log(), format!("said {index}\n"));
                assert!(long.is_running() && runs(long.pid()));
                assert_eq!(long.stop(SOON).code, 128 + 15);
                assert_eq!((long.log(), runs(long.pid())), (String::new(), false));
            });
        }
    });
    let deaf = start("deaf".to_owned(), "trap '' TERM; echo deaf; while :; do sleep 0.1; done");
    eventually(SOON, || if deaf.log().is_empty() { Err("silence".to_owned()) } else { Ok(()) });
    assert_eq!(deaf.stop(Duration::from_millis(300)).code, 128 + 9);
}

/// A stand-in for regcred: says its arguments, notes SIGTERM.
const STAND_IN: &str =
    "#!/bin/sh\ntrap 'echo bye; exit 3' TERM\necho \"$KUBECONFIG $GREETING $*\"\nwhile :; do sleep 0.05; done\n";

#[test]
fn an_operator_is_started_stopped_killed_and_restarted() {
    let folder = tempfile::tempdir().unwrap();
    let binary = folder.path().join("regcred");
    fs::write(&binary, STAND_IN).unwrap();
    Command::new("chmod").arg("+x").arg(&binary).status().unwrap();
    let operator = Operator::start(&binary, Path::new("/some/kubeconfig"), &["--more"], &[("GREETING", "hello")]);
    let expected =
        format!("/some/kubeconfig hello run --listen 127.0.0.1:{} --log-format json --more", operator.port());
    let times = |what: &str, wanted: usize| {
        eventually(SOON, || match operator.log().matches(what).count() {
            count if count == wanted => Ok(()),
            count => Err(format!("{count} × {what} in {}", operator.log())),
        });
    };
    times(&expected, 1);
    assert!(operator.is_running() && operator.get("/readyz").is_err());
    operator.restart();
    times(&expected, 2);
    times("bye", 1);
    assert_eq!(operator.kill9().code, 137);
    assert!(!operator.is_running());
    operator.restart();
    times(&expected, 3);
    assert_eq!(operator.stop().code, 3);
    times("bye", 2);
}

#[test]
#[should_panic(expected = "still not so after 0.1 s: the moon")]
fn waiting_in_vain_says_what_was_there_last() {
    eventually(Duration::from_millis(100), || Err::<(), _>("the moon".to_owned()));
}

#[test]
fn throwaway_keys_differ_in_the_key_alone() {
    let key = || controlplane::throwaway_key("darwin", "puller@darwin.iam.gserviceaccount.com", "1");
    let (one, other) = (key(), key());
    assert_ne!(one["private_key"], other["private_key"]);
    assert_eq!((&one["type"], &one["private_key_id"]), (&"service_account".into(), &"1".into()));
}
