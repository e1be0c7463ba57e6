//! The chart on a node: `--wait` ends when the operator's pods are ready, and fails where they can't be.

use controlplane::{Helm, HelmVersion};
use serde_json::json;

use crate::case::{Case, pull_secrets};
use crate::suite::NAMESPACE;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");

pub fn a_release_takes_the_operator_over_and_wait_tells_whether_its_pods_are_ready(case: &Case) {
    let helm = Helm::on(HelmVersion::Four, case.cluster());
    let chart = format!("{ROOT}/charts/regcred");
    let names = format!("secretNames={{{}}},serviceAccountNames={{default}},stuckPods=Evict", case.secret());
    let wait = ["-n", NAMESPACE, "--wait", "--timeout", "120s"];
    let install = ["install", "regcred", &chart, "--take-ownership", "--force-conflicts", "--set", &names];
    helm.ok(&[&install[..], &wait].concat());
    assert_all_ready(case);

    // It does its work, with the rights that the chart gives.
    case.rolled_out();
    let namespace = case.namespace("target", true);
    case.pod(&namespace, "first", &case.image("gcr.io", &case.name), "Always");
    case.wait_running(&namespace, "first");
    assert_eq!(pull_secrets(&case.service_account(&namespace)), [case.secret()]);

    // What can't run isn't said to, and what ran goes on meanwhile. kubectl, which installed it, owns the image, too.
    let upgrade = ["upgrade", "regcred", &chart, "--force-conflicts", "--reuse-values", "--set", "image.tag=absent"];
    let short = ["-n", NAMESPACE, "--wait", "--timeout", "15s"];
    let said = helm.refused(&[&upgrade[..], &short].concat());
    assert!(said.contains("Deployment/regcred-system/regcred not ready"), "{said}");
    case.rotate();
    case.pod(&namespace, "second", &case.image("gcr.io", &case.name), "Always");
    case.wait_running(&namespace, "second");
    helm.ok(&[&["rollback", "regcred", "1", "--force-conflicts"][..], &wait].concat());
    assert_all_ready(case);
}

/// At this moment, not a little later.
fn assert_all_ready(case: &Case) {
    let deployment = case.cluster().get_json(&["-n", NAMESPACE, "deployment", "regcred"]);
    let status = &deployment["status"];
    assert_eq!(status["observedGeneration"], deployment["metadata"]["generation"], "{status:#}");
    for count in ["replicas", "updatedReplicas", "readyReplicas"] {
        assert_eq!(status[count], json!(2), "{count} in {status:#}");
    }
}
