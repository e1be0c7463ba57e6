//! What the tests of this module share.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use serde_json::json;
use zeroize::Zeroizing;

use super::{
    AllowedRegistries, Login, PullSecret, RegistryKey, RevisionKey, RootKey, SourceSecret,
    docker_config::{DockerConfig, TooLarge},
    resolve,
    source::Marks,
};
use crate::api::{
    CredentialSource, RegistryCredentialSpec,
    kinds::gcp_service_account_key::{GcpServiceAccountKeySource, SecretKeyRef},
    secret_name,
};

pub(crate) const KEY_A: &str = include_str!("../../tests/fixtures/throwaway-key-a.json");
pub(crate) const KEY_B: &str = include_str!("../../tests/fixtures/throwaway-key-b.json");

/// A docker config with the same password of `_json_key` for each registry.
pub(crate) fn one_login(registries: &[RegistryKey], password: &str) -> Result<DockerConfig, TooLarge> {
    let login = Login::new("_json_key", password);
    DockerConfig::render(registries.iter().map(|registry| (registry, &login)))
}

/// The same for all tests, as the revision in the golden file is made with it.
pub(crate) fn revision_key() -> RevisionKey {
    RootKey::new(&[7; 32]).unwrap().revision_key()
}

/// `username:password` for each entry of what a namespace gets, which has nothing beside.
pub(crate) fn logins_of(pull_secret: &PullSecret) -> BTreeMap<String, String> {
    let secret = json!({"data": {".dockerconfigjson": pull_secret.expose_encoded()}});
    let logins = controlplane::logins(&secret).unwrap().into_iter();
    logins.map(|(registry, (username, password))| (registry, format!("{username}:{password}"))).collect()
}

/// A Secret as the API server sends it.
pub(crate) fn secret_json(data: &[(&str, &[u8])]) -> String {
    let data: serde_json::Map<_, _> =
        data.iter().map(|(key, value)| ((*key).to_owned(), json!(BASE64_STANDARD.encode(value)))).collect();
    let metadata = json!({
        "name": "darwin-gcr-key",
        "namespace": "regcred-system",
        "uid": "11111111-2222-3333-4444-555555555555",
        "resourceVersion": "812",
        "creationTimestamp": "2026-01-01T00:00:00Z",
        "annotations": {"kubectl.kubernetes.io/last-applied-configuration": "{\"data\":{}}"},
        "managedFields": [{"manager": "kubectl", "fieldsV1": {"f:data": {}}}],
    });
    format!(r#"{{"kind":"Secret","apiVersion":"v1","metadata":{metadata},"data":{},"type":"Opaque"}}"#, json!(data))
}

pub(crate) fn source(data: &[(&str, &[u8])]) -> SourceSecret {
    SourceSecret::from_json(secret_json(data).as_bytes()).unwrap()
}

/// A Secret of another name, type and owner's word.
pub(crate) fn secret(name: &str, data: &[(&str, &[u8])], secret_type: &str, marks: Marks) -> SourceSecret {
    let data = data.iter().map(|(key, value)| ((*key).to_owned(), Zeroizing::new(value.to_vec()))).collect();
    SourceSecret::unapplied("regcred-system", name, data).with(secret_type, marks)
}

pub(crate) fn spec(registries: &[&str]) -> RegistryCredentialSpec {
    RegistryCredentialSpec {
        credential: Some(CredentialSource {
            gcp_service_account_key: Some(GcpServiceAccountKeySource {
                secret_ref: SecretKeyRef {
                    namespace: None,
                    name: "darwin-gcr-key".to_owned(),
                    key: "key.json".to_owned(),
                },
            }),
            ..CredentialSource::default()
        }),
        existing_secret_name: None,
        registries: registries.iter().map(|r| (*r).to_owned()).collect(),
        secret_template: Default::default(),
        namespaces: Default::default(),
        attach: Default::default(),
        conflict_policy: Default::default(),
        stuck_pods: Default::default(),
        suspend: false,
    }
}

/// What the spec resolves to with key A.
pub(crate) fn resolved(name: &str, spec: &RegistryCredentialSpec) -> PullSecret {
    let source = source(&[("key.json", KEY_A.as_bytes())]);
    let allowed = AllowedRegistries::default();
    let name = secret_name(name, spec.secret_template.name.as_deref());
    resolve(name, spec, &source, &allowed, &revision_key(), Timestamp::UNIX_EPOCH).unwrap().pull_secret
}
