//! `regcred explain` on a real API server: what it says, what it asks for, and what it never shows.

use std::process::Output;

use base64::{Engine, prelude::BASE64_STANDARD};
use controlplane::{ADMIN, Audit, ControlPlane, Lent, Options, READER, eventually};
use serde_json::{Value, json};

use crate::{
    wire::Wire,
    world::{self, SOON, credential, regcred, rolled_out},
};

const IMAGE: &str = "gcr.io/darwin/api:1";

/// What must never be shown: passwords, and a user name.
const MARKERS: [&str; 3] = ["marker-one-Zq7", "marker-two-Zq7", "marker-user-Zq7"];

fn docker_config(entries: &[(&str, &str)]) -> String {
    let entry = |password: &str| {
        let auth = BASE64_STANDARD.encode(format!("{}:{password}", MARKERS[2]));
        json!({"username": MARKERS[2], "password": password, "auth": auth})
    };
    let auths: serde_json::Map<_, _> = entries.iter().map(|(name, word)| ((*name).to_owned(), entry(word))).collect();
    json!({"auths": auths}).to_string()
}

fn secret(cluster: &ControlPlane, name: &str, metadata: Value, config: &str) {
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": name, "namespace": "default"}, "stringData": {".dockerconfigjson": config},
    });
    for (field, value) in metadata.as_object().unwrap() {
        manifest["metadata"][field] = value.clone();
    }
    cluster.apply(&manifest.to_string()).unwrap();
}

fn account(cluster: &ControlPlane, entries: &[&str]) {
    let entries: Vec<Value> = entries.iter().map(|name| json!({"name": name})).collect();
    let metadata = json!({"name": "default", "namespace": "default"});
    let manifest =
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata, "imagePullSecrets": entries});
    cluster.apply(&manifest.to_string()).unwrap();
}

fn pod(cluster: &ControlPlane, name: &str, images: &[&str], own: &[&str]) {
    let containers = images.iter().enumerate().map(|(at, image)| json!({"name": format!("c{at}"), "image": image}));
    let entries = own.iter().map(|name| json!({"name": name}));
    let manifest = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name, "namespace": "default"},
        "spec": {"containers": containers.collect::<Vec<_>>(), "imagePullSecrets": entries.collect::<Vec<_>>()},
    });
    cluster.apply(&manifest.to_string()).unwrap();
}

/// A RegistryCredential for gcr.io/darwin/ with its Secret, as the operator would have made it; two Secrets of others,
/// one of which can't be parsed; and the default service account naming the good ones and one that doesn't exist.
fn furnished() -> Lent {
    let cluster = world::cluster(Options { audit: Audit::Metadata, ..Options::default() });
    let darwin = credential("darwin", json!({"namespaces": {"names": ["default"]}}));
    cluster.apply(&darwin.to_string()).unwrap();
    let uid = cluster.get_json(&["registrycredential", "darwin"])["metadata"]["uid"].clone();
    let owner =
        json!({"apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "name": "darwin", "uid": uid});
    let ours = json!({"labels": {"regcred.dev/credential": "darwin"}, "ownerReferences": [owner]});
    secret(&cluster, "darwin", ours, &docker_config(&[("gcr.io/darwin/", MARKERS[0])]));
    let theirs = docker_config(&[("https://index.docker.io/v1/", MARKERS[1]), ("gcr.io", MARKERS[1])]);
    secret(&cluster, "theirs", json!({}), &theirs);
    let broken = json!({"auths": {"gcr.io": {"auth": MARKERS[1]}}}).to_string();
    secret(&cluster, "broken", json!({}), &broken);
    account(&cluster, &["theirs", "darwin", "gone"]);
    rolled_out(&cluster, "darwin");
    cluster
}

/// What it says and how it ends; none of the markers may be in it, as they are or in base64.
fn explain(cluster: &ControlPlane, user: &str, args: &[&str]) -> (String, i32) {
    let output = regcred(cluster, user).arg("explain").args(args).output().unwrap();
    said(&output)
}

fn said(output: &Output) -> (String, i32) {
    let text = [&output.stdout[..], &output.stderr].concat();
    let text = String::from_utf8(text).unwrap();
    for marker in MARKERS {
        assert!(!text.contains(marker) && !text.contains(&encoded(marker)), "{marker} is in: {text}");
    }
    (text, output.status.code().unwrap())
}

/// The part of a marker's base64 that doesn't depend on what stands before and after it.
fn encoded(marker: &str) -> String {
    BASE64_STANDARD.encode(&marker[..12])
}

fn as_json(cluster: &ControlPlane, user: &str, args: &[&str]) -> (Value, i32) {
    let (text, code) = explain(cluster, user, &[args, &["-o", "json"]].concat());
    (serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}")), code)
}

fn tried(image: &Value) -> Vec<String> {
    let tried = image["credentials"]["tried"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    tried.iter().map(|it| [&it["secret"], &it["entry"], &it["knownBy"]].map(text).join(" ")).collect()
}

fn reasons(of: &Value) -> Vec<&str> {
    of["findings"].as_array().unwrap().iter().map(|finding| finding["reason"].as_str().unwrap()).collect()
}

#[test]
fn metadata_tells_what_it_can_and_the_data_the_rest() {
    let cluster = furnished();
    let args = [IMAGE, "--service-account", "default/default"];
    let (report, code) = as_json(&cluster, ADMIN, &args);
    assert_eq!((report["kind"].as_str(), code), (Some("ImageExplanation"), 1));
    assert_eq!(tried(&report["images"][0]), ["darwin gcr.io/darwin/ RegistryCredential"]);
    assert_eq!(report["images"][0]["credentials"]["incomplete"], true);
    let states: Vec<_> =
        report["pullSecrets"].as_array().unwrap().iter().map(|it| it["state"].as_str().unwrap()).collect();
    assert_eq!((states, reasons(&report)), (vec!["NotRead", "NotRead", "Missing"], vec!["PullSecretMissing"]));

    let with_data = [&args[..], &["--read-secrets"]].concat();
    let (report, _) = as_json(&cluster, ADMIN, &with_data);
    assert_eq!(tried(&report["images"][0]), ["darwin gcr.io/darwin/ Data", "theirs gcr.io Data"]);
    assert_eq!(report["images"][0]["credentials"]["incomplete"], false);

    // Docker Hub's entry goes by another name than its images.
    let (report, _) = as_json(&cluster, ADMIN, &[&["nginx"], &with_data[1..]].concat());
    assert_eq!(tried(&report["images"][0]), ["theirs index.docker.io Data"]);
    let (report, _) = as_json(&cluster, ADMIN, &[&["quay.io/a/b"], &with_data[1..]].concat());
    assert_eq!(report["images"][0]["credentials"]["outcome"], "Anonymous");

    // What the operator hasn't rolled out, or refuses, isn't in its Secrets.
    let more = json!({"namespaces": {"names": ["default"]}, "registries": ["gcr.io/darwin/", "quay.io"]});
    cluster.apply(&credential("darwin", more).to_string()).unwrap();
    let (report, _) = as_json(&cluster, ADMIN, &[&["quay.io/a/b"], &args[1..]].concat());
    assert_eq!(report["images"][0]["credentials"]["outcome"], "Unknown");
    let (report, _) = as_json(&cluster, ADMIN, &[&["quay.io/a/b"], &with_data[1..]].concat());
    assert_eq!(reasons(&report["images"][0]), ["PullSecretOutdated"]);
    rolled_out(&cluster, "darwin");

    // The context's namespace is default, too.
    let (table, code) = explain(&cluster, ADMIN, &[IMAGE, "--service-account", "default"]);
    assert_eq!(code, 1);
    assert!(
        table.contains("darwin        NotRead   gcr.io/darwin/   1       managed by RegistryCredential darwin\n"),
        "{table}"
    );

    let (said, code) = explain(&cluster, ADMIN, &[IMAGE, "--service-account", "default/nobody"]);
    assert_eq!((said.as_str(), code), ("regcred: service account default/nobody doesn't exist\n", 2));
}

#[test]
fn a_pod_that_waits_is_explained_with_all_its_images() {
    let cluster = furnished();
    account(&cluster, &[]);
    pod(&cluster, "early", &[IMAGE, "nginx:1.2"], &[]);
    account(&cluster, &["darwin"]);
    let waiting = json!({"status": {"containerStatuses": [{
        "name": "c0", "image": IMAGE, "imageID": "", "ready": false, "restartCount": 0,
        "state": {"waiting": {"reason": "ImagePullBackOff", "message": format!(
            "Back-off pulling image: unexpected status from HEAD request: 403 Forbidden, not {}", MARKERS[0])}},
    }]}});
    cluster.kubectl_ok(&["patch", "pod", "early", "--subresource=status", "--type=merge", "-p", &waiting.to_string()]);

    let (report, code) = as_json(&cluster, ADMIN, &["--pod", "early"]);
    assert_eq!(code, 1);
    let images = report["images"].as_array().unwrap();
    let names: Vec<_> = images.iter().map(|image| image["image"].as_str().unwrap()).collect();
    assert_eq!(names, [IMAGE, "nginx:1.2"]);
    assert_eq!(reasons(&images[0]), ["OlderThanEntry", "AnonymousRefused"]);
    assert_eq!(
        images[0]["pullPolicy"],
        json!({
            "policy": "IfNotPresent", "from": "Pod", "because": images[0]["pullPolicy"]["because"],
            "meaning": images[0]["pullPolicy"]["meaning"],
        })
    );
    assert_eq!((reasons(&images[1]).len(), images[1]["credentials"]["outcome"].as_str()), (0, Some("Anonymous")));

    // A pod with a list of its own; the image is asked about as somebody else would write it.
    pod(&cluster, "own", &["nginx:1.2"], &["broken"]);
    let (report, code) = as_json(&cluster, ADMIN, &["docker.io/library/nginx:1.2", "--pod", "own", "--read-secrets"]);
    assert_eq!((code, reasons(&report)), (1, vec!["PullSecretUnparseable"]));
    assert_eq!(report["images"][0]["usedBy"], json!(["c0"]));
    assert_eq!(report["images"][0]["credentials"]["outcome"], "Blocked");
    let (_, code) = as_json(&cluster, ADMIN, &["--pod", "own"]);
    assert_eq!(code, 0, "without its data nothing is wrong with it");
}

#[test]
fn it_needs_no_more_rights_than_the_question_and_asks_once_for_each_thing() {
    let cluster = furnished();
    pod(&cluster, "api", &[IMAGE], &[]);
    let (said, code) = explain(&cluster, READER, &["--pod", "api"]);
    assert_eq!(code, 2);
    assert!(said.starts_with("regcred: pod default/api can't be read: pods \"api\" is forbidden"), "{said}");

    // Pods alone: the rest is said not to be known.
    cluster.kubectl_ok(&["create", "role", "pods", "--verb=get", "--resource=pods"]);
    cluster.kubectl_ok(&["create", "rolebinding", "pods", "--role=pods", "--user=reader"]);
    let args = ["--pod", "api", "--read-secrets"];
    // A new right takes effect a moment later.
    eventually(SOON, || match explain(&cluster, READER, &args) {
        (said, 2) => Err(said),
        _ => Ok(()),
    });
    let (report, code) = as_json(&cluster, READER, &args);
    assert_eq!((code, report["images"][0]["credentials"]["outcome"].as_str()), (0, Some("Unknown")));
    let states = report["pullSecrets"].as_array().unwrap().iter().all(|it| it["state"] == "NotAllowed");
    assert!(states, "{report}");

    let position = cluster.audit_position();
    explain(&cluster, ADMIN, &["--pod", "api"]);
    let wanted = [
        "get namespaces/default",
        "get pods/api",
        "get secrets/darwin",
        "get secrets/gone",
        "get secrets/theirs",
        "get serviceaccounts/default",
        "list registrycredentials/",
    ];
    eventually(SOON, || {
        let log = cluster.audit_log_since(position);
        let asked = log.iter().filter(|entry| entry.user == ADMIN && !entry.resource.is_empty());
        let mut asked: Vec<_> = asked.map(|it| format!("{} {}/{}", it.verb, it.resource, it.name)).collect();
        asked.sort_unstable();
        if asked == wanted { Ok(()) } else { Err(format!("{asked:?}")) }
    });
}

#[test]
fn why_a_pod_lacks_the_pull_secret_is_told_apart() {
    let cluster = furnished();
    account(&cluster, &[]);
    pod(&cluster, "api", &[IMAGE], &[]);
    let explained = |expected: [&str; 1], says: &str| {
        for subject in ["--pod=api", "--service-account=default"] {
            let (report, code) = as_json(&cluster, ADMIN, &[IMAGE, subject]);
            let findings = &report["images"][0]["findings"];
            assert_eq!((reasons(&report["images"][0]), code), (expected.to_vec(), 1), "{report}");
            assert!(findings[0]["message"].as_str().unwrap().contains(says), "{findings}");
        }
    };
    let chooses = |namespaces: Value, accounts: Value| {
        let spec = json!({"namespaces": namespaces, "attach": {"serviceAccounts": accounts}});
        cluster.apply(&credential("darwin", spec).to_string()).unwrap();
    };
    explained(["EntryMissing"], "whose status is RolledOut");
    chooses(json!({"names": ["default"]}), json!({"names": ["builder"]}));
    explained(["ServiceAccountNotChosen"], "the service account default");
    chooses(json!({"selector": {"matchLabels": {"team": "a"}}}), json!({}));
    explained(["NamespaceNotTargeted"], "default isn't a target namespace of RegistryCredential darwin");
    // By its labels, which are read.
    cluster.kubectl_ok(&["label", "namespace", "default", "team=a"]);
    explained(["EntryMissing"], "doesn't name the Secret darwin");
}

#[test]
fn no_data_of_a_secret_comes_over_the_wire_unless_it_is_asked_for() {
    let cluster = furnished();
    let wire = Wire::start(&cluster);
    let ask = |args: &[&str]| {
        let mut command = regcred(&cluster, ADMIN);
        let args = [&["explain", IMAGE, "--service-account", "default", "--kubeconfig"], args].concat();
        command.args(&args[..5]).arg(&wire.kubeconfig).args(&args[5..]);
        said(&command.output().unwrap()).1
    };
    let data = BASE64_STANDARD.encode(docker_config(&[("gcr.io/darwin/", MARKERS[0])]));
    assert_eq!(ask(&[]), 1);
    let heard = wire.heard();
    assert!(heard.contains("regcred.dev/credential") && !heard.contains(&data), "{heard}");
    assert_eq!(ask(&["--read-secrets"]), 1);
    assert!(wire.heard().contains(&data), "what comes over the wire isn't seen");
}

#[test]
fn offline_no_cluster_is_looked_for() {
    let offline = |args: &[&str]| {
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_regcred"));
        command.env("KUBECONFIG", "/nonexistent").arg("explain").args(args);
        said(&command.output().unwrap())
    };
    let (text, code) = offline(&["nginx"]);
    assert_eq!(code, 0);
    assert!(text.contains("Repository:   library/nginx\nTag:          latest\n"), "{text}");
    let (text, code) = offline(&["registry.example/Team/app", "-o", "yaml"]);
    assert_eq!(code, 1);
    assert!(text.starts_with("apiVersion: cli.regcred.dev/v1alpha1\nkind: ImageExplanation\n"), "{text}");
    assert!(text.contains("reason: InvalidImageName"), "{text}");
    for wrong in [&[][..], &["nginx", "--pull-policy", "always"], &["nginx", "--pod", "a", "--service-account", "b"]] {
        assert_eq!(offline(wrong).1, 2, "{wrong:?}");
    }
    let (text, code) = offline(&["nginx", "--pod", "a"]);
    assert_eq!(code, 2);
    assert!(text.starts_with("regcred: no cluster to talk to"), "{text}");
}
