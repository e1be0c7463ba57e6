//! `regcred run`: the operator, put together.

use std::{
    io::ErrorKind,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
};

use clap::Args;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::watch,
    task::JoinHandle,
};
use tracing::info;

use crate::{
    api::{STATE_NAMESPACE, SecretName},
    cluster::{self, Connected, Where, gate::Gate},
    controller::{self, Context, Role, Settings},
    credential::AllowedRegistries,
    leader::Election,
    plan::{decoded::Limits, managed_names::parse_name},
    process::{
        metrics::Metrics,
        server,
        telemetry::{self, LogFormat},
    },
};

/// The client's own log of each failed request or watch repeats what we say of it.
const DEFAULT_FILTER: &str = "info,kube_client::client::builder=off,kube_runtime::watcher=off";

/// What the operator can be told.
#[derive(Args)]
pub struct RunArgs {
    /// Namespaces that source Secrets may live in, separated by commas; the first is meant where a secretRef names
    /// none. [default: the namespace that regcred runs in, regcred-system outside a cluster]
    #[arg(long, env = "REGCRED_CREDENTIAL_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACE")]
    credential_namespaces: Vec<String>,

    /// Registry hosts that a Google key may be sent to beyond Google's own, separated by commas: a host, host:port, or
    /// *.domain.
    #[arg(long, env = "REGCRED_ALLOWED_REGISTRIES", default_value = "", value_name = "HOST")]
    allowed_registries: AllowedRegistries,

    /// The names that managed Secrets may have, separated by commas. Secrets are then watched by these names only, so that
    /// a ClusterRole with resourceNames is enough. [default: any name, for which it must be allowed to watch all Secrets]
    #[arg(long, env = "REGCRED_MANAGED_SECRET_NAMES", value_delimiter = ',', num_args = 1.., value_name = "NAME",
          value_parser = parse_name)]
    managed_secret_names: Vec<SecretName>,

    /// The namespace of the operator's own Secret, the key of the revisions: none of --credential-namespaces, and never a
    /// target.
    #[arg(long, env = "REGCRED_STATE_NAMESPACE", default_value = STATE_NAMESPACE, value_name = "NAMESPACE")]
    state_namespace: String,

    /// Where /metrics, /livez and /readyz are served. [::] is every address, of IPv4, too. It is ready once every namespace
    /// has been planned, or, as a standby, could begin with that.
    #[arg(long, env = "REGCRED_LISTEN", default_value = "[::]:8080", value_name = "ADDRESS:PORT")]
    listen: SocketAddr,

    /// How many namespaces are worked on at once, at most. A roll-out takes three quarters of them, and fewer while the
    /// API server is too busy; the rest is for what happens meanwhile.
    #[arg(long, env = "REGCRED_CONCURRENCY", default_value = "96", value_name = "N",
          value_parser = clap::value_parser!(u16).range(1..=1024))]
    concurrency: u16,

    /// Whether this is one of several replicas, of which only the one that holds the Lease regcred writes: true or
    /// false. [default: true in a cluster, false outside]
    #[arg(long, env = "REGCRED_LEADER_ELECT", value_name = "true|false")]
    leader_elect: Option<bool>,

    /// How a log line looks.
    #[arg(long, env = "REGCRED_LOG_FORMAT", value_enum, default_value = "json")]
    log_format: LogFormat,

    /// What is logged: a level (error, warn, info, debug, trace), or levels by module such as info,regcred=debug.
    #[arg(long, env = "REGCRED_LOG_FILTER", default_value = DEFAULT_FILTER, value_name = "FILTER")]
    log_filter: String,
}

/// Runs the operator until SIGTERM or SIGINT comes, or until another replica leads.
///
/// # Errors
/// A sentence for whoever started it.
pub async fn run(args: RunArgs) -> Result<(), String> {
    telemetry::init(args.log_format, &args.log_filter)
        .map_err(|error| format!("--log-filter {}: {error}; write a level such as info", args.log_filter))?;
    // Before all else: as a container's first process, a replica would be deaf to SIGTERM until then.
    let signals = Signals::listen()?;
    let gate = Arc::<Gate>::default();
    // The operator's own queues try again, with more patience and in the order of urgency.
    let Connected { client, election, place } = cluster::connect(&gate).await?;
    let namespaces = args.credential_namespaces.iter().map(|namespace| namespace.trim().to_owned());
    let mut credential_namespaces: Vec<String> = namespaces.filter(|namespace| !namespace.is_empty()).collect();
    if credential_namespaces.is_empty() {
        credential_namespaces.push(place.namespace().to_owned());
    }
    if credential_namespaces.contains(&args.state_namespace) {
        return Err(format!(
            "--state-namespace {0} is one of --credential-namespaces; keep the operator's own Secret apart from sources, in a \
             namespace that nobody else needs rights in",
            args.state_namespace
        ));
    }
    let listener = bind(args.listen)
        .await
        .map_err(|error| format!("--listen {}: {error}; choose another address or port", args.listen))?;
    info!(version = env!("CARGO_PKG_VERSION"), listen = %args.listen, ?credential_namespaces, "starting");

    let (stop, stopped) = watch::channel(false);
    let (ready, readiness) = watch::channel(false);
    let (namespace, several) = match &place {
        Where::Inside { namespace } => (Some(namespace), true),
        Where::Outside => (credential_namespaces.first(), false),
    };
    let lease_namespace = args.leader_elect.unwrap_or(several).then_some(namespace).flatten();
    let client = if lease_namespace.is_some() { gate.guard(&client) } else { client };
    let settings = Settings {
        limits: Limits {
            credential_namespaces: credential_namespaces.clone(),
            allowed_registries: args.allowed_registries,
            managed_names: args.managed_secret_names.into_iter().collect(),
            state_namespace: args.state_namespace,
        },
        concurrency: args.concurrency.into(),
    };
    let context = Context::new(client, lease_namespace.map(|_| gate.clone()), settings, Metrics::default());
    let election = lease_namespace.map(|namespace| Election::new(&election, namespace, &gate, &context));
    let (scraped, asked) = (context.clone(), context.clone());
    let unready = move || {
        let planned = *readiness.borrow();
        asked.refused_for_long().or_else(|| (!planned).then(|| "not every namespace has been planned yet".to_owned()))
    };
    let metrics = move || scraped.render_metrics();
    let server = tokio::spawn(server::serve(listener, metrics, unready, stopped.clone()));
    let (roles, role) = watch::channel(if election.is_some() { Role::Undecided } else { Role::Leader });
    let (finish, finished) = watch::channel(false);
    let mut leadership = tokio::spawn(lead(election, roles, finished));
    let controllers = tokio::spawn(controller::run(context, ready, role, stopped));

    let ended = tokio::select! {
        ended = until_signal(controllers, signals, stop) => ended,
        // It ends by itself only where this replica may not write any more.
        lost = &mut leadership => return lost.unwrap_or_else(|_| Err(controller::Panicked.to_string())),
    };
    finish.send_replace(true);
    let released = leadership.await.unwrap_or_else(|_| Err(controller::Panicked.to_string()));
    // A scrape that is still open isn't worth waiting for.
    server.abort();
    ended.and(released)
}

/// Where a node has no IPv6, every address is every address of IPv4.
async fn bind(address: SocketAddr) -> std::io::Result<TcpListener> {
    const NO_SUCH_FAMILY: i32 = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    match TcpListener::bind(address).await {
        Err(error)
            if address.ip() == Ipv6Addr::UNSPECIFIED
                && (error.raw_os_error() == Some(NO_SUCH_FAMILY) || error.kind() == ErrorKind::AddrNotAvailable) =>
        {
            TcpListener::bind((Ipv4Addr::UNSPECIFIED, address.port())).await
        }
        bound => bound,
    }
}

/// Takes part in the election until `finished` turns true; without one, this replica leads and there is nothing to do.
async fn lead(
    election: Option<Election>,
    roles: watch::Sender<Role>,
    mut finished: watch::Receiver<bool>,
) -> Result<(), String> {
    match election {
        Some(election) => election.run(roles, finished).await.map_err(|lost| lost.to_string()),
        None => finished.wait_for(|finished| *finished).await.map(drop).map_err(|error| error.to_string()),
    }
}

/// Waits for the controllers to end, which they do when a signal has come.
async fn until_signal(
    mut controllers: JoinHandle<Result<(), controller::Panicked>>,
    mut signals: Signals,
    stop: watch::Sender<bool>,
) -> Result<(), String> {
    let ended = tokio::select! {
        ended = &mut controllers => ended,
        () = signals.recv() => {
            info!("stopping: writes in flight are finished");
            stop.send_replace(true);
            controllers.await
        }
    };
    ended.unwrap_or(Err(controller::Panicked)).map_err(|panicked| panicked.to_string())
}

/// SIGTERM and SIGINT. What came between [`Signals::listen`] and [`Signals::recv`] isn't lost.
struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn listen() -> Result<Self, String> {
        let listen = |kind| signal(kind).map_err(|error| format!("signals can't be handled: {error}"));
        Ok(Self { terminate: listen(SignalKind::terminate())?, interrupt: listen(SignalKind::interrupt())? })
    }

    /// Waits for either.
    async fn recv(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }
}
