//! The operator as its own process, and what it asks of the API server.

use std::{collections::BTreeMap, path::Path, time::Duration};

use controlplane::{OPERATOR, Operator};
use serde_json::{Value, json};

use crate::{
    cluster::{Cluster, SECRET, key},
    process::{Cost, cost},
};

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

    pub fn wait_ready(&self) {
        self.process.wait_ready(Duration::from_secs(120));
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
pub fn source(cluster: &Cluster, which: char) {
    let secret = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "darwin-gcr-key", "namespace": "regcred-system"},
        "stringData": {"key.json": key(which)},
    });
    cluster.control_plane.apply(&secret.to_string()).expect("the source");
}

/// Applies the RegistryCredential of this number, for the namespaces that `targets` names.
pub fn credential(cluster: &Cluster, number: usize, targets: Value) {
    let name = if number == 0 { "darwin".to_owned() } else { format!("darwin-{number}") };
    let secret = if number == 0 { SECRET.to_owned() } else { format!("{SECRET}-{number}") };
    let manifest = json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": name},
        "spec": {
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "darwin-gcr-key"}}},
            "registries": ["gcr.io/darwin/", "eu.gcr.io/darwin/"],
            "secretTemplate": {"name": secret},
            "namespaces": targets,
            "serviceAccounts": {"names": ["*"]},
        },
    });
    cluster.control_plane.apply(&manifest.to_string()).expect("the RegistryCredential");
}

/// The requests that the operator has made, by verb and resource, watches aside.
pub struct Requests(BTreeMap<String, usize>);

impl Requests {
    pub fn so_far(cluster: &Cluster) -> Self {
        let mut counts = BTreeMap::new();
        for entry in cluster.control_plane.audit_log() {
            if entry.user == OPERATOR && entry.verb != "watch" {
                let what = format!("{} {}/{}", entry.verb, entry.resource, entry.subresource);
                *counts.entry(what.trim_end_matches('/').to_owned()).or_default() += 1;
            }
        }
        Self(counts)
    }

    /// How many there were since `self`, and which. Waits until they are all written down and the last status is out.
    pub async fn since(&self, cluster: &Cluster) -> (usize, String) {
        tokio::time::sleep(Duration::from_secs(3)).await;
        let mut now = Self::so_far(cluster).0;
        now.retain(|what, count| {
            *count -= self.0.get(what).copied().unwrap_or_default();
            *count > 0
        });
        let words: Vec<_> = now.iter().map(|(what, count)| format!("{count} {what}")).collect();
        (now.values().sum(), words.join(", "))
    }
}
