//! The audit log → what the operator wrote that nobody asked for.

use std::collections::BTreeMap;

use controlplane::{AuditEntry, ControlPlane, OPERATOR, eventually};

use jiff::{SignedDuration, Timestamp};

use crate::{faults::Count, model::Model, order::Early};

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
    /// How often something happened that may end a wish for a Secret, likewise.
    pub endings: &'a BTreeMap<String, usize>,
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
            // Its own, which each start stores where it isn't there.
            "secrets" if namespace == "regcred-state" => request.verb == "create",
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
    let mut deletions: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for request in requests.iter().filter(|r| r.resource == "secrets" && r.verb == "delete" && r.code < 300) {
        *deletions.entry((&request.namespace, &request.name)).or_default() += 1;
    }
    let endings = |namespace: &str| causes.endings.get(namespace).copied().unwrap_or_default();
    for ((namespace, name), times) in deletions {
        let most = endings("") + endings(namespace);
        if times > most {
            wrong.push(format!("Secret {namespace}/{name} was deleted {times} times, for {most} reasons at most"));
        }
    }
    wrong
}

/// How long the operator may take to hear of a Secret's deletion: its watch may have broken off, and break off again.
const NEWS: SignedDuration = SignedDuration::from_secs(20);

/// What came before that which has to come before it, given what everybody has asked for.
pub fn too_early(early: &[Early], log: &[AuditEntry]) -> Vec<String> {
    let deletions = log.iter().filter(|r| r.resource == "secrets" && r.verb.starts_with("delete") && r.code < 300);
    let deletions: Vec<_> = deletions.map(|r| (r, r.received.parse::<Timestamp>().expect("a time"))).collect();
    let is_wrong = |early: &&Early| match early {
        Early::Deletion(_) => true,
        Early::Entry { namespace, secret, at } => !deletions.iter().any(|(request, time)| {
            let same = request.namespace == *namespace && (request.name == *secret || request.name.is_empty());
            same && at.duration_since(*time).abs() < NEWS
        }),
    };
    let tell = |early: &Early| match early {
        Early::Deletion(why) => format!("a deletion came too early: {why}"),
        Early::Entry { namespace, secret, .. } => format!("an entry came too early: no Secret {namespace}/{secret}"),
    };
    early.iter().filter(is_wrong).map(tell).collect()
}
