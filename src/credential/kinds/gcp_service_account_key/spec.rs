//! `spec.credential.gcpServiceAccountKey`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// The member of `spec.credential`.
pub const MEMBER: &str = "gcpServiceAccountKey";

/// A Google service-account JSON key in a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct GcpServiceAccountKeySource {
    /// The Secret and the key in it that holds the file.
    pub secret_ref: SecretKeyRef,
}

/// One key of one Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretKeyRef {
    /// The namespace of the Secret: one of the operator's --credential-namespaces; the first of them if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_name")]
    pub namespace: Option<String>,
    /// The name of the Secret.
    #[schemars(schema_with = "schema::secret_name")]
    pub name: String,
    /// The key in the Secret's data.
    #[serde(default = "default_key")]
    #[schemars(schema_with = "schema::secret_key")]
    pub key: String,
}

/// The key in a source Secret where `secretRef.key` is left out.
pub fn default_key() -> String {
    "key.json".to_owned()
}
