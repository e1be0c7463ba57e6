//! One RegistryCredential: read its source, resolve it, publish what it wants to the catalog.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use kube::{Api, api::DynamicObject};
use tracing::{debug, info, warn};

use super::{
    backoff::TRANSIENT,
    context::{Context, Published},
    error::{self, WRITE_TIMEOUT},
    queue::Priority,
    token_expiry,
};
use crate::{
    api::{CredentialName, NamespaceName, SecretName, StallCause, Stalled},
    cluster::{observe::Observed, read_source},
    credential::{PullSecret, Resolved, RevisionKey, SourceSecret, kind::Kind},
    plan::{
        Desired, DesiredState, Secret,
        catalog::{Entry, Epoch},
        decoded::{DecodedCredential, is_being_orphaned, is_going, source_missing, source_unreadable},
    },
    process::metrics::{ReconcileResult, Watch},
    progress::Resolution,
};

/// After how many failures in a row, about twenty seconds, the status says that the source can't be read.
const TELL_AFTER: u32 = 7;

/// How long the name of a credential stays held after `--cascade=orphan` has let it go, so that the caches of its
/// Secrets learn that they have no owner any more.
const ORPHAN_GRACE: Duration = Duration::from_secs(30);

/// After how long the Secrets of a new name are listed again where that has failed; then twice as long each time.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// But no longer than this.
const LOOK_AGAIN_AT_LEAST: Duration = Duration::from_secs(60);

/// Brings the catalog up to date with one RegistryCredential, and looks at it again when its login ends.
pub async fn reconcile(context: &Arc<Context>, name: &CredentialName) -> ReconcileResult {
    let result = bring_up_to_date(context, name).await;
    let wait =
        context.states().get(name).and_then(|found| token_expiry::next_look(&found.resolution, Timestamp::now()));
    if let Some(wait) = wait {
        context.credentials.add_at(name.clone(), Instant::now() + wait);
    }
    result
}

async fn bring_up_to_date(context: &Arc<Context>, name: &CredentialName) -> ReconcileResult {
    let object = context.objects().get(name).cloned();
    let Some(object) = object.filter(|object| !is_going(object)) else {
        remove(context, name);
        return ReconcileResult::Done;
    };
    let decoded = DecodedCredential::new(&object, &context.settings.limits);
    let source = decoded.source_key(&context.settings.limits).and_then(|key| context.sources().get(&key).cloned());
    let uid = object.metadata.uid.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let Some(key) = context.revision_key() else { return ReconcileResult::Done }; // it is queued again with it
    // What was found with another key says nothing of what to write.
    let known = context.states().get(name).filter(|known| Arc::ptr_eq(&known.key, &key)).cloned();
    if let Some(known) = &known
        && (&known.uid, known.generation, &known.source) == (&uid, generation, &source)
        && !is_stalled_by(&known.resolution, &[StallCause::Retried])
        && !token_expiry::is_due(&known.resolution, Timestamp::now())
        && !is_being_orphaned(&object)
    {
        // Only its status or something that we don't use has changed. A status may be one that our predecessor sent
        // before it was killed, and that arrived late, or somebody's.
        context.statuses.add(name.clone(), Priority::Live);
        return ReconcileResult::Done;
    }

    let found = resolve(context, &decoded, &key).await;
    let (pull_secret, state) = match found {
        Ok(None) => {
            context.source_retries.worked(name);
            (None, Ok(Resolution::default()))
        }
        Ok(Some((resolved, version))) => {
            context.source_retries.worked(name);
            let Resolved { pull_secret, identity, registries, notes } = resolved;
            let expires_at = pull_secret.expires_at();
            let names = registries.iter().map(|registry| registry.as_str().to_owned()).collect();
            let (identity, source) = (Some(identity), Some(version));
            let state = Ok(Resolution { identity, registries: names, source, notes, expires_at });
            (Some((Arc::new(pull_secret), registries)), state)
        }
        Err(stalled) => {
            if stalled.cause() == StallCause::Retried {
                let wait = context.source_retries.failed(name, TRANSIENT);
                context.credentials.add_at(name.clone(), Instant::now() + wait);
                warn!(credential = %name, reason = stalled.reason.as_str(), message = stalled.message, "tried again");
                let stands = known.filter(|known| known.uid == uid && known.generation == generation);
                if let Some(known) = stands {
                    // What was found last stands, and namespaces go on getting it.
                    if context.source_retries.count(name) == TELL_AFTER {
                        context.states().insert(name.clone(), Published { resolution: Err(stalled), ..known });
                        context.statuses.add(name.clone(), Priority::Live);
                    }
                    return ReconcileResult::Failed;
                }
            }
            (None, Err(stalled))
        }
    };
    // What was read is newer than, or the same as, what the cache had: the event that follows says nothing new.
    let source = match &state {
        Ok(found) => found.source.clone(),
        Err(_) => source,
    };
    let current = context.objects().get(name).cloned();
    let is_same = |now: Arc<DynamicObject>| {
        let (now, then) = (&now.metadata, &object.metadata);
        (&now.uid, &now.generation, &now.deletion_timestamp) == (&then.uid, &then.generation, &then.deletion_timestamp)
    };
    let is_same_key = context.revision_key().is_some_and(|now| Arc::ptr_eq(&now, &key));
    if !is_same_key || !current.is_some_and(is_same) {
        return ReconcileResult::Done; // it changed while its source was read, and is queued again
    }
    let (desired, pull_secret) = match pull_secret {
        Some((pull_secret, registries)) => {
            let desired = decoded.desired(Some(&*pull_secret).into());
            (Desired { stuck: desired.stuck.clone().with(registries), ..desired }, Some(pull_secret))
        }
        None if state.is_ok() => (decoded.desired(DesiredState::Attached), None),
        None if is_stalled_by(&state, &[StallCause::Withdrawn]) => (decoded.withdrawn(), None),
        None => (decoded.desired(DesiredState::Stalled), None),
    };
    let fails =
        is_stalled_by(&state, &[StallCause::Spec, StallCause::Source, StallCause::Withdrawn, StallCause::Retried]);
    let result = if fails { ReconcileResult::Failed } else { ReconcileResult::Done };
    publish(
        context,
        desired,
        pull_secret,
        Published { since: Instant::now(), uid, generation, source, key, resolution: state },
    )
    .await;
    result
}

fn is_stalled_by<T>(resolution: &Result<T, Stalled>, causes: &[StallCause]) -> bool {
    resolution.as_ref().is_err_and(|stalled| causes.contains(&stalled.cause()))
}

/// It is gone or going: the one thing that leads to removal.
fn remove(context: &Arc<Context>, name: &CredentialName) {
    context.states().remove(name);
    context.source_retries.worked(name);
    let uid = context.catalog().get(name).map(|entry| entry.desired.uid.to_string()).unwrap_or_default();
    let now = Instant::now();
    let grace = context.orphaned().get_mut(&uid).map(|until| *until.get_or_insert(now + ORPHAN_GRACE));
    match grace {
        Some(until) if until > now => {
            hold(context, name);
            context.credentials.add_at(name.clone(), until);
        }
        _ => {
            context.orphaned().remove(&uid);
            forget(context, name);
        }
    }
}

/// It is being orphaned, or has been, and what is known of its Secrets may be older than that: nothing is made for it any
/// more, nor removed. This doesn't wait for its turn: its source may be read just now.
pub fn hold(context: &Context, name: &CredentialName) {
    context.change_catalog(|catalog| {
        if let Some(entry) = catalog.get(name).cloned() {
            let desired = Desired { state: DesiredState::Stalled, ..entry.desired.clone() };
            catalog.insert(Entry { desired, pull_secret: None, epoch: entry.epoch });
        }
    });
}

fn forget(context: &Context, name: &CredentialName) {
    if context.change_catalog(|catalog| catalog.remove(name)).is_some() {
        info!(credential = %name, "the RegistryCredential is gone: its entries and Secrets go, too");
        context.rollout().end(name);
        context.stuck.wanted_by(&context.catalog());
        context.metrics.forget(name.as_str());
        context.statuses.add(name.clone(), Priority::Live); // the writer forgets it, too
        context.plan_all();
    }
}

async fn publish(context: &Arc<Context>, desired: Desired, pull_secret: Option<Arc<PullSecret>>, found: Published) {
    let name = desired.credential.clone();
    let secret = desired.secret.clone();
    match &found.resolution {
        Ok(Resolution { source: Some(source), .. }) => info!(credential = %name, source, "resolved"),
        Ok(Resolution { source: None, .. }) => info!(credential = %name, %secret, "attaches Secrets that others make"),
        Err(Stalled { reason, message, .. }) => info!(credential = %name, reason = reason.as_str(), message, "held"),
    }
    let is_new_name = context.index().take_interest(&secret);
    let is_asked_for =
        is_new_name && *context.synced().borrow() && context.settings.limits.managed_names.allow(&secret);
    if is_asked_for && !look_for(context, &secret).await {
        tokio::spawn(look_for_again(context.clone(), secret.clone()));
    }
    // One that is suspended is counted on: namespaces come and go, and people change things.
    let is_counted = found.resolution.is_ok() || is_stalled_by(&found.resolution, &[StallCause::Suspended]);
    let epoch = context.change_catalog(|catalog| {
        let epoch = Epoch(catalog.get(&name).map_or(0, |entry| entry.epoch.0) + 1);
        catalog.insert(Entry { desired: desired.clone(), pull_secret, epoch });
        epoch
    });
    context.stuck.wanted_by(&context.catalog());
    // A namespace that comes after this is planned with the new catalog and counts itself.
    let targets = targets(context, &desired);
    if is_counted {
        context.rollout().begin(&name, epoch, targets);
    } else {
        context.rollout().end(&name);
    }
    context.states().insert(name.clone(), found);
    context.statuses.add(name, Priority::Live);
    context.plan_all();
}

fn targets(context: &Context, desired: &Desired) -> Vec<NamespaceName> {
    let index = context.index();
    let all = index.iter().filter(|(name, namespace)| !namespace.terminating && desired.targets(name, namespace));
    all.map(|(name, _)| name.clone()).collect()
}

/// Counts anew in all credentials, as after a restart: who stood by wasn't told which namespaces came and went.
pub fn count_anew(context: &Context) {
    // The rollout first, so that a change of the catalog that comes later is also counted later.
    let mut rollout = context.rollout();
    for entry in context.catalog().entries() {
        if rollout.counts(&entry.desired.credential) {
            rollout.begin(&entry.desired.credential, entry.epoch, targets(context, &entry.desired));
        }
    }
    drop(rollout);
    let now = Instant::now();
    context.states().values_mut().for_each(|found| found.since = now);
}

/// Until now, foreign Secrets of this name were passed over. Asking for all of them at once spares a refused write in
/// each namespace that has one, and is the only word of those that are to be attached. False where there is no answer.
async fn look_for(context: &Context, secret: &SecretName) -> bool {
    let api = Api::<Observed<Secret>>::all(context.client.clone());
    let selector = format!("metadata.name={secret},type={}", crate::api::SECRET_TYPE);
    let params = kube::api::ListParams::default().fields(&selector);
    let Ok(Ok(list)) = tokio::time::timeout(WRITE_TIMEOUT, api.list(&params)).await else {
        debug!(%secret, "couldn't list the Secrets of a new name, which is tried again");
        return false;
    };
    let mut index = context.index();
    for seen in list.items {
        let (namespace, name) = seen.key::<SecretName>();
        index.secret_seen(&namespace, &name, seen.object);
    }
    true
}

/// Until there is an answer; then every namespace is planned with it.
async fn look_for_again(context: Arc<Context>, secret: SecretName) {
    let mut wait = LOOK_AGAIN;
    loop {
        tokio::time::sleep(wait).await;
        if look_for(&context, &secret).await {
            return context.plan_all();
        }
        wait = (wait * 2).min(LOOK_AGAIN_AT_LEAST);
    }
}

/// The pull secret, and the version of the source that it was made from; `None` where others make the Secrets.
async fn resolve(
    context: &Context,
    decoded: &DecodedCredential,
    key: &RevisionKey,
) -> Result<Option<(Resolved, String)>, Stalled> {
    let limits = &context.settings.limits;
    let Some((namespace, kind)) = decoded.source(limits)? else { return Ok(None) };
    let secret = read(context, namespace, kind).await?;
    let resolved = decoded.resolve(&secret, limits, key, Timestamp::now())?;
    Ok(Some((resolved, secret.resource_version().to_owned())))
}

/// Reads a source.
async fn read(context: &Context, namespace: &str, kind: &dyn Kind) -> Result<SourceSecret, Stalled> {
    let name = kind.secret().name;
    let unreadable = |why: &str| source_unreadable(namespace, name, why);
    let forbidden = format!(
        "the operator's service account may not read Secrets in {namespace}; bind the Role of config/rbac there"
    );
    if context.refused_watches().has(&(Watch::Sources, namespace.to_owned()), Instant::now()) {
        return Err(unreadable(&forbidden));
    }
    if !context.sources().contains_key(&(namespace.to_owned(), name.to_owned())) {
        return Err(source_missing(namespace, kind));
    }
    let found = error::of_reading(read_source(&context.client, namespace, name), &forbidden).await;
    found.map_err(|why| unreadable(&why))?.ok_or_else(|| source_missing(namespace, kind))
}
