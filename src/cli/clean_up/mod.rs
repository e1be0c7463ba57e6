//! `regcred cleanup`: takes every entry, annotation and Secret of ours out of a cluster, without a running operator.

mod remove;

use clap::Args;

use self::remove::{Mode, remove};
use super::{args::ClusterArgs, out};

/// What `regcred cleanup` can be told.
#[derive(Args)]
pub struct CleanupArgs {
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,

    #[command(flatten)]
    cluster: ClusterArgs,
}

/// Takes everything of regcred's out of the cluster, and says each thing on standard output.
///
/// # Errors
/// Where the cluster can't be asked, or something is left.
pub async fn run(args: CleanupArgs) -> Result<(), String> {
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Remove };
    let (client, _) = args.cluster.connect().await?;
    let removed = remove(&client, mode, &mut out::Lines).await?;
    let verb = if mode == Mode::DryRun { "would clean up" } else { "cleaned up" };
    let said = format!("{verb} {} service accounts and {} Secrets\n", removed.service_accounts, removed.secrets);
    out::write(&said).map_err(|error| error.to_string())?;
    match removed.failed {
        0 => Ok(()),
        failed => Err(format!("{failed} objects couldn't be cleaned up; run it again")),
    }
}
