//! Credential namespaces whose Secrets we may not watch, so that nobody asks for one in vain.
//!
//! That a watch goes on again where it was shows in nothing but that it is refused no more: there is no event until
//! something changes. So a refusal stands for a while only, and each further one renews it. An API server that has just
//! started refuses everybody, as it doesn't know its roles yet.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

/// How long a refusal stands: a watch that is refused asks again within [`super::backoff::WatchBackoff`]'s three seconds.
const STANDS: Duration = Duration::from_secs(10);

/// See the module's documentation.
#[derive(Default)]
pub struct Unreadable {
    refused: HashMap<String, Instant>,
}

impl Unreadable {
    /// The watch of a namespace was refused; says whether that is news.
    pub fn refused(&mut self, namespace: &str, now: Instant) -> bool {
        let is_news = !self.has(namespace, now);
        self.refused.insert(namespace.to_owned(), now);
        is_news
    }

    /// The Secrets of a namespace were listed; says whether that is news.
    pub fn granted(&mut self, namespace: &str) -> bool {
        self.refused.remove(namespace).is_some()
    }

    /// Whether those of a namespace can't be read now.
    pub fn has(&self, namespace: &str, now: Instant) -> bool {
        self.refused.get(namespace).is_some_and(|then| now.saturating_duration_since(*then) < STANDS)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_stands_until_it_is_not_renewed_or_taken_back() {
        let mut unreadable = Unreadable::default();
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert!(unreadable.refused("system", at(0)));
        assert!(!unreadable.refused("system", at(9)) && unreadable.has("system", at(18)));
        assert!(!unreadable.has("other", at(18)) && !unreadable.has("system", at(19)));
        assert!(unreadable.refused("system", at(30)), "it is news again");
        assert!(unreadable.granted("system") && !unreadable.granted("system"));
        assert!(!unreadable.has("system", at(31)));
    }
}
