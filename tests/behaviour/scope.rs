//! The rights of config/overlays/scoped: Secrets and service accounts by name. With REGCRED_TEST_SCOPED=1 (`make
//! test-scoped`) every world has them, with the names below, in place of config/rbac.

use std::path::{Path, PathBuf};

use controlplane::{ControlPlane, scoped_overlay};
use serde_json::Value;

use crate::{
    evidence::apply_all,
    world::{ROOT, rendered},
};

pub const MANAGED_NAMES: &str = "--managed-secret-names";

/// The names that the suite's Secrets have, but for those that a test makes by the dozen. What a test does with another
/// name fails at once ([`crate::world::World::assert_managed`]).
const SECRETS: &str = "a-younger broken bystander darwin darwin-secret deleted elsewhere evil first gone good invalid killed \
    labelled late-pull later legacy marker mirror missing newer no-line-break-at-its-end odd off other partial plain \
    restarted second shared suspended waiting without-owner wrong-key z-older zz-marker";
/// The service accounts that a RegistryCredential of the suite may choose. A write to another would be refused, which the
/// audit log shows in the end.
const ACCOUNTS: &str = "adopted app both builder default deployer forged later theirs with without";

/// What the operator is confined to.
pub struct Scope {
    secrets: Vec<String>,
    accounts: Vec<String>,
}

impl Scope {
    pub fn new(secrets: &[&str], accounts: &[&str]) -> Scope {
        let owned = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        Scope { secrets: owned(secrets), accounts: owned(accounts) }
    }

    /// That of every world, where it is asked for.
    pub fn of_suite() -> Option<Scope> {
        std::env::var_os("REGCRED_TEST_SCOPED").filter(|value| value == "1")?;
        let numbered = |prefix: &str| (0..100).map(|i| format!("{prefix}{i}")).collect::<Vec<_>>();
        let secrets = [words(SECRETS), numbered("bad-")].concat();
        Some(Scope { secrets, accounts: [words(ACCOUNTS), numbered("round-")].concat() })
    }

    /// What the operator is told there, unless a test manages names of its own: a hundred watches are for none.
    pub fn args_of_suite() -> Vec<String> {
        Scope::args_managing(words(SECRETS))
    }

    /// The same for a test's own names; nothing where any name is managed.
    pub fn args_managing(names: Vec<String>) -> Vec<String> {
        match Scope::of_suite() {
            Some(_) => [vec![MANAGED_NAMES.to_owned()], names].concat(),
            None => Vec::new(),
        }
    }

    /// Installs the overlay without its Deployment, as nothing would run that: that is what it gives back.
    pub fn install(&self, cluster: &ControlPlane) -> Value {
        let overlay = self.overlay(cluster.folder());
        let built = cluster.kubectl_ok(&["create", "--dry-run=client", "-o", "json", "-k", &overlay.to_string_lossy()]);
        let objects = serde_json::Deserializer::from_str(&built).into_iter::<Value>().map(Result::unwrap);
        let (mut deployments, others): (Vec<_>, Vec<_>) = objects.partition(|object| object["kind"] == "Deployment");
        apply_all(cluster, others);
        deployments.pop().unwrap()
    }

    /// What [`Scope::install`] applies, as YAML.
    pub fn rights(&self) -> String {
        let folder = tempfile::tempdir().unwrap();
        let rendered = rendered(&self.overlay(folder.path()));
        let documents = rendered.split("\n---\n").filter(|document| !document.contains("\nkind: Deployment\n"));
        documents.collect::<Vec<_>>().join("\n---\n")
    }

    fn overlay(&self, folder: &Path) -> PathBuf {
        scoped_overlay(folder, &Path::new(ROOT).join("config"), &self.secrets, &self.accounts)
    }
}

fn words(text: &str) -> Vec<String> {
    text.split_whitespace().map(str::to_owned).collect()
}
