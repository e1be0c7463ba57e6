//! IO: which of the replicas writes, decided by the Lease `regcred` (coordination.k8s.io/v1).
//!
//! The leader writes until [`WRITES`] after it sent its last renewal that went through; another takes the Lease no
//! sooner than [`sight::TERM`] after it saw that renewal. Both go by their own monotonic clocks, and the second begins later.

mod sight;

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
    api::PostParams,
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use tokio::sync::watch;
use tracing::{info, warn};

use self::sight::Sight;
use crate::{
    controller::{Role, WatchBackoff},
    gate::Gate,
    printable::printable,
};

/// The Lease's name.
const NAME: &str = "regcred";

/// For how long a leader writes after it sent its last renewal. What is left of the Lease's term is for writes that the
/// API server is still at work on.
const WRITES: Duration = Duration::from_secs(7);

/// How often a leader renews.
const RENEW: Duration = Duration::from_secs(3);

/// After how long what failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// How long an answer is waited for.
const ANSWER: Duration = Duration::from_secs(2);

/// How long a leader that ends waits for the answers to its last writes, and for its release of the Lease.
const RELEASE: Duration = Duration::from_secs(2);

/// Why a leader has to end.
#[derive(Debug, thiserror::Error)]
pub enum Lost {
    /// It couldn't renew.
    #[error(
        "the Lease {lease} couldn't be renewed for {seconds} s, so another replica may lead soon; this one ends, to be \
         started anew as a standby",
        seconds = WRITES.as_secs()
    )]
    NotRenewed {
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
    sight: Sight,
    failing: bool,
}

impl Election {
    /// For the Lease in this namespace. Nothing is asked for yet.
    pub fn new(client: &Client, namespace: &str, gate: &Arc<Gate>) -> Self {
        let api = Api::namespaced(client.clone(), namespace);
        Self {
            news: news(&api),
            api,
            lease: format!("{namespace}/{NAME}"),
            identity: identity(),
            gate: gate.clone(),
            listed: false,
            sight: Sight::default(),
            failing: false,
        }
    }

    /// Stands by and then leads, until `finished` turns true: then the Lease is released. Whoever isn't `synced` doesn't
    /// run for it: a replica that has warm caches would serve everybody sooner.
    ///
    /// # Errors
    /// Where it has led and may not any more. By then, no write passes the gate.
    pub async fn run(
        mut self,
        roles: watch::Sender<Role>,
        synced: watch::Receiver<bool>,
        mut finished: watch::Receiver<bool>,
    ) -> Result<(), Lost> {
        tokio::select! {
            () = self.campaign(&roles, synced) => {}
            () = turned(&mut finished) => return Ok(()),
        }
        info!(lease = self.lease, identity = self.identity, "leading");
        roles.send_replace(Role::Leader);
        self.lead(finished).await?;
        self.release().await;
        Ok(())
    }

    /// Waits until the Lease is ours.
    async fn campaign(&mut self, roles: &watch::Sender<Role>, mut synced: watch::Receiver<bool>) {
        let mut next = Instant::now();
        let mut leader = None;
        loop {
            if let Some(holder) = self.sight.holder()
                && leader.as_deref() != Some(holder)
            {
                info!(lease = self.lease, identity = self.identity, leader = holder, "standing by");
                leader = Some(holder.to_owned());
                roles.send_replace(Role::Standby);
            }
            let is_synced = *synced.borrow();
            let ours = self.sight.holder() == Some(&self.identity);
            let due = if ours { Some(next) } else { self.sight.free_at().map(|free| free.max(next)) };
            tokio::select! {
                () = self.look() => {}
                // An error means that the sender is gone, which happens at the end only.
                Ok(()) = synced.changed(), if !is_synced => {}
                () = at(due), if is_synced => {
                    if self.hold().await {
                        return;
                    }
                    next = Instant::now() + RETRY;
                }
            }
        }
    }

    /// Renews until `finished` turns true.
    async fn lead(&mut self, mut finished: watch::Receiver<bool>) -> Result<(), Lost> {
        let mut next = Instant::now() + RENEW;
        while self.gate.is_open() {
            tokio::select! {
                biased;
                () = at(self.gate.until()) => {}
                () = turned(&mut finished) => return Ok(()),
                () = self.look() => {
                    if let Some(holder) = self.sight.holder()
                        && holder != self.identity
                    {
                        self.gate.lose();
                        let (lease, holder) = (self.lease.clone(), holder.to_owned());
                        return Err(Lost::Taken { lease, holder });
                    }
                }
                () = at(Some(next)) => {
                    // Not beyond the time at which we have to end.
                    let closing = at(self.gate.until());
                    let renewed = tokio::select! {
                        renewed = self.hold() => renewed,
                        () = closing => break,
                    };
                    next = Instant::now() + if renewed { RENEW } else { RETRY };
                }
            }
        }
        Err(Lost::NotRenewed { lease: self.lease.clone() })
    }

    /// Gives the Lease back once nothing of ours is under way; otherwise it is left to run out.
    async fn release(&mut self) {
        if !self.gate.finish(RELEASE).await {
            warn!(lease = self.lease, "a write may still be under way, so the Lease is left to run out");
            return;
        }
        let release = async {
            while self.sight.holder() == Some(&self.identity) {
                let Some(lease) = self.sight.released() else { break };
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
        let lease = self.sight.held_by(&self.identity, NAME, Timestamp::now());
        let sent = Instant::now();
        let answer = tokio::time::timeout(ANSWER, self.write(&lease)).await;
        let (why, is_stale) = match answer {
            Ok(Ok(lease)) => {
                self.sight.seen(lease, Instant::now());
                self.gate.open(sent + WRITES);
                self.failing = false;
                return self.gate.is_open();
            }
            Ok(Err(error)) => (said(&error), matches!(&error, kube::Error::Api(s) if matches!(s.code, 404 | 409))),
            Err(_) => (format!("the API server didn't answer within {} s", ANSWER.as_secs()), true),
        };
        if is_stale {
            // Somebody was faster, or we were without having seen the answer; the watch may be dead and never say so.
            self.news = news(&self.api);
        }
        self.report(&why);
        false
    }

    async fn write(&mut self, lease: &Lease) -> kube::Result<Lease> {
        let params = PostParams { field_manager: Some(crate::api::FIELD_MANAGER.to_owned()), ..PostParams::default() };
        if self.sight.exists() {
            self.api.replace(NAME, &params, lease).await
        } else {
            self.api.create(&params, lease).await
        }
    }

    /// Waits for the watch to tell something of the Lease.
    async fn look(&mut self) {
        let event = self.news.next().await;
        let now = Instant::now();
        match event {
            Some(Ok(Event::Init)) => self.listed = false,
            Some(Ok(Event::InitApply(lease))) => {
                self.listed = true;
                self.sight.seen(lease, now);
            }
            Some(Ok(Event::InitDone)) if self.listed => {}
            Some(Ok(Event::InitDone)) => self.sight.gone(now),
            Some(Ok(Event::Apply(lease))) => self.sight.seen(lease, now),
            Some(Ok(Event::Delete(lease))) => self.sight.deleted(&lease, now),
            Some(Err(error)) => self.report(&refusal(&error)),
            None => self.news = news(&self.api),
        }
    }

    /// The first failure in a row is told.
    fn report(&mut self, why: &str) {
        if !std::mem::replace(&mut self.failing, true) {
            warn!(lease = self.lease, why, "the Lease couldn't be read or written, and is tried again");
        }
    }
}

fn news(api: &Api<Lease>) -> BoxStream<'static, watcher::Result<Event<Lease>>> {
    let config = watcher::Config::default().streaming_lists().fields(&format!("metadata.name={NAME}"));
    watcher(api.clone(), config).backoff(WatchBackoff::default()).boxed()
}

/// The pod's name and a random part: one that is started anew must not take itself for the one before.
fn identity() -> String {
    let host = std::env::var("HOSTNAME").unwrap_or_default();
    let host = if host.is_empty() { NAME } else { &host };
    format!("{host}_{:016x}", RandomState::new().hash_one(std::process::id()))
}

fn refusal(error: &watcher::Error) -> String {
    match error {
        watcher::Error::InitialListFailed(error)
        | watcher::Error::WatchStartFailed(error)
        | watcher::Error::WatchFailed(error) => said(error),
        watcher::Error::WatchError(status) => printable(&status.message),
        _ => "the watch broke off".to_owned(),
    }
}

fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => {
            format!("{}; apply config/rbac, or run one replica with --leader-elect=false", printable(&status.message))
        }
        kube::Error::Api(status) => printable(&status.message),
        _ => "the API server can't be reached".to_owned(),
    }
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
