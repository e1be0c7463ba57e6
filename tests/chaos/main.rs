//! Faults on the real control plane: random ones while people do random things, and kill -9 in the middle of things.
//! After each, all must become what a small model of the promises says, nothing of anybody else's may have changed, and
//! the audit log must show no write that nobody asked for.
//!
//! A seed gives the same acts and faults each time; how they meet is up to the machine.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]

mod arena;
mod check;
mod clashes;
mod evidence;
mod faults;
mod figures;
mod kill;
mod model;
mod order;
mod people;
mod random;
mod schedule;
mod script;
mod trial;

use std::{process::ExitCode, time::Instant};

use libtest_mimic::{Arguments, Trial};

/// How many at once, each in an arena of its own: most of their time they wait.
const AT_ONCE: usize = 3;

fn main() -> ExitCode {
    let began = Instant::now();
    let arguments = Arguments::from_args();
    let first = number("SEED", 1);
    let schedules = (first..first + number("SCHEDULES", 20)).map(|seed| {
        let how = format!("make chaos SEED={seed} SCHEDULES=1 KILLS=0");
        let run = move || trial::run(&format!("s{seed}"), seed, &how, &[], schedule::run);
        Trial::test(format!("schedule::{seed}"), run)
    });
    let kills = (first..first + number("KILLS", 10)).map(|seed| {
        let how = format!("make chaos SEED={seed} SCHEDULES=0 KILLS=1");
        let run = move || trial::run(&format!("k{seed}"), seed, &how, &kill::ARGS, kill::run);
        Trial::test(format!("kill::{seed}"), run)
    });
    let trials = schedules.chain(kills).collect();
    let at_once = Arguments { test_threads: arguments.test_threads.or(Some(AT_ONCE)), ..arguments.clone() };
    let conclusion = libtest_mimic::run(&at_once, trials);
    arena::Arena::stop_all();
    if !arguments.list {
        println!("{}", figures::summary(began.elapsed()));
    }
    conclusion.exit_code()
}

/// A number that `make chaos` passes on.
fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).ok().filter(|text| !text.is_empty()).map_or(default, |text| text.parse().expect(name))
}
