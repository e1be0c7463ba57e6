//! What depends on the network that one is in: each test runs this program again in a network namespace of its own.
//! Where none can be made, they are counted as ignored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod dead_path;
mod listen;

use std::process::{Command, ExitCode};

use libtest_mimic::{Arguments, Failed, Trial};

/// Set in the namespace: which test it is for.
const INSIDE: &str = "REGCRED_TEST_NETWORK";

const TESTS: [(&str, fn()); 3] = [
    ("a_watch_and_a_request_on_a_dead_path_end_within_a_minute", dead_path::connections_are_given_up),
    ("probes_are_answered_where_there_is_no_ipv4", listen::without_ipv4),
    ("probes_are_answered_where_there_is_no_ipv6", listen::without_ipv6),
];

fn main() -> ExitCode {
    if let Some(inside) = std::env::var_os(INSIDE) {
        TESTS.iter().find(|(name, _)| inside == *name).unwrap().1();
        return ExitCode::SUCCESS;
    }
    let possible = isolated("ip").args(["link", "add", "here", "type", "veth", "peer", "name", "there"]).output();
    let possible = possible.is_ok_and(|output| output.status.success());
    let trial = |(name, _)| Trial::test(name, move || outside(name)).with_ignored_flag(!possible);
    libtest_mimic::run(&Arguments::from_args(), TESTS.map(trial).into()).exit_code()
}

/// This program, in a network namespace of its own.
fn isolated(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--net", "--"]).arg(program);
    command
}

fn outside(name: &str) -> Result<(), Failed> {
    let output = isolated(std::env::current_exe()?).env(INSIDE, name).output()?;
    if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned().into()) }
}

fn ip(command: &str) {
    let output = Command::new("ip").args(command.split(' ')).output().unwrap();
    assert!(output.status.success(), "ip {command}: {}", String::from_utf8_lossy(&output.stderr));
}
