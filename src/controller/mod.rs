//! IO: what the API server says → the plan's question → writes. Nothing here decides: it observes, asks `plan`,
//! executes and reports.

mod access;
mod adaptive_concurrency;
mod apply;
mod at_creation;
mod backoff;
mod caches;
mod context;
mod credential;
mod error;
mod known_pods;
mod namespace;
mod queue;
mod refused_watches;
mod root_key;
mod status;
mod stuck_pods;
mod token_expiry;
mod unconfirmed_patches;

use std::{collections::HashSet, sync::Arc, time::Duration};

use futures::future::join_all;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinSet,
};
use tracing::{Instrument, info, info_span, warn};

pub use backoff::WatchBackoff;
pub use caches::{list_and_watch, refusal};
pub use context::{Context, Settings};
pub use refused_watches::sentence;

use crate::{
    api::{NamespaceName, SecretName},
    plan::decoded::secret_name,
    process::metrics::Controller,
};

/// How long writes in flight may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(4);

/// A task ended by itself, which only a panic makes it do. Going on without it would look alive and do nothing.
#[derive(Debug, thiserror::Error)]
#[error("a controller ended by a panic")]
pub struct Panicked;

/// What this replica does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// It isn't known yet which of the replicas leads.
    Undecided,
    /// It keeps everything at hand and writes nothing.
    Standby,
    /// It plans and writes. Said again each time that it goes on after it couldn't renew its Lease.
    Leader,
}

/// Runs the operator until `stop` turns true; then writes in flight are finished and nothing new is begun.
/// `ready` turns true when every namespace has been planned once, or when a standby has everything at hand.
///
/// # Errors
/// Where a task panics: the process has to be started anew.
pub async fn run(
    context: Arc<Context>,
    ready: watch::Sender<bool>,
    mut role: watch::Receiver<Role>,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Panicked> {
    tokio::spawn(at_creation::say_if_missing(context.client.clone()));
    let synced = async {
        sync(&context).await;
        context.synced().send_replace(true);
    };
    tokio::select! {
        _ = async { tokio::join!(synced, report_blindness(&context, role.clone())) } => {}
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    }
    info!("every cache has synced");
    let mut resolving = tokio::spawn(credentials(context.clone()));
    tokio::select! {
        () = stand_by(&mut role, &ready) => {}
        _ = &mut resolving => return Err(Panicked),
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    }
    // No write may come before the key that its revision is made with is stored.
    let stored = root_key::store(&context);
    tokio::select! {
        () = status::Writer::new(context.clone()).run_while_blind(stored) => {}
        _ = &mut resolving => return Err(Panicked),
        _ = stop.wait_for(|stop| *stop) => return Ok(()),
    }
    // First of all, so that one that vanishes from here on is queued by its own event.
    context.start_planning();
    let first_pass: HashSet<NamespaceName> = context.index().iter().map(|(name, _)| name.clone()).collect();
    credential::count_anew(&context);
    info!(namespaces = first_pass.len(), "every namespace is planned");
    let pass = FirstPass { left: first_pass, ready };
    context.plan_all();

    tokio::select! {
        result = namespaces(&context, pass, stop) => result,
        _ = resolving => Err(Panicked),
        _ = tokio::spawn(status::Writer::new(context.clone()).run()) => Err(Panicked),
        _ = tokio::spawn(stuck_pods::run(context.clone())) => Err(Panicked),
        _ = tokio::spawn(go_on(context.clone(), role)) => Err(Panicked),
    }
}

/// Fills every cache and resolves every RegistryCredential once, so that an empty cache is never read as "delete all".
async fn sync(context: &Arc<Context>) {
    let credentials = caches::watch_credentials(context);
    let mut watches: Vec<_> =
        context.settings.limits.credential_namespaces.iter().map(|n| caches::watch_sources(context, n)).collect();
    watches.push(caches::watch_namespaces(context));
    watches.push(caches::watch_service_accounts(context));
    // RegistryCredentials come before Secrets: a Secret that lost its owner before its RegistryCredential vanished has
    // then lost it in the list of Secrets, too; and their Secret names say which foreign Secrets to keep in view.
    credentials.wait().await;
    let names: Vec<SecretName> = context.objects().values().map(|object| secret_name(object)).collect();
    for name in &names {
        context.index().take_interest(name);
    }
    watches.extend(caches::watch_secrets(context));
    tokio::join!(join_all(watches.into_iter().map(caches::Synced::wait)), root_key::find(context));
    let names: Vec<_> = context.objects().keys().cloned().collect();
    join_all(names.iter().map(|name| credential::reconcile(context, name))).await;
}

/// Where a watch that everything waits for is refused, nothing else would say so in the statuses. Ends when all has synced.
async fn report_blindness(context: &Arc<Context>, mut role: watch::Receiver<Role>) {
    let mut synced = context.synced().subscribe();
    tokio::select! {
        // An error means that the sender is gone, which happens at the end only.
        _ = synced.wait_for(|synced| *synced) => return,
        Ok(_) = role.wait_for(|role| *role == Role::Leader) => {}
    }
    let synced = async { _ = synced.wait_for(|synced| *synced).await };
    status::Writer::new(context.clone()).run_while_blind(synced).await;
}

/// Waits until this replica leads.
async fn stand_by(role: &mut watch::Receiver<Role>, ready: &watch::Sender<bool>) {
    loop {
        let now = *role.borrow_and_update();
        match now {
            Role::Leader => return,
            Role::Standby => _ = ready.send_replace(true),
            Role::Undecided => {}
        }
        if role.changed().await.is_err() {
            // Nobody decides any more, which happens at the end only.
            return std::future::pending().await;
        }
    }
}

/// Each time that this replica leads again without having been followed by another, what couldn't be written meanwhile is
/// done at once. Doesn't end.
async fn go_on(context: Arc<Context>, mut role: watch::Receiver<Role>) {
    while role.changed().await.is_ok() {
        context.plan_all();
        context.report_all();
    }
    // Nobody decides any more, which happens at the end only.
    std::future::pending().await
}

async fn credentials(context: Arc<Context>) {
    loop {
        let name = context.credentials.next().await;
        let timer = context.metrics.timer(Controller::Credential);
        let span = info_span!("reconcile", credential = %name);
        let result = credential::reconcile(&context, &name).instrument(span).await;
        timer.done(result);
        context.credentials.done(&name);
    }
}

/// The namespaces that have to be planned before the operator is ready.
struct FirstPass {
    left: HashSet<NamespaceName>,
    ready: watch::Sender<bool>,
}

impl FirstPass {
    fn planned(&mut self, name: &NamespaceName) {
        self.left.remove(name);
        self.check();
    }

    fn check(&self) {
        if self.left.is_empty() && !*self.ready.borrow() {
            info!("every namespace has been planned once: ready");
            self.ready.send_replace(true);
        }
    }
}

/// Works on namespaces, many at once, until `stop` turns true.
async fn namespaces(
    context: &Arc<Context>,
    mut pass: FirstPass,
    mut stop: watch::Receiver<bool>,
) -> Result<(), Panicked> {
    let workers = Arc::new(Semaphore::new(context.settings.concurrency));
    let mut running = JoinSet::new();
    pass.check();
    loop {
        let permit = tokio::select! {
            permit = workers.clone().acquire_owned() => permit,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let next = async {
            loop {
                tokio::select! {
                    name = context.namespaces.next() => break Ok(name),
                    Some(ended) = running.join_next() => match ended {
                        Ok(name) => pass.planned(&name),
                        Err(_) => break Err(Panicked),
                    },
                }
            }
        };
        let name = tokio::select! {
            name = next => name?,
            _ = stop.wait_for(|stop| *stop) => break,
        };
        let context = context.clone();
        let span = info_span!("reconcile", namespace = %name);
        let work = async move {
            let timer = context.metrics.timer(Controller::Namespace);
            let result = namespace::reconcile(&context, &name).await;
            timer.done(result);
            context.namespaces.done(&name);
            drop(permit);
            name
        };
        running.spawn(work.instrument(span));
    }
    let finish = async { while running.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, finish).await.is_err() {
        warn!("writes in flight took too long and were given up");
    }
    Ok(())
}
