//! Service accounts of which nobody knows whether our last patch was carried out: its answer never came.
//!
//! Their entries may be others than the index has, so no Secret of their namespace is deleted before they have been read
//! again. A patch that still is on its way then comes too late for its resourceVersion only if the service account has
//! changed; that it arrives later than the answer to the next read is all that is left to chance.

use std::{
    collections::{BTreeSet, HashMap},
    sync::{Mutex, MutexGuard, PoisonError},
};

use crate::names::{NamespaceName, ServiceAccountName};

/// See the module's documentation.
#[derive(Default)]
pub struct Doubts {
    by_namespace: Mutex<HashMap<NamespaceName, BTreeSet<ServiceAccountName>>>,
}

impl Doubts {
    /// A patch of it had no answer.
    pub fn begin(&self, namespace: &NamespaceName, account: &ServiceAccountName) {
        self.locked().entry(namespace.clone()).or_default().insert(account.clone());
    }

    /// It is known again, or gone.
    pub fn end(&self, namespace: &NamespaceName, account: &ServiceAccountName) {
        let mut doubts = self.locked();
        if let Some(accounts) = doubts.get_mut(namespace) {
            accounts.remove(account);
            if accounts.is_empty() {
                doubts.remove(namespace);
            }
        }
    }

    /// The whole namespace is gone.
    pub fn forget(&self, namespace: &NamespaceName) {
        self.locked().remove(namespace);
    }

    /// Those of a namespace.
    pub fn of(&self, namespace: &NamespaceName) -> Vec<ServiceAccountName> {
        self.locked().get(namespace).into_iter().flatten().cloned().collect()
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<NamespaceName, BTreeSet<ServiceAccountName>>> {
        // A panic while it was held can't have left half a change: each change is one call.
        self.by_namespace.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_lasts_until_it_is_ended_or_its_namespace_forgotten() {
        let doubts = Doubts::default();
        let (team, other) = (NamespaceName::from("team"), NamespaceName::from("other"));
        for (namespace, account) in [(&team, "a"), (&team, "b"), (&team, "a"), (&other, "a")] {
            doubts.begin(namespace, &account.into());
        }
        doubts.end(&team, &"a".into());
        doubts.end(&team, &"a".into());
        assert_eq!((doubts.of(&team), doubts.of(&other)), (vec!["b".into()], vec!["a".into()]));
        doubts.end(&team, &"b".into());
        doubts.forget(&other);
        assert!(doubts.locked().is_empty());
    }
}
