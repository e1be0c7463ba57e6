//! What is measured, in which order.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster::{Cluster, Seen, key},
    process::{Bare, cost},
    regcred::{REGISTRIES, Regcred, Requests, credential, source},
    report::Report,
};

#[derive(clap::Args)]
pub struct Args {
    /// How many namespaces.
    #[arg(long, default_value_t = 1000)]
    namespaces: usize,
    /// How many service accounts in each.
    #[arg(long, default_value_t = 1)]
    service_accounts: usize,
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// How many RegistryCredentials for each namespace, separated by commas: all but the first are measured once.
    #[arg(long, default_value = "1,2,4,8", value_delimiter = ',')]
    credentials: Vec<usize>,
    /// Secrets that aren't regcred's, half of them of its type.
    #[arg(long, default_value_t = 0)]
    foreign: usize,
    /// With how many namespaces in flight the yardstick writes, separated by commas; the best counts.
    #[arg(long, default_value = "16,32,64,128", value_delimiter = ',')]
    in_flight: Vec<usize>,
    /// Afterwards, the operator again with the rights of config/overlays/scoped and behind all of config/policy.
    #[arg(long)]
    fenced: bool,
    /// Seconds to look on while nothing happens.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// How many new service accounts a latency is measured with.
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// The built operator.
    #[arg(long)]
    operator: PathBuf,
    /// The operator as it was built before, to be measured in turn with it.
    #[arg(long)]
    before: Option<PathBuf>,
    /// More arguments for `regcred run`, separated by spaces.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    with: String,
    /// Where the figures go.
    #[arg(long)]
    out: PathBuf,
}

/// Which operator is measured.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Version {
    This,
    Before,
}

/// What docs/costs.md says that a pull secret of the bench's credential takes in etcd.
fn stored_bytes() -> f64 {
    let login = "_json_key:".len() + key('a').len();
    let registry = |host: &str| login.div_ceil(3) * 4 + host.len() + 15;
    (680 + REGISTRIES.map(registry).iter().sum::<usize>()) as f64
}

struct Bench {
    args: Args,
    cluster: Cluster,
    report: Report,
    /// With how many in flight the yardstick was quickest last.
    best: usize,
}

pub async fn run(args: Args) {
    let report = Report::new(args.namespaces, args.service_accounts, args.foreign);
    eprintln!("starting a control plane with {} namespaces …", args.namespaces);
    let cluster = Cluster::new(args.namespaces, args.service_accounts).await;
    let mut bench = Bench { args, cluster, report, best: 64 };
    for round in 1..=bench.args.rounds {
        eprintln!("round {round} of {}", bench.args.rounds);
        for (index, credentials) in bench.args.credentials.clone().into_iter().enumerate() {
            if index > 0 && round < bench.args.rounds {
                break;
            }
            eprintln!("credentials for each namespace: {credentials}");
            let with = if credentials == 1 { String::new() } else { format!(", {credentials} credentials") };
            bench.compare(credentials, &with).await;
        }
        if round == bench.args.rounds {
            bench.life().await;
            if bench.args.foreign > 0 {
                bench.crowd().await;
            }
            if bench.args.fenced {
                bench.fenced().await;
            }
        }
    }
    bench.report.print();
    bench.report.write(&bench.args.out);
}

/// The cluster alone, with a RegistryCredential for all of its namespaces.
pub async fn cluster(namespaces: usize, service_accounts: usize) {
    let cluster = Cluster::new(namespaces, service_accounts).await;
    source(&cluster, 'a').await;
    credential(&cluster, 0, json!({"names": ["team-*"]})).await;
    println!("{}", cluster.control_plane.kubeconfig(controlplane::OPERATOR).display());
    let _ = std::io::stdin().read_line(&mut String::new());
}

impl Bench {
    fn all(&self) -> usize {
        self.args.namespaces * self.args.service_accounts
    }

    /// CPU seconds of the API server so far.
    fn api_server_cpu(&self) -> f64 {
        cost(self.cluster.control_plane.pids()[1]).cpu
    }

    fn start(&self) -> Regcred {
        Regcred::start(&self.cluster, &self.args.operator, &self.args.with)
    }

    /// The operator and the yardstick, one after the other, with so many credentials for each namespace.
    async fn compare(&mut self, credentials: usize, with: &str) {
        let (secrets, entries) = (self.args.namespaces * credentials, self.all() * credentials);
        let converged = move |s: &Seen| s.entries() == entries && s.secrets() == secrets;

        // The yardstick: to converge, and a rotation, each at its best, by each of these verbs.
        let (mut best, mut rotation) = ((f64::INFINITY, 0, 0.0), f64::INFINITY);
        let all: &[&str] = if self.cluster.fenced {
            &["apply-and-put", "apply-and-patch", "apply"]
        } else {
            &["put", "json-patch", "apply"]
        };
        for verbs in all {
            let (mut by_these, mut turned) = (f64::INFINITY, f64::INFINITY);
            for in_flight in self.args.in_flight.clone() {
                let (seconds, cost) = Bare::of_several(&self.cluster, "converge", verbs, in_flight, credentials).done();
                by_these = by_these.min(seconds);
                if seconds < best.0 {
                    best = (seconds, in_flight, cost.cpu);
                }
                self.cluster.until(Instant::now(), "bare", converged).await;
                turned = turned.min(Bare::of_several(&self.cluster, "rotate", verbs, in_flight, credentials).done().0);
                self.cluster.reset().await;
            }
            self.report.add(&format!("bare converge{with}, {verbs} [s]"), by_these);
            self.report.add(&format!("bare rotation{with}, {verbs} [s]"), turned);
            rotation = rotation.min(turned);
        }
        self.best = best.1;
        self.report.add(&format!("bare converge{with}, best [s]"), best.0);
        self.report.add(&format!("bare converge{with}, best: CPU [s]"), best.2);
        self.report.add(&format!("bare rotation{with}, best [s]"), rotation);

        // The version before, in turn with this one.
        if let Some(before) = self.args.before.clone() {
            let now = std::mem::replace(&mut self.args.operator, before);
            self.roll_out(Version::Before, credentials, &format!("{with}, version before")).await.stop();
            self.cluster.reset().await;
            self.args.operator = now;
        }

        self.roll_out(Version::This, credentials, with).await.stop();

        // A restart when converged, five times.
        for _ in 0..5 {
            let listing = Bare::start(&self.cluster, "list", 1).done().0;
            self.report.add(&format!("bare lists{with} [s]"), listing);
            let started = Instant::now();
            let regcred = self.start();
            regcred.wait_ready();
            self.report.add(&format!("regcred restart{with}, to ready [s]"), started.elapsed().as_secs_f64());
            self.report.add(&format!("regcred restart{with}: RSS at most [MiB]"), regcred.cost().peak);
            regcred.stop();
        }
        let before = Requests::from_now(&self.cluster);
        let regcred = self.start();
        regcred.wait_ready();
        self.requests(&format!("restart{with}"), &before, 0).await;
        regcred.stop();
        self.cluster.reset().await;
    }

    /// The operator, from the start of its process to all converged, and then a rotation.
    async fn roll_out(&mut self, version: Version, credentials: usize, with: &str) -> Regcred {
        let (secrets, entries) = (self.args.namespaces * credentials, self.all() * credentials);
        source(&self.cluster, 'a').await;
        for number in 0..credentials {
            credential(&self.cluster, number, json!({"names": ["team-*"]})).await;
        }
        let (before, server) = (Requests::from_now(&self.cluster), self.api_server_cpu());
        let started = Instant::now();
        let regcred = self.start();
        let converged = |s: &Seen| s.entries() == entries && s.secrets() == secrets;
        let seconds = self.cluster.until(started, "converge", converged).await;
        self.report.add(&format!("regcred converge{with} [s]"), seconds);
        self.report.add(&format!("regcred converge{with}: CPU [s]"), regcred.cost().cpu);
        let server = self.api_server_cpu() - server;
        self.report.add(&format!("regcred converge{with}: API server's CPU [s]"), server);
        let stored = self.cluster.control_plane.stored_bytes("secrets") as f64 / secrets as f64;
        // The source and the operator's own are among them, and foreign ones.
        let is_told = version == Version::This && self.args.foreign == 0 && secrets >= 100;
        assert!(!is_told || (stored / stored_bytes() - 1.0).abs() < 0.03, "{stored} bytes");
        self.report.add(&format!("regcred converge{with}: a Secret in etcd [bytes]"), stored);
        // A service account gets the entries of all credentials at once.
        self.requests(&format!("converge{with}"), &before, secrets + self.all()).await;

        let (before, old) = (Requests::from_now(&self.cluster), self.cluster.seen.revisions());
        let server = self.api_server_cpu();
        let started = Instant::now();
        source(&self.cluster, 'b').await;
        let seconds = self.cluster.until(started, "rotation", |seen| seen.rotated(&old) == secrets).await;
        self.report.add(&format!("regcred rotation{with} [s]"), seconds);
        let server = self.api_server_cpu() - server;
        self.report.add(&format!("regcred rotation{with}: API server's CPU [s]"), server);
        self.requests(&format!("rotation{with}"), &before, secrets).await;
        self.report.add(&format!("regcred converge{with} and rotation: RSS at most [MiB]"), regcred.cost().peak);
        regcred
    }

    /// What docs/costs.md says that so many objects to write take at most, and the lists of a start.
    fn most_requests(&self, objects: usize) -> usize {
        let listed = self.args.namespaces + self.all() + self.cluster.seen.secrets();
        objects + objects / 50 + 60 + listed / 1000
    }

    /// How many requests it took to write so many objects, which docs/costs.md bounds.
    async fn requests(&mut self, what: &str, before: &Requests, objects: usize) {
        let (count, words) = before.count(&self.cluster).await;
        assert!(
            count >= objects && count <= self.most_requests(objects),
            "{what}: {count} for {objects} objects: {words}"
        );
        self.report.add(&format!("regcred {what}: requests"), count as f64);
        self.report.note(what, words);
    }

    /// What follows the first roll-out: new service accounts, rest, deletion, a label.
    async fn life(&mut self) {
        let (n, regcred) = (self.args.namespaces, self.converged().await);
        self.latencies(&regcred, "").await;
        self.idle(&regcred, "regcred idle").await;
        self.report.add("regcred, all in all: RSS at most [MiB]", regcred.cost().peak);

        let before = Requests::from_now(&self.cluster);
        let started = Instant::now();
        self.cluster.delete_credential().await;
        let seconds = self.cluster.until(started, "deletion", |s| s.entries() == 0 && s.secrets() == 0).await;
        self.report.add("regcred deletion [s]", seconds);
        self.requests("deletion", &before, n + self.all()).await;

        // A label brings half of the namespaces in.
        source(&self.cluster, 'a').await;
        credential(&self.cluster, 0, json!({"names": ["no-such-namespace"]})).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = Requests::from_now(&self.cluster);
        let started = Instant::now();
        credential(&self.cluster, 0, json!({"selector": {"matchLabels": {"half": "even"}}})).await;
        let half = n.div_ceil(2);
        let entries = half * self.args.service_accounts;
        let seconds = self.cluster.until(started, "a label", |s| s.entries() == entries && s.secrets() == half).await;
        self.report.add("regcred label brings half in [s]", seconds);
        self.requests("a label", &before, half + entries).await;
        regcred.stop();
        self.cluster.reset().await;
    }

    /// One credential for all namespaces, with the key 'b', rolled out.
    async fn converged(&self) -> Regcred {
        source(&self.cluster, 'b').await;
        credential(&self.cluster, 0, json!({"names": ["team-*"]})).await;
        let (n, all) = (self.args.namespaces, self.all());
        let regcred = self.start();
        self.cluster.until(Instant::now(), "converge", |s| s.entries() == all && s.secrets() == n).await;
        regcred
    }

    /// What it costs while nothing happens.
    async fn idle(&mut self, regcred: &Regcred, what: &str) {
        let (before, cpu) = (Requests::from_now(&self.cluster), regcred.cost().cpu);
        tokio::time::sleep(Duration::from_secs(self.args.idle)).await;
        let cost = regcred.cost();
        self.report.add(&format!("{what}: CPU [% of a core]"), (cost.cpu - cpu) / self.args.idle as f64 * 100.0);
        self.report.add(&format!("{what}: requests"), before.count(&self.cluster).await.0 as f64);
        self.report.add(&format!("{what}: RSS [MiB]"), cost.now);
    }

    /// In a cluster full of Secrets that aren't ours: while they come, and from a start among them.
    async fn crowd(&mut self) {
        let regcred = self.converged().await;
        tokio::time::sleep(Duration::from_secs(3)).await; // for the last status
        regcred.stop();
        let regcred = self.start();
        regcred.wait_ready();
        self.idle(&regcred, "regcred idle, no foreign Secret").await;
        eprintln!("adding {} foreign Secrets …", self.args.foreign);
        self.cluster.add_foreign(self.args.foreign).await;
        self.idle(&regcred, "regcred idle, foreign Secrets came").await;
        regcred.stop();
        let listing = Bare::start(&self.cluster, "list", 1).done().0;
        self.report.add("bare lists, foreign Secrets [s]", listing);
        let started = Instant::now();
        let regcred = self.start();
        regcred.wait_ready();
        self.report.add("regcred restart, foreign Secrets, to ready [s]", started.elapsed().as_secs_f64());
        self.idle(&regcred, "regcred idle, started among foreign Secrets").await;
        self.report.add("regcred, foreign Secrets: RSS at most [MiB]", regcred.cost().peak);
        regcred.stop();
        self.cluster.reset().await;
    }

    /// The same with rights by name and behind the policies, for the yardstick, too.
    async fn fenced(&mut self) {
        self.cluster.fence();
        self.cluster.fenced = true;
        self.args.with += &format!(" --managed-secret-names {}", crate::cluster::secret(0));
        for _ in 0..self.args.rounds {
            self.compare(1, ", fenced").await;
        }
        let regcred = self.converged().await;
        self.latencies(&regcred, ", fenced").await;
        regcred.stop();
        self.cluster.reset().await;
    }

    /// From a new service account to its patch: alone, and during a rotation of all.
    async fn latencies(&mut self, regcred: &Regcred, with: &str) {
        let (samples, n) = (self.args.samples, self.args.namespaces);
        let alone = self.cluster.latencies(samples, "alone").await;
        self.report.quantiles(&format!("regcred new service account{with} [ms]"), alone);
        let old = self.cluster.seen.revisions();
        source(&self.cluster, 'a').await;
        self.cluster.until(Instant::now(), "a rotation's start", |seen| seen.rotated(&old) > 0).await;
        let busy = self.during(samples, "busy", |s| s.rotated(&old) < n).await;
        self.report.quantiles(&format!("regcred new service account, during a rotation{with} [ms]"), busy);
        self.cluster.until(Instant::now(), "rotation", |seen| seen.rotated(&old) == n).await;

        regcred.pause();
        let mut follower = Bare::start(&self.cluster, "follow", 1);
        follower.done();
        let alone = self.cluster.latencies(samples, "bare").await;
        self.report.quantiles(&format!("bare new service account{with} [ms]"), alone);
        let old = self.cluster.seen.revisions();
        let rotation = Bare::start(&self.cluster, "rotate", self.best);
        self.cluster.until(Instant::now(), "a rotation's start", |seen| seen.rotated(&old) > 0).await;
        let busy = self.during(samples, "busy-bare", |s| s.rotated(&old) < n).await;
        self.report.quantiles(&format!("bare new service account, during a rotation{with} [ms]"), busy);
        self.cluster.until(Instant::now(), "rotation", |seen| seen.rotated(&old) == n).await;
        drop((rotation, follower));
        // What the yardstick wrote is drift to the operator.
        let bare = self.cluster.seen.revisions();
        regcred.resume();
        self.cluster.until(Instant::now(), "repair", |seen| seen.rotated(&bare) == n).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    /// Latencies while `going_on`: at most `samples` of them.
    async fn during(&self, samples: usize, prefix: &str, going_on: impl Fn(&Seen) -> bool) -> Vec<f64> {
        let mut all = Vec::new();
        while all.len() < samples && going_on(&self.cluster.seen) {
            all.extend(self.cluster.latencies(1, &format!("{prefix}-{}", all.len())).await);
        }
        all
    }
}
