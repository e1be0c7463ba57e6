//! Namespaces where the API server refuses our writes: they delay nobody, and the status says who refuses.

use controlplane::{AuditEntry, OPERATOR, eventually};
use serde_json::json;

use crate::world::{SOON, World, key};

/// Denies Secrets in namespaces with the label `sealed`, and quotes what it denies.
const SEAL: &str = r#"
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicy
metadata: {name: seal}
spec:
  matchConstraints:
    resourceRules:
    - {apiGroups: [""], apiVersions: ["*"], operations: [CREATE, UPDATE], resources: [secrets]}
  validations:
  - expression: "false"
    messageExpression: "'sealed; denied was ' + (has(object.data) ? string(object.data['.dockerconfigjson']).substring(0, 150) : 'nothing')"
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingAdmissionPolicyBinding
metadata: {name: seal}
spec:
  policyName: seal
  validationActions: [Deny]
  matchResources: {namespaceSelector: {matchExpressions: [{key: sealed, operator: Exists}]}}
"#;

fn is_sealed(world: &World, namespace: &str) -> bool {
    let probe = ["-n", namespace, "create", "secret", "generic", "probe", "--dry-run=server"];
    !world.cluster.kubectl(&probe).status.success()
}

#[test]
fn a_namespace_that_refuses_our_writes_delays_no_other_and_its_refusal_is_said_without_the_credential() {
    let world = World::new();
    world.source("key", &key('a'));
    world.cluster.apply(SEAL).unwrap();
    for (name, labels) in [("full", json!({})), ("sealed", json!({"sealed": "yes"})), ("team", json!({}))] {
        world.namespace(name, labels);
        world.wait_account(name, "default");
    }
    // No quota controller runs here, so the status is ours to write.
    let counts = json!({"hard": {"count/secrets": "0"}, "used": {"count/secrets": "0"}});
    let quota = json!({
        "apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "no-secrets", "namespace": "full"},
        "spec": {"hard": {"count/secrets": "0"}},
    });
    world.cluster.apply(&quota.to_string()).unwrap();
    let status = json!({"status": counts}).to_string();
    world.kubectl(&[
        "-n",
        "full",
        "patch",
        "resourcequota",
        "no-secrets",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status,
    ]);
    for name in ["full", "sealed"] {
        eventually(SOON, || if is_sealed(&world, name) { Ok(()) } else { Err(format!("{name} isn't closed yet")) });
    }

    world.credential("darwin", json!({"namespaces": {"names": ["full", "sealed", "team", "later"]}}));
    world.wait_entries("team", "default", &["darwin"]);
    let message = world.wait_failure("darwin", "full", "WriteDenied");
    assert!(message.contains("no-secrets"), "{message}");
    let message = world.wait_failure("darwin", "sealed", "WriteDenied");
    assert!(message.contains("denied was (withheld)"), "{message}");
    world.wait_condition("darwin", "Ready", "False", "PartiallyReady");
    world.namespace("later", json!({}));
    world.wait_entries("later", "default", &["darwin"]);
    world.wait_namespaces("darwin", "2/4");
    for name in ["full", "sealed"] {
        assert_eq!(world.entries(name, "default").unwrap(), [""; 0], "no entry without a Secret");
    }
    let data = world.secret("team", "darwin").unwrap()["data"][".dockerconfigjson"].as_str().unwrap().to_owned();
    let told = world.operator.log() + &world.cluster.get_json(&["registrycredentials,events", "-A"]).to_string();
    assert!(!told.contains(&data[..40]), "somebody repeats the credential");

    // The way is free again. Nothing tells us of that: it is tried again.
    world.kubectl(&["-n", "full", "delete", "resourcequota", "no-secrets"]);
    world.kubectl(&["label", "namespace", "sealed", "sealed-"]);
    world.wait_namespaces("darwin", "4/4");
    world.wait_ready("darwin");

    // A key counts as rolled out when the last namespace holds it, and the others don't wait for that one.
    world.kubectl(&["label", "namespace", "team", "sealed=yes"]);
    eventually(SOON, || if is_sealed(&world, "team") { Ok(()) } else { Err("it isn't sealed yet".to_owned()) });
    let before = world.status("darwin").unwrap();
    world.source("key", &key('b'));
    for name in ["full", "sealed", "later"] {
        world.wait_password(name, "darwin", &key('b'));
    }
    world.wait_failure("darwin", "team", "WriteDenied");
    let status = world.status("darwin").unwrap();
    assert_ne!(status["observedSource"], before["observedSource"]);
    assert_eq!(status["lastRolloutTime"], before["lastRolloutTime"]);
    world.wait_condition("darwin", "Ready", "False", "PartiallyReady");
    assert_eq!(world.password("team", "darwin").unwrap(), key('a'), "the last good one stays");
    world.wait_entries("team", "default", &["darwin"]);
    world.kubectl(&["label", "namespace", "team", "sealed-"]);
    world.wait_password("team", "darwin", &key('b'));
    world.wait_ready("darwin");

    // Only those writes were refused.
    let refused: Vec<_> = world.all_writes().into_iter().filter(|write| write.code == 403).collect();
    let of_ours = |w: &AuditEntry| {
        w.user == OPERATOR && w.resource == "secrets" && ["create", "update", "patch"].contains(&&*w.verb)
    };
    assert!(refused.iter().all(of_ours), "{refused:#?}");
    assert!(refused.len() < 40, "it backs off: {}", refused.len());
}
