//! What a Helm chart does: namespace, service account and pod in one go. docs/pulls.md says what to expect.

use std::time::Duration;

use controlplane::eventually;
use serde_json::{Value, json};

use crate::case::{Case, SOON, pod, pull_secrets};

/// Of the service account that the chart brings along.
const ACCOUNT: &str = "chart";

/// How many are applied at once: some pods are created before their service account has its entry, some after.
const CHARTS: usize = 6;

pub fn a_pod_that_was_too_early_runs_once_it_is_made_again(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    // As where config/policy/at-creation isn't installed.
    let accounts = json!({"attach": {"serviceAccounts": {"names": ["*"], "when": "AfterSecret"}}});
    let version = source(case);
    case.credential(accounts);
    case.wait_rolled_out(&version);

    let namespaces: Vec<String> = (0..CHARTS).map(|index| format!("{}-{index}", case.name)).collect();
    for namespace in &namespaces {
        let chart = chart(case, namespace, true, &image, json!({}));
        case.cluster().kubectl_with_input(&["apply", "-f", "-"], &chart).unwrap();
    }
    // One that is sure to be too early: its namespace becomes a target only afterwards.
    let last = format!("{}-late", case.name);
    case.cluster().kubectl_with_input(&["apply", "-f", "-"], &chart(case, &last, false, &image, json!({}))).unwrap();
    case.wait_pull_error(&last, "app");
    let label = format!("case={}", case.name);
    case.cluster().kubectl_ok(&["label", "namespace", &last, &label]);

    let mut late = 0;
    for namespace in namespaces.iter().chain([&last]) {
        wait_attached(case, namespace);
        let created = case.get_pod(namespace, "app").unwrap();
        if !pull_secrets(&created["spec"]).is_empty() {
            case.wait_running(namespace, "app");
            continue;
        }
        // A pod keeps the pull secrets that it was created with.
        late += 1;
        case.wait_pull_error(namespace, "app");
        case.cluster().kubectl_ok(&["-n", namespace, "delete", "pod", "app", "--now"]);
        let chart = chart(case, namespace, true, &image, json!({}));
        case.cluster().kubectl_with_input(&["apply", "-f", "-"], &chart).unwrap();
        case.wait_running(namespace, "app");
    }
    println!("{late} of {} pods were created before their service account had its entry", CHARTS + 1);
}

pub fn every_pod_runs_whose_service_account_is_created_with_its_entry(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let version = source(case);
    case.credential(json!({"attach": {"serviceAccounts": {"names": ["*"]}}}));
    case.wait_rolled_out(&version);
    let first = case.namespace("first", true);
    let args = ["-n", &first, "create", "serviceaccount", "probe", "--dry-run=server", "-o", "json"];
    eventually(SOON, || {
        let probe: Value = serde_json::from_str(&case.cluster().kubectl_ok(&args)).map_err(|e| e.to_string())?;
        if pull_secrets(&probe) == [case.secret()] { Ok(()) } else { Err("the policy isn't in force".to_owned()) }
    });
    let namespaces: Vec<String> = (0..CHARTS).map(|index| format!("{}-{index}", case.name)).collect();
    for namespace in &namespaces {
        let chart = chart(case, namespace, true, &image, json!({}));
        case.cluster().kubectl_with_input(&["apply", "-f", "-"], &chart).unwrap();
        let created = case.get_pod(namespace, "app").unwrap();
        assert_eq!(pull_secrets(&created["spec"]), [case.secret()], "{namespace}");
    }
    // If the Secret comes after the first pull, the kubelet reads it for the next one.
    for namespace in &namespaces {
        case.wait_running(namespace, "app");
    }
}

pub fn a_deployment_that_was_too_early_heals_where_its_pods_are_evicted(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let version = source(case);
    case.credential(json!({"stuckPods": "Evict"}));
    case.wait_rolled_out(&version);
    // It becomes a target only when all of its pods have failed to pull.
    let namespace = case.namespace("late", false);
    let containers = json!([{"name": "app", "image": image, "imagePullPolicy": "Always"}]);
    let template = pod(&namespace, "app", containers, json!({}));
    case.apply(&json!({
        "apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "app", "namespace": namespace},
        "spec": {
            "replicas": 2,
            "selector": {"matchLabels": {"app": "app"}},
            "template": {"metadata": {"labels": {"app": "app"}}, "spec": template["spec"]},
        },
    }));
    case.pod(&namespace, "alone", &image, "Always");
    let of_deployment = || {
        let pods = case.cluster().try_get_json(&["-n", &namespace, "pods", "-l", "app=app"])?;
        let pods = pods["items"].as_array().cloned().unwrap_or_default();
        let names: Vec<String> =
            pods.iter().filter_map(|pod| pod["metadata"]["name"].as_str().map(str::to_owned)).collect();
        if names.len() == 2 { Ok(names) } else { Err(format!("its pods are {names:?}")) }
    };
    let early = eventually(SOON, of_deployment);
    for name in early.iter().map(String::as_str).chain(["alone"]) {
        case.wait_pull_error(&namespace, name);
    }
    let alone = case.get_pod(&namespace, "alone").unwrap()["metadata"]["uid"].clone();
    let label = format!("case={}", case.name);
    case.cluster().kubectl_ok(&["label", "namespace", &namespace, &label]);

    let rollout = ["-n", &*namespace, "rollout", "status", "deployment/app", "--timeout=90s"];
    case.cluster().kubectl_ok(&rollout);
    let late = eventually(SOON, of_deployment);
    assert!(late.iter().all(|name| !early.contains(name)), "{early:?} became {late:?}");
    for name in &late {
        assert_eq!(pull_secrets(&case.wait_running(&namespace, name)["spec"]), [case.secret()]);
    }
    // Nobody would make it again.
    case.wait_pull_error(&namespace, "alone");
    assert_eq!(case.get_pod(&namespace, "alone").unwrap()["metadata"]["uid"], alone);
}

pub fn a_chart_whose_pod_names_the_secret_heals_by_itself(case: &Case) {
    let image = case.image("gcr.io", &case.name);
    let version = source(case);
    case.credential(json!({"attach": {"mode": "None"}}));
    case.wait_rolled_out(&version);
    let named = json!({"imagePullSecrets": [{"name": case.secret()}]});
    // The second one's Secret comes only when the first pull has failed: the kubelet reads it anew for each try.
    let (soon, late) = (format!("{}-soon", case.name), format!("{}-late", case.name));
    for (namespace, target) in [(&soon, true), (&late, false)] {
        let chart = chart(case, namespace, target, &image, named.clone());
        case.cluster().kubectl_with_input(&["apply", "-f", "-"], &chart).unwrap();
    }
    case.wait_running(&soon, "app");
    case.wait_pull_error(&late, "app");
    let label = format!("case={}", case.name);
    case.cluster().kubectl_ok(&["label", "namespace", &late, &label]);
    let uid = case.get_pod(&late, "app").unwrap()["metadata"]["uid"].clone();
    let running = case.wait_running(&late, "app");
    assert_eq!(running["metadata"]["uid"], uid, "it is the same pod");
}

fn source(case: &Case) -> String {
    let key = case.key("first");
    case.accept(&key);
    case.source(&key)
}

/// The documents of a chart.
fn chart(case: &Case, namespace: &str, target: bool, image: &str, more: Value) -> String {
    let labels = if target { json!({"case": case.name}) } else { json!({}) };
    let mut spec = json!({"serviceAccountName": ACCOUNT});
    for (member, value) in more.as_object().expect("members") {
        spec[member] = value.clone();
    }
    let containers = json!([{"name": "app", "image": image, "imagePullPolicy": "Always"}]);
    let documents = [
        json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace, "labels": labels}}),
        json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": namespace}}),
        pod(namespace, "app", containers, spec),
    ];
    documents.map(|document| document.to_string()).join("\n---\n")
}

fn wait_attached(case: &Case, namespace: &str) {
    eventually(SOON.min(Duration::from_secs(30)), || {
        let account = case.cluster().try_get_json(&["-n", namespace, "serviceaccount", ACCOUNT])?;
        match pull_secrets(&account) == [case.secret()] {
            true => Ok(()),
            false => Err(format!("{namespace}/{ACCOUNT} has no entry: {account}")),
        }
    });
}
