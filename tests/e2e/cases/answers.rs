//! What a real kubelet and containerd say of pulls that fail, and in which order they try credentials, is what
//! `regcred explain` says.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use controlplane::{ADMIN, eventually};
use serde_json::{Value, json};

use crate::answering::{FORBIDDEN, PLAIN, REFUSED, TOO_MANY, UNTRUSTED};
use crate::case::{Case, Login, SOON, pod};

/// Forms of a docker config that the API server takes for JSON, and that the kubelet can't read.
const UNREADABLE: [(&str, &str); 4] = [
    ("not-base64", r#"{"auths": {"other.example": {"auth": "%%%"}}}"#),
    ("no-colon", r#"{"auths": {"other.example": {"auth": "bm9jb2xvbg=="}}}"#),
    ("list", r#"{"auths": []}"#),
    ("number", r#"{"auths": {"other.example": {"username": 5}}}"#),
];

pub fn explain_names_what_a_real_registry_has_answered(case: &Case) {
    let name = &case.name;
    let namespace = case.namespace("a", false);
    case.registry().accept(name, &[("right", "word")]);
    case.image("gcr.io", name);
    for (secret, user) in [("right", "right"), ("wrong", "wrong")] {
        case.by_hand(&namespace, secret, &logins(&["gcr.io", FORBIDDEN].map(|entry| (entry, user))));
    }
    let image = |host: &str| format!("{host}/{name}/app:v1");
    let pulls: [(&str, String, &[&str], &str); 9] = [
        ("no-login", image("gcr.io"), &[], "AnonymousRefused"),
        ("wrong-login", image("gcr.io"), &["wrong"], "CredentialRefused"),
        ("forbidden", image(FORBIDDEN), &["right"], "CredentialRefused"),
        ("no-tag", format!("gcr.io/{name}/app:v2"), &["right"], "ImageNotFound"),
        ("no-repository", format!("gcr.io/{name}/other:v1"), &["right"], "ImageNotFound"),
        ("too-many", image(TOO_MANY), &[], "TooManyPulls"),
        ("connection-refused", image(REFUSED), &[], "RegistryUnreachable"),
        ("unknown-authority", image(UNTRUSTED), &[], "RegistryUnreachable"),
        ("http-for-https", image(PLAIN), &[], "RegistryUnreachable"),
    ];
    for (name, image, secrets, _) in &pulls {
        start(case, &namespace, name, image, secrets);
    }
    let mut said = BTreeMap::new();
    eventually(SOON, || {
        note_messages(case, &namespace, &mut said)?;
        let both = |(name, ..): &&(&str, String, &[&str], &str)| {
            ["ErrImagePull", "ImagePullBackOff"].iter().all(|it| said.contains_key(&key(name, it)))
        };
        let lacking: Vec<&str> = pulls.iter().filter(|pull| !both(pull)).map(|(name, ..)| *name).collect();
        if lacking.is_empty() { Ok(()) } else { Err(format!("not said of {lacking:?} yet: {said:#?}")) }
    });
    if std::env::var_os("PRINT_ANSWERS").is_some() {
        println!("{said:#?}");
    }
    let mut wrong = Vec::new();
    for (name, _, _, finding) in &pulls {
        let found = explain(case, &namespace, name)["images"][0]["findings"].clone();
        if found.as_array().is_none_or(|found| found.len() != 1) || found[0]["reason"] != *finding {
            wrong.push(format!("{name} is {finding}, and explain says {found}: {said:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

pub fn logins_come_in_the_order_that_explain_gives_and_a_wrong_one_keeps_a_public_image_away(case: &Case) {
    let (name, public) = (&case.name, format!("{}-public", case.name));
    let namespace = case.namespace("a", false);
    case.registry().accept(name, &[("a-wide", "word")]);
    case.registry().accept(&public, &[("", "")]);
    let images = [case.image("gcr.io", name), case.image("gcr.io", &public)];
    let (project, whole) = (format!("gcr.io/{name}/"), format!("gcr.io/{name}/app"));
    let secrets: [(&str, Vec<(&str, &str)>); 3] = [
        ("a", vec![("gcr.io", "a-wide")]),
        ("b", vec![("gcr.io", "b-wide"), (&project, "b-project")]),
        ("c", vec![(&project, "c-project"), (&whole, "c-whole")]),
    ];
    for (secret, entries) in &secrets {
        case.by_hand(&namespace, secret, &logins(entries));
    }
    start(case, &namespace, "private", &images[0], &["a", "b", "c"]);
    start(case, &namespace, "public", &images[1], &["b"]);
    start(case, &namespace, "anonymous", &images[1], &["absent"]);
    case.wait_running(&namespace, "private");
    case.wait_running(&namespace, "anonymous");
    case.wait_pull_error(&namespace, "public");

    let tried = explain(case, &namespace, "private")["images"][0]["credentials"]["tried"].clone();
    let user = |attempt: &Value| {
        let secret = secrets.iter().find(|(secret, _)| attempt["secret"] == *secret).expect("one of ours");
        let entry = secret.1.iter().find(|(entry, _)| attempt["entry"] == *entry).expect("one of its entries");
        entry.1.to_owned()
    };
    let said: Vec<String> = tried.as_array().expect("a list").iter().map(user).collect();
    assert_eq!(said, ["c-whole", "b-project", "c-project", "a-wide", "b-wide"]);
    let mut asked: Vec<String> = case.registry().requests(name).into_iter().map(|request| request.user).collect();
    asked.dedup(); // for the manifest and for each blob
    assert_eq!(asked, said[..4], "the registry takes the fourth");

    let found = explain(case, &namespace, "public")["images"][0]["findings"][0]["reason"].clone();
    assert_eq!(found, "CredentialRefused");
    // The kubelet's Events come after its status.
    eventually(SOON, || match case.events(&namespace, "public").join("\n") {
        events if events.contains("401") => Ok(()),
        events => Err(events),
    });
    let refused: Vec<_> = case.registry().requests(&public).into_iter().filter(|it| !it.granted).collect();
    assert!(!refused.is_empty() && refused.iter().all(|it| it.user == "b-wide"), "{refused:?}");
}

pub fn a_secret_that_the_kubelet_cannot_read_blocks_a_public_image_and_one_that_is_absent_does_not(case: &Case) {
    let (name, other) = (&case.name, format!("{}-other", case.name));
    let namespace = case.namespace("a", false);
    for project in [name, &other] {
        case.registry().accept(project, &[("", ""), ("right", "word")]);
    }
    let (image, other) = (case.image("gcr.io", name), case.image("gcr.io", &other));
    case.by_hand(&namespace, "good", &logins(&[("gcr.io", "right")]));
    case.apply(&json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": "opaque", "namespace": namespace}, "stringData": {".dockerconfigjson": "broken"},
    }));
    for (form, config) in UNREADABLE {
        case.pull_secret(&namespace, form, config);
        start(case, &namespace, form, &image, &["good", form]);
    }
    start(case, &namespace, "passed-over", &other, &["absent", "opaque", "good"]);
    case.wait_running(&namespace, "passed-over");
    let (mut said, mut asked) = (BTreeMap::new(), 0);
    eventually(SOON, || {
        note_messages(case, &namespace, &mut said)?;
        // The kubelet waits for a Secret for a second; on a busy machine it then goes on without.
        for (form, _) in UNREADABLE {
            if case.get_pod(&namespace, form)?["status"]["phase"] == "Running" {
                case.cluster().kubectl_ok(&["-n", &namespace, "delete", "pod", form, "--grace-period=0", "--force"]);
                asked = case.registry().requests(name).len();
                start(case, &namespace, form, &image, &["good", form]);
            }
        }
        // What is wrong with the Secret is the reason itself: it is no ErrImagePull, as nothing was pulled.
        let blocked = |(form, _): &(&str, &str)| said.iter().any(|((pod, why), text)| pod == form && why == text);
        if UNREADABLE.iter().all(blocked) { Ok(()) } else { Err(format!("not all are blocked: {said:#?}")) }
    });
    if std::env::var_os("PRINT_ANSWERS").is_some() {
        println!("{said:#?}");
    }
    assert_eq!(case.registry().requests(name).split_off(asked), [], "the registry isn't asked at all");
    for (form, _) in UNREADABLE {
        let explained = explain(case, &namespace, form);
        assert_eq!(explained["images"][0]["credentials"]["outcome"], "Blocked", "{form}: {explained:#}");
        assert_eq!(explained["findings"][0]["reason"], "PullSecretUnparseable", "{form}: {explained:#}");
        // What the kubelet says tells as much, without the data.
        let explained = ask(case, &["explain", "--pod", &format!("{namespace}/{form}")]);
        let reason = &explained["images"][0]["findings"][0]["reason"];
        assert_eq!(reason, "PullSecretUnparseable", "{form}: {explained:#}");
    }
    let audit = ask(case, &["audit", "--namespace", &namespace]);
    let found = audit["findings"].as_array().expect("a list").iter();
    let blocked = found.filter(|it| it["reason"] == "PullSecretUnparseable").filter_map(|it| it["name"].as_str());
    assert_eq!(blocked.collect::<BTreeSet<_>>(), UNREADABLE.map(|(form, _)| form).into(), "{audit:#}");
    let explained = explain(case, &namespace, "passed-over");
    let states: Vec<&str> =
        explained["pullSecrets"].as_array().expect("a list").iter().filter_map(|it| it["state"].as_str()).collect();
    assert_eq!(states, ["Missing", "NoPullSecret", "Read"]);
    assert_eq!(explained["images"][0]["credentials"]["outcome"], "Credentials");
}

fn start(case: &Case, namespace: &str, name: &str, image: &str, secrets: &[&str]) {
    let secrets: Vec<Value> = secrets.iter().map(|name| json!({"name": name})).collect();
    let containers = json!([{"name": "app", "image": image, "imagePullPolicy": "Always"}]);
    case.apply(&pod(namespace, name, containers, json!({"imagePullSecrets": secrets})));
}

/// All have the same password.
fn logins<'a>(entries: &[(&'a str, &'a str)]) -> Vec<Login<'a>> {
    entries.iter().map(|&(entry, user)| (entry, user, "word")).collect()
}

fn key(pod: &str, reason: &str) -> (String, String) {
    (pod.to_owned(), reason.to_owned())
}

/// Adds what the pods of a namespace wait for: by name and reason, the message.
fn note_messages(case: &Case, namespace: &str, said: &mut BTreeMap<(String, String), String>) -> Result<(), String> {
    let pods = case.cluster().try_get_json(&["-n", namespace, "pods"])?;
    for pod in pods["items"].as_array().into_iter().flatten() {
        let waiting = &pod["status"]["containerStatuses"][0]["state"]["waiting"];
        let texts = [&pod["metadata"]["name"], &waiting["reason"], &waiting["message"]].map(Value::as_str);
        if let [Some(name), Some(reason), Some(message)] = texts {
            said.insert(key(name, reason), message.to_owned());
        }
    }
    Ok(())
}

/// What the built program says of a pod.
fn explain(case: &Case, namespace: &str, pod: &str) -> Value {
    ask(case, &["explain", "--read-secrets", "--pod", &format!("{namespace}/{pod}")])
}

/// What a command reports.
fn ask(case: &Case, args: &[&str]) -> Value {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regcred"));
    command.args(args).args(["-o", "json"]);
    let output = command.env("KUBECONFIG", case.cluster().kubeconfig(ADMIN)).output().expect("regcred runs");
    let text = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&text)
        .unwrap_or_else(|error| panic!("{error}: {text}{}", String::from_utf8_lossy(&output.stderr)))
}
