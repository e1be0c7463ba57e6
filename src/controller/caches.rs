//! The watches: what the API server tells goes into the index, and from there namespaces into the queue.

use std::{collections::HashSet, fmt::Debug, sync::Arc, time::Instant};

use futures::{Stream, StreamExt};
use kube::{
    Api, Resource,
    api::DynamicObject,
    core::ApiResource,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;
use tokio::sync::watch::{Receiver, channel};
use tracing::{Instrument, debug, info_span, warn};

use super::{
    backoff::WatchBackoff,
    context::Context,
    credential,
    queue::Priority,
    refused_watches::{self, Asked},
};
use crate::{
    api::{CredentialName, NamespaceName, RegistryCredential, SECRET_TYPE, SecretName, ServiceAccountName},
    cluster::{
        index::{Effect, Index, Kind},
        observe::{NamespaceMeta, Observed},
    },
    plan::{ResourceVersion, Secret, ServiceAccount, decoded::is_being_orphaned, managed_names::ManagedNames},
    process::metrics::Watch,
};

/// Tells when a watch has listed everything once.
pub struct Synced(Receiver<bool>);

impl Synced {
    /// Waits for that.
    pub async fn wait(mut self) {
        // An error means that the watch has ended, which happens at shutdown only: nobody waits then.
        let _ = self.0.wait_for(|synced| *synced).await;
    }
}

/// A list of what there is now, and then a watch. A list without a resourceVersion is a quorum read, which decides about
/// removal: absence from an old list would remove what works. No streaming list: Kubernetes 1.31 and 1.33 serve none, and
/// where there is one, it is of any age that the API server's cache has. In pages, so that the answers to a large cluster's
/// lists are never in memory as a whole.
pub fn list_and_watch() -> watcher::Config {
    watcher::Config::default().page_size(1_000)
}

/// Watches every RegistryCredential. They are taken undecoded: one that this version can't decode must not stop the
/// others.
pub fn watch_credentials(context: &Arc<Context>) -> Synced {
    let resource = ApiResource::erase::<RegistryCredential>(&());
    let api = Api::<DynamicObject>::all_with(context.client.clone(), &resource);
    let stream = watcher(api, list_and_watch());
    let mut listed: Option<HashSet<CredentialName>> = None;
    spawn(context, (Watch::RegistryCredentials, String::new()), stream, move |context, event| {
        let name = |object: &DynamicObject| CredentialName::from(object.metadata.name.as_deref().unwrap_or_default());
        match event {
            Event::Init => listed = Some(HashSet::new()),
            Event::InitApply(object) | Event::Apply(object) => {
                let name = name(&object);
                if let Some(listed) = &mut listed {
                    listed.insert(name.clone());
                }
                if is_being_orphaned(&object) {
                    // The reconcile may come too late to see this.
                    let uid = object.metadata.uid.clone().unwrap_or_default();
                    context.orphaned().entry(uid).or_default();
                    credential::hold(context, &name);
                }
                context.objects().insert(name.clone(), Arc::new(object));
                context.credentials.add(name, Priority::Live);
            }
            Event::Delete(object) => {
                let name = name(&object);
                context.objects().remove(&name);
                context.credentials.add(name, Priority::Live);
            }
            Event::InitDone => {
                let listed = listed.take().unwrap_or_default();
                let mut objects = context.objects();
                let gone: Vec<_> = objects.keys().filter(|name| !listed.contains(*name)).cloned().collect();
                for name in gone {
                    objects.remove(&name);
                    context.credentials.add(name, Priority::Live);
                }
            }
        }
    })
}

/// Watches the versions of the Secrets in one credential namespace.
pub fn watch_sources(context: &Arc<Context>, namespace: &str) -> Synced {
    let api = Api::<Observed<Secret>>::namespaced(context.client.clone(), namespace);
    let stream = watcher(api, list_and_watch());
    let namespace = namespace.to_owned();
    let mut listed: Option<HashSet<String>> = None;
    spawn(context, (Watch::Sources, namespace.clone()), stream, move |context, event| {
        let set = |name: &str, version: Option<ResourceVersion>| {
            let key = (namespace.clone(), name.to_owned());
            let changed = match version {
                Some(version) => context.sources().insert(key, version.to_string()) != Some(version.to_string()),
                None => context.sources().remove(&key).is_some(),
            };
            if changed {
                context.source_changed();
            }
        };
        match event {
            Event::Init => listed = Some(HashSet::new()),
            Event::InitApply(seen) | Event::Apply(seen) => {
                if let Some(listed) = &mut listed {
                    listed.insert(seen.name.clone());
                }
                set(&seen.name, Some(seen.resource_version()));
            }
            Event::Delete(seen) => set(&seen.name, None),
            Event::InitDone => {
                let listed = listed.take().unwrap_or_default();
                let known: Vec<_> = context.sources().keys().filter(|k| k.0 == namespace).cloned().collect();
                for (_, name) in known.into_iter().filter(|(_, name)| !listed.contains(name)) {
                    set(&name, None);
                }
            }
        }
    })
}

/// Watches all namespaces.
pub fn watch_namespaces(context: &Arc<Context>) -> Synced {
    let api = Api::<Observed<NamespaceMeta>>::all(context.client.clone());
    let stream = watcher(api, list_and_watch());
    spawn(context, (Watch::Namespaces, String::new()), stream, move |context, event| match event {
        Event::InitApply(seen) | Event::Apply(seen) => {
            let name = NamespaceName::from(seen.name);
            let NamespaceMeta { labels, terminating } = seen.object;
            let effect = context.index().namespace_seen(&name, labels, terminating);
            context.enqueue(&name, None, effect);
        }
        Event::Delete(seen) => {
            let name = NamespaceName::from(seen.name);
            context.removal_tracker().forget(&name);
            context.absence_tracker().forget(&name);
            context.recreate_backoff().forget(&name);
            let effect = context.index().namespace_gone(&name);
            context.enqueue(&name, None, effect);
        }
        Event::Init => context.index().relist_begins(Kind::Namespace),
        Event::InitDone => relisted(context, Kind::Namespace),
    })
}

/// Watches the metadata of all Secrets of the type that we manage, or only of those names that we may manage: one watch
/// for each name, as that is what a rule with resourceNames allows.
pub fn watch_secrets(context: &Arc<Context>) -> Vec<Synced> {
    let of_type = format!("type={SECRET_TYPE}");
    match &context.settings.limits.managed_names {
        ManagedNames::Any => vec![watch_secrets_of(context, Kind::Secret, "", &of_type)],
        ManagedNames::Only(names) => {
            let watch = |name: &SecretName| {
                // The API server's refusals don't say which name they are about.
                let _span = info_span!("watch", secret = %name).entered();
                let kind = Kind::SecretNamed(name.clone());
                watch_secrets_of(context, kind, name.as_str(), &format!("metadata.name={name},{of_type}"))
            };
            names.iter().map(watch).collect()
        }
    }
}

fn watch_secrets_of(context: &Arc<Context>, kind: Kind, name: &str, selector: &str) -> Synced {
    let api = Api::<Observed<Secret>>::all(context.client.clone());
    let stream = watcher(api, list_and_watch().fields(selector));
    spawn(context, (Watch::Secrets, name.to_owned()), stream, move |context, event| match event {
        Event::InitApply(seen) | Event::Apply(seen) => {
            let ((namespace, name), at) = (seen.key::<SecretName>(), seen.resource_version());
            let change = |index: &mut Index| index.secret_seen(&namespace, &name, seen.object);
            observe(context, kind.clone(), at, &namespace, None, change);
        }
        Event::Delete(seen) => {
            let ((namespace, name), at) = (seen.key::<SecretName>(), seen.resource_version());
            let change = |index: &mut Index| {
                let effect = index.secret_gone(&namespace, &name, at);
                if effect == Effect::Changed {
                    context.recreate_backoff().gone(&namespace, &name, Instant::now());
                }
                effect
            };
            observe(context, kind.clone(), at, &namespace, None, change);
        }
        Event::Init => context.index().relist_begins(kind.clone()),
        Event::InitDone => relisted(context, kind.clone()),
    })
}

/// Watches all service accounts.
pub fn watch_service_accounts(context: &Arc<Context>) -> Synced {
    let api = Api::<Observed<ServiceAccount>>::all(context.client.clone());
    let stream = watcher(api, list_and_watch());
    spawn(context, (Watch::ServiceAccounts, String::new()), stream, move |context, event| match event {
        Event::InitApply(seen) | Event::Apply(seen) => {
            let ((namespace, name), at) = (seen.key::<ServiceAccountName>(), seen.resource_version());
            let change = |index: &mut Index| index.service_account_seen(&namespace, &name, seen.object);
            observe(context, Kind::ServiceAccount, at, &namespace, Some(&name), change);
        }
        Event::Delete(seen) => {
            let ((namespace, name), at) = (seen.key::<ServiceAccountName>(), seen.resource_version());
            let change = |index: &mut Index| index.service_account_gone(&namespace, &name, at);
            observe(context, Kind::ServiceAccount, at, &namespace, None, change);
        }
        Event::Init => context.index().relist_begins(Kind::ServiceAccount),
        Event::InitDone => relisted(context, Kind::ServiceAccount),
    })
}

/// A watch has told of an object of this version: the index follows, and then the namespace.
fn observe(
    context: &Context,
    kind: Kind,
    at: ResourceVersion,
    namespace: &NamespaceName,
    account: Option<&ServiceAccountName>,
    change: impl FnOnce(&mut Index) -> Effect,
) {
    let mut index = context.index();
    index.observe_version(kind, at);
    let effect = change(&mut index);
    drop(index);
    context.enqueue(namespace, account, effect);
}

fn relisted(context: &Context, kind: Kind) {
    let changed = context.index().relist_ends(kind);
    for namespace in changed {
        context.enqueue(&namespace, None, Effect::Changed);
    }
}

/// Runs one watch for good. Its errors stay its own: another watch goes on while this one is tried again.
fn spawn<K>(
    context: &Arc<Context>,
    asked: Asked,
    stream: impl Stream<Item = watcher::Result<Event<K>>> + Send + 'static,
    mut handle: impl FnMut(&Context, Event<K>) + Send + 'static,
) -> Synced
where
    K: Resource + Clone + DeserializeOwned + Debug + Send + 'static,
{
    let (synced, wait) = channel(false);
    let (context, watch) = (context.clone(), asked.0);
    let task = async move {
        let mut stream = Box::pin(stream.backoff(WatchBackoff::default()));
        let mut failing = false;
        while let Some(event) = stream.next().await {
            match event {
                Ok(event) => {
                    context.metrics.watch_event(watch);
                    // A list begins with an event even where it then fails.
                    if !matches!(event, Event::Init) {
                        if std::mem::take(&mut failing) {
                            // What failed meanwhile needn't wait for its time.
                            context.plan_all();
                        }
                        context.granted(&asked);
                    }
                    let done = matches!(event, Event::InitDone);
                    handle(&context, event);
                    if done {
                        debug!(watch = watch.as_str(), "listed");
                        synced.send_replace(true);
                    }
                }
                Err(error) => {
                    context.metrics.watch_error(watch);
                    report(watch, &error, failing);
                    failing = true;
                    if let Some(status) = refusal(&error) {
                        context.refused(&asked, refused_watches::sentence(watch, status));
                        if watch == Watch::Sources {
                            // Nobody needs to wait for these: what can't be read is said of those that name it.
                            synced.send_replace(true);
                        }
                    }
                }
            }
        }
    };
    tokio::spawn(task.in_current_span());
    Synced(wait)
}

/// The first error in a row is told, the others only to who asks for details.
pub(super) fn report(watch: Watch, error: &watcher::Error, again: bool) {
    let name = watch.as_str();
    match (refusal(error), status(error)) {
        _ if again => debug!(watch = name, "the watch still fails"),
        (Some(status), _) => warn!(watch = name, code = status.code, "{}", refused_watches::sentence(watch, status)),
        (None, Some(status)) => {
            let message = crate::api::printable(&status.message);
            warn!(watch = name, code = status.code, message, "the watch failed and is tried again");
        }
        (None, None) => warn!(watch = name, "the watch broke off and is tried again"),
    }
}

/// What asking again the same way won't mend: neither the API server's load nor a version that it has forgotten.
pub fn refusal(error: &watcher::Error) -> Option<&kube::core::Status> {
    status(error).filter(|status| (400..500).contains(&status.code) && !matches!(status.code, 408 | 410 | 429))
}

pub(super) fn status(error: &watcher::Error) -> Option<&kube::core::Status> {
    match error {
        watcher::Error::InitialListFailed(kube::Error::Api(status))
        | watcher::Error::WatchStartFailed(kube::Error::Api(status))
        | watcher::Error::WatchFailed(kube::Error::Api(status))
        | watcher::Error::WatchError(status) => Some(status),
        _ => None,
    }
}
