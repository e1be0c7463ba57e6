//! The command line: what its commands share, and a module for each of them.
//!
//! A command that reports (`check` and its kin) takes its flags from [`args`], hands a [`out::Report`] to
//! [`args::OutputArgs`], and ends as a [`Verdict`] or with a sentence. `main.rs` only maps arguments to these modules.

pub mod args;
pub mod audit;
pub mod check;
pub mod clean_up;
pub mod completion;
pub mod diagnosis;
pub mod explain;
pub mod invocation;
pub mod lister;
pub mod out;
pub mod plan;
pub mod pod;
pub mod progress;
pub mod prose;
pub mod run;
pub mod secret;
pub mod table;

use std::process::ExitCode;

/// What a command that reports has come to; a sentence in place of it says why it couldn't run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing to report.
    Fine,
    /// Something that a person should look at.
    Findings,
}

impl Verdict {
    /// Findings where there is one, or more.
    pub fn of_findings(count: usize) -> Self {
        if count == 0 { Self::Fine } else { Self::Findings }
    }
}

/// A command that reports and couldn't run; clap's own code for wrong arguments is the same.
const COULD_NOT_RUN: u8 = 2;

/// Why a command hasn't done what it was asked for.
#[derive(Debug, PartialEq)]
pub struct Failure {
    /// What the process ends with.
    pub code: ExitCode,
    /// What is wrong and what to do, for standard error.
    pub sentence: String,
}

/// How a command ends that does something: 0, or 1 where it couldn't.
///
/// # Errors
/// The sentence with its exit code.
pub fn act(done: Result<(), String>) -> Result<ExitCode, Failure> {
    match done {
        Ok(()) => Ok(ExitCode::SUCCESS),
        Err(sentence) => Err(Failure { code: ExitCode::from(1), sentence }),
    }
}

/// How a command ends that reports: 0 where all is fine, 1 with findings, 2 where it couldn't run.
///
/// # Errors
/// The sentence with its exit code.
pub fn report(verdict: Result<Verdict, String>) -> Result<ExitCode, Failure> {
    match verdict {
        Ok(Verdict::Fine) => Ok(ExitCode::SUCCESS),
        Ok(Verdict::Findings) => Ok(ExitCode::from(1)),
        Err(sentence) => Err(Failure { code: ExitCode::from(COULD_NOT_RUN), sentence }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_told_apart_from_what_could_not_run() {
        let failure = |code: u8| Failure { code: code.into(), sentence: "no cluster".to_owned() };
        assert_eq!(report(Ok(Verdict::of_findings(0))), Ok(0.into()));
        assert_eq!(report(Ok(Verdict::of_findings(2))), Ok(1.into()));
        assert_eq!(report(Err("no cluster".to_owned())), Err(failure(2)));
        assert_eq!(act(Ok(())), Ok(0.into()));
        assert_eq!(act(Err("no cluster".to_owned())), Err(failure(1)));
    }
}
