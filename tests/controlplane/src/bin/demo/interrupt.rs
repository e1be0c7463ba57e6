//! Ctrl-C, a plain `kill`, and the terminal's end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
use signal_hook::flag;

/// Whether somebody wants us to end.
#[derive(Clone)]
pub struct Interrupt(Arc<AtomicBool>);

impl Interrupt {
    /// From now on the first signal is noted and the second ends us at once; what we started ends with us either way.
    pub fn listen() -> Result<Interrupt, String> {
        let noted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            // In this order: the second signal finds the note that the first has left.
            flag::register_conditional_shutdown(signal, 128 + signal, noted.clone())
                .and_then(|_| flag::register(signal, noted.clone()))
                .map_err(|error| format!("signals can't be handled: {error}"))?;
        }
        Ok(Interrupt(noted))
    }

    pub fn is_noted(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}
