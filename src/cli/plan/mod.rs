//! `regcred plan`: what applying or deleting RegistryCredentials would do to the cluster, or what is still to be done.
//!
//! [`question`] is what is asked, [`read`] what is asked of the API server, [`intent`] what there is to write for each
//! RegistryCredential, and [`compose`] has the operator's own plans carried out in the mind ([`crate::plan::forecast`]).
//! Nothing is ever written.

mod args;
mod compose;
mod intent;
mod question;
mod read;
mod report;
mod table;
#[cfg(test)]
mod tests;

use self::question::Question;
use super::{Verdict, args::Scope};

pub use args::PlanArgs;

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
