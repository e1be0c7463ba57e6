//! `conflictPolicy: Adopt`: the way from what people did by hand to regcred, without a gap for any pod.

use serde_json::json;

use crate::{
    probe::uid,
    world::{World, key},
};

#[test]
fn adopt_takes_over_a_hand_made_secret_and_its_entry_in_place_by_one_write_each() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.wait_account("team-a", "default");
    // What the tutorials say.
    world.kubectl(&[
        "-n",
        "team-a",
        "create",
        "secret",
        "docker-registry",
        "darwin-secret",
        "--docker-server=https://gcr.io",
        "--docker-username=_json_key",
        "--docker-password=an old key",
        "--docker-email=user@example.com",
    ]);
    let entries = json!({"imagePullSecrets": [{"name": "x"}, {"name": "darwin-secret"}, {"name": "y"}]});
    world.patch("team-a", "serviceaccount/default", entries);
    let by_hand = world.secret("team-a", "darwin-secret").unwrap();
    let account = world.account("team-a", "default");

    let spec = |policy: &str| {
        let template = json!({"name": "darwin-secret"});
        json!({"namespaces": {"names": ["team-a"]}, "secretTemplate": template, "conflictPolicy": policy})
    };
    world.credential("darwin", spec("Fail"));
    world.wait_failure("darwin", "team-a", "ForeignSecret");
    world.settle();
    assert_eq!(world.secret("team-a", "darwin-secret").unwrap(), by_hand);
    assert_eq!(world.account("team-a", "default"), account);

    world.credential("darwin", spec("Adopt"));
    world.wait_ready("darwin");
    world.settle();
    let adopted = world.secret("team-a", "darwin-secret").unwrap();
    assert_eq!(uid(&adopted), uid(&by_hand));
    assert_eq!(adopted["metadata"]["labels"]["regcred.dev/credential"], "darwin");
    world.wait_password("team-a", "darwin-secret", &key('a'));
    assert_eq!(world.entries("team-a", "default").unwrap(), ["x", "darwin-secret", "y"]);
    let account = world.account("team-a", "default");
    assert_eq!(account["metadata"]["annotations"], json!({"added.regcred.dev/darwin-secret": "darwin"}));
    let codes = |resource| world.writes("team-a", resource).iter().map(|write| write.code).collect::<Vec<_>>();
    assert_eq!((codes("secrets"), codes("serviceaccounts")), (vec![200], vec![200]));

    // Back to Fail: what was adopted is ours.
    world.credential("darwin", spec("Fail"));
    world.source("key", &key('b'));
    world.wait_password("team-a", "darwin-secret", &key('b'));
    assert_eq!(uid(&world.secret("team-a", "darwin-secret").unwrap()), uid(&by_hand));
    world.delete_credential("darwin");
    world.wait_no_secret("team-a", "darwin-secret");
    world.wait_entries("team-a", "default", &["x", "y"]);
    world.assert_nothing_was_forbidden();
}

#[test]
fn somebodys_own_entry_of_our_name_is_enough_and_stays_theirs() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.wait_account("team-a", "default");
    world.patch("team-a", "serviceaccount/default", json!({"imagePullSecrets": [{"name": "darwin"}]}));
    let account = world.account("team-a", "default");
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_password("team-a", "darwin", &key('a'));
    assert_eq!(world.wait_ready("darwin")["serviceAccounts"]["summary"], "1/1");
    world.settle();
    assert_eq!(world.account("team-a", "default"), account);
    world.delete_credential("darwin");
    world.wait_no_secret("team-a", "darwin");
    world.settle();
    assert_eq!(world.account("team-a", "default"), account);
}
