//! Watches that the API server refuses: while one of them stands, changes of that kind go unseen, which the readiness
//! probe and every status then say.
//!
//! That a watch goes on again where it was shows in nothing but that it is refused no more: there is no event until
//! something changes. So a refusal stands for a while only, and each further one renews it. And an API server that has
//! just started refuses everybody, as it doesn't know its roles yet; so it is told only once it has lasted.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use kube::core::Status;

use crate::{api::printable, process::metrics::Watch};

/// How long a refusal stands: a watch that is refused asks again within [`super::backoff::WatchBackoff`]'s three seconds.
pub const STANDS: Duration = Duration::from_secs(10);

/// How long it has to last before people are told.
pub const TOLD_AFTER: Duration = Duration::from_secs(5);

/// One watch, and the namespace or name that it is confined to; empty where it isn't.
pub type Asked = (Watch, String);

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct RefusedWatches {
    refused: BTreeMap<Asked, Refusal>,
}

#[derive(Debug)]
struct Refusal {
    since: Instant,
    last: Instant,
    sentence: String,
}

impl Refusal {
    fn stands(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.last) < STANDS
    }
}

impl RefusedWatches {
    /// A watch was refused; says whether that is news.
    pub fn refused(&mut self, asked: Asked, sentence: String, now: Instant) -> bool {
        let before = self.refused.remove(&asked).filter(|refusal| refusal.stands(now));
        let since = before.as_ref().map_or(now, |refusal| refusal.since);
        self.refused.insert(asked, Refusal { since, last: now, sentence });
        before.is_none()
    }

    /// A watch was served; says whether that is news.
    pub fn granted(&mut self, asked: &Asked) -> bool {
        self.refused.remove(asked).is_some()
    }

    /// Whether this watch is refused now.
    pub fn has(&self, asked: &Asked, now: Instant) -> bool {
        self.refused.get(asked).is_some_and(|refusal| refusal.stands(now))
    }

    /// What to tell people, where something that this replica needs has been refused for long enough. What a refused watch
    /// of sources or pods means is said where it matters: of the one credential, and of stuck pods.
    pub fn standing(&self, now: Instant) -> Option<&str> {
        self.lasting(now, |watch| !matches!(watch, Watch::Sources | Watch::Pods))
    }

    /// The same of what keeps changes in the cluster from being seen.
    pub fn blinding(&self, now: Instant) -> Option<&str> {
        self.lasting(now, |watch| !matches!(watch, Watch::Sources | Watch::Pods | Watch::Lease))
    }

    fn lasting(&self, now: Instant, counts: impl Fn(Watch) -> bool) -> Option<&str> {
        let lasts = |refusal: &Refusal| now.saturating_duration_since(refusal.since) >= TOLD_AFTER;
        let mut all = self.refused.iter().filter(|(asked, _)| counts(asked.0));
        all.find(|(_, refusal)| refusal.stands(now) && lasts(refusal)).map(|(_, refusal)| &*refusal.sentence)
    }
}

/// What the API server's refusal of a watch means, and what to do.
pub fn sentence(watch: Watch, status: &Status) -> String {
    let message = printable(&status.message);
    match (status.code, watch) {
        (404, Watch::RegistryCredentials) => {
            "the CustomResourceDefinition registrycredentials.regcred.dev isn't installed: apply config/crd".to_owned()
        }
        (403, Watch::Secrets) => format!(
            "Secrets may not be listed and watched: the operator's ClusterRole has to allow both, either for all of them \
             (config/default), or for the names in --managed-secret-names (config/overlays/scoped): {message}"
        ),
        (403, Watch::Lease) => {
            format!(
                "{message}: apply the roles of this version (config/rbac), or run one replica with --leader-elect=false"
            )
        }
        (403, _) => format!("{message}: apply the roles of this version (config/rbac)"),
        (code, _) => format!("the watch of {} is refused (HTTP {code}): {message}", watch.as_str()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Instant {
        static START: std::sync::OnceLock<Instant> = std::sync::OnceLock::new();
        *START.get_or_init(Instant::now) + Duration::from_secs(seconds)
    }

    fn sources(namespace: &str) -> Asked {
        (Watch::Sources, namespace.to_owned())
    }

    #[test]
    fn a_refusal_stands_until_it_is_not_renewed_or_taken_back() {
        let mut refused_watches = RefusedWatches::default();
        let why = || "no right".to_owned();
        let (system, other) = (sources("system"), sources("other"));
        assert!(refused_watches.refused(system.clone(), why(), at(0)));
        assert!(!refused_watches.refused(system.clone(), why(), at(9)) && refused_watches.has(&system, at(18)));
        assert!(!refused_watches.has(&other, at(18)) && !refused_watches.has(&system, at(19)));
        assert!(refused_watches.refused(system.clone(), why(), at(30)), "it is news again");
        assert!(refused_watches.granted(&system) && !refused_watches.granted(&system));
        assert!(!refused_watches.has(&system, at(31)));
    }

    #[test]
    fn people_are_told_of_one_that_lasts_and_of_what_everybody_depends_on_only() {
        let mut refused_watches = RefusedWatches::default();
        let accounts = (Watch::ServiceAccounts, String::new());
        refused_watches.refused(sources("system"), "sources".to_owned(), at(0));
        refused_watches.refused(accounts.clone(), "accounts".to_owned(), at(0));
        refused_watches.refused(accounts.clone(), "accounts".to_owned(), at(3));
        assert_eq!(refused_watches.standing(at(4)), None, "an API server that has just started");
        assert_eq!(refused_watches.standing(at(5)), Some("accounts"));
        assert_eq!(refused_watches.standing(at(13)), None, "it is refused no more");
        refused_watches.refused(accounts.clone(), "again".to_owned(), at(20));
        assert_eq!(refused_watches.standing(at(20)), None, "another one, which has yet to last");
        assert_eq!(refused_watches.standing(at(26)), Some("again"));
        assert_eq!(refused_watches.blinding(at(26)), Some("again"));
        refused_watches.granted(&accounts);
        assert_eq!(refused_watches.standing(at(26)), None);
        refused_watches.refused((Watch::Lease, String::new()), "lease".to_owned(), at(30));
        refused_watches.refused((Watch::Lease, String::new()), "lease".to_owned(), at(35));
        assert_eq!((refused_watches.standing(at(36)), refused_watches.blinding(at(36))), (Some("lease"), None));
    }
}
