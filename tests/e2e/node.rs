//! A real single node: control plane, scheduler, containerd and kubelet.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use controlplane::{Audit, ControlPlane, Controllers, Options, Process, User, binary, eventually};
use serde_json::{Value, json};

use crate::answering;
use crate::image::{Image, idle_program};
use crate::registry;
use crate::sandbox::{API_IP, NETWORK, NODE_IP};

const NAME: &str = "node-1";
const SCHEDULER: &str = "system:kube-scheduler";
const PAUSE: &str = "localhost/pause:1";

/// A control plane with one node that is ready. Everything in it ends with the suite's own namespaces.
pub struct Node {
    pub cluster: ControlPlane,
    folder: PathBuf,
    socket: PathBuf,
    idle: PathBuf,
    processes: Vec<Process>,
}

impl Node {
    /// Starts all of it in `folder` and waits until the node is ready.
    pub fn start(folder: &Path, cgroup: &str, manifests: Vec<String>) -> Node {
        let containerd = start_containerd(folder);
        let cluster = ControlPlane::start(control_plane(manifests));
        let socket = folder.join("containerd.sock");
        let mut node = Node {
            cluster,
            folder: folder.to_owned(),
            socket,
            idle: idle_program(folder),
            processes: vec![containerd],
        };
        eventually(Duration::from_secs(20), || node.ctr(&["version"]));
        let pause = folder.join("pause.tar");
        node.idle_image("pause").write_archive(PAUSE, &pause);
        node.import(&pause);
        let (scheduler, kubelet) = (node.start_scheduler(), node.start_kubelet(cgroup));
        node.processes.extend([scheduler, kubelet]);
        eventually(Duration::from_secs(60), || {
            let state = node.cluster.try_get_json(&["node", NAME])?;
            let conditions = state["status"]["conditions"].as_array().cloned().unwrap_or_default();
            match conditions.iter().any(|condition| condition["type"] == "Ready" && condition["status"] == "True") {
                true => Ok(()),
                false => Err(format!("the node isn't ready: {conditions:#?}{}", node.last_lines(9))),
            }
        });
        node
    }

    /// An image whose container runs until it is told to end; `label` makes it one of its own.
    pub fn idle_image(&self, label: &str) -> Image {
        Image::new(&self.idle, label)
    }

    /// Puts the images of an archive onto the node, as if they had been there before the kubelet.
    pub fn import(&self, archive: &Path) {
        self.ctr(&["images", "import", &archive.display().to_string()]).unwrap();
    }

    /// Sends a signal to the process of a container, given as in a pod's status.
    pub fn signal_container(&self, id: &str, signal: &str) {
        self.ctr(&["tasks", "kill", "--signal", signal, container(id)]).unwrap();
    }

    /// The process id of a container, given as in a pod's status.
    pub fn container_pid(&self, id: &str) -> u32 {
        let tasks = self.ctr(&["tasks", "list"]).unwrap();
        let mut lines = tasks.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
        let task = lines.find(|task| task.first() == Some(&container(id))).expect("the container runs");
        task[1].parse().expect("a process id")
    }

    /// What the containers of a namespace's pods have written, by file.
    pub fn pod_logs(&self, namespace: &str) -> Vec<(PathBuf, String)> {
        let files = |folder: &Path| fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
        let pods = files(&self.folder.join("pods")).filter(|pod| {
            pod.file_name().is_some_and(|name| name.to_string_lossy().starts_with(&format!("{namespace}_")))
        });
        let logs = pods.flat_map(|pod| files(&pod).collect::<Vec<_>>()).flat_map(|container| files(&container));
        logs.map(|log| (log.clone(), fs::read_to_string(&log).unwrap_or_default())).collect()
    }

    /// The ends of the logs of what makes up the node.
    pub fn last_lines(&self, count: usize) -> String {
        let ends = self.processes.iter().map(|process| format!("\n{}:{}", process.name(), process.last_lines(count)));
        ends.collect()
    }

    fn ctr(&self, args: &[&str]) -> Result<String, String> {
        let mut command = Command::new("ctr");
        command.arg("--address").arg(&self.socket).args(["--namespace", "k8s.io"]).args(args);
        let output = command.output().expect("ctr runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
    }

    fn start_scheduler(&self) -> Process {
        let mut command = Command::new(binary("kube-scheduler").unwrap());
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig(SCHEDULER));
        command.args(["--leader-elect=false", "--secure-port=0"]);
        Process::start("kube-scheduler", &command, &self.folder.join("kube-scheduler.log")).unwrap()
    }

    fn start_kubelet(&self, cgroup: &str) -> Process {
        let path = |name: &str| self.folder.join(name);
        let config = json!({
            "apiVersion": "kubelet.config.k8s.io/v1beta1", "kind": "KubeletConfiguration",
            "containerRuntimeEndpoint": format!("unix://{}", self.socket.display()),
            "cgroupDriver": "cgroupfs", "cgroupRoot": format!("/{cgroup}"), "cgroupsPerQOS": false,
            "enforceNodeAllocatable": [], "failCgroupV1": false, "failSwapOn": false,
            // Nobody else is in this network.
            "authentication": {"anonymous": {"enabled": true}, "webhook": {"enabled": false}},
            "authorization": {"mode": "AlwaysAllow"},
            "podLogsDir": path("pods"), "volumePluginDir": path("volume-plugins"), "staticPodPath": "",
            "resolvConf": "", "clusterDNS": [API_IP], // nobody looks up a name
            // The machine's disk isn't the node's concern.
            "evictionHard": {"nodefs.available": "0%", "imagefs.available": "0%", "memory.available": "0%"},
            "imageGCHighThresholdPercent": 100,
            "serializeImagePulls": false, "registryPullQPS": 0, "eventRecordQPS": 0, "maxPods": 250,
        });
        fs::write(path("kubelet.json"), config.to_string()).expect("kubelet's configuration");
        let mut command = Command::new(binary("kubelet").unwrap());
        command.arg("--config").arg(path("kubelet.json"));
        command.arg("--kubeconfig").arg(self.cluster.kubeconfig(&kubelet_user()));
        command.arg("--root-dir").arg(path("kubelet")).arg("--cert-dir").arg(path("kubelet-certificates"));
        command.args(["--hostname-override", NAME, "--node-ip", NODE_IP]);
        Process::start("kubelet", &command, &path("kubelet.log")).unwrap()
    }
}

/// containerd's name for what a pod's status calls `containerd://…`.
fn container(id: &str) -> &str {
    id.strip_prefix("containerd://").expect("a container of containerd")
}

fn kubelet_user() -> String {
    format!("system:node:{NAME}")
}

/// As pods find it: on the ClusterIP of the Service `kubernetes`, with the rights that a kubelet has in a real cluster.
fn control_plane(manifests: Vec<String>) -> Options {
    let more = ["deployment-controller", "replicaset-controller", "disruption-controller"];
    Options {
        controllers: Controllers::And(more.map(str::to_owned).to_vec()),
        audit: Audit::Metadata,
        manifests,
        users: vec![User::new(&kubelet_user(), &["system:nodes"]), User::new(SCHEDULER, &[])],
        port: Some(443),
        apiserver_flags: [
            "--bind-address=0.0.0.0",
            "--authorization-mode=Node", // besides RBAC
            "--enable-admission-plugins=NodeRestriction",
            // The taint not-ready would stay for ever, as no controller of node states runs.
            "--disable-admission-plugins=TaintNodesByCondition",
        ]
        .map(str::to_owned)
        .to_vec(),
    }
}

fn start_containerd(folder: &Path) -> Process {
    let path = |name: &str| folder.join(name);
    // Every host is our registry.
    let hosts = format!(
        "server = \"http://{0}\"\n[host.\"http://{0}\"]\ncapabilities = [\"pull\", \"resolve\"]\n",
        registry::ADDRESS
    );
    fs::create_dir_all(path("certs.d/_default")).expect("a folder");
    fs::write(path("certs.d/_default/hosts.toml"), hosts).expect("containerd's hosts");
    answering::write_hosts(&path("certs.d"));
    fs::create_dir_all(path("cni")).expect("a folder");
    fs::write(path("cni/pods.conflist"), network().to_string()).expect("the network's configuration");
    // JSON strings are TOML strings.
    let quoted = |name: &str| json!(path(name)).to_string();
    let config = format!(
        r#"version = 2
root = {root}
state = {state}
[grpc]
address = {socket}
[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE}"
restrict_oom_score_adj = true # or runc fails where CAP_SYS_RESOURCE is missing
[plugins."io.containerd.grpc.v1.cri".registry]
config_path = {certs}
[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = {cni}
"#,
        root = quoted("containerd"),
        state = quoted("containerd-state"),
        socket = quoted("containerd.sock"),
        certs = quoted("certs.d"),
        cni = quoted("cni"),
    );
    fs::write(path("containerd.toml"), config).expect("containerd's configuration");
    let mut command = Command::new("containerd");
    command.arg("--config").arg(path("containerd.toml"));
    Process::start("containerd", &command, &path("containerd.log")).unwrap()
}

fn network() -> Value {
    json!({
        "cniVersion": "0.4.0", "name": "pods",
        "plugins": [{
            "type": "macvlan", "master": NETWORK, "mode": "bridge",
            "ipam": {
                "type": "host-local", "routes": [{"dst": format!("{API_IP}/32")}],
                "ranges": [[{"subnet": "10.1.0.0/16", "rangeStart": "10.1.1.1", "gateway": NODE_IP}]],
            },
        }],
    })
}
