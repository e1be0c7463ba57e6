//! How many namespaces of a roll-out are in work at once: fewer where the API server is too busy, more where it keeps up.
//!
//! Additive increase, multiplicative decrease, as TCP does it: whoever else uses the API server keeps their share, and a
//! roll-out is as fast as what is left allows.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

/// A mean above this says that writes wait for each other: Kubernetes' own objective is one second for the slowest of a
/// hundred (<https://github.com/kubernetes/community/blob/master/sig-scalability/slos/api_call_latency.md>).
const SLOW: Duration = Duration::from_millis(500);

/// However busy the API server is, so many go on.
const LEAST: usize = 2;

/// How many writes are looked at, at the least, before the pace changes.
const SAMPLE: usize = 8;

/// What became of a write, as far as the pace is concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was answered, whatever the answer.
    Given,
    /// The API server was too busy to answer.
    TooBusy,
}

/// See the module's documentation.
#[derive(Debug)]
pub struct AdaptiveConcurrency {
    most: usize,
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    limit: usize,
    /// Since the pace last changed: writes, those that found the API server too busy, and the time of all.
    writes: usize,
    too_busy: usize,
    time: Duration,
}

impl AdaptiveConcurrency {
    /// Begins with `most`, the upper bound.
    pub fn new(most: usize) -> Self {
        let most = most.max(1);
        let inner = Inner { limit: most, writes: 0, too_busy: 0, time: Duration::ZERO };
        Self { most, inner: Mutex::new(inner) }
    }

    /// How many namespaces may be in work.
    pub fn limit(&self) -> usize {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner).limit
    }

    /// A write has ended; returns how many namespaces may be in work from now on, where that has changed.
    pub fn ended(&self, took: Duration, answer: Answer) -> Option<usize> {
        // Nothing in here panics half-way through a change.
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        inner.writes += 1;
        inner.time += took;
        inner.too_busy += usize::from(answer == Answer::TooBusy);
        // Each pace is judged by writes that were begun under it.
        if inner.writes < SAMPLE.max(inner.limit) {
            return None;
        }
        let mean = inner.time / u32::try_from(inner.writes).unwrap_or(u32::MAX);
        let limit = match (inner.too_busy, mean) {
            (1.., _) => inner.limit / 2,
            (0, mean) if mean > SLOW => inner.limit - inner.limit.div_ceil(4),
            (0, _) => inner.limit + inner.limit.div_ceil(8),
        };
        let limit = limit.max(LEAST).min(self.most);
        let changed = limit != inner.limit;
        *inner = Inner { limit, writes: 0, too_busy: 0, time: Duration::ZERO };
        changed.then_some(limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUICK: Duration = Duration::from_millis(20);

    fn after(adaptive_concurrency: &AdaptiveConcurrency, writes: usize, took: Duration, answer: Answer) -> usize {
        for _ in 0..writes {
            adaptive_concurrency.ended(took, answer);
        }
        adaptive_concurrency.limit()
    }

    #[test]
    fn a_quick_api_server_gets_as_much_as_is_allowed() {
        let adaptive_concurrency = AdaptiveConcurrency::new(48);
        assert_eq!(after(&adaptive_concurrency, 10_000, QUICK, Answer::Given), 48);
    }

    #[test]
    fn one_burst_of_refusals_halves_the_pace_once() {
        let adaptive_concurrency = AdaptiveConcurrency::new(48);
        assert_eq!(after(&adaptive_concurrency, 30, QUICK, Answer::TooBusy), 48, "still the same burst");
        assert_eq!(after(&adaptive_concurrency, 18, QUICK, Answer::Given), 24);
    }

    #[test]
    fn it_never_stands_still_and_comes_back() {
        let adaptive_concurrency = AdaptiveConcurrency::new(48);
        assert_eq!(after(&adaptive_concurrency, 1000, QUICK, Answer::TooBusy), LEAST);
        assert!(after(&adaptive_concurrency, 100, QUICK, Answer::Given) > 8);
        assert_eq!(after(&adaptive_concurrency, 500, QUICK, Answer::Given), 48);
    }

    #[test]
    fn slow_answers_slow_it_down() {
        let adaptive_concurrency = AdaptiveConcurrency::new(48);
        assert_eq!(after(&adaptive_concurrency, 48, SLOW, Answer::Given), 48);
        assert_eq!(after(&adaptive_concurrency, 48, SLOW * 2, Answer::Given), 36);
    }

    #[test]
    fn the_upper_bound_may_be_below_the_lower_one() {
        let adaptive_concurrency = AdaptiveConcurrency::new(1);
        assert_eq!(after(&adaptive_concurrency, 100, SLOW * 2, Answer::TooBusy), 1);
        assert_eq!(after(&adaptive_concurrency, 100, QUICK, Answer::Given), 1);
    }
}
