//! How far every credential is in every namespace, with the sums kept up to date.

use std::collections::{BTreeMap, HashMap};

use crate::{
    api::Reason,
    catalog::{Catalog, Epoch},
    names::{CredentialName, NamespaceName},
    plan::Progress,
};

/// Why a namespace isn't ready, in words for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The reason.
    pub reason: Reason,
    /// What is wrong and what to do.
    pub message: String,
}

/// What one reconcile of a namespace came to, for one credential that targets it.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The credential.
    pub credential: CredentialName,
    /// How far it is.
    pub progress: Progress,
    /// Why it isn't ready.
    pub failure: Option<Failure>,
}

/// The sums over all namespaces of one credential.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Target namespaces.
    pub desired: usize,
    /// Of these, ready ones.
    pub ready: usize,
    /// Chosen service accounts.
    pub accounts_desired: usize,
    /// Of these, ready ones.
    pub accounts_ready: usize,
    /// Namespaces that have not been planned since the last change.
    pub behind: usize,
    /// Namespaces that failed, in all.
    pub failed: usize,
    /// The first of them by name, at most [`MAX_FAILURES`].
    pub failures: Vec<(NamespaceName, Failure)>,
}

/// How many failures a status lists.
pub const MAX_FAILURES: usize = 10;

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Ledger {
    rollouts: HashMap<CredentialName, Rollout>,
}

#[derive(Debug, Default)]
struct Rollout {
    epoch: Epoch,
    namespaces: HashMap<NamespaceName, Option<Progress>>,
    failures: BTreeMap<NamespaceName, Failure>,
    sums: Summary,
}

impl Rollout {
    fn set(&mut self, namespace: &NamespaceName, progress: Option<Progress>, failure: Option<Failure>) {
        self.remove(namespace);
        self.sums.desired += 1;
        match progress {
            None => self.sums.behind += 1,
            Some(progress) => {
                self.sums.ready += usize::from(progress.is_ready() && failure.is_none());
                self.sums.accounts_desired += progress.desired;
                self.sums.accounts_ready += progress.ready;
            }
        }
        self.namespaces.insert(namespace.clone(), progress);
        if let Some(failure) = failure {
            self.failures.insert(namespace.clone(), failure);
        }
    }

    fn remove(&mut self, namespace: &NamespaceName) {
        let failed = self.failures.remove(namespace).is_some();
        let Some(progress) = self.namespaces.remove(namespace) else {
            return;
        };
        self.sums.desired -= 1;
        match progress {
            None => self.sums.behind -= 1,
            Some(progress) => {
                self.sums.ready -= usize::from(progress.is_ready() && !failed);
                self.sums.accounts_desired -= progress.desired;
                self.sums.accounts_ready -= progress.ready;
            }
        }
    }
}

impl Ledger {
    /// A credential has changed: all of its target namespaces are behind.
    pub fn begin(&mut self, credential: &CredentialName, epoch: Epoch, targets: Vec<NamespaceName>) {
        let mut rollout = Rollout { epoch, ..Rollout::default() };
        for namespace in targets {
            rollout.set(&namespace, None, None);
        }
        self.rollouts.insert(credential.clone(), rollout);
    }

    /// A credential is gone or held: nothing is counted for it.
    pub fn end(&mut self, credential: &CredentialName) {
        self.rollouts.remove(credential);
    }

    /// What a reconcile of `namespace` with this catalog came to, for every credential that targets it; one that isn't
    /// among `outcomes` doesn't. Returns the credentials whose sums have changed.
    pub fn record(&mut self, namespace: &NamespaceName, seen: &Catalog, outcomes: &[Outcome]) -> Vec<CredentialName> {
        let mut touched = Vec::new();
        for (credential, rollout) in &mut self.rollouts {
            if seen.get(credential).is_none_or(|entry| entry.epoch != rollout.epoch) {
                // The credential has changed meanwhile, and the namespace is queued again for it.
                continue;
            }
            match outcomes.iter().find(|outcome| outcome.credential == *credential) {
                Some(outcome) => {
                    let same = rollout.namespaces.get(namespace) == Some(&Some(outcome.progress))
                        && rollout.failures.get(namespace) == outcome.failure.as_ref();
                    if same {
                        continue;
                    }
                    rollout.set(namespace, Some(outcome.progress), outcome.failure.clone());
                }
                None if !rollout.namespaces.contains_key(namespace) => continue,
                None => rollout.remove(namespace),
            }
            touched.push(credential.clone());
        }
        touched
    }

    /// The sums of one credential; `None` where it is held or gone.
    pub fn summary(&self, credential: &CredentialName) -> Option<Summary> {
        let rollout = self.rollouts.get(credential)?;
        let failures = rollout.failures.iter().take(MAX_FAILURES);
        Some(Summary {
            failed: rollout.failures.len(),
            failures: failures.map(|(namespace, failure)| (namespace.clone(), failure.clone())).collect(),
            ..rollout.sums.clone()
        })
    }
}
