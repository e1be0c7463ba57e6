//! What is to change in one service account, and the JSON patch that changes exactly that.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::observed::{Annotations, ServiceAccount};
use crate::api::{ADDED_PREFIX, CredentialName, SecretName};

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

#[cfg(test)]
mod tests {
    use super::{super::observed::ResourceVersion, *};

    fn observed(entries: &[&str], annotations: Annotations) -> ServiceAccount {
        ServiceAccount {
            resource_version: ResourceVersion(41),
            entries: entries.iter().map(|entry| (*entry).into()).collect(),
            annotations,
            ..ServiceAccount::default()
        }
    }

    /// The patch without its last operation, which is always the same.
    fn patch(observed: &ServiceAccount, changes: &[Change]) -> Value {
        let mut operations = json_patch(observed, changes);
        let guard = json!({"op": "replace", "path": "/metadata/resourceVersion", "value": "41"});
        assert_eq!(operations.pop(), Some(guard));
        operations.into()
    }

    fn append(secret: &str) -> Change {
        Change::Append(secret.into(), "darwin".into())
    }

    #[test]
    fn a_list_and_a_map_that_are_absent_are_sent_whole() {
        assert_eq!(
            patch(&observed(&[], Annotations::Absent), &[append("a"), append("b")]),
            json!([
                {"op": "add", "path": "/imagePullSecrets", "value": [{"name": "a"}, {"name": "b"}]},
                {"op": "add", "path": "/metadata/annotations", "value":
                    {"added.regcred.dev/a": "darwin", "added.regcred.dev/b": "darwin"}},
            ])
        );
    }

    #[test]
    fn entries_are_appended_to_a_list_that_is_there() {
        assert_eq!(
            patch(&observed(&["theirs"], Annotations::Present), &[append("a"), append("b")]),
            json!([
                {"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "a"}},
                {"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "b"}},
                {"op": "add", "path": "/metadata/annotations/added.regcred.dev~1a", "value": "darwin"},
                {"op": "add", "path": "/metadata/annotations/added.regcred.dev~1b", "value": "darwin"},
            ])
        );
    }

    #[test]
    fn entries_are_removed_from_the_end_and_of_duplicates_the_last() {
        let there = observed(&["a", "theirs", "b", "a"], Annotations::Present);
        assert_eq!(
            patch(&there, &[Change::Remove("b".into()), Change::Remove("a".into())]),
            json!([
                {"op": "remove", "path": "/imagePullSecrets/3"},
                {"op": "remove", "path": "/imagePullSecrets/2"},
                {"op": "remove", "path": "/metadata/annotations/added.regcred.dev~1b"},
                {"op": "remove", "path": "/metadata/annotations/added.regcred.dev~1a"},
            ])
        );
    }

    #[test]
    fn removals_come_before_additions() {
        assert_eq!(
            patch(&observed(&["old"], Annotations::Present), &[append("new"), Change::Remove("old".into())]),
            json!([
                {"op": "remove", "path": "/imagePullSecrets/0"},
                {"op": "add", "path": "/imagePullSecrets/-", "value": {"name": "new"}},
                {"op": "add", "path": "/metadata/annotations/added.regcred.dev~1new", "value": "darwin"},
                {"op": "remove", "path": "/metadata/annotations/added.regcred.dev~1old"},
            ])
        );
    }

    #[test]
    fn recording_and_forgetting_leave_the_list_alone() {
        let there = observed(&["a"], Annotations::Present);
        assert_eq!(
            patch(&there, &[Change::Record("a".into(), "darwin".into()), Change::Forget("b".into())]),
            json!([
                {"op": "add", "path": "/metadata/annotations/added.regcred.dev~1a", "value": "darwin"},
                {"op": "remove", "path": "/metadata/annotations/added.regcred.dev~1b"},
            ])
        );
        assert_eq!(
            patch(&observed(&["a"], Annotations::Absent), &[Change::Record("a".into(), "darwin".into())]),
            json!([{"op": "add", "path": "/metadata/annotations", "value": {"added.regcred.dev/a": "darwin"}}])
        );
    }

    #[test]
    fn a_tilde_in_a_name_is_escaped_before_the_slash() {
        assert_eq!(
            patch(&observed(&[], Annotations::Present), &[Change::Forget("a~/b".into())]),
            json!([{"op": "remove", "path": "/metadata/annotations/added.regcred.dev~1a~0~1b"}])
        );
    }

    #[test]
    fn a_removal_without_an_entry_removes_no_entry() {
        assert_eq!(
            patch(&observed(&["theirs"], Annotations::Present), &[Change::Remove("a".into())]),
            json!([{"op": "remove", "path": "/metadata/annotations/added.regcred.dev~1a"}])
        );
    }
}
