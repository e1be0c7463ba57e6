//! Why a pod's pull secrets lack the Secret of a RegistryCredential that is for its image.

use crate::{
    names::SecretName,
    plan::{Second, ServiceAccount},
};

/// The reason, in the order in which a person would go after it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// The RegistryCredential doesn't want its Secret in the pod's namespace.
    NamespaceNotTargeted,
    /// It doesn't choose the pod's service account.
    ServiceAccountNotChosen,
    /// It chooses the service account, which doesn't name the Secret.
    EntryMissing,
    /// The service account names it, and the pod was there before.
    OlderThanEntry,
    /// The service account names it, and the pod has a list of its own.
    PodListReplaces,
    /// Namespaces or service accounts couldn't be read.
    Unknown,
}

/// What is known of the pod that lacks it.
#[derive(Clone, Copy, Debug)]
pub struct Situation<'a> {
    /// The Secret that it lacks.
    pub secret: &'a SecretName,
    /// Whether the RegistryCredential targets the pod's namespace, where that is known.
    pub is_target: Option<bool>,
    /// Whether it chooses the pod's service account, where that is known.
    pub is_chosen: Option<bool>,
    /// The service account, where it is known.
    pub account: Option<&'a ServiceAccount>,
    /// The pod's own list.
    pub entries: &'a [SecretName],
    /// When the pod was created.
    pub created: Second,
}

impl Absence {
    /// The API server copies the service account's list into a pod that is created without one, and only then.
    pub fn of(it: &Situation<'_>) -> Self {
        if let Some(account) = it.account.filter(|account| account.entries.contains(it.secret)) {
            let copied = it.entries.iter().all(|entry| account.entries.contains(entry));
            // A pod without any list is proof of having come before the entry, whatever the clocks say.
            let is_older = it.entries.is_empty() || copied && it.created <= account.written;
            return if is_older { Self::OlderThanEntry } else { Self::PodListReplaces };
        }
        match (it.is_target, it.is_chosen, it.account) {
            (Some(false), ..) => Self::NamespaceNotTargeted,
            (Some(true), Some(false), _) => Self::ServiceAccountNotChosen,
            (Some(true), Some(true), Some(_)) => Self::EntryMissing,
            _ => Self::Unknown,
        }
    }

    /// In one word, as reports have it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NamespaceNotTargeted => "NamespaceNotTargeted",
            Self::ServiceAccountNotChosen => "ServiceAccountNotChosen",
            Self::EntryMissing => "EntryMissing",
            Self::OlderThanEntry => "OlderThanEntry",
            Self::PodListReplaces => "PodListReplaces",
            Self::Unknown => "PullSecretNotNamed",
        }
    }

    /// What to do about it.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::NamespaceNotTargeted => {
                "Add the namespace to the RegistryCredential's spec.namespaces, by name or by label."
            }
            Self::ServiceAccountNotChosen => {
                "Add the service account to the RegistryCredential's spec.serviceAccounts, or name the Secret in the \
                 pod's imagePullSecrets."
            }
            Self::EntryMissing => {
                "Look at the RegistryCredential's status (kubectl describe registrycredential): it is held, was refused \
                 here, or the operator doesn't run."
            }
            Self::OlderThanEntry => {
                "Have the pods created again (kubectl rollout restart): a pod takes the service account's list over only \
                 when it is created."
            }
            Self::PodListReplaces => {
                "Add the Secret to the imagePullSecrets of the pod's template: a list there replaces the service \
                 account's."
            }
            Self::Unknown => "Run it again with the right to read namespaces and service accounts: it then says why.",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn account(entries: &[&str]) -> ServiceAccount {
        ServiceAccount {
            entries: entries.iter().map(|&name| name.into()).collect(),
            written: Second(100),
            ..Default::default()
        }
    }

    #[test]
    fn each_reason_is_told_apart() {
        let (none, ours, both) = (account(&[]), account(&["darwin"]), account(&["theirs", "darwin"]));
        let (yes, no) = (Some(true), Some(false));
        for (target, chosen, account, entries, created, expected) in [
            (no, no, Some(&none), &[][..], 1, Absence::NamespaceNotTargeted),
            (no, yes, None, &[], 1, Absence::NamespaceNotTargeted),
            (yes, no, Some(&none), &["theirs"], 1, Absence::ServiceAccountNotChosen),
            (yes, yes, Some(&none), &[], 1, Absence::EntryMissing),
            (yes, yes, Some(&ours), &[], 1, Absence::OlderThanEntry),
            (yes, yes, Some(&ours), &[], 999, Absence::OlderThanEntry),
            (yes, yes, Some(&both), &["theirs"], 100, Absence::OlderThanEntry),
            (yes, yes, Some(&both), &["theirs"], 101, Absence::PodListReplaces),
            (yes, yes, Some(&both), &["own"], 1, Absence::PodListReplaces),
            // An entry is an entry, whoever put it there.
            (no, no, Some(&ours), &[], 1, Absence::OlderThanEntry),
            (None, yes, Some(&none), &[], 1, Absence::Unknown),
            (yes, None, None, &[], 1, Absence::Unknown),
        ] {
            let entries: Vec<SecretName> = entries.iter().map(|&name| name.into()).collect();
            let situation = Situation {
                secret: &"darwin".into(),
                is_target: target,
                is_chosen: chosen,
                account,
                entries: &entries,
                created: Second(created),
            };
            assert_eq!(Absence::of(&situation), expected, "{situation:?}");
        }
    }
}
