//! The ways out: `regcred cleanup`, and deleting the CRD.

use controlplane::{ADMIN, ControlPlane, READER, eventually};
use serde_json::{Value, json};

use crate::world::{ROOT, SOON, World, key, regcred};

const CRD: &str = "registrycredentials.regcred.dev";

fn cleanup(cluster: &ControlPlane, args: &[&str]) -> String {
    let output = regcred(cluster, ADMIN).arg("cleanup").args(args).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Two namespaces with something of ours and something foreign in each.
fn furnished() -> World {
    let world = World::new();
    world.source("key", &key('a'));
    for name in ["team-a", "team-b"] {
        world.namespace(name, json!({}));
        world.service_account(name, "builder", json!({}), &["other"]);
        world.foreign_secret(name, "other", "kubernetes.io/dockerconfigjson");
        world.wait_account(name, "default");
    }
    let spec = json!({"namespaces": {"names": ["team-*"]}, "attach": {"serviceAccounts": {"names": ["*"]}}});
    world.credential("darwin", spec);
    world.wait_namespaces("darwin", "2/2");
    world.wait_ready("darwin");
    world
}

fn everything(world: &World) -> Value {
    world.cluster.get_json(&["secrets,serviceaccounts", "--all-namespaces"])["items"].clone()
}

#[test]
fn cleanup_says_what_it_would_remove_and_removes_just_that() {
    let world = furnished();
    // Somebody's Secret that only looks like ours.
    world.kubectl(&["-n", "team-a", "label", "secret", "other", "regcred.dev/credential=darwin"]);
    world.settle();
    world.delete_credential("zz-marker");
    world.wait_accounts_with("zz-marker", &[]);
    world.operator.stop();

    let before = everything(&world);
    let said = cleanup(&world.cluster, &["--dry-run"]);
    assert_eq!(everything(&world), before);
    for line in [
        "would remove serviceaccount team-a/builder: pull secret darwin",
        "would remove serviceaccount team-b/default: pull secret darwin",
        "would remove secret team-a/darwin",
        "would clean up 4 service accounts and 2 Secrets",
    ] {
        assert!(said.contains(line), "{line} is missing in:\n{said}");
    }
    assert!(!said.contains("other"), "{said}");

    // What can't be listed can't be removed, and nothing is before all is known.
    let refused = regcred(&world.cluster, READER).arg("cleanup").output().unwrap();
    let why = String::from_utf8(refused.stderr).unwrap();
    assert_eq!(refused.status.code(), Some(1));
    assert!(why.starts_with("regcred: you may not read service accounts: "), "{why}");
    assert_eq!(everything(&world), before);

    let said = cleanup(&world.cluster, &[]);
    assert!(said.contains("cleaned up 4 service accounts and 2 Secrets"), "{said}");
    world.wait_accounts_with("darwin", &[]);
    world.wait_managed(&["team-a/other"]);
    for name in ["team-a", "team-b"] {
        assert_eq!(world.entries(name, "builder").unwrap(), ["other"]);
        assert!(world.secret(name, "other").is_ok());
    }
    let said = cleanup(&world.cluster, &[]);
    assert!(said.contains("cleaned up 0 service accounts and 0 Secrets"), "{said}");

    // The source was never ours.
    world.secret("regcred-system", "key").unwrap();
}

#[test]
fn the_crd_is_guarded_while_a_credential_is_left_and_its_deletion_takes_entries_with_it() {
    let world = furnished();
    world.kubectl(&["apply", "--server-side", "-k", &format!("{ROOT}/config/policy")]);
    let delete = |args: &[&str]| {
        let output = world.cluster.kubectl(&[&["delete", "crd", CRD], args].concat());
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    eventually(SOON, || match delete(&["--dry-run=server"]) {
        (true, _) => Err("the policy isn't in force yet".to_owned()),
        (false, _) => Ok(()),
    });
    let (deleted, why) = delete(&[]);
    assert!(!deleted && why.contains("there still are RegistryCredentials"), "{why}");
    world.wait_ready("darwin");

    // Past the guard, on purpose.
    world.kubectl(&["delete", "validatingadmissionpolicybinding", "regcred-protect-crd"]);
    eventually(SOON, || match delete(&["--dry-run=server"]) {
        (true, _) => Ok(()),
        (false, why) => Err(why),
    });
    let (deleted, why) = delete(&["--timeout=30s"]);
    assert!(deleted, "{why}");
    world.wait_accounts_with("darwin", &[]);
    world.wait_managed(&[]);
    for name in ["team-a", "team-b"] {
        assert_eq!(world.entries(name, "builder").unwrap(), ["other"]);
        assert!(world.secret(name, "other").is_ok());
    }
    assert!(world.operator.is_running());

    // And when it is back, so is all that somebody asks for.
    let crd = std::fs::read_to_string(format!("{ROOT}/crds/{CRD}.yaml")).unwrap();
    world.cluster.install(&crd).unwrap();
    world.credential("darwin", json!({"namespaces": {"names": ["team-a"]}}));
    world.wait_accounts_with("darwin", &["team-a/default"]);
    world.assert_nothing_was_forbidden();
}
