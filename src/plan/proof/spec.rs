//! What a namespace has to come to, in plain rules. Written from the design, and without any of `plan`'s functions.

use serde_json::{Value, json};

use super::world::{FIELDS, StoredSecret, World, applied_by, created_uid, data_of, entries, prune, record};
use crate::{
    api::{ADDED_PREFIX, ConflictPolicy, CredentialName, NamespaceName, SecretName, ServiceAccountName},
    plan::{Claim, ClaimState, Contested, OtherOwners, ResourceVersion, Scope, Secret},
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
pub fn whose<'a>(secret: &'a Secret, claims: &[&Claim]) -> Whose<'a> {
    let Some(maker) = &secret.label else { return Whose::Foreign };
    let alive = |uid: &Text| claims.iter().find(|claim| claim.uid == *uid);
    let mut owners = secret.credential_owners.iter();
    if owners.any(|(_, uid)| alive(uid).is_some_and(|claim| claim.credential == *maker)) {
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
pub fn has_name(claim: &Claim, secret: &SecretName) -> bool {
    match claim.scope {
        Scope::Known { .. } => claim.secret == *secret,
        Scope::Unknown => true,
    }
}

/// Which credential has a Secret name.
fn keeper<'a>(name: &NamespaceName, secret: &SecretName, claims: &[&'a Claim], world: &World) -> Option<&'a Claim> {
    let there = world.secrets.get(secret).map(|secret| &secret.meta);
    let targets = |claim: &Claim| match &claim.scope {
        Scope::Known { namespaces, .. } => namespaces.matches(name, &Default::default()),
        Scope::Unknown => false,
    };
    let may_have = |claim: &Claim| {
        let wants = claim.secret == *secret;
        let wants_here = wants && targets(claim);
        if claim.state != ClaimState::Held {
            return wants_here;
        }
        // What a held credential wants, may want or has left traces of is reserved for it.
        let may_want = wants && matches!(claim.scope, Scope::Unknown);
        let made = there.is_some_and(|secret| secret.label.as_ref() == Some(&claim.credential));
        let added = has_name(claim, secret)
            && world.accounts.values().any(|account| record(account, secret).as_ref() == Some(&claim.credential));
        wants_here || may_want || made || added
    };
    let mut candidates: Vec<&Claim> = claims.iter().copied().filter(|claim| may_have(claim)).collect();
    candidates.sort_by(|a, b| (a.created, &a.credential).cmp(&(b.created, &b.credential)));
    let owner = candidates.iter().find(|claim| match there.map(|secret| whose(secret, claims)) {
        Some(Whose::Ours(maker)) => *maker == claim.credential,
        Some(Whose::Dying(maker)) => *maker == claim.credential && claim.state == ClaimState::Held,
        _ => false,
    });
    owner.or(candidates.first()).copied()
}

/// Where a namespace has to end that looks like `world` now.
pub fn specified_end(name: &NamespaceName, claims: &[&Claim], world: &World, contested: &Contested) -> World {
    let mut end = world.clone();
    for secret in ["pull", "other"].map(SecretName::from) {
        let fate = fate(name, &secret, claims, world);
        match &fate {
            Fate::Written(claim) => {
                let written = written(claim, &secret, world.secrets.get(&secret));
                end.secrets.insert(secret.clone(), written);
            }
            Fate::Deleted => {
                end.secrets.remove(&secret);
            }
            Fate::Reserved | Fate::Kept(_) | Fate::Awaited(_) | Fate::LeftAlone(_) => {}
        }
        for (account_name, account) in &mut end.accounts {
            let fought = contested.contains(&(account_name.clone(), secret.clone()));
            settle(account_name, account, &secret, &fate, claims, fought);
        }
    }
    end.timeless()
}

/// What becomes of a Secret name.
enum Fate<'a> {
    /// A held credential has it: nothing about it changes.
    Reserved,
    /// The credential's Secret is there as it should be.
    Kept(&'a Claim),
    /// The credential's Secret is applied.
    Written(&'a Claim),
    /// What is there is being deleted; the credential's Secret comes after it.
    Awaited(&'a Claim),
    /// What is there isn't touched; the credential that gave it away to people, if one did.
    LeftAlone(Option<CredentialName>),
    /// It was ours and nobody wants it.
    Deleted,
}

fn fate<'a>(name: &NamespaceName, secret: &SecretName, claims: &[&'a Claim], world: &World) -> Fate<'a> {
    let there = world.secrets.get(secret).map(|secret| &secret.meta);
    let given_away_by = there.and_then(|there| match whose(there, claims) {
        Whose::GivenAway(maker) => Some(maker.clone()),
        _ => None,
    });
    let Some(claim) = keeper(name, secret, claims, world) else {
        return match there.map(|there| (whose(there, claims), there.deleting)) {
            // Deleting again what is being deleted does nothing.
            Some((Whose::Ours(_) | Whose::Dying(_), false)) => Fate::Deleted,
            _ => Fate::LeftAlone(given_away_by),
        };
    };
    let ClaimState::Resolved { revision, .. } = &claim.state else { return Fate::Reserved };
    let Some(there) = there else { return Fate::Written(claim) };
    let whose = whose(there, claims);
    let in_the_way = matches!(whose, Whose::Foreign | Whose::GivenAway(_)) && claim.policy == ConflictPolicy::Fail;
    if there.wrong_type || in_the_way {
        return Fate::LeftAlone(given_away_by);
    }
    let own = whose == Whose::Ours(&claim.credential);
    let untouched =
        there.revision.as_ref().map(Text::as_str) == Some(revision.as_str()) && there.applied_fields == Some(FIELDS);
    match (own, there.deleting) {
        (true, true) => Fate::Kept(claim),
        (true, false) if untouched => Fate::Kept(claim),
        (false, true) => Fate::Awaited(claim),
        (_, false) => Fate::Written(claim),
    }
}

fn written(claim: &Claim, name: &SecretName, before: Option<&StoredSecret>) -> StoredSecret {
    let ClaimState::Resolved { revision, .. } = &claim.state else { panic!("held") };
    StoredSecret {
        meta: Secret {
            uid: before.map_or_else(|| created_uid(name, &claim.credential), |before| before.meta.uid.clone()),
            resource_version: ResourceVersion(0),
            created: Default::default(),
            deleting: false,
            wrong_type: false,
            label: Some(claim.credential.clone()),
            credential_owners: [(claim.credential.clone(), claim.uid.clone())].into(),
            other_owners: before.map_or(OtherOwners::None, |before| before.meta.other_owners),
            revision: Some(revision.as_str().into()),
            applied_fields: Some(FIELDS),
        },
        data: data_of(&claim.credential),
    }
}

/// Makes one service account what it has to be for one Secret name.
fn settle(
    name: &ServiceAccountName,
    account: &mut Value,
    secret: &SecretName,
    fate: &Fate<'_>,
    claims: &[&Claim],
    fought: bool,
) {
    let recorded = record(account, secret);
    let held = |credential: &CredentialName| {
        let is_held = |claim: &&&Claim| claim.credential == *credential && claim.state == ClaimState::Held;
        claims.iter().find(is_held).is_some_and(|claim| has_name(claim, secret))
    };
    if account["metadata"].get("deletionTimestamp").is_some() || recorded.as_ref().is_some_and(held) {
        return;
    }
    let chooses = |claim: &Claim| match &claim.scope {
        Scope::Known { service_accounts, .. } => service_accounts.matches(name, &Default::default()),
        Scope::Unknown => false,
    };
    let present = entries(account).contains(secret);
    match fate {
        Fate::Reserved => {}
        Fate::Kept(claim) | Fate::Written(claim) if chooses(claim) => {
            let adopt = claim.policy == ConflictPolicy::Adopt;
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
            account["metadata"]["annotations"][format!("{ADDED_PREFIX}{secret}")] = json!(claim.credential.as_str());
        }
        Fate::Awaited(claim) if chooses(claim) => {}
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
