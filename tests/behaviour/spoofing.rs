//! Marks that somebody forges make nothing ours: neither the label nor an owner is enough alone.

use serde_json::{Value, json};

use crate::{
    probe::uid,
    world::{World, key},
};

#[test]
fn a_secret_with_forged_marks_is_neither_written_nor_deleted_and_no_forged_annotation_adds_an_entry() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["target", "other", "bystanders"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
    }
    world.credential("bystander", json!({"namespaces": {"names": ["bystanders"]}}));
    world.wait_ready("bystander");

    // Of our label and revision, and with an owner that is alive, but isn't the one that the label names.
    let owner = json!([{
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "name": "bystander",
        "uid": uid(&world.get(&["registrycredential", "bystander"]).unwrap()),
    }]);
    for (namespace, owners) in [("target", &owner), ("other", &owner), ("other", &json!([]))] {
        let name = if owners == &owner { "darwin" } else { "without-owner" };
        forge(&world, namespace, name, owners);
    }
    let annotation = json!({"added.regcred.dev/darwin": "darwin"});
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount",
        "metadata": {"name": "forged", "namespace": "target", "annotations": annotation},
    });
    world.cluster.apply(&account.to_string()).unwrap();
    let forged = || {
        [("target", "darwin"), ("other", "darwin"), ("other", "without-owner")]
            .map(|(namespace, name)| world.secret(namespace, name).unwrap())
    };
    let before = forged();

    world.credential(
        "darwin",
        json!({"namespaces": {"names": ["target"]}, "attach": {"serviceAccounts": {"names": ["*"]}}}),
    );
    world.wait_failure("darwin", "target", "ForeignSecret");
    world.settle();
    world.kubectl(&["delete", "registrycredential", "darwin"]);
    world.settle();
    assert_eq!(forged(), before);
    for account in ["default", "forged"] {
        world.wait_entries("target", account, &[]);
    }
    assert_eq!(world.writes("target", "secrets"), []);
    assert_eq!(world.writes("other", "secrets"), []);
    world.assert_nothing_was_forbidden();
}

fn forge(world: &World, namespace: &str, name: &str, owners: &Value) {
    world.assert_managed(name);
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {
            "name": name, "namespace": namespace, "ownerReferences": owners,
            "labels": {"regcred.dev/credential": "darwin"}, "annotations": {"regcred.dev/revision": "v1:forged"},
        },
        "stringData": {".dockerconfigjson": "{\"auths\": {}}"},
    });
    world.cluster.apply(&secret.to_string()).unwrap();
}
