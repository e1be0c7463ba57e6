//! The first promise: a pod pulls because of us, and only where we were asked to see to it.

use std::time::Duration;

use serde_json::json;

use crate::case::{Case, pod, pull_secrets};

pub fn only_pods_in_a_target_namespace_pull(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let (outside, inside) = (case.namespace("outside", false), case.namespace("inside", true));
    case.rolled_out();
    for namespace in [&outside, &inside] {
        case.pod(namespace, "app", &image, "Always");
    }
    let running = case.wait_running(&inside, "app");
    assert_eq!(pull_secrets(&running["spec"]), [case.secret()], "it comes from the service account");
    case.stays_in_pull_error(&outside, "app", Duration::from_secs(60));
    let requests = case.registry().requests(&case.name);
    assert!(requests.iter().any(|request| !request.granted && request.user.is_empty()), "{requests:?}");
}

pub fn a_pod_that_names_the_secret_itself_pulls_and_no_service_account_is_touched(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let namespace = case.namespace("a", true);
    let before = case.service_account(&namespace);
    let key = case.key("first");
    case.accept(&key);
    let version = case.source(&key);
    case.credential(json!({"attach": {"mode": "None"}}));
    case.wait_rolled_out(&version);
    let containers = json!([{"name": "app", "image": image, "imagePullPolicy": "Always"}]);
    let named = json!({"imagePullSecrets": [{"name": case.secret()}]});
    case.apply(&pod(&namespace, "app", containers, named));
    case.wait_running(&namespace, "app");
    assert_eq!(case.service_account(&namespace), before);
}
