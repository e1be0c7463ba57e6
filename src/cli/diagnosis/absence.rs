//! Why a pod's pull secrets lack one that they should have.

use super::cluster::Cluster;
use crate::{
    api::SecretName,
    cli::pod::Pod,
    plan::{Desired, ServiceAccount, ref_made},
};

/// The reason, in the order in which a person would go after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The node runs it from a file of its own, and its mirror in the API takes nothing over.
    StaticPod,
    /// The service account names the Secret, and the pod was there before.
    OlderThanEntry,
    /// The service account names the Secret, and the pod has a list of its own.
    PodListReplaces,
    /// The service account names the Secret, and which of both it is can't be told.
    NotTakenOver,
    /// The RegistryCredential doesn't want its Secret in the pod's namespace.
    NamespaceNotTargeted,
    /// The pod's service account doesn't exist.
    ServiceAccountMissing,
    /// The RegistryCredential doesn't choose the pod's service account.
    ServiceAccountNotChosen,
    /// It chooses the service account, which doesn't name the Secret.
    EntryMissing,
    /// Namespaces or service accounts couldn't be read.
    Unknown,
}

impl Absence {
    /// Of a Secret that the pod doesn't name, with what the RegistryCredential asks for whose it is.
    pub fn of(cluster: &Cluster, pod: &Pod, secret: &SecretName, desired: Option<&Desired>) -> Self {
        let account = cluster.account(pod);
        if pod.is_static {
            return Self::StaticPod;
        }
        if let Some(account) = account.filter(|account| account.entries.contains(secret)) {
            return not_taken_over(cluster, pod, secret, account);
        }
        let Some(desired) = desired else { return Self::Unknown };
        match (cluster.is_target(&pod.namespace, desired), &cluster.accounts, account) {
            (Some(false), ..) => Self::NamespaceNotTargeted,
            (None, ..) | (_, None, _) => Self::Unknown,
            (Some(true), Some(_), None) => Self::ServiceAccountMissing,
            (Some(true), Some(_), Some(account)) if desired.chooses(&pod.service_account, account) => {
                Self::EntryMissing
            }
            (Some(true), Some(_), Some(_)) => Self::ServiceAccountNotChosen,
        }
    }

    /// In one word, as reports have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StaticPod => "StaticPod",
            Self::OlderThanEntry => "OlderThanEntry",
            Self::PodListReplaces => "PodListReplaces",
            Self::NotTakenOver => "NotTakenOver",
            Self::NamespaceNotTargeted => "NamespaceNotTargeted",
            Self::ServiceAccountMissing => "ServiceAccountMissing",
            Self::ServiceAccountNotChosen => "ServiceAccountNotChosen",
            Self::EntryMissing => "EntryMissing",
            Self::Unknown => "PullSecretNotNamed",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::StaticPod => {
                "Give the node a credential of its own (a kubelet credential provider): static pods can't refer to the \
                 API's objects."
            }
            Self::OlderThanEntry => {
                "Have the pods created again (kubectl rollout restart): a pod takes the service account's list over only \
                 when it is created."
            }
            Self::PodListReplaces => {
                "Add the Secret to the imagePullSecrets of the pod's template: a list there replaces the service \
                 account's."
            }
            Self::NotTakenOver => {
                "Have the pods created again (kubectl rollout restart). If the new ones lack it, too, add it to the \
                 imagePullSecrets of the pod's template."
            }
            Self::NamespaceNotTargeted => {
                "Add the namespace to the RegistryCredential's spec.namespaces, by name or by label."
            }
            Self::ServiceAccountMissing => "Make the service account again: without it no pod of its can be created.",
            Self::ServiceAccountNotChosen => {
                "Add the service account to the RegistryCredential's spec.serviceAccounts, or name the Secret in the \
                 pod's imagePullSecrets."
            }
            Self::EntryMissing => {
                "Look at the RegistryCredential's status (kubectl describe registrycredential): it is held, was refused \
                 here, or the operator doesn't run."
            }
            Self::Unknown => "Run it again with the right to read namespaces and service accounts: it then says why.",
        }
    }
}

/// The API server copies the service account's list into a pod that is created without one, and only then.
fn not_taken_over(cluster: &Cluster, pod: &Pod, secret: &SecretName, account: &ServiceAccount) -> Absence {
    // A pod without any list is proof of having come before the entry, whatever the clocks say.
    if pod.entries.is_empty() {
        return Absence::OlderThanEntry;
    }
    if !pod.entries.iter().all(|entry| account.entries.contains(entry)) {
        return Absence::PodListReplaces;
    }
    // When an entry of somebody else's was made, nothing tells.
    let created = cluster.secret(&pod.namespace, secret).created.filter(|_| account.added.contains_key(secret));
    match created.map(|created| ref_made(account, created)) {
        Some(made) if pod.created <= made => Absence::OlderThanEntry,
        _ => Absence::NotTakenOver,
    }
}

#[cfg(test)]
mod tests {
    use super::{
        super::cluster::{Credential, Known},
        *,
    };
    use crate::{
        cli::pod::testing::pod,
        image::pull::Seen,
        plan::{Namespace, Second},
    };

    /// Whose entry `darwin`, if there is one, was made at second 100.
    fn account(entries: &[&str]) -> ServiceAccount {
        ServiceAccount {
            entries: entries.iter().map(|&name| name.into()).collect(),
            added: [("darwin".into(), "darwin".into())].into(),
            written: Second(40),
            ..Default::default()
        }
    }

    fn cluster(accounts: Option<Option<ServiceAccount>>) -> Cluster {
        let key = || ("team-a".into(), "default".into());
        let secret = Known { created: Some(Second(99)), ..Seen::NotRead { managed: None }.into() };
        Cluster {
            namespaces: Some(["team-a", "elsewhere"].map(|name| (name.into(), Namespace::default())).into()),
            accounts: accounts.map(|account| account.map(|account| (key(), account)).into_iter().collect()),
            secrets: Some([(("team-a".into(), "darwin".into()), secret)].into()),
            credentials: vec![Credential::of("darwin", "team-*", true)],
            ..Cluster::default()
        }
    }

    fn of(cluster: &Cluster, namespace: &str, entries: &[&str], created: i64) -> Absence {
        let pod = Pod { created: Second(created), ..pod(namespace, entries) };
        Absence::of(cluster, &pod, &"darwin".into(), Some(&cluster.credentials[0].desired))
    }

    #[test]
    fn what_the_service_account_names_the_pod_was_too_early_for_or_replaces() {
        let ours = cluster(Some(Some(account(&["darwin"]))));
        let both = cluster(Some(Some(account(&["theirs", "darwin"]))));
        for (cluster, entries, created, expected) in [
            (&ours, &[][..], 1, Absence::OlderThanEntry),
            (&ours, &[], 999, Absence::OlderThanEntry),
            (&both, &["theirs"], 100, Absence::OlderThanEntry),
            // Nothing shows when the operator got to it.
            (&both, &["theirs"], 101, Absence::NotTakenOver),
            (&both, &["own"], 1, Absence::PodListReplaces),
            // A list is a list, though it names nothing.
            (&both, &[""], 1, Absence::PodListReplaces),
        ] {
            assert_eq!(of(cluster, "team-a", entries, created), expected, "{entries:?} {created}");
        }
        let mut foreign = account(&["theirs", "darwin"]);
        foreign.added = Default::default();
        assert_eq!(of(&cluster(Some(Some(foreign))), "team-a", &["theirs"], 1), Absence::NotTakenOver);
        // An entry is an entry, whosever the Secret is.
        assert_eq!(Absence::of(&ours, &pod("team-a", &[]), &"darwin".into(), None), Absence::OlderThanEntry);
    }

    #[test]
    fn what_it_does_not_name_is_not_asked_for_or_not_done() {
        let none = cluster(Some(Some(account(&[]))));
        let mut other = cluster(Some(Some(account(&[]))));
        other.credentials = vec![Credential::of("darwin", "team-*", false)];
        for (cluster, namespace, expected) in [
            (&none, "elsewhere", Absence::NamespaceNotTargeted),
            (&cluster(None), "elsewhere", Absence::NamespaceNotTargeted),
            (&cluster(None), "team-a", Absence::Unknown),
            (&cluster(Some(None)), "team-a", Absence::ServiceAccountMissing),
            (&other, "team-a", Absence::ServiceAccountNotChosen),
            (&none, "team-a", Absence::EntryMissing),
            (&Cluster { namespaces: None, ..cluster(Some(None)) }, "team-a", Absence::Unknown),
        ] {
            assert_eq!(of(cluster, namespace, &["theirs"], 1), expected, "{namespace}");
        }
        let mirror = Pod { is_static: true, ..pod("team-a", &[]) };
        assert_eq!(Absence::of(&none, &mirror, &"darwin".into(), None), Absence::StaticPod);
    }
}
