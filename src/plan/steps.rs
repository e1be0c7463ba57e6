//! The steps that are right now in one namespace.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    decision::{self, Decision, Verdict},
    desired::{Claim, ClaimState, Scope},
    observed::{Namespace, ResourceVersion},
    patch::Change,
    refusal::Refusal,
    removal_tracker::Contested,
};
use crate::{
    api::{CredentialName, NamespaceName, SecretName, ServiceAccountName},
    credential::Guard,
};

/// All that the operator can do to a namespace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// Server-side apply of the credential's Secret.
    ApplySecret {
        /// Whose pull secret.
        credential: CredentialName,
        /// Under this name.
        secret: SecretName,
        /// What has to be there, or not, for the write to happen.
        guard: Guard,
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
        /// Whose wish is refused.
        credential: CredentialName,
        /// Why.
        refusal: Refusal,
    },
}

/// The steps that are right now in one namespace, given *all* RegistryCredentials that exist.
pub fn plan(name: &NamespaceName, claims: &[&Claim], namespace: &Namespace, contested: &Contested) -> Vec<Step> {
    if namespace.terminating {
        return Vec::new();
    }
    let verdicts: BTreeMap<SecretName, Verdict<'_>> = names(name, claims, namespace)
        .into_iter()
        .map(|secret| {
            let verdict = Verdict::new(&secret, name, claims, namespace);
            (secret, verdict)
        })
        .collect();

    let mut steps = Vec::new();
    for (secret, verdict) in &verdicts {
        if let Some((credential, guard)) = verdict.write(namespace.secrets.get(secret)) {
            steps.push(Step::ApplySecret { credential, secret: secret.clone(), guard });
        }
    }
    let mut refused = Vec::new();
    for (service_account, observed) in namespace.service_accounts.iter() {
        if observed.deleting {
            continue;
        }
        let mut changes = Vec::new();
        for (secret, verdict) in &verdicts {
            let taken_away = contested.contains(&(service_account.clone(), secret.clone()));
            match decision::decide(service_account, observed, secret, verdict, claims, taken_away) {
                Decision::Leave => {}
                Decision::Change(change) => changes.push(change),
                Decision::Refuse(credential, refusal) => refused.push(Step::Refuse { credential, refusal }),
            }
        }
        if !changes.is_empty() {
            steps.push(Step::PatchServiceAccount { service_account: service_account.clone(), changes });
        }
    }
    for (secret, verdict) in &verdicts {
        let entries_gone = namespace.service_accounts.values().all(|a| a.deleting || !a.added.contains_key(secret));
        // One that is being deleted waits for somebody's finalizer; deleting it again does nothing.
        let observed = namespace.secrets.get(secret).filter(|observed| !observed.deleting);
        if let (Verdict::Unwanted, true, Some(observed)) = (verdict, entries_gone, observed) {
            steps.push(Step::DeleteSecret {
                secret: secret.clone(),
                uid: observed.uid.clone(),
                resource_version: observed.resource_version,
            });
        }
    }
    steps.extend(refusals(name, claims, namespace, &verdicts));
    steps.extend(refused);
    steps
}

/// Every Secret name that a plan for this namespace has to think of.
fn names(name: &NamespaceName, claims: &[&Claim], namespace: &Namespace) -> BTreeSet<SecretName> {
    let wanted =
        claims.iter().filter(|c| c.targets(name, namespace) || matches!(c.scope, Scope::Unknown)).map(|c| &c.secret);
    let there = namespace.secrets.keys();
    let recorded = namespace.service_accounts.values().flat_map(|a| a.added.keys());
    wanted.chain(there).chain(recorded).cloned().collect()
}

/// What this namespace can't have: names that another credential has, and Secrets that are in the way.
fn refusals(
    name: &NamespaceName,
    claims: &[&Claim],
    namespace: &Namespace,
    verdicts: &BTreeMap<SecretName, Verdict<'_>>,
) -> Vec<Step> {
    let wishes = claims.iter().filter(|c| c.targets(name, namespace) && c.state != ClaimState::Held);
    wishes
        .filter_map(|claim| {
            let refusal = verdicts.get(&claim.secret)?.refusal(claim)?;
            Some(Step::Refuse { credential: claim.credential.clone(), refusal })
        })
        .collect()
}
