//! What the controllers share. Each lock is held for a moment and never across an await.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use kube::{Client, api::DynamicObject};
use tokio::sync::watch;
use tracing::warn;

use super::{
    adaptive_concurrency::AdaptiveConcurrency,
    backoff::Backoff,
    known_pods::Stuck,
    queue::{Priority, Queue},
    refused_watches::{Asked, RefusedWatches, TOLD_AFTER},
    unconfirmed_patches::UnconfirmedPatches,
};
use crate::{
    api::{CredentialName, NamespaceName, Reason, ServiceAccountName, Stalled},
    cluster::{
        gate::Gate,
        index::{Effect, Index},
    },
    credential::{RevisionKey, RootKey},
    plan::{AbsenceTracker, RecreateBackoff, RemovalTracker, catalog::Catalog, decoded::Limits},
    process::metrics::{Controller, Metrics, Watch},
    progress::{Resolution, RolloutProgress},
};

/// What the operator was told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// What RegistryCredentials may ask for.
    pub limits: Limits,
    /// How many namespaces are worked on at once.
    pub concurrency: usize,
}

/// Shared by all controllers.
pub struct Context {
    /// The API server.
    pub client: Client,
    /// What writes pass where there is an election.
    gate: Option<Arc<Gate>>,
    /// What the operator was told at its start.
    pub settings: Settings,
    /// How much of a roll-out the API server takes at once.
    pub adaptive_concurrency: AdaptiveConcurrency,
    /// Counters for Prometheus.
    pub metrics: Metrics,
    /// Namespaces to plan.
    pub namespaces: Queue<NamespaceName>,
    /// RegistryCredentials to resolve.
    pub credentials: Queue<CredentialName>,
    /// Statuses to write.
    pub statuses: Queue<CredentialName>,
    /// How often a namespace has failed in a row.
    pub retries: Backoff<NamespaceName>,
    /// How often a credential's source has failed to be read in a row.
    pub source_retries: Backoff<CredentialName>,
    /// Pods that were created before their pull secret.
    pub stuck: Stuck,
    catalog: RwLock<Arc<Catalog>>,
    index: Mutex<Index>,
    removal_tracker: Mutex<RemovalTracker>,
    absence_tracker: Mutex<AbsenceTracker>,
    recreate_backoff: Mutex<RecreateBackoff>,
    unconfirmed_patches: Mutex<UnconfirmedPatches>,
    rollout: Mutex<RolloutProgress>,
    objects: Mutex<BTreeMap<CredentialName, Arc<DynamicObject>>>,
    sources: Mutex<HashMap<SourceKey, String>>,
    states: Mutex<HashMap<CredentialName, Published>>,
    orphaned: Mutex<HashMap<String, Option<Instant>>>,
    refused_watches: Mutex<RefusedWatches>,
    root_key: Mutex<Option<Keys>>,
    state_fault: Mutex<Option<(Instant, String)>>,
    synced: watch::Sender<bool>,
    planning: AtomicBool,
}

/// Namespace and name of a Secret in a credential namespace.
pub type SourceKey = (String, String);

/// The operator's random bytes, and the key that is derived from them.
type Keys = (Arc<KnownKey>, Arc<RevisionKey>);

/// The operator's random bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KnownKey {
    /// As they are stored, or were.
    Stored(RootKey),
    /// Made up by this replica, which has found none.
    MadeUp(RootKey),
}

impl KnownKey {
    /// Whichever.
    pub fn bytes(&self) -> &RootKey {
        match self {
            Self::Stored(key) | Self::MadeUp(key) => key,
        }
    }
}

/// What was found of one RegistryCredential, and from what.
#[derive(Clone, Debug)]
pub struct Published {
    /// When.
    pub since: Instant,
    /// metadata.uid.
    pub uid: String,
    /// metadata.generation.
    pub generation: Option<i64>,
    /// metadata.resourceVersion of the source when it was looked for; `None` where there was none.
    pub source: Option<String>,
    /// The key of the revision.
    pub key: Arc<RevisionKey>,
    /// What came of it.
    pub resolution: Result<Resolution, Stalled>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A panic while it was held can't have left half a change: each change is one call.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Context {
    /// With empty caches.
    pub fn new(client: Client, gate: Option<Arc<Gate>>, settings: Settings, metrics: Metrics) -> Arc<Self> {
        // A quarter of the workers is kept for what happens while bulk work goes on.
        let bulk = settings.concurrency - settings.concurrency / 4;
        let index = Index::new(settings.limits.managed_names.clone());
        Arc::new(Self {
            client,
            gate,
            settings,
            metrics,
            adaptive_concurrency: AdaptiveConcurrency::new(bulk),
            namespaces: Queue::new(bulk),
            credentials: Queue::new(1),
            statuses: Queue::new(1),
            retries: Backoff::default(),
            source_retries: Backoff::default(),
            stuck: Stuck::default(),
            catalog: RwLock::default(),
            index: Mutex::new(index),
            removal_tracker: Mutex::default(),
            absence_tracker: Mutex::default(),
            recreate_backoff: Mutex::default(),
            unconfirmed_patches: Mutex::default(),
            rollout: Mutex::default(),
            objects: Mutex::default(),
            sources: Mutex::default(),
            states: Mutex::default(),
            orphaned: Mutex::default(),
            refused_watches: Mutex::default(),
            root_key: Mutex::default(),
            state_fault: Mutex::default(),
            synced: watch::Sender::new(false),
            planning: AtomicBool::new(false),
        })
    }

    /// A snapshot of the catalog.
    pub fn catalog(&self) -> Arc<Catalog> {
        self.catalog.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Changes the catalog for all snapshots taken from now on.
    pub fn change_catalog<T>(&self, change: impl FnOnce(&mut Catalog) -> T) -> T {
        let mut guard = self.catalog.write().unwrap_or_else(PoisonError::into_inner);
        change(Arc::make_mut(&mut guard))
    }

    /// What is known of the target namespaces.
    pub fn index(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }

    /// Entries that somebody keeps taking away.
    pub fn removal_tracker(&self) -> MutexGuard<'_, RemovalTracker> {
        lock(&self.removal_tracker)
    }

    /// Secrets that others make, and that aren't there.
    pub fn absence_tracker(&self) -> MutexGuard<'_, AbsenceTracker> {
        lock(&self.absence_tracker)
    }

    /// Service accounts that a patch without an answer may have changed.
    pub fn unconfirmed_patches(&self) -> MutexGuard<'_, UnconfirmedPatches> {
        lock(&self.unconfirmed_patches)
    }

    /// Secrets that vanish again and again.
    pub fn recreate_backoff(&self) -> MutexGuard<'_, RecreateBackoff> {
        lock(&self.recreate_backoff)
    }

    /// How far every credential is.
    pub fn rollout(&self) -> MutexGuard<'_, RolloutProgress> {
        lock(&self.rollout)
    }

    /// All RegistryCredentials as the API server has them.
    pub fn objects(&self) -> MutexGuard<'_, BTreeMap<CredentialName, Arc<DynamicObject>>> {
        lock(&self.objects)
    }

    /// The versions of the Secrets in the credential namespaces.
    pub fn sources(&self) -> MutexGuard<'_, HashMap<SourceKey, String>> {
        lock(&self.sources)
    }

    /// What was found of each RegistryCredential.
    pub fn states(&self) -> MutexGuard<'_, HashMap<CredentialName, Published>> {
        lock(&self.states)
    }

    /// UIDs of RegistryCredentials that are being deleted with `--cascade=orphan`; for those that are gone, until when
    /// their names stay held.
    pub fn orphaned(&self) -> MutexGuard<'_, HashMap<String, Option<Instant>>> {
        lock(&self.orphaned)
    }

    /// Watches that the API server refuses.
    pub fn refused_watches(&self) -> MutexGuard<'_, RefusedWatches> {
        lock(&self.refused_watches)
    }

    /// A watch was refused, and this says so.
    pub fn refused(&self, asked: &Asked, sentence: String) {
        let is_news = self.refused_watches().refused(asked.clone(), sentence, Instant::now());
        if is_news && asked.0 == Watch::Sources {
            self.source_changed();
        }
        if self.blind().is_some() {
            self.report_all();
        }
    }

    /// A watch was served.
    pub fn granted(&self, asked: &Asked) {
        let is_news = self.refused_watches().granted(asked);
        if is_news && asked.0 == Watch::Sources {
            self.source_changed();
        }
        if is_news {
            self.report_all();
        }
    }

    /// The operator's random bytes; `None` until they have been read or made up.
    pub fn root_key(&self) -> Option<Arc<KnownKey>> {
        lock(&self.root_key).as_ref().map(|(root, _)| root.clone())
    }

    /// The key of the revisions.
    pub fn revision_key(&self) -> Option<Arc<RevisionKey>> {
        lock(&self.root_key).as_ref().map(|(_, key)| key.clone())
    }

    /// From now on these are the operator's random bytes, and everything is to be resolved with them.
    pub fn set_root_key(&self, root: KnownKey) {
        let key = Arc::new(root.bytes().revision_key());
        *lock(&self.root_key) = Some((Arc::new(root), key));
        self.source_changed();
    }

    /// The operator's own Secret can't be read or made, and this says why.
    pub fn state_unavailable(&self, why: String) {
        let mut fault = lock(&self.state_fault);
        if fault.as_ref().is_none_or(|(_, before)| *before != why) {
            warn!("{why}");
        }
        let since = fault.as_ref().map_or_else(Instant::now, |(since, _)| *since);
        *fault = Some((since, why));
        drop(fault);
        if self.blind().is_some() {
            self.report_all();
        }
    }

    /// The operator's own Secret is as it should be.
    pub fn state_available(&self) {
        if lock(&self.state_fault).take().is_some() {
            self.report_all();
        }
    }

    /// Why nothing is known of the present, and a sentence: a watch is refused, or the operator's own Secret isn't there. An
    /// API server that has just started refuses everybody, so it is told only once it has lasted.
    pub fn blind(&self) -> Option<(Reason, String)> {
        let now = Instant::now();
        let refused = self.refused_watches().blinding(now).map(|why| (Reason::WatchRefused, why.to_owned()));
        refused.or_else(|| self.state_fault(now).map(|why| (Reason::StateUnavailable, why)))
    }

    /// What this replica needs and is refused; a sentence.
    pub fn refused_for_long(&self) -> Option<String> {
        let now = Instant::now();
        let refused = self.refused_watches().standing(now).map(str::to_owned);
        refused.or_else(|| self.state_fault(now))
    }

    fn state_fault(&self, now: Instant) -> Option<String> {
        let fault = lock(&self.state_fault);
        let lasting = fault.as_ref().filter(|(since, _)| now.saturating_duration_since(*since) >= TOLD_AFTER);
        lasting.map(|(_, why)| why.clone())
    }

    /// All metrics, in Prometheus' text form.
    pub fn render_metrics(&self) -> String {
        let depths =
            [(Controller::Credential, self.credentials.depth()), (Controller::Namespace, self.namespaces.depth())];
        self.metrics.render(&depths, self.adaptive_concurrency.limit(), self.leads())
    }

    /// Every status may have something new to say.
    pub fn report_all(&self) {
        let names: Vec<_> = self.objects().keys().cloned().collect();
        self.statuses.add_all(names, Priority::Live);
    }

    /// Turns true when every cache and the catalog have synced.
    pub fn synced(&self) -> &watch::Sender<bool> {
        &self.synced
    }

    /// Whether namespaces may be planned: everything has synced, and this replica leads.
    pub fn is_planning(&self) -> bool {
        self.planning.load(Ordering::Acquire)
    }

    /// Whether this replica writes now.
    pub fn leads(&self) -> bool {
        self.is_planning() && self.gate.as_ref().is_none_or(|gate| gate.is_open())
    }

    /// From now on they may.
    pub fn start_planning(&self) {
        self.planning.store(true, Ordering::Release);
    }

    /// Every namespace that exists, to be planned when nothing more urgent is left.
    pub fn plan_all(&self) {
        if self.is_planning() {
            let mut names: Vec<_> = self.index().iter().map(|(name, _)| name.clone()).collect();
            names.sort_unstable();
            self.namespaces.add_all(names, Priority::Bulk);
        }
    }

    /// A Secret in a credential namespace has changed: any RegistryCredential may point to it.
    pub fn source_changed(&self) {
        let names: Vec<_> = self.objects().keys().cloned().collect();
        self.credentials.add_all(names, Priority::Live);
    }

    /// Something has happened in a namespace.
    pub fn enqueue(&self, namespace: &NamespaceName, account: Option<&ServiceAccountName>, effect: Effect) {
        // Who stands by can't tell whether it was the leader that took an entry away.
        if let (true, Effect::TakenAway(secrets), Some(account)) = (self.is_planning(), &effect, account) {
            let now = Instant::now();
            let mut removal_tracker = self.removal_tracker();
            for secret in secrets {
                removal_tracker.taken_away(namespace, account, secret, now);
            }
        }
        if effect != Effect::None && self.is_planning() {
            self.namespaces.add(namespace.clone(), Priority::Live);
        }
    }
}
