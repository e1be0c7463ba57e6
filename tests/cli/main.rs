//! The commands that need no cluster, as a person runs them: the built binary, its output and its exit codes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod check;
mod plan;

use std::{
    fs,
    io::Write,
    os::unix::fs::{OpenOptionsExt, symlink},
    path::Path,
    process::{Command, Output, Stdio},
    time::{Duration, Instant},
};

/// Of Linux.
const O_NONBLOCK: i32 = 0o4000;

/// The repository; commands run there.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");

/// A command of the built binary, without what the environment would tell it.
fn regcred(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_regcred"));
    command.args(args).current_dir(ROOT).stdin(Stdio::null());
    for name in [
        "REGCRED_ALLOWED_REGISTRIES",
        "REGCRED_CREDENTIAL_NAMESPACES",
        "REGCRED_MANAGED_SECRET_NAMES",
        "KUBECONFIG",
        "NO_COLOR",
    ] {
        command.env_remove(name);
    }
    command
}

fn run(args: &[&str]) -> Output {
    regcred(args).output().unwrap()
}

fn run_with_input(args: &[&str], input: &[u8]) -> Output {
    let mut child = regcred(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input).unwrap();
    child.wait_with_output().unwrap()
}

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Compares with a file of tests/cases, or writes it where `$UPDATE_EXPECTED` is set.
fn assert_expected(file: &str, said: &str) {
    let path = Path::new(ROOT).join("tests/cases").join(file);
    if std::env::var_os("UPDATE_EXPECTED").is_some() {
        fs::write(&path, said).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(said == expected, "{} isn't what is said now (UPDATE_EXPECTED=1 writes it):\n{said}", path.display());
}

fn within_ten_seconds<T>(mut look: impl FnMut() -> Option<T>) -> Option<T> {
    let until = Instant::now() + Duration::from_secs(10);
    while Instant::now() < until {
        if let Some(found) = look() {
            return Some(found);
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    None
}

/// A container's first process is deaf to a signal that it doesn't handle, and would be killed after its grace period.
#[test]
fn sigterm_is_heard_before_the_cluster_is_looked_for() {
    let folder = tempfile::tempdir().unwrap();
    let kubeconfig = folder.path().join("kubeconfig");
    assert!(Command::new("mkfifo").arg(&kubeconfig).status().unwrap().success());
    let mut operator = regcred(&["run", "--leader-elect=false", "--listen", "127.0.0.1:0", "--log-filter", "off"])
        .env("KUBECONFIG", &kubeconfig)
        .spawn()
        .unwrap();
    // For writing it opens only while the operator reads it, and the operator goes on once it has been written.
    let open = || fs::OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(&kubeconfig);
    let mut written = within_ten_seconds(|| open().ok()).expect("the operator reads its kubeconfig");
    assert!(Command::new("kill").arg(operator.id().to_string()).status().unwrap().success());
    let address = "{clusters: [{name: a, cluster: {server: 'http://127.0.0.1:9'}}], contexts: [{name: a, context: {cluster: a}}], \
                   current-context: a}";
    written.write_all(address.as_bytes()).unwrap();
    drop(written);
    let ended = within_ten_seconds(|| operator.try_wait().unwrap());
    let _ = operator.kill();
    assert_eq!(ended.and_then(|ended| ended.code()), Some(0), "{ended:?}");
}

#[test]
fn called_as_kubectl_does_its_usage_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let plugin = folder.path().join("kubectl-regcred");
    symlink(env!("CARGO_BIN_EXE_regcred"), &plugin).unwrap();
    let usage = stdout(&Command::new(&plugin).arg("--help").output().unwrap());
    assert!(usage.contains("Usage: kubectl regcred <COMMAND>"), "{usage}");
    let usage = stdout(&Command::new(&plugin).args(["check", "--help"]).output().unwrap());
    assert!(usage.contains("Usage: kubectl regcred check [OPTIONS] <FILE>..."), "{usage}");
    let wrong = Command::new(&plugin).args(["check", "/nowhere/at-all.yaml"]).output().unwrap();
    assert!(stderr(&wrong).starts_with("kubectl regcred: /nowhere/at-all.yaml: "), "{wrong:?}");
    assert!(stdout(&run(&["--help"])).contains("Usage: regcred <COMMAND>"));
}

#[test]
fn each_shell_gets_a_script_that_knows_the_commands() {
    for shell in ["bash", "zsh", "fish"] {
        let script = run(&["completion", shell]);
        assert_eq!(script.status.code(), Some(0), "{script:?}");
        for word in ["regcred", "check", "allowed-registries", "cleanup"] {
            assert!(stdout(&script).contains(word), "{shell}: {word}");
        }
    }
    assert_eq!(run(&["completion", "cmd"]).status.code(), Some(2));
}

#[test]
fn the_crd_is_printed() {
    let crd = run(&["crd"]);
    assert_eq!(crd.status.code(), Some(0));
    let file = Path::new(ROOT).join("crds/registrycredentials.regcred.dev.yaml");
    assert_eq!(stdout(&crd), fs::read_to_string(file).unwrap());
}
