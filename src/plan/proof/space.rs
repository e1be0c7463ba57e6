//! The states that a search starts from. What can't matter to each other isn't crossed: Secret names are settled one by
//! one, and service accounts meet only in "are all entries gone" and "does a held credential have an entry anywhere".

use std::sync::OnceLock;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    Case,
    world::{FIELDS, StoredSecret, World, data_of},
};
use crate::{
    api::{ADDED_PREFIX, Attach, ConflictPolicy, NamespaceTargets, ServiceAccountTargets},
    credential::{
        Revision,
        testing::{resolved, spec},
    },
    names::{CredentialName, SecretName},
    plan::{
        Claim, ClaimState, Contested, NamespaceRule, OtherOwners, ResourceVersion, Scope, Secret, ServiceAccountRule,
    },
};

pub const NAMESPACE: &str = "team-a";
pub const SECRETS: [&str; 2] = ["pull", "other"];
const FIRST: &str = "builder";
const SECOND: &str = "default";

/// Two credentials, the older one first, and one that doesn't exist any more.
const ALPHA: &str = "zeta-the-elder";
const BETA: &str = "alpha-the-younger";
const GONE: &str = "gone";

/// Which service accounts a credential chooses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Chosen {
    None,
    First,
    All,
}

/// What there is of a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Absent,
    Resolved(ConflictPolicy, Chosen),
    ResolvedElsewhere,
    Held(ConflictPolicy),
    HeldElsewhere,
    HeldUnknown,
}

const KINDS: [Kind; 12] = {
    use Chosen::{All, First, None};
    use ConflictPolicy::{Adopt, Fail};
    [
        Kind::Absent,
        Kind::Resolved(Fail, None),
        Kind::Resolved(Fail, First),
        Kind::Resolved(Fail, All),
        Kind::Resolved(Adopt, None),
        Kind::Resolved(Adopt, First),
        Kind::Resolved(Adopt, All),
        Kind::ResolvedElsewhere,
        Kind::Held(Fail),
        Kind::Held(Adopt),
        Kind::HeldElsewhere,
        Kind::HeldUnknown,
    ]
};

fn uid(credential: &str) -> Box<str> {
    format!("uid of {credential}").into()
}

fn revision(credential: &str) -> Revision {
    static REVISIONS: OnceLock<[Revision; 2]> = OnceLock::new();
    let revision = |registry: &str| resolved("any", &spec(&[registry])).revision().clone();
    let [alpha, beta] = REVISIONS.get_or_init(|| ["gcr.io", "eu.gcr.io"].map(revision));
    if credential == ALPHA { alpha.clone() } else { beta.clone() }
}

fn claim(credential: &str, secret: &str, kind: Kind) -> Option<Claim> {
    let (policy, chosen, targets, held) = match kind {
        Kind::Absent => return None,
        Kind::Resolved(policy, chosen) => (policy, chosen, NAMESPACE, false),
        Kind::ResolvedElsewhere => (ConflictPolicy::Adopt, Chosen::All, "elsewhere", false),
        Kind::Held(policy) => (policy, Chosen::All, NAMESPACE, true),
        Kind::HeldElsewhere => (ConflictPolicy::Adopt, Chosen::All, "elsewhere", true),
        Kind::HeldUnknown => (ConflictPolicy::Fail, Chosen::None, "", true),
    };
    let namespaces = NamespaceTargets { names: vec![targets.to_owned()], ..NamespaceTargets::default() };
    let service_accounts = match chosen {
        Chosen::None => ServiceAccountTargets { attach: Attach::None, ..ServiceAccountTargets::default() },
        Chosen::First => ServiceAccountTargets { names: Some(vec![FIRST.to_owned()]), ..Default::default() },
        Chosen::All => ServiceAccountTargets { names: Some(vec!["*".to_owned()]), ..Default::default() },
    };
    let scope = Scope::Known {
        namespaces: NamespaceRule::new(&namespaces).expect("no selector"),
        service_accounts: ServiceAccountRule::new(&service_accounts).expect("no selector"),
    };
    let resolved = || ClaimState::Resolved { revision: revision(credential), fields: FIELDS };
    Some(Claim {
        credential: credential.into(),
        uid: uid(credential),
        created: Timestamp::from_second(if credential == ALPHA { 1 } else { 2 }).expect("a time"),
        secret: secret.into(),
        scope: if kind == Kind::HeldUnknown { Scope::Unknown } else { scope },
        policy,
        state: if held { ClaimState::Held } else { resolved() },
    })
}

/// Both credentials, in the order of the catalog.
fn claims(names: [&str; 2], kinds: [Kind; 2]) -> Vec<Claim> {
    let mut claims: Vec<_> =
        [claim(ALPHA, names[0], kinds[0]), claim(BETA, names[1], kinds[1])].into_iter().flatten().collect();
    claims.sort_by(|a, b| a.credential.cmp(&b.credential));
    claims
}

/// A Secret that this credential has made and owns, as it should be.
fn made_by(credential: &str) -> StoredSecret {
    StoredSecret {
        meta: Secret {
            uid: format!("made by {credential}").into(),
            resource_version: ResourceVersion(7),
            label: Some(credential.into()),
            credential_owners: [(credential.into(), uid(credential))].into(),
            revision: Some(revision(credential).as_str().into()),
            applied_fields: Some(FIELDS),
            ..Secret::default()
        },
        data: data_of(&credential.into()),
    }
}

fn with(secret: StoredSecret, change: impl FnOnce(&mut Secret)) -> StoredSecret {
    let mut changed = secret;
    change(&mut changed.meta);
    changed
}

fn foreign() -> StoredSecret {
    let meta = Secret { uid: "foreign".into(), resource_version: ResourceVersion(9), ..Secret::default() };
    StoredSecret { meta, data: "somebody's".to_owned() }
}

fn owned_by_uid(secret: StoredSecret, name: &str, uid: &str) -> StoredSecret {
    with(secret, |s| s.credential_owners = [(CredentialName::from(name), Box::from(uid))].into())
}

/// Every Secret of one credential: current, not current, dying, given away, taken over.
fn all_made_by(credential: &'static str, other: &'static str) -> Vec<StoredSecret> {
    let made = || made_by(credential);
    let of_the_dead = || owned_by_uid(made(), credential, "uid of an earlier one");
    let stale = |s: StoredSecret| with(s, |s| s.revision = Some("v1:old".into()));
    let orphaned = |s: StoredSecret| with(s, |s| s.credential_owners = [].into());
    vec![
        made(),
        stale(made()),
        with(made(), |s| s.revision = None),
        with(made(), |s| s.applied_fields = None),
        with(made(), |s| s.applied_fields = Some(FIELDS - 1)),
        with(made(), |s| s.deleting = true),
        stale(with(made(), |s| s.deleting = true)),
        with(made(), |s| s.other_owners = OtherOwners::Some),
        with(made(), |s| s.wrong_type = true),
        with(made(), |s| {
            let mut owners = s.credential_owners.to_vec();
            owners.insert(0, (other.into(), uid(other)));
            s.credential_owners = owners.into();
        }),
        with(made(), |s| {
            let mut owners = s.credential_owners.to_vec();
            owners.insert(0, (credential.into(), "uid of an earlier one".into()));
            s.credential_owners = owners.into();
        }),
        of_the_dead(),
        stale(of_the_dead()),
        with(of_the_dead(), |s| s.deleting = true),
        with(of_the_dead(), |s| s.other_owners = OtherOwners::Some),
        with(of_the_dead(), |s| s.wrong_type = true),
        orphaned(made()),
        stale(orphaned(made())),
        with(orphaned(made()), |s| s.other_owners = OtherOwners::Some),
        with(orphaned(made()), |s| s.wrong_type = true),
        with(orphaned(made()), |s| s.deleting = true),
        // The label says one, the owner is another.
        owned_by_uid(made(), other, &uid(other)),
        owned_by_uid(made(), other, "uid of an earlier one"),
        owned_by_uid(made(), credential, &uid(other)),
        // Ours, but somebody took the label off.
        with(made(), |s| s.label = None),
    ]
}

fn all_secrets() -> Vec<Option<StoredSecret>> {
    let mut all = vec![
        None,
        Some(foreign()),
        Some(with(foreign(), |s| s.wrong_type = true)),
        Some(with(foreign(), |s| s.deleting = true)),
        Some(with(foreign(), |s| s.other_owners = OtherOwners::Some)),
        Some(with(foreign(), |s| s.revision = Some("v1:old".into()))),
    ];
    all.extend(all_made_by(ALPHA, BETA).into_iter().map(Some));
    all.extend(all_made_by(BETA, ALPHA).into_iter().map(Some));
    all.extend(all_made_by(GONE, ALPHA).into_iter().map(Some));
    all
}

/// The ones that entries depend on.
fn few_secrets(credential: &'static str) -> Vec<Option<StoredSecret>> {
    vec![
        None,
        Some(made_by(credential)),
        Some(with(made_by(credential), |s| s.revision = Some("v1:old".into()))),
        Some(owned_by_uid(made_by(credential), credential, "uid of an earlier one")),
        Some(with(made_by(credential), |s| s.credential_owners = [].into())),
        Some(made_by(GONE)),
        Some(foreign()),
    ]
}

/// What else there is in a service account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Around {
    Nothing,
    /// Entries, labels and annotations of others.
    Others,
    /// It is being deleted.
    Terminating,
}

/// A service account with these entries of ours or others, each so many times, and these records.
fn account(name: &str, around: Around, entries: &[(&str, usize)], records: &[(&str, &str)]) -> Value {
    let mut list: Vec<Value> = Vec::new();
    let mut metadata = json!({"name": name, "uid": format!("uid of {name}"), "resourceVersion": "41"});
    let mut annotations = serde_json::Map::new();
    if around != Around::Nothing {
        list.push(json!({"name": "before"}));
        annotations.insert("example.com/a~b".to_owned(), json!("foreign"));
        // Without a name, as people can write it.
        metadata["labels"] = json!({"team": "a"});
    }
    if around == Around::Terminating {
        metadata["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    }
    for (secret, times) in entries {
        for _ in 0..*times {
            list.push(json!({"name": secret}));
            if around != Around::Nothing {
                list.push(json!({}));
            }
        }
    }
    for (secret, credential) in records {
        annotations.insert(format!("{ADDED_PREFIX}{secret}"), json!(credential));
    }
    if !annotations.is_empty() {
        metadata["annotations"] = annotations.into();
    }
    let mut account = json!({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata});
    if !list.is_empty() {
        account["imagePullSecrets"] = list.into();
    }
    account
}

fn world(secrets: [Option<&StoredSecret>; 2], accounts: &[Value]) -> World {
    let secrets = SECRETS.into_iter().zip(secrets);
    World {
        secrets: secrets.filter_map(|(name, secret)| Some((name.into(), secret?.clone()))).collect(),
        accounts: accounts
            .iter()
            .map(|account| (account["metadata"]["name"].as_str().expect("a name").into(), account.clone()))
            .collect(),
    }
}

/// A service account as far as one Secret name goes: entry and record.
fn accounts_of_one(name: &'static str, around: Around, times: &'static [usize]) -> Vec<Value> {
    let mut all = Vec::new();
    for entries in times {
        for credential in ["", ALPHA, BETA, GONE] {
            let records: &[_] = if credential.is_empty() { &[] } else { &[("pull", credential)] };
            all.push(account(name, around, &[("pull", *entries)], records));
        }
    }
    all
}

fn pairs(first: &'static [Kind], second: &'static [Kind]) -> impl Iterator<Item = [Kind; 2]> {
    first.iter().flat_map(move |first| second.iter().map(move |second| [*first, *second]))
}

/// Both credentials want the same name: all Secrets × all pairs of credentials × a service account.
pub fn every_secret() -> impl Iterator<Item = Case> {
    let accounts = || accounts_of_one(FIRST, Around::Nothing, &[0, 1]).into_iter();
    // With one service account, choosing the first is choosing all.
    let kinds =
        pairs(&KINDS, &KINDS).filter(|kinds| !kinds.iter().any(|k| matches!(k, Kind::Resolved(_, Chosen::All))));
    kinds.flat_map(move |kinds| {
        all_secrets().into_iter().flat_map(move |secret| {
            accounts().map(move |account| Case {
                claims: claims(["pull", "pull"], kinds),
                world: world([secret.as_ref(), None], &[account]),
                contested: Contested::new(),
            })
        })
    })
}

/// All of one service account, beside another one: few Secrets × credentials × contests.
pub fn every_account() -> impl Iterator<Item = Case> {
    const OTHERS: [Kind; 4] = [
        Kind::Absent,
        Kind::Resolved(ConflictPolicy::Fail, Chosen::All),
        Kind::Held(ConflictPolicy::Fail),
        Kind::HeldElsewhere,
    ];
    let firsts = || {
        let mut all = accounts_of_one(FIRST, Around::Nothing, &[0, 1]);
        all.extend(accounts_of_one(FIRST, Around::Others, &[0, 1, 2]));
        all.extend(accounts_of_one(FIRST, Around::Terminating, &[0, 1]).into_iter().step_by(3));
        let applied = accounts_of_one(FIRST, Around::Others, &[0, 1]).into_iter().map(|mut account| {
            account["metadata"]["appliedBy"] = json!("argocd");
            account
        });
        let cases: Vec<(Value, bool)> = all
            .into_iter()
            .chain(applied)
            .map(|account| (account, false))
            .chain(accounts_of_one(FIRST, Around::Others, &[0]).into_iter().map(|account| (account, true)))
            .collect();
        cases.into_iter()
    };
    let seconds = || {
        [
            account(SECOND, Around::Nothing, &[], &[]),
            account(SECOND, Around::Others, &[("pull", 1)], &[("pull", ALPHA)]),
            account(SECOND, Around::Others, &[("pull", 1)], &[("pull", BETA)]),
            account(SECOND, Around::Terminating, &[("pull", 1)], &[("pull", GONE)]),
        ]
        .into_iter()
    };
    let secrets = || few_secrets(ALPHA).into_iter().chain([Some(made_by(BETA))]);
    pairs(&KINDS, &OTHERS).flat_map(move |kinds| {
        secrets().flat_map(move |secret| {
            firsts().flat_map(move |(first, fought)| {
                let secret = secret.clone();
                seconds().map(move |second| Case {
                    claims: claims(["pull", "pull"], kinds),
                    world: world([secret.as_ref(), None], &[first.clone(), second]),
                    contested: if fought { [(FIRST.into(), "pull".into())].into() } else { Contested::new() },
                })
            })
        })
    })
}

/// Each credential has a name of its own: few Secrets of each name × entries of both names in one service account.
pub fn two_names() -> impl Iterator<Item = Case> {
    const SOME: [Kind; 6] = [
        Kind::Absent,
        Kind::Resolved(ConflictPolicy::Fail, Chosen::All),
        Kind::Resolved(ConflictPolicy::Adopt, Chosen::All),
        Kind::ResolvedElsewhere,
        Kind::Held(ConflictPolicy::Fail),
        Kind::HeldUnknown,
    ];
    fn states(credential: &'static str, other: &'static str) -> [(usize, Option<&'static str>); 6] {
        [(0, None), (1, None), (1, Some(credential)), (0, Some(credential)), (1, Some(GONE)), (1, Some(other))]
    }
    let accounts = || {
        states(ALPHA, BETA).into_iter().flat_map(|(pull, pulled)| {
            states(BETA, ALPHA).into_iter().map(move |(other, othered)| {
                let records: Vec<_> =
                    [("pull", pulled), ("other", othered)].into_iter().filter_map(|(n, c)| Some((n, c?))).collect();
                account(FIRST, Around::Others, &[("other", other), ("pull", pull)], &records)
            })
        })
    };
    pairs(&SOME, &SOME).flat_map(move |kinds| {
        few_secrets(ALPHA).into_iter().flat_map(move |pull| {
            // Every second one: absent, not current, given away, foreign.
            few_secrets(BETA).into_iter().step_by(2).flat_map(move |other| {
                let pull = pull.clone();
                accounts().map(move |account| Case {
                    claims: claims(["pull", "other"], kinds),
                    world: world([pull.as_ref(), other.as_ref()], &[account]),
                    contested: Contested::new(),
                })
            })
        })
    })
}

/// What may happen to Secrets between a plan and its execution.
pub const SECRET_EVENTS: [fn(&mut World); 4] = [
    // They are deleted.
    |world| world.secrets.clear(),
    // Somebody makes Secrets of their own.
    |world| world.secrets = SECRETS.map(|name| (SecretName::from(name), foreign())).into(),
    // Credentials are deleted with --cascade=orphan, or the Secrets handed to people by hand.
    |world| {
        for secret in world.secrets.values_mut() {
            secret.meta.credential_owners = [].into();
            secret.meta.resource_version.0 += 1;
        }
    },
    // Another object takes the Secrets over.
    |world| {
        for secret in world.secrets.values_mut() {
            secret.meta.label = None;
            secret.meta.other_owners = OtherOwners::Some;
            secret.meta.resource_version.0 += 1;
        }
    },
];

/// What may happen to service accounts between a plan and its execution.
pub const ACCOUNT_EVENTS: [fn(&mut World); 3] = [
    // Somebody puts an entry first.
    |world| {
        edit_accounts(world, |account| {
            let list = account["imagePullSecrets"].as_array().cloned().unwrap_or_default();
            account["imagePullSecrets"] = [vec![json!({"name": "newcomer"})], list].concat().into();
        })
    },
    // Somebody empties them.
    |world| {
        edit_accounts(world, |account| {
            account.as_object_mut().expect("an object").remove("imagePullSecrets");
            account["metadata"].as_object_mut().expect("an object").remove("annotations");
        })
    },
    // They are deleted.
    |world| world.accounts.clear(),
];

fn edit_accounts(world: &mut World, edit: fn(&mut Value)) {
    for account in world.accounts.values_mut() {
        edit(account);
        account["metadata"]["resourceVersion"] = json!("42");
    }
}
