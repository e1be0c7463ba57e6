//! Who may have a Secret name in a namespace when several RegistryCredentials want it.

use jiff::Timestamp;

use super::{
    observed::{Namespace, Secret, ServiceAccount},
    ownership::{self, Ownership},
    targets::{NamespaceRule, ServiceAccountRule},
};
use crate::{
    api::ConflictPolicy,
    credential::Revision,
    names::{CredentialName, NamespaceName, SecretName, ServiceAccountName},
};

/// What the catalog says of one RegistryCredential that exists. One that isn't in the catalog is absent.
#[derive(Clone, Debug)]
pub struct Claim {
    /// `metadata.name`.
    pub credential: CredentialName,
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.creationTimestamp`.
    pub created: Timestamp,
    /// The name of its Secrets.
    pub secret: SecretName,
    /// Where it wants them.
    pub scope: Scope,
    /// What it does about a Secret or entry that isn't ours.
    pub policy: ConflictPolicy,
    /// Whether there is anything to write.
    pub state: ClaimState,
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

/// Whether a credential has something to write.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ClaimState {
    /// A pull secret of this revision, applied with so many labels and annotations.
    Resolved {
        /// The value of the revision annotation.
        revision: Revision,
        /// Labels and annotations in what we apply.
        fields: usize,
    },
    /// Nothing may be written and nothing removed.
    Held,
}

impl Claim {
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

    /// Whether a Secret of ours holds what it should. It does where it has the current revision and nobody has taken
    /// over the value, or a label or annotation, since we applied them.
    pub fn is_current(&self, observed: &Secret) -> bool {
        match &self.state {
            ClaimState::Resolved { revision, fields } => {
                observed.revision.as_deref() == Some(revision.as_str()) && observed.applied_fields == Some(*fields)
            }
            ClaimState::Held => false,
        }
    }

    /// Whether nobody else may have `secret` here without regard to this claim. A held claim keeps what it may have
    /// made, wherever that is: its Secret, or an entry that its annotation records.
    fn contends(&self, secret: &SecretName, name: &NamespaceName, namespace: &Namespace) -> bool {
        let wants = self.secret == *secret && self.targets(name, namespace);
        match self.state {
            ClaimState::Resolved { .. } => wants,
            ClaimState::Held => {
                wants
                    || (self.secret == *secret && matches!(self.scope, Scope::Unknown))
                    || namespace.secrets.get(secret).is_some_and(|s| s.label.as_ref() == Some(&self.credential))
                    || namespace.service_accounts.values().any(|a| a.added.get(secret) == Some(&self.credential))
            }
        }
    }
}

/// The claim that has `secret` in this namespace: the one that owns the Secret, or made it and is held; else the
/// oldest; else the first by name.
pub fn winner<'a>(
    claims: &[&'a Claim],
    secret: &SecretName,
    name: &NamespaceName,
    namespace: &Namespace,
) -> Option<&'a Claim> {
    let contenders = || claims.iter().copied().filter(|c| c.contends(secret, name, namespace));
    let owner = namespace.secrets.get(secret).and_then(|observed| {
        let ownership = ownership::of(observed, claims);
        contenders().find(|c| match &ownership {
            Ownership::Ours(owner) => *owner == c.credential,
            Ownership::Left(maker) => *maker == c.credential && c.state == ClaimState::Held,
            Ownership::Orphaned(_) | Ownership::Foreign => false,
        })
    });
    owner.or_else(|| contenders().min_by_key(|c| (c.created, &c.credential)))
}
