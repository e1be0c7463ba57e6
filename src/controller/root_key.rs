//! The operator's random bytes, in the Secret `root-key` of the state namespace: read before anything is resolved, and made
//! by the leader before its first write.
//!
//! A replica that finds none makes one up and resolves with that, so that it needn't wait for a leader. Whoever comes to
//! lead stores his, or takes the one that is stored by then.

use std::{sync::Arc, time::Duration};

use futures::future::join_all;
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
    context::Context,
    credential,
    error::{WRITE_TIMEOUT, WriteError},
};
use crate::{
    api::{FIELD_MANAGER, ROOT_KEY_NAME, Reason, RegistryCredential},
    cluster::{SourceFailure, create_root_key, read_root_key},
    credential::{Revision, RootKey, revision::KEY_BYTES},
};

/// After how long what failed is tried again.
const RETRY: Duration = Duration::from_secs(1);

/// Reads the key, or makes one up where none is stored. One that is there and can't be read is waited for: another key
/// would have every pull secret written anew, and again when the first one is back.
pub async fn find(context: &Context) {
    loop {
        let found = match read(context).await {
            Ok(Some(key)) => Ok(key),
            Ok(None) => random(),
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
    let ours = context.root_key();
    let Some(stored) = read(context).await? else {
        let Some(ours) = ours else { return Err("there is no key yet".to_owned()) };
        return create(context, &ours).await;
    };
    if ours.is_none_or(|ours| *ours != stored) {
        context.set_root_key(stored);
        let names: Vec<_> = context.objects().keys().cloned().collect();
        join_all(names.iter().map(|name| credential::reconcile(context, name))).await;
    }
    Ok(())
}

async fn read(context: &Context) -> Result<Option<RootKey>, String> {
    let namespace = &context.settings.limits.state_namespace;
    let answer = tokio::time::timeout(WRITE_TIMEOUT, read_root_key(&context.client, namespace)).await;
    let why = match answer {
        Ok(Ok(found)) => return Ok(found),
        Ok(Err(SourceFailure::Forbidden)) => {
            "the operator's service account may not; apply config/namespace and the roles of this version (config/rbac)"
                .to_owned()
        }
        Ok(Err(SourceFailure::Answer(why))) => why,
        Ok(Err(SourceFailure::Client(error))) => WriteError::from(error).to_string(),
        Err(_) => "the API server didn't answer".to_owned(),
    };
    Err(format!("Secret {namespace}/{ROOT_KEY_NAME}, the operator's own, can't be read: {why}"))
}

async fn create(context: &Context, key: &RootKey) -> Result<(), String> {
    let namespace = &context.settings.limits.state_namespace;
    let why = match bounded(create_root_key(&context.client, namespace, key)).await {
        Ok(()) => {
            info!(secret = format!("{namespace}/{ROOT_KEY_NAME}"), "a key for revisions was made");
            say_if_one_was_lost(context).await;
            return Ok(());
        }
        Err(WriteError::Moved) => "somebody else has made it just now, and it is read again".to_owned(),
        Err(WriteError::Gone) => format!("the namespace {namespace} isn't there; apply config/namespace"),
        Err(error) => error.to_string(),
    };
    Err(format!("Secret {namespace}/{ROOT_KEY_NAME}, the operator's own, can't be made: {why}"))
}

/// Where pull secrets have revisions by another key, all of them are about to be written once more.
async fn say_if_one_was_lost(context: &Context) {
    let keyed = |revision: &Option<_>| {
        revision.as_ref().is_some_and(|text: &crate::process::Text| text.as_str().starts_with(Revision::VERSION))
    };
    let is_known = context.index().iter().any(|(_, namespace)| namespace.secrets.values().any(|s| keyed(&s.revision)));
    if !is_known {
        return;
    }
    const NOTE: &str =
        "the operator's own key was gone, so a new one was made, and each pull secret is written once more";
    warn!("{NOTE}");
    let reporter = Reporter { controller: FIELD_MANAGER.to_owned(), instance: None };
    let recorder = Recorder::new(context.client.clone(), reporter);
    let event = Event {
        type_: EventType::Normal,
        reason: Reason::RootKeyReplaced.to_string(),
        note: Some(NOTE.to_owned()),
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
