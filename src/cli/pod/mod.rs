//! A pod as far as its pulls go, decoded from the API server's answer: a cluster may have thousands, and most of a pod is
//! something else.

mod wire;

use serde::Deserialize;

use crate::{
    api::{NamespaceName, PodName, SecretName, ServiceAccountName},
    image::PullPolicy,
    plan::{Second, ServiceAccount},
    process::Text,
};

/// A pod.
#[derive(Clone, Debug, Deserialize)]
#[serde(from = "wire::Wire")]
pub struct Pod {
    /// Its namespace.
    pub namespace: NamespaceName,
    /// Its name.
    pub name: PodName,
    /// `metadata.creationTimestamp`.
    pub created: Second,
    /// Kind and name of the controller that has made it.
    pub controller: Option<(Text, Text)>,
    /// It has ended (Succeeded or Failed) or is being deleted: it pulls nothing any more.
    pub is_over: bool,
    /// Its service account.
    pub service_account: ServiceAccountName,
    /// The node has it from a file of its own; the API has a mirror of it only.
    pub is_static: bool,
    /// The names in its own `imagePullSecrets`, in order; an entry without a name is the empty string.
    pub entries: Box<[SecretName]>,
    /// The same but for the empty ones, which the kubelet passes over.
    pub pull_secrets: Box<[SecretName]>,
    /// The Secrets that it uses otherwise: in volumes and variables.
    pub used_secrets: Box<[SecretName]>,
    /// Its images.
    pub uses: Box<[Use]>,
}

/// A container, an init or ephemeral container, or an image volume, and its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The image as the pod has it.
    pub image: Text,
    /// The container's name, or `volume NAME`.
    pub name: Text,
    /// What the API server has stored.
    pub policy: Option<PullPolicy>,
    /// What the container waits for: the reason and the kubelet's message.
    pub waiting: Option<(Text, Box<str>)>,
}

impl Pod {
    /// One that would be created now, without a list of its own.
    pub fn of_service_account(namespace: NamespaceName, name: ServiceAccountName, account: &ServiceAccount) -> Self {
        Self {
            namespace,
            name: PodName::default(),
            created: Second(i64::MAX),
            controller: None,
            is_over: false,
            service_account: name,
            is_static: false,
            entries: account.entries.clone(),
            pull_secrets: named(&account.entries),
            used_secrets: Box::default(),
            uses: Box::default(),
        }
    }
}

/// Without the empty ones.
fn named(entries: &[SecretName]) -> Box<[SecretName]> {
    entries.iter().filter(|name| !name.as_str().is_empty()).cloned().collect()
}

/// Pods for tests.
#[cfg(test)]
pub mod testing {
    use super::*;

    /// A pod of the service account `default` with these in its list.
    pub fn pod(namespace: &str, entries: &[&str]) -> Pod {
        let account =
            ServiceAccount { entries: entries.iter().map(|&name| name.into()).collect(), ..ServiceAccount::default() };
        let pod = Pod::of_service_account(namespace.into(), "default".into(), &account);
        Pod { name: "api-1".into(), ..pod }
    }
}
