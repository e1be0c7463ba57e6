//! Pods created before their pull secret: watches those that wait for an image, asks `plan` which of them our entry would let pull,
//! counts them for the status, and evicts them where that is wanted.

use std::{
    collections::HashSet,
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{
    Api,
    runtime::{
        WatchStreamExt,
        watcher::{Event, watcher},
    },
};
use tracing::{debug, info, warn};

use super::{
    access, apply,
    backoff::{Backoff, LASTING, TRANSIENT, WatchBackoff},
    caches,
    context::Context,
    error::WriteError,
    known_pods::Visibility,
    queue::Priority,
};
use crate::{
    api::{CredentialName, NamespaceName, PodName, StuckPods},
    cluster::observe::Observed,
    plan::{self, Pod},
    process::metrics::Watch,
};

/// At most one eviction in so long a time for each owner, so that a Deployment is never without most of its pods at once.
const TURN: Duration = Duration::from_secs(1);

/// Those pods that may wait for an image.
const PENDING: &str = "status.phase=Pending";

/// How many evictions are in flight at once.
const WRITES: usize = 8;

/// Runs for good. Every cache and the catalog have synced before.
pub async fn run(context: Arc<Context>) {
    tokio::join!(watch_while_wanted(&context), evict_in_turn(&context));
}

/// Something has happened in a namespace: which of its pods are stuck now?
pub fn refresh(context: &Context, name: &NamespaceName) {
    let mut known = context.stuck.known();
    if known.visibility != Visibility::All || known.pods.of(name).next().is_none() && !known.stuck_counts.has(name) {
        return;
    }
    let catalog = context.catalog();
    let index = context.index();
    let stuck = |namespace| plan::stuck(name, &catalog.all_desired(), namespace, known.pods.of(name));
    let found = index.get(name).map(stuck).unwrap_or_default();
    drop(index);
    let touched = known.stuck_counts.record(name, found);
    drop(known);
    context.statuses.add_all(touched, Priority::Live);
    context.stuck.found.notify_one();
}

async fn watch_while_wanted(context: &Context) {
    let mut wanted = context.stuck.wanted.subscribe();
    // An error would mean that the sender is gone, which is in the context.
    while wanted.wait_for(|wanted| *wanted).await.is_ok() {
        tokio::select! {
            () = watch_pods(context) => {}
            _ = wanted.wait_for(|wanted| !wanted) => {}
        }
        context.stuck.forget(Visibility::NotYet);
    }
}

/// Watches pods whenever and for as long as that is allowed.
async fn watch_pods(context: &Context) {
    let refused_watches = Backoff::default();
    loop {
        if may_watch(context).await {
            follow(context, &refused_watches).await;
        }
        if context.stuck.forget(Visibility::Forbidden) {
            info!(
                "pods may not be watched, so no status counts those that were created too early; apply \
                 config/overlays/stuck-pods, or set spec.stuckPods to Off"
            );
            context.report_all();
        }
        // Somebody may grant it; until then nothing is to be had from asking often.
        tokio::time::sleep(refused_watches.failed(&(), LASTING)).await;
    }
}

/// Asks whether pods may be watched until there is an answer.
async fn may_watch(context: &Context) -> bool {
    let unanswered = Backoff::default();
    loop {
        match access::may_watch_pods(&context.client, PENDING).await {
            Ok(may) => return may,
            // Who may not even ask can but try.
            Err(WriteError::Denied(_)) => return true,
            Err(error) => {
                if unanswered.count(&()) == 0 {
                    warn!(%error, "whether pods may be watched couldn't be asked, and is asked again");
                }
                tokio::time::sleep(unanswered.failed(&(), TRANSIENT)).await;
            }
        }
    }
}

/// Follows all pending pods until that is forbidden. The watch begins with all that there are.
async fn follow(context: &Context, refused_watches: &Backoff<()>) {
    let api = Api::<Observed<Option<Pod>>>::all(context.client.clone());
    let config = caches::list_and_watch().fields(PENDING);
    let mut stream = Box::pin(watcher(api, config).backoff(WatchBackoff::default()));
    let mut failing = false;
    while let Some(event) = stream.next().await {
        match event {
            Ok(event) => {
                context.metrics.watch_event(Watch::Pods);
                if !matches!(event, Event::Init) {
                    failing = false;
                    refused_watches.worked(&());
                }
                handle(context, event);
            }
            Err(error) => {
                context.metrics.watch_error(Watch::Pods);
                if caches::status(&error).is_some_and(|status| status.code == 403) {
                    return;
                }
                caches::report(Watch::Pods, &error, failing);
                failing = true;
            }
        }
    }
}

fn handle(context: &Context, event: Event<Observed<Option<Pod>>>) {
    let stuck = &context.stuck;
    match event {
        Event::InitApply(seen) | Event::Apply(seen) => {
            let (namespace, name) = seen.key::<PodName>();
            stuck.known().pods.seen(&namespace, &name, seen.object);
            refresh(context, &namespace);
        }
        Event::Delete(seen) => {
            let (namespace, name) = seen.key::<PodName>();
            stuck.known().pods.gone(&namespace, &name);
            refresh(context, &namespace);
        }
        Event::Init => stuck.known().pods.relist_begins(),
        Event::InitDone => {
            let namespaces = stuck.known().pods.relist_ends();
            let before = std::mem::replace(&mut stuck.known().visibility, Visibility::All);
            namespaces.iter().for_each(|namespace| refresh(context, namespace));
            if before != Visibility::All {
                context.report_all();
            }
        }
    }
}

/// A pod to evict.
struct Candidate {
    credential: CredentialName,
    namespace: NamespaceName,
    name: PodName,
    pod: Pod,
}

async fn evict_in_turn(context: &Context) {
    loop {
        let (candidates, next) = candidates(context, Instant::now());
        if !candidates.is_empty() {
            stream::iter(candidates).for_each_concurrent(WRITES, |candidate| evict(context, candidate)).await;
            continue;
        }
        let found = context.stuck.found.notified();
        match next {
            None => found.await,
            Some(next) => {
                // Whichever comes first.
                let _ = tokio::time::timeout_at(next.into(), found).await;
            }
        }
    }
}

/// One pod of each owner whose turn it is, and when the next turn comes. Whether a pod is stuck is asked anew: what is
/// known of its namespace may have changed since it was counted.
fn candidates(context: &Context, now: Instant) -> (Vec<Candidate>, Option<Instant>) {
    let known = context.stuck.known();
    let catalog = context.catalog();
    let index = context.index();
    let all_desired = catalog.all_desired();
    let (mut candidates, mut owners, mut next) = (Vec::new(), HashSet::new(), None::<Instant>);
    for desired in all_desired.iter().filter(|desired| desired.stuck.policy == StuckPods::Evict) {
        for (namespace, name) in known.stuck_counts.of(&desired.credential) {
            let (Some(pod), Some(there)) = (known.pods.get(namespace, name), index.get(namespace)) else { continue };
            if let Some(turn) = known.eviction_limiter.wait(&pod.owner, now) {
                next = Some(next.map_or(turn, |next| next.min(turn)));
            } else if !owners.contains(&pod.owner) && plan::is_stuck(desired, namespace, &all_desired, there, pod) {
                owners.insert(pod.owner.clone());
                let (credential, namespace) = (desired.credential.clone(), namespace.clone());
                candidates.push(Candidate { credential, namespace, name: name.clone(), pod: pod.clone() });
            }
        }
    }
    (candidates, next)
}

async fn evict(context: &Context, candidate: Candidate) {
    let stuck = &context.stuck;
    let Candidate { credential, namespace, name, pod } = candidate;
    let put_off = |wait: Duration| {
        let now = Instant::now();
        stuck.known().eviction_limiter.put_off(&pod.owner, now + wait, now);
    };
    put_off(TURN);
    match apply::evict_pod(context, &namespace, &name, &pod).await {
        Ok(()) => {
            info!(%credential, %namespace, pod = %name, "evicted: it was created before its service account had the entry");
            stuck.retries.worked(&pod.owner);
            let mut known = stuck.known();
            known.refused = false;
            known.pods.gone(&namespace, &name);
            drop(known);
            refresh(context, &namespace);
        }
        // It is another one by now, or has gone on, which its own event tells.
        Err(WriteError::Moved | WriteError::Gone) => debug!(%namespace, pod = %name, "moved before it was evicted"),
        Err(error) => {
            let refused = matches!(error, WriteError::Denied(_) | WriteError::Invalid(_));
            put_off(TURN.max(stuck.retries.failed(&pod.owner, if refused { LASTING } else { TRANSIENT })));
            if std::mem::replace(&mut stuck.known().refused, true) {
                debug!(%namespace, pod = %name, %error, "couldn't be evicted and is tried again");
            } else {
                warn!(%namespace, pod = %name, %error, "a pod couldn't be evicted and is tried again, as others will be");
            }
        }
    }
}
