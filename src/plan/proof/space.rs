//! The states that a search starts from. What can't matter to each other isn't crossed: Secret names are settled one by
//! one, and service accounts meet only in "are all entries gone" and "does a held credential have an entry anywhere".

use std::slice;

use serde_json::{Value, json};

use super::{
    Case,
    fixtures::{
        ALPHA, ATTACHING, Around, BETA, Chosen, FIRST, GONE, KINDS, Kind, SECOND, account, all_desired, all_secrets,
        few_secrets, foreign, made_by, with, world,
    },
    world::{SECRETS, World},
};
use crate::{
    api::{ConflictPolicy, SecretName},
    plan::{Contested, LongAbsent, OtherOwners},
};

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
                all_desired: all_desired(["pull", "pull"], kinds),
                world: world([secret.as_ref(), None], &[account]),
                contested: Contested::new(),
                long_absent: LongAbsent::new(),
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
                    all_desired: all_desired(["pull", "pull"], kinds),
                    world: world([secret.as_ref(), None], &[first.clone(), second]),
                    contested: if fought { [(FIRST.into(), "pull".into())].into() } else { Contested::new() },
                    long_absent: LongAbsent::new(),
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
                    all_desired: all_desired(["pull", "other"], kinds),
                    world: world([pull.as_ref(), other.as_ref()], &[account]),
                    contested: Contested::new(),
                    long_absent: LongAbsent::new(),
                })
            })
        })
    })
}

/// One or both credentials leave the Secret to others: few Secrets, of others and of either credential, whether there has
/// been none to use for long, and one service account.
pub fn attaching() -> impl Iterator<Item = Case> {
    const OTHERS: [Kind; 7] = [
        Kind::Absent,
        Kind::Resolved(ConflictPolicy::Fail, Chosen::First),
        Kind::Resolved(ConflictPolicy::Adopt, Chosen::None),
        Kind::ResolvedElsewhere,
        Kind::Held(ConflictPolicy::Fail),
        Kind::HeldUnknown,
        Kind::Attaching(Chosen::None),
    ];
    let secrets = || {
        let of_others = [with(foreign(), |s| s.wrong_type = true), with(foreign(), |s| s.deleting = true)];
        let of_beta = [made_by(BETA), with(made_by(BETA), |s| s.credential_owners = [].into())];
        few_secrets(ALPHA).into_iter().chain(of_others.into_iter().chain(of_beta).map(Some))
    };
    let accounts = || {
        let mut all = accounts_of_one(FIRST, Around::Nothing, &[0, 1]);
        all.extend(accounts_of_one(FIRST, Around::Others, &[2]).into_iter().step_by(2));
        all
    };
    pairs(&ATTACHING, &OTHERS).chain(pairs(&OTHERS, &ATTACHING)).flat_map(move |kinds| {
        secrets().flat_map(move |secret| {
            accounts().into_iter().flat_map(move |account| {
                let secret = secret.clone();
                [LongAbsent::new(), LongAbsent::from(["pull".into()])].into_iter().map(move |long_absent| Case {
                    all_desired: all_desired(["pull", "pull"], kinds),
                    world: world([secret.as_ref(), None], slice::from_ref(&account)),
                    contested: Contested::new(),
                    long_absent,
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
