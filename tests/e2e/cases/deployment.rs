//! The operator as it is shipped: what it may do on its node, and its probes. All other cases run by it.

use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use controlplane::eventually;
use serde_json::Value;

use crate::case::SOON;
use crate::suite::{NAMESPACE, Suite};

pub fn the_operator_runs_without_rights_on_its_node_and_was_never_restarted(suite: &Suite) {
    let container = container(suite).unwrap();
    assert_eq!(container["restartCount"], 0, "{container:#}");
    let pid = suite.node.container_pid(id(&container));
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

pub fn an_operator_that_hangs_is_restarted_and_goes_on(suite: &Suite) {
    let before = container(suite).unwrap();
    suite.node.signal_container(id(&before), "SIGSTOP");
    eventually(SOON + Duration::from_secs(30), || {
        let now = container(suite)?;
        match now["restartCount"] == 1 && now["ready"] == true {
            true => Ok(()),
            false => Err(format!("not restarted: {now}")),
        }
    });
}

/// The status of the operator's container.
fn container(suite: &Suite) -> Result<Value, String> {
    let pods = suite.cluster().try_get_json(&["-n", NAMESPACE, "pods"])?;
    let containers = pods["items"][0]["status"]["containerStatuses"].as_array().cloned().unwrap_or_default();
    containers.into_iter().next().ok_or_else(|| format!("no container of the operator: {pods}"))
}

fn id(container: &Value) -> &str {
    container["containerID"].as_str().expect("an id")
}
