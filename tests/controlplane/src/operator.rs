//! regcred itself, as a process.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, MutexGuard};
use std::time::Duration;

use tempfile::TempDir;

use crate::ports::free_port;
use crate::process::{Exit, Process};
use crate::{http, wait};

/// A running `regcred run`. Dropping it stops it; if the test is failing, its last log lines go to stderr.
#[derive(Debug)]
pub struct Operator {
    command: Command,
    port: u16,
    process: Mutex<Process>,
    folder: TempDir,
}

impl Operator {
    /// Starts `BINARY run --listen 127.0.0.1:<free port> --log-format json ARGS` with `$KUBECONFIG` and `env`.
    /// Doesn't wait: see [`Operator::wait_ready`].
    pub fn start(binary: &Path, kubeconfig: &Path, args: &[&str], env: &[(&str, &str)]) -> Operator {
        let port = free_port();
        let mut command = Command::new(binary);
        command.args(["run", "--listen", &format!("127.0.0.1:{port}"), "--log-format", "json"]).args(args);
        command.env("KUBECONFIG", kubeconfig).envs(env.iter().copied());
        let folder = tempfile::Builder::new().prefix("regcred-operator-").tempdir().expect("a temporary folder");
        let process = Mutex::new(spawn(&command, folder.path()));
        Operator { command, port, process, folder }
    }

    /// The port that it serves metrics and probes on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// What it is told on its command line.
    pub fn args(&self) -> Vec<&str> {
        self.command.get_args().filter_map(|arg| arg.to_str()).collect()
    }

    /// The process id; another one after [`Operator::restart`].
    pub fn pid(&self) -> u32 {
        self.process().pid()
    }

    /// Whether it hasn't ended.
    pub fn is_running(&self) -> bool {
        self.process().is_running()
    }

    /// The exit code (128 + the signal's number), `None` while it runs.
    pub fn exit_code(&self) -> Option<i32> {
        self.process().exit_code()
    }

    /// Waits until `/readyz` answers 200; panics with the log's last lines if it ends before or `timeout` is up.
    #[track_caller]
    pub fn wait_ready(&self, timeout: Duration) {
        let ready = wait::poll(timeout, || match self.get("/readyz") {
            Ok((200, _)) => Ok(Ok(())),
            _ if !self.is_running() => Ok(Err(format!("regcred ended with {:?}", self.exit_code()))),
            Ok((status, body)) => Err(format!("/readyz says {status} {body}")),
            Err(error) => Err(error),
        });
        if let Err(error) = ready.and_then(|ready| ready) {
            panic!("regcred isn't ready after {timeout:?}: {error}{}", self.process().last_lines(30));
        }
    }

    /// GET `path`, such as `/metrics`: the status code and the body.
    pub fn get(&self, path: &str) -> Result<(u16, String), String> {
        http::get(self.port, path)
    }

    /// All that it has logged, over restarts.
    pub fn log(&self) -> String {
        self.process().log()
    }

    /// Where it logs to; removed in the end.
    pub fn log_file(&self) -> PathBuf {
        self.folder.path().join("regcred.log")
    }

    /// Sends a signal (`STOP`, `CONT`, `HUP`, …).
    pub fn signal(&self, signal: &str) {
        self.process().signal(signal);
    }

    /// SIGTERM, SIGKILL after 10 s.
    pub fn stop(&self) -> Exit {
        self.process().stop(Duration::from_secs(10))
    }

    /// SIGKILL.
    pub fn kill9(&self) -> Exit {
        self.process().kill9()
    }

    /// Stops it, if it still runs, and starts it again with the same arguments and port.
    pub fn restart(&self) {
        let mut process = self.process();
        process.stop(Duration::from_secs(10));
        *process = spawn(&self.command, self.folder.path());
    }

    fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

impl Drop for Operator {
    fn drop(&mut self) {
        self.stop();
        if std::thread::panicking() {
            eprintln!("the last that regcred logged:{}", self.process().last_lines(60));
        }
    }
}

fn spawn(command: &Command, folder: &Path) -> Process {
    Process::start_in("regcred", command, &folder.join("regcred.log"), Some(folder)).unwrap()
}
