//! The pods that wait for an image, as their watch tells; and when an owner's next pod may be evicted. Bounded, and with
//! the time as an argument.

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    time::Instant,
};

use super::observed::Pod;
use crate::{
    api::{NamespaceName, PodName},
    process::Text,
};

/// How many pods are remembered. One that is passed over comes again with the kubelet's next attempt, within minutes.
const MOST: usize = 10_000;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct WaitingPods {
    namespaces: BTreeMap<NamespaceName, BTreeMap<PodName, Pod>>,
    count: usize,
    /// What has been listed since a relist began; absent where none is under way.
    listed: Option<HashSet<(NamespaceName, PodName)>>,
}

impl WaitingPods {
    /// A pending pod is there; `None` where it isn't one that waits.
    pub fn seen(&mut self, namespace: &NamespaceName, name: &PodName, pod: Option<Pod>) {
        let Some(pod) = pod else {
            return self.gone(namespace, name);
        };
        if let Some(listed) = &mut self.listed {
            listed.insert((namespace.clone(), name.clone()));
        }
        let known = self.namespaces.get(namespace).is_some_and(|pods| pods.contains_key(name));
        if known || self.count < MOST {
            self.count += usize::from(!known);
            self.namespaces.entry(namespace.clone()).or_default().insert(name.clone(), pod);
        }
    }

    /// A pod is gone, or no longer pending.
    pub fn gone(&mut self, namespace: &NamespaceName, name: &PodName) {
        if let Some(pods) = self.namespaces.get_mut(namespace) {
            self.count -= usize::from(pods.remove(name).is_some());
            if pods.is_empty() {
                self.namespaces.remove(namespace);
            }
        }
    }

    /// All pending pods are about to be listed anew.
    pub fn relist_begins(&mut self) {
        self.listed = Some(HashSet::new());
    }

    /// All have been listed: what wasn't among them is gone. Returns the namespaces that had or have some.
    pub fn relist_ends(&mut self) -> Vec<NamespaceName> {
        let all: Vec<_> = self.namespaces.keys().cloned().collect();
        let listed = self.listed.take().unwrap_or_default();
        for (namespace, pods) in &mut self.namespaces {
            pods.retain(|name, _| listed.contains(&(namespace.clone(), name.clone())));
        }
        self.namespaces.retain(|_, pods| !pods.is_empty());
        self.count = self.namespaces.values().map(BTreeMap::len).sum();
        all
    }

    /// Those of one namespace.
    pub fn of(&self, namespace: &NamespaceName) -> impl Iterator<Item = (&PodName, &Pod)> + Clone {
        self.namespaces.get(namespace).into_iter().flatten()
    }

    /// One of them.
    pub fn get(&self, namespace: &NamespaceName, name: &PodName) -> Option<&Pod> {
        self.namespaces.get(namespace)?.get(name)
    }
}

/// Whose turn it is: when the next pod of each owner may be evicted. Owners are known by their UIDs.
#[derive(Debug, Default)]
pub struct EvictionLimiter(HashMap<Text, Instant>);

impl EvictionLimiter {
    /// No pod of this owner before `until`.
    pub fn put_off(&mut self, owner: &Text, until: Instant, now: Instant) {
        self.0.retain(|_, other| *other > now);
        self.0.insert(owner.clone(), until);
    }

    /// When this owner's next pod may be evicted, where that isn't now.
    pub fn wait(&self, owner: &Text, now: Instant) -> Option<Instant> {
        self.0.get(owner).copied().filter(|until| *until > now)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::plan::{ResourceVersion, Second};

    fn pod() -> Pod {
        Pod {
            uid: "p".into(),
            resource_version: ResourceVersion(41),
            created: Second(0),
            owner: "rs".into(),
            service_account: "default".into(),
            entries: [].into(),
            images: [].into(),
        }
    }

    fn names(pods: &WaitingPods, namespace: &str) -> Vec<String> {
        pods.of(&namespace.into()).map(|(name, _)| name.to_string()).collect()
    }

    #[test]
    fn only_pods_that_wait_are_kept_and_only_while_they_do() {
        let mut pods = WaitingPods::default();
        pods.seen(&"a".into(), &"starting".into(), None);
        for name in ["one", "two", "two"] {
            pods.seen(&"a".into(), &name.into(), Some(pod()));
        }
        assert_eq!(names(&pods, "a"), ["one", "two"]);
        assert_eq!(pods.count, 2);
        assert!(pods.get(&"a".into(), &"one".into()).is_some() && pods.get(&"b".into(), &"one".into()).is_none());
        pods.seen(&"a".into(), &"one".into(), None);
        pods.gone(&"a".into(), &"two".into());
        pods.gone(&"a".into(), &"two".into());
        assert!(pods.namespaces.is_empty() && pods.count == 0);
    }

    #[test]
    fn a_relist_tells_what_has_gone_meanwhile() {
        let mut pods = WaitingPods::default();
        for (namespace, name) in [("a", "stays"), ("a", "goes"), ("b", "goes")] {
            pods.seen(&namespace.into(), &name.into(), Some(pod()));
        }
        pods.relist_begins();
        for (namespace, name) in [("a", "stays"), ("c", "new")] {
            pods.seen(&namespace.into(), &name.into(), Some(pod()));
        }
        assert_eq!(pods.relist_ends(), ["a", "b", "c"].map(Into::into));
        assert_eq!(
            (names(&pods, "a"), names(&pods, "b"), names(&pods, "c")),
            (vec!["stays".into()], vec![], vec!["new".into()])
        );
        assert_eq!(pods.count, 2);
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut pods = WaitingPods::default();
        for index in 0..MOST + 5 {
            pods.seen(&"a".into(), &format!("pod-{index}").into(), Some(pod()));
        }
        assert_eq!((pods.count, pods.of(&"a".into()).count()), (MOST, MOST));
        pods.gone(&"a".into(), &"pod-0".into());
        pods.seen(&"a".into(), &"later".into(), Some(pod()));
        assert!(pods.get(&"a".into(), &"later".into()).is_some());
    }

    #[test]
    fn each_owner_has_turns_of_its_own_and_past_ones_are_forgotten() {
        let (mut turns, start) = (EvictionLimiter::default(), Instant::now());
        let second = |n| start + Duration::from_secs(n);
        assert_eq!(turns.wait(&"rs".into(), start), None);
        turns.put_off(&"rs".into(), second(1), start);
        assert_eq!(turns.wait(&"rs".into(), start), Some(second(1)));
        assert_eq!(turns.wait(&"other".into(), start), None);
        assert_eq!(turns.wait(&"rs".into(), second(1)), None);
        turns.put_off(&"other".into(), second(3), second(2));
        assert_eq!(turns.0.len(), 1);
    }
}
