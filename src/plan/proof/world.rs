//! A tiny API server for one namespace: just what decides whether a write of ours happens and what it leaves behind.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    api::{ADDED_PREFIX, CredentialName, SecretName, ServiceAccountName},
    plan::{
        Annotations, Desired, DesiredState, ListWriter, Namespace, OtherOwners, ResourceVersion, Secret,
        ServiceAccount, Step, Write, WriteOperation, json_patch,
    },
    process::Text,
};

/// The Secret names that the model knows as its own.
pub const SECRETS: [&str; 2] = ["pull", "other"];

/// Labels and annotations that every applied Secret of the model has.
pub const FIELDS: usize = 2;

/// A Secret with the data that the operator never sees.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredSecret {
    pub meta: Secret,
    pub data: String,
}

/// What is stored in the namespace.
#[derive(Clone, Debug, PartialEq)]
pub struct World {
    pub secrets: BTreeMap<SecretName, StoredSecret>,
    pub accounts: BTreeMap<ServiceAccountName, Value>,
}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    Done,
    /// 409.
    Conflict,
    /// 404.
    NotFound,
    /// 422.
    Invalid,
}

/// What a credential's Secret holds.
pub fn data_of(credential: &CredentialName) -> String {
    format!("the docker config of {credential}")
}

/// The UID of a Secret that a credential's apply creates.
pub fn created_uid(secret: &SecretName, credential: &CredentialName) -> Box<str> {
    format!("{secret}, created for {credential}").into()
}

impl World {
    /// What the caches tell of it.
    pub fn observe(&self) -> Namespace {
        Namespace {
            secrets: self.secrets.iter().map(|(name, secret)| (name.clone(), secret.meta.clone())).collect(),
            service_accounts: self.accounts.iter().map(|(name, value)| (name.clone(), account(value))).collect(),
            ..Namespace::default()
        }
    }

    /// Executes one step that was planned when the namespace looked like `seen`.
    pub fn execute(&mut self, step: &Step, all_desired: &[&Desired], seen: &Namespace) -> Answer {
        match step {
            Step::WriteSecret { credential, secret, write } => {
                let desired = all_desired.iter().find(|c| c.credential == *credential).expect("the claim exists");
                self.write(desired, secret, write)
            }
            Step::PatchServiceAccount { service_account, changes } => {
                let patch = json_patch(seen.service_accounts.get(service_account).expect("an account"), changes);
                self.patch(service_account, patch)
            }
            Step::DeleteSecret { secret, uid, resource_version } => match self.secrets.get(secret) {
                None => Answer::NotFound,
                Some(there) if there.meta.uid != *uid || there.meta.resource_version != *resource_version => {
                    Answer::Conflict
                }
                Some(there) => {
                    // What is being deleted already waits for somebody's finalizer.
                    if !there.meta.deleting {
                        self.secrets.remove(secret);
                    }
                    Answer::Done
                }
            },
            Step::Refuse { .. } => Answer::Done,
        }
    }

    fn write(&mut self, desired: &Desired, name: &SecretName, write: &Write) -> Answer {
        let there = self.secrets.get(name).cloned();
        let seen = |version: &ResourceVersion| there.as_ref().map(|there| there.meta.resource_version == *version);
        match (write, &there) {
            (Write::Create, Some(_)) | (Write::Replace { .. } | Write::Apply { .. }, None) => return Answer::Conflict,
            (Write::Replace { uid, resource_version } | Write::Apply { uid, resource_version }, Some(there))
                if there.meta.uid != *uid || there.meta.resource_version != *resource_version =>
            {
                return Answer::Conflict;
            }
            (Write::Patch { resource_version, .. } | Write::Settle { resource_version, .. }, _) => {
                match seen(resource_version) {
                    None => return Answer::NotFound,
                    Some(false) => return Answer::Conflict,
                    Some(true) => {}
                }
            }
            _ => {}
        }
        if there.as_ref().is_some_and(|there| there.meta.wrong_type) && !matches!(write, Write::Settle { .. }) {
            return Answer::Invalid;
        }
        let DesiredState::Resolved { revision, .. } = &desired.state else {
            panic!("a credential is written that is held or makes no Secrets")
        };
        let new = Secret { uid: created_uid(name, &desired.credential), ..Secret::default() };
        let StoredSecret { meta: before, data } = there.unwrap_or(StoredSecret { meta: new, data: String::new() });
        let resource_version = ResourceVersion(before.resource_version.0 + 1);
        let (revision, our) = (revision.as_str().into(), data_of(&desired.credential));
        let owner = (desired.credential.clone(), desired.uid.clone());
        let (meta, data) = match write {
            Write::Settle { entry, .. } => {
                assert_eq!(before.creation, Some(*entry), "another entry is made an apply's");
                assert!(before.label.is_some(), "config/policy refuses what leaves no label behind");
                (Secret { resource_version, creation: None, ..before }, data)
            }
            Write::Patch { entry, .. } => {
                assert_eq!(before.creation, *entry, "another entry is made an apply's");
                assert!(before.label.as_ref() == Some(&desired.credential), "a patch of another's Secret");
                let there = before.revision.as_ref().and_then(template_of);
                assert!(there.is_some() && there == template_of(&revision), "labels and annotations aren't patched");
                // What is equal isn't taken back from who has taken it over.
                let owned_fields = if data == our { before.owned_fields } else { before.owned_fields.or(Some(FIELDS)) };
                let revision = Some(revision);
                (Secret { resource_version, revision, owned_fields, creation: None, ..before }, our)
            }
            Write::Replace { .. } => {
                assert!(before.is_ours_alone, "what others have put in is replaced");
                // Else some of it would be owned by an update and some by an apply, which takes out its own only.
                let is_data_only = before.revision.as_ref().and_then(template_of) == template_of(&revision);
                assert!(before.creation.is_some() || is_data_only, "an apply's labels and annotations are replaced");
                let meta = Secret {
                    resource_version,
                    label: Some(desired.credential.clone()),
                    credential_owners: [owner].into(),
                    revision: Some(revision),
                    owned_fields: Some(FIELDS),
                    ..before
                };
                (meta, our)
            }
            Write::Create | Write::Apply { .. } => {
                // Owner references that earlier applies of ours set go; those of others stay, and those of a POST.
                let mut owners = vec![owner.clone()];
                if before.creation.is_some() {
                    owners.extend(before.credential_owners.iter().filter(|known| **known != owner).cloned());
                }
                let meta = Secret {
                    resource_version,
                    label: Some(desired.credential.clone()),
                    credential_owners: owners.into(),
                    revision: Some(revision),
                    owned_fields: Some(FIELDS),
                    creation: if *write == Write::Create { Some(0) } else { before.creation },
                    is_ours_alone: *write == Write::Create || before.is_ours_alone,
                    ..before
                };
                (meta, our)
            }
        };
        self.secrets.insert(name.clone(), StoredSecret { meta, data });
        Answer::Done
    }

    fn patch(&mut self, name: &ServiceAccountName, patch: Vec<Value>) -> Answer {
        let Some(there) = self.accounts.get(name) else { return Answer::NotFound };
        let patch: json_patch::Patch = serde_json::from_value(Value::Array(patch)).expect("a JSON patch");
        let mut patched = there.clone();
        if json_patch::patch(&mut patched, &patch).is_err() {
            return Answer::Invalid;
        }
        if patched["metadata"]["resourceVersion"] != there["metadata"]["resourceVersion"] {
            return Answer::Conflict;
        }
        let version = number(&patched) + 1;
        patched["metadata"]["resourceVersion"] = json!(version.to_string());
        // The API server drops what is empty.
        prune(&mut patched, "imagePullSecrets");
        prune(&mut patched["metadata"], "annotations");
        self.accounts.insert(name.clone(), patched);
        Answer::Done
    }

    /// Deletes what only RegistryCredentials own that are gone; false where there is nothing of that kind.
    pub fn collect_garbage(&mut self, all_desired: &[&Desired]) -> bool {
        let before = self.secrets.len();
        self.secrets.retain(|_, secret| {
            let mut owners = secret.meta.credential_owners.iter();
            secret.meta.deleting
                || secret.meta.other_owners == OtherOwners::Some
                || secret.meta.credential_owners.is_empty()
                || owners.any(|(_, uid)| all_desired.iter().any(|desired| desired.uid == *uid))
        });
        self.secrets.len() < before
    }

    /// The same without what says when writes were made: resourceVersions, and the order of the entries that stand last
    /// and may all be ours.
    pub fn timeless(&self) -> Self {
        let mut world = self.clone();
        for secret in world.secrets.values_mut() {
            secret.meta.resource_version = ResourceVersion(0);
        }
        for account in world.accounts.values_mut() {
            account["metadata"]["resourceVersion"] = json!("0");
            if let Some(list) = account.get_mut("imagePullSecrets").and_then(Value::as_array_mut) {
                let ours = |entry: &Value| SECRETS.iter().any(|secret| entry["name"] == **secret);
                let first = list.iter().rposition(|entry| !ours(entry)).map_or(0, |last| last + 1);
                list[first..].sort_by_key(|entry| entry["name"].to_string());
            }
        }
        world
    }

    /// The same without what says by which request a Secret was made.
    pub fn unmarked(mut self) -> Self {
        self.secrets.values_mut().for_each(|secret| secret.meta.creation = None);
        self
    }
}

/// The part of a revision that is of name, labels and annotations.
pub fn template_of(revision: &Text) -> Option<&str> {
    revision.as_str().split_once('-').map(|(_, template)| template)
}

/// Removes an empty list or map.
pub fn prune(parent: &mut Value, key: &str) {
    let parent = parent.as_object_mut().expect("an object");
    let empty = match parent.get(key) {
        Some(Value::Array(list)) => list.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        _ => false,
    };
    if empty {
        parent.remove(key);
    }
}

fn number(account: &Value) -> u64 {
    account["metadata"]["resourceVersion"].as_str().and_then(|v| v.parse().ok()).expect("a resourceVersion")
}

/// The names in a service account's imagePullSecrets.
pub fn entries(account: &Value) -> Vec<SecretName> {
    let list = account["imagePullSecrets"].as_array();
    list.into_iter().flatten().map(|entry| entry["name"].as_str().unwrap_or_default().into()).collect()
}

/// How often a service account names a Secret.
pub fn count(account: &Value, secret: &SecretName) -> usize {
    entries(account).iter().filter(|entry| *entry == secret).count()
}

/// Whose the entry for `secret` is, as its annotation says.
pub fn record(account: &Value, secret: &SecretName) -> Option<CredentialName> {
    let value = &account["metadata"]["annotations"][format!("{ADDED_PREFIX}{secret}")];
    value.as_str().map(CredentialName::from)
}

/// The manager that applies the list, where there is one.
pub fn applied_by(account: &Value) -> Option<&str> {
    account["metadata"]["appliedBy"].as_str()
}

fn account(value: &Value) -> ServiceAccount {
    let metadata = &value["metadata"];
    let annotations = metadata["annotations"].as_object();
    let added = annotations
        .into_iter()
        .flatten()
        .filter_map(|(key, credential)| Some((key.strip_prefix(ADDED_PREFIX)?.into(), credential.as_str()?.into())));
    ServiceAccount {
        uid: metadata["uid"].as_str().unwrap_or_default().into(),
        resource_version: ResourceVersion(number(value)),
        deleting: metadata.get("deletionTimestamp").is_some(),
        entries: entries(value).into(),
        added: added.collect(),
        annotations: if annotations.is_some() { Annotations::Present } else { Annotations::Absent },
        // Not managedFields: whoever applies a list will apply it again, whatever we do to it in between.
        list_writer: applied_by(value)
            .map(|manager| ListWriter { manager: manager.into(), operation: WriteOperation::Apply }),
        ..ServiceAccount::default()
    }
}
