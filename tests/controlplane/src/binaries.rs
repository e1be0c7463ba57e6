//! Where the commands and tools are that tests run, built where they aren't yet, and of which version.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Mutex;

use serde_json::Value;

const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/build.sh");

/// What every control plane needs. The rest is built when first asked for.
const CORE: &str = "etcd kube-apiserver kubectl";

/// The path of a command that build.sh knows. Its progress is shown on stderr, as the first build takes minutes.
///
/// # Errors
/// A sentence: it can't be built.
pub fn binary(command: &str) -> Result<PathBuf, String> {
    static FOLDERS: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);
    let wanted = if CORE.split(' ').any(|core| core == command) { CORE } else { command };
    let mut folders = FOLDERS.lock().map_err(|_| "an earlier build.sh panicked")?;
    let folders = folders.get_or_insert_default();
    if let Some(folder) = folders.get(wanted) {
        return Ok(folder.join(command));
    }
    let output = Command::new(BUILD)
        .args(wanted.split(' '))
        .stderr(Stdio::inherit())
        .output()
        .map_err(|error| format!("{BUILD} can't be run: {error}"))?;
    if !output.status.success() {
        return Err(format!("{BUILD} {wanted} failed ({}); what it wrote on stderr says why", output.status));
    }
    let folder = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    folders.insert(wanted.to_owned(), folder.clone());
    Ok(folder.join(command))
}

/// The path of a tool that `tests/tools/build.sh` knows, such as `helm` or `kustomize-4.5`; built when first asked for.
///
/// # Errors
/// A sentence: it can't be built.
pub fn tool(name: &str) -> Result<PathBuf, String> {
    const BUILD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tools/build.sh");
    let output = Command::new(BUILD).arg(name).stderr(Stdio::inherit()).output();
    let output = output.map_err(|error| format!("{BUILD} can't be run: {error}"))?;
    match output.status.success() {
        true => Ok(PathBuf::from(String::from_utf8_lossy(&output.stdout).trim())),
        false => Err(format!("{BUILD} {name} failed ({}); what it wrote on stderr says why", output.status)),
    }
}

/// The version of kube-apiserver: `$KUBERNETES`, such as 1.33, or else the one that is pinned for all tests.
#[track_caller]
pub fn kubernetes() -> (u32, u32) {
    let pinned = include_str!("../go.mod").lines().find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes v"));
    let asked = std::env::var("KUBERNETES").ok().filter(|version| !version.is_empty());
    let version = asked.as_deref().or(pinned).expect("go.mod pins Kubernetes");
    let mut parts = version.split('.').map(|part| part.parse().expect("a version such as 1.33"));
    (parts.next().expect("a major version"), parts.next().expect("a minor version"))
}

/// A fresh service-account key in Google's JSON format that opens nothing, for the given project, e-mail and key id.
pub fn throwaway_key(project: &str, email: &str, id: &str) -> Value {
    let json = run_throwaway_key(&["--project", project, "--email", email, "--id", id]).unwrap();
    serde_json::from_str(&json).expect("throwaway-key prints JSON")
}

/// A fresh RSA private key in PEM.
pub(crate) fn private_key() -> Result<String, String> {
    run_throwaway_key(&["--pem"])
}

fn run_throwaway_key(args: &[&str]) -> Result<String, String> {
    let output = Command::new(binary("throwaway-key")?).args(args).output().map_err(|error| error.to_string())?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        false => Err(format!("throwaway-key failed: {}", String::from_utf8_lossy(&output.stderr))),
    }
}
