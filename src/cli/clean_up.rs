//! `regcred cleanup`: the command around [`crate::cleanup`].

use std::sync::Arc;

use clap::Args;

use super::out;
use crate::{
    cleanup::{self, Mode},
    cluster::{self, Retry},
};

/// What `regcred cleanup` can be told.
#[derive(Args)]
pub struct CleanupArgs {
    /// Say what would be removed, and remove nothing.
    #[arg(long)]
    dry_run: bool,
}

/// Takes everything of regcred's out of the cluster, and says each thing on standard output.
///
/// # Errors
/// Where the cluster can't be asked, or something is left.
pub async fn run(args: CleanupArgs) -> Result<(), String> {
    let mode = if args.dry_run { Mode::DryRun } else { Mode::Remove };
    let (client, _) = cluster::connect(Retry::WhenBusy, &Arc::default()).await?;
    let removed = cleanup::cleanup(&client, mode, &mut out::Lines).await.map_err(|error| error.to_string())?;
    let verb = if mode == Mode::DryRun { "would clean up" } else { "cleaned up" };
    let said = format!("{verb} {} service accounts and {} Secrets\n", removed.service_accounts, removed.secrets);
    out::write(&said).map_err(|error| error.to_string())?;
    match removed.failed {
        0 => Ok(()),
        failed => Err(format!("{failed} objects couldn't be cleaned up; run it again")),
    }
}
