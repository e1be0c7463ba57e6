//! A child process that never outlives us, not even when we are killed.
//!
//! A small `sh` runs the program and a guard beside it. The guard reads signals' names from a pipe that
//! only we hold and passes them on; when the pipe closes, whatever closed it, it kills the program.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

/// `$1` is a folder to remove if we die without stopping the program (or empty), the rest is the program.
const SHELL: &str = r#"
folder=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- >&2 &
program=$!
{
  while read -r signal; do kill -s "$signal" "$program"; done
  trap '' TERM
  kill -s KILL "$program"
  if [ -n "$folder" ]; then sleep 1; rm -rf -- "$folder"; fi
} <&3 >/dev/null 2>&1 &
guard=$!
exec 3<&-
echo "$program"
exec >&- 2>/dev/null # the shell has nothing to say in the program's log
wait "$program"
code=$?
kill -s TERM "$guard"
wait "$guard"
exit "$code"
"#;

/// Proxies are for the world outside; everything here is on loopback.
const PROXIES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Exit {
    /// The exit code as a shell gives it: 128 + the signal's number if a signal ended it.
    pub code: i32,
    /// How long [`Process::stop`] or [`Process::kill9`] waited for the end.
    pub after: Duration,
}

/// A running child whose output goes to a file. Dropping it stops it (SIGTERM, SIGKILL after 5 s).
#[derive(Debug)]
pub struct Process {
    name: String,
    pid: u32,
    log: PathBuf,
    child: Mutex<(Child, ChildStdin)>,
}

impl Process {
    /// Starts `command` (its program, arguments, environment and folder) with stdout and stderr appended to `log`.
    pub fn start(name: &str, command: &Command, log: &Path) -> Result<Process, String> {
        Process::start_in(name, command, log, None)
    }

    /// As [`Process::start`]; removes `folder` should we die without having stopped the process.
    pub fn start_in(name: &str, command: &Command, log: &Path, folder: Option<&Path>) -> Result<Process, String> {
        let failed = |error: std::io::Error| format!("{name} can't be started: {error}");
        let output = File::options().create(true).append(true).open(log).map_err(failed)?;
        let mut shell = Command::new("sh");
        shell.args(["-c", SHELL, name]).arg(folder.unwrap_or(Path::new("")));
        shell.arg(command.get_program()).args(command.get_args());
        without_proxies(&mut shell);
        for (key, value) in command.get_envs() {
            match value {
                Some(value) => shell.env(key, value),
                None => shell.env_remove(key),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            shell.current_dir(folder);
        }
        // Its own process group, so that Ctrl-C reaches us alone and the guard still does its work.
        shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(output).process_group(0);
        let mut child = shell.spawn().map_err(failed)?;
        let pipe = child.stdin.take().expect("stdin is piped");
        let mut pid = String::new();
        BufReader::new(child.stdout.take().expect("stdout is piped")).read_line(&mut pid).map_err(failed)?;
        let pid = pid.trim().parse().map_err(|_| format!("{name} can't be started: sh gave no pid"))?;
        Ok(Process { name: name.to_owned(), pid, log: log.to_owned(), child: Mutex::new((child, pipe)) })
    }

    /// The name given at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The program's own process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// Whether it hasn't ended.
    pub fn is_running(&self) -> bool {
        self.exit_code().is_none()
    }

    /// The exit code as a shell gives it (128 + the signal's number), `None` while it runs.
    pub fn exit_code(&self) -> Option<i32> {
        let status = self.child.lock().unwrap().0.try_wait().expect("our child can be waited for")?;
        Some(status.code().unwrap_or(128 + 9)) // no code: the shell itself was killed
    }

    /// Sends a signal (`TERM`, `STOP`, `CONT`, …), to nothing but this program, and only if it still runs.
    pub fn signal(&self, signal: &str) {
        if self.is_running() {
            // An error means that it ended meanwhile.
            let _ = writeln!(self.child.lock().unwrap().1, "{signal}");
        }
    }

    /// SIGTERM, then SIGKILL if it hasn't ended within `timeout`.
    pub fn stop(&self, timeout: Duration) -> Exit {
        let started = Instant::now();
        self.signal("TERM");
        let code = self.wait(timeout).unwrap_or_else(|| self.kill9().code);
        let after = started.elapsed();
        Exit { code, after }
    }

    /// SIGKILL.
    pub fn kill9(&self) -> Exit {
        let started = Instant::now();
        self.signal("KILL");
        let code = self.wait(Duration::from_secs(60)).unwrap_or_else(|| panic!("{} outlives SIGKILL", self.name));
        Exit { code, after: started.elapsed() }
    }

    /// Waits for its end and gives the exit code, or `None` when `timeout` is up.
    pub fn wait(&self, timeout: Duration) -> Option<i32> {
        let deadline = Instant::now() + timeout;
        loop {
            match self.exit_code() {
                Some(code) => return Some(code),
                None if Instant::now() >= deadline => return None,
                None => thread::sleep(Duration::from_millis(10)),
            }
        }
    }

    /// All that it has written so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last `count` lines of the log, indented, for a message.
    pub fn last_lines(&self, count: usize) -> String {
        let log = self.log();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|line| format!("\n    {line}")).collect()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Duration::from_secs(5));
    }
}

pub(crate) fn without_proxies(command: &mut Command) {
    for proxy in PROXIES {
        command.env_remove(proxy);
    }
}
