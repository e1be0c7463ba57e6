//! Waiting for a condition, never for a guess.

use std::thread;
use std::time::{Duration, Instant};

/// The first pause; each is half as long again as the one before, as most checks run a kubectl, a tenth of a second of CPU.
const FIRST_PAUSE: Duration = Duration::from_millis(20);
const LONGEST_PAUSE: Duration = Duration::from_millis(300);

/// Calls `check` again and again, with pauses of 20 to 300 ms, until it gives `Ok`; panics with its last `Err` when `timeout` is up.
#[track_caller]
pub fn eventually<T>(timeout: Duration, check: impl FnMut() -> Result<T, String>) -> T {
    let started = Instant::now();
    match poll(timeout, check) {
        Ok(value) => value,
        Err(last) => panic!("still not so after {:.1} s: {last}", started.elapsed().as_secs_f64()),
    }
}

/// As [`eventually`], but gives the last `Err` back.
pub(crate) fn poll<T>(timeout: Duration, mut check: impl FnMut() -> Result<T, String>) -> Result<T, String> {
    let started = Instant::now();
    let mut pause = FIRST_PAUSE;
    loop {
        match check() {
            Err(error) if started.elapsed() >= timeout => return Err(error),
            Err(_) => {
                thread::sleep(pause.min(timeout.saturating_sub(started.elapsed())));
                pause = LONGEST_PAUSE.min(pause * 3 / 2);
            }
            Ok(value) => return Ok(value),
        }
    }
}
