//! The flags that commands share, with kubectl's names and meanings.

use std::path::PathBuf;

use clap::Args;
use kube::Client;

use super::out::{Format, Report};
use crate::{cluster, credential::AllowedRegistries};

/// How a report is written.
#[derive(Args, Clone, Copy, Debug)]
pub struct OutputArgs {
    /// How the report is written. JSON and YAML have the same shape, and keep it.
    #[arg(short, long, value_enum, default_value_t, value_name = "FORMAT")]
    output: Format,
}

impl OutputArgs {
    /// Writes a report to standard output. That nobody reads on (`| head`) is no error.
    ///
    /// # Errors
    /// A sentence, where it can't be written.
    pub fn print(self, report: &impl Report) -> Result<(), String> {
        super::out::report(report, self.output)
    }
}

/// Which cluster is asked.
#[derive(Args, Clone, Debug, Default)]
pub struct ClusterArgs {
    /// The kubeconfig file. [default: $KUBECONFIG, then ~/.kube/config, then the pod's service account]
    #[arg(long, value_name = "FILE")]
    kubeconfig: Option<PathBuf>,

    /// The kubeconfig's context. [default: its current one]
    #[arg(long, value_name = "NAME")]
    context: Option<String>,
}

impl ClusterArgs {
    /// A client with the user's own rights, and the context's namespace.
    ///
    /// # Errors
    /// A sentence that says what was tried.
    pub async fn connect(&self) -> Result<(Client, String), String> {
        cluster::connect_as_user(self.kubeconfig.as_deref(), self.context.as_deref()).await
    }
}

/// Which namespaces are looked at.
#[derive(Args, Clone, Debug, Default)]
pub struct NamespaceArgs {
    /// The namespace. [default: the context's]
    #[arg(short, long, value_name = "NAME")]
    namespace: Option<String>,

    /// All namespaces, whatever --namespace says.
    #[arg(short = 'A', long)]
    all_namespaces: bool,
}

/// Where a source is looked for if neither the RegistryCredential nor the flags say.
pub const DEFAULT_NAMESPACE: &str = "regcred-system";

/// The operator's own flags that decide what a RegistryCredential may ask for.
#[derive(Args, Clone, Debug)]
pub struct LimitArgs {
    /// As the operator's: registry hosts that a Google key may be sent to beyond Google's own, separated by commas.
    #[arg(long, env = "REGCRED_ALLOWED_REGISTRIES", default_value = "", value_name = "HOST")]
    pub allowed_registries: AllowedRegistries,

    /// As the operator's: namespaces that source Secrets may live in, separated by commas. [default: any]
    #[arg(long, env = "REGCRED_CREDENTIAL_NAMESPACES", value_delimiter = ',', value_name = "NAMESPACE")]
    pub credential_namespaces: Vec<String>,
}

/// What [`NamespaceArgs`] come to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Every namespace.
    All,
    /// One.
    Namespace(String),
}

impl NamespaceArgs {
    /// The scope, where the context's own namespace is `default`.
    pub fn scope(&self, default: &str) -> Scope {
        match (self.all_namespaces, &self.namespace) {
            (true, _) => Scope::All,
            (false, Some(namespace)) => Scope::Namespace(namespace.clone()),
            (false, None) => Scope::Namespace(default.to_owned()),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Command {
        #[command(flatten)]
        namespaces: NamespaceArgs,
    }

    #[test]
    fn namespaces_are_chosen_as_kubectl_does() {
        let scope = |args: &[&str]| {
            let args = ["regcred"].iter().chain(args);
            Command::try_parse_from(args).unwrap().namespaces.scope("of-the-context")
        };
        let one = |name: &str| Scope::Namespace(name.to_owned());
        assert_eq!(scope(&[]), one("of-the-context"));
        assert_eq!(scope(&["-n", "team-a"]), one("team-a"));
        assert_eq!(scope(&["--namespace=team-a"]), one("team-a"));
        assert_eq!(scope(&["-A"]), Scope::All);
        assert_eq!(scope(&["-n", "team-a", "--all-namespaces"]), Scope::All);
    }
}
