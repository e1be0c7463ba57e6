//! The custom resource `registrycredentials.regcred.dev`, version v1alpha1.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a RegistryCredential asks for.
#[derive(CustomResource, KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[kube(
    group = "regcred.dev",
    version = "v1alpha1",
    kind = "RegistryCredential",
    plural = "registrycredentials",
    shortname = "regcred",
    status = "RegistryCredentialStatus",
    derive = "PartialEq"
)]
pub struct RegistryCredentialSpec {
    /// Where the credential comes from.
    pub credential: CredentialSource,
    /// The registries that the credential is for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub registries: Vec<String>,
    /// What the managed Secrets look like.
    #[serde(default)]
    pub secret_template: SecretTemplate,
    /// The namespaces that get the Secret.
    pub namespaces: NamespaceTargets,
    /// The service accounts whose imagePullSecrets name the Secret.
    #[serde(default)]
    pub service_accounts: ServiceAccountTargets,
    /// What to do about a Secret or list entry of that name that isn't regcred's.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
    /// While true, nothing is written and nothing is removed.
    #[serde(default)]
    pub suspend: bool,
}

/// One credential; exactly one member is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct CredentialSource {
    /// A Google service-account key, used as user `_json_key`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcp_service_account_key: Option<GcpServiceAccountKeySource>,
}

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
    pub namespace: Option<String>,
    /// The name of the Secret.
    pub name: String,
    /// The key in the Secret's data.
    #[serde(default = "default_key")]
    pub key: String,
}

fn default_key() -> String {
    "key.json".to_owned()
}

/// Name and metadata of the managed Secrets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// The Secrets' name; the RegistryCredential's own name if left out. It can't be changed later.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Labels for the Secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for the Secrets.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub annotations: BTreeMap<String, String>,
}

/// Which namespaces: those named or selected, minus the excluded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceTargets {
    /// Names, where * stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub names: Vec<String>,
    /// Namespaces by their labels; {} selects all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
    /// Names to leave out whatever the above says, where * stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exclude: Vec<String>,
}

/// Which service accounts of a target namespace: those named or selected.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountTargets {
    /// Selected: the service accounts below; None: no service account, the Secret only.
    #[serde(default)]
    pub attach: Attach,
    /// Names, where * stands for any characters. With no names and no selector: default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
    /// Service accounts by their labels; {} selects all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub selector: Option<LabelSelector>,
}

/// Whether service accounts get the Secret in their imagePullSecrets.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attach {
    /// The service accounts that names and selector choose.
    #[default]
    Selected,
    /// No service account.
    None,
}

/// What to do about a Secret or list entry of the wanted name that isn't regcred's.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ConflictPolicy {
    /// Leave it alone and say so in the status.
    #[default]
    Fail,
    /// Take it over in place; it is regcred's from then on, so removing the RegistryCredential removes it.
    Adopt,
}

/// What the operator has seen and done. It never holds any part of a credential.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RegistryCredentialStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled and CredentialValid.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub conditions: Vec<Condition>,
    /// Whose credential it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The source that every ready namespace holds or is being given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_source: Option<ObservedSource>,
    /// How many target namespaces there are, and how far they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceCounts>,
    /// How many service accounts are chosen, and how many name the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccountCounts>,
    /// At most ten of the namespaces that failed, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<NamespaceFailure>,
    /// When the last namespace reached the current source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rollout_time: Option<Time>,
}

/// Whose credential it is, as the key file says.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The service account's address.
    #[serde(default)]
    pub client_email: String,
    /// The Google project.
    #[serde(default, rename = "projectID")]
    pub project_id: String,
    /// Which of the service account's keys it is.
    #[serde(default, rename = "privateKeyID")]
    pub private_key_id: String,
}

/// A version of the source Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ObservedSource {
    /// metadata.resourceVersion of the source Secret.
    pub resource_version: String,
}

/// Counts of namespaces.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceCounts {
    /// Target namespaces that exist.
    pub desired: i64,
    /// Of these, the ones that hold the current source.
    pub ready: i64,
    /// Of these, the ones where something failed.
    pub failed: i64,
    /// ready/desired, for kubectl's column.
    #[serde(default)]
    pub summary: String,
}

/// Counts of service accounts.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountCounts {
    /// Chosen service accounts in target namespaces.
    pub desired: i64,
    /// Of these, the ones that name the Secret.
    pub ready: i64,
    /// ready/desired, for kubectl's column.
    #[serde(default)]
    pub summary: String,
}

/// Why one namespace isn't ready.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceFailure {
    /// The namespace.
    pub namespace: String,
    /// The reason, in one CamelCase word.
    pub reason: String,
    /// What is wrong and what to do.
    pub message: String,
}
