//! A new key in the source: whatever pulls, goes on pulling, and what runs, runs on.

use controlplane::eventually;
use serde_json::json;

use crate::case::{Case, JSON_KEY, SOON, pod, restarts};

const NAMESPACES: [&str; 5] = ["a", "b", "c", "d", "e"];

pub fn after_a_rotation_new_pods_pull_with_the_new_key_and_running_ones_run_on(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let namespaces = NAMESPACES.map(|suffix| case.namespace(suffix, true));
    let old = case.rolled_out();
    for namespace in &namespaces {
        case.pod(namespace, "before", &image, "Always");
    }
    for namespace in &namespaces {
        case.wait_running(namespace, "before");
    }

    let new = case.rotate();
    // What a copy of the old key is worth now.
    case.by_hand(&namespaces[0], "stale", &[("gcr.io", JSON_KEY, &old)]);
    let stale = json!({"imagePullSecrets": [{"name": "stale"}]});
    let containers = json!([{"name": "app", "image": image, "imagePullPolicy": "Always"}]);
    case.apply(&pod(&namespaces[0], "stale", containers, stale));

    for namespace in &namespaces {
        case.pod(namespace, "after", &image, "Always");
    }
    for namespace in &namespaces {
        case.wait_running(namespace, "after");
        let before = case.wait_running(namespace, "before");
        assert_eq!(restarts(&before), 0, "a pod that runs isn't touched");
    }
    case.wait_pull_error(&namespaces[0], "stale");
    assert_ne!(old, new);
    // Its image is asked for again, with a pull secret that the pod has named since it was created.
    case.restart_container(&namespaces[1], "before");
}

pub fn an_image_that_is_present_needs_no_pull_before_and_after_a_rotation(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let namespace = case.namespace("a", true);
    case.rolled_out();
    case.pod(&namespace, "first", &image, "IfNotPresent");
    case.wait_running(&namespace, "first");
    let pulled = case.registry().requests(&case.name);
    assert!(pulled.iter().any(|request| request.granted && request.user == JSON_KEY), "{pulled:?}");

    let starts_without_a_pull = |pod: &str| {
        case.pod(&namespace, pod, &image, "IfNotPresent");
        case.wait_running(&namespace, pod);
        eventually(SOON, || {
            let events = case.events(&namespace, pod);
            match events.iter().any(|event| event.contains("already present on machine")) {
                true => Ok(()),
                false => Err(format!("{events:#?}")),
            }
        });
    };
    starts_without_a_pull("second");
    // The image was pulled with a credential that is no more. The kubelet knows the Secret by its UID, which an update
    // in place keeps.
    case.rotate();
    starts_without_a_pull("third");
    case.restart_container(&namespace, "first");
    assert_eq!(case.registry().requests(&case.name), pulled, "the registry wasn't asked again");
}
