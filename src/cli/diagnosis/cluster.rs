//! What is known of a cluster.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use kube::api::DynamicObject;

use crate::{
    api::{CredentialName, NamespaceName, Reason, RegistryCredentialStatus, SecretName, ServiceAccountName, Stalled},
    cli::pod::Pod,
    cluster::observe::{NamespaceMeta, Observed},
    credential::{RegistryKey, hosts::HostRule, kinds},
    image::{
        Keyring, Reference,
        pull::{Managed, Seen},
    },
    plan::{
        Desired, DesiredState, Maker, Namespace, Second, Secret, ServiceAccount,
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
    /// What they are for, each by the one name that we call it by.
    pub registries: Vec<String>,
    /// Whether these are all: where the source, or its owner, names them, the status must have had room for them.
    pub names_all: bool,
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
        let spec = decoded.decoded().map_err(Stalled::clone)?;
        let hosts = spec.credential.as_ref().and_then(|credential| Some(kinds::of(credential).ok()?.hosts()));
        let status = |path: &str| object.data.pointer(path);
        let found = status("/status/registries").and_then(|registries| registries.as_array());
        let found: Vec<&str> = found.into_iter().flatten().filter_map(|registry| registry.as_str()).collect();
        let (names, names_all) = match hosts {
            Some(HostRule::NamedBySource | HostRule::MarkedByOwner) if !found.is_empty() => {
                let names_all = found.len() < RegistryCredentialStatus::MAX_REGISTRIES;
                (found, names_all)
            }
            // An operator that wrote no such list, or one that hasn't read the source.
            _ => (spec.registries.iter().map(String::as_str).collect(), matches!(hosts, Some(HostRule::Provider(_)))),
        };
        let registries = names.into_iter().map(canonical).collect();
        let conditions = status("/status/conditions").and_then(|conditions| conditions.as_array());
        let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
        let reason = ready.and_then(|condition| condition["reason"].as_str()).unwrap_or("not there yet");
        let observed = status("/status/observedGeneration").and_then(|generation| generation.as_i64());
        let done = [Reason::RolledOut, Reason::PartiallyReady].map(Reason::as_str);
        Ok(Self {
            desired: decoded.desired(DesiredState::Stalled),
            registries,
            names_all,
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
        self.desired.maker == Maker::Us
            && secret.label.as_ref() == Some(self.name())
            && secret.credential_owners.iter().any(|(_, uid)| *uid == self.desired.uid)
    }
}

/// A registry by the one name that we call it by. Nothing is rolled out with what isn't one.
fn canonical(registry: &str) -> String {
    RegistryKey::parse(registry).map_or_else(|_| registry.to_owned(), |key| key.canonical().as_str().to_owned())
}

/// The name of a registry's entry in our Secrets.
fn entry_name(registry: &str) -> String {
    RegistryKey::parse(registry).map_or_else(|_| registry.to_owned(), |key| key.entry_name().to_owned())
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
            registries: (owner.is_rolled_out && owner.names_all)
                .then(|| owner.registries.iter().map(|name| entry_name(name)).collect()),
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

    /// Whether a Secret that somebody else has made is one that a RegistryCredential attaches, as far as is known.
    pub fn is_attached(&self, namespace: &NamespaceName, name: &SecretName) -> bool {
        let attached = self.credentials.iter().filter(|it| it.desired.maker == Maker::Others);
        attached
            .filter(|it| it.desired.secret == *name)
            .any(|it| self.is_target(namespace, &it.desired).unwrap_or(true))
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
                "attach": {"serviceAccounts": {"names": [account]}},
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
    fn what_it_is_for_stands_in_the_status_where_its_source_says_so() {
        let read = |kind: &str, spec: Value, status: Value| {
            let mut object = object("darwin", "team-*", true);
            object["spec"]["credential"] = json!({kind: {"secretRef": {"name": "key"}}});
            object["spec"]["registries"] = spec;
            object["status"]["registries"] = status;
            let read = Credential::new(&serde_json::from_value(object).unwrap()).ok().unwrap();
            (read.registries, read.names_all)
        };
        let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect::<Vec<_>>();
        for kind in ["dockerConfig", "basicAuth"] {
            for (spec, status, wanted, names_all) in [
                (json!([]), json!(["docker.io", "ghcr.io"]), &["docker.io", "ghcr.io"][..], true),
                (json!(["ghcr.io", "quay.io"]), json!(["ghcr.io"]), &["ghcr.io"], true),
                (json!(["hub.docker.com"]), json!([]), &["docker.io"], false),
                (json!([]), Value::Null, &[], false),
            ] {
                assert_eq!(
                    read(kind, spec.clone(), status.clone()),
                    (names(wanted), names_all),
                    "{kind} {spec} {status}"
                );
            }
            let full: Vec<String> = (0..64).map(|n| format!("r{n}.example.com")).collect();
            assert_eq!(read(kind, json!([]), json!(full)), (full, false), "there may be more");
        }
        let google = read("gcpServiceAccountKey", json!(["gcr.io"]), json!(["gcr.io", "eu.gcr.io"]));
        assert_eq!(google, (names(&["gcr.io"]), true));
    }

    #[test]
    fn entries_of_a_secret_that_was_not_read_are_those_that_the_kubelet_finds() {
        let mut darwin = object("darwin", "team-*", true);
        darwin["spec"]["credential"] = json!({"dockerConfig": {"secretRef": {"name": "key"}}});
        darwin["status"]["registries"] = json!(["docker.io", "docker.io/team/", "ghcr.io"]);
        let credentials = [Credential::new(&serde_json::from_value(darwin).unwrap()).ok().unwrap()];
        let secret = Secret {
            label: Some("darwin".into()),
            credential_owners: vec![("darwin".into(), "u".into())].into(),
            ..Secret::default()
        };
        let Seen::NotRead { managed: Some(managed) } = Known::not_read(&secret, &credentials).seen else { panic!() };
        let names = ["https://index.docker.io/v1/", "docker.io/team/", "ghcr.io"].map(str::to_owned).to_vec();
        assert_eq!(managed.registries, Some(names));
    }

    #[test]
    fn one_that_cannot_be_read_says_why() {
        let held = read(|it| it["spec"]["registries"] = json!(7)).err().unwrap();
        assert_eq!(held.reason, Reason::Undecodable);
    }
}
