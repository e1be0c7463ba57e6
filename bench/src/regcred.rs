//! The operator as its own process, and what it asks of the API server.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use controlplane::{OPERATOR, Operator};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, key, secret},
    process::{Cost, cost},
};

/// Where the bench's credential is for.
pub const REGISTRIES: [&str; 2] = ["gcr.io/darwin/", "eu.gcr.io/darwin/"];

pub struct Regcred {
    process: Operator,
}

impl Regcred {
    pub fn start(cluster: &Cluster, binary: &Path, with: &str) -> Self {
        let args: Vec<&str> = with.split_whitespace().collect();
        Self { process: Operator::start(binary, &cluster.control_plane.kubeconfig(OPERATOR), &args, &[]) }
    }

    pub fn cost(&self) -> Cost {
        cost(self.process.pid())
    }

    /// Asks each millisecond.
    pub fn wait_ready(&self) {
        let deadline = Instant::now() + Duration::from_secs(120);
        while self.process.get("/readyz").map_or(0, |(status, _)| status) != 200 {
            assert!(self.process.is_running() && Instant::now() < deadline, "not ready: {}", self.process.log());
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Stops it from running, as if the machine had no time for it.
    pub fn pause(&self) {
        self.process.signal("STOP");
    }

    pub fn resume(&self) {
        self.process.signal("CONT");
    }

    pub fn stop(self) {
        self.process.stop();
    }
}

/// Puts the key into the source.
pub async fn source(cluster: &Cluster, which: char) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "darwin-gcr-key", "namespace": "regcred-system"},
        "stringData": {"key.json": key(which)},
    });
    cluster.apply(secret).await;
}

/// Applies the RegistryCredential of this number, for the namespaces that `targets` names.
pub async fn credential(cluster: &Cluster, number: usize, targets: Value) {
    let name = if number == 0 { "darwin".to_owned() } else { format!("darwin-{number}") };
    let manifest = json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": name},
        "spec": {
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "darwin-gcr-key"}}},
            "registries": REGISTRIES,
            "secretTemplate": {"name": secret(number)},
            "namespaces": targets,
            // A policy that has service accounts born with their entry would leave nothing to measure.
            "attach": {"serviceAccounts": {"names": ["*"], "when": "AfterSecret"}},
        },
    });
    cluster.apply(manifest).await;
}

/// Where the API server's audit log stands, to count the operator's requests from there on. Its counters would do, if
/// they told the operator's requests from the bench's own.
pub struct Requests(u64);

impl Requests {
    pub fn from_now(cluster: &Cluster) -> Self {
        Self(cluster.control_plane.audit_position())
    }

    /// How many there were, watches aside, and which. Waits until they are all written down and the last status is out.
    pub async fn count(&self, cluster: &Cluster) -> (usize, String) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut counts = BTreeMap::<String, usize>::new();
        for entry in cluster.control_plane.audit_log_since(self.0) {
            if entry.user == OPERATOR && entry.verb != "watch" {
                let what = format!("{} {}/{}", entry.verb, entry.resource, entry.subresource);
                *counts.entry(what.trim_end_matches('/').to_owned()).or_default() += 1;
            }
        }
        let words: Vec<_> = counts.iter().map(|(what, count)| format!("{count} {what}")).collect();
        (counts.values().sum(), words.join(", "))
    }
}
