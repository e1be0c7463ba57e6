//! The custom resource `registrycredentials.regcred.dev`, version v1alpha1.
//!
//! `kubectl explain` shows the docs of these types, so they speak to those who write the resource.

use std::collections::BTreeMap;

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector, Time};
use kube::{CustomResource, KubeSchema, ResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Reason,
    kinds::{self, CredentialSource},
    rules, schema,
};
use crate::api::{CredentialName, SecretName};

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
    derive = "PartialEq",
    doc = "A registry credential and where its pull secret goes: a Secret of type kubernetes.io/dockerconfigjson in every target namespace, and its name in the imagePullSecrets of the chosen service accounts there.",
    validation = rules::name_fits_label(),
    validation = rules::secret_name_stays(),
    validation = rules::maker_stays(),
    printcolumn = r#"{"name":"READY","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].status"}"#,
    printcolumn = r#"{"name":"REASON","type":"string","jsonPath":".status.conditions[?(@.type==\"Ready\")].reason"}"#,
    printcolumn = r#"{"name":"NAMESPACES","type":"string","jsonPath":".status.namespaces.summary"}"#,
    printcolumn = r#"{"name":"SERVICEACCOUNTS","type":"string","jsonPath":".status.serviceAccounts.summary"}"#,
    printcolumn = r#"{"name":"IDENTITY","type":"string","jsonPath":".status.identity.principal"}"#,
    printcolumn = r#"{"name":"AGE","type":"date","jsonPath":".metadata.creationTimestamp"}"#,
    printcolumn = r#"{"name":"REGISTRIES","type":"string","priority":1,"jsonPath":".status.registries"}"#,
    printcolumn = r#"{"name":"MESSAGE","type":"string","priority":1,"jsonPath":".status.conditions[?(@.type==\"Ready\")].message"}"#
)]
#[x_kube(validation = rules::one_maker())]
#[x_kube(validation = kinds::registries_given())]
#[x_kube(validation = rules::existing_has_no_registries())]
#[x_kube(validation = rules::existing_has_no_template())]
#[x_kube(validation = rules::existing_is_not_adopted())]
#[x_kube(validation = rules::existing_is_attached())]
#[x_kube(validation = rules::existing_evicts_no_pods())]
pub struct RegistryCredentialSpec {
    /// Where the credential comes from: exactly one member. Either this or existingSecretName.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential: Option<CredentialSource>,
    /// In place of credential, to attach only: somebody else makes a Secret of this name, of type kubernetes.io/dockerconfigjson, in the target namespaces, and the chosen service accounts name it where it is there. regcred never writes or reads that Secret. The name can't be changed later, since pods name it for as long as they live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::managed_secret_name")]
    pub existing_secret_name: Option<String>,
    /// The registries that the credential is for, each as HOST[:PORT][/PATH]. They may be left out where the credential has registries of its own, as a docker config does, or the Secret's owner has named them in its annotation regcred.dev/registries; then this list narrows them.
    ///
    /// An image matches as the kubelet has it: the same port; the host part by part, where * stands for any characters within one part (*.pkg.dev is europe-docker.pkg.dev, *.gcr.io is eu.gcr.io but not gcr.io); the path as a plain prefix, so end it with a slash, or gcr.io/team will match gcr.io/team-b, too.
    ///
    /// Once an entry matches, the kubelet doesn't pull without a credential any more, so list no more than what is needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::registries")]
    pub registries: Vec<String>,
    /// What the managed Secrets look like.
    #[serde(default)]
    pub secret_template: SecretTemplate,
    /// The namespaces that get the Secret.
    pub namespaces: NamespaceTargets,
    /// How pods come to use the Secret. By default the service account default of each namespace names it.
    #[serde(default)]
    pub attach: AttachTargets,
    /// What to do about a Secret, or an entry in imagePullSecrets, that has the wanted name and isn't regcred's. Fail: leave it alone and say so in the status. Adopt: take it over in place; from then on it is regcred's, so removing the RegistryCredential removes it.
    #[serde(default)]
    pub conflict_policy: ConflictPolicy,
    /// What to do about pods that were created before their service account had the entry, and so wait for an image of one of registries, or with existingSecretName for whichever image, in vain. Ignore: nothing. Report: count them in the status. Evict: also evict those that a controller makes again; not with existingSecretName. Report and Evict take rights on pods, which the operator has only where config/overlays/stuck-pods is applied.
    #[serde(default)]
    pub stuck_pods: StuckPods,
    /// While true, nothing is written and nothing is removed. What is in place stays in use.
    #[serde(default)]
    pub suspend: bool,
}

impl RegistryCredential {
    /// Its own name.
    pub fn credential_name(&self) -> CredentialName {
        self.name_any().into()
    }

    /// The name of its Secrets in every namespace.
    pub fn secret_name(&self) -> SecretName {
        let given = self.spec.existing_secret_name.as_deref().or(self.spec.secret_template.name.as_deref());
        secret_name(&self.name_any(), given)
    }
}

/// The name of a RegistryCredential's Secrets: the one that its spec gives, as `existingSecretName` or
/// `secretTemplate.name`, else its own.
pub fn secret_name(own: &str, given: Option<&str>) -> SecretName {
    given.unwrap_or(own).into()
}

/// Name and metadata of the managed Secrets.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretTemplate {
    /// The Secrets' name; the RegistryCredential's own name if left out. It can't be changed later, since pods name it for as long as they live.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::managed_secret_name")]
    pub name: Option<String>,
    /// Labels for the Secrets, beside regcred's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::template_labels")]
    pub labels: BTreeMap<String, String>,
    /// Annotations for the Secrets, beside regcred's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(schema_with = "schema::template_annotations")]
    pub annotations: BTreeMap<String, String>,
}

/// Which namespaces: those named or selected, minus the excluded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::some_namespace())]
pub struct NamespaceTargets {
    /// Names, where * stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::namespace_names")]
    pub names: Vec<String>,
    /// Namespaces by their labels; {} selects all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
    /// Names to leave out whatever names and selector say, where * stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::excluded_names")]
    pub exclude: Vec<String>,
}

/// How pods of a target namespace come to use the Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = rules::none_chooses_none())]
pub struct AttachTargets {
    /// ServiceAccounts: the chosen service accounts name it in their imagePullSecrets. None: nobody does; pods name it themselves.
    #[serde(default)]
    pub mode: AttachMode,
    /// With mode ServiceAccounts: which ones, and when.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccountTargets>,
}

/// Which service accounts of a target namespace: those named or selected, and not excluded.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct ServiceAccountTargets {
    /// When a new service account gets its entry. AtCreation: it is created with the entry, so that no pod can come before it; this takes the policy of config/policy/at-creation, and is the same as AfterSecret without it. AfterSecret: as soon as the Secret is in its namespace.
    #[serde(default)]
    pub when: AttachWhen,
    /// Names, where * stands for any characters. With neither names nor selector it is the service account default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::service_account_names")]
    pub names: Option<Vec<String>>,
    /// Service accounts by their labels; {} selects all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::label_selector")]
    pub selector: Option<LabelSelector>,
    /// Names to leave out whatever names and selector say, where * stands for any characters.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::excluded_service_accounts")]
    pub exclude: Vec<String>,
}

/// Who names the Secret.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachMode {
    /// The chosen service accounts, in their imagePullSecrets.
    #[default]
    ServiceAccounts,
    /// Nobody.
    None,
}

/// When a new service account gets its entry. The API server's business: the operator takes an entry as it finds it.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum AttachWhen {
    /// In the request that creates it, where the policy for that is installed.
    #[default]
    AtCreation,
    /// As soon as the Secret is in its namespace.
    AfterSecret,
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

/// What to do about pods that were created too early.
#[derive(JsonSchema, Serialize, Deserialize, Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum StuckPods {
    /// Nothing. Not Off, which YAML 1.1 takes for false.
    Ignore,
    /// Count them in the status.
    #[default]
    Report,
    /// Count them, and evict those that a controller makes again.
    Evict,
}

/// What the operator has seen and done. It never holds any part of a credential.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct RegistryCredentialStatus {
    /// The generation of the spec that this status speaks of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Ready, Reconciling, Stalled, CredentialValid and Suspended.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Map(vec!["type".to_owned()]))]
    pub conditions: Vec<Condition>,
    /// Who logs in at the registries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub identity: Option<Identity>,
    /// The registries that the Secrets are for, sorted, and at most 64 of them: those of spec.registries, or of the source as far as its owner permits.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub registries: Vec<String>,
    /// The source that every ready namespace holds or is being given, or was when it was suspended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_source: Option<ObservedSource>,
    /// When the first of the logins stops working, where a token in the source says so itself. Absent where none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credential_expires_at: Option<Time>,
    /// How many target namespaces there are, and how far they are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub namespaces: Option<NamespaceCounts>,
    /// How many service accounts are chosen, and how many name the Secret.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service_accounts: Option<ServiceAccountCounts>,
    /// At most ten of the namespaces that failed, by name. None while it is suspended: nothing is tried then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub failures: Vec<NamespaceFailure>,
    /// Pods that were created too early and wait for their image. Absent where nobody looks: spec.stuckPods is Ignore, the operator may not watch pods, or the credential is held.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stuck_pods: Option<StuckPodCounts>,
    /// When it last became ready: every target namespace holds the current source since then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_rollout_time: Option<Time>,
}

impl RegistryCredentialStatus {
    /// How many registries it lists. Where it has as many there may be more.
    pub const MAX_REGISTRIES: usize = 64;

    /// What the API server says before the operator does: the default in the CRD. Without a status every tool that waits
    /// (kstatus, and with it Flux and Helm) takes a RegistryCredential for done that nobody has looked at.
    pub fn pending() -> Self {
        let ready = Condition {
            type_: "Ready".to_owned(),
            status: "Unknown".to_owned(),
            reason: Reason::Pending.to_string(),
            message: "regcred has not seen this yet".to_owned(),
            observed_generation: None,
            // A default is the same for all, and so it has no time of its own.
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        Self { conditions: vec![ready], ..Self::default() }
    }
}

/// Who logs in at the registries.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct Identity {
    /// The account: a service account's address, or the user name; how many logins there are where they differ.
    #[serde(default)]
    pub principal: String,
    /// What tells one credential of the account from another: the key's project and ID, or the registries.
    #[serde(default)]
    pub detail: String,
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
    /// Of these, the ones that hold the current source; while it is suspended, the ones that still hold what was rolled out there last. With existingSecretName, the ones where that Secret is there and every chosen service account names it.
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

/// Pods that were created too early.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq, Eq)]
#[serde(rename_all = "camelCase")]
pub struct StuckPodCounts {
    /// How many there are.
    pub count: i64,
    /// At most ten of them, as namespace/name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[x_kube(merge_strategy = ListMerge::Atomic)]
    pub pods: Vec<String>,
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
