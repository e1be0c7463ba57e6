//! What is known of a cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kube::api::DynamicObject;

use crate::{
    cli::pod::Pod,
    image::{Keyring, Reference},
    names::{NamespaceName, SecretName, ServiceAccountName},
    observe::{NamespaceMeta, Observed},
    plan::{Claim, ClaimState, Namespace, Secret, ServiceAccount},
    pull::{Managed, Seen},
    wish::{Limits, Wish},
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
    /// `None` where this version can't read it.
    pub fn new(object: &DynamicObject) -> Option<Self> {
        let wish = Wish::new(object, &Limits::default());
        let registries = wish.spec()?.registries.clone();
        let conditions = object.data.pointer("/status/conditions").and_then(|conditions| conditions.as_array());
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let reason = ready.and_then(|condition| condition["reason"].as_str());
        Some(Self {
            says: Managed { credential: wish.credential.to_string(), registries },
            claim: wish.claim(ClaimState::Held),
            status: reason.unwrap_or("not there yet").to_owned(),
        })
    }

    /// Whether it is its Secret: a label alone proves nothing, as anybody can set it.
    pub fn owns(&self, secret: &Secret) -> bool {
        secret.label.as_ref() == Some(&self.claim.credential)
            && secret.credential_owners.iter().any(|(_, uid)| *uid == self.claim.uid)
    }
}

static MISSING: Seen = Seen::Missing;
static UNSEEN: Seen = Seen::Unseen(String::new());

impl Cluster {
    /// The registries of its RegistryCredentials, as [`Self::credentials_for`] looks them up.
    pub fn keyring(&self) -> Keyring<usize> {
        let mut keyring = Keyring::default();
        for (at, credential) in self.credentials.iter().enumerate() {
            credential.says.registries.iter().for_each(|name| keyring.add(name, at));
        }
        keyring
    }

    /// The RegistryCredentials that are for an image, in their order.
    pub fn credentials_for(&self, keyring: &Keyring<usize>, image: &Reference) -> Vec<&Credential> {
        let found: BTreeSet<usize> = keyring.lookup(image).into_iter().map(|(_, at)| *at).collect();
        found.into_iter().filter_map(|at| self.credentials.get(at)).collect()
    }

    /// A Secret whose metadata alone was read.
    pub fn by_metadata(credentials: &[Credential], secret: &Secret) -> Seen {
        let owner = credentials.iter().find(|credential| credential.owns(secret));
        Seen::NotRead { managed: owner.map(|credential| credential.says.clone()) }
    }

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

    /// Whether a RegistryCredential wants its Secret in a namespace, where that is known.
    pub fn is_target(&self, name: &NamespaceName, claim: &Claim) -> Option<bool> {
        let namespace = self.namespaces.as_ref()?.get(name)?;
        Some(claim.targets(name, namespace))
    }
}

/// Namespaces by name.
pub fn of_namespaces(seen: Vec<Observed<NamespaceMeta>>) -> HashMap<NamespaceName, Namespace> {
    let namespace = |seen: Observed<NamespaceMeta>| {
        let NamespaceMeta { labels, terminating } = seen.object;
        (seen.name.into(), Namespace { labels, terminating, ..Namespace::default() })
    };
    seen.into_iter().map(namespace).collect()
}
