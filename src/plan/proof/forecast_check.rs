//! Whether a forecast says what becomes of a world: the same end, each difference once, and nothing else.

use std::collections::BTreeSet;

use super::world::{self, Answer, World, count, record};
use crate::{
    api::{NamespaceName, SecretName},
    plan::{
        Contested, Desired, Effect, LongAbsent, Namespace, RefFate, ResourceVersion, Secret, SecretFate,
        ServiceAccount, Step, forecast, plan,
    },
};

/// Checks the forecast for `start`, which the steps of all plans lead to `end`.
pub fn check(
    name: &NamespaceName,
    all_desired: &[&Desired],
    (contested, long_absent): (&Contested, &LongAbsent),
    start: &World,
    end: &World,
) {
    let mut end = end.clone();
    let plan = |world: &World| plan(name, all_desired, &world.observe(), contested, long_absent);
    // The garbage collector comes last, and what it makes room for is made after that.
    if end.collect_garbage(all_desired) {
        finish(plan, all_desired, &mut end);
    }
    let forecast = forecast(name, all_desired, &start.observe(), contested, long_absent);
    assert_eq!(comparable(&forecast.end), comparable(&end.observe()), "the forecast ends elsewhere");
    let (told, mut effects): (BTreeSet<_>, BTreeSet<_>) =
        forecast.effects.into_iter().partition(|effect| matches!(effect, Effect::Refused { .. }));
    let refused = plan(&end).into_iter().filter_map(|step| match step {
        Step::Refuse { credential, refusal } => Some(Effect::Refused { credential, refusal }),
        _ => None,
    });
    assert_eq!(told, refused.collect(), "other refusals than in the end");
    secrets(&mut effects, start, &end);
    entries(&mut effects, start, &end);
    assert_eq!(effects, BTreeSet::new(), "told, and not so");
}

/// Executes plans until nothing is left.
fn finish(plan: impl Fn(&World) -> Vec<Step>, all_desired: &[&Desired], world: &mut World) {
    loop {
        let seen = world.observe();
        let mut steps = plan(world);
        steps.retain(|step| !matches!(step, Step::Refuse { .. }));
        if steps.is_empty() {
            return;
        }
        steps.iter().for_each(|step| assert_eq!(world.execute(step, all_desired, &seen), Answer::Done));
    }
}

/// Takes out what is told of Secrets, if it is so.
fn secrets(told: &mut BTreeSet<Effect>, start: &World, end: &World) {
    for name in start.secrets.keys().chain(end.secrets.keys()).collect::<BTreeSet<_>>() {
        let of_this = |effect: &Effect| match effect {
            Effect::Secret { secret, fate, .. } if secret == name => Some(*fate),
            _ => None,
        };
        let fate = told.iter().find_map(of_this);
        match (start.secrets.get(name), end.secrets.get(name)) {
            (None, Some(_)) => assert_eq!(fate, Some(SecretFate::Created), "{name}"),
            (Some(_), None) => assert_eq!(fate, Some(SecretFate::Deleted), "{name}"),
            (before, after) if before == after => assert_eq!(fate, None, "{name}"),
            _ => assert!(matches!(fate, Some(SecretFate::Updated(_))), "{name}: {fate:?}"),
        }
        told.retain(|effect| of_this(effect).is_none());
    }
}

/// Takes out what is told of entries, if it is so.
fn entries(told: &mut BTreeSet<Effect>, start: &World, end: &World) {
    for (account, before) in &start.accounts {
        let after = &end.accounts[account];
        for name in world::SECRETS.map(SecretName::from) {
            let (had, has) = (count(before, &name), count(after, &name));
            let wanted = match (record(before, &name), record(after, &name)) {
                _ if has > had => Some(RefFate::Added),
                _ if has < had => Some(RefFate::Removed),
                (Some(_), None) => Some(RefFate::Forgotten),
                (before, after) if before != after => Some(RefFate::Recorded),
                _ => None,
            };
            let of_this = |effect: &Effect| match effect {
                Effect::Entry { service_account, secret, fate, .. }
                    if service_account == account && *secret == name =>
                {
                    Some(*fate)
                }
                _ => None,
            };
            assert_eq!(told.iter().find_map(of_this), wanted, "{account}: {name}");
            told.retain(|effect| of_this(effect).is_none());
        }
    }
}

/// What a plan asks for, without versions and UIDs, which a forecast doesn't know of what is made.
fn comparable(namespace: &Namespace) -> Namespace {
    let secrets = namespace.secrets.iter().map(|(name, secret)| {
        let (resource_version, uid) = (ResourceVersion(0), Default::default());
        (name.clone(), Secret { resource_version, uid, creation: None, is_ours_alone: false, ..secret.clone() })
    });
    let accounts = namespace.service_accounts.iter().map(|(name, account)| {
        // Whether other annotations are left isn't known either.
        let annotations = Default::default();
        (name.clone(), ServiceAccount { resource_version: ResourceVersion(0), annotations, ..account.clone() })
    });
    Namespace { secrets: secrets.collect(), service_accounts: accounts.collect(), ..namespace.clone() }
}
