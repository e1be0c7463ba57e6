//! The operator as it is shipped: what it may do on its node, its probes and its replicas. All other cases run by it.

use std::os::unix::fs::MetadataExt;
use std::time::{Duration, Instant};

use controlplane::eventually;
use serde_json::{Value, json};

use crate::case::SOON;
use crate::suite::{NAMESPACE, Suite};

/// How soon a standby takes over.
const TAKEOVER: Duration = Duration::from_secs(15);

pub fn the_operator_runs_without_rights_on_its_node_and_was_never_restarted(suite: &Suite) {
    let pods = pods(suite).unwrap();
    assert_eq!(pods.len(), 2, "{pods:#?}");
    for pod in pods {
        let container = container(&pod).unwrap();
        assert_eq!(container["restartCount"], 0, "{container:#}");
        assert_confined(suite.node.container_pid(id(&container)));
    }
}

fn assert_confined(pid: u32) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let value = |field: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(&format!("{field}:")));
        line.unwrap_or_else(|| panic!("no {field} in {status}")).split_whitespace().collect::<Vec<_>>()
    };
    assert_eq!(value("Uid"), ["65532"; 4]);
    assert_eq!(value("Gid"), ["65532"; 4]);
    assert_eq!(value("CapBnd"), ["0000000000000000"], "no capability, and no way to one");
    assert_eq!(value("NoNewPrivs"), ["1"]);
    assert_eq!(value("Seccomp"), ["2"], "a filter of system calls");
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).unwrap();
    let core = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or_default();
    assert_eq!(core.split_whitespace().filter(|word| *word == "0").count(), 2, "core dumps are off: {core}");
    // The kernel gives the files of a process whose memory nobody may read to root.
    assert_eq!(std::fs::metadata(format!("/proc/{pid}/environ")).unwrap().uid(), 0);
    let mounts = std::fs::read_to_string(format!("/proc/{pid}/mounts")).unwrap();
    let root = mounts.lines().find(|line| line.split(' ').nth(1) == Some("/")).unwrap_or_default();
    assert!(root.split(' ').nth(3).is_some_and(|options| options.starts_with("ro,")), "the root is writable: {root}");
}

pub fn a_leader_that_hangs_is_followed_by_the_standby_and_restarted(suite: &Suite) {
    let leader = leader(suite).unwrap();
    let find = || pods(suite)?.into_iter().find(|pod| name(pod) == leader).ok_or_else(|| format!("no pod {leader}"));
    suite.node.signal_container(id(&container(&find().unwrap()).unwrap()), "SIGSTOP");
    eventually(TAKEOVER, || match self::leader(suite)? {
        other if other != leader => Ok(()),
        _ => Err(format!("{leader} still has the Lease")),
    });
    eventually(SOON + Duration::from_secs(30), || {
        let now = container(&find()?)?;
        match now["restartCount"] == 1 && now["ready"] == true {
            true => Ok(()),
            false => Err(format!("not restarted: {now}")),
        }
    });
    assert_ne!(self::leader(suite).unwrap(), leader, "it stands by");
}

pub fn rotations_go_on_while_the_operator_is_updated_or_evicted(suite: &Suite) {
    const NAME: &str = "update";
    let (cluster, before) = (suite.cluster(), leader(suite).unwrap());
    let namespace =
        |index| json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": format!("{NAME}-{index}")}});
    let credential = json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": NAME},
        "spec": {
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": NAME}}}, "registries": ["gcr.io/update/"],
            "namespaces": {"names": [format!("{NAME}-*")]},
        },
    });
    let objects: Vec<Value> = (0..20).map(namespace).chain([credential]).collect();
    cluster.apply(&json!({"apiVersion": "v1", "kind": "List", "items": objects}).to_string()).unwrap();
    let keys =
        [include_str!("../../fixtures/throwaway-key-a.json"), include_str!("../../fixtures/throwaway-key-b.json")];
    let rotate = |round: usize| {
        let source = json!({
            "apiVersion": "v1", "kind": "Secret", "metadata": {"name": NAME, "namespace": NAMESPACE},
            "stringData": {"key.json": keys[round % 2]},
        });
        cluster.apply(&source.to_string()).unwrap();
        let source = cluster.get_json(&["-n", NAMESPACE, "secret", NAME]);
        let version = &source["metadata"]["resourceVersion"];
        eventually(TAKEOVER, || {
            let status = cluster.try_get_json(&["regcred", NAME])?["status"].clone();
            let all =
                status["namespaces"]["summary"] == "20/20" && &status["observedSource"]["resourceVersion"] == version;
            if all { Ok(()) } else { Err(format!("{version} isn't rolled out: {status:#}")) }
        });
    };
    rotate(0);

    cluster.kubectl_ok(&["-n", NAMESPACE, "rollout", "restart", "deployment/regcred"]);
    let is_done = || {
        let deployment = cluster.get_json(&["-n", NAMESPACE, "deployment", "regcred"]);
        let (status, count) = (&deployment["status"], |member: &str| deployment["status"][member].as_u64());
        let current = status["observedGeneration"] == deployment["metadata"]["generation"];
        current && ["replicas", "updatedReplicas", "availableReplicas"].map(count) == [Some(2); 3]
    };
    let (begun, mut slowest) = (Instant::now(), Duration::ZERO);
    for round in 1.. {
        let (done, rotated) = (is_done(), Instant::now());
        rotate(round);
        slowest = slowest.max(rotated.elapsed());
        if done {
            println!("{round} rotations, the slowest in {slowest:?}");
            break;
        }
        assert!(begun.elapsed() < SOON + Duration::from_secs(60), "the update doesn't end");
    }
    assert_ne!(leader(suite).unwrap(), before, "that pod is gone");

    // Of two that are asked to go at once, one stays until the other has been replaced.
    let evict = |pod: &str| {
        let eviction =
            json!({"apiVersion": "policy/v1", "kind": "Eviction", "metadata": {"name": pod, "namespace": NAMESPACE}});
        let path = format!("/api/v1/namespaces/{NAMESPACE}/pods/{pod}/eviction");
        cluster.kubectl_with_input(&["create", "--raw", &path, "-f", "-"], &eviction.to_string())
    };
    eventually(SOON, || match cluster.try_get_json(&["-n", NAMESPACE, "pdb", "regcred"])?["status"].clone() {
        status if status["disruptionsAllowed"] == 1 && status["currentHealthy"] == 2 => Ok(()),
        status => Err(format!("{status:#}")),
    });
    let first = leader(suite).unwrap();
    let others = pods(suite).unwrap().into_iter().filter(|pod| pod["metadata"]["deletionTimestamp"].is_null());
    let second = others.map(|pod| name(&pod).to_owned()).find(|name| *name != first).expect("a standby");
    evict(&first).unwrap();
    let refused = evict(&second).unwrap_err();
    assert!(refused.contains("disruption budget"), "{refused}");
    let rotated = Instant::now();
    rotate(0);
    rotate(1);
    println!("rotated twice within {:?} of the leader's eviction", rotated.elapsed());
}

/// The operator's pods.
fn pods(suite: &Suite) -> Result<Vec<Value>, String> {
    let pods = suite.cluster().try_get_json(&["-n", NAMESPACE, "pods"])?;
    Ok(pods["items"].as_array().cloned().unwrap_or_default())
}

/// The name of the pod that has the Lease.
fn leader(suite: &Suite) -> Result<String, String> {
    let lease = suite.cluster().try_get_json(&["-n", NAMESPACE, "lease", "regcred"])?;
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    holder.split_once('_').map(|(pod, _)| pod.to_owned()).ok_or_else(|| format!("nobody leads: {lease}"))
}

fn name(pod: &Value) -> &str {
    pod["metadata"]["name"].as_str().unwrap_or_default()
}

/// The status of a pod's container.
fn container(pod: &Value) -> Result<Value, String> {
    let containers = pod["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    containers.into_iter().next().ok_or_else(|| format!("no container of the operator: {pod}"))
}

fn id(container: &Value) -> &str {
    container["containerID"].as_str().expect("an id")
}
