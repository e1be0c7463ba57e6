//! Measures regcred against a bare client that sends the same writes, in the same run on the same control plane.

#![forbid(unsafe_code)]

mod bare;
mod cluster;
mod operator;
mod table;

use std::path::PathBuf;

use clap::Parser;

/// Measures regcred against a bare client on a real kube-apiserver.
#[derive(Parser)]
struct Args {
    /// How many namespaces.
    #[arg(long, env = "N", default_value_t = 1000)]
    namespaces: usize,
    /// How many service accounts in each.
    #[arg(long, default_value_t = 1)]
    service_accounts: usize,
    /// How often each is measured; the median counts.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// The built operator.
    #[arg(long)]
    operator: PathBuf,
    /// Seconds to look on while nothing happens.
    #[arg(long, default_value_t = 60)]
    idle: u64,
    /// More arguments for `regcred run`, separated by spaces.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    with: String,
}

#[tokio::main]
async fn main() {
    let args = Args::parse();
    let cluster = cluster::Cluster::new(args.namespaces, args.service_accounts).await;
    let mut table = table::Table::new(args.namespaces, args.service_accounts);
    for round in 0..args.rounds {
        for in_flight in [16, 32, 64, 128] {
            table.add(
                format!("bare client, {in_flight} in flight: converge"),
                bare::converge(&cluster, in_flight).await,
            );
            if in_flight == 64 {
                table.add("bare client, 64 in flight: rotation".to_owned(), bare::rotate(&cluster, in_flight).await);
            }
            cluster.reset().await;
        }
        operator::measure(&cluster, &args.operator, &args.with, args.idle, round + 1 == args.rounds, &mut table).await;
        cluster.reset().await;
    }
    table.print();
}
