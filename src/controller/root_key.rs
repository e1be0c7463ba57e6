//! The operator's random bytes, in the Secret `root-key` of the state namespace: read before anything is resolved, and made
//! by the leader before its first write.
//!
//! A replica that finds none makes one up and resolves with that, so that it needn't wait for a leader. Whoever comes to
//! lead stores his, or takes the one that is stored by then.

use std::{sync::Arc, time::Duration};

use kube::{
    Resource,
    core::ApiResource,
    runtime::events::{Event, EventType, Recorder, Reporter},
};
use ring::rand::{SecureRandom, SystemRandom};
use tracing::{debug, info, warn};
use zeroize::Zeroizing;

use super::{
    apply::bounded,
    context::{Context, KnownKey},
    error::{self, WriteError},
};
use crate::{
    api::{FIELD_MANAGER, ROOT_KEY_NAME, Reason, RegistryCredential},
    cluster::{create_root_key, read_root_key},
    credential::{Revision, RootKey, revision::KEY_BYTES},
    plan::{Secret, decoded::is_going},
};

/// After how long what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// How often it is asked whether all has been resolved.
const RESOLVED: Duration = Duration::from_millis(5);

/// Reads the key, or makes one up where none is stored. One that is there and can't be read is waited for: another key
/// would have every pull secret written anew, and again when the first one is back.
pub async fn find(context: &Context) {
    loop {
        let found = match read(context).await {
            Ok(Some(key)) => Ok(KnownKey::Stored(key)),
            Ok(None) => random().map(KnownKey::MadeUp),
            Err(why) => Err(why),
        };
        match found {
            Ok(key) => {
                context.state_available();
                context.set_root_key(key);
                return;
            }
            Err(why) => context.state_unavailable(why),
        }
        tokio::time::sleep(RETRY).await;
    }
}

/// Stores this replica's key, or resolves everything anew with the one that is stored. Nothing may be planned before.
pub async fn store(context: &Arc<Context>) {
    while let Err(why) = try_to_store(context).await {
        context.state_unavailable(why);
        tokio::time::sleep(RETRY).await;
    }
    context.state_available();
}

async fn try_to_store(context: &Arc<Context>) -> Result<(), String> {
    let Some(ours) = context.root_key() else { return Err("there is no key yet".to_owned()) };
    match read(context).await? {
        None => create(context, &ours).await,
        Some(stored) if *ours.bytes() == stored => Ok(()),
        Some(stored) => {
            context.set_root_key(KnownKey::Stored(stored));
            // By the queue alone, which works on each once at a time.
            while !is_resolved(context) {
                tokio::time::sleep(RESOLVED).await;
            }
            Ok(())
        }
    }
}

/// Whether something has been found of each RegistryCredential with this replica's key.
fn is_resolved(context: &Context) -> bool {
    let Some(key) = context.revision_key() else { return false };
    let objects: Vec<_> = context.objects().iter().map(|(name, object)| (name.clone(), object.clone())).collect();
    let states = context.states();
    let mut all = objects.iter().filter(|(_, object)| !is_going(object));
    all.all(|(name, _)| states.get(name).is_some_and(|found| Arc::ptr_eq(&found.key, &key)))
}

async fn read(context: &Context) -> Result<Option<RootKey>, String> {
    let namespace = &context.settings.limits.state_namespace;
    const FORBIDDEN: &str =
        "the operator's service account may not; apply config/namespace and the roles of this version (config/rbac)";
    let found = error::of_reading(read_root_key(&context.client, namespace), FORBIDDEN).await;
    found.map_err(|why| format!("Secret {namespace}/{ROOT_KEY_NAME}, the operator's own, can't be read: {why}"))
}

async fn create(context: &Arc<Context>, key: &KnownKey) -> Result<(), String> {
    let namespace = &context.settings.limits.state_namespace;
    let why = match bounded(create_root_key(&context.client, namespace, key.bytes())).await {
        Ok(()) => {
            info!(secret = format!("{namespace}/{ROOT_KEY_NAME}"), "the key of the revisions was stored");
            if matches!(key, KnownKey::MadeUp(_)) && has_revisions(context) {
                warn!("{REPLACED}");
                tokio::spawn(say_it_was_replaced(context.clone()));
            }
            return Ok(());
        }
        Err(WriteError::Moved) => "somebody else has made it just now, and it is read again".to_owned(),
        Err(WriteError::Gone) => format!("the namespace {namespace} isn't there; apply config/namespace"),
        // An admission webhook or policy may quote what it refuses.
        Err(error) if key.bytes().is_quoted_in(&error.to_string()) => {
            "the refusal quotes it, so it isn't repeated here".to_owned()
        }
        Err(error) => error.to_string(),
    };
    Err(format!("Secret {namespace}/{ROOT_KEY_NAME}, the operator's own, can't be made: {why}"))
}

/// What is said where the key was lost.
const REPLACED: &str =
    "the operator's own key was gone, so a new one was made, and each pull secret is written once more";

/// Whether there are pull secrets with revisions by a key of ours, which was another one.
fn has_revisions(context: &Context) -> bool {
    let is_keyed = |secret: &Secret| {
        secret.revision.as_ref().is_some_and(|revision| revision.as_str().starts_with(Revision::VERSION))
    };
    context.index().iter().any(|(_, namespace)| namespace.secrets.values().any(is_keyed))
}

async fn say_it_was_replaced(context: Arc<Context>) {
    let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
    let recorder = Recorder::new(context.client.clone(), reporter);
    let event = Event {
        type_: EventType::Normal,
        reason: Reason::RootKeyReplaced.to_string(),
        note: Some(REPLACED.to_owned()),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    let objects: Vec<_> = context.objects().values().cloned().collect();
    for object in objects {
        let reference = object.object_ref(&ApiResource::erase::<RegistryCredential>(&()));
        if bounded(recorder.publish(&event, &reference)).await.is_err() {
            debug!("an Event couldn't be published");
        }
    }
}

fn random() -> Result<RootKey, String> {
    let mut bytes = Zeroizing::new([0; KEY_BYTES]);
    let filled = SystemRandom::new().fill(&mut *bytes).ok();
    filled.and_then(|()| RootKey::new(&*bytes)).ok_or_else(|| "the operating system gives no random bytes".to_owned())
}
