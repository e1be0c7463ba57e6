//! The operator as its own process, from its start to the deletion of its resource.

use std::{
    collections::BTreeMap,
    path::Path,
    time::{Duration, Instant},
};

use controlplane::{OPERATOR, Operator};
use serde_json::json;

use crate::{
    cluster::{Cluster, SECRET, key},
    table::Table,
};

/// A user's clock ticks in a second, as Linux has them in /proc for every architecture.
const TICKS: f64 = 100.0;

struct Cost {
    cpu: f64,
    now: f64,
    peak: f64,
}

/// CPU seconds, and resident MiB now and at most.
fn cost(pid: u32) -> Cost {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).expect("a process");
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields[index].parse::<f64>().expect("a number");
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("a process");
    let mib = |name: &str| {
        let line = status.lines().find(|l| l.starts_with(name)).expect("a line");
        line.split_whitespace().nth(1).expect("a number").parse::<f64>().expect("a number") / 1024.0
    };
    Cost { cpu: (ticks(11) + ticks(12)) / TICKS, now: mib("VmRSS:"), peak: mib("VmHWM:") }
}

/// The operator's requests so far, by verb and resource, watches aside.
fn requests(cluster: &Cluster) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    let entries = cluster.control_plane.audit_log();
    for entry in entries.iter().filter(|e| e.user == OPERATOR && e.verb != "watch") {
        *counts.entry(format!("{} {}/{}", entry.verb, entry.resource, entry.subresource)).or_default() += 1;
    }
    counts
}

fn since(cluster: &Cluster, before: &BTreeMap<String, usize>) -> (usize, String) {
    // The audit log is written a moment after the answer.
    std::thread::sleep(Duration::from_millis(500));
    let mut after = requests(cluster);
    after.retain(|what, count| {
        *count -= before.get(what).copied().unwrap_or_default();
        *count > 0
    });
    let words: Vec<_> = after.iter().map(|(what, count)| format!("{count} {}", what.trim_end_matches('/'))).collect();
    (after.values().sum(), words.join(", "))
}

fn source(cluster: &Cluster, which: char) {
    let secret = json!({"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "darwin-gcr-key", "namespace": "regcred-system"},
                        "stringData": {"key.json": key(which)}});
    cluster.control_plane.apply(&secret.to_string()).expect("the source");
}

pub async fn measure(cluster: &Cluster, binary: &Path, with: &str, idle: u64, last: bool, table: &mut Table) {
    let (n, all) = (cluster.namespaces.len(), cluster.namespaces.len() * cluster.accounts);
    source(cluster, 'a');
    let credential = json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": "darwin"},
        "spec": {
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "darwin-gcr-key"}}},
            "registries": ["gcr.io/darwin/", "eu.gcr.io/darwin/"],
            "secretTemplate": {"name": SECRET},
            "namespaces": {"names": ["team-*"]},
            "serviceAccounts": {"names": ["*"]},
        },
    });
    cluster.control_plane.apply(&credential.to_string()).expect("the RegistryCredential");

    let before = requests(cluster);
    let started = Instant::now();
    let args: Vec<&str> = with.split_whitespace().collect();
    let operator = Operator::start(binary, &cluster.control_plane.kubeconfig(OPERATOR), &args, &[]);
    let secs = cluster.until(started, |accounts, secrets| accounts == all && secrets.len() == n).await;
    table.add("regcred: converge, from its start".to_owned(), secs);
    let after = cost(operator.pid());
    table.add("regcred: CPU seconds to converge".to_owned(), after.cpu);
    table.add("regcred: RSS MiB when converged".to_owned(), after.now);
    table.add("regcred: RSS MiB at most".to_owned(), after.peak);
    tokio::time::sleep(Duration::from_secs(3)).await; // the last status
    let (count, words) = since(cluster, &before);
    table.add("regcred: requests to converge".to_owned(), count as f64);
    table.note("converge", words);

    let before = requests(cluster);
    let old = cluster.until_revision(None).await;
    let started = Instant::now();
    source(cluster, 'b');
    let secs = cluster.until(started, |_, secrets| secrets.values().all(|revision| *revision != old)).await;
    table.add("regcred: rotation".to_owned(), secs);
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (count, words) = since(cluster, &before);
    table.add("regcred: requests of a rotation".to_owned(), count as f64);
    table.note("rotation", words);

    if last {
        let (before, cpu) = (requests(cluster), cost(operator.pid()).cpu);
        tokio::time::sleep(Duration::from_secs(idle)).await;
        let used = cost(operator.pid()).cpu - cpu;
        table.add(format!("regcred: requests in {idle} s of idling"), since(cluster, &before).0 as f64);
        table.add("regcred: CPU % when idle".to_owned(), used / idle as f64 * 100.0);
        table.add("regcred: RSS MiB when idle".to_owned(), cost(operator.pid()).now);
    }

    let before = requests(cluster);
    let started = Instant::now();
    operator.restart();
    operator.wait_ready(Duration::from_secs(60));
    table.add("regcred: restart, to ready".to_owned(), started.elapsed().as_secs_f64());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let (count, words) = since(cluster, &before);
    table.add("regcred: requests of a restart".to_owned(), count as f64);
    table.note("restart", words);
    table.add("regcred: RSS MiB at most, restarted".to_owned(), cost(operator.pid()).peak);

    let before = requests(cluster);
    let started = Instant::now();
    cluster.control_plane.kubectl_ok(&["delete", "registrycredential", "darwin"]);
    let secs = cluster.until(started, |accounts, secrets| accounts == 0 && secrets.is_empty()).await;
    table.add("regcred: deletion".to_owned(), secs);
    let (_, words) = since(cluster, &before);
    table.note("deletion", words);
    operator.stop();
}

impl Cluster {
    /// The revision that every Secret has.
    async fn until_revision(&self, not: Option<&str>) -> String {
        let found = std::sync::Mutex::new(String::new());
        self.until(Instant::now(), |_, secrets| {
            let first = secrets.values().next().cloned().unwrap_or_default();
            let same = secrets.values().all(|r| *r == first) && Some(&*first) != not;
            *found.lock().expect("no panic") = first;
            same
        })
        .await;
        found.into_inner().expect("no panic")
    }
}
