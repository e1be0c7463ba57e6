//! What the watches have told, by namespace: a synchronous index that takes events and says which namespaces changed.
//!
//! It differs from kube-runtime's `Store` in three ways that the rest relies on: it keeps what a plan asks for
//! instead of the object; a relist says what has vanished; and the answers to our own writes go in at once, so
//! that a plan never repeats a write whose event is still on its way. The versions of
//! an object only move forward.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::{
    api::{Labels, NamespaceName, SecretName, ServiceAccountName},
    plan::{Namespace, ResourceVersion, Secret, ServiceAccount, managed_names::ManagedNames},
    process::Text,
};

/// What an event means for the namespace that it is about.
#[derive(Debug, Default, PartialEq, Eq)]
pub enum Effect {
    /// Nothing that a plan asks for has changed.
    #[default]
    None,
    /// Plan this namespace.
    Changed,
    /// Plan it, and these entries of ours were taken out of the service account by somebody else.
    TakenAway(Vec<SecretName>),
}

/// What one watch of target namespaces tells of.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Namespaces themselves.
    Namespace,
    /// Secrets of type kubernetes.io/dockerconfigjson.
    Secret,
    /// Those of this name alone.
    SecretNamed(SecretName),
    /// Service accounts.
    ServiceAccount,
}

/// See the module's documentation.
#[derive(Debug, Default)]
pub struct Index {
    namespaces: HashMap<NamespaceName, Known>,
    /// Secret names that a RegistryCredential uses: of other Secrets only the labelled ones are kept.
    interesting: BTreeSet<SecretName>,
    /// What may be managed.
    managed: ManagedNames,
    /// What has been seen since a relist began, by watch; absent where none is under way.
    relists: HashMap<Kind, HashSet<(NamespaceName, Text)>>,
    /// The newest version that each watch has told of.
    observe_version: HashMap<Kind, ResourceVersion>,
    /// Entries that we are removing right now, or may have removed without an answer, so that nobody else is blamed for it.
    own_removals: HashSet<(NamespaceName, ServiceAccountName, SecretName)>,
}

#[derive(Debug, Default)]
struct Known {
    /// False while only its content has been seen.
    exists: bool,
    namespace: Namespace,
}

impl Known {
    fn is_empty(&self) -> bool {
        !self.exists && self.namespace.secrets.is_empty() && self.namespace.service_accounts.is_empty()
    }
}

impl Index {
    /// Of Secrets with these names.
    pub fn new(managed: ManagedNames) -> Self {
        let interesting = match &managed {
            ManagedNames::Any => BTreeSet::new(),
            ManagedNames::Only(names) => names.clone(),
        };
        Self { interesting, managed, ..Self::default() }
    }

    /// The namespace, where it exists.
    pub fn get(&self, name: &NamespaceName) -> Option<&Namespace> {
        self.namespaces.get(name).filter(|known| known.exists).map(|known| &known.namespace)
    }

    /// All namespaces that exist, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&NamespaceName, &Namespace)> {
        self.namespaces.iter().filter(|(_, known)| known.exists).map(|(name, known)| (name, &known.namespace))
    }

    /// From now on, keep Secrets of this name whoever they belong to. False where that was so already.
    pub fn take_interest(&mut self, secret: &SecretName) -> bool {
        self.interesting.insert(secret.clone())
    }

    /// A namespace is there.
    pub fn namespace_seen(&mut self, name: &NamespaceName, labels: Labels, terminating: bool) -> Effect {
        self.mark(&Kind::Namespace, name, "");
        let known = self.namespaces.entry(name.clone()).or_default();
        let namespace = &mut known.namespace;
        let changed = !known.exists || namespace.labels != labels || namespace.terminating != terminating;
        known.exists = true;
        namespace.labels = labels;
        namespace.terminating = terminating;
        if changed { Effect::Changed } else { Effect::None }
    }

    /// A namespace is gone. What is known of its content stays until the content's own watches tell of its end: where
    /// they are faster than this one, it belongs to a new namespace of that name already.
    pub fn namespace_gone(&mut self, name: &NamespaceName) -> Effect {
        let Some(known) = self.namespaces.get_mut(name) else {
            return Effect::None;
        };
        known.exists = false;
        self.forget_unwatched(name);
        self.drop_if_empty(name);
        Effect::Changed
    }

    /// Our own write was answered with this Secret. Where the watch has told of newer versions and the Secret isn't
    /// known, it is gone already, and no event would ever say so again.
    pub fn secret_answered(&mut self, namespace: &NamespaceName, name: &SecretName, secret: Secret) {
        let known = self.namespaces.get(namespace).is_some_and(|k| k.namespace.secrets.contains_key(name));
        let is_old_news = |kind| self.is_old_news(kind, secret.resource_version);
        if known || !(is_old_news(&Kind::Secret) || is_old_news(&Kind::SecretNamed(name.clone()))) {
            self.secret_seen(namespace, name, secret);
        }
    }

    /// As [`Index::secret_answered`], for a service account.
    pub fn service_account_answered(
        &mut self,
        namespace: &NamespaceName,
        name: &ServiceAccountName,
        account: ServiceAccount,
    ) {
        let known = self.namespaces.get(namespace).is_some_and(|k| k.namespace.service_accounts.contains_key(name));
        if known || !self.is_old_news(&Kind::ServiceAccount, account.resource_version) {
            self.service_account_seen(namespace, name, account);
        }
    }

    /// A watch has told of an object of this version, before anything else is done about it.
    pub fn observe_version(&mut self, kind: Kind, version: ResourceVersion) {
        let newest = self.observe_version.entry(kind).or_default();
        *newest = version.max(*newest);
    }

    fn is_old_news(&self, kind: &Kind, version: ResourceVersion) -> bool {
        self.observe_version.get(kind).is_some_and(|newest| version <= *newest)
    }

    /// A Secret is there.
    pub fn secret_seen(&mut self, namespace: &NamespaceName, name: &SecretName, secret: Secret) -> Effect {
        if secret.label.is_none() && !self.interesting.contains(name) {
            // It may have had our label until now.
            return self.secret_gone(namespace, name, secret.resource_version);
        }
        self.mark(&Kind::Secret, namespace, name.as_str());
        self.mark(&Kind::SecretNamed(name.clone()), namespace, name.as_str());
        let secrets = &mut self.namespaces.entry(namespace.clone()).or_default().namespace.secrets;
        match secrets.get_mut(name) {
            Some(old) if old.resource_version >= secret.resource_version && !old.wrong_type => Effect::None,
            Some(old) => {
                let changed = Secret { resource_version: old.resource_version, ..secret.clone() } != *old;
                *old = secret;
                if changed { Effect::Changed } else { Effect::None }
            }
            None => {
                secrets.insert(name.clone(), secret);
                Effect::Changed
            }
        }
    }

    /// A Secret is gone. `at`: the version of its deletion; a newer Secret of that name stays.
    pub fn secret_gone(&mut self, namespace: &NamespaceName, name: &SecretName, at: ResourceVersion) -> Effect {
        let Some(known) = self.namespaces.get_mut(namespace) else {
            return Effect::None;
        };
        let secrets = &mut known.namespace.secrets;
        if secrets.get(name).is_none_or(|old| old.resource_version > at) {
            return Effect::None;
        }
        secrets.remove(name);
        self.drop_if_empty(namespace);
        Effect::Changed
    }

    /// Forget Secrets of another type: no watch says when they change, so each attempt has to look again.
    pub fn forget_unwatched(&mut self, namespace: &NamespaceName) {
        if let Some(known) = self.namespaces.get_mut(namespace) {
            known.namespace.secrets.retain(|_, secret| !secret.wrong_type);
        }
    }

    /// A service account is there.
    pub fn service_account_seen(
        &mut self,
        namespace: &NamespaceName,
        name: &ServiceAccountName,
        mut account: ServiceAccount,
    ) -> Effect {
        // To us, an entry of another name is as somebody else's: it may name a Secret that was left to people.
        account.added.retain(|secret, _| self.managed.allow(secret));
        self.mark(&Kind::ServiceAccount, namespace, name.as_str());
        let accounts = &mut self.namespaces.entry(namespace.clone()).or_default().namespace.service_accounts;
        let Some(old) = accounts.get_mut(name) else {
            accounts.insert(name.clone(), account);
            return Effect::Changed;
        };
        if old.resource_version >= account.resource_version {
            return Effect::None;
        }
        let taken: Vec<SecretName> = old
            .added
            .keys()
            .filter(|_| old.uid == account.uid)
            .filter(|secret| old.entries.contains(secret) && !account.entries.contains(secret))
            .filter(|secret| {
                let removal = (namespace.clone(), name.clone(), (*secret).clone());
                !self.own_removals.remove(&removal)
            })
            .cloned()
            .collect();
        let changed = ServiceAccount { resource_version: old.resource_version, ..account.clone() } != *old;
        *old = account;
        match (taken.is_empty(), changed) {
            (false, _) => Effect::TakenAway(taken),
            (true, true) => Effect::Changed,
            (true, false) => Effect::None,
        }
    }

    /// A service account is gone. `at`: the version of its deletion; a newer one of that name stays.
    pub fn service_account_gone(
        &mut self,
        namespace: &NamespaceName,
        name: &ServiceAccountName,
        at: ResourceVersion,
    ) -> Effect {
        let Some(known) = self.namespaces.get_mut(namespace) else {
            return Effect::None;
        };
        let accounts = &mut known.namespace.service_accounts;
        if accounts.get(name).is_none_or(|old| old.resource_version > at) {
            return Effect::None;
        }
        accounts.remove(name);
        self.own_removals.retain(|(of, account, _)| (of, account) != (namespace, name));
        self.drop_if_empty(namespace);
        Effect::Changed
    }

    /// The newest version known of a Secret.
    pub fn secret_version(&self, namespace: &NamespaceName, name: &SecretName) -> Option<ResourceVersion> {
        self.namespaces.get(namespace)?.namespace.secrets.get(name).map(|secret| secret.resource_version)
    }

    /// The newest version known of a service account.
    pub fn service_account_version(
        &self,
        namespace: &NamespaceName,
        name: &ServiceAccountName,
    ) -> Option<ResourceVersion> {
        let accounts = &self.namespaces.get(namespace)?.namespace.service_accounts;
        accounts.get(name).map(|account| account.resource_version)
    }

    /// We are about to take `secret` out of a service account ourselves.
    pub fn removing(&mut self, namespace: &NamespaceName, name: &ServiceAccountName, secret: &SecretName) {
        self.own_removals.insert((namespace.clone(), name.clone(), secret.clone()));
    }

    /// That write has been answered, one way or the other.
    pub fn removed(&mut self, namespace: &NamespaceName, name: &ServiceAccountName, secret: &SecretName) {
        self.own_removals.remove(&(namespace.clone(), name.clone(), secret.clone()));
    }

    /// All objects of this kind are about to be listed anew.
    pub fn relist_begins(&mut self, kind: Kind) {
        self.relists.insert(kind, HashSet::new());
    }

    /// All objects of this kind have been listed: what wasn't among them is gone. Returns the namespaces that this
    /// changes; a watch that missed deletions says nothing else of them.
    pub fn relist_ends(&mut self, kind: Kind) -> Vec<NamespaceName> {
        let Some(seen) = self.relists.remove(&kind) else {
            return Vec::new();
        };
        let mut changed = Vec::new();
        for (namespace, known) in &mut self.namespaces {
            let was_seen = |name: &str| seen.contains(&(namespace.clone(), Text::from(name)));
            let lost = match &kind {
                Kind::Namespace => known.exists && !was_seen("") && std::mem::replace(&mut known.exists, false),
                Kind::Secret => {
                    let before = known.namespace.secrets.len();
                    known.namespace.secrets.retain(|name, secret| secret.wrong_type || was_seen(name.as_str()));
                    known.namespace.secrets.len() < before
                }
                // The watches of other names tell of the others.
                Kind::SecretNamed(name) => {
                    let there = known.namespace.secrets.get(name);
                    let gone = there.is_some_and(|secret| !secret.wrong_type) && !was_seen(name.as_str());
                    gone && known.namespace.secrets.remove(name).is_some()
                }
                Kind::ServiceAccount => {
                    let before = known.namespace.service_accounts.len();
                    known.namespace.service_accounts.retain(|name, _| was_seen(name.as_str()));
                    known.namespace.service_accounts.len() < before
                }
            };
            if lost {
                changed.push(namespace.clone());
            }
        }
        self.namespaces.retain(|_, known| !known.is_empty());
        changed
    }

    fn mark(&mut self, kind: &Kind, namespace: &NamespaceName, name: &str) {
        if let Some(seen) = self.relists.get_mut(kind) {
            seen.insert((namespace.clone(), name.into()));
        }
    }

    fn drop_if_empty(&mut self, namespace: &NamespaceName) {
        if self.namespaces.get(namespace).is_some_and(Known::is_empty) {
            self.namespaces.remove(namespace);
        }
    }
}

#[cfg(test)]
#[path = "index_tests.rs"]
mod tests;
