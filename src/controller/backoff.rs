//! How long to wait before the next try: longer with each failure in a row, and never the same for all.

use std::{
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// The longest wait after a failure that may pass by itself, such as an API server that can't be reached.
pub const TRANSIENT: Duration = Duration::from_secs(5);

/// The longest wait after a failure that probably needs a person, such as a denied write.
pub const LASTING: Duration = Duration::from_secs(300);

const FIRST: Duration = Duration::from_millis(500);

/// Counts failures in a row, by key.
#[derive(Debug)]
pub struct Backoff<K> {
    failures: Mutex<HashMap<K, u32>>,
    jitter: RandomState,
}

impl<K> Default for Backoff<K> {
    fn default() -> Self {
        Self { failures: Mutex::default(), jitter: RandomState::new() }
    }
}

impl<K: Clone + Eq + Hash> Backoff<K> {
    /// It has failed: how long to wait, at most `longest`. Each wait is twice the last, less up to a quarter.
    pub fn failed(&self, key: &K, longest: Duration) -> Duration {
        let mut failures = self.failures.lock().unwrap_or_else(PoisonError::into_inner);
        let count = failures.entry(key.clone()).or_default();
        *count += 1;
        let wait = FIRST.saturating_mul(2_u32.saturating_pow(*count - 1)).min(longest);
        let quarters = self.jitter.hash_one((key, *count)) % 1024;
        wait - (wait / 4).mul_f64(quarters as f64 / 1024.0)
    }

    /// How often it has failed in a row.
    pub fn count(&self, key: &K) -> u32 {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).get(key).copied().unwrap_or_default()
    }

    /// It has worked.
    pub fn worked(&self, key: &K) {
        self.failures.lock().unwrap_or_else(PoisonError::into_inner).remove(key);
    }
}

/// A watch's wait between attempts: 0.1 s, doubling up to 3 s, so that an API server that comes back is noticed soon.
#[derive(Debug, Default)]
pub struct WatchBackoff {
    failures: u32,
}

impl Iterator for WatchBackoff {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        let wait = Duration::from_millis(100).saturating_mul(2_u32.saturating_pow(self.failures));
        self.failures = self.failures.saturating_add(1);
        Some(wait.min(Duration::from_secs(3)))
    }
}

impl kube::runtime::utils::Backoff for WatchBackoff {
    fn reset(&mut self) {
        self.failures = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_failure_in_a_row_waits_longer_up_to_the_longest() {
        let backoff = Backoff::default();
        let mut last = Duration::ZERO;
        for _ in 0..4 {
            let wait = backoff.failed(&"a", LASTING);
            assert!(wait > last, "{wait:?} after {last:?}");
            last = wait;
        }
        for _ in 0..40 {
            last = backoff.failed(&"a", LASTING);
        }
        assert!(last <= LASTING && last > LASTING / 2, "{last:?}");
        backoff.worked(&"a");
        assert!(backoff.failed(&"a", LASTING) <= FIRST);
    }

    #[test]
    fn a_watch_waits_at_most_three_seconds_and_starts_anew_after_success() {
        use kube::runtime::utils::Backoff as _;
        let mut backoff = WatchBackoff::default();
        assert_eq!(backoff.next(), Some(Duration::from_millis(100)));
        assert_eq!(backoff.next(), Some(Duration::from_millis(200)));
        assert_eq!(backoff.nth(60), Some(Duration::from_secs(3)));
        backoff.reset();
        assert_eq!(backoff.next(), Some(Duration::from_millis(100)));
    }
}
