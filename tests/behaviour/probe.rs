//! What the stories ask of a world: who wrote what, what is said of failures, and whether all is quiet.

use std::{collections::BTreeMap, path::PathBuf};

use controlplane::{ADMIN, AuditEntry, OPERATOR, Process, eventually};
use serde_json::{Value, json};

use crate::world::{SOON, World, credential};

/// A namespace and RegistryCredential that only show that the operator has done all that it was told before.
/// It is the last by name, as namespaces are planned in that order.
const MARKER: &str = "zz-marker";

impl World {
    pub fn kubectl(&self, args: &[&str]) -> String {
        self.cluster.kubectl_ok(args)
    }

    /// `kubectl patch` as people type it; `object` is such as `secret/darwin`.
    pub fn patch(&self, namespace: &str, object: &str, patch: Value) {
        self.kubectl(&["-n", namespace, "patch", object, "-p", &patch.to_string()]);
    }

    /// Changes the spec of a RegistryCredential by a merge patch.
    pub fn patch_spec(&self, name: &str, spec: Value) {
        let patch = json!({"spec": spec}).to_string();
        self.kubectl(&["patch", "registrycredential", name, "--type=merge", "-p", &patch]);
    }

    pub fn delete_credential(&self, name: &str) {
        self.kubectl(&["delete", "registrycredential", name]);
    }

    /// Applies a service account; people's own entries, if any, are part of what is created, not of what is applied.
    pub fn service_account(&self, namespace: &str, name: &str, labels: Value, entries: &[&str]) {
        let entries: Vec<Value> = entries.iter().map(|name| json!({"name": name})).collect();
        let manifest = json!({
            "apiVersion": "v1", "kind": "ServiceAccount", "imagePullSecrets": entries,
            "metadata": {"name": name, "namespace": namespace, "labels": labels},
        });
        self.cluster.kubectl_with_input(&["create", "-f", "-"], &manifest.to_string()).unwrap();
    }

    /// Creates a Secret that isn't ours, of a name that the operator looks at.
    pub fn foreign_secret(&self, namespace: &str, name: &str, type_: &str) {
        self.assert_managed(name);
        let manifest = json!({
            "apiVersion": "v1", "kind": "Secret", "type": type_,
            "metadata": {"name": name, "namespace": namespace, "annotations": {"whose": "somebody's"}},
            "stringData": {".dockerconfigjson": r#"{"auths": {"docker.io": {"username": "u", "password": "theirs"}}}"#},
        });
        self.cluster.kubectl_with_input(&["create", "-f", "-"], &manifest.to_string()).unwrap();
    }

    pub fn account(&self, namespace: &str, name: &str) -> Value {
        self.cluster.get_json(&["-n", namespace, "serviceaccount", name])
    }

    pub fn wait_account(&self, namespace: &str, name: &str) -> Value {
        eventually(SOON, || self.get(&["-n", namespace, "serviceaccount", name]))
    }

    /// The service accounts that name a pull secret, or have an annotation of ours: `namespace/name`.
    pub fn accounts_with(&self, secret: &str) -> Result<Vec<String>, String> {
        let list = self.get(&["serviceaccounts", "--all-namespaces"])?;
        let accounts = list["items"].as_array().cloned().unwrap_or_default();
        let has = |account: &Value| {
            let mut entries = account["imagePullSecrets"].as_array().into_iter().flatten();
            entries.any(|entry| entry["name"] == secret)
                || account["metadata"]["annotations"].get(format!("added.regcred.dev/{secret}")).is_some()
        };
        Ok(accounts.iter().filter(|account| has(account)).map(address).collect())
    }

    /// Waits until exactly these service accounts name a pull secret, wherever they are.
    pub fn wait_accounts_with(&self, secret: &str, wanted: &[&str]) {
        eventually(SOON, || match self.accounts_with(secret)? {
            found if found == wanted => Ok(()),
            found => Err(format!("{secret} is named by {found:?}, not {wanted:?}")),
        });
    }

    /// All Secrets that our label marks, by `namespace/name`, without the marker's.
    pub fn managed(&self) -> Result<BTreeMap<String, Value>, String> {
        let list = self.get(&["secrets", "--all-namespaces", "-l", "regcred.dev/credential"])?;
        let secrets = list["items"].as_array().cloned().unwrap_or_default();
        let others = secrets.into_iter().filter(|secret| secret["metadata"]["namespace"] != MARKER);
        Ok(others.map(|secret| (address(&secret), secret)).collect())
    }

    /// Waits until these Secrets, and no others, are there and marked as ours.
    pub fn wait_managed(&self, wanted: &[&str]) -> BTreeMap<String, Value> {
        eventually(SOON, || {
            let managed = self.managed()?;
            match managed.keys().eq(wanted) {
                true => Ok(managed),
                false => Err(format!("the managed Secrets are {:?}, not {wanted:?}", managed.keys())),
            }
        })
    }

    /// Waits until a credential that is created now is the younger one: creation is known to the second.
    pub fn wait_older(&self, credential: &str) {
        let created =
            self.cluster.get_json(&["registrycredential", credential])["metadata"]["creationTimestamp"].clone();
        let created: jiff::Timestamp = created.as_str().unwrap().parse().unwrap();
        eventually(SOON, || match jiff::Timestamp::now().as_second() > created.as_second() {
            true => Ok(()),
            false => Err("it is the same second".to_owned()),
        });
    }

    /// Waits until it is ready in so many of so many namespaces: `2/2`.
    pub fn wait_namespaces(&self, credential: &str, summary: &str) {
        eventually(SOON, || match self.status(credential)? {
            status if status["namespaces"]["summary"] == summary => Ok(()),
            status => Err(format!("it isn't {summary}: {status:#}")),
        });
    }

    /// Waits until status.failures has this namespace with this reason, and returns the message.
    pub fn wait_failure(&self, credential: &str, namespace: &str, reason: &str) -> String {
        eventually(SOON, || {
            let failures = self.status(credential)?["failures"].clone();
            let mut all = failures.as_array().into_iter().flatten();
            let found = all.find(|failure| failure["namespace"] == namespace && failure["reason"] == reason);
            let message = found.and_then(|failure| failure["message"].as_str());
            message.map(str::to_owned).ok_or_else(|| format!("{namespace} hasn't failed with {reason}: {failures:#}"))
        })
    }

    /// Waits until the operator has done all that it had to do when this was called, for a test to say that something
    /// did *not* happen: what the marker asks for comes after all that happened before.
    pub fn settle(&self) {
        if self.get(&["namespace", MARKER]).is_err() {
            self.namespace(MARKER, json!({}));
            self.source(MARKER, &crate::world::key('a'));
        }
        let round = format!("round-{}", self.round.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        let spec = json!({
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": MARKER, "key": "key.json"}}},
            "namespaces": {"names": [MARKER]}, "attach": {"serviceAccounts": {"names": ["*"]}},
            "secretTemplate": {"annotations": {"round": round}},
        });
        // Something on each watch: a RegistryCredential, which has every namespace planned; a Secret; a service account.
        self.cluster.apply(&credential(MARKER, spec).to_string()).unwrap();
        let repaired = || {
            let secret = self.secret(MARKER, MARKER)?;
            match secret["metadata"]["annotations"]["round"] == *round {
                true => Ok(()),
                false => Err(format!("the marker isn't there: {:#}", secret["metadata"])),
            }
        };
        eventually(SOON, repaired);
        self.kubectl(&["-n", MARKER, "annotate", "--overwrite", "secret", MARKER, "round=none"]);
        eventually(SOON, repaired);
        self.service_account(MARKER, &round, json!({}), &[]);
        self.wait_entries(MARKER, &round, &[MARKER]);
    }

    /// The operator's writes to `secrets` or `serviceaccounts` in one namespace, in order, refused ones among them.
    pub fn writes(&self, namespace: &str, resource: &str) -> Vec<AuditEntry> {
        let mut writes = self.all_writes();
        writes.retain(|entry| entry.namespace == namespace && entry.resource == resource);
        writes
    }

    /// All that the operator has written or tried to. What was answered by 404 hit something that is gone, or a
    /// namespace that isn't known everywhere yet: nobody's business.
    pub fn all_writes(&self) -> Vec<AuditEntry> {
        let ours = self.audit().into_iter().filter(|entry| entry.user == OPERATOR && entry.is_write());
        ours.filter(|entry| entry.code != 404).collect()
    }

    /// The audit log, with all that has been answered before.
    fn audit(&self) -> Vec<AuditEntry> {
        let mark = format!("/api/v1/namespaces/mark-{}", self.round.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
        self.cluster.kubectl(&["get", "--raw", &mark]);
        eventually(SOON, || {
            let log = self.cluster.audit_log();
            if log.iter().any(|entry| entry.uri == mark) { Ok(log) } else { Err("the log lags behind".to_owned()) }
        })
    }

    /// The shipped RBAC covers all that the operator does.
    pub fn assert_nothing_was_forbidden(&self) {
        let all = self.audit().into_iter();
        let forbidden: Vec<_> = all.filter(|e| e.user == OPERATOR && (e.code == 401 || e.code == 403)).collect();
        assert!(forbidden.is_empty(), "refused: {forbidden:#?}");
    }

    /// Begins to write down each version of a RegistryCredential that its watchers see.
    pub fn watch_credential(&self, name: &str) -> History {
        let args = ["get", "registrycredential", name, "--watch", "-o", "json"];
        let path = self.cluster.folder().join(format!("history-of-{name}"));
        let process = Process::start("kubectl", &self.cluster.kubectl_command(ADMIN, &args), &path).unwrap();
        let history = History { _process: process, path };
        eventually(SOON, || history.versions().pop().ok_or("the watch hasn't begun".to_owned()));
        history
    }
}

/// What a watch has seen so far.
pub struct History {
    _process: Process,
    path: PathBuf,
}

impl History {
    pub fn versions(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(&self.path).unwrap_or_default();
        // The last one may be half written.
        serde_json::Deserializer::from_str(&text).into_iter::<Value>().map_while(Result::ok).collect()
    }
}

/// `namespace/name`.
fn address(object: &Value) -> String {
    let text = |member: &str| object["metadata"][member].as_str().unwrap_or_default().to_owned();
    format!("{}/{}", text("namespace"), text("name"))
}

pub fn uid(object: &Value) -> String {
    object["metadata"]["uid"].as_str().unwrap().to_owned()
}

/// etcd counts all writes of a cluster in one sequence, so versions of different objects tell which came first.
pub fn version(object: &Value) -> u64 {
    object["metadata"]["resourceVersion"].as_str().unwrap().parse().unwrap()
}
