//! Random faults while people do random things; after each round of it, quiet.

use std::{thread, time::Duration};

use crate::trial::Trial;

const ROUNDS: usize = 3;

/// How many things people do in a round.
const ACTS: usize = 30;

pub fn run(trial: &mut Trial<'_>) {
    trial.script.begin();
    // From a network that loses a request now and then to one that hardly works.
    let chance = trial.random.pick(&[10, 30, 50]).unwrap_or_default();
    let mut outages = usize::from(trial.random.percent(20));
    for round in 0..ROUNDS {
        trial.begin_faults(chance);
        for _ in 0..ACTS {
            trial.script.act();
            match trial.random.below(100) {
                0..20 => drop(trial.arena.proxy.cut_watches()),
                20..23 => trial.arena.cluster.compact_etcd(),
                23..25 => trial.kill(),
                25..27 if outages > 0 => {
                    outages -= 1;
                    trial.restart_apiserver();
                }
                // People do one thing at once, or one after the other.
                27..60 => thread::sleep(Duration::from_millis(trial.random.below(80) as u64)),
                _ => {}
            }
        }
        trial.quiet();
        match round {
            0 if trial.random.percent(50) => trial.restart_in_quiet(),
            1 if trial.random.percent(50) => trial.fight(),
            _ => {}
        }
    }
    trial.begin_faults(chance);
    trial.script.delete_credentials();
    trial.quiet();
    trial.judge();
}
