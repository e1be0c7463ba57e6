//! `regcred audit` on a real API server, with what the real operator has made: what it finds, and what it asks for.

use std::{collections::BTreeSet, process::Output};

use base64::{Engine, prelude::BASE64_STANDARD};
use controlplane::{ADMIN, Audit, ControlPlane, Options, READER, eventually};
use serde_json::{Value, json};

use crate::{
    wire::Wire,
    world::{SOON, World, cluster, key, regcred},
};

const IMAGE: &str = "gcr.io/darwin/api:1";

/// A password that must be in no output.
const MARKER: &str = "marker-audit-Zq7";

fn audit(cluster: &ControlPlane, user: &str, args: &[&str]) -> Output {
    let output = regcred(cluster, user).arg("audit").args(args).output().unwrap();
    let text = String::from_utf8_lossy(&[&output.stdout[..], &output.stderr].concat()).into_owned();
    for marker in [MARKER, &BASE64_STANDARD.encode(&MARKER[..12]), "PRIVATE KEY"] {
        assert!(!text.contains(marker), "{marker} is in: {text}");
    }
    output
}

fn report(cluster: &ControlPlane, user: &str, args: &[&str]) -> (Value, i32) {
    let output = audit(cluster, user, &[args, &["-o", "json"]].concat());
    let text = String::from_utf8(output.stdout).unwrap();
    let error = String::from_utf8(output.stderr).unwrap();
    let report = serde_json::from_str(&text).unwrap_or_else(|_| panic!("{error} {text}"));
    (report, output.status.code().unwrap())
}

fn pod(cluster: &ControlPlane, name: (&str, &str), spec: Value) {
    let mut whole = json!({"containers": [{"name": "main", "image": IMAGE}]});
    for (field, value) in spec.as_object().unwrap() {
        whole[field] = value.clone();
    }
    let metadata = json!({"namespace": name.0, "name": name.1});
    let manifest = json!({"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": whole});
    cluster.apply(&manifest.to_string()).unwrap();
}

/// As the kubelet says it.
fn waits(cluster: &ControlPlane, name: (&str, &str), message: &str) {
    let state = json!({"waiting": {"reason": "ImagePullBackOff", "message": message}});
    let status = json!({
        "name": "main", "state": state, "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0,
    });
    let patch = json!({"status": {"phase": "Pending", "containerStatuses": [status]}}).to_string();
    cluster.kubectl_ok(&["-n", name.0, "patch", "pod", name.1, "--subresource=status", "--type=merge", "-p", &patch]);
}

fn secret(cluster: &ControlPlane, name: (&str, &str), of_type: &str, key: &str, value: &str) {
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "type": of_type,
        "metadata": {"namespace": name.0, "name": name.1}, "stringData": {key: value},
    });
    cluster.apply(&manifest.to_string()).unwrap();
}

fn account(cluster: &ControlPlane, name: (&str, &str), entries: &[&str]) {
    let entries: Vec<Value> = entries.iter().map(|name| json!({"name": name})).collect();
    let metadata = json!({"namespace": name.0, "name": name.1});
    let manifest =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "imagePullSecrets": entries});
    cluster.apply(&manifest.to_string()).unwrap();
}

fn dockerconfig(cluster: &ControlPlane, name: (&str, &str), config: &str) {
    secret(cluster, name, "kubernetes.io/dockerconfigjson", ".dockerconfigjson", config);
}

fn named(entries: &[&str]) -> Value {
    json!({"imagePullSecrets": entries.iter().map(|name| json!({"name": name})).collect::<Vec<_>>()})
}

/// Reason and object of each finding.
fn found(report: &Value) -> BTreeSet<String> {
    let findings = report["findings"].as_array().unwrap().iter();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    findings
        .map(|it| {
            format!("{} {}/{}/{}", text(&it["reason"]), text(&it["namespace"]), text(&it["kind"]), text(&it["name"]))
        })
        .collect()
}

/// A namespace that is a target with a pod for each reason, and one that isn't.
fn furnished() -> World {
    let world = World::new();
    let cluster = &world.cluster;
    world.source("key", &key('a'));
    for name in ["team-a", "elsewhere"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
    }
    pod(cluster, ("team-a", "early"), json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_entries("team-a", "default", &["darwin"]);
    world.wait_ready("darwin");
    account(cluster, ("team-a", "builder"), &["gone", "opaque"]);
    secret(cluster, ("team-a", "opaque"), "Opaque", "a", "b");
    dockerconfig(cluster, ("team-a", "theirs"), &format!(r#"{{"auths": {{"gcr.io": {{"password": "{MARKER}"}}}}}}"#));
    dockerconfig(cluster, ("team-a", "quay"), &format!(r#"{{"auths": {{"quay.io": {{"password": "{MARKER}"}}}}}}"#));
    dockerconfig(cluster, ("team-a", "broken"), &format!(r#"{{"auths": {{"gcr.io": {{"auth": "{MARKER}"}}}}}}"#));
    dockerconfig(cluster, ("team-a", "unused"), r#"{"auths": {}}"#);
    pod(cluster, ("team-a", "late"), json!({}));
    pod(cluster, ("team-a", "theirs"), named(&["theirs"]));
    pod(cluster, ("team-a", "replaced"), named(&["quay"]));
    pod(cluster, ("team-a", "blocked"), named(&["darwin", "broken"]));
    pod(cluster, ("team-a", "built"), json!({"serviceAccountName": "builder"}));
    pod(cluster, ("elsewhere", "stranger"), json!({}));
    let init = json!([{"name": "init", "image": "busybox:latest", "imagePullPolicy": "IfNotPresent"}]);
    let main = json!([{"name": "main", "image": "nginx:1", "imagePullPolicy": "Never"}]);
    pod(cluster, ("elsewhere", "odd"), json!({"initContainers": init, "containers": main}));
    waits(cluster, ("team-a", "late"), "unexpected status from HEAD request to https://gcr.io/v2/: 403 Forbidden");
    waits(cluster, ("team-a", "early"), "failed to authorize: 401 Unauthorized");
    world
}

#[test]
fn each_pod_without_a_pull_secret_is_found_with_its_reason() {
    let world = furnished();
    let common = [
        "CredentialRefused team-a/Pod/late",
        "AnonymousRefused team-a/Pod/early",
        "OlderThanEntry team-a/Pod/early",
        "ServiceAccountNotChosen team-a/Pod/built",
        "NamespaceNotTargeted elsewhere/Pod/stranger",
        "LatestNotPulled elsewhere/Pod/odd",
        "PullPolicyNever elsewhere/Pod/odd",
        "PullSecretMissing team-a/ServiceAccount/builder",
        "NoPullSecret team-a/ServiceAccount/builder",
        "PullSecretUnused team-a/Secret/unused",
    ];
    let expected = |more: &[&str]| common.iter().chain(more).map(|it| (*it).to_owned()).collect::<BTreeSet<_>>();
    let (metadata_only, code) = report(&world.cluster, ADMIN, &["-A"]);
    assert_eq!((found(&metadata_only), code), (expected(&[]), 1));
    let darwin = |report: &Value| report["summary"]["registryCredentials"]["darwin"].clone();
    // Pods theirs and replaced name Secrets that weren't read; so does blocked, and darwin's is for it.
    assert_eq!(darwin(&metadata_only), json!({"covered": 2, "notCovered": 3, "unknown": 2}));
    assert_eq!(metadata_only["summary"]["waiting"], 2);
    assert_eq!(metadata_only["notRead"], json!([]));

    let (read, _) = report(&world.cluster, ADMIN, &["-A", "--read-secrets"]);
    let more = ["PodListReplaces team-a/Pod/replaced", "PullSecretUnparseable team-a/Pod/blocked"];
    assert_eq!(found(&read), expected(&more));
    assert_eq!(darwin(&read), json!({"covered": 2, "notCovered": 5, "unknown": 0}));
    let containers = read["containers"].as_array().unwrap();
    let theirs = containers.iter().find(|it| it["pod"] == "theirs").unwrap();
    assert_eq!((&theirs["coverage"], &theirs["secret"]), (&json!("Covered"), &json!("theirs")));

    // One namespace, and for people.
    let (one, _) = report(&world.cluster, ADMIN, &["-n", "elsewhere"]);
    assert_eq!(one["namespace"], "elsewhere");
    assert!(found(&one).iter().all(|it| it.contains(" elsewhere/")) && found(&one).len() == 3, "{one:#}");
    let table = audit(&world.cluster, ADMIN, &["-n", "team-a"]);
    let table = String::from_utf8(table.stdout).unwrap();
    assert!(table.starts_with("namespace team-a: 6 pods with 6 images, of which 2 can't be pulled\n"), "{table}");
    world.namespace("empty", json!({}));
    world.wait_account("empty", "default");
    let (empty, code) = report(&world.cluster, ADMIN, &["-n", "empty"]);
    assert_eq!((found(&empty), code), (BTreeSet::new(), 0));
}

#[test]
fn no_data_of_a_secret_is_asked_for_without_the_flag() {
    let world = furnished();
    let wire = Wire::start(&world.cluster);
    let ask = |args: &[&str]| {
        let kubeconfig = wire.kubeconfig.to_str().unwrap();
        let output = audit(&world.cluster, ADMIN, &[&["-A", "--kubeconfig", kubeconfig], args].concat());
        assert_eq!(output.status.code(), Some(1), "{output:?}");
    };
    // `kubectl apply` leaves none of it in an annotation here: the tests apply on the server.
    let data = BASE64_STANDARD.encode(format!(r#"{{"auths": {{"quay.io": {{"password": "{MARKER}"}}}}}}"#));
    ask(&[]);
    assert!(wire.heard().contains("\"unused\"") && !wire.heard().contains(&data));
    ask(&["--read-secrets"]);
    assert!(wire.heard().contains(&data), "what comes over the wire isn't seen");
}

#[test]
fn who_may_read_pods_only_is_told_what_that_leaves_open() {
    let cluster = cluster(Options { audit: Audit::Metadata, ..Options::default() });
    account(&cluster, ("default", "default"), &[]);
    pod(
        &cluster,
        ("default", "odd"),
        json!({"containers": [{"name": "main", "image": "nginx:1", "imagePullPolicy": "Never"}]}),
    );
    cluster.kubectl_ok(&["create", "role", "pods", "--verb=list", "--resource=pods"]);
    cluster.kubectl_ok(&["create", "rolebinding", "pods", "--role=pods", &format!("--user={READER}")]);
    // A new right takes effect a moment later.
    let (report, code) = eventually(SOON, || match audit(&cluster, READER, &["-n", "default"]).status.code() {
        Some(2) => Err("it may not list pods".to_owned()),
        _ => Ok(report(&cluster, READER, &["-n", "default"])),
    });
    assert_eq!((found(&report), code), (BTreeSet::from(["PullPolicyNever default/Pod/odd".to_owned()]), 1));
    let not_read = report["notRead"].as_array().unwrap().iter().map(|it| it["what"].as_str().unwrap());
    let expected = ["RegistryCredentials", "Secrets", "namespaces", "service accounts"];
    assert_eq!(not_read.collect::<BTreeSet<_>>(), expected.into());

    let output = audit(&cluster, READER, &["-A"]);
    let error = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(error.starts_with("regcred: you may not read pods: ") && error.ends_with("with --namespace\n"), "{error}");
}

#[test]
fn each_kind_is_listed_in_pages_and_nothing_is_asked_for_by_name_or_written() {
    let cluster = cluster(Options { audit: Audit::Metadata, ..Options::default() });
    account(&cluster, ("default", "default"), &[]);
    for name in ["a", "b", "c"] {
        pod(&cluster, ("default", name), json!({}));
    }
    cluster.kubectl_ok(&["create", "clusterrolebinding", "all", "--clusterrole=cluster-admin", "--user=reader"]);
    let log = || cluster.audit_log().into_iter().filter(|entry| entry.user == READER);
    eventually(SOON, || match audit(&cluster, READER, &["-A"]).status.code() {
        Some(0) => Ok(()),
        code => Err(format!("it ended with {code:?}")),
    });
    let asked = |args: &[&str]| {
        let before = log().count();
        let output = audit(&cluster, READER, args);
        assert_eq!(output.status.code(), Some(0), "{output:?}");
        log().skip(before).map(|entry| format!("{} {}", entry.verb, entry.resource)).collect::<Vec<_>>()
    };
    let mut all = asked(&["-A"]);
    all.sort();
    let secrets = "list secrets";
    let others = ["list namespaces", "list pods", "list registrycredentials", secrets, secrets, "list serviceaccounts"];
    assert_eq!(all, others);
    assert_eq!(asked(&["-A", "--read-secrets"]).len(), others.len());
}
