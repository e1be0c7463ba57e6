//! The apiserver's audit log: who asked for what.

use std::collections::HashSet;
use std::fs;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;

use crate::control_plane::ControlPlane;

/// One request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AuditEntry {
    /// Name of the user.
    pub user: String,
    /// `get`, `list`, `watch`, `create`, `update`, `patch` (an apply, too), `delete`, `deletecollection`.
    pub verb: String,
    /// API group, empty for core.
    pub group: String,
    /// Plural, empty for what isn't a resource.
    pub resource: String,
    /// Such as `status`, else empty.
    pub subresource: String,
    /// Empty for what isn't in one, and for requests across all.
    pub namespace: String,
    /// Empty for requests on a collection.
    pub name: String,
    /// HTTP status.
    pub code: u16,
    /// Whether RBAC refused it: admission, quotas and namespaces that are going answer 403 as well.
    pub unauthorized: bool,
    /// The client's name for itself.
    pub user_agent: String,
    /// Path and query.
    pub uri: String,
    /// When it came in: RFC 3339 in UTC with microseconds, so that texts compare as times do.
    pub received: String,
}

impl AuditEntry {
    /// Whether it was meant to change something (a dry run counts, too).
    pub fn is_write(&self) -> bool {
        !["get", "list", "watch"].contains(&self.verb.as_str()) && !self.is_question()
    }

    /// Whether it asks what the user itself may do, which is a `create` of what is kept nowhere.
    pub fn is_question(&self) -> bool {
        (&*self.group, &*self.resource) == ("authorization.k8s.io", "selfsubjectaccessreviews")
    }
}

impl ControlPlane {
    /// All requests so far, in the order in which they were answered (a watch: in which it began). A request may be
    /// written down a moment after its client has the answer: use [`crate::eventually`]. Empty without [`crate::Audit::Metadata`].
    pub fn audit_log(&self) -> Vec<AuditEntry> {
        self.audit_log_since(self.requests_from().position)
    }

    /// How long the log is, in bytes, for [`ControlPlane::audit_log_since`].
    pub fn audit_position(&self) -> u64 {
        fs::metadata(crate::apiserver::audit_log(self.folder())).map_or(0, |file| file.len())
    }

    /// As [`ControlPlane::audit_log`], from a position on: for logs of many megabytes.
    pub fn audit_log_since(&self, position: u64) -> Vec<AuditEntry> {
        let mut log = read(&crate::apiserver::audit_log(self.folder()), position);
        log.retain(|entry| entry.received > self.requests_from().after);
        log
    }
}

fn read(path: &Path, position: u64) -> Vec<AuditEntry> {
    let mut log = Vec::new();
    if let Ok(mut file) = fs::File::open(path) {
        file.seek(SeekFrom::Start(position)).and_then(|_| file.read_to_end(&mut log)).expect("the audit log");
    }
    let log = String::from_utf8_lossy(&log);
    let whole = log.rfind('\n').map_or("", |end| &log[..end]); // the last line may be half written
    let mut seen = HashSet::new();
    let events = whole.lines().map(|line| serde_json::from_str::<Value>(line).expect("the audit log is JSON"));
    // A watch is written twice, at its beginning and its end.
    events.filter(|event| seen.insert(event["auditID"].to_string())).map(|event| entry(&event)).collect()
}

fn entry(event: &Value) -> AuditEntry {
    let decision = &event["annotations"]["authorization.k8s.io/decision"];
    let text = |pointer: &str| event.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned();
    AuditEntry {
        user: text("/user/username"),
        verb: text("/verb"),
        group: text("/objectRef/apiGroup"),
        resource: text("/objectRef/resource"),
        subresource: text("/objectRef/subresource"),
        namespace: text("/objectRef/namespace"),
        name: text("/objectRef/name"),
        code: event.pointer("/responseStatus/code").and_then(Value::as_u64).unwrap_or_default() as u16,
        unauthorized: decision == "forbid",
        user_agent: text("/userAgent"),
        uri: text("/requestURI"),
        received: text("/requestReceivedTimestamp"),
    }
}
