//! What doesn't depend on the kind, seen to hold for each: somebody else's Secret, taking it over, a failover, the fences.

use controlplane::{Audit, Controllers, OPERATOR, Operator, Options, eventually};
use serde_json::{Value, json};

use crate::{
    evidence::versions,
    kinds::{docker_config, of_kind, secret},
    policies::install,
    probe::uid,
    world::{SOON, World, cluster, key, operator_with},
};

const TYPE: &str = "kubernetes.io/dockerconfigjson";

/// A RegistryCredential of a kind, with its source, and the login that comes of it.
struct Case {
    name: &'static str,
    kind: Value,
    /// `spec.registries`
    registries: Value,
    source: fn(&str) -> Value,
    registry: &'static str,
    username: &'static str,
    /// What it makes of what [`Case::source`] was given.
    password: fn(&str) -> String,
}

fn cases() -> [Case; 3] {
    let verbatim = |it: &str| it.to_owned();
    let first = |it: &str| key(it.chars().next().unwrap());
    let reference = |kind: &str, name: &str| json!({kind: {"secretRef": {"name": name}}});
    [
        Case {
            name: "darwin",
            kind: json!({"gcpServiceAccountKey": {"secretRef": {"name": "key", "key": "key.json"}}}),
            registries: json!(["gcr.io"]),
            source: |it| secret("key", "Opaque", json!({}), json!({"key.json": key(it.chars().next().unwrap())})),
            registry: "gcr.io",
            username: "_json_key",
            password: first,
        },
        Case {
            name: "first",
            kind: reference("dockerConfig", "logins"),
            registries: json!(null),
            source: |it| {
                let data = json!({".dockerconfigjson": docker_config(&[("ghcr.io", "me", it)])});
                secret("logins", TYPE, json!({}), data)
            },
            registry: "ghcr.io",
            username: "me",
            password: verbatim,
        },
        Case {
            name: "second",
            kind: reference("basicAuth", "login"),
            registries: json!(null),
            source: |it| {
                let marked = json!({"regcred.dev/registries": "quay.io"});
                secret("login", "kubernetes.io/basic-auth", marked, json!({"username": "you", "password": it}))
            },
            registry: "quay.io",
            username: "you",
            password: verbatim,
        },
    ]
}

fn replica(world: &World) -> Operator {
    operator_with(&world.cluster.kubeconfig(OPERATOR), &["--leader-elect", "true"])
}

#[test]
fn each_kind_leaves_a_foreign_secret_adopts_it_where_asked_and_goes_on_with_the_standby_inside_the_fences() {
    let cluster = cluster(Options { controllers: Controllers::Default, audit: Audit::Metadata, ..Options::default() });
    install(&cluster, "policy");
    let world = World::on(cluster, &["--leader-elect", "true"]);
    let second = replica(&world);
    second.wait_ready(SOON);
    let cases = cases();
    for namespace in ["team-a", "team-b"] {
        world.namespace(namespace, json!({}));
        world.wait_account(namespace, "default");
    }
    let foreign = || cases.each_ref().map(|case| world.secret("team-a", case.name).unwrap());
    for case in &cases {
        world.foreign_secret("team-a", case.name, TYPE);
    }
    let before = foreign();
    for case in &cases {
        world.put(&(case.source)("a"));
        world.put(&of_kind(case.name, case.kind.clone(), json!({"registries": case.registries})));
    }
    let wait_login = |namespace: &str, case: &Case, with: &str| {
        world.wait_logins(namespace, case.name, &[(case.registry, case.username, &(case.password)(with))]);
    };
    for case in &cases {
        world.wait_failure(case.name, "team-a", "ForeignSecret");
        wait_login("team-b", case, "a");
    }
    assert_eq!(foreign(), before);

    for case in &cases {
        world.patch_spec(case.name, json!({"conflictPolicy": "Adopt"}));
    }
    for (case, before) in cases.iter().zip(&before) {
        world.wait_ready(case.name);
        wait_login("team-a", case, "a");
        assert_eq!(uid(&world.secret("team-a", case.name).unwrap()), uid(before), "{}: in place", case.name);
    }
    let mut entries = world.entries("team-a", "default").unwrap();
    entries.sort();
    assert_eq!(entries, ["darwin", "first", "second"]);

    // The standby takes over without a write, and does what comes next.
    let of_teams = || versions(&world).into_iter().filter(|(name, _)| name.contains(" team-")).collect::<Vec<_>>();
    let before = of_teams();
    world.operator.kill9();
    eventually(SOON, || match second.get("/metrics")? {
        (_, text) if text.contains("regcred_leader 1") => Ok(()),
        _ => Err("the standby doesn't lead".to_owned()),
    });
    world.settle();
    assert_eq!(of_teams(), before);
    for case in &cases {
        world.put(&(case.source)("b"));
    }
    for case in &cases {
        wait_login("team-a", case, "b");
        wait_login("team-b", case, "b");
        world.wait_ready(case.name);
        world.delete_credential(case.name);
        world.wait_no_secret("team-a", case.name);
    }
    world.wait_entries("team-a", "default", &[]);
    world.assert_nothing_was_forbidden();
}
