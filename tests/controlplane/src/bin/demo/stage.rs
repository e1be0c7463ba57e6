//! Where the story plays: a cluster, regcred in it, and a shell that has kubectl and the files that a person would have.

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use controlplane::{ADMIN, ControlPlane, Controllers, OPERATOR, Operator, Options};
use serde_json::Value;

use crate::interrupt::Interrupt;
use crate::screen::Screen;
use crate::{Failure, Outcome};

const REPOSITORY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// How long a promise may take to come true. It takes less than a second, on a machine that has nothing else to do.
const SOON: Duration = Duration::from_secs(30);

pub struct Stage<'a> {
    pub screen: &'a Screen,
    interrupt: Interrupt,
    binary: PathBuf,
    // Stopped in this order.
    operator: Option<Operator>,
    cluster: ControlPlane,
}

impl<'a> Stage<'a> {
    /// Starts etcd and kube-apiserver. Nothing is in the cluster yet.
    pub fn set(screen: &'a Screen, interrupt: Interrupt, binary: PathBuf) -> Outcome<Stage<'a>> {
        let cluster = ControlPlane::try_start(&Options::default())?;
        let stage = Stage { screen, interrupt, binary, operator: None, cluster };
        let failed = |error: std::io::Error| format!("the demo's folder can't be made: {error}");
        fs::create_dir(stage.folder()).map_err(failed)?;
        let config = Path::new(REPOSITORY).join("config").canonicalize().map_err(failed)?;
        symlink(config, stage.folder().join("config")).map_err(failed)?;
        Ok(stage)
    }

    /// Starts kube-controller-manager and regcred, and waits until both are at work.
    pub fn start_controllers(&mut self) -> Outcome {
        // Only now: its garbage collector would see a kind that comes later after 30 s.
        self.cluster.start_controllers(&Controllers::Default)?;
        let kubeconfig = self.cluster.kubeconfig(OPERATOR);
        let operator = Operator::start(&self.binary, &kubeconfig, &[], &[]);
        let operator = self.operator.insert(operator);
        let deadline = Instant::now() + SOON;
        while !matches!(operator.get("/readyz"), Ok((200, _))) {
            if !operator.is_running() || Instant::now() > deadline {
                return Err(Failure::Wrong("regcred didn't get ready".to_owned()));
            }
            pause(&self.interrupt, Duration::from_millis(20))?;
        }
        Ok(())
    }

    /// Where the shell is: it has a link to `config/`, and what steps write.
    pub fn folder(&self) -> PathBuf {
        self.cluster.folder().join("demo")
    }

    /// Runs a command and shows it with what it wrote; an error if it fails.
    pub fn run(&self, command: &str) -> Outcome {
        self.screen.command(command);
        let (succeeded, output) = self.shell(command)?;
        self.screen.output(&output);
        if succeeded { Ok(()) } else { Err(Failure::Wrong("that command failed".to_owned())) }
    }

    /// Waits until `is_so`, then runs a command as [`Stage::run`] does: for what happens by itself in a moment.
    pub fn run_when(&self, is_so: impl Fn() -> Outcome<bool>, otherwise: &str, command: &str) -> Outcome {
        let deadline = Instant::now() + SOON;
        while !is_so()? {
            if Instant::now() > deadline {
                return Err(Failure::Wrong(format!("{otherwise}, still so after {} s", SOON.as_secs())));
            }
            self.pause(Duration::from_millis(50))?;
        }
        self.run(command)
    }

    /// What a command writes, unseen: for checks. An error if it fails.
    pub fn read(&self, command: &str) -> Outcome<String> {
        match self.shell(command)? {
            (true, output) => Ok(output),
            (false, error) => Err(Failure::Wrong(format!("{command}: {}", error.trim()))),
        }
    }

    /// An object (or a list of them), unseen.
    pub fn object(&self, what: &str) -> Outcome<Value> {
        let json = self.read(&format!("kubectl get {what} -o json"))?;
        serde_json::from_str(&json).map_err(|error| Failure::Wrong(format!("kubectl get {what}: {error}")))
    }

    /// Whether it succeeded, and what it wrote, both streams in one as on a terminal.
    fn shell(&self, command: &str) -> Outcome<(bool, String)> {
        let failed = |error: std::io::Error| format!("sh can't be run: {error}");
        let path = self.folder().join(".output");
        let output = File::create(&path).map_err(failed)?;
        let mut shell = self.kubectl_environment();
        shell.args(["-c", command]).current_dir(self.folder()).stdin(Stdio::null());
        shell.stdout(output.try_clone().map_err(failed)?).stderr(output);
        let mut shell = shell.spawn().map_err(failed)?;
        let status = loop {
            if let Some(status) = shell.try_wait().map_err(failed)? {
                break status;
            }
            if let Err(failure) = self.pause(Duration::from_millis(5)) {
                let _ = shell.kill(); // an error means that it has just ended
                let _ = shell.wait();
                return Err(failure);
            }
        };
        let output = fs::read(&path).map_err(failed)?;
        Ok((status.success(), String::from_utf8_lossy(&output).into_owned()))
    }

    /// `sh` with kubectl on its path, as the cluster's administrator.
    fn kubectl_environment(&self) -> Command {
        let kubectl = self.cluster.kubectl_command(ADMIN, &[]);
        let mut shell = Command::new("sh");
        for (name, value) in kubectl.get_envs() {
            match value {
                Some(value) => shell.env(name, value),
                None => shell.env_remove(name),
            };
        }
        let path = std::env::var("PATH").unwrap_or_default();
        shell.env("PATH", format!("{}:{path}", self.kubectl_folder()));
        shell
    }

    fn kubectl_folder(&self) -> String {
        let kubectl = self.cluster.kubectl_command(ADMIN, &[]);
        Path::new(kubectl.get_program()).parent().unwrap_or(Path::new("")).display().to_string()
    }

    /// Waits so long; an error if somebody wants us to end, or if regcred has ended.
    pub fn pause(&self, duration: Duration) -> Outcome {
        if self.operator.as_ref().is_some_and(|operator| !operator.is_running()) {
            return Err(Failure::Wrong("regcred isn't there any more".to_owned()));
        }
        pause(&self.interrupt, duration)
    }

    /// Shell lines for another terminal.
    pub fn how_to_reach(&self) -> String {
        let mut lines = vec![
            format!("  export KUBECONFIG={}", self.cluster.kubeconfig(ADMIN).display()),
            format!("  export PATH={}:$PATH   # kubectl", self.kubectl_folder()),
            format!("  cd {}   # key.json, new-key.json, config/", self.folder().display()),
            "  kubectl get registrycredentials".to_owned(),
        ];
        if let Some(operator) = &self.operator {
            lines.push(format!("  curl http://127.0.0.1:{}/metrics", operator.port()));
            lines.push(format!("  tail -f {}   # what regcred logs", operator.log_file().display()));
        }
        lines.join("\n")
    }

    /// The end of regcred's log, for who looks for the cause of a failure.
    pub fn last_logged(&self) -> String {
        let Some(operator) = &self.operator else { return String::new() };
        let log = operator.log();
        let lines: Vec<&str> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(10)..].iter().map(|line| format!("\n    {line}"));
        let state = match operator.exit_code() {
            Some(code) => format!("regcred has ended with exit code {code}"),
            None => "regcred runs".to_owned(),
        };
        match log.is_empty() {
            true => format!("\n{state}; it has logged nothing"),
            false => format!("\n{state}; the last that it logged:{}", last.collect::<String>()),
        }
    }
}

fn pause(interrupt: &Interrupt, duration: Duration) -> Outcome {
    let deadline = Instant::now() + duration;
    loop {
        if interrupt.is_noted() {
            return Err(Failure::Interrupted);
        }
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(20)));
    }
}
