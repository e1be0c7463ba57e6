//! What `regcred plan` can be told.

use std::path::PathBuf;

use clap::Args;

use crate::{
    api::{STATE_NAMESPACE, SecretName},
    cli::args::{ClusterArgs, LimitArgs, OutputArgs},
    plan::managed_names::parse_name,
};

/// What `regcred plan` can be told.
#[derive(Args)]
pub struct PlanArgs {
    /// RegistryCredentials of the cluster. [default: all of them]
    #[arg(value_name = "NAME", conflicts_with = "files")]
    pub(super) names: Vec<String>,

    /// What applying these would do: manifests and folders of them (*.yaml, *.yml, *.json); - is standard input. Secrets
    /// in them count as the sources that they would be.
    #[arg(short, long = "filename", value_name = "FILE", num_args = 1..)]
    pub(super) files: Vec<PathBuf>,

    /// What deleting the RegistryCredentials would do, not applying them.
    #[arg(long)]
    pub(super) delete: bool,

    /// Read the Secrets that the keys come from, to compare what the pull secrets hold with what they should, and to see
    /// whether the keys can be used. Nothing of a key is shown.
    #[arg(long)]
    pub(super) read_source: bool,

    /// This namespace alone, where you may read no others. [default: all namespaces]
    #[arg(short, long, value_name = "NAME")]
    pub(super) namespace: Option<String>,

    /// All namespaces, whatever --namespace says.
    #[arg(short = 'A', long)]
    pub(super) all_namespaces: bool,

    #[command(flatten)]
    pub(super) limits: LimitArgs,

    /// As the operator's: the names that managed Secrets may have, separated by commas. Secrets are then listed by these
    /// names only. [default: any]
    #[arg(long, env = "REGCRED_MANAGED_SECRET_NAMES", value_delimiter = ',', value_name = "NAME",
          value_parser = parse_name)]
    pub(super) managed_secret_names: Vec<SecretName>,

    /// As the operator's: the namespace of its own Secret, which is never a target. With --read-source, or a source in the
    /// files, that Secret is read, too: what a pull secret holds can't be compared without it.
    #[arg(long, env = "REGCRED_STATE_NAMESPACE", default_value = STATE_NAMESPACE, value_name = "NAME")]
    pub(super) state_namespace: String,

    #[command(flatten)]
    pub(super) cluster: ClusterArgs,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}
