//! Which namespaces and service accounts are meant, and what follows when that changes.

use controlplane::eventually;
use serde_json::json;

use crate::{
    probe::version,
    world::{SOON, World, key},
};

#[test]
fn namespaces_are_chosen_by_glob_and_selector_less_the_excluded_ones_as_labels_and_spec_change() {
    let world = World::new();
    world.source("key", &key('a'));
    for (name, labels) in [("team-a", json!({})), ("team-b", json!({})), ("ops", json!({"images": "private"}))] {
        world.namespace(name, labels);
    }
    let selector = json!({"matchLabels": {"images": "private"}});
    let namespaces = json!({"names": ["team-*"], "exclude": ["team-b"], "selector": selector});
    world.credential("darwin", json!({"namespaces": namespaces}));
    world.wait_accounts_with("darwin", &["ops/default", "team-a/default"]);
    world.wait_managed(&["ops/darwin", "team-a/darwin"]);
    world.wait_namespaces("darwin", "2/2");
    world.wait_ready("darwin");

    // A label decides in both directions, but not against `exclude`.
    world.kubectl(&["label", "namespace", "team-b", "default", "images=private"]);
    world.kubectl(&["label", "namespace", "ops", "images-"]);
    world.wait_accounts_with("darwin", &["default/default", "team-a/default"]);
    world.wait_managed(&["default/darwin", "team-a/darwin"]);

    // The empty selector means all.
    world.credential("darwin", json!({"namespaces": {"selector": {}, "exclude": ["kube-*", "team-a", "*-system"]}}));
    world.wait_accounts_with("darwin", &["default/default", "ops/default", "team-b/default"]);
    world.wait_managed(&["default/darwin", "ops/darwin", "team-b/darwin"]);
    world.namespace("new", json!({}));
    world.wait_accounts_with("darwin", &["default/default", "new/default", "ops/default", "team-b/default"]);
    assert!(world.account("ops", "default")["metadata"].get("annotations").is_some());
    assert!(world.account("team-a", "default")["metadata"].get("annotations").is_none());
    world.wait_namespaces("darwin", "4/4");

    // Nothing matches: that is no failure.
    world.credential("darwin", json!({"namespaces": {"names": ["nothing"]}}));
    world.wait_accounts_with("darwin", &[]);
    world.wait_managed(&[]);
    assert_eq!(world.wait_ready("darwin")["namespaces"]["summary"], "0/0");
    world.assert_nothing_was_forbidden();
}

#[test]
fn service_accounts_are_chosen_by_name_or_selector_and_foreign_entries_keep_their_order() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.wait_account("team-a", "default");
    world.service_account("team-a", "builder", json!({}), &[]);
    world.service_account("team-a", "deployer", json!({"pulls": "private"}), &["x", "y"]);
    let accounts = ["default", "builder", "deployer"];
    let before: Vec<_> = accounts.iter().map(|name| world.account("team-a", name)).collect();
    let attach = |attach: serde_json::Value| {
        world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}, "attach": attach}));
    };
    let choose = |accounts: serde_json::Value| attach(json!({"serviceAccounts": accounts}));

    attach(json!({"mode": "None"}));
    world.wait_password("team-a", "darwin", &key('a'));
    assert_eq!(world.wait_ready("darwin")["serviceAccounts"]["summary"], "0/0");
    for (name, before) in accounts.iter().zip(&before) {
        assert_eq!(&world.account("team-a", name), before, "{name} was touched");
    }

    choose(json!({"names": ["*"]}));
    world.wait_accounts_with("darwin", &["team-a/builder", "team-a/default", "team-a/deployer"]);
    world.wait_entries("team-a", "deployer", &["x", "y", "darwin"]);
    world.service_account("team-a", "later", json!({}), &["z"]);
    world.wait_entries("team-a", "later", &["z", "darwin"]);

    choose(json!({"names": ["builder"]}));
    world.wait_accounts_with("darwin", &["team-a/builder"]);
    world.wait_entries("team-a", "deployer", &["x", "y"]);
    let default = world.account("team-a", "default");
    assert!(default.get("imagePullSecrets").is_none() && default["metadata"].get("annotations").is_none());

    choose(json!({"selector": {"matchLabels": {"pulls": "private"}}}));
    world.wait_accounts_with("darwin", &["team-a/deployer"]);
    world.kubectl(&["-n", "team-a", "label", "serviceaccount", "builder", "pulls=private"]);
    world.wait_accounts_with("darwin", &["team-a/builder", "team-a/deployer"]);
    world.kubectl(&["-n", "team-a", "label", "serviceaccount", "builder", "pulls-"]);
    world.wait_accounts_with("darwin", &["team-a/deployer"]);

    // What is excluded is left out whatever else says; each glob counts, and taking it out brings the entry back.
    choose(json!({"names": ["*"], "exclude": ["default", "dep*"]}));
    world.wait_accounts_with("darwin", &["team-a/builder", "team-a/later"]);
    world.wait_entries("team-a", "deployer", &["x", "y"]);
    choose(json!({"names": ["*"], "exclude": ["default"]}));
    world.wait_accounts_with("darwin", &["team-a/builder", "team-a/deployer", "team-a/later"]);

    attach(json!({"mode": "None"}));
    world.wait_accounts_with("darwin", &[]);
    world.wait_entries("team-a", "deployer", &["x", "y"]);
    world.wait_password("team-a", "darwin", &key('a'));
    world.assert_nothing_was_forbidden();
}

#[test]
fn two_credentials_in_one_namespace_are_two_entries_and_one_write_for_each_service_account() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["first", "second"] {
        world.credential(
            name,
            json!({"namespaces": {"names": ["team-a"]}, "attach": {"serviceAccounts": {"names": ["*"]}}}),
        );
        world.wait_ready(name);
    }
    world.namespace("team-a", json!({}));
    world.wait_entries("team-a", "default", &["first", "second"]);
    world.service_account("team-a", "builder", json!({}), &["x"]);
    world.wait_entries("team-a", "builder", &["x", "first", "second"]);
    world.settle();
    let writes = world.writes("team-a", "serviceaccounts");
    let names: Vec<_> = writes.iter().map(|write| (write.name.as_str(), write.code)).collect();
    assert_eq!(names, [("default", 200), ("builder", 200)]);
    let writes = world.writes("team-a", "secrets");
    assert_eq!(writes.iter().map(|write| write.code).collect::<Vec<_>>(), [201, 201]);

    // What is converged isn't written again, not even by another process.
    let before = [version(&world.account("team-a", "default")), version(&world.secret("team-a", "first").unwrap())];
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.settle();
    let after = [version(&world.account("team-a", "default")), version(&world.secret("team-a", "first").unwrap())];
    assert_eq!(before, after);
    assert_eq!(world.writes("team-a", "secrets").len() + world.writes("team-a", "serviceaccounts").len(), 4);

    // One of them goes, the other stays.
    world.delete_credential("first");
    world.wait_entries("team-a", "builder", &["x", "second"]);
    eventually(SOON, || match world.managed()?.contains_key("team-a/first") {
        true => Err("it is still there".to_owned()),
        false => Ok(()),
    });
    world.wait_password("team-a", "second", &key('a'));
    world.assert_nothing_was_forbidden();
}
