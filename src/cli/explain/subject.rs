//! Who pulls: a pod as it is, or one that a service account's would be.

use std::{convert::Infallible, str::FromStr};

use k8s_openapi::api::core::v1::{Container, ContainerStatus, Pod, ServiceAccount};
use kube::{Api, Client};

use super::read::sentence;
use crate::image::PullPolicy;

/// A name on the command line, perhaps with its namespace: `team-a/api-1` or `api-1`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    namespace: Option<String>,
    name: String,
}

impl ObjectName {
    /// The namespace, or this one.
    pub fn namespace<'a>(&'a self, default: &'a str) -> &'a str {
        self.namespace.as_deref().unwrap_or(default)
    }

    /// The name.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl FromStr for ObjectName {
    type Err = Infallible;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (namespace, name) = match text.split_once('/') {
            Some((namespace, name)) => (Some(namespace.to_owned()), name),
            None => (None, text),
        };
        Ok(Self { namespace, name: name.to_owned() })
    }
}

/// What is asked about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A service account.
    ServiceAccount,
}

impl Kind {
    /// As it is called in manifests.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pod => "Pod",
            Self::ServiceAccount => "ServiceAccount",
        }
    }
}

/// A pod or a service account.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which of both.
    pub kind: Kind,
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The pod's service account, or itself.
    pub service_account: String,
    /// The names in its own `imagePullSecrets`, in order, but for empty ones, which the kubelet passes over.
    pub pull_secrets: Vec<String>,
    /// Those of the pod's service account now; `None` if they couldn't be read.
    pub of_service_account: Option<Vec<String>>,
    /// The images of a pod.
    pub uses: Vec<Use>,
}

/// A container, or an image volume, and its image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Use {
    /// The image as the pod has it.
    pub image: String,
    /// The container's name, or `volume NAME`.
    pub name: String,
    /// What the API server has stored.
    pub policy: Option<PullPolicy>,
    /// What the container waits for: the reason and the kubelet's message.
    pub waiting: Option<(String, String)>,
}

impl Subject {
    /// Reads a pod, and its service account if that may be read.
    ///
    /// # Errors
    /// A sentence.
    pub async fn pod(client: &Client, namespace: &str, name: &str) -> Result<Self, String> {
        let pod = Api::<Pod>::namespaced(client.clone(), namespace).get(name).await;
        let pod = pod.map_err(|error| sentence(&format!("pod {namespace}/{name}"), &error))?;
        let spec = pod.spec.unwrap_or_default();
        let account = spec.service_account_name.clone().unwrap_or_else(|| "default".to_owned());
        let own = spec.image_pull_secrets.iter().flatten().map(|entry| entry.name.clone());
        let status = pod.status.unwrap_or_default();
        let statuses = [status.init_container_statuses, status.container_statuses, status.ephemeral_container_statuses];
        let statuses: Vec<ContainerStatus> = statuses.into_iter().flatten().flatten().collect();
        let ephemeral = spec.ephemeral_containers.into_iter().flatten().map(|container| Container {
            name: container.name,
            image: container.image,
            image_pull_policy: container.image_pull_policy,
            ..Container::default()
        });
        let containers = spec.init_containers.into_iter().flatten().chain(spec.containers).chain(ephemeral);
        let mut uses: Vec<Use> = containers.map(|container| of_container(container, &statuses)).collect();
        for volume in spec.volumes.into_iter().flatten() {
            if let Some(image) = volume.image {
                let policy = image.pull_policy.and_then(|policy| policy.parse().ok());
                let (image, name) = (image.reference.unwrap_or_default(), format!("volume {}", volume.name));
                uses.push(Use { image, name, policy, waiting: None });
            }
        }
        Ok(Self {
            kind: Kind::Pod,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            pull_secrets: own.filter(|name| !name.is_empty()).collect(),
            of_service_account: Self::service_account(client, namespace, &account).await.ok().map(|it| it.pull_secrets),
            service_account: account,
            uses,
        })
    }

    /// Reads a service account.
    ///
    /// # Errors
    /// A sentence.
    pub async fn service_account(client: &Client, namespace: &str, name: &str) -> Result<Self, String> {
        let account = Api::<ServiceAccount>::namespaced(client.clone(), namespace).get(name).await;
        let account = account.map_err(|error| sentence(&format!("service account {namespace}/{name}"), &error))?;
        let entries = account.image_pull_secrets.into_iter().flatten().map(|entry| entry.name);
        Ok(Self {
            kind: Kind::ServiceAccount,
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            service_account: name.to_owned(),
            pull_secrets: entries.filter(|name| !name.is_empty()).collect(),
            of_service_account: None,
            uses: Vec::new(),
        })
    }
}

fn of_container(container: Container, statuses: &[ContainerStatus]) -> Use {
    let status = statuses.iter().find(|status| status.name == container.name);
    let waiting = status.and_then(|status| status.state.as_ref()?.waiting.as_ref());
    Use {
        image: container.image.unwrap_or_default(),
        policy: container.image_pull_policy.and_then(|policy| policy.parse().ok()),
        waiting: waiting
            .map(|waiting| (waiting.reason.clone().unwrap_or_default(), waiting.message.clone().unwrap_or_default())),
        name: container.name,
    }
}
