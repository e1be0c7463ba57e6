//! The shape of a plan's report.

use serde::Serialize;

/// What happens to a RegistryCredential itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub enum Change {
    /// It is made.
    Create,
    /// Its spec changes.
    Update,
    /// It is deleted.
    Delete,
    /// Nothing.
    None,
}

/// The whole report.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct PlanReport {
    /// `Apply`, `Delete` or `None`.
    pub action: &'static str,
    /// The one namespace that was looked at; `null` where all were.
    pub namespace: Option<String>,
    /// The RegistryCredentials that were asked about.
    pub registry_credentials: Vec<CredentialShape>,
    /// The namespaces in which something is different or refused, by name.
    pub namespaces: Vec<NamespaceShape>,
    /// All of it in numbers.
    pub counts: Counts,
    /// What isn't known, and how to know it.
    pub notes: Vec<String>,
}

/// One RegistryCredential.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CredentialShape {
    /// Its name.
    pub name: String,
    /// What happens to it.
    pub change: Change,
    /// Why nothing is written for it; `null` where something is, or it is deleted.
    pub held: Option<Held>,
    /// Whether it is known what its Secrets should hold: `Compared` or `NotCompared`; `null` where none is written.
    pub contents: Option<&'static str>,
}

/// Why nothing is written.
#[derive(Debug, PartialEq, Serialize)]
pub struct Held {
    /// One of the status' reasons.
    pub reason: String,
    /// In a sentence.
    pub message: String,
}

/// One namespace.
#[derive(Debug, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct NamespaceShape {
    /// Its name.
    pub name: String,
    /// What becomes of Secrets.
    pub secrets: Vec<SecretShape>,
    /// What becomes of the entries of service accounts.
    pub entries: Vec<EntryShape>,
    /// What is refused.
    pub refusals: Vec<RefusalShape>,
}

/// What becomes of a Secret.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretShape {
    /// Its name.
    pub name: String,
    /// `Create`, `Update` or `Delete`.
    pub action: &'static str,
    /// Why it is updated: `Contents`, `Drift`, `Adopted`, `Inherited` or `Replaced`; `null` otherwise.
    pub cause: Option<&'static str>,
    /// Whose it becomes, or was.
    pub registry_credential: String,
}

/// What becomes of an entry in `imagePullSecrets`, or of the annotation that records it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryShape {
    /// The service account.
    pub service_account: String,
    /// The Secret that the entry names.
    pub secret: String,
    /// `Add`, `Remove`, `Record` or `Forget`.
    pub action: &'static str,
    /// Whose it becomes, or was.
    pub registry_credential: String,
}

/// What is refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RefusalShape {
    /// Whose it is.
    pub registry_credential: String,
    /// One of the status' reasons.
    pub reason: &'static str,
    /// What is wrong and what to do, as the status will say.
    pub message: String,
}

/// The report in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Counts {
    /// Namespaces in which something is written.
    pub namespaces: usize,
    /// Secrets.
    pub secrets: SecretCounts,
    /// Service accounts that are written.
    pub service_accounts: usize,
    /// Their entries.
    pub entries: EntryCounts,
    /// Refusals.
    pub refused: usize,
    /// RegistryCredentials for which nothing is written.
    pub held: usize,
}

/// How many Secrets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct SecretCounts {
    /// Are made.
    pub create: usize,
    /// Are written over.
    pub update: usize,
    /// Are deleted.
    pub delete: usize,
}

/// How many entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct EntryCounts {
    /// Are added.
    pub add: usize,
    /// Are removed.
    pub remove: usize,
    /// Are there, and recorded as regcred's.
    pub record: usize,
    /// Are gone already, and their record goes.
    pub forget: usize,
}

impl PlanReport {
    /// How many things a person should look at.
    pub fn count_findings(&self) -> usize {
        self.counts.refused + self.counts.held
    }
}
