//! What a process costs, as Linux tells in /proc, and the yardstick's process.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use controlplane::OPERATOR;

use crate::cluster::Cluster;

/// Clock ticks in a second: Linux shows 100 of them to every process.
const TICKS: f64 = 100.0;

/// What a process has used.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// CPU seconds, user and system.
    pub cpu: f64,
    /// Resident MiB now.
    pub now: f64,
    /// Resident MiB at most.
    pub peak: f64,
}

/// The cost of a process that runs.
pub fn cost(pid: u32) -> Cost {
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

/// The yardstick, running.
pub struct Bare {
    child: Child,
    out: BufReader<std::process::ChildStdout>,
}

impl Bare {
    pub fn start(cluster: &Cluster, task: &str, in_flight: usize) -> Self {
        Self::of_several(cluster, task, "apply", in_flight, 1)
    }

    /// With so many credentials for each namespace, by these verbs.
    pub fn of_several(cluster: &Cluster, task: &str, verbs: &str, in_flight: usize, credentials: usize) -> Self {
        let mut child = Command::new(std::env::current_exe().expect("this program"))
            .args(["bare", task, "--kubeconfig"])
            .arg(cluster.control_plane.kubeconfig(OPERATOR))
            .args(["--namespaces", &cluster.namespaces.to_string()])
            .args(["--service-accounts", &cluster.accounts.to_string()])
            .args(["--verbs", verbs])
            .args(["--in-flight", &in_flight.to_string()])
            .args(["--credentials", &credentials.to_string()])
            .args(cluster.fenced.then_some("--named"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the yardstick");
        let out = BufReader::new(child.stdout.take().expect("its output"));
        Self { child, out }
    }

    /// Waits for the line that it prints when it is done: seconds since its start. Then its cost.
    pub fn done(&mut self) -> (f64, Cost) {
        let mut line = String::new();
        self.out.read_line(&mut line).expect("its output");
        (line.trim().parse().expect("seconds"), cost(self.child.id()))
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
