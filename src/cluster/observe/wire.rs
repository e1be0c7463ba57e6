//! An object as the API server sends it, as far as any kind needs it: neither a Secret's data nor most of managedFields are
//! decoded.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::Resource;
use serde::{
    Deserialize, Deserializer,
    de::{IgnoredAny, MapAccess, Visitor},
};

use super::pod::{Reference, Spec, Status};
use crate::{
    api::{ADDED_PREFIX, CredentialName, FIELD_MANAGER, Labels, REVISION_ANNOTATION, RegistryCredential, SecretName},
    plan::{ListWriter, ResourceVersion, Second, WriteOperation},
    process::{SmallMap, Text},
};

/// An object as the API server sends it, as far as any of the kinds needs it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Wire {
    #[serde(default)]
    pub(super) metadata: Meta,
    pub(super) image_pull_secrets: Option<Vec<Reference>>,
    pub(super) spec: Option<Spec>,
    pub(super) status: Option<Status>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Meta {
    pub(super) name: String,
    pub(super) namespace: String,
    pub(super) uid: String,
    pub(super) resource_version: Option<String>,
    pub(super) creation_timestamp: Option<Time>,
    pub(super) deletion_timestamp: Option<IgnoredAny>,
    pub(super) finalizers: Option<IgnoredAny>,
    pub(super) labels: Option<BTreeMap<String, String>>,
    pub(super) annotations: OurAnnotations,
    pub(super) owner_references: Option<Vec<Owner>>,
    pub(super) managed_fields: Option<Vec<Manager>>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Owner {
    pub(super) api_version: String,
    pub(super) kind: String,
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) controller: Option<bool>,
}

impl Owner {
    /// In whatever version.
    pub(super) fn is_registry_credential(&self) -> bool {
        let group = self.api_version.split_once('/').map(|(group, _)| group);
        self.kind == RegistryCredential::kind(&()) && group == Some(&*RegistryCredential::group(&()))
    }
}

/// The annotations that are ours, and the keys of all.
#[derive(Debug, Default)]
pub(super) struct OurAnnotations {
    pub(super) keys: Vec<String>,
    pub(super) revision: Option<Text>,
    pub(super) added: SmallMap<SecretName, CredentialName>,
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
                    if key == REVISION_ANNOTATION {
                        ours.revision = Some(map.next_value()?);
                    } else if let Some(secret) = key.strip_prefix(ADDED_PREFIX) {
                        ours.added.insert(secret.into(), map.next_value()?);
                    } else {
                        map.next_value::<IgnoredAny>()?;
                    }
                    ours.keys.push(key);
                }
                Ok(ours)
            }
        }
        deserializer.deserialize_any(Ours)
    }
}

/// An entry of managedFields.
#[derive(Debug, Deserialize)]
pub(super) struct Manager {
    pub(super) manager: Option<String>,
    pub(super) operation: Option<String>,
    pub(super) time: Option<Time>,
    pub(super) subresource: Option<IgnoredAny>,
    #[serde(rename = "fieldsV1")]
    pub(super) fields: Option<Fields>,
}

impl Manager {
    /// Ours, whatever the operation.
    fn is_ours(&self) -> bool {
        self.manager.as_deref() == Some(FIELD_MANAGER) && self.subresource.is_none()
    }

    /// Made by our POST: what else of ours is an update never owns the type.
    fn is_creation(&self) -> bool {
        let owns_type = self.fields.as_ref().is_some_and(|fields| fields.type_.is_some());
        self.is_ours() && self.operation.as_deref() == Some("Update") && owns_type
    }
}

/// What our entries in managedFields own of a Secret, by apply, creation or patch.
pub(super) struct Owned<'a> {
    labels: BTreeSet<&'a str>,
    annotations: BTreeSet<&'a str>,
    data: bool,
}

impl<'a> Owned<'a> {
    pub(super) fn of(managers: &'a [Manager]) -> Self {
        let ours = || managers.iter().filter(|manager| manager.is_ours()).filter_map(|manager| manager.fields.as_ref());
        let keys = |of: fn(&MetadataFields) -> &Keys| {
            let all = ours().filter_map(|fields| fields.metadata.as_ref()).flat_map(move |metadata| &of(metadata).0);
            all.filter_map(|key| key.strip_prefix("f:")).collect()
        };
        Self {
            labels: keys(|metadata| &metadata.labels),
            annotations: keys(|metadata| &metadata.annotations),
            data: ours().any(|fields| fields.data.as_ref().is_some_and(|data| data.docker_config.is_some())),
        }
    }

    /// How many labels and annotations, where we own the data.
    pub(super) fn fields(&self) -> Option<usize> {
        self.data.then_some(self.labels.len() + self.annotations.len())
    }

    /// Whether there are no labels and annotations but these. What admission adds to a write has no owner.
    pub(super) fn are_all_of(&self, meta: &Meta) -> bool {
        let labels: BTreeSet<&str> = meta.labels.iter().flat_map(BTreeMap::keys).map(String::as_str).collect();
        let annotations: BTreeSet<&str> = meta.annotations.keys.iter().map(String::as_str).collect();
        labels == self.labels && annotations == self.annotations
    }
}

/// Whether nobody else has a part in the object.
pub(super) fn is_ours_alone(meta: &Meta, managers: &[Manager], owned: &Owned<'_>) -> bool {
    !managers.is_empty() && managers.iter().all(Manager::is_ours) && meta.finalizers.is_none() && owned.are_all_of(meta)
}

/// The place of the entry that our POST has made.
pub(super) fn creation(managers: &[Manager]) -> Option<u8> {
    managers.iter().position(Manager::is_creation).and_then(|at| at.try_into().ok())
}

/// Who owns what: `{"f:data": {"f:.dockerconfigjson": {}}, …}`.
#[derive(Debug, Deserialize)]
pub(super) struct Fields {
    #[serde(rename = "f:data")]
    pub(super) data: Option<DataFields>,
    #[serde(rename = "f:metadata")]
    pub(super) metadata: Option<MetadataFields>,
    #[serde(rename = "f:imagePullSecrets")]
    pub(super) image_pull_secrets: Option<IgnoredAny>,
    #[serde(rename = "f:type")]
    pub(super) type_: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct DataFields {
    #[serde(rename = "f:.dockerconfigjson")]
    pub(super) docker_config: Option<IgnoredAny>,
}

#[derive(Debug, Deserialize)]
pub(super) struct MetadataFields {
    #[serde(rename = "f:labels", default)]
    pub(super) labels: Keys,
    #[serde(rename = "f:annotations", default)]
    pub(super) annotations: Keys,
}

/// Which keys of a map are owned; `.` stands for the map itself.
#[derive(Debug, Default)]
pub(super) struct Keys(Vec<String>);

impl<'de> Deserialize<'de> for Keys {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let keys = BTreeMap::<String, IgnoredAny>::deserialize(deserializer)?;
        Ok(Self(keys.into_keys().filter(|key| key.starts_with("f:")).collect()))
    }
}

/// The version; 0, older than all, where there is none.
pub(super) fn version(text: Option<&str>) -> ResourceVersion {
    text.and_then(|version| version.parse().ok()).unwrap_or_default()
}

pub(super) fn labels(labels: Option<BTreeMap<String, String>>) -> Labels {
    labels.into_iter().flatten().map(|(key, value)| (key.into(), value.into())).collect()
}

/// Who else owns imagePullSecrets; one that applies it comes first, as it will apply again.
pub(super) fn list_writer(managers: Vec<Manager>) -> Option<ListWriter> {
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
pub(super) fn written(meta: &Meta) -> Second {
    let ours = meta.managed_fields.iter().flatten().filter(|m| m.manager.as_deref() == Some(FIELD_MANAGER));
    let newest = ours.filter_map(|m| second(m.time.as_ref())).max();
    newest.or(second(meta.creation_timestamp.as_ref())).unwrap_or_default()
}

pub(super) fn second(time: Option<&Time>) -> Option<Second> {
    time.map(|time| Second(time.0.as_second()))
}
