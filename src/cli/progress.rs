//! A line on standard error that says how far long work is, where somebody sits before a terminal.

use std::{
    io::{self, IsTerminal, Write},
    time::{Duration, Instant},
};

/// Work that ends sooner than this says nothing, and the line isn't written anew more often.
const PACE: Duration = Duration::from_millis(200);

/// The line; it goes when this is dropped, so drop it before anything else is written.
pub struct Progress {
    what: &'static str,
    is_terminal: bool,
    shown: bool,
    next: Instant,
}

impl Progress {
    /// Begins; `what` comes before the count, as in `pods`.
    pub fn new(what: &'static str) -> Self {
        Self { what, is_terminal: io::stderr().is_terminal(), shown: false, next: Instant::now() + PACE }
    }

    /// Says how much is done, of `total` where that is known.
    pub fn tell(&mut self, done: usize, total: Option<usize>) {
        let now = Instant::now();
        if !self.is_terminal || now < self.next {
            return;
        }
        self.next = now + PACE;
        self.shown = true;
        let of = total.map(|total| format!("/{total}")).unwrap_or_default();
        // Progress that can't be told isn't worth failing for.
        let _ = write!(io::stderr(), "\r\u{1b}[K{} {done}{of}", self.what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if self.shown {
            let _ = write!(io::stderr(), "\r\u{1b}[K");
        }
    }
}
