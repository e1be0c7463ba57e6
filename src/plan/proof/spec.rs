//! What a namespace has to come to, in plain rules. Written from the design, and without any of `plan`'s functions.

use serde_json::{Value, json};

use super::world::{
    FIELDS, StoredSecret, World, applied_by, created_uid, data_of, entries, prune, record, template_of,
};
use crate::{
    api::{ADDED_PREFIX, ConflictPolicy, CredentialName, NamespaceName, SecretName, ServiceAccountName},
    plan::{Contested, Desired, DesiredState, LongAbsent, Maker, OtherOwners, ResourceVersion, Scope, Secret},
    process::Text,
};

/// Whose a Secret is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose<'a> {
    /// It says that this credential made it, and that credential owns it.
    Ours(&'a CredentialName),
    /// It says that this credential made it, and none but dead credentials own it.
    Dying(&'a CredentialName),
    /// It says that this credential made it, and nobody owns it any more.
    GivenAway(&'a CredentialName),
    /// Somebody else's.
    Foreign,
}

/// Whose a Secret is: our label and the owner references decide together.
pub fn whose<'a>(secret: &'a Secret, all_desired: &[&Desired]) -> Whose<'a> {
    let Some(maker) = &secret.label else { return Whose::Foreign };
    if all_desired.iter().any(|desired| desired.credential == *maker && desired.maker == Maker::Others) {
        // It makes none, whoever says so.
        return Whose::Foreign;
    }
    let alive = |uid: &Text| all_desired.iter().find(|desired| desired.uid == *uid);
    let mut owners = secret.credential_owners.iter();
    if owners.any(|(_, uid)| alive(uid).is_some_and(|desired| desired.credential == *maker)) {
        Whose::Ours(maker)
    } else if secret.other_owners == OtherOwners::Some {
        Whose::Foreign
    } else if secret.credential_owners.is_empty() {
        Whose::GivenAway(maker)
    } else if secret.credential_owners.iter().all(|(name, uid)| alive(uid).is_none() && name == maker) {
        Whose::Dying(maker)
    } else {
        Whose::Foreign
    }
}

/// Whether a credential's Secrets have this name, as far as one knows: an entry for another name was added by one that had
/// the credential's name before it, and is gone.
pub fn has_name(desired: &Desired, secret: &SecretName) -> bool {
    match desired.scope {
        Scope::Known { .. } => desired.secret == *secret,
        Scope::Unknown => true,
    }
}

/// Whether a Secret is one that somebody else has made for pods to pull with.
pub fn is_usable(secret: &Secret) -> bool {
    secret.label.is_none() && !secret.wrong_type && !secret.deleting
}

/// Which credential has a Secret name.
pub fn keeper<'a>(
    name: &NamespaceName,
    secret: &SecretName,
    all_desired: &[&'a Desired],
    world: &World,
) -> Option<&'a Desired> {
    let there = world.secrets.get(secret).map(|secret| &secret.meta);
    let targets = |desired: &Desired| match &desired.scope {
        Scope::Known { namespaces, .. } => namespaces.matches(name, &Default::default()),
        Scope::Unknown => false,
    };
    let may_have = |desired: &Desired| {
        let wants = desired.secret == *secret;
        let wants_here = wants && targets(desired);
        if desired.state != DesiredState::Stalled {
            return wants_here;
        }
        // What a held credential wants, may want or has left traces of is reserved for it.
        let may_want = wants && matches!(desired.scope, Scope::Unknown);
        let made = there.is_some_and(|secret| secret.label.as_ref() == Some(&desired.credential));
        let added = has_name(desired, secret)
            && world.accounts.values().any(|account| record(account, secret).as_ref() == Some(&desired.credential));
        wants_here || may_want || made || added
    };
    let mut candidates: Vec<&Desired> = all_desired.iter().copied().filter(|desired| may_have(desired)).collect();
    candidates.sort_by(|a, b| (a.created, &a.credential).cmp(&(b.created, &b.credential)));
    let owner = candidates.iter().find(|desired| match there.map(|secret| whose(secret, all_desired)) {
        Some(Whose::Ours(maker)) => *maker == desired.credential,
        Some(Whose::Dying(maker)) => *maker == desired.credential && desired.state == DesiredState::Stalled,
        _ => false,
    });
    owner.or(candidates.first()).copied()
}

/// Where a namespace has to end that looks like `world` now.
pub fn specified_end(
    name: &NamespaceName,
    all_desired: &[&Desired],
    world: &World,
    contested: &Contested,
    long_absent: &LongAbsent,
) -> World {
    let mut end = world.clone();
    for secret in ["pull", "other"].map(SecretName::from) {
        let fate = fate(name, &secret, all_desired, world, long_absent);
        match &fate {
            Fate::Written(desired) => {
                let written = written(desired, &secret, world.secrets.get(&secret), all_desired);
                end.secrets.insert(secret.clone(), written);
            }
            Fate::Deleted => {
                end.secrets.remove(&secret);
            }
            Fate::Reserved | Fate::Kept(_) | Fate::Awaited(_) | Fate::LeftAlone(_) => {}
        }
        for (account_name, account) in &mut end.accounts {
            let fought = contested.contains(&(account_name.clone(), secret.clone()));
            settle(account_name, account, &secret, &fate, all_desired, fought);
        }
    }
    end.timeless().unmarked()
}

/// What becomes of a Secret name.
enum Fate<'a> {
    /// A held credential has it: nothing about it changes.
    Reserved,
    /// The credential's Secret is there as it should be, whoever has made it.
    Kept(&'a Desired),
    /// The credential's Secret is applied.
    Written(&'a Desired),
    /// What is there is being deleted, or can't be used; the credential's Secret comes after it.
    Awaited(&'a Desired),
    /// What is there isn't touched; the credential that gave it away to people, if one did.
    LeftAlone(Option<CredentialName>),
    /// It was ours and nobody wants it.
    Deleted,
}

fn fate<'a>(
    name: &NamespaceName,
    secret: &SecretName,
    all_desired: &[&'a Desired],
    world: &World,
    long_absent: &LongAbsent,
) -> Fate<'a> {
    let there = world.secrets.get(secret).map(|secret| &secret.meta);
    let given_away_by = there.and_then(|there| match whose(there, all_desired) {
        Whose::GivenAway(maker) => Some(maker.clone()),
        _ => None,
    });
    let Some(desired) = keeper(name, secret, all_desired, world) else {
        return match there.map(|there| (whose(there, all_desired), there.deleting)) {
            // Deleting again what is being deleted does nothing.
            Some((Whose::Ours(_) | Whose::Dying(_), false)) => Fate::Deleted,
            _ => Fate::LeftAlone(given_away_by),
        };
    };
    let revision = match &desired.state {
        DesiredState::Resolved { revision, .. } => revision,
        DesiredState::Stalled => return Fate::Reserved,
        DesiredState::Attached => {
            return match there {
                // Who had it made doesn't want it here.
                Some(there) if matches!(whose(there, all_desired), Whose::Ours(_) | Whose::Dying(_)) => {
                    let needed = world.accounts.values().any(|account| is_held_entry(account, secret, all_desired));
                    if there.deleting || needed { Fate::LeftAlone(None) } else { Fate::Deleted }
                }
                Some(there) if is_usable(there) => Fate::Kept(desired),
                _ if long_absent.contains(secret) => Fate::LeftAlone(given_away_by),
                _ => Fate::Awaited(desired),
            };
        }
    };
    let Some(there) = there else { return Fate::Written(desired) };
    let whose = whose(there, all_desired);
    let in_the_way = matches!(whose, Whose::Foreign | Whose::GivenAway(_)) && desired.policy == ConflictPolicy::Fail;
    if there.wrong_type || in_the_way {
        return Fate::LeftAlone(given_away_by);
    }
    let own = whose == Whose::Ours(&desired.credential);
    let untouched =
        there.revision.as_ref().map(Text::as_str) == Some(revision.as_str()) && there.owned_fields == Some(FIELDS);
    match (own, there.deleting) {
        (true, true) => Fate::Kept(desired),
        (true, false) if untouched => Fate::Kept(desired),
        (false, true) => Fate::Awaited(desired),
        (_, false) => Fate::Written(desired),
    }
}

fn written(
    desired: &Desired,
    name: &SecretName,
    before: Option<&StoredSecret>,
    all_desired: &[&Desired],
) -> StoredSecret {
    let DesiredState::Resolved { revision, .. } = &desired.state else { panic!("held") };
    // Where a patch will do, further owners stay: one of ours with the right template, of which all is ours once what it
    // holds is changed.
    let wanted = Text::from(revision.as_str());
    let patched = before.filter(|before| {
        let (there, ours) = (before.meta.revision.as_ref(), data_of(&desired.credential));
        let taken_back = before.meta.creation.is_some() && before.meta.owned_fields.is_none() && before.data != ours;
        whose(&before.meta, all_desired) == Whose::Ours(&desired.credential)
            && there.and_then(template_of).is_some_and(|there| Some(there) == template_of(&wanted))
            && (taken_back || before.meta.owned_fields == Some(FIELDS))
    });
    let owner = (desired.credential.clone(), desired.uid.clone());
    let ours = || {
        // An apply leaves what a POST has put there; elsewhere that has been settled before.
        let posted = before.filter(|before| before.meta.creation.is_some() && before.meta.label.is_none());
        let others = posted.map(|before| before.meta.credential_owners.iter().filter(|known| **known != owner));
        [owner.clone()].into_iter().chain(others.into_iter().flatten().cloned()).collect()
    };
    // Nobody else's part in it can go with a PUT of all of it.
    let is_replaced =
        before.is_some_and(|before| before.meta.is_ours_alone && (before.meta.creation.is_some() || patched.is_some()));
    let kept = patched.filter(|_| !is_replaced).map(|before| before.meta.credential_owners.clone());
    StoredSecret {
        meta: Secret {
            uid: before.map_or_else(|| created_uid(name, &desired.credential), |before| before.meta.uid.clone()),
            resource_version: ResourceVersion(0),
            created: Default::default(),
            deleting: false,
            wrong_type: false,
            label: Some(desired.credential.clone()),
            credential_owners: if is_replaced { [owner.clone()].into() } else { kept.unwrap_or_else(ours) },
            other_owners: before.map_or(OtherOwners::None, |before| before.meta.other_owners),
            revision: Some(revision.as_str().into()),
            owned_fields: Some(FIELDS),
            creation: None,
            is_ours_alone: before.is_none_or(|before| before.meta.is_ours_alone),
        },
        data: data_of(&desired.credential),
    }
}

/// Whether a service account that stays has an entry that a held credential has added, as far as one knows.
fn is_held_entry(account: &Value, secret: &SecretName, all_desired: &[&Desired]) -> bool {
    let Some(recorded) = record(account, secret) else { return false };
    let is_held = |desired: &&&Desired| desired.credential == recorded && desired.state == DesiredState::Stalled;
    account["metadata"].get("deletionTimestamp").is_none()
        && all_desired.iter().find(is_held).is_some_and(|desired| has_name(desired, secret))
}

/// Makes one service account what it has to be for one Secret name.
fn settle(
    name: &ServiceAccountName,
    account: &mut Value,
    secret: &SecretName,
    fate: &Fate<'_>,
    all_desired: &[&Desired],
    fought: bool,
) {
    let recorded = record(account, secret);
    if account["metadata"].get("deletionTimestamp").is_some() || is_held_entry(account, secret, all_desired) {
        return;
    }
    let chooses = |desired: &Desired| match &desired.scope {
        Scope::Known { service_accounts, .. } => service_accounts.matches(name, &Default::default()),
        Scope::Unknown => false,
    };
    let present = entries(account).contains(secret);
    match fate {
        Fate::Reserved => {}
        Fate::Kept(desired) | Fate::Written(desired) if chooses(desired) => {
            let adopt = desired.policy == ConflictPolicy::Adopt;
            let hands_off = if present {
                recorded.is_none() && !adopt
            } else {
                fought || (applied_by(account).is_some() && !adopt)
            };
            if hands_off {
                return;
            }
            if !present {
                let list = account.as_object_mut().expect("an object").entry("imagePullSecrets");
                let list = list.or_insert_with(|| json!([])).as_array_mut().expect("a list");
                list.push(json!({"name": secret.as_str()}));
            }
            account["metadata"]["annotations"][format!("{ADDED_PREFIX}{secret}")] = json!(desired.credential.as_str());
        }
        Fate::Awaited(desired) if chooses(desired) => {}
        // Who gives a Secret away wants pods to go on using it.
        Fate::LeftAlone(Some(maker)) if recorded.as_ref() == Some(maker) => {}
        Fate::Kept(_) | Fate::Written(_) | Fate::Awaited(_) | Fate::LeftAlone(_) | Fate::Deleted => {
            if recorded.is_none() {
                return;
            }
            let list = account.get_mut("imagePullSecrets").and_then(Value::as_array_mut);
            if let Some(list) = list
                && let Some(last) = list.iter().rposition(|entry| entry["name"] == secret.as_str())
            {
                list.remove(last);
            }
            let annotations = account["metadata"]["annotations"].as_object_mut().expect("a record");
            annotations.remove(&format!("{ADDED_PREFIX}{secret}"));
            prune(account, "imagePullSecrets");
            prune(&mut account["metadata"], "annotations");
        }
    }
}
