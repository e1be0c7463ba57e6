//! Patches of service accounts that are unconfirmed: the answer never came, so nobody knows whether they were carried out.
//!
//! Their entries may be others than the index has, so no Secret of their namespace is deleted before they have been read
//! again. A patch that still is on its way then comes too late for its resourceVersion only if the service account has
//! changed; that it arrives later than the answer to the next read is all that is left to chance.

use std::collections::{BTreeSet, HashMap};

use crate::api::{NamespaceName, ServiceAccountName};

/// See the module's documentation.
#[derive(Default)]
pub struct UnconfirmedPatches {
    by_namespace: HashMap<NamespaceName, BTreeSet<ServiceAccountName>>,
}

impl UnconfirmedPatches {
    /// A patch of it had no answer.
    pub fn begin(&mut self, namespace: &NamespaceName, account: &ServiceAccountName) {
        self.by_namespace.entry(namespace.clone()).or_default().insert(account.clone());
    }

    /// It is known again, or gone.
    pub fn end(&mut self, namespace: &NamespaceName, account: &ServiceAccountName) {
        if let Some(accounts) = self.by_namespace.get_mut(namespace) {
            accounts.remove(account);
            if accounts.is_empty() {
                self.by_namespace.remove(namespace);
            }
        }
    }

    /// The whole namespace is gone.
    pub fn forget(&mut self, namespace: &NamespaceName) {
        self.by_namespace.remove(namespace);
    }

    /// Whether there are any in a namespace.
    pub fn has(&self, namespace: &NamespaceName) -> bool {
        self.by_namespace.contains_key(namespace)
    }

    /// Those of a namespace.
    pub fn of(&self, namespace: &NamespaceName) -> Vec<ServiceAccountName> {
        self.by_namespace.get(namespace).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_doubt_lasts_until_it_is_ended_or_its_namespace_forgotten() {
        let mut unconfirmed_patches = UnconfirmedPatches::default();
        let (team, other) = (NamespaceName::from("team"), NamespaceName::from("other"));
        for (namespace, account) in [(&team, "a"), (&team, "b"), (&team, "a"), (&other, "a")] {
            unconfirmed_patches.begin(namespace, &account.into());
        }
        unconfirmed_patches.end(&team, &"a".into());
        unconfirmed_patches.end(&team, &"a".into());
        assert_eq!(
            (unconfirmed_patches.of(&team), unconfirmed_patches.of(&other)),
            (vec!["b".into()], vec!["a".into()])
        );
        unconfirmed_patches.end(&team, &"b".into());
        unconfirmed_patches.forget(&other);
        assert!(unconfirmed_patches.by_namespace.is_empty() && !unconfirmed_patches.has(&team));
    }
}
