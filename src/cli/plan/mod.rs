//! `regcred plan`: what applying or deleting RegistryCredentials would do to the cluster, or what is still to be done.
//!
//! [`question`] is what is asked, [`read`] what is asked of the API server, [`intent`] what there is to write for each
//! RegistryCredential, and [`compose`] has the operator's own plans carried out in the mind ([`crate::plan::forecast`]).
//! Nothing is ever written.

mod compose;
mod intent;
mod question;
mod read;
mod report;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

use clap::Args;

use self::question::Question;
use super::{
    Verdict,
    args::{ClusterArgs, LimitArgs, OutputArgs, Scope},
};
use crate::{api::SecretName, plan::managed_names::parse_name};

/// What `regcred plan` can be told.
#[derive(Args)]
pub struct PlanArgs {
    /// RegistryCredentials of the cluster. [default: all of them]
    #[arg(value_name = "NAME", conflicts_with = "files")]
    names: Vec<String>,

    /// What applying these would do: manifests and folders of them (*.yaml, *.yml, *.json); - is standard input. Secrets
    /// in them count as the sources that they would be.
    #[arg(short, long = "filename", value_name = "FILE", num_args = 1..)]
    files: Vec<PathBuf>,

    /// What deleting the RegistryCredentials would do, not applying them.
    #[arg(long)]
    delete: bool,

    /// Read the Secrets that the keys come from, to compare what the pull secrets hold with what they should, and to see
    /// whether the keys can be used. Nothing of a key is shown.
    #[arg(long)]
    read_source: bool,

    /// This namespace alone, where you may read no others. [default: all namespaces]
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// All namespaces, whatever --namespace says.
    #[arg(short = 'A', long)]
    all_namespaces: bool,

    #[command(flatten)]
    limits: LimitArgs,

    /// As the operator's: the names that managed Secrets may have, separated by commas. Secrets are then listed by these
    /// names only. [default: any]
    #[arg(long, env = "REGCRED_MANAGED_SECRET_NAMES", value_delimiter = ',', value_name = "NAME",
          value_parser = parse_name)]
    managed_secret_names: Vec<SecretName>,

    #[command(flatten)]
    cluster: ClusterArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Writes the plan to standard output.
///
/// # Errors
/// A sentence, where a file or the cluster can't be read.
pub async fn run(args: PlanArgs) -> Result<Verdict, String> {
    let question = Question::new(&args)?;
    let (client, _) = args.cluster.connect().await?;
    let scope = match &args.namespace {
        Some(name) if !args.all_namespaces => Scope::Namespace(name.clone()),
        _ => Scope::All,
    };
    let report = compose::compose(read::case(&client, scope, &args, &question).await?);
    args.output.print(&report)?;
    Ok(Verdict::of_findings(report.count_findings()))
}
