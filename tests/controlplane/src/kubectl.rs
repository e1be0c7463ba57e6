//! kubectl, as one user of one cluster, untouched by the settings of whoever runs the tests.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use serde_json::Value;

use crate::binaries::binary;
use crate::control_plane::ControlPlane;
use crate::process::without_proxies;
use crate::users::ADMIN;

/// More than any kubectl of a test takes; one that goes on is a failure that says which it was.
const ENDS_WITHIN: Duration = Duration::from_secs(120);

/// The exit code of `timeout` where its time was up.
const TIMED_OUT: i32 = 124;

#[derive(Debug)]
pub(crate) struct Kubectl {
    program: PathBuf,
    kubeconfig: PathBuf,
    cache: PathBuf,
}

impl Kubectl {
    pub(crate) fn new(folder: &Path, kubeconfig: PathBuf) -> Result<Kubectl, String> {
        Ok(Kubectl { program: binary("kubectl")?, kubeconfig, cache: folder.join("kubectl-cache") })
    }

    pub(crate) fn command(&self, args: &[&str]) -> Command {
        self.configured(Command::new(&self.program), args)
    }

    /// As [`Kubectl::command`], but it ends: kubectl itself waits for an answer or a deletion for as long as it takes.
    fn bounded(&self, args: &[&str]) -> Command {
        let mut command = Command::new("timeout");
        command.arg(ENDS_WITHIN.as_secs().to_string()).arg(&self.program);
        self.configured(command, args)
    }

    fn configured(&self, mut command: Command, args: &[&str]) -> Command {
        command.args(args).env("KUBECONFIG", &self.kubeconfig).env("KUBECACHEDIR", &self.cache);
        command.env("KUBERC", "off");
        without_proxies(&mut command);
        command
    }

    pub(crate) fn output(&self, args: &[&str]) -> Output {
        self.bounded(args).stdin(Stdio::null()).output().expect("kubectl runs")
    }

    pub(crate) fn with_input(&self, args: &[&str], input: &str) -> Output {
        let mut command = self.bounded(args);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("kubectl runs");
        // kubectl reads all of its input before it writes; if it ends early its own message says why.
        let _ = child.stdin.take().expect("stdin is piped").write_all(input.as_bytes());
        child.wait_with_output().expect("kubectl runs")
    }

    /// As `bounded`, but bash, with kubectl on its PATH.
    fn shell(&self, script: &str) -> Command {
        let folder = self.program.parent().unwrap_or(Path::new(""));
        let path = format!("{}:{}", folder.display(), std::env::var("PATH").unwrap_or_default());
        let mut command = Command::new("timeout");
        command.arg(ENDS_WITHIN.as_secs().to_string()).args(["bash", "-e", "-o", "pipefail", "-c"]);
        let mut command = self.configured(command, &[&format!("exec 2>&1\n{script}")]);
        command.env("PATH", path).stdin(Stdio::null());
        command
    }

    /// Stdout, or stderr.
    pub(crate) fn ok(&self, args: &[&str]) -> Result<String, String> {
        result(self.output(args))
    }
}

fn result(output: Output) -> Result<String, String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    match output.status.code() {
        Some(0) => Ok(text(&output.stdout)),
        Some(TIMED_OUT) => Err(format!("kubectl hadn't ended after {ENDS_WITHIN:?}\n{}", text(&output.stderr))),
        _ => Err(text(&output.stderr)),
    }
}

/// What tests do by kubectl; as [`ADMIN`] where no user is named.
impl ControlPlane {
    /// Runs kubectl.
    pub fn kubectl(&self, args: &[&str]) -> Output {
        self.kubectl_as(ADMIN, args)
    }

    /// Runs kubectl as that user.
    pub fn kubectl_as(&self, user: &str, args: &[&str]) -> Output {
        self.kubectl_of(user).output(args)
    }

    /// A kubectl to be run, for what the other functions don't cover (a watch, say; start it as a [`crate::Process`]).
    pub fn kubectl_command(&self, user: &str, args: &[&str]) -> Command {
        self.kubectl_of(user).command(args)
    }

    /// Runs what a person types in that folder, in bash, which ends with the first command that fails. Gives the exit
    /// code and what was written, both streams in one as on a terminal.
    pub fn shell(&self, folder: &Path, script: &str) -> (i32, String) {
        let output = self.kubectl_of(ADMIN).shell(script).current_dir(folder).output().expect("bash runs");
        let code = output.status.code().expect("timeout ends by itself");
        let late = if code == TIMED_OUT { format!("(it hadn't ended after {ENDS_WITHIN:?})\n") } else { String::new() };
        (code, String::from_utf8_lossy(&output.stdout).into_owned() + &late)
    }

    /// Its stdout; panics with its stderr if it fails.
    #[track_caller]
    pub fn kubectl_ok(&self, args: &[&str]) -> String {
        match result(self.kubectl(args)) {
            Ok(stdout) => stdout,
            Err(stderr) => panic!("kubectl {}: {stderr}", args.join(" ")),
        }
    }

    /// Applies manifests (YAML documents or JSON), server-side, as field manager `kubectl`: stdout, or stderr.
    /// Simple ones are applied without a kubectl.
    pub fn apply(&self, yaml: &str) -> Result<String, String> {
        let simple = yaml.starts_with('{').then(|| self.direct().ok()?.apply(yaml)).flatten();
        simple.map_or_else(|| self.apply_as(ADMIN, yaml), Ok)
    }

    /// As [`ControlPlane::apply`], as that user.
    pub fn apply_as(&self, user: &str, yaml: &str) -> Result<String, String> {
        let args = ["apply", "--server-side", "--force-conflicts", "-f", "-"];
        result(self.kubectl_of(user).with_input(&args, yaml))
    }

    /// Runs kubectl with an input: stdout, or stderr.
    pub fn kubectl_with_input(&self, args: &[&str], input: &str) -> Result<String, String> {
        result(self.kubectl_of(ADMIN).with_input(args, input))
    }

    /// `kubectl get ARGS -o json`; panics with its stderr if it fails.
    #[track_caller]
    pub fn get_json(&self, args: &[&str]) -> Value {
        match self.try_get_json(args) {
            Ok(value) => value,
            Err(stderr) => panic!("kubectl get {}: {stderr}", args.join(" ")),
        }
    }

    /// `kubectl get ARGS -o json`, or its stderr: for [`crate::eventually`]. Simple ones are asked for without a kubectl.
    pub fn try_get_json(&self, args: &[&str]) -> Result<Value, String> {
        if let Some(answer) = self.direct()?.get(args) {
            return answer;
        }
        let args = [&["get"], args, &["-o", "json"]].concat();
        serde_json::from_str(&result(self.kubectl(&args))?).map_err(|error| error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_that_never_ends_is_told_from_one_that_fails() {
        let output = |program: &str, args: &[&str]| Command::new(program).args(args).output().unwrap();
        let endless = result(output("timeout", &["0.1", "sleep", "60"])).unwrap_err();
        assert!(endless.starts_with("kubectl hadn't ended after 120s"), "{endless}");
        assert_eq!(result(output("sh", &["-c", "echo why >&2; exit 1"])), Err("why\n".to_owned()));
        assert_eq!(result(output("echo", &["fine"])), Ok("fine\n".to_owned()));
    }
}
