//! `regcred completion`: scripts for shells.

use clap::{Args, Command, ValueEnum};
use clap_complete::{Shell, generate};

use super::out;

/// A shell that completes arguments.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Completed {
    Bash,
    Zsh,
    Fish,
}

/// What `regcred completion` can be told.
#[derive(Args)]
pub struct CompletionArgs {
    /// The shell.
    #[arg(value_enum)]
    shell: Completed,
}

/// Writes the script for a command line to standard output.
///
/// # Errors
/// A sentence, where it can't be written.
pub fn run(args: &CompletionArgs, mut command: Command) -> Result<(), String> {
    let shell = match args.shell {
        Completed::Bash => Shell::Bash,
        Completed::Zsh => Shell::Zsh,
        Completed::Fish => Shell::Fish,
    };
    let mut script = Vec::new();
    // kubectl completes its own command line, so the script is for the name that stands alone.
    generate(shell, &mut command, "regcred", &mut script);
    out::write(&String::from_utf8_lossy(&script)).map_err(|error| format!("the script can't be written: {error}"))
}
