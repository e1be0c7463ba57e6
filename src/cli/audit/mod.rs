//! `regcred audit`: which pods of a cluster have a pull secret for their images, and which don't and why.

mod judge;
mod people;
mod read;
mod report;
mod secret_data;

use clap::Args;

use self::judge::judge;
use super::{
    Verdict,
    args::{ClusterArgs, NamespaceArgs, OutputArgs},
    lister::Lister,
};

/// What `regcred audit` can be told.
#[derive(Args)]
pub struct AuditArgs {
    #[command(flatten)]
    namespaces: NamespaceArgs,

    /// Read the data of all pull secrets in these namespaces, to find out for which registries they are and whether the
    /// kubelet can read them. Nothing of a login is shown.
    #[arg(long)]
    read_secrets: bool,

    #[command(flatten)]
    cluster: ClusterArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Audits, and reports on standard output.
///
/// # Errors
/// A sentence, where the cluster can't be asked, or its pods can't be listed.
pub async fn run(args: AuditArgs) -> Result<Verdict, String> {
    let (client, default) = args.cluster.connect().await?;
    let scope = args.namespaces.scope(&default);
    let (cluster, not_read) = {
        let lister = Lister::new(client.clone(), scope.clone());
        read::cluster(&lister, args.read_secrets.then_some(&client)).await?
    };
    let report = judge(&cluster, &scope, not_read);
    args.output.print(&report)?;
    Ok(Verdict::of_findings(report.findings.len()))
}
