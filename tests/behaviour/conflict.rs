//! What isn't ours is left byte for byte, and said.

use controlplane::eventually;
use serde_json::json;

use crate::{
    probe::uid,
    world::{SOON, World, key},
};

#[test]
fn foreign_secrets_are_left_alone_and_listed_while_other_namespaces_are_served() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b", "team-c"] {
        world.namespace(name, json!({}));
        world.wait_account(name, "default");
    }
    world.foreign_secret("team-a", "darwin", "kubernetes.io/dockerconfigjson");
    world.foreign_secret("team-b", "darwin", "Opaque");
    let things = || {
        let of = |name: &str| (world.secret(name, "darwin").unwrap(), world.account(name, "default"));
        [of("team-a"), of("team-b")]
    };
    let before = things();

    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_entries("team-c", "default", &["darwin"]);
    let message = world.wait_failure("darwin", "team-a", "ForeignSecret");
    assert!(message.contains("Adopt") && message.contains("darwin"), "{message}");
    let message = world.wait_failure("darwin", "team-b", "WrongType");
    assert!(message.contains("kubernetes.io/dockerconfigjson"), "{message}");
    let message = world.wait_condition("darwin", "Ready", "False", "PartiallyReady");
    assert!(message.contains("team-a failed (and 1 more): ForeignSecret"), "{message}");
    let status = world.status("darwin").unwrap();
    assert_eq!(status["namespaces"], json!({"desired": 3, "ready": 1, "failed": 2, "summary": "1/3"}));
    world.settle();
    assert_eq!(things(), before);
    assert_eq!(world.writes("team-a", "secrets"), [], "it was seen beforehand");
    assert!(world.writes("team-b", "secrets").iter().all(|write| write.code == 409), "Opaque Secrets aren't watched");

    // One that turns up later in the place of ours isn't taken either, and our entry is taken back: nobody knows
    // whether it can be parsed.
    world.kubectl(&["-n", "team-c", "delete", "serviceaccount", "default"]);
    world.wait_entries("team-c", "default", &["darwin"]);
    world.operator.stop();
    world.kubectl(&["-n", "team-c", "delete", "secret", "darwin"]);
    world.foreign_secret("team-c", "darwin", "kubernetes.io/dockerconfigjson");
    let theirs = world.secret("team-c", "darwin").unwrap();
    world.operator.restart();
    world.operator.wait_ready(SOON);
    world.wait_failure("darwin", "team-c", "ForeignSecret");
    world.wait_entries("team-c", "default", &[]);
    assert_eq!(world.secret("team-c", "darwin").unwrap(), theirs);

    // When they are gone, the way is free.
    for name in ["team-a", "team-b", "team-c"] {
        world.kubectl(&["-n", name, "delete", "secret", "darwin"]);
        world.wait_entries(name, "default", &["darwin"]);
    }
    world.wait_namespaces("darwin", "3/3");
    world.wait_ready("darwin");
    assert!(world.status("darwin").unwrap()["failures"].as_array().is_none_or(Vec::is_empty));

    // Whoever takes our label off takes the Secret from us, until it is back.
    world.kubectl(&["-n", "team-a", "label", "secret", "darwin", "regcred.dev/credential-"]);
    world.wait_failure("darwin", "team-a", "ForeignSecret");
    world.wait_entries("team-a", "default", &[]);
    world.kubectl(&["-n", "team-a", "label", "secret", "darwin", "regcred.dev/credential=darwin"]);
    world.wait_entries("team-a", "default", &["darwin"]);
    world.wait_ready("darwin");
    world.assert_nothing_was_forbidden();
}

#[test]
fn of_two_credentials_for_one_name_the_older_has_it_and_hands_over_when_it_goes() {
    let world = World::new();
    world.source("key-a", &key('a'));
    world.source("key-b", &key('b'));
    world.namespace("team-a", json!({}));
    let spec = |source: &str| {
        json!({
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": source, "key": "key.json"}}},
            "namespaces": {"names": ["team-*"]}, "secretTemplate": {"name": "shared"},
        })
    };
    world.credential("z-older", spec("key-a"));
    world.wait_entries("team-a", "default", &["shared"]);
    world.wait_ready("z-older");
    world.wait_older("z-older");
    world.credential("a-younger", spec("key-b"));
    let message = world.wait_failure("a-younger", "team-a", "NameTaken");
    assert!(message.contains("z-older") && message.contains("shared"), "{message}");
    world.wait_condition("a-younger", "Ready", "False", "PartiallyReady");

    // Where neither was first, the age decides.
    world.namespace("team-b", json!({}));
    world.wait_password("team-b", "shared", &key('a'));
    world.wait_failure("a-younger", "team-b", "NameTaken");
    world.wait_namespaces("z-older", "2/2");
    let shared = world.secret("team-a", "shared").unwrap();
    world.settle();
    assert_eq!(world.secret("team-a", "shared").unwrap(), shared);
    assert_eq!(world.writes("team-a", "secrets").len(), 1);

    // A held winner keeps the name.
    world.patch_spec("z-older", json!({"suspend": true}));
    world.wait_condition("z-older", "Ready", "True", "Suspended");
    world.settle();
    world.wait_failure("a-younger", "team-a", "NameTaken");
    assert_eq!(world.secret("team-a", "shared").unwrap(), shared);

    world.delete_credential("z-older");
    let owner = uid(&world.cluster.get_json(&["registrycredential", "a-younger"]));
    for name in ["team-a", "team-b"] {
        world.wait_password(name, "shared", &key('b'));
        world.wait_entries(name, "default", &["shared"]);
        eventually(
            SOON,
            || match world.account(name, "default")["metadata"]["annotations"]["added.regcred.dev/shared"] {
                ref whose if whose == "a-younger" => Ok(()),
                ref whose => Err(format!("the entry is {whose}'s")),
            },
        );
        let secret = world.secret(name, "shared").unwrap();
        assert_eq!(secret["metadata"]["ownerReferences"][0]["uid"], *owner);
        assert_eq!(secret["metadata"]["ownerReferences"].as_array().unwrap().len(), 1);
    }
    world.wait_namespaces("a-younger", "2/2");
    world.wait_ready("a-younger");
    world.assert_nothing_was_forbidden();
}
