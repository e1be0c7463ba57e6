//! What a test holds against the operator: versions of objects, its requests, and texts that must not have leaked.

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::STANDARD};
use controlplane::{AuditEntry, ControlPlane, OPERATOR, eventually};
use serde_json::{Value, json};

use crate::world::{SOON, World};

/// The resourceVersion of every pull secret and service account, by `kind namespace/name`. Where two of these are
/// equal nothing was written or deleted between them.
pub fn versions(world: &World) -> BTreeMap<String, String> {
    let list = world.cluster.get_json(&["secrets,serviceaccounts", "-A"]);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let items = list["items"].as_array().unwrap().iter();
    let ours = items.filter(|o| o["kind"] == "ServiceAccount" || o["type"] == "kubernetes.io/dockerconfigjson");
    ours.map(|o| {
        let at = &o["metadata"];
        let key = format!("{} {}/{}", text(&o["kind"]), text(&at["namespace"]), text(&at["name"]));
        (key, text(&at["resourceVersion"]))
    })
    .collect()
}

/// Every request of the operator so far.
pub fn requests(cluster: &ControlPlane) -> Vec<AuditEntry> {
    cluster.audit_log().into_iter().filter(|entry| entry.user == OPERATOR).collect()
}

/// Applies many objects by one kubectl.
pub fn apply_all(cluster: &ControlPlane, objects: Vec<Value>) {
    cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
}

/// Makes the namespaces `prefix-0`, `prefix-1`, … and waits until each has its service account.
pub fn namespaces(cluster: &ControlPlane, prefix: &str, count: usize) {
    let namespace = |i| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{prefix}-{i}")}});
    apply_all(cluster, (0..count).map(namespace).collect());
    let start = format!("{prefix}-");
    eventually(SOON, || {
        let accounts = cluster.try_get_json(&["serviceaccounts", "-A"])?;
        let accounts = accounts["items"].as_array().unwrap().iter();
        let served = accounts.filter_map(|account| account["metadata"]["namespace"].as_str());
        let served: Vec<&str> = served.filter(|namespace| namespace.starts_with(&start)).collect();
        let names = (0..count).map(|i| format!("{prefix}-{i}"));
        let without: Vec<String> = names.filter(|name| !served.contains(&name.as_str())).collect();
        let made = served.len();
        let all = without.is_empty() && made == count;
        if all { Ok(()) } else { Err(format!("{made} service accounts, and none in {without:?}")) }
    });
}

/// A source Secret with these bytes under key.json.
pub fn source(name: &str, bytes: &[u8]) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": {"name": name, "namespace": "regcred-system"},
        "data": {"key.json": STANDARD.encode(bytes)},
    })
}

/// The Ready condition of every RegistryCredential: its status, reason and message, where it is of the current
/// generation.
pub fn readiness(world: &World) -> Result<BTreeMap<String, (String, String, String)>, String> {
    let list = world.get(&["registrycredentials"])?;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let ready = |object: &Value| {
        let conditions = object["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let current = object["status"]["observedGeneration"] == object["metadata"]["generation"];
        let ready = conditions.into_iter().find(|c| c["type"] == "Ready" && current).unwrap_or_default();
        let name = text(&object["metadata"]["name"]);
        (name, (text(&ready["status"]), text(&ready["reason"]), text(&ready["message"])))
    };
    Ok(list["items"].as_array().unwrap().iter().map(ready).collect())
}

/// Waits until each of these RegistryCredentials has the reason that is expected of it.
pub fn wait_reasons(world: &World, wanted: &[(&str, &str)]) {
    eventually(SOON, || {
        let found = readiness(world)?;
        let reason = |name: &str| found.get(name).map_or(String::new(), |(_, reason, _)| reason.clone());
        let wrong: Vec<_> = wanted.iter().filter(|(name, want)| reason(name) != *want).collect();
        if wrong.is_empty() { Ok(()) } else { Err(format!("wanted {wrong:?}, found {found:#?}")) }
    });
}

/// Everything that the operator has said: its log, the Events, the RegistryCredentials and the metrics; and what others
/// on its machine see of it.
pub fn said(world: &World) -> Vec<(&'static str, String)> {
    let proc = |file: &str| {
        let bytes = std::fs::read(format!("/proc/{}/{file}", world.operator.pid())).unwrap();
        String::from_utf8_lossy(&bytes).into_owned()
    };
    vec![
        ("its environment", proc("environ")),
        ("its command line", proc("cmdline")),
        ("the log", world.operator.log()),
        ("an Event", world.cluster.get_json(&["events.events.k8s.io", "-A"]).to_string()),
        ("a RegistryCredential", world.cluster.get_json(&["registrycredentials"]).to_string()),
        ("/metrics", world.operator.get("/metrics").unwrap().1),
    ]
}

/// Shows that the operator has repeated none of these texts, neither in clear nor as a part of some base64.
#[track_caller]
pub fn assert_unsaid(world: &World, secrets: &[String]) {
    for (place, text) in said(world) {
        for secret in secrets {
            for form in forms(secret) {
                if let Some(at) = text.find(&form) {
                    let before: Vec<char> = text[..at].chars().rev().take(200).collect();
                    let before: String = before.iter().rev().collect();
                    panic!("{place} repeats {secret} as {form}, after: {before}");
                }
            }
        }
    }
}

/// The text, and the part of its base64 that doesn't depend on what is around it, for each of three offsets.
fn forms(text: &str) -> Vec<String> {
    let encoded = (0..3).map(|offset| {
        let encoded = STANDARD.encode(format!("{}{text}", &"   "[..offset]));
        let whole = (text.len() + offset) / 3 * 4;
        encoded[[0, 2, 3][offset]..whole].to_owned()
    });
    std::iter::once(text.to_owned()).chain(encoded).collect()
}
