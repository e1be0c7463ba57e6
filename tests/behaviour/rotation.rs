//! What changes at the source or in the spec reaches every namespace, in place.

use std::collections::BTreeMap;

use controlplane::{Audit, Controllers, Options, eventually, kubernetes};
use serde_json::{Value, json};

use crate::{
    evidence::apply_all,
    probe::{uid, version},
    scope::Scope,
    world::{SOON, World, cluster, key},
};

fn uids(secrets: &BTreeMap<String, Value>) -> Vec<String> {
    secrets.values().map(uid).collect()
}

/// Waits until all managed Secrets satisfy `is`.
fn wait_all(world: &World, is: impl Fn(&Value) -> bool) -> BTreeMap<String, Value> {
    eventually(SOON, || {
        let secrets = world.managed()?;
        let late: Vec<_> = secrets.iter().filter(|(_, secret)| !is(secret)).map(|(name, _)| name.clone()).collect();
        if late.is_empty() { Ok(secrets) } else { Err(format!("not so yet: {late:?}")) }
    })
}

fn condition<'a>(object: &'a Value, type_: &str) -> &'a Value {
    let conditions = object["status"]["conditions"].as_array().unwrap();
    &conditions.iter().find(|condition| condition["type"] == type_).unwrap()["status"]
}

#[test]
fn a_rotated_key_updates_every_namespace_in_place_and_ready_is_said_only_after_the_last_of_them() {
    // Enough of them, one after the other, for statuses to be written on the way.
    const NAMESPACES: usize = 120;
    let audited = Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() };
    let world = World::on(cluster(audited), &["--concurrency=1"]);
    world.source("key", &key('a'));
    let names: Vec<String> = (0..NAMESPACES).map(|n| format!("team-{n:03}")).collect();
    let namespace = |name| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": names.iter().map(namespace).collect::<Vec<_>>()});
    world.cluster.apply(&list.to_string()).unwrap();
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    let ready = || {
        eventually(SOON, || match world.status("darwin")? {
            status if status["serviceAccounts"]["summary"] == format!("{NAMESPACES}/{NAMESPACES}") => Ok(status),
            status => Err(format!("{status:#}")),
        });
        world.wait_ready("darwin")
    };
    let first = ready();
    let before = world.managed().unwrap();
    let account = world.account("team-000", "default");

    let history = world.watch_credential("darwin");
    world.source("key", &key('b'));
    let source = world.cluster.get_json(&["-n", "regcred-system", "secret", "key"]);
    let observed = json!({"resourceVersion": source["metadata"]["resourceVersion"]});
    let is_told = |object: &Value| object["status"]["observedSource"] == observed;
    // What docs/rotation.md tells people to wait for.
    eventually(SOON, || match world.status("darwin")?["observedSource"] == observed {
        true => Ok(()),
        false => Err("the new source isn't observed".to_owned()),
    });
    world.kubectl(&["wait", "--for=condition=Ready", "--timeout=30s", "registrycredential/darwin"]);
    let after = world.managed().unwrap();
    for (name, secret) in &after {
        assert!(controlplane::password(secret).unwrap() == key('b'), "{name} holds the old key when Ready is said");
    }
    assert_eq!(uids(&after), uids(&before));
    assert_eq!(world.account("team-000", "default"), account, "a rotation is no business of service accounts");

    // Each status on the way was true when it was written.
    let last = after.values().map(version).max().unwrap();
    let told = eventually(SOON, || {
        let told: Vec<Value> = history.versions().into_iter().filter(is_told).collect();
        let is_end = told.last().is_some_and(|object| condition(object, "Ready") == "True");
        if is_end { Ok(told) } else { Err(format!("{told:#?}")) }
    });
    for object in told {
        let too_early = condition(&object, "Ready") == "True" && version(&object) < last;
        assert!(!too_early, "Ready was said before every namespace held the new key: {:#}", object["status"]);
        assert_eq!(condition(&object, "CredentialValid"), "True");
    }
    let time = |status: &Value| status["lastRolloutTime"].as_str().unwrap().to_owned();
    assert!(time(&world.status("darwin").unwrap()) >= time(&first));
    world.settle();
    let writes = world.all_writes();
    for name in &names {
        let writes = writes.iter().filter(|write| write.namespace == *name && write.resource == "secrets");
        assert_eq!(writes.count(), 2, "{name}: one write to create, one to rotate");
    }

    // The same bytes again are another version of the source, but nothing to write.
    world.kubectl(&["-n", "regcred-system", "annotate", "secret", "key", "touched=yes"]);
    let touched = world.cluster.get_json(&["-n", "regcred-system", "secret", "key"]);
    eventually(SOON, || match world.status("darwin")?["observedSource"]["resourceVersion"] {
        ref seen if *seen == touched["metadata"]["resourceVersion"] => Ok(()),
        ref seen => Err(format!("{seen} is observed")),
    });
    world.wait_ready("darwin");
    assert_eq!(world.writes("team-000", "secrets").len(), 2);

    // Registries, labels and annotations change in place, too.
    let registries = json!(["eu.gcr.io/darwin/", "europe-docker.pkg.dev/darwin/"]);
    let template = json!({"labels": {"team": "infra"}, "annotations": {"wiki": "w"}});
    let spec = json!({"namespaces": {"names": ["team-*"]}, "registries": registries, "secretTemplate": template});
    world.credential("darwin", spec);
    let meta = |secret: &Value, map: &str, key: &str| secret["metadata"][map].get(key).cloned();
    let changed = wait_all(&world, |secret| {
        meta(secret, "labels", "team") == Some(json!("infra"))
            && meta(secret, "annotations", "wiki") == Some(json!("w"))
    });
    assert_eq!(uids(&changed), uids(&before));
    let hosts = json!(["eu.gcr.io/darwin/", "europe-docker.pkg.dev/darwin/"]);
    assert_eq!(json!(registries_of(&changed["team-000/darwin"])), hosts);
    ready();
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}, "registries": ["gcr.io/darwin/"]}));
    let plain = wait_all(&world, |secret| {
        meta(secret, "labels", "team").is_none() && meta(secret, "annotations", "wiki").is_none()
    });
    assert_eq!(uids(&plain), uids(&before));
    assert_eq!(registries_of(&plain["team-000/darwin"]), ["gcr.io/darwin/"]);
    world.assert_nothing_was_forbidden();
}

fn registries_of(secret: &Value) -> Vec<String> {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let data = STANDARD.decode(secret["data"][".dockerconfigjson"].as_str().unwrap()).unwrap();
    let config: Value = serde_json::from_slice(&data).unwrap();
    config["auths"].as_object().unwrap().keys().cloned().collect()
}

#[test]
fn without_a_usable_source_or_while_suspended_nothing_is_written_or_removed_and_all_is_caught_up_afterwards() {
    let world = World::new();
    let images = json!({"images": "private"});
    for name in ["team-a", "team-b"] {
        world.namespace(name, images.clone());
    }
    let spec =
        |suspend: bool| json!({"namespaces": {"selector": {"matchLabels": {"images": "private"}}}, "suspend": suspend});
    // The source comes after the resource.
    world.credential("darwin", spec(false));
    let message = world.wait_condition("darwin", "Stalled", "True", "SourceNotFound");
    assert!(message.contains("regcred-system/key"), "{message}");
    world.source("key", &key('a'));
    world.wait_accounts_with("darwin", &["team-a/default", "team-b/default"]);
    world.wait_ready("darwin");
    world.settle();
    let before = world.managed().unwrap();
    let is_as_before = || {
        assert_eq!(world.managed().unwrap(), before);
        assert_eq!(world.accounts_with("darwin").unwrap(), ["team-a/default", "team-b/default"]);
    };

    // A broken source, and none: the last good credential stays, over a restart, too.
    world.source("key", "not a key");
    world.wait_condition("darwin", "CredentialValid", "False", "InvalidKey");
    world.kubectl(&["-n", "regcred-system", "delete", "secret", "key"]);
    world.wait_condition("darwin", "Ready", "False", "SourceNotFound");
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.settle();
    is_as_before();
    world.source("key", &key('a'));
    world.wait_ready("darwin");
    is_as_before();

    let rolled_out = world.cluster.get_json(&["registrycredential", "darwin"])["metadata"]["generation"].clone();
    world.credential("darwin", spec(true));
    world.wait_condition("darwin", "Suspended", "True", "Suspended");
    // Ready is still said of what was rolled out, and of no other spec.
    let status = world.status("darwin").unwrap();
    let ready = status["conditions"].as_array().unwrap().iter().find(|c| c["type"] == "Ready").unwrap();
    assert_eq!((&ready["status"], &ready["observedGeneration"]), (&json!("True"), &rolled_out), "{status:#}");
    assert_ne!(status["observedGeneration"], rolled_out);
    world.source("key", &key('b'));
    world.namespace("team-c", images.clone());
    world.kubectl(&["label", "namespace", "team-b", "images-"]);
    world.settle();
    is_as_before();
    // What comes and goes meanwhile is counted, and what somebody takes away.
    world.wait_namespaces("darwin", "1/2");
    world.kubectl(&["-n", "team-a", "delete", "secret", "darwin"]);
    world.wait_namespaces("darwin", "0/2");
    world.patch("team-a", "serviceaccount/default", json!({"imagePullSecrets": null}));
    world.settle();
    assert!(world.secret("team-a", "darwin").is_err());
    assert_eq!(world.entries("team-a", "default").unwrap(), [""; 0]);
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.namespace("team-d", images.clone());
    world.wait_namespaces("darwin", "0/3");
    world.kubectl(&["delete", "namespace", "team-d"]);
    world.wait_namespaces("darwin", "0/2");

    world.credential("darwin", spec(false));
    for name in ["team-a", "team-c"] {
        world.wait_password(name, "darwin", &key('b'));
    }
    world.wait_accounts_with("darwin", &["team-a/default", "team-c/default"]);
    world.wait_no_secret("team-b", "darwin");
    world.wait_namespaces("darwin", "2/2");
    world.wait_ready("darwin");
    world.assert_nothing_was_forbidden();
}

/// A RegistryCredential for `team-a` whose Secret has these labels.
fn labelled(world: &World, labels: Value) {
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}, "secretTemplate": {"labels": labels}}));
}

/// Waits until its Secret has these labels and ours, no other, and it is ready.
fn wait_labels(world: &World, mut wanted: Value) {
    wanted["regcred.dev/credential"] = json!("darwin");
    eventually(SOON, || match world.secret("team-a", "darwin")?["metadata"]["labels"].clone() {
        labels if labels == wanted => Ok(()),
        labels => Err(format!("{labels}, not {wanted}")),
    });
    world.wait_ready("darwin");
}

fn rotate(world: &World, to: char) {
    world.source("key", &key(to));
    world.wait_password("team-a", "darwin", &key(to));
}

/// By whichever request the Secret was made and changed since.
#[test]
fn a_label_that_leaves_the_template_leaves_the_secret_and_those_of_others_stay() {
    let world = World::new();
    world.namespace("team-a", json!({}));
    world.source("key", &key('a'));
    let template = |labels| labelled(&world, labels);
    let wait_labels = |wanted| wait_labels(&world, wanted);
    template(json!({"a": "1", "b": "1"}));
    wait_labels(json!({"a": "1", "b": "1"}));
    for key_now in ['b', 'a'] {
        world.kubectl(&["-n", "team-a", "label", "secret", "darwin", "theirs=1"]);
        template(json!({"a": "2"}));
        wait_labels(json!({"a": "2", "theirs": "1"}));
        rotate(&world, key_now);
        template(json!({"c": "1"}));
        wait_labels(json!({"c": "1", "theirs": "1"}));
        world.settle();
        let (secret, writes) = (world.secret("team-a", "darwin").unwrap(), world.writes("team-a", "secrets").len());
        world.settle();
        assert_eq!(world.secret("team-a", "darwin").unwrap(), secret);
        assert_eq!(world.writes("team-a", "secrets").len(), writes, "it is as wanted");
        // Made anew, and rotated before the template changes.
        world.kubectl(&["-n", "team-a", "delete", "secret", "darwin"]);
        template(json!({"a": "1", "b": "1"}));
        wait_labels(json!({"a": "1", "b": "1"}));
        let other = if key_now == 'a' { 'b' } else { 'a' };
        rotate(&world, other);
        wait_labels(json!({"a": "1", "b": "1"}));
    }
}

#[test]
fn a_secret_is_replaced_by_one_request_while_nobody_else_has_a_part_in_it() {
    let world = World::new();
    world.namespace("team-a", json!({}));
    world.source("key", &key('a'));
    let template = |labels| labelled(&world, labels);
    let wait_labels = |wanted| wait_labels(&world, wanted);
    let rotate = |to| rotate(&world, to);
    template(json!({"b": "1"}));
    world.wait_password("team-a", "darwin", &key('a'));
    rotate('b');
    template(json!({"a": "1", "b": "1"}));
    wait_labels(json!({"a": "1", "b": "1"}));
    rotate('a');
    template(json!({"b": "1"}));
    wait_labels(json!({"b": "1"}));
    world.kubectl(&["-n", "team-a", "label", "secret", "darwin", "theirs=1"]);
    rotate('b');
    template(json!({"a": "2", "b": "1"}));
    wait_labels(json!({"a": "2", "b": "1", "theirs": "1"}));
    world.kubectl(&["-n", "team-a", "label", "secret", "darwin", "theirs-"]);
    rotate('a');
    world.settle();
    let writes = world.writes("team-a", "secrets");
    let verbs: Vec<&str> = writes.iter().map(|write| write.verb.as_str()).collect();
    // What rights by name make by an apply, only an apply changes but for its value.
    let wanted = match Scope::of_suite() {
        None => "create update update update update patch patch update",
        Some(_) => "patch update patch update patch patch patch update",
    };
    assert_eq!(verbs.join(" "), wanted);
    assert!(writes.iter().all(|write| write.code < 300), "{writes:#?}");
}

#[test]
fn what_admission_adds_to_a_secret_of_ours_stays() {
    if kubernetes() < (1, 36) {
        return; // no such policies in this version
    }
    // It belongs to no field manager: managedFields are written before it is added.
    let add = json!({
        "patchType": "ApplyConfiguration",
        "applyConfiguration": {
            "expression": "Object{metadata: Object.metadata{labels: {'theirs': 'x'}, annotations: {'theirs': 'y'}}}",
        },
    });
    let rule = json!({"apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets"], "operations": ["CREATE"]});
    let policy = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicy", "metadata": {"name": "theirs"},
        "spec": {
            "matchConstraints": {"resourceRules": [rule]}, "failurePolicy": "Fail", "reinvocationPolicy": "Never",
            "mutations": [add],
        },
    });
    let binding = json!({
        "apiVersion": "admissionregistration.k8s.io/v1", "kind": "MutatingAdmissionPolicyBinding",
        "metadata": {"name": "theirs"}, "spec": {"policyName": "theirs"},
    });
    let world = World::new();
    world.namespace("team-a", json!({}));
    apply_all(&world.cluster, vec![policy, binding]);
    // It is in force about a second later.
    eventually(SOON, || {
        let probe = ["-n", "team-a", "create", "secret", "generic", "probe", "--dry-run=server", "-o", "json"];
        let probe: Value = serde_json::from_str(&world.kubectl(&probe)).map_err(|error| error.to_string())?;
        if probe["metadata"]["labels"]["theirs"] == "x" { Ok(()) } else { Err("it isn't in force yet".to_owned()) }
    });
    world.source("key", &key('a'));
    let template = |labels| labelled(&world, labels);
    let assert_kept = |label: &str| {
        wait_labels(&world, json!({label: "1", "theirs": "x"}));
        assert_eq!(world.secret("team-a", "darwin").unwrap()["metadata"]["annotations"]["theirs"], "y");
    };
    template(json!({"a": "1"}));
    assert_kept("a");
    for (to, label) in [('b', "a"), ('a', "b")] {
        rotate(&world, to);
        assert_kept("a");
        template(json!({label: "1"}));
        assert_kept(label);
        template(json!({"a": "1"}));
        assert_kept("a");
    }
    world.settle();
    let writes = world.writes("team-a", "secrets").len();
    world.settle();
    assert_eq!(world.writes("team-a", "secrets").len(), writes, "it is as wanted");
}
