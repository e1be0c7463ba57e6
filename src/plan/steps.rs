//! The steps that are right now in one namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    absence_tracker::LongAbsent,
    decision::{self, RefDecision, SecretDecision},
    desired::{Desired, DesiredState, Scope},
    observed::{Namespace, ResourceVersion},
    patch::Change,
    refusal::Refusal,
    removal_tracker::Contested,
    write::Write,
};
use crate::api::{CredentialName, NamespaceName, SecretName, ServiceAccountName};

/// All that the operator can do to a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Write the credential's Secret.
    WriteSecret {
        /// Whose pull secret.
        credential: CredentialName,
        /// Under this name.
        secret: SecretName,
        /// How, and what has to be there, or not, for the write to happen.
        write: Write,
    },
    /// One JSON patch of a service account, for all credentials at once.
    PatchServiceAccount {
        /// The service account.
        service_account: ServiceAccountName,
        /// What changes in it.
        changes: Vec<Change>,
    },
    /// Delete a Secret of ours, if it is still the one that we saw.
    DeleteSecret {
        /// The Secret.
        secret: SecretName,
        /// Its UID, a precondition.
        uid: Box<str>,
        /// Its resourceVersion, a precondition: orphaning changes the owner references only.
        resource_version: ResourceVersion,
    },
    /// Do nothing, and say why.
    Refuse {
        /// Whose Secret or entry is refused.
        credential: CredentialName,
        /// Why.
        refusal: Refusal,
    },
}

/// The steps that are right now in one namespace, given *all* RegistryCredentials that exist.
pub fn plan(
    name: &NamespaceName,
    all_desired: &[&Desired],
    namespace: &Namespace,
    contested: &Contested,
    long_absent: &LongAbsent,
) -> Vec<Step> {
    if namespace.terminating {
        return Vec::new();
    }
    let decisions: BTreeMap<SecretName, SecretDecision<'_>> = names(name, all_desired, namespace)
        .into_iter()
        .map(|secret| {
            let decision = SecretDecision::new(&secret, name, all_desired, namespace, long_absent);
            (secret, decision)
        })
        .collect();

    let mut steps = Vec::new();
    for (secret, decision) in &decisions {
        if let Some((credential, write)) = decision.write(namespace.secrets.get(secret)) {
            steps.push(Step::WriteSecret { credential, secret: secret.clone(), write });
        }
    }
    let mut refused = Vec::new();
    for (service_account, observed) in namespace.service_accounts.iter() {
        if observed.deleting {
            continue;
        }
        let mut changes = Vec::new();
        for (secret, decision) in &decisions {
            let taken_away = contested.contains(&(service_account.clone(), secret.clone()));
            match decision::decide(service_account, observed, secret, decision, all_desired, taken_away) {
                RefDecision::Leave => {}
                RefDecision::Change(change) => changes.push(change),
                RefDecision::Refuse(credential, refusal) => refused.push(Step::Refuse { credential, refusal }),
            }
        }
        if !changes.is_empty() {
            steps.push(Step::PatchServiceAccount { service_account: service_account.clone(), changes });
        }
    }
    for (secret, decision) in &decisions {
        let entries_gone = namespace.service_accounts.values().all(|a| a.deleting || !a.added.contains_key(secret));
        // One that is being deleted waits for somebody's finalizer; deleting it again does nothing.
        let observed = namespace.secrets.get(secret).filter(|observed| !observed.deleting);
        if let (SecretDecision::Unwanted, true, Some(observed)) = (decision, entries_gone, observed) {
            steps.push(Step::DeleteSecret {
                secret: secret.clone(),
                uid: observed.uid.clone(),
                resource_version: observed.resource_version,
            });
        }
    }
    steps.extend(refusals(name, all_desired, namespace, &decisions));
    steps.extend(refused);
    steps
}

/// Every Secret name that a plan for this namespace has to think of.
fn names(name: &NamespaceName, all_desired: &[&Desired], namespace: &Namespace) -> BTreeSet<SecretName> {
    let wanted = all_desired
        .iter()
        .filter(|c| c.targets(name, namespace) || matches!(c.scope, Scope::Unknown))
        .map(|c| &c.secret);
    let there = namespace.secrets.keys();
    let recorded = namespace.service_accounts.values().flat_map(|a| a.added.keys());
    wanted.chain(there).chain(recorded).cloned().collect()
}

/// What this namespace can't have: names that another credential has, and Secrets that are in the way.
fn refusals(
    name: &NamespaceName,
    all_desired: &[&Desired],
    namespace: &Namespace,
    decisions: &BTreeMap<SecretName, SecretDecision<'_>>,
) -> Vec<Step> {
    let affected = all_desired.iter().filter(|c| c.targets(name, namespace) && c.state != DesiredState::Stalled);
    affected
        .filter_map(|desired| {
            let refusal = decisions.get(&desired.secret)?.refusal(desired)?;
            Some(Step::Refuse { credential: desired.credential.clone(), refusal })
        })
        .collect()
}
