//! The audit log → what the operator wrote that nobody asked for.

use std::collections::BTreeMap;

use controlplane::{AuditEntry, ControlPlane, OPERATOR, eventually};

use crate::{faults::Count, model::Model};

/// What the operator has asked for since that position of the log; all that was answered before this is called.
pub fn requests(cluster: &ControlPlane, since: u64, mark: &str) -> Vec<AuditEntry> {
    cluster.kubectl(&["get", "--raw", &format!("/api/v1/namespaces/{mark}")]);
    let log = eventually(std::time::Duration::from_secs(30), || {
        let log = cluster.audit_log_since(since);
        let marked = log.iter().any(|entry| entry.name == mark);
        if marked { Ok(log) } else { Err("the audit log lags behind".to_owned()) }
    });
    log.into_iter().filter(|entry| entry.user == OPERATOR).collect()
}

/// What may explain a write.
pub struct Causes<'a> {
    /// How often something changed for a namespace; by `""` for all of them. The operator's starts count there, too.
    pub events: &'a BTreeMap<String, usize>,
    /// Requests that went wrong, by path: such a write may have been made, and is made again.
    pub faults: &'a Count,
    /// How long all of it took.
    pub seconds: u64,
}

/// What is wrong with these requests.
pub fn judge(model: &Model, requests: &[AuditEntry], causes: &Causes<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut times: BTreeMap<(&str, &str, &str), usize> = BTreeMap::new();
    let done = |request: &&AuditEntry| request.is_write() && request.code < 300;
    for request in requests.iter().filter(|request| request.is_write()) {
        let (namespace, name) = (request.namespace.as_str(), request.name.as_str());
        let asked_for = match request.resource.as_str() {
            "secrets" => model.was_wanted(namespace, name, |_| true),
            "serviceaccounts" => model.was_chosen(namespace, name),
            "registrycredentials" => request.subresource == "status",
            "events" => namespace == "default",
            _ => false,
        };
        if !asked_for {
            wrong.push(format!("nobody asked for {} {} ({})", request.verb, request.uri, request.code));
        }
    }
    for request in requests.iter().filter(done) {
        *times.entry((&request.resource, &request.namespace, &request.name)).or_default() += 1;
    }
    let events = |namespace: &str| causes.events.get(namespace).copied().unwrap_or_default();
    for ((resource, namespace, name), times) in times {
        let path = match resource {
            "secrets" | "serviceaccounts" => format!("/api/v1/namespaces/{namespace}/{resource}/{name}"),
            "registrycredentials" => format!("/apis/regcred.dev/v1alpha1/registrycredentials/{name}/status"),
            _ => continue,
        };
        let faults = causes.faults.get(&path).copied().unwrap_or_default();
        let most = faults
            + match resource {
                // About one a second.
                "registrycredentials" => causes.seconds as usize + 3,
                _ => events("") + events(namespace),
            };
        if times > most {
            let all = requests.iter().filter(|r| r.uri.split('?').next() == Some(&path));
            let all: Vec<_> = all.map(|r| format!("{} {}", r.verb, r.code)).collect();
            wrong.push(format!("{path} was written {times} times, for {most} reasons at most: {}", all.join(", ")));
        }
    }
    wrong
}
