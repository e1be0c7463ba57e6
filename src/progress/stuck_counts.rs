//! Which pods were created before their pull secret, by credential.

use std::collections::{BTreeMap, BTreeSet};

use crate::api::{CredentialName, NamespaceName, PodName, StuckPodCounts};

/// How many pods a status lists.
const MAX_LISTED: usize = 10;

/// What a status says of pods that were created before their pull secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Stuck {
    /// Nobody has looked yet: what was said last stands.
    #[default]
    Unknown,
    /// Nobody looks: nothing is said.
    Untold,
    /// So many.
    Found(StuckPodCounts),
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct StuckCounts {
    pods: BTreeMap<CredentialName, BTreeMap<NamespaceName, BTreeSet<PodName>>>,
}

impl StuckCounts {
    /// What there is in one namespace now. Returns the credentials for which that is something new.
    pub fn record(
        &mut self,
        namespace: &NamespaceName,
        mut found: BTreeMap<CredentialName, BTreeSet<PodName>>,
    ) -> Vec<CredentialName> {
        let known = self.pods.iter().filter(|(_, namespaces)| namespaces.contains_key(namespace));
        let names: BTreeSet<CredentialName> = known.map(|(name, _)| name).chain(found.keys()).cloned().collect();
        let mut touched = Vec::new();
        for name in names {
            let namespaces = self.pods.entry(name.clone()).or_default();
            let now = found.remove(&name);
            let before = match &now {
                Some(pods) => namespaces.insert(namespace.clone(), pods.clone()),
                None => namespaces.remove(namespace),
            };
            if namespaces.is_empty() {
                self.pods.remove(&name);
            }
            if before != now {
                touched.push(name);
            }
        }
        touched
    }

    /// Whether any are known in this namespace.
    pub fn has(&self, namespace: &NamespaceName) -> bool {
        self.pods.values().any(|namespaces| namespaces.contains_key(namespace))
    }

    /// Those of one credential, in order.
    pub fn of(&self, credential: &CredentialName) -> impl Iterator<Item = (&NamespaceName, &PodName)> {
        let namespaces = self.pods.get(credential).into_iter().flatten();
        namespaces.flat_map(|(namespace, pods)| pods.iter().map(move |pod| (namespace, pod)))
    }

    /// What the status says of them.
    pub fn counts(&self, credential: &CredentialName) -> StuckPodCounts {
        let count = self.pods.get(credential).map_or(0, |namespaces| namespaces.values().map(BTreeSet::len).sum());
        let listed = self.of(credential).take(MAX_LISTED).map(|(namespace, pod)| format!("{namespace}/{pod}"));
        StuckPodCounts { count: i64::try_from(count).unwrap_or(i64::MAX), pods: listed.collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(pods: &[&str]) -> BTreeMap<CredentialName, BTreeSet<PodName>> {
        [("darwin".into(), pods.iter().map(|pod| (*pod).into()).collect())].into()
    }

    #[test]
    fn what_was_found_in_a_namespace_replaces_what_was_found_before() {
        let (mut stuck_counts, darwin): (_, CredentialName) = (StuckCounts::default(), "darwin".into());
        let mut is_news = |namespace: &str, pods: &[&str]| {
            let found = if pods.is_empty() { BTreeMap::new() } else { found(pods) };
            let touched = stuck_counts.record(&namespace.into(), found);
            assert!(touched.iter().all(|name| *name == darwin) && touched.len() < 2);
            (!touched.is_empty(), stuck_counts.counts(&darwin).pods, stuck_counts.has(&namespace.into()))
        };
        let pods = |pods: &[&str]| pods.iter().map(|pod| (*pod).to_owned()).collect::<Vec<_>>();
        assert_eq!(is_news("b", &["one", "two"]), (true, pods(&["b/one", "b/two"]), true));
        assert_eq!(is_news("a", &["three"]), (true, pods(&["a/three", "b/one", "b/two"]), true));
        assert_eq!(is_news("a", &["three"]), (false, pods(&["a/three", "b/one", "b/two"]), true));
        assert_eq!(is_news("c", &[]), (false, pods(&["a/three", "b/one", "b/two"]), false));
        assert_eq!(is_news("b", &["two"]), (true, pods(&["a/three", "b/two"]), true));
        assert_eq!(is_news("a", &[]), (true, pods(&["b/two"]), false));
        assert_eq!(is_news("b", &[]), (true, pods(&[]), false));
        assert!(stuck_counts.pods.is_empty());
    }

    #[test]
    fn all_are_counted_and_ten_are_listed() {
        let mut stuck_counts = StuckCounts::default();
        let names: Vec<String> = (0..12).map(|index| format!("pod-{index:02}")).collect();
        stuck_counts.record(&"a".into(), found(&names.iter().map(String::as_str).collect::<Vec<_>>()));
        let counts = stuck_counts.counts(&"darwin".into());
        assert_eq!((counts.count, counts.pods.len(), &*counts.pods[9]), (12, 10, "a/pod-09"));
    }
}
