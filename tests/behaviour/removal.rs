//! What is no longer wanted goes, and nothing else does.

use controlplane::eventually;
use serde_json::json;

use crate::{
    probe::uid,
    world::{SOON, World, credential, key},
};

#[test]
fn deleting_a_credential_takes_its_secrets_and_entries_and_leaves_foreign_ones_also_while_the_operator_is_down() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
        world.foreign_secret(name, "other", "kubernetes.io/dockerconfigjson");
        world.patch(name, "serviceaccount/default", json!({"imagePullSecrets": [{"name": "other"}]}));
        world.kubectl(&["-n", name, "annotate", "serviceaccount", "default", "whose=somebody's"]);
    }
    let foreign = world.secret("team-a", "other").unwrap();
    let spec = json!({"namespaces": {"names": ["team-*"]}});
    for name in ["first", "second"] {
        world.credential(name, spec.clone());
        world.wait_accounts_with(name, &["team-a/default", "team-b/default"]);
        world.wait_ready(name);
    }

    world.delete_credential("first");
    world.wait_entries("team-a", "default", &["other", "second"]);
    world.wait_accounts_with("first", &[]);
    world.wait_managed(&["team-a/second", "team-b/second"]);

    // The garbage collector doesn't need us; entries go as soon as there is somebody to take them out.
    world.operator.stop();
    world.delete_credential("second");
    world.wait_managed(&[]);
    assert_eq!(world.entries("team-a", "default").unwrap(), ["other", "second"]);
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.wait_accounts_with("second", &[]);
    for name in ["team-a", "team-b"] {
        assert_eq!(world.entries(name, "default").unwrap(), ["other"]);
        assert_eq!(world.account(name, "default")["metadata"]["annotations"], json!({"whose": "somebody's"}));
    }
    assert_eq!(world.secret("team-a", "other").unwrap(), foreign);
    world.assert_nothing_was_forbidden();
}

#[test]
fn a_credential_made_again_at_once_or_deleted_in_the_foreground_ends_as_people_expect() {
    let world = World::new();
    world.source("key", &key('a'));
    let names = ["team-a", "team-b", "team-c", "team-d"];
    let managed = names.map(|name| format!("{name}/darwin"));
    let managed = managed.each_ref().map(String::as_str);
    names.iter().for_each(|name| world.namespace(name, json!({})));
    let spec = json!({"namespaces": {"names": ["team-*"]}});
    world.credential("darwin", spec.clone());
    world.wait_namespaces("darwin", "4/4");
    for _ in 0..3 {
        // In one go, so that the garbage collector and the new resource's roll-out overlap.
        let file = world.cluster.folder().join("darwin.json");
        std::fs::write(&file, credential("darwin", spec.clone()).to_string()).unwrap();
        world.kubectl(&["replace", "--force", "--wait=false", "-f", file.to_str().unwrap()]);
        let owner = uid(&world.cluster.get_json(&["registrycredential", "darwin"]));
        eventually(SOON, || {
            let secrets = world.managed()?;
            let is_owned = |secret: &&serde_json::Value| {
                let owners = &secret["metadata"]["ownerReferences"];
                owners.as_array().is_some_and(|owners| owners.len() == 1) && owners[0]["uid"] == *owner
            };
            let owned: Vec<_> = secrets.iter().filter(|(_, secret)| is_owned(secret)).map(|(name, _)| name).collect();
            if owned == managed { Ok(()) } else { Err(format!("{owner} owns {owned:?}")) }
        });
        world.wait_accounts_with("darwin", &names.map(|name| format!("{name}/default")).each_ref().map(|s| &**s));
    }
    world.wait_namespaces("darwin", "4/4");
    world.wait_ready("darwin");

    world.kubectl(&["delete", "registrycredential", "darwin", "--cascade=foreground", "--timeout=30s"]);
    world.wait_managed(&[]);
    world.wait_accounts_with("darwin", &[]);
    world.settle();
    world.wait_managed(&[]);
    world.assert_nothing_was_forbidden();
}

#[test]
fn a_namespace_goes_unhindered_and_nothing_is_written_into_one_that_is_going() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
    }
    world.credential(
        "darwin",
        json!({"namespaces": {"names": ["team-*"]}, "attach": {"serviceAccounts": {"names": ["*"]}}}),
    );
    world.wait_namespaces("darwin", "2/2");

    // It stays Terminating for as long as something in it has a finalizer.
    let held = json!({
        "apiVersion": "v1", "kind": "ConfigMap",
        "metadata": {"name": "held", "namespace": "team-a", "finalizers": ["example.com/held"]},
    });
    world.cluster.apply(&held.to_string()).unwrap();
    world.kubectl(&["delete", "namespace", "team-a", "--wait=false"]);
    world.wait_no_secret("team-a", "darwin");
    world.wait_namespaces("darwin", "1/1");
    world.settle();
    let writes = || (world.writes("team-a", "secrets").len(), world.writes("team-a", "serviceaccounts").len());
    let before = writes();
    // At most what crossed with the deletion.
    assert!(before.0 <= 2 && before.1 <= 2, "it fights the namespace controller: {before:?}");
    world.source("key", &key('b'));
    world.wait_password("team-b", "darwin", &key('b'));
    world.settle();
    world.wait_ready("darwin");
    assert_eq!(writes(), before);
    assert_eq!(world.status("darwin").unwrap().get("failures").cloned().unwrap_or(json!([])), json!([]));

    world.kubectl(&[
        "-n",
        "team-a",
        "patch",
        "configmap",
        "held",
        "--type=merge",
        "-p",
        r#"{"metadata": {"finalizers": null}}"#,
    ]);
    world.kubectl(&["wait", "--for=delete", "namespace/team-a", "--timeout=30s"]);
    world.namespace("team-a", json!({}));
    world.wait_entries("team-a", "default", &["darwin"]);
    world.wait_password("team-a", "darwin", &key('b'));
    world.wait_namespaces("darwin", "2/2");

    // And one with nothing that holds it, at the same time as its credential.
    world.kubectl(&["delete", "namespace", "team-b", "--wait=false"]);
    world.delete_credential("darwin");
    world.kubectl(&["wait", "--for=delete", "namespace/team-b", "--timeout=30s"]);
    world.wait_managed(&[]);
    world.wait_accounts_with("darwin", &[]);
}
