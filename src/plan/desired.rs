//! What one RegistryCredential wants of a namespace.

use jiff::Timestamp;

use super::{
    observed::{Namespace, Secret, ServiceAccount},
    targets::{NamespaceRule, ServiceAccountRule},
};
use crate::{
    api::{
        ConflictPolicy, CredentialName, NamespaceName, RegistryCredentialSpec, SecretName, ServiceAccountName,
        StuckPods,
    },
    credential::{RegistryKey, Revision},
    process::Text,
};

/// What the catalog says of one RegistryCredential that exists. One that isn't in the catalog is absent.
#[derive(Clone, Debug)]
pub struct Desired {
    /// `metadata.name`.
    pub credential: CredentialName,
    /// `metadata.uid`.
    pub uid: Text,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// The name of its Secrets.
    pub secret: SecretName,
    /// Who makes them.
    pub maker: Maker,
    /// Where it wants them.
    pub scope: Scope,
    /// What it does about a Secret or entry that isn't ours.
    pub policy: ConflictPolicy,
    /// Whether there is anything to write.
    pub state: DesiredState,
    /// What becomes of pods that were created before their pull secret.
    pub stuck: StuckRule,
}

/// Who makes a credential's Secrets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Maker {
    /// regcred.
    Us,
    /// Somebody else, as `spec.existingSecretName` says: such a Secret is never written, taken over or deleted.
    Others,
}

/// Where a credential wants its Secret.
#[derive(Clone, Debug)]
pub enum Scope {
    /// The spec can't be decoded: it may be anywhere, so its Secret's name stays reserved everywhere.
    Unknown,
    /// As the spec says.
    Known {
        /// The target namespaces.
        namespaces: NamespaceRule,
        /// The chosen service accounts in them.
        service_accounts: ServiceAccountRule,
    },
}

/// Whether a credential has something to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DesiredState {
    /// A pull secret of this revision, applied with so many labels and annotations.
    Resolved {
        /// The value of the revision annotation.
        revision: Revision,
        /// Labels and annotations in what we apply.
        fields: usize,
    },
    /// Entries for Secrets that others make, and nothing of these.
    Attached,
    /// Nothing may be written and nothing removed.
    Stalled,
}

impl Desired {
    /// Whether it wants its Secret in this namespace.
    pub fn targets(&self, name: &NamespaceName, namespace: &Namespace) -> bool {
        match &self.scope {
            Scope::Unknown => false,
            Scope::Known { namespaces, .. } => namespaces.matches(name, &namespace.labels),
        }
    }

    /// Whether it wants its Secret named by this service account, where the namespace is a target.
    pub fn chooses(&self, name: &ServiceAccountName, observed: &ServiceAccount) -> bool {
        match &self.scope {
            Scope::Unknown => false,
            Scope::Known { service_accounts, .. } => service_accounts.matches(name, &observed.labels),
        }
    }

    /// Whether what stands recorded under this Secret name and its own may be of its making. A RegistryCredential can't
    /// change its Secrets' name: under another one it is that of a predecessor, which was deleted.
    pub fn may_have_made(&self, secret: &SecretName) -> bool {
        self.secret == *secret || matches!(self.scope, Scope::Unknown)
    }

    /// Whether a Secret of ours holds what it should. It does where it has the current revision and nobody has taken
    /// over the value, or a label or annotation, since we applied them.
    pub fn is_current(&self, observed: &Secret) -> bool {
        match &self.state {
            DesiredState::Resolved { revision, fields } => {
                observed.revision.as_ref().map(Text::as_str) == Some(revision.as_str())
                    && observed.owned_fields == Some(*fields)
            }
            DesiredState::Attached | DesiredState::Stalled => false,
        }
    }

    /// Whether a Secret of ours lacks only what it holds, and a patch of that gives all of it back to us: the labels and
    /// annotations are as wanted, and of what it holds either nobody has taken anything over, or it is as a POST has left it
    /// but for that.
    pub fn lacks_data_only(&self, observed: &Secret) -> bool {
        match (&self.state, &observed.revision) {
            (DesiredState::Resolved { revision, fields }, Some(there)) => {
                let is_all_ours = observed.owned_fields == Some(*fields);
                let is_taken_over = observed.owned_fields.is_none() && observed.creation.is_some();
                revision.has_template_of(there.as_str()) && (is_all_ours || is_taken_over)
            }
            _ => false,
        }
    }
}

/// `spec.stuckPods` and `spec.registries`, ready to be asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StuckRule {
    /// What becomes of such pods.
    pub policy: StuckPods,
    /// `None` where that isn't known: then any image may be at one of them.
    registries: Option<Vec<RegistryKey>>,
}

/// For a spec that can't be read: nothing becomes of them.
impl Default for StuckRule {
    fn default() -> Self {
        Self { policy: StuckPods::Ignore, registries: Some(Vec::new()) }
    }
}

impl StuckRule {
    /// Where an entry of `registries` isn't one the credential is held anyway.
    pub fn new(spec: &RegistryCredentialSpec) -> Self {
        if spec.existing_secret_name.is_some() {
            // No pod is evicted for an image that the Secret may not be for.
            let policy = if spec.stuck_pods == StuckPods::Evict { StuckPods::Report } else { spec.stuck_pods };
            return Self { policy, registries: None };
        }
        let registries = spec.registries.iter().filter_map(|text| RegistryKey::parse(text).ok()).collect();
        Self { policy: spec.stuck_pods, registries: Some(registries) }
    }

    /// With the registries that the credential turned out to be for.
    #[must_use]
    pub fn with(self, registries: Vec<RegistryKey>) -> Self {
        Self { registries: Some(registries), ..self }
    }

    /// Whether one of these images is, or may be, at one of its registries, as the kubelet matches them.
    pub fn is_for(&self, images: &[Text]) -> bool {
        let is_at = |image: &Text| self.registries.iter().flatten().any(|key| key.matches(image.as_str()));
        images.iter().any(|image| self.registries.is_none() || is_at(image))
    }
}
