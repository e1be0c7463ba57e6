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

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn meta(value: Value) -> ObjectMeta {
        serde_json::from_value(value).unwrap()
    }

    /// What the API server says of a Secret that we applied.
    fn applied() -> Value {
        json!({
            "name": "darwin-secret",
            "namespace": "team-a",
            "uid": "0d9a1c7e-6a57-4a57-8f0e-52b1f2a1d7aa",
            "resourceVersion": "1042",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            "labels": {"regcred.dev/credential": "darwin", "team": "platform"},
            "annotations": {"regcred.dev/revision": "v1:2917bd7f37758904a0da627fc5e0bd66"},
            "ownerReferences": [{
                "apiVersion": "regcred.dev/v1alpha1",
                "kind": "RegistryCredential",
                "name": "darwin",
                "uid": "6f0e9a52-4a1e-4d9e-9a27-0d6f3f1b7c11",
            }],
            "managedFields": [{
                "manager": "regcred",
                "operation": "Apply",
                "apiVersion": "v1",
                "time": "2026-01-01T00:00:00Z",
                "fieldsType": "FieldsV1",
                "fieldsV1": {
                    "f:data": {"f:.dockerconfigjson": {}},
                    "f:metadata": {
                        "f:annotations": {"f:regcred.dev/revision": {}},
                        "f:labels": {"f:regcred.dev/credential": {}, "f:team": {}},
                        "f:ownerReferences": {"k:{\"uid\":\"6f0e9a52-4a1e-4d9e-9a27-0d6f3f1b7c11\"}": {}},
                    },
                    "f:type": {},
                },
            }],
        })
    }

    #[test]
    fn a_secret_that_we_applied_is_read_whole() {
        let meta = meta(applied());
        assert_eq!(
            secret(&meta),
            Secret {
                uid: "0d9a1c7e-6a57-4a57-8f0e-52b1f2a1d7aa".into(),
                resource_version: ResourceVersion(1042),
                deleting: false,
                wrong_type: false,
                label: Some("darwin".into()),
                credential_owners: [("darwin".into(), "6f0e9a52-4a1e-4d9e-9a27-0d6f3f1b7c11".into())].into(),
                other_owners: OtherOwners::None,
                revision: Some("v1:2917bd7f37758904a0da627fc5e0bd66".into()),
                applied_fields: Some(3),
            }
        );
        assert_eq!(key::<SecretName>(&meta), Some(("team-a".into(), "darwin-secret".into())));
    }

    #[test]
    fn a_foreign_secret_has_nothing_of_ours() {
        let foreign = meta(json!({"name": "x", "namespace": "y", "uid": "u", "resourceVersion": "7"}));
        let expected = Secret { uid: "u".into(), resource_version: ResourceVersion(7), ..Secret::default() };
        assert_eq!(secret(&foreign), expected);
        assert_eq!(key::<SecretName>(&ObjectMeta::default()), None);
        assert_eq!(resource_version(&ObjectMeta::default()), ResourceVersion(0));
        assert_eq!(resource_version(&meta(json!({"resourceVersion": "opaque"}))), ResourceVersion(0));
    }

    #[test]
    fn owners_are_told_apart_by_group_and_kind_in_any_version() {
        let owner =
            |api_version: &str, kind: &str| json!({"apiVersion": api_version, "kind": kind, "name": "n", "uid": "u"});
        for (owners, ours, others) in [
            (json!([]), 0, OtherOwners::None),
            (json!([owner("regcred.dev/v1", "RegistryCredential")]), 1, OtherOwners::None),
            (json!([owner("regcred.dev/v1alpha1", "Other")]), 0, OtherOwners::Some),
            (json!([owner("other.dev/v1", "RegistryCredential")]), 0, OtherOwners::Some),
            (json!([owner("v1", "ConfigMap")]), 0, OtherOwners::Some),
            (
                json!([owner("apps/v1", "Deployment"), owner("regcred.dev/v1alpha1", "RegistryCredential")]),
                1,
                OtherOwners::Some,
            ),
        ] {
            let observed = secret(&meta(json!({"ownerReferences": owners})));
            assert_eq!((observed.credential_owners.len(), observed.other_owners), (ours, others), "{owners}");
        }
    }

    #[test]
    fn a_secret_that_is_being_deleted_says_so() {
        assert!(secret(&meta(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"}))).deleting);
    }

    #[test]
    fn whoever_changes_the_value_takes_it_out_of_our_apply() {
        let fields = |change: fn(&mut Value)| {
            let mut applied = applied();
            change(&mut applied["managedFields"][0]);
            secret(&meta(applied)).applied_fields
        };
        assert_eq!(fields(|_| {}), Some(3));
        assert_eq!(fields(|entry| entry["fieldsV1"]["f:data"] = json!({})), None, "kubectl patch of the value");
        assert_eq!(fields(|entry| entry["operation"] = json!("Update")), None);
        assert_eq!(fields(|entry| entry["manager"] = json!("kubectl")), None);
        assert_eq!(fields(|entry| entry["subresource"] = json!("status")), None);
        assert_eq!(fields(|entry| entry["fieldsV1"] = Value::Null), None);
        assert_eq!(fields(|entry| entry["fieldsV1"]["f:metadata"]["f:labels"] = json!({".": {}})), Some(1));
        assert_eq!(fields(|entry| entry["fieldsV1"]["f:metadata"] = json!({})), Some(0));
    }

    #[test]
    fn our_apply_is_found_among_others() {
        let mut applied = applied();
        let ours = applied["managedFields"][0].clone();
        let other = json!({"manager": "kubectl-label", "operation": "Update", "fieldsV1": {"f:metadata": {}}});
        applied["managedFields"] = json!([other, ours]);
        assert_eq!(secret(&meta(applied)).applied_fields, Some(3));
    }

    fn observed(value: Value) -> ServiceAccount {
        service_account(serde_json::from_value(value).unwrap())
    }

    #[test]
    fn a_service_account_keeps_what_a_plan_asks_for() {
        let found = observed(json!({
            "metadata": {
                "name": "default",
                "namespace": "team-a",
                "uid": "u",
                "resourceVersion": "41",
                "labels": {"team": "a"},
                "annotations": {
                    "added.regcred.dev/darwin-secret": "darwin",
                    "kubectl.kubernetes.io/last-applied-configuration": "{}",
                },
            },
            "imagePullSecrets": [{"name": "theirs"}, {}, {"name": "darwin-secret"}],
            "secrets": [{"name": "token"}],
        }));
        let expected = ServiceAccount {
            uid: "u".into(),
            resource_version: ResourceVersion(41),
            deleting: false,
            labels: [("team".to_owned(), "a".to_owned())].into(),
            entries: ["theirs", "", "darwin-secret"].map(Into::into).into(),
            added: [("darwin-secret".into(), "darwin".into())].into(),
            annotations: Annotations::Present,
            list_writer: None,
        };
        assert_eq!(found, expected);
    }

    #[test]
    fn a_bare_service_account_has_neither_list_nor_map() {
        assert_eq!(observed(json!({"metadata": {}})), ServiceAccount::default());
        assert_eq!(observed(json!({"metadata": {"annotations": {}}})).annotations, Annotations::Absent);
        assert!(observed(json!({"metadata": {"deletionTimestamp": "2026-01-01T00:00:00Z"}})).deleting);
    }

    #[test]
    fn who_applies_the_list_comes_before_who_updates_it_and_we_do_not_count() {
        let entry = |manager: &str, operation: &str, fields: Value| json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsV1": fields});
        let list = || json!({"f:imagePullSecrets": {}});
        let metadata = || json!({"f:metadata": {"f:labels": {"f:team": {}}}});
        let update = WriteOperation::Update;
        for (entries, expected) in [
            (json!([]), None),
            (json!([entry("regcred", "Update", list())]), None),
            (json!([entry("argocd-controller", "Apply", metadata())]), None),
            (json!([entry("kubectl-patch", "Update", list())]), Some(("kubectl-patch", update))),
            (
                json!([entry("kubectl-patch", "Update", list()), entry("helm", "Apply", list())]),
                Some(("helm", WriteOperation::Apply)),
            ),
            (json!([{"operation": "Update", "fieldsV1": list()}]), Some(("an unnamed field manager", update))),
            (json!([{"manager": "old"}]), None),
        ] {
            let found = observed(json!({"metadata": {"managedFields": entries}})).list_writer;
            let expected = expected.map(|(manager, operation)| ListWriter { manager: manager.into(), operation });
            assert_eq!(found, expected, "{entries}");
        }
    }
}
