//! What is to change in one service account, and the JSON patch that changes exactly that.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::observed::{Annotations, ServiceAccount};
use crate::{
    api::ADDED_PREFIX,
    names::{CredentialName, SecretName},
};

/// One change of a service account, about one Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Append the entry, and record that it is ours.
    Append(SecretName, CredentialName),
    /// The entry is there: record that it is ours, for this credential.
    Record(SecretName, CredentialName),
    /// Remove the entry and its record.
    Remove(SecretName),
    /// The entry is gone already: remove its record.
    Forget(SecretName),
}

/// The operations of a JSON patch (RFC 6902) that makes `changes` on `observed` and nothing else.
///
/// `imagePullSecrets` is an atomic list (<https://github.com/kubernetes/kubernetes/issues/72475>): every other kind of
/// patch would replace what others put there. The last operation replaces the resourceVersion by the one that we saw,
/// so that the API server answers 409 if the service account has moved; a `test` of it would answer an ambiguous 422.
pub fn json_patch(observed: &ServiceAccount, changes: &[Change]) -> Vec<Value> {
    let mut operations = Vec::new();
    let mut removed: Vec<usize> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Remove(secret) => observed.entries.iter().rposition(|entry| entry == secret),
            _ => None,
        })
        .collect();
    removed.sort_unstable();
    // From the end, so that each index still means what it meant.
    for index in removed.iter().rev() {
        operations.push(json!({"op": "remove", "path": format!("/imagePullSecrets/{index}")}));
    }

    let appended: Vec<Value> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Append(secret, _) => Some(json!({"name": secret.as_str()})),
            _ => None,
        })
        .collect();
    // Where the list is absent there is nothing to append to: it is sent whole.
    if observed.entries.is_empty() && !appended.is_empty() {
        operations.push(json!({"op": "add", "path": "/imagePullSecrets", "value": appended}));
    } else {
        operations.extend(
            appended.into_iter().map(|entry| json!({"op": "add", "path": "/imagePullSecrets/-", "value": entry})),
        );
    }

    operations.extend(annotation_operations(observed, changes));
    let seen = observed.resource_version.to_string();
    operations.push(json!({"op": "replace", "path": "/metadata/resourceVersion", "value": seen}));
    operations
}

fn annotation_operations(observed: &ServiceAccount, changes: &[Change]) -> Vec<Value> {
    let set: BTreeMap<String, &str> = changes
        .iter()
        .filter_map(|change| match change {
            Change::Append(secret, credential) | Change::Record(secret, credential) => {
                Some((format!("{ADDED_PREFIX}{secret}"), credential.as_str()))
            }
            Change::Remove(_) | Change::Forget(_) => None,
        })
        .collect();
    if observed.annotations == Annotations::Absent && !set.is_empty() {
        return vec![json!({"op": "add", "path": "/metadata/annotations", "value": set})];
    }
    let path = |key: &str| format!("/metadata/annotations/{}", key.replace('~', "~0").replace('/', "~1"));
    let set = set.iter().map(|(key, value)| json!({"op": "add", "path": path(key), "value": value}));
    let unset = changes.iter().filter_map(|change| match change {
        Change::Remove(secret) | Change::Forget(secret) => {
            Some(json!({"op": "remove", "path": path(&format!("{ADDED_PREFIX}{secret}"))}))
        }
        Change::Append(..) | Change::Record(..) => None,
    });
    set.chain(unset).collect()
}
