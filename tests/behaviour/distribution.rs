//! Secrets and entries get where they are wanted, and follow every change.

use serde_json::json;

use crate::world::{World, key};

#[test]
fn a_credential_reaches_every_target_namespace_and_a_new_one() {
    let world = World::new();
    world.source("key", &key('a'));
    world.namespace("team-a", json!({}));
    world.credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    world.wait_entries("team-a", "default", &["darwin"]);
    world.wait_password("team-a", "darwin", &key('a'));
    let status = world.wait_ready("darwin");
    assert_eq!(status["namespaces"]["summary"], "1/1");

    world.namespace("team-b", json!({}));
    world.wait_entries("team-b", "default", &["darwin"]);
    world.wait_password("team-b", "darwin", &key('a'));
}
