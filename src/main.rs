//! Arguments → a command of the one binary `regcred`.

use std::{future::Future, process::ExitCode};

use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use regcred::{
    api::crd,
    cli::{
        act,
        audit::{self, AuditArgs},
        check::{self, CheckArgs},
        clean_up::{self, CleanupArgs},
        completion::{self, CompletionArgs},
        explain::{self, ExplainArgs},
        invocation, out,
        plan::{self, PlanArgs},
        report,
        run::{self, RunArgs},
    },
    process,
};

/// Manages registry pull secrets in a Kubernetes cluster.
#[derive(Parser)]
#[command(name = "regcred", version, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the operator.
    ///
    /// The cluster is found as kubectl finds it: $KUBECONFIG, then the pod's service account, then ~/.kube/config.
    Run(Box<RunArgs>),
    /// Print the CustomResourceDefinition as YAML.
    Crd,
    /// Take every entry, annotation and Secret of regcred's out of the cluster.
    ///
    /// It needs no running operator, and a running one would make them again: stop it first.
    Cleanup(CleanupArgs),
    /// Check manifests and key files, without a cluster.
    ///
    /// RegistryCredentials are checked as the API server and the operator would, Secrets that they name as their source
    /// if they are in the same files, and JSON key files and docker configs by themselves. Other manifests are passed over.
    ///
    /// It ends with 0 if all is fine, with 1 if there are findings, and with 2 if it couldn't check.
    Check(Box<CheckArgs>),
    /// Say what applying or deleting RegistryCredentials would do to the cluster, or what is still to be done.
    ///
    /// It reads with your own rights and writes nothing. Secrets' data is read with --read-source only.
    ///
    /// It ends with 0 if all of it can be done, with 1 if something is refused or held, and with 2 if it couldn't say.
    Plan(Box<PlanArgs>),
    /// Explain what an image reference names, when it is pulled, and with which pull secrets for a pod.
    ///
    /// Without --pod and --service-account no cluster is asked.
    Explain(Box<ExplainArgs>),
    /// Find the pods that lack a pull secret for their images, and say why.
    ///
    /// Of the context's namespace, of another one (-n), or of all (-A). It ends with 0 if all is fine, with 1 if there are
    /// findings, and with 2 if it couldn't look.
    Audit(AuditArgs),
    /// Print a shell's completion script.
    Completion(CompletionArgs),
}

/// More would idle, each with memory of its own: the API server is what takes the time, and nodes have many cores.
const MOST_THREADS: usize = 4;

fn main() -> ExitCode {
    let name = invocation::name(std::env::args_os().next().as_deref());
    let mut usage = Cli::command().bin_name(name);
    let cli = Cli::from_arg_matches(&usage.get_matches_mut()).unwrap_or_else(|error| error.exit());
    if let Err(error) = process::forbid_core_dumps() {
        eprintln!("{name}: core dumps can't be switched off: {error}");
        return ExitCode::FAILURE;
    }
    let ended = match cli.command {
        Command::Run(args) => act(block_on(run::run(*args))),
        Command::Crd => act(out::write(&crd::yaml()).map_err(|error| format!("it can't be written: {error}"))),
        Command::Cleanup(args) => act(block_on(clean_up::run(args))),
        Command::Check(args) => report(check::run(*args)),
        Command::Plan(args) => report(block_on(plan::run(*args))),
        Command::Explain(args) => report(block_on(explain::run(*args))),
        Command::Audit(args) => report(block_on(audit::run(args))),
        Command::Completion(args) => act(completion::run(&args, Cli::command())),
    };
    ended.unwrap_or_else(|failure| {
        eprintln!("{name}: {}", failure.sentence);
        failure.code
    })
}

/// Runs what waits for the network.
fn block_on<T>(future: impl Future<Output = Result<T, String>>) -> Result<T, String> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MOST_THREADS);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    runtime.map_err(|error| format!("threads can't be started: {error}"))?.block_on(future)
}
