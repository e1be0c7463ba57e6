//! The API server's objects → what a plan looks at. Nothing else of them is decoded: neither a Secret's data nor most of
//! managedFields, which are the larger part of a small object.

mod pod;
#[cfg(test)]
mod tests;
mod wire;

use std::borrow::Cow;

use k8s_openapi::api::core::v1 as kubernetes;
use kube::{Resource, core::ObjectMeta};
use serde::{Deserialize, Deserializer};

use crate::{
    api::{CREDENTIAL_LABEL, CredentialName, Labels, NamespaceName},
    plan::{Annotations, OtherOwners, Pod, ResourceVersion, Second, Secret, ServiceAccount},
};
pub use wire::Wire;
use wire::{Owned, Owner, creation, is_ours_alone, labels, list_writer, second, version, written};

/// An object of the API server: where it is, and what matters of it. It can be asked for and watched as any other.
#[derive(Clone, Debug)]
pub struct Observed<T> {
    /// `metadata.namespace`; empty where the kind has none.
    pub namespace: String,
    /// `metadata.name`.
    pub name: String,
    /// The rest.
    pub object: T,
    /// The resourceVersion alone, from which a watch goes on.
    meta: ObjectMeta,
}

impl<T> Observed<T> {
    /// Namespace and name.
    pub fn key<N: for<'a> From<&'a str>>(&self) -> (NamespaceName, N) {
        (self.namespace.as_str().into(), self.name.as_str().into())
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> ResourceVersion {
        version(self.meta.resource_version.as_deref())
    }
}

/// A namespace, without its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamespaceMeta {
    /// Its labels.
    pub labels: Labels,
    /// It is being deleted.
    pub terminating: bool,
}

/// What can be observed.
pub trait Observable: Sized {
    /// The kind.
    type Kind: Resource<DynamicType = ()>;

    /// Whether the metadata is enough; the API server then sends no more.
    const METADATA_ONLY: bool;

    /// Keeps what matters.
    fn from_wire(wire: Wire) -> Self;
}

impl Observable for NamespaceMeta {
    type Kind = kubernetes::Namespace;
    const METADATA_ONLY: bool = true;

    fn from_wire(wire: Wire) -> Self {
        Self { labels: labels(wire.metadata.labels), terminating: wire.metadata.deletion_timestamp.is_some() }
    }
}

/// A Secret is taken to be of type kubernetes.io/dockerconfigjson, as its metadata doesn't tell.
impl Observable for Secret {
    type Kind = kubernetes::Secret;
    const METADATA_ONLY: bool = true;

    fn from_wire(wire: Wire) -> Self {
        let mut meta = wire.metadata;
        let managers = meta.managed_fields.take().unwrap_or_default();
        let owned = Owned::of(&managers);
        let is_ours_alone = is_ours_alone(&meta, &managers, &owned);
        let owners = meta.owner_references.unwrap_or_default();
        let (ours, others): (Vec<_>, Vec<_>) = owners.into_iter().partition(Owner::is_registry_credential);
        Self {
            uid: meta.uid.into(),
            resource_version: version(meta.resource_version.as_deref()),
            created: second(meta.creation_timestamp.as_ref()).unwrap_or_default(),
            deleting: meta.deletion_timestamp.is_some(),
            wrong_type: false,
            label: meta.labels.and_then(|mut labels| labels.remove(CREDENTIAL_LABEL)).map(CredentialName::from),
            credential_owners: ours.into_iter().map(|owner| (owner.name.into(), owner.uid.into())).collect(),
            is_ours_alone: is_ours_alone && others.is_empty(),
            other_owners: if others.is_empty() { OtherOwners::None } else { OtherOwners::Some },
            revision: meta.annotations.revision,
            owned_fields: owned.fields(),
            creation: creation(&managers),
        }
    }
}

impl Observable for ServiceAccount {
    type Kind = kubernetes::ServiceAccount;
    const METADATA_ONLY: bool = false;

    fn from_wire(wire: Wire) -> Self {
        let meta = wire.metadata;
        Self {
            written: written(&meta),
            uid: meta.uid.into(),
            resource_version: version(meta.resource_version.as_deref()),
            deleting: meta.deletion_timestamp.is_some(),
            added: meta.annotations.added,
            annotations: if meta.annotations.keys.is_empty() { Annotations::Absent } else { Annotations::Present },
            list_writer: list_writer(meta.managed_fields.unwrap_or_default()),
            labels: labels(meta.labels),
            entries: wire.image_pull_secrets.into_iter().flatten().map(|entry| entry.name).collect(),
        }
    }
}

/// `None` for a pod that waits for no image, that nobody would make again, or that is on its way out.
impl Observable for Option<Pod> {
    type Kind = kubernetes::Pod;
    const METADATA_ONLY: bool = false;

    fn from_wire(wire: Wire) -> Self {
        let (meta, spec, status) = (wire.metadata, wire.spec?, wire.status?);
        let owner = meta.owner_references?.into_iter().find(|owner| owner.controller == Some(true))?;
        let images = status.waited_for(&spec);
        (meta.deletion_timestamp.is_none() && !images.is_empty()).then(|| Pod {
            uid: meta.uid.into(),
            resource_version: version(meta.resource_version.as_deref()),
            created: second(meta.creation_timestamp.as_ref()).unwrap_or(Second(i64::MAX)),
            owner: owner.uid.into(),
            service_account: spec.service_account_name,
            entries: spec.image_pull_secrets.into_iter().flatten().map(|entry| entry.name).collect(),
            images,
        })
    }
}

impl<'de, T: Observable> Deserialize<'de> for Observed<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut wire = Wire::deserialize(deserializer)?;
        Ok(Self {
            namespace: std::mem::take(&mut wire.metadata.namespace),
            name: std::mem::take(&mut wire.metadata.name),
            meta: ObjectMeta { resource_version: wire.metadata.resource_version.clone(), ..ObjectMeta::default() },
            object: T::from_wire(wire),
        })
    }
}

impl<T: Observable> Resource for Observed<T> {
    type DynamicType = ();
    type Scope = <T::Kind as Resource>::Scope;

    fn metadata_api() -> bool {
        T::METADATA_ONLY
    }

    fn kind((): &()) -> Cow<'_, str> {
        T::Kind::kind(&())
    }

    fn group((): &()) -> Cow<'_, str> {
        T::Kind::group(&())
    }

    fn version((): &()) -> Cow<'_, str> {
        T::Kind::version(&())
    }

    fn plural((): &()) -> Cow<'_, str> {
        T::Kind::plural(&())
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
