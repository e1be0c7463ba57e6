//! What somebody changes of ours is put right again: in place, by one write, and for each change once.

use controlplane::eventually;
use serde_json::{Value, json};

use crate::{
    probe::uid,
    world::{SOON, World, key},
};

#[test]
fn a_managed_secret_that_somebody_changes_or_deletes_is_put_right_by_one_write() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    let template = json!({"labels": {"team": "infra"}, "annotations": {"wiki": "w"}});
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}, "secretTemplate": template}));
    world.wait_ready("darwin");
    let original = world.wait_secret("team-a", "darwin");
    let is_right = |secret: &Value| {
        let map = |map: &str| secret["metadata"][map].clone();
        controlplane::password(secret).is_ok_and(|password| password == key('a'))
            && ["labels", "annotations", "ownerReferences"].iter().all(|m| map(m) == original["metadata"][m])
    };
    let wait_right = |what: &str| {
        eventually(SOON, || match world.secret("team-a", "darwin")? {
            secret if is_right(&secret) => Ok(secret),
            secret => Err(format!("{what}: {:#}", secret["metadata"])),
        })
    };
    let mut writes = 1;
    let mut repaired = |what: &str| {
        let secret = wait_right(what);
        writes += 1;
        world.settle();
        assert!(is_right(&world.secret("team-a", "darwin").unwrap()), "{what}");
        let found = world.writes("team-a", "secrets");
        assert_eq!(found.len(), writes, "{what}: one write each: {found:#?}");
        secret
    };

    let other = r#"{"auths": {"gcr.io": {"username": "u", "password": "other"}}}"#;
    let changes = [
        ("stringData", json!({"stringData": {".dockerconfigjson": other}})),
        ("data", json!({"data": {".dockerconfigjson": "e30="}})),
        ("a label", json!({"metadata": {"labels": {"team": "ours"}}})),
        ("an annotation that goes", json!({"metadata": {"annotations": {"wiki": null}}})),
        ("the revision", json!({"metadata": {"annotations": {"regcred.dev/revision": "v1:0"}}})),
    ];
    for (what, change) in changes {
        world.patch("team-a", "secret/darwin", change);
        assert_eq!(uid(&repaired(what)), uid(&original), "{what}");
    }

    // A whole PUT that takes away all traces of who wrote what.
    let mut put = world.secret("team-a", "darwin").unwrap();
    put["metadata"]["managedFields"] = json!([]);
    put["data"][".dockerconfigjson"] = json!("e30=");
    world.cluster.kubectl_with_input(&["replace", "-f", "-"], &put.to_string()).unwrap();
    assert_eq!(uid(&repaired("a PUT")), uid(&original));

    // Somebody's forced apply.
    let apply = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/dockerconfigjson",
        "metadata": {"name": "darwin", "namespace": "team-a"}, "data": {".dockerconfigjson": "e30="},
    });
    world.cluster.apply(&apply.to_string()).unwrap();
    assert_eq!(uid(&repaired("an apply")), uid(&original));

    // What others add is theirs, and nothing to repair.
    world.patch("team-a", "secret/darwin", json!({"metadata": {"labels": {"theirs": "yes"}}}));
    world.settle();
    assert_eq!(world.secret("team-a", "darwin").unwrap()["metadata"]["labels"]["theirs"], "yes");
    world.patch("team-a", "secret/darwin", json!({"metadata": {"labels": {"theirs": null}}}));

    world.kubectl(&["-n", "team-a", "delete", "secret", "darwin"]);
    assert_ne!(uid(&repaired("deleted")), uid(&original));
    world.wait_entries("team-a", "default", &["darwin"]);
    assert_eq!(world.writes("team-a", "serviceaccounts").len(), 1, "service accounts had nothing to do with it");
    world.wait_ready("darwin");
    world.assert_nothing_was_forbidden();
}

#[test]
fn an_overwritten_list_and_a_service_account_made_again_get_their_entry_back() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_entries("team-a", "default", &["darwin"]);

    // The command that the tutorials give.
    world.patch("team-a", "serviceaccount/default", json!({"imagePullSecrets": [{"name": "other"}]}));
    world.wait_entries("team-a", "default", &["other", "darwin"]);
    world.settle();
    assert_eq!(world.writes("team-a", "serviceaccounts").len(), 2);

    // More entries round ours, and another order, are somebody's own business.
    let entries = json!([{"name": "x"}, {"name": "darwin"}, {"name": "other"}]);
    world.patch("team-a", "serviceaccount/default", json!({"imagePullSecrets": entries}));
    world.settle();
    assert_eq!(world.entries("team-a", "default").unwrap(), ["x", "darwin", "other"]);
    assert_eq!(world.writes("team-a", "serviceaccounts").len(), 2);

    world.kubectl(&["-n", "team-a", "delete", "serviceaccount", "default"]);
    world.wait_entries("team-a", "default", &["darwin"]);
    assert_eq!(world.account("team-a", "default")["metadata"]["annotations"]["added.regcred.dev/darwin"], "darwin");
    world.wait_ready("darwin");
    world.assert_nothing_was_forbidden();
}

/// Such as a leader that was killed while what it had written last was still on its way.
#[test]
fn a_status_that_somebody_else_writes_last_is_put_right() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    let wanted = world.wait_ready("darwin");
    let stale = json!({"status": {"observedGeneration": 0, "namespaces": {"ready": 0, "summary": "0/7"}}}).to_string();
    world.cluster.kubectl_ok(&[
        "patch",
        "registrycredential",
        "darwin",
        "--subresource=status",
        "--type=merge",
        "-p",
        &stale,
    ]);
    eventually(SOON, || match world.status("darwin")? {
        status if status == wanted => Ok(()),
        status => Err(format!("{status:#}")),
    });
}
