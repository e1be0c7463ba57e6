//! Pods created before their pull secret, that is before their service account had our entry: they wait for an image that
//! the entry would let them pull, for as long as they live.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    assess,
    desired::Desired,
    observed::{Namespace, Pod, Second, ServiceAccount},
};
use crate::api::{CredentialName, NamespaceName, PodName, StuckPods};

/// How many seconds after the Secret and the service account an entry is made, at most, if nothing is in its way. Also,
/// times are in whole seconds, and a chart makes service account and pod in the same one.
const SLACK: i64 = 1;

/// The pods of a namespace that were created before their pull secret, by the credential that they lack.
pub fn stuck<'a>(
    name: &NamespaceName,
    all_desired: &[&Desired],
    namespace: &Namespace,
    pods: impl Iterator<Item = (&'a PodName, &'a Pod)> + Clone,
) -> BTreeMap<CredentialName, BTreeSet<PodName>> {
    let mut found: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    for desired in all_desired.iter().filter(|desired| desired.stuck.policy != StuckPods::Ignore) {
        for (pod_name, _) in pods.clone().filter(|(_, pod)| is_stuck(desired, name, all_desired, namespace, pod)) {
            found.entry(desired.credential.clone()).or_default().insert(pod_name.clone());
        }
    }
    found
}

/// When our entry was made, at the latest, if nothing was in its way: nothing in the API tells it of itself.
pub fn ref_made(account: &ServiceAccount, secret_created: Second) -> Second {
    Second(account.written.max(secret_created).0 + SLACK)
}

/// Whether the pod would be created with our entry if it were created now, lacks it because it was created before, and waits
/// for an image that the entry is for.
///
/// A pod that brings a list of its own would come without the entry again. It is told by a name that its service account
/// doesn't have; where its names are all among those, it is left alone as soon as it is younger than the entry, so that
/// the one that is made in its place is not evicted again.
pub fn is_stuck(
    desired: &Desired,
    name: &NamespaceName,
    all_desired: &[&Desired],
    namespace: &Namespace,
    pod: &Pod,
) -> bool {
    let (account, secret) =
        (namespace.service_accounts.get(&pod.service_account), namespace.secrets.get(&desired.secret));
    let (Some(account), Some(secret)) = (account, secret) else { return false };
    desired.stuck.is_for(&pod.images)
        && !namespace.terminating
        && desired.targets(name, namespace)
        && desired.chooses(&pod.service_account, account)
        && !account.deleting
        && account.entries.contains(&desired.secret)
        // Where the entry isn't ours, nothing tells when it was made.
        && account.added.get(&desired.secret) == Some(&desired.credential)
        && pod.created <= ref_made(account, secret.created)
        && !pod.entries.contains(&desired.secret)
        && pod.entries.iter().all(|entry| account.entries.contains(entry))
        && assess::holds(desired, name, all_desired, namespace)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        api::{AttachTargets, ConflictPolicy, NamespaceTargets, RegistryCredentialSpec, ServiceAccountTargets},
        credential::testing::{resolved, spec},
        plan::{DesiredState, Maker, NamespaceRule, ResourceVersion, Scope, Secret, ServiceAccountRule, StuckRule},
    };

    /// `darwin`, for gcr.io/darwin/, in team-a, for the service account `default`.
    fn desired() -> Desired {
        let namespaces = NamespaceTargets { names: vec!["team-a".to_owned()], ..NamespaceTargets::default() };
        let spec = spec(&["gcr.io/darwin/"]);
        Desired {
            credential: "darwin".into(),
            uid: "darwin-uid".into(),
            created: Default::default(),
            secret: "pull".into(),
            maker: Maker::Us,
            scope: Scope::Known {
                namespaces: NamespaceRule::new(&namespaces).unwrap(),
                service_accounts: ServiceAccountRule::new(&AttachTargets::default()).unwrap(),
            },
            policy: ConflictPolicy::Fail,
            state: DesiredState::Resolved { revision: resolved("any", &spec).revision().clone(), fields: 3 },
            stuck: StuckRule::new(&spec),
        }
    }

    fn secret(desired: &Desired) -> Secret {
        let DesiredState::Resolved { revision, fields } = &desired.state else { panic!("it is resolved") };
        Secret {
            created: Second(90),
            label: Some("darwin".into()),
            credential_owners: [("darwin".into(), "darwin-uid".into())].into(),
            revision: Some(revision.as_str().into()),
            owned_fields: Some(*fields),
            ..Secret::default()
        }
    }

    fn account() -> ServiceAccount {
        ServiceAccount {
            entries: ["theirs", "pull"].map(Into::into).into(),
            added: [("pull".into(), "darwin".into())].into(),
            written: Second(100),
            ..ServiceAccount::default()
        }
    }

    fn namespace() -> Namespace {
        Namespace {
            secrets: [("pull".into(), secret(&desired()))].into(),
            service_accounts: [("default".into(), account())].into(),
            ..Namespace::default()
        }
    }

    /// A pod that was created before its pull secret.
    fn pod() -> Pod {
        Pod {
            uid: "p".into(),
            resource_version: ResourceVersion(41),
            created: Second(99),
            owner: "rs".into(),
            service_account: "default".into(),
            entries: [].into(),
            images: ["gcr.io/darwin/api:1".into()].into(),
        }
    }

    fn is_stuck_in(desired: &Desired, namespace: &Namespace, pod: &Pod) -> bool {
        is_stuck(desired, &"team-a".into(), &[desired], namespace, pod)
    }

    fn is_stuck_pod(pod: Pod) -> bool {
        is_stuck_in(&desired(), &namespace(), &pod)
    }

    #[test]
    fn a_pod_that_was_too_early_is_stuck() {
        assert!(is_stuck_pod(pod()));
        let images = ["docker.io/x".into(), "gcr.io/darwin/api:1".into()].into();
        assert!(is_stuck_pod(Pod { images, ..pod() }), "one of its images is enough");
        assert!(is_stuck_pod(Pod { entries: ["theirs".into()].into(), ..pod() }), "the list as it was before");
        assert!(is_stuck_pod(Pod { created: Second(101), ..pod() }), "the entry may have come in the next second");
    }

    #[test]
    fn another_pod_is_not() {
        assert!(!is_stuck_pod(Pod { created: Second(102), ..pod() }), "younger than the entry: the list is its own");
        assert!(!is_stuck_pod(Pod { entries: ["pull".into()].into(), ..pod() }), "it has our entry");
        assert!(!is_stuck_pod(Pod { entries: ["theirs".into(), "own".into()].into(), ..pod() }), "the list is its own");
        assert!(!is_stuck_pod(Pod { images: ["gcr.io/darwin2/api:1".into()].into(), ..pod() }), "another registry");
        assert!(!is_stuck_pod(Pod { images: ["darwin/api".into()].into(), ..pod() }), "Docker Hub");
        assert!(!is_stuck_pod(Pod { service_account: "other".into(), ..pod() }), "another service account");
    }

    #[test]
    fn nor_is_one_whose_service_account_is_not_ready_by_our_doing() {
        let with = |account: ServiceAccount| Namespace {
            service_accounts: [("default".into(), account)].into(),
            ..namespace()
        };
        let stuck = |account| is_stuck_in(&desired(), &with(account), &pod());
        assert!(stuck(account()));
        assert!(!stuck(ServiceAccount { entries: ["theirs".into()].into(), ..account() }), "no entry");
        assert!(!stuck(ServiceAccount { added: [].into(), ..account() }), "somebody else's entry");
        assert!(!stuck(ServiceAccount { added: [("pull".into(), "other".into())].into(), ..account() }), "another's");
        assert!(!stuck(ServiceAccount { written: Second(97), ..account() }), "an older one");
        assert!(!stuck(ServiceAccount { deleting: true, ..account() }));
    }

    #[test]
    fn nor_one_in_a_namespace_that_is_not_ready() {
        let stuck = |namespace: Namespace| is_stuck_in(&desired(), &namespace, &pod());
        assert!(!stuck(Namespace { terminating: true, ..namespace() }));
        let younger = Secret { created: Second(200), ..secret(&desired()) };
        let late = Pod { created: Second(150), ..pod() };
        let with_younger = Namespace { secrets: [("pull".into(), younger)].into(), ..namespace() };
        assert!(is_stuck_in(&desired(), &with_younger, &late), "no entry comes before its Secret");
        assert!(!stuck(Namespace { secrets: [].into(), ..namespace() }), "no Secret");
        let stale = Secret { revision: Some("v1:old".into()), ..secret(&desired()) };
        assert!(!stuck(Namespace { secrets: [("pull".into(), stale)].into(), ..namespace() }), "an old revision");
        let foreign = Secret { label: None, ..secret(&desired()) };
        assert!(!stuck(Namespace { secrets: [("pull".into(), foreign)].into(), ..namespace() }), "somebody else's");
        assert!(!is_stuck(&desired(), &"team-b".into(), &[&desired()], &namespace(), &pod()), "not a target");
    }

    #[test]
    fn nor_one_of_a_credential_that_is_held_or_unreadable() {
        let stuck = |desired: Desired| is_stuck_in(&desired, &namespace(), &pod());
        assert!(!stuck(Desired { state: DesiredState::Stalled, ..desired() }));
        assert!(!stuck(Desired { scope: Scope::Unknown, ..desired() }));
        let targets = ServiceAccountTargets { names: Some(vec!["other".to_owned()]), ..Default::default() };
        let attach = AttachTargets { service_accounts: Some(targets), ..AttachTargets::default() };
        let service_accounts = ServiceAccountRule::new(&attach).unwrap();
        let Scope::Known { namespaces, .. } = desired().scope else { panic!("it is known") };
        assert!(!stuck(Desired { scope: Scope::Known { namespaces, service_accounts }, ..desired() }), "not chosen");
    }

    #[test]
    fn where_others_make_the_secret_any_image_may_be_what_it_is_for() {
        let spec =
            RegistryCredentialSpec { credential: None, existing_secret_name: Some("pull".to_owned()), ..spec(&[]) };
        let (state, maker, stuck) = (DesiredState::Attached, Maker::Others, StuckRule::new(&spec));
        let attaching = Desired { state, maker, stuck, ..desired() };
        let theirs = Secret { created: secret(&desired()).created, ..Secret::default() };
        let namespace = Namespace { secrets: [("pull".into(), theirs)].into(), ..namespace() };
        let anywhere = Pod { images: ["registry.example.com/app".into()].into(), ..pod() };
        assert!(is_stuck_in(&attaching, &namespace, &anywhere) && !is_stuck_in(&desired(), &namespace, &anywhere));
        let waits_for_none = Pod { images: [].into(), ..pod() };
        assert!(!is_stuck_in(&attaching, &namespace, &waits_for_none));
        let gone = Namespace { secrets: Default::default(), ..namespace };
        assert!(!is_stuck_in(&attaching, &gone, &anywhere), "nothing would help it");
    }

    #[test]
    fn stuck_pods_are_told_by_credential_and_not_where_the_policy_is_off() {
        let young = Pod { created: Second(102), ..pod() };
        let pods: BTreeMap<PodName, Pod> = [("a".into(), pod()), ("b".into(), young), ("c".into(), pod())].into();
        let found = |desired: &Desired| stuck(&"team-a".into(), &[desired], &namespace(), pods.iter());
        assert_eq!(found(&desired()), [("darwin".into(), ["a", "c"].map(Into::into).into())].into());
        let mut off = desired().stuck;
        off.policy = StuckPods::Ignore;
        assert_eq!(found(&Desired { stuck: off, ..desired() }), BTreeMap::new());
    }
}
