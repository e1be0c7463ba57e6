//! `spec.credential.dockerConfig`.

use kube::KubeSchema;
use serde::{Deserialize, Serialize};

use crate::api::schema;

/// The member of `spec.credential`.
pub const MEMBER: &str = "dockerConfig";

/// A docker config in a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfigSource {
    /// The Secret: of type kubernetes.io/dockerconfigjson or kubernetes.io/dockercfg, or Opaque with the annotation regcred.dev/registries.
    pub secret_ref: DockerConfigRef,
}

/// A Secret, and the key in it that holds the docker config.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct DockerConfigRef {
    /// The namespace of the Secret: one of the operator's --credential-namespaces; the first of them if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_name")]
    pub namespace: Option<String>,
    /// The name of the Secret.
    #[schemars(schema_with = "schema::secret_name")]
    pub name: String,
    /// The key in the Secret's data. If left out, it is the one that the Secret's type has: .dockerconfigjson or .dockercfg. An Opaque Secret has none of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key")]
    pub key: Option<String>,
}
