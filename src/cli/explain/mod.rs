//! `regcred explain`: what an image reference names, when it is pulled, and with which credentials for a pod.

mod case;
mod compose;
mod findings;
mod read;
mod report;
mod secrets;
mod subject;

use clap::Args;

use self::{
    case::Case,
    compose::explain,
    report::Explanations,
    secrets::Data,
    subject::{ObjectName, Subject},
};
use super::{
    Verdict,
    args::{ClusterArgs, OutputArgs},
};
use crate::image::PullPolicy;

/// What `regcred explain` can be told.
#[derive(Args)]
pub struct ExplainArgs {
    /// The image, as a manifest has it. [default: with --pod, each image of the pod]
    #[arg(required_unless_present = "pod")]
    image: Option<String>,

    /// The pod that pulls it: its own list of pull secrets counts.
    #[arg(long, value_name = "[NAMESPACE/]NAME", conflicts_with = "service_account")]
    pod: Option<ObjectName>,

    /// The service account of a pod that would be created now, with no list of its own.
    #[arg(long, value_name = "[NAMESPACE/]NAME")]
    service_account: Option<ObjectName>,

    /// The container's imagePullPolicy. [default: the pod's; without one, what the API server would fill in]
    #[arg(long, value_name = "Always|IfNotPresent|Never")]
    pull_policy: Option<PullPolicy>,

    /// Read the data of the pull secrets, to find out which of their entries are for the image. Nothing of a login is
    /// shown.
    #[arg(long)]
    read_secrets: bool,

    /// The namespace of the pod or service account where its name has none. [default: the context's]
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    #[command(flatten)]
    cluster: ClusterArgs,

    #[command(flatten)]
    output: OutputArgs,
}

/// Explains on standard output.
///
/// # Errors
/// A sentence, where the cluster can't be asked or has no such pod or service account.
pub async fn run(args: ExplainArgs) -> Result<Verdict, String> {
    let report = if args.pod.is_none() && args.service_account.is_none() {
        // Offline: no cluster is looked for.
        let case = Case { policy: args.pull_policy, ..Case::default() };
        explain(&case, args.image.as_deref())
    } else {
        of_cluster(&args).await?
    };
    args.output.print(&report)?;
    Ok(Verdict::of_findings(report.count_findings()))
}

async fn of_cluster(args: &ExplainArgs) -> Result<Explanations, String> {
    let (client, default) = args.cluster.connect().await?;
    let default = args.namespace.as_deref().unwrap_or(&default);
    let subject = match (&args.pod, &args.service_account) {
        (Some(pod), _) => Subject::pod(&client, pod.namespace(default), pod.name()).await?,
        (None, Some(account)) => Subject::service_account(&client, account.namespace(default), account.name()).await?,
        (None, None) => return Err("neither --pod nor --service-account is given; write one of them".to_owned()),
    };
    let data = if args.read_secrets { Data::Read } else { Data::Leave };
    let cluster = read::cluster(&client, &subject, data).await?;
    let case = Case { policy: args.pull_policy, subject: Some(subject), cluster };
    Ok(explain(&case, args.image.as_deref()))
}
