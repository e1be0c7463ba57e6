//! Namespaces of the suite's own (network, mounts, processes): whatever it starts, mounts, writes or listens on ends
//! with it, however it ends. Only control groups belong to the whole machine; they are removed afterwards.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

/// For everything, in memory. `/run` is on every Linux.
pub const FOLDER: &str = "/run/regcred-e2e";

/// The host's address in the pods' network, which is their gateway.
pub const NODE_IP: &str = "10.1.0.1";

/// The ClusterIP of the Service `kubernetes`. There is no kube-proxy: it is an address of the host's own.
pub const API_IP: &str = "10.0.0.1";

/// The interface that the pods' interfaces hang on.
pub const NETWORK: &str = "pods";

/// Set inside, to what the containers' control groups are below in every hierarchy.
const CGROUP: &str = "REGCRED_E2E_CGROUP";

/// Followed by the process id of the run.
const CGROUPS: &str = "regcred-e2e-";

/// What kubelet wants of the kernel. It would set these for the whole machine, so it is shown files that say so already.
const SYSCTLS: [(&str, &str); 6] = [
    ("vm/overcommit_memory", "1"),
    ("vm/panic_on_oom", "0"),
    ("kernel/panic", "10"),
    ("kernel/panic_on_oops", "1"),
    ("kernel/keys/root_maxkeys", "1000000"),
    ("kernel/keys/root_maxbytes", "25000000"),
];

/// The name of the control group, if this process is inside.
pub fn cgroup() -> Option<String> {
    std::env::var(CGROUP).ok()
}

/// Runs this program again, inside, with the same arguments; then removes what is left.
pub fn enter() -> ExitCode {
    remove_cgroups(|pid| !Path::new("/proc").join(pid).exists()); // of a run that was killed
    let program = std::env::current_exe().expect("our own path");
    let pid = std::process::id().to_string();
    // Killed with us; and with that process, the first of its namespace, all others.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "unshare", "--net", "--mount", "--uts", "--ipc", "--pid"]);
    command.args(["--fork", "--kill-child", "--mount-proc", "--"]).arg(program).args(std::env::args_os().skip(1));
    command.env(CGROUP, format!("{CGROUPS}{pid}")).env("TMPDIR", FOLDER);
    let status = command.status().unwrap_or_else(|error| panic!("setpriv can't be run: {error}"));
    remove_cgroups(|other| other == pid);
    if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Inside: everything that is written goes to memory, and the network is up.
pub fn set_up() {
    // kubelet and containerd have some paths built in, below /run and /var.
    run("mount", &["-t", "tmpfs", "-o", "mode=755", "regcred-e2e", "/run"]);
    for part in ["", "upper", "work"] {
        fs::create_dir(Path::new(FOLDER).join(part)).expect("a folder in memory");
    }
    let layers = format!("lowerdir=/var,upperdir={FOLDER}/upper,workdir={FOLDER}/work");
    run("mount", &["-t", "overlay", "-o", &layers, "overlay", "/var"]);
    for (name, value) in SYSCTLS {
        let file = format!("{FOLDER}/{}", name.replace('/', "-"));
        fs::write(&file, value).expect("a file in memory");
        run("mount", &["--bind", &file, &format!("/proc/sys/{name}")]);
    }
    run("ip", &["link", "set", "lo", "up"]);
    run("ip", &["address", "add", &format!("{API_IP}/32"), "dev", "lo"]);
    // The pods' interfaces are siblings of the host's, and so can talk to it.
    run("ip", &["link", "add", NETWORK, "type", "bridge"]);
    run("ip", &["link", "set", NETWORK, "up"]);
    run("ip", &["link", "add", "link", NETWORK, "name", "host", "type", "macvlan", "mode", "bridge"]);
    run("ip", &["address", "add", &format!("{NODE_IP}/16"), "dev", "host"]);
    run("ip", &["link", "set", "host", "up"]);
}

fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output();
    let output = output.unwrap_or_else(|error| panic!("{program} can't be run: {error}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{program} {}: {}", args.join(" "), stderr.trim());
}

/// Removes the control groups of those runs, given by their process ids.
fn remove_cgroups(of: impl Fn(&str) -> bool) {
    let root = Path::new("/sys/fs/cgroup"); // the hierarchy itself, or a folder for each
    for hierarchy in folders(root).iter().map(AsRef::as_ref).chain([root]) {
        for group in folders(hierarchy) {
            let name = group.file_name().unwrap_or_default().to_string_lossy();
            if name.strip_prefix(CGROUPS).is_some_and(&of) {
                remove_cgroup(&group);
            }
        }
    }
}

/// A control group is removed as an empty folder, and only once no process is in it.
fn remove_cgroup(group: &Path) {
    folders(group).iter().for_each(|child| remove_cgroup(child));
    let _ = fs::remove_dir(group); // a process is just ending; the next run removes it
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    entries.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())).map(|entry| entry.path()).collect()
}
