//! The demo: regcred on a real control plane, told with kubectl, each step checked. `make demo` runs it.
//!
//! It exits with 0 only if every step did what it says; Ctrl-C ends it, and everything that it started, at any time.
#![forbid(unsafe_code)]

mod interrupt;
mod screen;
mod stage;
mod story;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use interrupt::Interrupt;
use screen::Screen;
use stage::Stage;

const USAGE: &str =
    "usage: demo [--keep] [REGCRED]   (REGCRED: the operator's binary; default: the one beside this one)";

const INTRODUCTION: &str = "\
regcred at work on a real Kubernetes API server, on this machine's loopback only.
What stands after a $ is run just so, and what stands after a ✓ has been checked.

Starting etcd and kube-apiserver …";

/// Why a step didn't come to its end.
enum Failure {
    /// Ctrl-C.
    Interrupted,
    /// It didn't do what it says.
    Wrong(String),
}

impl From<String> for Failure {
    fn from(reason: String) -> Failure {
        Failure::Wrong(reason)
    }
}

type Outcome<T = ()> = Result<T, Failure>;

struct Arguments {
    keep: bool,
    regcred: PathBuf,
}

fn main() -> ExitCode {
    let screen = Screen::new();
    let arguments = match arguments() {
        Ok(arguments) => arguments,
        Err(error) => {
            eprintln!("demo: {error}");
            return ExitCode::from(2);
        }
    };
    let started = Instant::now();
    let code = match Interrupt::listen().map_err(Failure::Wrong).and_then(|stop| play(&screen, &arguments, stop)) {
        Ok(ending) => {
            screen.text(&format!("{ending}, in {} s. Everything is stopped.", started.elapsed().as_secs()));
            return ExitCode::SUCCESS;
        }
        Err(Failure::Interrupted) => {
            screen.failure("interrupted");
            130
        }
        Err(Failure::Wrong(reason)) => {
            screen.failure(&reason);
            1
        }
    };
    screen.text("Everything is stopped.");
    ExitCode::from(code)
}

fn arguments() -> Result<Arguments, String> {
    let (mut keep, mut regcred) = (false, None);
    for argument in std::env::args_os().skip(1) {
        match argument.to_str() {
            Some("--keep") => keep = true,
            Some(option) if option.starts_with('-') => return Err(USAGE.to_owned()),
            _ if regcred.is_some() => return Err(USAGE.to_owned()),
            _ => regcred = Some(PathBuf::from(argument)),
        }
    }
    let beside = || std::env::current_exe().map(|demo| demo.with_file_name("regcred"));
    let regcred = regcred.map_or_else(beside, Ok).and_then(|path| path.canonicalize());
    let regcred = regcred.map_err(|error| format!("regcred isn't built: {error}; cargo build makes it\n{USAGE}"))?;
    Ok(Arguments { keep, regcred })
}

/// Plays the story. All that it started is stopped when it returns.
fn play(screen: &Screen, arguments: &Arguments, interrupt: Interrupt) -> Outcome<String> {
    screen.text(INTRODUCTION);
    let mut stage = Stage::set(screen, interrupt, arguments.regcred.clone())?;
    let steps = story::STEPS.len() - usize::from(arguments.keep);
    for (index, (title, step)) in story::STEPS.iter().take(steps).enumerate() {
        screen.heading(index + 1, title);
        step(&mut stage).map_err(|failure| match failure {
            Failure::Wrong(reason) => {
                Failure::Wrong(format!("step {}, “{title}”: {reason}{}", index + 1, stage.last_logged()))
            }
            interrupted => interrupted,
        })?;
    }
    if arguments.keep {
        keep(screen, &stage)?;
        return Ok(format!("All {steps} steps did what they say, and you have stopped it"));
    }
    screen.text("\nTo look around for yourself: make demo KEEP=1");
    Ok(format!("All {steps} steps did what they say"))
}

/// Leaves everything running until Ctrl-C.
fn keep(screen: &Screen, stage: &Stage) -> Outcome {
    let (last, _) = story::STEPS[story::STEPS.len() - 1];
    screen.text("");
    screen.text("It keeps running. In another terminal:");
    screen.text(&stage.how_to_reach());
    screen.text(&format!("The last step is left to you ({last}):\n  kubectl delete registrycredential darwin"));
    screen.text(&format!("Ctrl-C here stops everything, or from elsewhere: kill {}", std::process::id()));
    loop {
        match stage.pause(Duration::from_millis(100)) {
            Err(Failure::Interrupted) => return Ok(()),
            Err(Failure::Wrong(reason)) => return Err(Failure::Wrong(reason + &stage.last_logged())),
            Ok(()) => {}
        }
    }
}
