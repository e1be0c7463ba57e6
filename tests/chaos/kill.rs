//! kill -9 in the middle of a roll-out, a rotation and a removal: the next start finishes what was begun.

use std::{
    sync::mpsc::{Sender, channel},
    time::Duration,
};

use controlplane::{Answer, Request};

use crate::{
    model::{Accounts, Credential, Wish},
    random::Random,
    trial::Trial,
};

/// Few at once, or a roll-out is over before it can be interrupted.
pub const ARGS: [&str; 2] = ["--concurrency", "4"];

const NAMESPACES: usize = 12;

/// How long the writes may take to come to the one that brings the end.
const COMES_WITHIN: Duration = Duration::from_secs(30);

pub fn run(trial: &mut Trial<'_>) {
    let wish = trial.script.begin_many(NAMESPACES);
    // Each namespace takes a Secret and an entry; here a Secret; here an entry and a Secret out of each second one; …
    killed_during(trial, 2 * NAMESPACES, |trial| trial.script.make_credential("alpha", wish.clone(), "source-1"));
    killed_during(trial, NAMESPACES, |trial| trial.script.rotate("source-1"));
    // Out of half of the namespaces, then of all; by the operator, then with the garbage collector.
    let fewer = Wish { names: wish.names.iter().step_by(2).cloned().collect(), ..wish.clone() };
    let change = |trial: &mut Trial<'_>, wish: &Wish| {
        let credential = trial.script.model.credentials["alpha"].clone();
        trial.script.change_credential("alpha", Credential { wish: wish.clone(), ..credential });
    };
    killed_during(trial, NAMESPACES, |trial| change(trial, &fewer));
    killed_during(trial, NAMESPACES, |trial| change(trial, &Wish { accounts: Accounts::None, ..wish.clone() }));
    killed_during(trial, NAMESPACES, |trial| change(trial, &wish));
    killed_during(trial, NAMESPACES, |trial| trial.script.delete_credentials());
    trial.judge();
}

/// The operator gets no further than to a write chosen by chance.
fn killed_during(trial: &mut Trial<'_>, writes: usize, act: impl FnOnce(&mut Trial<'_>)) {
    let (sender, reached) = channel();
    trial.arena.proxy.answer(up_to(trial.random.below(writes), trial.random.fork(), sender));
    act(trial);
    reached.recv_timeout(COMES_WITHIN).expect("the operator writes");
    trial.kill();
    trial.quiet();
}

/// Lets so many writes pass. The next may or may not reach the API server, and those after it don't.
fn up_to(count: usize, mut random: Random, reached: Sender<()>) -> impl FnMut(&Request) -> Option<Answer> + Send {
    let mut left = count;
    let mut ended = false;
    move |request| {
        let is_write = request.method != "GET" && request.uri.starts_with("/api/v1/namespaces/");
        if !is_write {
            return None;
        }
        if ended {
            return Some(Answer::Cut);
        }
        if left > 0 {
            left -= 1;
            return None;
        }
        ended = true;
        // An error means that nobody waits any more.
        let _ = reached.send(());
        Some(if random.percent(50) { Answer::Lost } else { Answer::Cut })
    }
}
