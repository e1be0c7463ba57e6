//! `kubectl delete --cascade=orphan`: the way to stop using regcred without breaking a pod.

use std::time::Duration;

use controlplane::eventually;
use serde_json::{Value, json};

use crate::{
    probe::uid,
    world::{SOON, World, key},
};

#[test]
fn orphaned_secrets_and_entries_stay_until_a_new_credential_adopts_them() {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
    }
    let spec = |policy: &str| json!({"namespaces": {"names": ["team-*"]}, "conflictPolicy": policy});
    world.credential("darwin", spec("Fail"));
    world.wait_namespaces("darwin", "2/2");
    let uids = |secrets: Vec<Value>| secrets.iter().map(uid).collect::<Vec<_>>();
    let before = uids(world.managed().unwrap().into_values().collect());

    world.kubectl(&["delete", "registrycredential", "darwin", "--cascade=orphan"]);
    let accounts = ["team-a/default", "team-b/default"];
    let mut pod = 0;
    let mut all_stays = |when: &str| {
        world.settle();
        let secrets: Vec<Value> = world.managed().unwrap().into_values().collect();
        assert!(secrets.iter().all(|secret| secret["metadata"].get("ownerReferences").is_none()), "{when}");
        assert_eq!(uids(secrets), before, "{when}");
        assert_eq!(world.password("team-a", "darwin").unwrap(), key('a'), "{when}");
        assert_eq!(world.accounts_with("darwin").unwrap(), accounts, "{when}");
        // A pod made now still names it.
        pod += 1;
        let name = format!("pod-{pod}");
        world.kubectl(&["-n", "team-a", "run", &name, "--image=gcr.io/darwin/app:v1"]);
        let pod = world.cluster.get_json(&["-n", "team-a", "pod", &name]);
        assert_eq!(pod["spec"]["imagePullSecrets"], json!([{"name": "darwin"}]), "{when}");
    };
    all_stays("at once");
    // Its name was reserved until every cache had heard of the orphaning.
    eventually(Duration::from_secs(60), || match world.operator.log().contains("the RegistryCredential is gone") {
        true => Ok(()),
        false => Err("it isn't forgotten yet".to_owned()),
    });
    all_stays("when it is forgotten");
    world.operator.restart();
    world.operator.wait_ready(SOON);
    all_stays("after a restart");

    // They are people's now: a new RegistryCredential of that name doesn't take them without being told to.
    world.credential("darwin", spec("Fail"));
    for name in ["team-a", "team-b"] {
        let message = world.wait_failure("darwin", name, "ForeignSecret");
        assert!(message.contains("Adopt"), "{message}");
    }
    all_stays("with a new one of that name");
    world.patch_spec("darwin", json!({"conflictPolicy": "Adopt"}));
    world.wait_namespaces("darwin", "2/2");
    world.wait_ready("darwin");
    let secrets: Vec<Value> = world.managed().unwrap().into_values().collect();
    let owner = uid(&world.cluster.get_json(&["registrycredential", "darwin"]));
    assert!(secrets.iter().all(|secret| secret["metadata"]["ownerReferences"][0]["uid"] == *owner));
    assert_eq!(uids(secrets), before);

    world.delete_credential("darwin");
    world.wait_managed(&[]);
    world.wait_accounts_with("darwin", &[]);
    world.assert_nothing_was_forbidden();
}
