//! IO: which of the replicas writes, decided by the Lease `regcred` (coordination.k8s.io/v1).
//!
//! The leader writes until [`WRITES`] after it sent its last renewal that went through; another takes the Lease no
//! sooner than [`lease_state::TERM`] after it saw that renewal. Both go by their own monotonic clocks, and the second begins later.
//! A leader whose time is up writes nothing and goes on trying: a renewal that replaces the very Lease that it had proves
//! that nobody has followed it.

mod lease_state;

use std::{
    hash::{BuildHasher, RandomState},
    sync::Arc,
    time::{Duration, Instant},
};

use futures::{StreamExt, stream::BoxStream};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api, Client,
    api::{ListParams, PostParams},
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;
use tracing::{info, warn};

use self::lease_state::LeaseState;
use crate::{
    api::printable,
    cluster::gate::Gate,
    controller::{Context, Role, WatchBackoff, list_and_watch, sentence},
    process::metrics::Watch,
};

/// The Lease's name.
const NAME: &str = "regcred";

/// For how long a leader writes after it sent its last renewal. What is left of the Lease's term is for writes that the
/// API server is still at work on.
const WRITES: Duration = Duration::from_secs(10);

/// How often a leader renews.
const RENEW: Duration = Duration::from_secs(3);

/// After how long what failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(4);

/// How long a standby lets the leader renew once the API server answers again: longer than a leader waits for an answer
/// that never comes, and then until it tries again.
const PATIENCE: Duration = Duration::from_secs(5);

/// How much later than others a replica takes a free Lease that is refused a watch: it could but say so.
const HESITATES: Duration = Duration::from_secs(5);

/// How long a leader that ends waits for the answers to its last writes, and for its release of the Lease.
const RELEASE: Duration = Duration::from_secs(2);

/// Why a leader has to end: another may have led since. It is started anew as a standby.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// It couldn't renew in time, and the Lease isn't the one that it had.
    #[error("the Lease {lease} wasn't renewed for {seconds} s and was taken away meanwhile; this replica ends, to be \
             started anew as a standby", seconds = WRITES.as_secs())]
    TakenAway {
        /// namespace/name.
        lease: String,
    },
    /// Another has the Lease.
    #[error("the Lease {lease} was taken by {holder}; this replica ends, to be started anew as a standby")]
    Taken {
        /// namespace/name.
        lease: String,
        /// Who has it.
        holder: String,
    },
}

/// One replica's part in the election.
pub struct Election {
    api: Api<Lease>,
    /// namespace/name, for people.
    lease: String,
    identity: String,
    gate: Arc<Gate>,
    news: BoxStream<'static, watcher::Result<Event<Lease>>>,
    /// Whether the list that is coming in has the Lease.
    listed: bool,
    lease_state: LeaseState,
    /// The API server hasn't answered since the Lease was last seen: its holder may have been as cut off as we are.
    is_cut_off: bool,
    failing: bool,
    context: Arc<Context>,
}

impl Election {
    /// For the Lease in this namespace. Nothing is asked for yet.
    pub fn new(client: &Client, namespace: &str, gate: &Arc<Gate>, context: &Arc<Context>) -> Self {
        let api = Api::namespaced(client.clone(), namespace);
        Self {
            news: news(&api),
            api,
            lease: format!("{namespace}/{NAME}"),
            identity: identity(),
            gate: gate.clone(),
            listed: false,
            lease_state: LeaseState::default(),
            is_cut_off: false,
            failing: false,
            context: context.clone(),
        }
    }

    /// Stands by and then leads, until `finished` turns true: then the Lease is released. Whoever hasn't synced doesn't
    /// run for it: a replica that has warm caches would serve everybody sooner.
    ///
    /// # Errors
    /// Where it has led and another may have followed. By then, no write passes the gate.
    pub async fn run(mut self, roles: watch::Sender<Role>, mut finished: watch::Receiver<bool>) -> Result<(), Lost> {
        tokio::select! {
            () = self.campaign(&roles) => {}
            () = turned(&mut finished) => return Ok(()),
        }
        info!(lease = self.lease, identity = self.identity, "leading");
        roles.send_replace(Role::Leader);
        self.lead(&roles, finished).await?;
        self.release().await;
        Ok(())
    }

    /// Waits until the Lease is ours.
    async fn campaign(&mut self, roles: &watch::Sender<Role>) {
        let mut synced = self.context.synced().subscribe();
        let mut next = Instant::now();
        let mut leader = None;
        loop {
            if let Some(holder) = self.lease_state.holder()
                && leader.as_deref() != Some(holder)
            {
                info!(lease = self.lease, identity = self.identity, leader = holder, "standing by");
                leader = Some(holder.to_owned());
                roles.send_replace(Role::Standby);
            }
            let is_synced = *synced.borrow();
            let runs = is_synced || self.context.blind().is_some();
            let later = if is_synced { Duration::ZERO } else { HESITATES };
            let ours = self.lease_state.holder() == Some(&self.identity);
            let due = if ours { Some(next) } else { self.lease_state.free_at().map(|free| (free + later).max(next)) };
            tokio::select! {
                () = self.look() => {}
                // An error means that the sender is gone, which happens at the end only.
                Ok(()) = synced.changed(), if !is_synced => {}
                // That a refusal has lasted is told by no event.
                () = tokio::time::sleep(RETRY), if !runs => {}
                () = at(due), if runs => {
                    next = if self.is_cut_off {
                        Instant::now() + if self.look_up().await { PATIENCE } else { RETRY }
                    } else if self.hold().await {
                        return;
                    } else {
                        Instant::now() + RETRY
                    };
                }
            }
        }
    }

    /// Renews until `finished` turns true.
    async fn lead(&mut self, roles: &watch::Sender<Role>, mut finished: watch::Receiver<bool>) -> Result<(), Lost> {
        let mut next = Instant::now() + RENEW;
        let mut is_told = false;
        loop {
            let lease = || self.lease.clone();
            match self.lease_state.holder() {
                Some(holder) if holder != self.identity => {
                    self.gate.lose();
                    return Err(Lost::Taken { lease: lease(), holder: holder.to_owned() });
                }
                // It may have been somebody's, and given back.
                None if self.gate.is_lost() => return Err(Lost::TakenAway { lease: lease() }),
                _ => {}
            }
            tokio::select! {
                biased;
                () = turned(&mut finished) => return Ok(()),
                () = self.look() => {}
                () = at(Some(next)) => {
                    let was_closed = self.gate.is_lost();
                    let renewed = tokio::select! {
                        renewed = self.hold() => renewed,
                        () = turned(&mut finished) => return Ok(()),
                    };
                    next = Instant::now() + if renewed { RENEW } else { RETRY };
                    if renewed && std::mem::take(&mut is_told) | was_closed {
                        info!(lease = self.lease, "renewed, and nobody has led meanwhile: going on");
                        roles.send_replace(Role::Leader);
                    }
                    if self.gate.is_lost() && !std::mem::replace(&mut is_told, true) {
                        warn!(lease = self.lease, "nothing is written until the Lease is renewed");
                    }
                }
            }
        }
    }

    /// Gives the Lease back once nothing of ours is under way; otherwise it is left to run out.
    async fn release(&mut self) {
        if !self.gate.finish(RELEASE).await {
            warn!(lease = self.lease, "a write may still be under way, so the Lease is left to run out");
            return;
        }
        let release = async {
            while self.lease_state.holder() == Some(&self.identity) {
                let Some(lease) = self.lease_state.released() else { break };
                match self.write(&lease).await {
                    Ok(_) => return info!(lease = self.lease, "released"),
                    Err(_) => self.news = news(&self.api),
                }
                // A renewal whose answer is missing may have gone through: what the watch tells until the next try.
                let look = async {
                    loop {
                        self.look().await;
                    }
                };
                let _: Result<(), _> = tokio::time::timeout(RETRY, look).await;
            }
        };
        // Else it runs out.
        let _ = tokio::time::timeout(RELEASE, release).await;
    }

    /// Takes the Lease or keeps it, and says whether that worked. It goes through only if nothing has changed meanwhile.
    async fn hold(&mut self) -> bool {
        let was_ours = self.lease_state.holder() == Some(&self.identity);
        let lease = self.lease_state.held_by(&self.identity, NAME, Timestamp::now());
        let sent = Instant::now();
        let answer = tokio::time::timeout(ANSWER, self.write(&lease)).await;
        let error = match answer {
            Ok(Ok(lease)) => {
                self.lease_state.seen(lease, Instant::now());
                if was_ours {
                    self.gate.reopen(sent + WRITES);
                } else {
                    self.gate.open(sent + WRITES);
                }
                self.is_heard();
                return self.gate.is_open();
            }
            Ok(Err(error)) => Some(error),
            Err(_) => None,
        };
        if error.as_ref().is_none_or(|error| matches!(error, kube::Error::Api(s) if matches!(s.code, 404 | 409))) {
            // Somebody was faster, or we were without having seen the answer; the watch may be dead and never say so.
            self.news = news(&self.api);
        }
        self.is_refused(error.as_ref());
        false
    }

    /// Reads the Lease as it is now, and says whether that worked.
    async fn look_up(&mut self) -> bool {
        let params = ListParams::default().fields(&of_that_name());
        let answer = tokio::time::timeout(ANSWER, self.api.list(&params)).await;
        let now = Instant::now();
        match answer {
            Ok(Ok(list)) => {
                match list.items.into_iter().next() {
                    Some(lease) => self.lease_state.seen(lease, now),
                    None => self.lease_state.gone(now),
                }
                self.is_heard();
                true
            }
            Ok(Err(error)) => {
                self.is_refused(Some(&error));
                false
            }
            Err(_) => {
                self.is_refused(None);
                false
            }
        }
    }

    async fn write(&mut self, lease: &Lease) -> kube::Result<Lease> {
        let params = PostParams { field_manager: Some(crate::api::FIELD_MANAGER.to_owned()), ..PostParams::default() };
        if self.lease_state.exists() {
            self.api.replace(NAME, &params, lease).await
        } else {
            self.api.create(&params, lease).await
        }
    }

    /// Waits for the watch to tell something of the Lease.
    async fn look(&mut self) {
        let event = self.news.next().await;
        let now = Instant::now();
        if matches!(event, Some(Ok(Event::InitDone | Event::Apply(_) | Event::Delete(_)))) {
            self.is_heard();
        }
        match event {
            Some(Ok(Event::Init)) => self.listed = false,
            Some(Ok(Event::InitApply(lease))) => {
                self.listed = true;
                self.lease_state.seen(lease, now);
            }
            Some(Ok(Event::InitDone)) if self.listed => {}
            Some(Ok(Event::InitDone)) => self.lease_state.gone(now),
            Some(Ok(Event::Apply(lease))) => self.lease_state.seen(lease, now),
            Some(Ok(Event::Delete(lease))) => self.lease_state.deleted(&lease, now),
            Some(Err(error)) => match error {
                watcher::Error::InitialListFailed(error)
                | watcher::Error::WatchStartFailed(error)
                | watcher::Error::WatchFailed(error) => self.is_refused(Some(&error)),
                watcher::Error::WatchError(status) => self.is_refused(Some(&kube::Error::Api(status))),
                _ => self.is_refused(None),
            },
            None => self.news = news(&self.api),
        }
    }

    /// The API server has answered with the Lease.
    fn is_heard(&mut self) {
        self.is_cut_off = false;
        self.failing = false;
        self.context.granted(&(Watch::Lease, String::new()));
    }

    /// The API server has refused, or (`None`, and what isn't its answer) it hasn't answered. The first failure in a row is
    /// told.
    fn is_refused(&mut self, error: Option<&kube::Error>) {
        let why = match error {
            Some(kube::Error::Api(status)) if matches!(status.code, 401 | 403) => {
                let why = sentence(Watch::Lease, status);
                self.context.refused(&(Watch::Lease, String::new()), why.clone());
                why
            }
            Some(kube::Error::Api(status)) => {
                self.is_cut_off |= status.code == 429 || status.code >= 500;
                printable(&status.message)
            }
            Some(_) => {
                self.is_cut_off = true;
                "the API server can't be reached".to_owned()
            }
            None => {
                self.is_cut_off = true;
                format!("the API server didn't answer within {} s", ANSWER.as_secs())
            }
        };
        if !std::mem::replace(&mut self.failing, true) {
            warn!(lease = self.lease, why, "the Lease couldn't be read or written, and is tried again");
        }
    }
}

fn of_that_name() -> String {
    format!("metadata.name={NAME}")
}

fn news(api: &Api<Lease>) -> BoxStream<'static, watcher::Result<Event<Lease>>> {
    watcher(api.clone(), list_and_watch().fields(&of_that_name())).backoff(WatchBackoff::default()).boxed()
}

/// The pod's name and a random part: one that is started anew must not take itself for the one before.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let host = if host.is_empty() { NAME } else { &host };
    format!("{host}_{:016x}", RandomState::new().hash_one(std::process::id()))
}

async fn turned(flag: &mut watch::Receiver<bool>) {
    // An error means that the sender is gone, which is as good.
    let _ = flag.wait_for(|is| *is).await;
}

async fn at(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}
