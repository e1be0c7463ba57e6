//! Without cluster-wide access to Secrets: what the operator does where its rights and its flag name a few of them.

use controlplane::{
    Answer, Audit, ControlPlane, Controllers, FaultProxy, Lent, OPERATOR, Operator, Options, eventually,
};
use serde_json::{Value, json};

use crate::{
    evidence::{namespaces, requests, versions, wait_reasons},
    scope::{MANAGED_NAMES, Scope},
    world::{ROOT, SOON, World, key, operator, operator_with, unauthorized_cluster},
};

/// What `settle` uses, and the service accounts that it makes.
const MARKER: &str = "zz-marker";
const ACCOUNTS: [&str; 5] = ["default", "round-0", "round-1", "round-2", "round-3"];

fn cluster() -> Lent {
    unauthorized_cluster(Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() })
}

/// An operator that manages these names, and is ready.
fn managing(cluster: &ControlPlane, names: &str) -> Operator {
    let operator = operator(cluster, &[MANAGED_NAMES, names]);
    operator.wait_ready(SOON);
    operator
}

/// A world where these names of Secrets are allowed and managed, and those of service accounts.
fn world(secrets: &[&str], accounts: &[&str]) -> World {
    let cluster = cluster();
    Scope::new(secrets, accounts).install(&cluster);
    let operator = managing(&cluster, &secrets.join(","));
    World::with(cluster, operator)
}

/// From now on these names are allowed and managed, by another process.
fn manage(world: &mut World, secrets: &[&str], accounts: &[&str]) {
    world.operator.stop();
    Scope::new(secrets, accounts).install(&world.cluster);
    world.operator = managing(&world.cluster, &secrets.join(","));
}

fn strings(list: &Value) -> Vec<&str> {
    list.as_array().unwrap().iter().map(|item| item.as_str().unwrap()).collect()
}

#[test]
fn the_overlay_gives_the_operator_the_names_that_its_role_allows_and_they_are_served_repaired_and_removed() {
    let cluster = cluster();
    let deployment = Scope::new(&["darwin-secret", "other"], &["default"]).install(&cluster);
    let container = &deployment["spec"]["template"]["spec"]["containers"][0];
    let command = [strings(&container["command"]), strings(&container["args"])].concat();
    assert_eq!(command, ["/regcred", "run", MANAGED_NAMES, "darwin-secret", "other"]);
    let operator = operator(&cluster, &command[2..]);
    operator.wait_ready(SOON);
    let world = World::with(cluster, operator);

    namespaces(&world.cluster, "team", 3);
    world.source("key", &key('a'));
    world.foreign_secret("team-2", "other", "kubernetes.io/dockerconfigjson");
    world.foreign_secret("team-1", "other", "Opaque");
    let targets = json!({"names": ["team-*"]});
    world.credential("darwin", json!({"namespaces": targets, "secretTemplate": {"name": "darwin-secret"}}));
    world.credential("other", json!({"namespaces": targets}));
    world.wait_ready("darwin");
    world.wait_failure("other", "team-2", "ForeignSecret");
    world.wait_failure("other", "team-1", "WrongType");
    world.wait_entries("team-2", "default", &["darwin-secret"]);
    let mut entries = world.entries("team-0", "default").unwrap();
    entries.sort_unstable();
    assert_eq!(entries, ["darwin-secret", "other"]);

    // Drift, each kind where another name's watch has nothing to say.
    let spoilt = json!({"data": {".dockerconfigjson": "e30="}});
    world.patch("team-0", "secret/darwin-secret", spoilt);
    world.kubectl(&["-n", "team-0", "delete", "secret", "other"]);
    world.wait_password("team-0", "darwin-secret", &key('a'));
    world.wait_password("team-0", "other", &key('a'));
    world.patch("team-1", "serviceaccount/default", json!({"imagePullSecrets": null}));
    world.wait_entries("team-1", "default", &["darwin-secret"]);
    // What was in the way goes, and a namespace and a key come.
    world.kubectl(&["-n", "team-2", "delete", "secret", "other"]);
    world.wait_entries("team-2", "default", &["darwin-secret", "other"]);
    world.namespace("team-3", json!({}));
    world.source("key", &key('b'));
    for (namespace, name) in [("team-0", "other"), ("team-2", "other"), ("team-3", "darwin-secret")] {
        world.wait_password(namespace, name, &key('b'));
    }

    world.delete_credential("darwin");
    world.wait_no_secret("team-3", "darwin-secret");
    world.wait_entries("team-2", "default", &["other"]);
    world.assert_nothing_was_forbidden();
    let outside = |entry: &controlplane::AuditEntry| entry.resource == "secrets" && entry.namespace != "regcred-system";
    for read in requests(&world.cluster).iter().filter(|entry| outside(entry) && !entry.is_write()) {
        assert!(!read.name.is_empty(), "{read:#?}");
    }
}

#[test]
fn its_token_lists_watches_and_gets_no_secrets_but_those_it_manages() {
    let cluster = cluster();
    // The wide rights that config/default gave before are gone with it.
    cluster.kubectl_ok(&["apply", "--server-side", "-k", &format!("{ROOT}/config/rbac")]);
    Scope::new(&["darwin-secret"], &["default"]).install(&cluster);
    let output = cluster.kubectl_as(OPERATOR, &["auth", "can-i", "--list", "-n", "default", "--no-headers"]);
    let rules = String::from_utf8(output.stdout).unwrap();
    let about = |resource: &str| {
        rules.lines().filter(|line| line.starts_with(&format!("{resource} "))).map(str::to_owned).collect::<Vec<_>>()
    };
    assert!(about("*").is_empty() && about("*.*").is_empty(), "{rules}");
    let (secrets, accounts) = (about("secrets"), about("serviceaccounts"));
    assert_eq!(secrets.len(), 1, "{rules}");
    assert!(secrets[0].contains("[darwin-secret]") && secrets[0].contains("[get list watch create"), "{rules}");
    assert_eq!(accounts.len(), 2, "{rules}");
    assert!(accounts.iter().any(|line| line.contains("[default]") && line.ends_with("[get patch]")), "{rules}");
    assert!(accounts.iter().any(|line| line.ends_with("[list watch]")), "{rules}");

    let may = |args: &[&str]| {
        let output = cluster.kubectl_as(OPERATOR, &[&["auth", "can-i"], args].concat());
        String::from_utf8(output.stdout).unwrap().trim() == "yes"
    };
    for verb in ["get", "list", "watch", "patch", "create", "delete", "update"] {
        assert!(!may(&[verb, "secrets", "-n", "default"]), "{verb}");
        assert!(!may(&[verb, "secrets", "-A"]), "{verb}");
        assert!(!may(&[verb, "secret/other", "-n", "default"]), "{verb}");
    }
    assert!(may(&["get", "secret/darwin-secret", "-n", "default"]));
    // The sources, in its own namespace only, and only to read.
    for (verb, allowed) in [("get", true), ("list", true), ("watch", true), ("patch", false), ("delete", false)] {
        assert_eq!(may(&[verb, "secrets", "-n", "regcred-system"]), allowed, "{verb}");
    }
}

#[test]
fn a_name_that_isnt_managed_is_held_and_keeps_what_it_has_until_it_is_managed_again() {
    let mut world = world(&["kept", "managed", MARKER], &ACCOUNTS);
    namespaces(&world.cluster, "team", 2);
    world.source("key", &key('a'));
    for name in ["kept", "managed"] {
        world.credential(name, json!({"namespaces": {"names": ["team-*"]}}));
        world.wait_ready(name);
    }
    let kept = |world: &World| {
        let all = versions(world).into_iter().filter(|(name, _)| name.ends_with("/kept"));
        all.collect::<Vec<_>>()
    };
    let before = kept(&world);
    assert_eq!(before.len(), 2);

    manage(&mut world, &["managed", MARKER], &ACCOUNTS);
    let message = world.wait_condition("kept", "Ready", "False", "SecretNameNotAllowed");
    world.wait_condition("kept", "Stalled", "True", "SecretNameNotAllowed");
    assert!(message.contains("--managed-secret-names (managed, zz-marker)") && message.contains("kept"), "{message}");
    world.may_be_unmanaged = true;
    // Its name is nobody else's, neither a new one nor one that loses what it has.
    world.credential("late", json!({"namespaces": {"names": ["team-*"]}, "secretTemplate": {"name": "kept"}}));
    world.credential("never-was", json!({"namespaces": {"names": ["team-*"]}}));
    wait_reasons(&world, &[("late", "SecretNameNotAllowed"), ("never-was", "SecretNameNotAllowed")]);
    world.source("key", &key('b'));
    world.wait_password("team-1", "managed", &key('b'));
    world.namespace("team-2", json!({}));
    world.wait_entries("team-2", "default", &["managed"]);
    world.settle();
    assert_eq!(kept(&world), before);
    assert_eq!(world.entries("team-0", "default").unwrap().len(), 2);
    world.assert_nothing_was_forbidden();

    manage(&mut world, &["kept", "managed", MARKER], &ACCOUNTS);
    world.wait_password("team-0", "kept", &key('b'));
    world.wait_password("team-2", "kept", &key('b'));
    world.wait_ready("kept");
    wait_reasons(&world, &[("late", "PartiallyReady"), ("never-was", "SecretNameNotAllowed")]);
}

#[test]
fn entries_of_a_name_that_isnt_managed_stay_as_its_secrets_may_have_been_left_to_people() {
    let mut world = world(&["left", MARKER], &ACCOUNTS);
    namespaces(&world.cluster, "team", 1);
    world.source("key", &key('a'));
    world.credential("left", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_ready("left");
    world.operator.stop();
    world.kubectl(&["delete", "registrycredential", "left", "--cascade=orphan"]);

    manage(&mut world, &[MARKER], &ACCOUNTS);
    world.settle();
    world.wait_entries("team-0", "default", &["left"]);
    assert_eq!(world.password("team-0", "left").unwrap(), key('a'));
    manage(&mut world, &["left", MARKER], &ACCOUNTS);
    world.settle();
    world.wait_entries("team-0", "default", &["left"]);
}

#[test]
fn a_watch_of_one_name_that_begins_anew_says_nothing_of_another() {
    let cluster = cluster();
    Scope::new(&["steady", "anew"], &["default"]).install(&cluster);
    let proxy = FaultProxy::start(&cluster);
    let operator = operator_with(proxy.kubeconfig(), &[MANAGED_NAMES, "steady,anew"]);
    operator.wait_ready(SOON);
    let world = World::with(cluster, operator);
    namespaces(&world.cluster, "team", 3);
    world.source("key", &key('a'));
    for name in ["steady", "anew"] {
        world.credential(name, json!({"namespaces": {"names": ["team-*"]}}));
        world.wait_ready(name);
    }
    let before = requests(&world.cluster).len();

    // Its version is too old, and while it can't begin anew a Secret goes: only the new list tells.
    let (sender, told) = std::sync::mpsc::channel();
    let mut told_once = false;
    proxy.answer(move |request| {
        if !request.is_watch() || !request.uri.contains("metadata.name%3Danew") {
            return None;
        }
        sender.send(()).unwrap();
        match std::mem::replace(&mut told_once, true) {
            false => Some(Answer::GoneEvent),
            true => Some(Answer::Refuse(503, "ServiceUnavailable", "a fault of the test".to_owned())),
        }
    });
    assert!(proxy.cut_watches() >= 6);
    (0..2).for_each(|_| told.recv_timeout(SOON).unwrap());
    world.kubectl(&["-n", "team-1", "delete", "secret", "anew"]);
    proxy.answer(|_| None);
    world.wait_password("team-1", "anew", &key('a'));
    world.wait_ready("anew");
    // All that was known of the other name still is: it isn't so much as looked for.
    let since = requests(&world.cluster).split_off(before);
    let asked = |entry: &&controlplane::AuditEntry| {
        entry.resource == "secrets" && entry.name == "steady" && entry.verb != "watch"
    };
    assert_eq!(since.iter().find(asked), None);
    let written: Vec<_> = since.iter().filter(|entry| entry.resource == "secrets" && entry.is_write()).collect();
    assert!(written.iter().all(|entry| (&*entry.namespace, &*entry.name) == ("team-1", "anew")), "{written:#?}");
}

#[test]
fn a_service_account_beyond_those_that_the_role_names_is_refused_by_name_and_the_others_are_served() {
    let mut world = world(&["darwin"], &["default"]);
    world.may_be_refused = true;
    namespaces(&world.cluster, "team", 1);
    world.service_account("team-0", "builder", json!({}), &[]);
    world.source("key", &key('a'));
    world.credential(
        "darwin",
        json!({"namespaces": {"names": ["team-0"]}, "attach": {"serviceAccounts": {"names": ["*"]}}}),
    );
    let message = world.wait_failure("darwin", "team-0", "WriteDenied");
    assert!(message.contains(r#"serviceaccounts "builder" is forbidden"#), "{message}");
    assert!(message.contains("cannot patch resource"), "{message}");
    world.wait_entries("team-0", "default", &["darwin"]);
    world.wait_condition("darwin", "Ready", "False", "PartiallyReady");

    // The wide rule, as the overlay's comment says, and it goes on by itself.
    let wide = r#"[{"op": "add", "path": "/rules/-", "value":
        {"apiGroups": [""], "resources": ["serviceaccounts"], "verbs": ["get", "patch"]}}]"#;
    world.kubectl(&["patch", "clusterrole", "regcred", "--type=json", "-p", wide]);
    world.wait_entries("team-0", "builder", &["darwin"]);
    world.wait_ready("darwin");
}

#[test]
fn a_managed_name_that_the_role_doesnt_allow_is_said_and_nothing_is_done_before_it_does() {
    let cluster = cluster();
    Scope::new(&["darwin"], &["default"]).install(&cluster);
    let operator = operator(&cluster, &[MANAGED_NAMES, "darwin,forgotten"]);
    let mut world = World::with(cluster, operator);
    world.may_be_refused = true;
    let said = eventually(SOON, || {
        let log = world.operator.log();
        let said = log.lines().find(|line| line.contains("Secrets may not be listed and watched")).map(str::to_owned);
        said.ok_or(log)
    });
    assert!(said.contains("forgotten") && said.contains(MANAGED_NAMES) && !said.contains("\"darwin\""), "{said}");
    assert_eq!(world.operator.get("/readyz").unwrap().0, 503);
    Scope::new(&["darwin", "forgotten"], &["default"]).install(&world.cluster);
    world.operator.wait_ready(SOON * 2);
}
