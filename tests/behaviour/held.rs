//! A credential that is held keeps what it has and its name, also across a restart, until it is mended.

use controlplane::{Audit, Controllers, Options};
use serde_json::{Value, json};

use crate::{
    evidence::{apply_all, namespaces, requests, source, versions, wait_reasons},
    world::{SOON, World, cluster, credential, key},
};

/// What holds a credential: its name here, the reason that is given, and what a person does to bring it about.
const CAUSES: [(&str, &str); 6] = [
    ("deleted", "SourceNotFound"),
    ("invalid", "InvalidKey"),
    ("suspended", "Suspended"),
    ("evil", "RegistryNotAllowed"),
    ("newer", "UnsupportedCredential"),
    ("broken", "Undecodable"),
];

/// The CRD without any rule on the spec, as a newer version's might let pass what this one can't read.
fn loose_crd() -> String {
    let mut crd = serde_json::to_value(regcred::api::crd::crd()).unwrap();
    let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].as_object_mut().unwrap();
    schema.remove("x-kubernetes-validations");
    schema["properties"]["spec"] = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    crd.to_string()
}

fn world() -> World {
    let controllers = Controllers::Default;
    World::on(
        cluster(Options { controllers, audit: Audit::Metadata, manifests: vec![loose_crd()], ..Options::default() }),
        &[],
    )
}

/// The credential of that name with a source of that name.
fn of(name: &str) -> Value {
    let from = json!({"gcpServiceAccountKey": {"secretRef": {"name": name, "key": "key.json"}}});
    credential(name, json!({"credential": from, "namespaces": {"names": ["team-*"]}}))
}

/// A younger credential that wants the Secrets of `name`; by name, too, it comes last, as ages are in whole seconds.
fn rival(name: &str) -> Value {
    let template = json!({"name": name});
    let names = json!({"names": ["team-*"]});
    credential(&format!("younger-{name}"), json!({"secretTemplate": template, "namespaces": names}))
}

fn patch(world: &World, name: &str, spec: Value) {
    let patch = json!({"spec": spec}).to_string();
    world.cluster.kubectl_ok(&["patch", "registrycredential", name, "--type=merge", "-p", &patch]);
}

fn hold(world: &World) {
    world.cluster.kubectl_ok(&["-n", "regcred-system", "delete", "secret", "deleted"]);
    world.source("invalid", "not a key");
    patch(world, "suspended", json!({"suspend": true}));
    patch(world, "evil", json!({"registries": ["registry.evil.example"]}));
    patch(world, "newer", json!({"credential": {"gcpServiceAccountKey": null, "fromTheFuture": {"a": 1}}}));
    patch(world, "broken", json!({"namespaces": 5}));
}

fn mend(world: &World) {
    world.source("deleted", &key('a'));
    world.source("invalid", &key('a'));
    patch(world, "suspended", json!({"suspend": false}));
    patch(world, "evil", json!({"registries": ["gcr.io/darwin/"]}));
    let from = json!({"fromTheFuture": null, "gcpServiceAccountKey": {"secretRef": {"name": "newer"}}});
    patch(world, "newer", json!({"credential": from}));
    patch(world, "broken", json!({"namespaces": {"names": ["team-*"]}}));
}

fn all(reason: &str) -> Vec<(&str, &str)> {
    CAUSES.iter().map(|(name, _)| (*name, reason)).collect()
}

#[test]
fn every_held_credential_keeps_its_secrets_and_entries_and_name_across_a_restart() {
    let world = world();
    namespaces(&world.cluster, "team", 2);
    let sources = CAUSES.iter().map(|(name, _)| source(name, key('a').as_bytes()));
    apply_all(&world.cluster, sources.collect());
    apply_all(&world.cluster, CAUSES.iter().map(|(name, _)| of(name)).collect());
    wait_reasons(&world, &all("RolledOut"));
    let converged = versions(&world);

    hold(&world);
    wait_reasons(&world, &CAUSES);
    // A rival that comes while they are held; its own source is fine.
    world.source("key", &key('b'));
    apply_all(&world.cluster, CAUSES.iter().map(|(name, _)| rival(name)).collect());
    let rivals: Vec<String> = CAUSES.iter().map(|(name, _)| format!("younger-{name}")).collect();
    // The Secrets of a credential that can't be read may be anywhere, and each of its rivals is refused everywhere.
    let refused: Vec<_> = rivals.iter().map(|name| (name.as_str(), "PartiallyReady")).collect();
    wait_reasons(&world, &refused);
    assert_eq!(versions(&world), converged);

    for kill in [false, true] {
        let before = requests(&world.cluster).len();
        if kill {
            world.operator.kill9();
        }
        world.operator.restart();
        world.operator.wait_ready(SOON);
        wait_reasons(&world, &CAUSES);
        wait_reasons(&world, &refused);
        // A marker: something that comes later than all of that has been worked on.
        let marker = if kill { "killed" } else { "restarted" };
        world.namespace(marker, json!({}));
        world.credential(marker, json!({"namespaces": {"names": [marker]}}));
        world.wait_entries(marker, "default", &[marker]);
        let touched = versions(&world).into_iter().filter(|(name, _)| name.contains(" team-"));
        let expected = converged.clone().into_iter().filter(|(name, _)| name.contains(" team-"));
        assert_eq!(touched.collect::<Vec<_>>(), expected.collect::<Vec<_>>());
        let written: Vec<_> = requests(&world.cluster).split_off(before);
        let tried = written.iter().find(|r| r.is_write() && r.namespace.starts_with("team-"));
        assert_eq!(tried, None, "a write was tried, though in vain");
    }

    mend(&world);
    wait_reasons(&world, &all("RolledOut"));
    let rotated = CAUSES.iter().map(|(name, _)| source(name, key('b').as_bytes()));
    apply_all(&world.cluster, rotated.collect());
    for (name, _) in CAUSES {
        world.wait_password("team-1", name, &key('b'));
    }
    wait_reasons(&world, &refused);
}

#[test]
fn a_credential_whose_source_never_was_reserves_its_name_across_a_restart() {
    let world = world();
    namespaces(&world.cluster, "team", 1);
    world.cluster.apply(&of("waiting").to_string()).unwrap();
    wait_reasons(&world, &[("waiting", "SourceNotFound")]);
    world.source("key", &key('b'));
    world.cluster.apply(&rival("waiting").to_string()).unwrap();
    let expected = [("waiting", "SourceNotFound"), ("younger-waiting", "PartiallyReady")];
    wait_reasons(&world, &expected);
    world.operator.restart();
    world.operator.wait_ready(SOON);
    wait_reasons(&world, &expected);
    world.credential("marker", json!({"namespaces": {"names": ["team-0"]}}));
    world.wait_entries("team-0", "default", &["marker"]);
    assert!(world.secret("team-0", "waiting").unwrap_err().contains("not found"));

    world.source("waiting", &key('a'));
    wait_reasons(&world, &[("waiting", "RolledOut"), ("younger-waiting", "PartiallyReady")]);
    world.wait_password("team-0", "waiting", &key('a'));
    // Only its deletion frees the name.
    world.cluster.kubectl_ok(&["delete", "registrycredential", "waiting"]);
    world.wait_password("team-0", "waiting", &key('b'));
    world.wait_entries("team-0", "default", &["marker", "waiting"]);
}

#[test]
fn a_held_credential_can_be_deleted_and_takes_its_secrets_and_entries_with_it() {
    let world = world();
    namespaces(&world.cluster, "team", 1);
    for name in ["invalid", "broken"] {
        world.source(name, &key('a'));
        world.cluster.apply(&of(name).to_string()).unwrap();
        world.wait_ready(name);
    }
    world.source("invalid", "not a key");
    patch(&world, "broken", json!({"namespaces": 5}));
    wait_reasons(&world, &[("invalid", "InvalidKey"), ("broken", "Undecodable")]);
    world.cluster.kubectl_ok(&["delete", "registrycredential", "invalid", "broken"]);
    world.wait_entries("team-0", "default", &[]);
    world.wait_no_secret("team-0", "invalid");
    world.wait_no_secret("team-0", "broken");
}

#[test]
fn entries_of_a_predecessor_with_another_secret_name_go_though_its_successor_is_held() {
    let world = world();
    namespaces(&world.cluster, "team", 1);
    world.source("invalid", &key('a'));
    world.cluster.apply(&of("invalid").to_string()).unwrap();
    world.wait_ready("invalid");
    world.wait_entries("team-0", "default", &["invalid"]);
    // Nobody sees that it is gone for a while.
    world.operator.kill9();
    world.cluster.kubectl_ok(&["delete", "registrycredential", "invalid"]);
    world.source("invalid", "not a key");
    let mut successor = of("invalid");
    successor["spec"]["secretTemplate"] = json!({"name": "other"});
    world.cluster.apply(&successor.to_string()).unwrap();
    world.operator.restart();
    wait_reasons(&world, &[("invalid", "InvalidKey")]);
    world.wait_entries("team-0", "default", &[]);
    world.wait_no_secret("team-0", "invalid");
    assert!(world.account("team-0", "default")["metadata"]["annotations"].is_null());
}
