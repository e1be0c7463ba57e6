//! PURE: what an audit knows of a cluster.

use std::collections::{BTreeMap, HashMap, HashSet};

use crate::{
    cli::pod::Pod,
    names::{NamespaceName, SecretName, ServiceAccountName},
    plan::{Claim, Namespace, Secret, ServiceAccount},
    pull::{Managed, Seen},
};

/// What is known. What couldn't be read is `None`.
#[derive(Default)]
pub struct Cluster {
    /// The namespaces' labels.
    pub namespaces: Option<HashMap<NamespaceName, Namespace>>,
    /// The service accounts.
    pub accounts: Option<BTreeMap<(NamespaceName, ServiceAccountName), ServiceAccount>>,
    /// The pull secrets, and what else has a name that is used as one.
    pub secrets: Option<BTreeMap<(NamespaceName, SecretName), Seen>>,
    /// The RegistryCredentials that this version can read.
    pub credentials: Vec<Credential>,
    /// The pods.
    pub pods: Vec<Pod>,
    /// Seconds since 1970.
    pub now: i64,
}

/// A RegistryCredential as far as it matters here.
pub struct Credential {
    /// Where it wants its Secrets.
    pub claim: Claim,
    /// What they are for.
    pub says: Managed,
    /// The reason of its Ready condition.
    pub status: String,
}

impl Credential {
    /// Whether it is its Secret: a label alone proves nothing, as anybody can set it.
    pub fn owns(&self, secret: &Secret) -> bool {
        secret.label.as_ref() == Some(&self.claim.credential)
            && secret.credential_owners.iter().any(|(_, uid)| *uid == self.claim.uid)
    }

    /// What it says of its Secrets.
    pub fn says(&self) -> Managed {
        self.says.clone()
    }
}

static MISSING: Seen = Seen::Missing;
static UNSEEN: Seen = Seen::Unseen(String::new());

impl Cluster {
    /// What is known of a Secret.
    pub fn seen(&self, namespace: &NamespaceName, name: &SecretName) -> &Seen {
        match &self.secrets {
            None => &UNSEEN,
            Some(secrets) => secrets.get(&(namespace.clone(), name.clone())).unwrap_or(&MISSING),
        }
    }

    /// Whether a pod or a service account names a Secret that isn't known to be there.
    pub fn names_what_is_not_there(&self) -> bool {
        self.secrets.is_some()
            && self.named().iter().any(|(namespace, name)| matches!(self.seen(namespace, name), Seen::Missing))
    }

    /// All that is named as a pull secret.
    pub fn named(&self) -> HashSet<(&NamespaceName, &SecretName)> {
        let of_pods = self.pods.iter().filter(|pod| !pod.is_over);
        let of_pods = of_pods.flat_map(|pod| pod.pull_secrets.iter().map(move |name| (&pod.namespace, name)));
        let of_accounts = self.accounts.iter().flatten();
        let of_accounts = of_accounts.flat_map(|((at, _), account)| account.entries.iter().map(move |name| (at, name)));
        of_pods.chain(of_accounts.filter(|(_, name)| !name.as_str().is_empty())).collect()
    }

    /// A pod's service account.
    pub fn account(&self, pod: &Pod) -> Option<&ServiceAccount> {
        self.accounts.as_ref()?.get(&(pod.namespace.clone(), pod.service_account.clone()))
    }

    /// Whether a RegistryCredential wants its Secret in a pod's namespace.
    pub fn is_target(&self, pod: &Pod, claim: &Claim) -> Option<bool> {
        let namespace = self.namespaces.as_ref()?.get(&pod.namespace)?;
        Some(claim.targets(&pod.namespace, namespace))
    }
}
