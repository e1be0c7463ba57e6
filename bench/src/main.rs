//! Measures regcred against a bare client that leads to the same by the cheapest requests, on the same control plane and
//! in the same run.

#![forbid(unsafe_code)]
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)] // a tool for developers

mod bare;
mod cluster;
mod process;
mod promises;
mod regcred;
mod report;
mod scenario;

use std::path::PathBuf;

use clap::{Parser, Subcommand};

/// Measures regcred against a bare client on a real kube-apiserver.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Measure, print a table, and write the figures to a JSON file.
    Run(scenario::Args),
    /// Time every event that regcred follows until its effect.
    Promises(promises::Args),
    /// Start the control plane of `run` and leave it running, for a profiler, until standard input ends.
    Cluster {
        /// How many namespaces.
        #[arg(long, default_value_t = 1000)]
        namespaces: usize,
        /// How many service accounts in each.
        #[arg(long, default_value_t = 1)]
        service_accounts: usize,
    },
    /// Draw the figures of several runs against the number of namespaces, as SVG.
    Plot {
        /// JSON files that `run` wrote.
        files: Vec<PathBuf>,
        /// The picture.
        #[arg(long)]
        out: PathBuf,
    },
    /// The yardstick, as a process of its own. `run` starts it.
    #[command(hide = true)]
    Bare(bare::Args),
}

#[tokio::main]
async fn main() {
    match Cli::parse().command {
        Command::Run(args) => scenario::run(args).await,
        Command::Promises(args) => promises::run(args).await,
        Command::Cluster { namespaces, service_accounts } => scenario::cluster(namespaces, service_accounts).await,
        Command::Plot { files, out } => report::plot(&files, &out),
        Command::Bare(args) => bare::main(args).await,
    }
}
