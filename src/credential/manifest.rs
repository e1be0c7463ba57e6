//! The body of the request that brings a pull secret to a namespace: a POST, a PUT or a server-side apply.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use kube::Resource;
use serde::Serialize;

use super::pull_secret::PullSecret;
use crate::api::{CREDENTIAL_LABEL, CredentialName, NamespaceName, REVISION_ANNOTATION, RegistryCredential};

/// Labels and annotations that every managed Secret has besides the template's.
const OWN_FIELDS: usize = 2;

/// The RegistryCredential that owns the Secret; the garbage collector removes the one with the other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Owner {
    /// Its name.
    pub name: CredentialName,
    /// Its `metadata.uid`.
    pub uid: String,
}

/// What must be true in the cluster for the write to happen; else it's a 409.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Guard {
    /// Nothing of that name is there, which a POST sees to by itself.
    Post,
    /// Nothing of that name is there. No object has resourceVersion 1, so the apply creates or fails.
    Create,
    /// The Secret is exactly as it was seen.
    Exact {
        /// Its `metadata.uid`.
        uid: String,
        /// Its `metadata.resourceVersion`.
        resource_version: String,
    },
}

/// A Secret as it is created or applied; its fields are in the order in which they are sent.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretManifest<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(rename = "type")]
    type_: &'static str,
    data: Data<'a>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Metadata<'a> {
    name: &'a str,
    namespace: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    uid: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_version: Option<&'a str>,
    labels: BTreeMap<&'a str, &'a str>,
    annotations: BTreeMap<&'a str, &'a str>,
    owner_references: [OwnerReference<'a>; 1],
}

// Without `controller`, as the Secret has no controller in the sense of the API, and without `blockOwnerDeletion`, which
// would need a right on finalizers.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct OwnerReference<'a> {
    api_version: Cow<'static, str>,
    kind: Cow<'static, str>,
    name: &'a str,
    uid: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    #[serde(rename = ".dockerconfigjson")]
    docker_config: &'a str,
}

impl<'a> SecretManifest<'a> {
    /// The pull secret as it is applied to one namespace.
    pub fn new(secret: &'a PullSecret, namespace: &'a NamespaceName, owner: &'a Owner, guard: &'a Guard) -> Self {
        let (uid, resource_version) = match guard {
            Guard::Post => (None, None),
            Guard::Create => (None, Some("1")),
            Guard::Exact { uid, resource_version } => (Some(uid.as_str()), Some(resource_version.as_str())),
        };
        Self {
            api_version: "v1",
            kind: "Secret",
            metadata: Metadata {
                name: secret.name().as_str(),
                namespace: namespace.as_str(),
                uid,
                resource_version,
                labels: with(secret.labels(), CREDENTIAL_LABEL, owner.name.as_str()),
                annotations: with(secret.annotations(), REVISION_ANNOTATION, secret.revision().as_str()),
                owner_references: [OwnerReference {
                    api_version: RegistryCredential::api_version(&()),
                    kind: RegistryCredential::kind(&()),
                    name: owner.name.as_str(),
                    uid: &owner.uid,
                }],
            },
            type_: "kubernetes.io/dockerconfigjson",
            data: Data { docker_config: secret.expose_encoded() },
        }
    }
}

impl fmt::Debug for SecretManifest<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SecretManifest")
            .field("name", &self.metadata.name)
            .field("namespace", &self.metadata.namespace)
            .finish_non_exhaustive()
    }
}

/// The template's pairs and ours, which wins.
fn with<'a>(template: &'a BTreeMap<String, String>, key: &'static str, value: &'a str) -> BTreeMap<&'a str, &'a str> {
    let template = template.iter().map(|(k, v)| (k.as_str(), v.as_str()));
    template.chain([(key, value)]).collect()
}

impl PullSecret {
    /// How many labels and annotations an apply of this secret sets: the template's and ours.
    pub fn field_count(&self) -> usize {
        field_count(self.labels(), self.annotations())
    }
}

/// As [`PullSecret::field_count`], from the template alone.
pub fn field_count(labels: &BTreeMap<String, String>, annotations: &BTreeMap<String, String>) -> usize {
    labels.len() + annotations.len() + OWN_FIELDS
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::testing::{resolved, spec};
    use serde_json::{Value, json};

    fn owner() -> Owner {
        Owner { name: "darwin".into(), uid: "6f0e9a52-4a1e-4d9e-9a27-0d6f3f1b7c11".to_owned() }
    }

    fn apply(secret: &PullSecret, guard: &Guard) -> String {
        let (namespace, owner) = ("team-a".into(), owner());
        serde_json::to_string(&SecretManifest::new(secret, &namespace, &owner, guard)).unwrap()
    }

    fn templated() -> PullSecret {
        let mut spec = spec(&["gcr.io/darwin/", "eu.gcr.io"]);
        let template = &mut spec.secret_template;
        template.name = Some("darwin-secret".to_owned());
        template.labels = [("team".to_owned(), "platform".to_owned())].into();
        template.annotations = [("example.com/note".to_owned(), "by <regcred> & co".to_owned())].into();
        resolved("darwin", &spec)
    }

    /// What is applied for an unchanged source must not change with a new version of regcred: it would rewrite the Secret
    /// in every namespace of every cluster, and each pod's kubelet would have to learn the credential anew. If that is
    /// truly wanted, say so in the release notes and run this test with `REGCRED_UPDATE_GOLDEN=1`.
    #[test]
    fn an_upgrade_of_regcred_does_not_rewrite_secrets() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden/secret-apply.json");
        let now = apply(&templated(), &Guard::Create);
        if std::env::var_os("REGCRED_UPDATE_GOLDEN").is_some() {
            std::fs::write(path, &now).unwrap();
        }
        assert_eq!(now, std::fs::read_to_string(path).unwrap());
    }

    #[test]
    fn the_manifest_is_a_secret_of_ours() {
        let secret = templated();
        let body: Value = serde_json::from_str(&apply(&secret, &Guard::Create)).unwrap();
        assert_eq!(
            body,
            json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": {
                    "name": "darwin-secret",
                    "namespace": "team-a",
                    "resourceVersion": "1",
                    "labels": {"team": "platform", "regcred.dev/credential": "darwin"},
                    "annotations": {
                        "example.com/note": "by <regcred> & co",
                        "regcred.dev/revision": secret.revision().as_str(),
                    },
                    "ownerReferences": [{
                        "apiVersion": "regcred.dev/v1alpha1",
                        "kind": "RegistryCredential",
                        "name": "darwin",
                        "uid": "6f0e9a52-4a1e-4d9e-9a27-0d6f3f1b7c11",
                    }],
                },
                "type": "kubernetes.io/dockerconfigjson",
                "data": {".dockerconfigjson": secret.expose_encoded()},
            })
        );
        serde_json::from_value::<k8s_openapi::api::core::v1::Secret>(body).unwrap();
    }

    #[test]
    fn the_guard_decides_what_the_write_depends_on() {
        let guarded = |guard: Guard| {
            let body: Value = serde_json::from_str(&apply(&templated(), &guard)).unwrap();
            let metadata = &body["metadata"];
            (metadata.get("uid").cloned(), metadata.get("resourceVersion").cloned())
        };
        assert_eq!(guarded(Guard::Create), (None, Some(json!("1"))));
        let exact = Guard::Exact { uid: "u".to_owned(), resource_version: "7".to_owned() };
        assert_eq!(guarded(exact), (Some(json!("u")), Some(json!("7"))));
    }

    #[test]
    fn field_count_is_what_the_manifest_sets() {
        let plain = resolved("darwin", &spec(&["gcr.io"]));
        for (secret, expected) in [(plain, 2), (templated(), 4)] {
            let body: Value = serde_json::from_str(&apply(&secret, &Guard::Create)).unwrap();
            let count = |field: &str| body["metadata"][field].as_object().unwrap().len();
            assert_eq!(count("labels") + count("annotations"), expected);
            assert_eq!(secret.field_count(), expected);
        }
    }

    #[test]
    fn regcreds_own_fields_win() {
        let template = [(CREDENTIAL_LABEL.to_owned(), "other".to_owned())].into();
        assert_eq!(with(&template, CREDENTIAL_LABEL, "mine"), [(CREDENTIAL_LABEL, "mine")].into());
    }

    #[test]
    fn debug_shows_no_data() {
        let (namespace, owner, secret) = ("team-a".into(), owner(), templated());
        let shown = format!("{:?}", SecretManifest::new(&secret, &namespace, &owner, &Guard::Create));
        assert_eq!(shown, r#"SecretManifest { name: "darwin-secret", namespace: "team-a", .. }"#);
    }
}
