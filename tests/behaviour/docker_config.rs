//! A managed Secret holds the login that real kubectl makes of the same input.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde_json::{Value, json};

use crate::{
    evidence::source,
    world::{World, key},
};

#[test]
fn a_managed_secret_holds_the_login_that_kubectl_create_secret_docker_registry_makes() {
    let world = World::new();
    world.namespace("team-a", json!({}));
    // Go escapes some of these in JSON and Rust does not, or the other way round.
    let odd = key('a').replacen('{', "{\"note\": \"<&> \u{2028}\u{2029} é 😀 \u{7f} / \\\\ \\\" \\t\",\r\n\t", 1);
    for (name, file) in [("plain", key('a')), ("odd", odd), ("no-line-break-at-its-end", key('b').trim().to_owned())] {
        world.cluster.apply(&source(name, file.as_bytes()).to_string()).unwrap();
        let credential = json!({"gcpServiceAccountKey": {"secretRef": {"name": name}}});
        world.credential(name, json!({"credential": credential, "namespaces": {"names": ["team-a"]}}));
        let managed = world.wait_secret("team-a", name);

        let by_hand = world.cluster.kubectl_ok(&[
            "create",
            "secret",
            "docker-registry",
            "by-hand",
            "--docker-server=gcr.io/darwin/",
            "--docker-username=_json_key",
            &format!("--docker-password={file}"),
            "--dry-run=client",
            "-o",
            "json",
        ]);
        let by_hand: Value = serde_json::from_str(&by_hand).unwrap();
        assert_eq!(managed["type"], by_hand["type"]);
        let entry = |secret: &Value| {
            let config = STANDARD.decode(secret["data"][".dockerconfigjson"].as_str().unwrap()).unwrap();
            let config: Value = serde_json::from_slice(&config).unwrap();
            config["auths"]["gcr.io/darwin/"].clone()
        };
        assert_eq!(entry(&managed), json!({"auth": entry(&by_hand)["auth"]}), "{name}");
    }
}
