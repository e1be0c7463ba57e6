//! What is known of a cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kube::api::DynamicObject;

use crate::{
    api::{CredentialName, NamespaceName, Reason, SecretName, ServiceAccountName, Stalled},
    cli::pod::Pod,
    cluster::observe::{NamespaceMeta, Observed},
    image::{
        Keyring, Reference,
        pull::{Managed, Seen},
    },
    plan::{
        Desired, DesiredState, Namespace, Second, Secret, ServiceAccount,
        decoded::{DecodedCredential, Limits},
    },
};

/// What is known. What couldn't be read is `None`.
#[derive(Default)]
pub struct Cluster {
    /// The namespaces' labels.
    pub namespaces: Option<HashMap<NamespaceName, Namespace>>,
    /// The service accounts.
    pub accounts: Option<BTreeMap<(NamespaceName, ServiceAccountName), ServiceAccount>>,
    /// The pull secrets, and what else has a name that is used as one.
    pub secrets: Option<BTreeMap<(NamespaceName, SecretName), Known>>,
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
    pub desired: Desired,
    /// What they are for.
    pub registries: Vec<String>,
    /// The reason of its Ready condition.
    pub status: String,
    /// Whether its Secrets are for these registries by now, as far as its status tells.
    pub is_rolled_out: bool,
}

impl Credential {
    /// Reads it.
    ///
    /// # Errors
    /// Why this version can't.
    pub fn new(object: &DynamicObject) -> Result<Self, Stalled> {
        let decoded = DecodedCredential::new(object, &Limits::default());
        let registries = decoded.decoded().map_err(Stalled::clone)?.registries.clone();
        let status = |path: &str| object.data.pointer(path);
        let conditions = status("/status/conditions").and_then(|conditions| conditions.as_array());
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let reason = ready.and_then(|condition| condition["reason"].as_str()).unwrap_or("not there yet");
        let observed = status("/status/observedGeneration").and_then(|generation| generation.as_i64());
        let done = [Reason::RolledOut, Reason::PartiallyReady].map(Reason::as_str);
        Ok(Self {
            desired: decoded.desired(DesiredState::Stalled),
            registries,
            is_rolled_out: observed == object.metadata.generation && done.contains(&reason),
            status: reason.to_owned(),
        })
    }

    /// Its name.
    pub fn name(&self) -> &CredentialName {
        &self.desired.credential
    }

    /// Whether it is its Secret: a label alone proves nothing, as anybody can set it.
    fn owns(&self, secret: &Secret) -> bool {
        secret.label.as_ref() == Some(self.name())
            && secret.credential_owners.iter().any(|(_, uid)| *uid == self.desired.uid)
    }
}

/// A Secret that is named as a pull secret, or could be.
pub struct Known {
    /// What is known of it as one.
    pub seen: Seen,
    /// `metadata.creationTimestamp`; `None` where the Secret wasn't seen.
    pub created: Option<Second>,
    /// The RegistryCredential whose it is.
    pub owner: Option<CredentialName>,
    /// Whether it has a mark of regcred's, of whichever RegistryCredential.
    pub is_marked: bool,
}

impl Known {
    /// A Secret that is there.
    pub fn new(seen: Seen, secret: &Secret, credentials: &[Credential]) -> Self {
        let owner = credentials.iter().find(|credential| credential.owns(secret));
        Self {
            seen,
            created: Some(secret.created),
            owner: owner.map(|owner| owner.name().clone()),
            is_marked: secret.label.is_some() || !secret.credential_owners.is_empty(),
        }
    }

    /// A pull secret whose metadata alone was read.
    pub fn not_read(secret: &Secret, credentials: &[Credential]) -> Self {
        let owner = credentials.iter().find(|credential| credential.owns(secret));
        let managed = owner.map(|owner| Managed {
            credential: owner.name().to_string(),
            registries: owner.is_rolled_out.then(|| owner.registries.clone()),
        });
        Self::new(Seen::NotRead { managed }, secret, credentials)
    }
}

/// One that isn't there, or couldn't be looked at.
impl From<Seen> for Known {
    fn from(seen: Seen) -> Self {
        Self { seen, created: None, owner: None, is_marked: false }
    }
}

static MISSING: Known = Known { seen: Seen::Missing, created: None, owner: None, is_marked: false };
static UNSEEN: Known = Known { seen: Seen::Unseen(String::new()), created: None, owner: None, is_marked: false };

impl Cluster {
    /// The registries of its RegistryCredentials, as [`Self::credentials_for`] looks them up.
    pub fn keyring(&self) -> Keyring<usize> {
        let mut keyring = Keyring::default();
        for (at, credential) in self.credentials.iter().enumerate() {
            credential.registries.iter().for_each(|name| keyring.add(name, at));
        }
        keyring
    }

    /// The RegistryCredentials that are for an image, in their order.
    pub fn credentials_for(&self, keyring: &Keyring<usize>, image: &Reference) -> Vec<&Credential> {
        let found: BTreeSet<usize> = keyring.lookup(image).into_iter().map(|(_, at)| *at).collect();
        found.into_iter().filter_map(|at| self.credentials.get(at)).collect()
    }

    /// A Secret.
    pub fn secret(&self, namespace: &NamespaceName, name: &SecretName) -> &Known {
        match &self.secrets {
            None => &UNSEEN,
            Some(secrets) => secrets.get(&(namespace.clone(), name.clone())).unwrap_or(&MISSING),
        }
    }

    /// What is known of a Secret as a pull secret.
    pub fn seen(&self, namespace: &NamespaceName, name: &SecretName) -> &Seen {
        &self.secret(namespace, name).seen
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
    pub fn is_target(&self, name: &NamespaceName, desired: &Desired) -> Option<bool> {
        let namespace = self.namespaces.as_ref()?.get(name)?;
        Some(desired.targets(name, namespace))
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

#[cfg(test)]
impl Credential {
    /// For gcr.io/darwin/, in namespaces like this, for the service account `default` or else `builder`; rolled out.
    pub fn of(name: &str, namespaces: &str, for_default: bool) -> Self {
        Self::new(&serde_json::from_value(tests::object(name, namespaces, for_default)).unwrap()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    pub fn object(name: &str, namespaces: &str, for_default: bool) -> Value {
        let account = if for_default { "default" } else { "builder" };
        json!({
            "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential",
            "metadata": {"name": name, "uid": "u", "generation": 1},
            "spec": {
                "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "key"}}},
                "registries": ["gcr.io/darwin/"], "namespaces": {"names": [namespaces]},
                "serviceAccounts": {"names": [account]},
            },
            "status": {"observedGeneration": 1, "conditions": [{"type": "Ready", "reason": "RolledOut"}]},
        })
    }

    fn read(change: fn(&mut Value)) -> Result<Credential, Stalled> {
        let mut object = object("darwin", "team-*", true);
        change(&mut object);
        Credential::new(&serde_json::from_value(object).unwrap())
    }

    #[test]
    fn its_registries_are_those_of_its_secrets_only_where_the_status_says_so() {
        let said = |change| read(change).map(|it| (it.is_rolled_out, it.status)).ok().unwrap();
        assert_eq!(said(|_| {}), (true, "RolledOut".to_owned()));
        assert_eq!(said(|it| it["metadata"]["generation"] = json!(2)), (false, "RolledOut".to_owned()));
        let held = said(|it| it["status"]["conditions"][0]["reason"] = json!("RegistryNotAllowed"));
        assert_eq!(held, (false, "RegistryNotAllowed".to_owned()));
        assert_eq!(said(|it| it["status"] = Value::Null), (false, "not there yet".to_owned()));
    }

    #[test]
    fn one_that_cannot_be_read_says_why() {
        let held = read(|it| it["spec"]["registries"] = json!(7)).err().unwrap();
        assert_eq!(held.reason, Reason::Undecodable);
    }
}
