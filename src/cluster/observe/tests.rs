//! Tests of what is kept of the API server's objects.

use serde_json::{Value, json};

use super::*;
use crate::{
    api::SecretName,
    plan::{ListWriter, WriteOperation},
};

fn secret(metadata: Value) -> Secret {
    let bytes = json!({"kind": "PartialObjectMetadata", "metadata": metadata}).to_string();
    serde_json::from_str::<Observed<Secret>>(&bytes).unwrap().object
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
    assert_eq!(
        secret(applied()),
        Secret {
            uid: "0d9a1c7e-6a57-4a57-8f0e-52b1f2a1d7aa".into(),
            resource_version: ResourceVersion(1042),
            created: Second(1_767_225_600),
            deleting: false,
            wrong_type: false,
            label: Some("darwin".into()),
            credential_owners: [("darwin".into(), "6f0e9a52-4a1e-4d9e-9a27-0d6f3f1b7c11".into())].into(),
            other_owners: OtherOwners::None,
            revision: Some("v1:2917bd7f37758904a0da627fc5e0bd66".into()),
            owned_fields: Some(3),
            creation: None,
            is_ours_alone: true,
        }
    );
    let whole: Observed<Secret> = serde_json::from_value(json!({"metadata": applied()})).unwrap();
    assert_eq!(whole.key::<SecretName>(), ("team-a".into(), "darwin-secret".into()));
    assert_eq!(whole.meta().resource_version.as_deref(), Some("1042"));
    assert_eq!(whole.resource_version(), ResourceVersion(1042));
}

/// An entry of managedFields as the API server writes them.
fn entry(manager: &str, operation: &str, fields: Value) -> Value {
    json!({"manager": manager, "operation": operation, "apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": fields})
}

#[test]
fn what_we_own_is_counted_over_all_our_entries_and_the_one_of_a_post_is_found() {
    let data = json!({"f:.dockerconfigjson": {}});
    let metadata = |labels: &[&str], annotations: &[&str]| {
        let keys =
            |keys: &[&str]| keys.iter().map(|key| (format!("f:{key}"), json!({}))).collect::<serde_json::Map<_, _>>();
        json!({"f:labels": keys(labels), "f:annotations": keys(annotations)})
    };
    let posted = entry(
        "regcred",
        "Update",
        json!({"f:data": {".": {}, "f:.dockerconfigjson": {}}, "f:metadata": metadata(&["a", "b"], &["c"]), "f:type": {}}),
    );
    let rotated = entry("regcred", "Update", json!({"f:data": data, "f:metadata": metadata(&[], &["c"])}));
    let rest = entry("regcred", "Apply", json!({"f:metadata": metadata(&["a", "b"], &["c"]), "f:type": {}}));
    let other = entry("kubectl", "Update", json!({"f:data": data, "f:metadata": metadata(&["x"], &[]), "f:type": {}}));
    let mut status = posted.clone();
    status["subresource"] = json!("status");
    for (entries, owned, creation, is_ours_alone) in [
        (json!([posted]), Some(3), Some(0), true),
        (json!([other, posted]), Some(3), Some(1), false),
        (json!([rest, rotated]), Some(3), None, true),
        // Somebody has taken the data over, and its like.
        (json!([rest, other]), None, None, false),
        // The labels have no owner.
        (json!([rotated]), Some(1), None, false),
        (json!([status]), None, None, false),
        (json!([other]), None, None, false),
        (json!([]), None, None, false),
    ] {
        let there = json!({"labels": {"a": "", "b": ""}, "annotations": {"c": ""}, "managedFields": entries});
        let seen = secret(there);
        let found = (seen.owned_fields, seen.creation, seen.is_ours_alone);
        assert_eq!(found, (owned, creation, is_ours_alone), "{entries}");
    }
    let ours = json!({"labels": {"a": "", "b": ""}, "annotations": {"c": ""}, "managedFields": [posted]});
    let is_alone_with = |member: &str, value: Value| {
        let mut meta = ours.clone();
        meta[member] = value;
        secret(meta).is_ours_alone
    };
    assert!(is_alone_with("managedFields", json!([posted])));
    for (member, value) in [
        ("ownerReferences", json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "x", "uid": "u"}])),
        ("finalizers", json!(["example.com/f"])),
        // What admission has added, or taken away.
        ("labels", json!({"a": "", "b": "", "x": ""})),
        ("labels", json!({"a": ""})),
        ("annotations", json!({"c": "", "x": ""})),
        ("annotations", json!({"x": ""})),
    ] {
        assert!(!is_alone_with(member, value.clone()), "{member}: {value}");
    }
}

#[test]
fn a_foreign_secret_has_nothing_of_ours() {
    let foreign = json!({
        "name": "x", "namespace": "y", "uid": "u", "resourceVersion": "7", "labels": {"a": "b"},
        "annotations": {"c": "d"}, "finalizers": ["example.com/f"],
    });
    let expected = Secret { uid: "u".into(), resource_version: ResourceVersion(7), ..Secret::default() };
    assert_eq!(secret(foreign), expected);
    assert_eq!(secret(json!({})).resource_version, ResourceVersion(0));
    assert_eq!(secret(json!({"resourceVersion": "opaque"})).resource_version, ResourceVersion(0));
}

#[test]
fn what_is_null_is_absent() {
    let nothing = json!({"labels": null, "annotations": null, "ownerReferences": null, "managedFields": null});
    assert_eq!(secret(nothing), Secret::default());
    let nothing = json!({"metadata": {"deletionTimestamp": null}, "imagePullSecrets": null});
    assert_eq!(observed(nothing), ServiceAccount::default());
}

#[test]
fn a_namespace_has_labels_and_an_end() {
    let namespace = |metadata: Value| {
        let whole = serde_json::from_value::<Observed<NamespaceMeta>>(json!({"metadata": metadata})).unwrap();
        (whole.name, whole.object)
    };
    let labels: Labels = [("team".into(), "a".into())].into();
    let expected = NamespaceMeta { labels, terminating: false };
    assert_eq!(namespace(json!({"name": "n", "labels": {"team": "a"}})), ("n".to_owned(), expected));
    assert!(namespace(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})).1.terminating);
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
        let observed = secret(json!({"ownerReferences": owners}));
        assert_eq!((observed.credential_owners.len(), observed.other_owners), (ours, others), "{owners}");
    }
}

#[test]
fn a_secret_that_is_being_deleted_says_so() {
    assert!(secret(json!({"deletionTimestamp": "2026-01-01T00:00:00Z"})).deleting);
}

#[test]
fn whoever_changes_the_value_takes_it_from_us() {
    let fields = |change: fn(&mut Value)| {
        let mut applied = applied();
        change(&mut applied["managedFields"][0]);
        secret(applied).owned_fields
    };
    assert_eq!(fields(|_| {}), Some(3));
    assert_eq!(fields(|entry| entry["fieldsV1"]["f:data"] = json!({})), None, "kubectl patch of the value");
    assert_eq!(fields(|entry| entry["operation"] = json!("Update")), Some(3), "made by POST, or changed by a patch");
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
    assert_eq!(secret(applied).owned_fields, Some(3));
}

fn observed(value: Value) -> ServiceAccount {
    serde_json::from_value::<Observed<ServiceAccount>>(value).unwrap().object
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
        labels: [("team".into(), "a".into())].into(),
        entries: ["theirs", "", "darwin-secret"].map(Into::into).into(),
        added: [("darwin-secret".into(), "darwin".into())].into(),
        annotations: Annotations::Present,
        list_writer: None,
        written: Second(0),
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
fn when_we_last_wrote_is_our_managers_newest_time_or_else_when_it_was_made() {
    let entry = |manager: &str, second: u8| json!({"manager": manager, "operation": "Update", "time": format!("1970-01-01T00:00:{second:02}Z")});
    for (entries, expected) in [
        (json!([]), 1),
        (json!([{"manager": "regcred", "operation": "Update"}]), 1),
        (json!([entry("kubectl", 9)]), 1),
        (json!([entry("regcred", 2), entry("kubectl", 9)]), 2),
        (json!([entry("regcred", 3), entry("regcred", 2)]), 3),
    ] {
        let metadata = json!({"creationTimestamp": "1970-01-01T00:00:01Z", "managedFields": entries});
        assert_eq!(observed(json!({"metadata": metadata})).written, Second(expected), "{entries}");
    }
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
