//! The API server's objects → what a plan looks at. Nothing else of them is decoded: neither a Secret's data nor most of
//! managedFields, which are the larger part of a small object.

mod pod;
#[cfg(test)]
mod tests;

use std::{borrow::Cow, collections::BTreeMap, fmt};

use k8s_openapi::{api::core::v1 as kubernetes, apimachinery::pkg::apis::meta::v1::Time};
use kube::{Resource, core::ObjectMeta};
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use crate::{
    api::{
        ADDED_PREFIX, CREDENTIAL_LABEL, CredentialName, FIELD_MANAGER, NamespaceName, REVISION_ANNOTATION,
        RegistryCredential, SecretName,
    },
    plan::{
        Annotations, Labels, ListWriter, OtherOwners, ResourceVersion, Second, Secret, ServiceAccount, WriteOperation,
    },
    process::{SmallMap, Text},
};

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
        let meta = wire.metadata;
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
            other_owners: if others.is_empty() { OtherOwners::None } else { OtherOwners::Some },
            revision: meta.annotations.revision,
            applied_fields: meta.managed_fields.iter().flatten().find_map(Manager::applied_fields),
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
            annotations: if meta.annotations.any { Annotations::Present } else { Annotations::Absent },
            list_writer: list_writer(meta.managed_fields.unwrap_or_default()),
            labels: labels(meta.labels),
            entries: wire.image_pull_secrets.into_iter().flatten().map(|entry| entry.name).collect(),
        }
    }
}

/// The version; 0, older than all, where there is none.
fn version(text: Option<&str>) -> ResourceVersion {
    text.and_then(|version| version.parse().ok()).unwrap_or_default()
}

fn labels(labels: Option<BTreeMap<String, String>>) -> Labels {
    labels.into_iter().flatten().map(|(key, value)| (key.into(), value.into())).collect()
}

/// Who else owns imagePullSecrets; one that applies it comes first, as it will apply again.
fn list_writer(managers: Vec<Manager>) -> Option<ListWriter> {
    let others = managers.into_iter().filter(|m| m.manager.as_deref() != Some(FIELD_MANAGER));
    let writers = others.filter(|m| m.fields.as_ref().is_some_and(|fields| fields.image_pull_secrets.is_some()));
    let writers = writers.map(|m| ListWriter {
        manager: m.manager.as_deref().unwrap_or("an unnamed field manager").into(),
        operation: match m.operation.as_deref() {
            Some("Apply") => WriteOperation::Apply,
            _ => WriteOperation::Update,
        },
    });
    writers.min_by_key(|writer| writer.operation != WriteOperation::Apply)
}

/// When we last wrote: the API server moves a manager's time with each write that changes something.
fn written(meta: &Meta) -> Second {
    let ours = meta.managed_fields.iter().flatten().filter(|m| m.manager.as_deref() == Some(FIELD_MANAGER));
    let newest = ours.filter_map(|m| second(m.time.as_ref())).max();
    newest.or(second(meta.creation_timestamp.as_ref())).unwrap_or_default()
}

fn second(time: Option<&Time>) -> Option<Second> {
    time.map(|time| Second(time.0.as_second()))
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

/// An object as the API server sends it, as far as any of the kinds needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wire {
    #[serde(default)]
    metadata: Meta,
    image_pull_secrets: Option<Vec<Reference>>,
    spec: Option<pod::Spec>,
    status: Option<pod::Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Meta {
    name: String,
    namespace: String,
    uid: String,
    resource_version: Option<String>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<IgnoredAny>,
    labels: Option<BTreeMap<String, String>>,
    annotations: OurAnnotations,
    owner_references: Option<Vec<Owner>>,
    managed_fields: Option<Vec<Manager>>,
}

#[derive(Debug, Deserialize)]
struct Reference {
    #[serde(default)]
    name: SecretName,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Owner {
    api_version: String,
    kind: String,
    name: String,
    uid: String,
    controller: Option<bool>,
}

impl Owner {
    /// In whatever version.
    fn is_registry_credential(&self) -> bool {
        let group = self.api_version.split_once('/').map(|(group, _)| group);
        self.kind == RegistryCredential::kind(&()) && group == Some(&*RegistryCredential::group(&()))
    }
}

/// The annotations that are ours, and whether there are any.
#[derive(Debug, Default)]
struct OurAnnotations {
    any: bool,
    revision: Option<Text>,
    added: SmallMap<SecretName, CredentialName>,
}

impl<'de> Deserialize<'de> for OurAnnotations {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Ours;
        impl<'de> Visitor<'de> for Ours {
            type Value = OurAnnotations;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a map of annotations")
            }

            fn visit_unit<E>(self) -> Result<OurAnnotations, E> {
                Ok(OurAnnotations::default())
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<OurAnnotations, A::Error> {
                let mut ours = OurAnnotations::default();
                while let Some(key) = map.next_key::<String>()? {
                    ours.any = true;
                    if key == REVISION_ANNOTATION {
                        ours.revision = Some(map.next_value()?);
                    } else if let Some(secret) = key.strip_prefix(ADDED_PREFIX) {
                        ours.added.insert(secret.into(), map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                }
                Ok(ours)
            }
        }
        deserializer.deserialize_any(Ours)
    }
}

/// An entry of managedFields.
#[derive(Debug, Deserialize)]
struct Manager {
    manager: Option<String>,
    operation: Option<String>,
    time: Option<Time>,
    subresource: Option<IgnoredAny>,
    #[serde(rename = "fieldsV1")]
    fields: Option<Fields>,
}

impl Manager {
    /// How many labels and annotations our own apply owns, where it owns the data.
    fn applied_fields(&self) -> Option<usize> {
        let ours = self.manager.as_deref() == Some(FIELD_MANAGER)
            && self.operation.as_deref() == Some("Apply")
            && self.subresource.is_none();
        let fields = self.fields.as_ref().filter(|_| ours)?;
        fields.data.as_ref()?.docker_config.as_ref()?;
        let metadata = fields.metadata.as_ref();
        Some(metadata.map_or(0, |metadata| metadata.labels.0 + metadata.annotations.0))
    }
}

/// Who owns what: `{"f:data": {"f:.dockerconfigjson": {}}, …}`.
#[derive(Debug, Deserialize)]
struct Fields {
    #[serde(rename = "f:data")]
    data: Option<DataFields>,
    #[serde(rename = "f:metadata")]
    metadata: Option<MetadataFields>,
    #[serde(rename = "f:imagePullSecrets")]
    image_pull_secrets: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct DataFields {
    #[serde(rename = "f:.dockerconfigjson")]
    docker_config: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
struct MetadataFields {
    #[serde(rename = "f:labels", default)]
    labels: Count,
    #[serde(rename = "f:annotations", default)]
    annotations: Count,
}

/// How many keys of a map are owned; `.` stands for the map itself.
#[derive(Debug, Default)]
struct Count(usize);

impl<'de> Deserialize<'de> for Count {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(keys.keys().filter(|key| key.starts_with("f:")).count()))
    }
}
