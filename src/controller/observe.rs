//! Objects of the API server → what the index keeps of them.

use k8s_openapi::{
    api::core::v1::ServiceAccount as KubeServiceAccount,
    apimachinery::pkg::apis::meta::v1::{ManagedFieldsEntry, ObjectMeta},
};
use kube::Resource;
use serde_json::Value;

use crate::{
    api::{ADDED_PREFIX, CREDENTIAL_LABEL, FIELD_MANAGER, REVISION_ANNOTATION, RegistryCredential},
    names::{CredentialName, NamespaceName, SecretName},
    plan::{Annotations, ListWriter, OtherOwners, ResourceVersion, Secret, ServiceAccount, WriteOperation},
};

/// Namespace and name of a namespaced object.
pub fn key<N: for<'a> From<&'a str>>(meta: &ObjectMeta) -> Option<(NamespaceName, N)> {
    Some((meta.namespace.as_deref()?.into(), meta.name.as_deref()?.into()))
}

/// The version; 0, older than all, where there is none.
pub fn resource_version(meta: &ObjectMeta) -> ResourceVersion {
    meta.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default()
}

fn uid(meta: &ObjectMeta) -> Box<str> {
    meta.uid.as_deref().unwrap_or_default().into()
}

/// A Secret of type kubernetes.io/dockerconfigjson, from its metadata.
pub fn secret(meta: &ObjectMeta) -> Secret {
    let owners = meta.owner_references.as_deref().unwrap_or_default();
    let group = RegistryCredential::group(&());
    let is_credential = |api_version: &str, kind: &str| {
        kind == RegistryCredential::kind(&()) && api_version.split_once('/').is_some_and(|(g, _)| g == group)
    };
    let (ours, others): (Vec<_>, Vec<_>) = owners.iter().partition(|o| is_credential(&o.api_version, &o.kind));
    let value = |map: &Option<std::collections::BTreeMap<String, String>>, key: &str| {
        map.as_ref().and_then(|map| map.get(key)).cloned()
    };
    Secret {
        uid: uid(meta),
        resource_version: resource_version(meta),
        deleting: meta.deletion_timestamp.is_some(),
        wrong_type: false,
        label: value(&meta.labels, CREDENTIAL_LABEL).map(CredentialName::from),
        credential_owners: ours.into_iter().map(|o| (o.name.as_str().into(), o.uid.as_str().into())).collect(),
        other_owners: if others.is_empty() { OtherOwners::None } else { OtherOwners::Some },
        revision: value(&meta.annotations, REVISION_ANNOTATION).map(Into::into),
        applied_fields: meta.managed_fields.as_deref().unwrap_or_default().iter().find_map(applied_fields),
    }
}

/// How many labels and annotations our own apply owns, where it owns the data.
fn applied_fields(entry: &ManagedFieldsEntry) -> Option<usize> {
    let ours = entry.manager.as_deref() == Some(FIELD_MANAGER)
        && entry.operation.as_deref() == Some("Apply")
        && entry.subresource.is_none();
    let fields = &entry.fields_v1.as_ref().filter(|_| ours)?.0;
    fields.pointer("/f:data/f:.dockerconfigjson")?;
    let count = |map: &str| {
        let owned = fields.pointer(&format!("/f:metadata/{map}")).and_then(Value::as_object);
        owned.map_or(0, |owned| owned.keys().filter(|key| key.starts_with("f:")).count())
    };
    Some(count("f:labels") + count("f:annotations"))
}

/// A service account.
pub fn service_account(object: KubeServiceAccount) -> ServiceAccount {
    let meta = object.metadata;
    let annotations = meta.annotations.as_ref();
    let added = annotations.into_iter().flatten().filter_map(|(key, credential)| {
        let secret = key.strip_prefix(ADDED_PREFIX)?;
        Some((SecretName::from(secret), CredentialName::from(credential.as_str())))
    });
    let entries = object.image_pull_secrets.into_iter().flatten();
    ServiceAccount {
        uid: uid(&meta),
        resource_version: resource_version(&meta),
        deleting: meta.deletion_timestamp.is_some(),
        added: added.collect(),
        annotations: match annotations {
            Some(map) if !map.is_empty() => Annotations::Present,
            _ => Annotations::Absent,
        },
        list_writer: list_writer(meta.managed_fields.as_deref().unwrap_or_default()),
        labels: meta.labels.unwrap_or_default(),
        entries: entries.map(|entry| entry.name.into()).collect(),
    }
}

/// Who else owns imagePullSecrets; one that applies it comes first, as it will apply again.
fn list_writer(entries: &[ManagedFieldsEntry]) -> Option<ListWriter> {
    let others = entries
        .iter()
        .filter(|e| e.manager.as_deref() != Some(FIELD_MANAGER))
        .filter(|e| e.fields_v1.as_ref().is_some_and(|fields| fields.0.get("f:imagePullSecrets").is_some()));
    let writers = others.map(|e| ListWriter {
        manager: e.manager.as_deref().unwrap_or("an unnamed field manager").into(),
        operation: match e.operation.as_deref() {
            Some("Apply") => WriteOperation::Apply,
            _ => WriteOperation::Update,
        },
    });
    writers.min_by_key(|writer| writer.operation != WriteOperation::Apply)
}
