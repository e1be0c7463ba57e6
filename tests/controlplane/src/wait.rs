//! Waiting for a condition, never for a guess.

use std::thread;
use std::time::{Duration, Instant};

const INTERVAL: Duration = Duration::from_millis(20);

/// Calls `check` every 20 ms until it gives `Ok`; panics with its last `Err` when `timeout` is up.
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
    loop {
        match check() {
            Err(error) if started.elapsed() >= timeout => return Err(error),
            Err(_) => thread::sleep(INTERVAL),
            Ok(value) => return Ok(value),
        }
    }
}
