//! Service accounts whose list somebody else keeps writing: regcred says so, and doesn't fight.

use controlplane::eventually;
use serde_json::{Value, json};

use crate::world::{SOON, World, key};

/// A server-side apply of a service account as a GitOps tool makes it: without force.
fn gitops(world: &World, namespace: &str, entries: Option<&[&str]>) -> Result<String, String> {
    let mut manifest = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app", "namespace": namespace, "labels": {"app": "a"}},
    });
    if let Some(entries) = entries {
        manifest["imagePullSecrets"] = entries.iter().map(|name| json!({"name": name})).collect();
    }
    let args = ["apply", "--server-side", "--field-manager=gitops", "-f", "-"];
    world.cluster.kubectl_with_input(&args, &manifest.to_string())
}

#[test]
fn a_list_that_somebody_applies_is_contested_unless_adopted_and_their_next_apply_goes_through() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
    }
    gitops(&world, "team-a", Some(&["x"])).unwrap();
    // Without the list in it, all is well.
    gitops(&world, "team-b", None).unwrap();
    let before = world.account("team-a", "app");

    let spec = |policy: &str| {
        let accounts = json!({"names": ["app"]});
        json!({"namespaces": {"names": ["team-*"]}, "attach": {"serviceAccounts": accounts}, "conflictPolicy": policy})
    };
    world.credential("darwin", spec("Fail"));
    world.wait_entries("team-b", "app", &["darwin"]);
    gitops(&world, "team-b", None).unwrap();
    let message = world.wait_failure("darwin", "team-a", "ServiceAccountContested");
    for word in ["gitops", "app", "darwin", "Adopt"] {
        assert!(message.contains(word), "{word} is missing: {message}");
    }
    world.wait_password("team-a", "darwin", &key('a')); // for pods that name it themselves
    world.settle();
    assert_eq!(world.account("team-a", "app"), before);
    gitops(&world, "team-a", Some(&["x", "y"])).unwrap();
    world.settle();
    assert_eq!(world.entries("team-a", "app").unwrap(), ["x", "y"]);
    assert_eq!(world.writes("team-a", "serviceaccounts"), []);
    assert_eq!(world.entries("team-b", "app").unwrap(), ["darwin"]);

    // The remedies: their list names it, or leaves the list to others, or they want us to write.
    gitops(&world, "team-a", Some(&["x", "darwin"])).unwrap();
    world.wait_namespaces("darwin", "2/2");
    world.wait_ready("darwin");
    gitops(&world, "team-a", Some(&["x"])).unwrap();
    world.wait_failure("darwin", "team-a", "ServiceAccountContested");
    gitops(&world, "team-a", None).unwrap();
    world.wait_entries("team-a", "app", &["darwin"]);
    world.wait_ready("darwin");

    world.namespace("team-c", json!({}));
    gitops(&world, "team-c", Some(&["x"])).unwrap();
    world.wait_failure("darwin", "team-c", "ServiceAccountContested");
    world.credential("darwin", spec("Adopt"));
    world.wait_entries("team-c", "app", &["x", "darwin"]);
    world.wait_namespaces("darwin", "3/3");
    world.assert_nothing_was_forbidden();
}

#[test]
fn an_entry_that_is_taken_away_three_times_is_given_up_and_said() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
    }
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_namespaces("darwin", "2/2");
    let overwrite = |entry: &str| {
        let patch: Value = json!({"imagePullSecrets": [{"name": entry}]});
        world.patch("team-a", "serviceaccount/default", patch);
    };
    for time in ["one", "two"] {
        overwrite(time);
        world.wait_entries("team-a", "default", &[time, "darwin"]);
    }
    overwrite("three");
    let message = world.wait_failure("darwin", "team-a", "ServiceAccountContested");
    assert!(message.contains("darwin") && message.contains("default"), "{message}");
    world.wait_condition("darwin", "Ready", "False", "PartiallyReady");
    for time in ["four", "five", "six"] {
        overwrite(time);
        world.settle();
        assert_eq!(world.entries("team-a", "default").unwrap(), [time]);
    }
    let writes = world.writes("team-a", "serviceaccounts").len();
    assert!(writes <= 5, "{writes} writes are a fight");

    // Others are served as ever, and this one's Secret, too.
    world.source("key", &key('b'));
    for name in ["team-a", "team-b"] {
        world.wait_password(name, "darwin", &key('b'));
    }
    world.patch("team-b", "serviceaccount/default", json!({"imagePullSecrets": null}));
    world.wait_entries("team-b", "default", &["darwin"]);

    // Whoever gives the entry back ends it.
    overwrite("darwin");
    eventually(SOON, || match world.status("darwin")? {
        status if status["namespaces"]["summary"] == "2/2" => Ok(()),
        status => Err(format!("{status:#}")),
    });
    world.wait_ready("darwin");
    world.assert_nothing_was_forbidden();
}
