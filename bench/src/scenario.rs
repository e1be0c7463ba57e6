//! What is measured, in which order.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use serde_json::json;

use crate::{
    cluster::Cluster,
    process::Bare,
    regcred::{Regcred, Requests, credential, source},
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
    /// How many RegistryCredentials for each namespace, measured one after the other, separated by commas.
    #[arg(long, default_value = "1,2,4,8", value_delimiter = ',')]
    credentials: Vec<usize>,
    /// Secrets that aren't regcred's, half of them of its type.
    #[arg(long, default_value_t = 0)]
    foreign: usize,
    /// Seconds to look on while nothing happens.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// How many new service accounts a latency is measured with.
    #[arg(long, default_value_t = 100)]
    samples: usize,
    /// The built operator.
    #[arg(long)]
    operator: PathBuf,
    /// More arguments for `regcred run`, separated by spaces.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    with: String,
    /// Where the figures go.
    #[arg(long)]
    out: PathBuf,
}

struct Bench {
    args: Args,
    cluster: Cluster,
    report: Report,
}

pub async fn run(args: Args) {
    let report = Report::new(args.namespaces, args.service_accounts, args.foreign);
    eprintln!("starting a control plane with {} namespaces …", args.namespaces);
    let cluster = Cluster::new(args.namespaces, args.service_accounts).await;
    if args.foreign > 0 {
        eprintln!("adding {} foreign Secrets …", args.foreign);
        cluster.add_foreign(args.foreign).await;
    }
    let mut bench = Bench { args, cluster, report };
    for round in 1..=bench.args.rounds {
        eprintln!("round {round} of {}", bench.args.rounds);
        let best = bench.bare_writes().await;
        bench.roll_out().await;
        let last = round == bench.args.rounds;
        bench.life(best, last).await;
    }
    for count in bench.args.credentials.clone() {
        if count > 1 {
            bench.several(count).await;
        }
    }
    bench.report.print();
    bench.report.write(&bench.args.out);
}

impl Bench {
    fn all(&self) -> usize {
        self.args.namespaces * self.args.service_accounts
    }

    fn start(&self) -> Regcred {
        Regcred::start(&self.cluster, &self.args.operator, &self.args.with)
    }

    /// The yardstick at several numbers in flight; returns the best number.
    async fn bare_writes(&mut self) -> usize {
        let mut best = (f64::INFINITY, 0, 0.0);
        for in_flight in [16, 32, 64, 128] {
            let (seconds, cost) = Bare::start(&self.cluster, "converge", in_flight).done();
            self.report.add(&format!("bare converge, {in_flight} in flight [s]"), seconds);
            if seconds < best.0 {
                best = (seconds, in_flight, cost.cpu);
            }
            self.cluster.until(Instant::now(), "bare", |seen| seen.entries() == self.all()).await;
            if in_flight == 128 {
                let mut rotations = [32, 64, 128].map(|n| Bare::start(&self.cluster, "rotate", n).done().0);
                rotations.sort_by(f64::total_cmp);
                self.report.add("bare rotation [s]", rotations[0]);
            }
            self.cluster.reset().await;
        }
        self.report.add("bare converge, best [s]", best.0);
        self.report.add("bare converge, best: CPU [s]", best.2);
        best.1
    }

    /// From the start of the process to all converged.
    async fn roll_out(&mut self) {
        source(&self.cluster, 'a');
        credential(&self.cluster, 0, json!({"names": ["team-*"]}));
        let before = Requests::so_far(&self.cluster);
        let started = Instant::now();
        let regcred = self.start();
        let (n, all) = (self.args.namespaces, self.all());
        let seconds = self.cluster.until(started, "converge", |s| s.entries() == all && s.secrets() == n).await;
        self.report.add("regcred converge [s]", seconds);
        let cost = regcred.cost();
        self.report.add("regcred converge: CPU [s]", cost.cpu);
        let (count, words) = before.since(&self.cluster).await;
        self.report.add("regcred converge: requests", count as f64);
        self.report.note("converge", words);
        self.report.add("regcred converge: RSS at most [MiB]", regcred.cost().peak);
        regcred.stop();
    }

    /// All that comes after the first roll-out.
    async fn life(&mut self, best: usize, last: bool) {
        let n = self.args.namespaces;
        let listing = Bare::start(&self.cluster, "list", best).done().0;
        self.report.add("bare lists [s]", listing);
        let before = Requests::so_far(&self.cluster);
        let started = Instant::now();
        let regcred = self.start();
        regcred.wait_ready();
        self.report.add("regcred restart, to ready [s]", started.elapsed().as_secs_f64());
        let (count, words) = before.since(&self.cluster).await;
        self.report.add("regcred restart: requests", count as f64);
        self.report.note("restart", words);
        self.report.add("regcred restart: RSS at most [MiB]", regcred.cost().peak);

        let before = Requests::so_far(&self.cluster);
        let old = self.cluster.seen.revision();
        let started = Instant::now();
        source(&self.cluster, 'b');
        let seconds = self.cluster.until(started, "rotation", |seen| seen.rotated(&old) == n).await;
        self.report.add("regcred rotation [s]", seconds);
        let (count, words) = before.since(&self.cluster).await;
        self.report.add("regcred rotation: requests", count as f64);
        self.report.note("rotation", words);

        if last {
            self.latencies(&regcred, best).await;
            let (before, cpu) = (Requests::so_far(&self.cluster), regcred.cost().cpu);
            tokio::time::sleep(Duration::from_secs(self.args.idle)).await;
            let cost = regcred.cost();
            self.report.add("regcred idle: CPU [% of a core]", (cost.cpu - cpu) / self.args.idle as f64 * 100.0);
            self.report.add("regcred idle: requests", before.since(&self.cluster).await.0 as f64);
            self.report.add("regcred idle: RSS [MiB]", cost.now);
        }

        let before = Requests::so_far(&self.cluster);
        let started = Instant::now();
        self.cluster.control_plane.kubectl_ok(&["delete", "registrycredential", "darwin"]);
        let seconds = self.cluster.until(started, "deletion", |s| s.entries() == 0 && s.secrets() == 0).await;
        self.report.add("regcred deletion [s]", seconds);
        let (count, words) = before.since(&self.cluster).await;
        self.report.add("regcred deletion: requests", count as f64);
        self.report.note("deletion", words);

        // A label brings half of the namespaces in.
        source(&self.cluster, 'a');
        credential(&self.cluster, 0, json!({"names": ["no-such-namespace"]}));
        tokio::time::sleep(Duration::from_secs(3)).await;
        let before = Requests::so_far(&self.cluster);
        let started = Instant::now();
        credential(&self.cluster, 0, json!({"selector": {"matchLabels": {"half": "even"}}}));
        let half = n.div_ceil(2);
        let entries = half * self.args.service_accounts;
        let seconds = self.cluster.until(started, "a label", |s| s.entries() == entries && s.secrets() == half).await;
        self.report.add("regcred label brings half in [s]", seconds);
        let (count, words) = before.since(&self.cluster).await;
        self.report.add("regcred label brings half in: requests", count as f64);
        self.report.note("label", words);
        regcred.stop();
        self.cluster.reset().await;
    }

    /// From a new service account to its patch: alone, and during a rotation of all.
    async fn latencies(&mut self, regcred: &Regcred, best: usize) {
        let samples = self.args.samples;
        let alone = self.cluster.latencies(samples, "alone").await;
        self.report.quantiles("regcred new service account [ms]", alone);
        let old = self.cluster.seen.revision();
        source(&self.cluster, 'a');
        self.cluster.until(Instant::now(), "a rotation's start", |seen| seen.rotated(&old) > 0).await;
        let busy = self.during(samples, "busy", |s, n| s.rotated(&old) < n).await;
        self.report.quantiles("regcred new service account, during a rotation [ms]", busy);
        let n = self.args.namespaces;
        self.cluster.until(Instant::now(), "rotation", |seen| seen.rotated(&old) == n).await;

        regcred.pause();
        let mut follower = Bare::start(&self.cluster, "follow", best);
        follower.done();
        let alone = self.cluster.latencies(samples, "bare").await;
        self.report.quantiles("bare new service account [ms]", alone);
        let old = self.cluster.seen.revision();
        let rotation = Bare::start(&self.cluster, "rotate", best);
        self.cluster.until(Instant::now(), "a rotation's start", |seen| seen.rotated(&old) > 0).await;
        let busy = self.during(samples, "busy-bare", |s, n| s.rotated(&old) < n).await;
        self.report.quantiles("bare new service account, during a rotation [ms]", busy);
        self.cluster.until(Instant::now(), "rotation", |seen| seen.rotated(&old) == n).await;
        drop((rotation, follower));
        // What the yardstick wrote is drift to the operator.
        let bare = self.cluster.seen.revision();
        regcred.resume();
        self.cluster.until(Instant::now(), "repair", |seen| seen.rotated(&bare) == n).await;
        tokio::time::sleep(Duration::from_secs(3)).await;
    }

    /// Latencies while `going_on`: at most `samples` of them.
    async fn during(
        &self,
        samples: usize,
        prefix: &str,
        going_on: impl Fn(&crate::cluster::Seen, usize) -> bool,
    ) -> Vec<f64> {
        let mut all = Vec::new();
        while all.len() < samples && going_on(&self.cluster.seen, self.args.namespaces) {
            all.extend(self.cluster.latencies(1, &format!("{prefix}-{}", all.len())).await);
        }
        all
    }

    /// Several credentials for each namespace.
    async fn several(&mut self, count: usize) {
        source(&self.cluster, 'a');
        for number in 0..count {
            credential(&self.cluster, number, json!({"names": ["team-*"]}));
        }
        let before = Requests::so_far(&self.cluster);
        let started = Instant::now();
        let regcred = self.start();
        let (secrets, entries) = (self.args.namespaces * count, self.all() * count);
        let seconds =
            self.cluster.until(started, "converge", |s| s.entries() == entries && s.secrets() == secrets).await;
        self.report.add(&format!("regcred converge, {count} credentials [s]"), seconds);
        let (requests, _) = before.since(&self.cluster).await;
        self.report.add(&format!("regcred converge, {count} credentials: requests"), requests as f64);
        self.report.add(&format!("regcred converge, {count} credentials: RSS at most [MiB]"), regcred.cost().peak);
        regcred.stop();
        self.cluster.reset().await;
    }
}
