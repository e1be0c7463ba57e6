//! The shape of what an audit has found.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::{
    api::{NamespaceName, PodName},
    cli::diagnosis::Finding,
    process::Text,
};

/// All of it.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct AuditReport {
    /// The namespace that was looked at; `null` for all.
    pub namespace: Option<String>,
    /// What couldn't be read, and what isn't known therefore.
    pub not_read: Vec<NotRead>,
    /// Counts.
    pub summary: Summary,
    /// Each container whose image a RegistryCredential is for.
    pub containers: Vec<ContainerShape>,
    /// What a person should look at.
    pub findings: Vec<Located>,
}

/// A list that the user may not have.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NotRead {
    /// Which objects.
    pub what: &'static str,
    /// Why.
    pub why: String,
    /// What isn't known therefore.
    pub so: &'static str,
}

/// Counts.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Summary {
    /// Pods that were looked at.
    pub pods: usize,
    /// Pods that have ended or are being deleted, which pull nothing any more.
    pub pods_over: usize,
    /// Containers and image volumes of the former.
    pub containers: usize,
    /// Of these, the ones that wait for their image.
    pub waiting: usize,
    /// By RegistryCredential.
    pub registry_credentials: BTreeMap<String, Coverage>,
    /// How many findings there are, by reason.
    pub findings: BTreeMap<&'static str, usize>,
}

/// How many of the containers whose image a RegistryCredential is for have a pull secret for it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Coverage {
    /// They have.
    pub covered: usize,
    /// They haven't.
    pub not_covered: usize,
    /// They name Secrets that weren't read.
    pub unknown: usize,
}

/// Whether a container has a pull secret for its image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Stand {
    /// It has.
    Covered,
    /// It hasn't.
    NotCovered,
    /// It names Secrets that weren't read.
    Unknown,
}

/// A container whose image a RegistryCredential is for.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ContainerShape {
    /// The pod's namespace.
    pub namespace: NamespaceName,
    /// The pod.
    pub pod: PodName,
    /// The container, or `volume NAME`.
    pub container: Text,
    /// Its image.
    pub image: Text,
    /// The RegistryCredential.
    pub registry_credential: String,
    /// Whether it has a pull secret for its image.
    pub coverage: Stand,
    /// The Secret that is tried first, where it is covered.
    pub secret: Option<String>,
    /// Why it isn't covered, where that is so.
    pub reason: Option<&'static str>,
}

/// What a finding may be about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Kind {
    /// A pod.
    Pod,
    /// A service account.
    ServiceAccount,
    /// A Secret.
    Secret,
}

/// A finding, and where it is.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Located {
    /// The namespace.
    pub namespace: NamespaceName,
    /// Of what kind it is.
    pub kind: Kind,
    /// Its name.
    pub name: String,
    /// What has made the pod, as in `ReplicaSet/api-6d4f`.
    pub controller: Option<String>,
    /// The container, or `volume NAME`, if it is about one.
    pub container: Option<Text>,
    /// The container's image.
    pub image: Option<Text>,
    /// What it is.
    #[serde(flatten)]
    pub finding: Finding,
}
