//! Who pulls: a pod as it is, or one that a service account's would be.

use std::{convert::Infallible, str::FromStr};

use k8s_openapi::api::core::v1 as kubernetes;
use kube::{Api, Client, Resource, api::GetParams, core::Request};

use crate::{api::printable, cli::pod::Pod, cluster::observe::Observed, plan::ServiceAccount};

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

/// A pod, or one that a service account's would be: created now, without a list of its own.
#[derive(Clone, Debug)]
pub struct Subject {
    /// Which of both was asked about.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// The pod.
    pub pod: Pod,
    /// Its service account, or that there is none; `None` where it couldn't be read.
    pub account: Option<Option<ServiceAccount>>,
}

impl Subject {
    /// Reads a pod, and its service account if that may be read.
    ///
    /// # Errors
    /// A sentence.
    pub async fn pod(client: &Client, namespace: &str, name: &str) -> Result<Self, String> {
        let what = format!("pod {namespace}/{name}");
        let path = kubernetes::Pod::url_path(&(), Some(namespace));
        let request = Request::new(path).get(name, &GetParams::default());
        let request = request.map_err(|_| format!("{what} can't exist: its name is no name of a pod"))?;
        let pod: Pod = client.request(request).await.map_err(|error| sentence(&what, &error))?;
        let account = service_account(client, namespace, pod.service_account.as_str()).await.ok();
        Ok(Self { kind: Kind::Pod, name: name.to_owned(), pod, account })
    }

    /// Reads a service account.
    ///
    /// # Errors
    /// A sentence.
    pub async fn service_account(client: &Client, namespace: &str, name: &str) -> Result<Self, String> {
        let what = format!("service account {namespace}/{name}");
        let account = service_account(client, namespace, name).await.map_err(|error| sentence(&what, &error))?;
        let account = account.ok_or_else(|| format!("{what} doesn't exist"))?;
        let pod = Pod::of_service_account(namespace.into(), name.into(), &account);
        Ok(Self { kind: Kind::ServiceAccount, name: name.to_owned(), pod, account: Some(Some(account)) })
    }
}

async fn service_account(client: &Client, namespace: &str, name: &str) -> kube::Result<Option<ServiceAccount>> {
    let api = Api::<Observed<ServiceAccount>>::namespaced(client.clone(), namespace);
    Ok(api.get_opt(name).await?.map(|seen| seen.object))
}

/// Why something can't be read.
fn sentence(what: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 404 => format!("{what} doesn't exist"),
        kube::Error::Api(status) => format!("{what} can't be read: {}", printable(&status.message)),
        error => format!("{what} can't be read: {error}"),
    }
}
