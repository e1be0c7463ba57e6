//! The cluster as a user may read it: each kind listed once, in pages, with the user's own rights.
//!
//! What the user may not list, or the API server doesn't serve, is a [`Gap`] with a sentence, and the rest is still told;
//! only a cluster that can't be asked at all is an error. Of Secrets only the metadata comes over the wire.

mod pages;
#[cfg(test)]
mod tests;

use std::cell::RefCell;

use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1 as kubernetes;
use kube::{
    Client, Resource,
    api::{DynamicObject, ListParams},
};

pub use self::pages::{Cause, Gap, Listed};
use super::{args::Scope, pod::Pod, progress::Progress};
use crate::{
    api::{RegistryCredential, SECRET_TYPE, SecretName},
    cluster::observe::{NamespaceMeta, Observable, Observed},
    plan::{Secret, ServiceAccount, managed_names::ManagedNames},
};

/// How many lists by name are under way at once.
const AT_ONCE: usize = 4;

/// Asks a cluster. Lists may be waited for together, as in `tokio::try_join!(lister.namespaces(), lister.service_accounts())`.
pub struct Lister {
    client: Client,
    scope: Scope,
    read: RefCell<(Progress, usize)>,
}

impl Lister {
    /// Of all namespaces, or of one.
    pub fn new(client: Client, scope: Scope) -> Self {
        Self { client, scope, read: RefCell::new((Progress::new("objects read:"), 0)) }
    }

    /// What is asked about.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// The namespaces with their labels. One alone is asked for by its name, as rights may end there.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer, or has no namespace of that name.
    pub async fn namespaces(&self) -> Result<Listed<Observed<NamespaceMeta>>, String> {
        let path = kubernetes::Namespace::url_path(&(), None);
        match &self.scope {
            Scope::All => self.pages("namespaces", path, ListParams::default(), NamespaceMeta::METADATA_ONLY).await,
            Scope::Namespace(name) => {
                let listed = pages::one(&self.client, &path, name).await?;
                self.tell(1);
                Ok(listed)
            }
        }
    }

    /// The service accounts.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer.
    pub async fn service_accounts(&self) -> Result<Listed<Observed<ServiceAccount>>, String> {
        self.list("service accounts", None).await
    }

    /// The metadata of all Secrets of type kubernetes.io/dockerconfigjson, or of those with a name that may be managed,
    /// as the operator watches them: one list for each name.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer.
    pub async fn pull_secrets(&self, names: &ManagedNames) -> Result<Listed<Observed<Secret>>, String> {
        let of_type = format!("type={SECRET_TYPE}");
        match names {
            ManagedNames::Any => self.list("Secrets", Some(&of_type)).await,
            ManagedNames::Only(names) => self.secrets_named(names, &of_type).await,
        }
    }

    /// The metadata of all Secrets that have one of these names and another type: they stand in a pull secret's way.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer.
    pub async fn secrets_of_other_types(
        &self,
        names: impl IntoIterator<Item = &SecretName>,
    ) -> Result<Listed<Observed<Secret>>, String> {
        let (items, gap) = self.secrets_named(names, &format!("type!={SECRET_TYPE}")).await?.into_parts();
        let of_type = |mut seen: Observed<Secret>| {
            seen.object.wrong_type = true;
            seen
        };
        Ok(gap.map_or_else(|| Listed::These(items.into_iter().map(of_type).collect()), Listed::Unknown))
    }

    async fn secrets_named(
        &self,
        names: impl IntoIterator<Item = &SecretName>,
        of_type: &str,
    ) -> Result<Listed<Observed<Secret>>, String> {
        let selectors = names.into_iter().map(|name| format!("metadata.name={name},{of_type}")).collect::<Vec<_>>();
        let lists = selectors.iter().map(|selector| self.list("Secrets", Some(selector)));
        let lists: Vec<Listed<_>> = stream::iter(lists).buffered(AT_ONCE).try_collect().await?;
        let mut items = Vec::new();
        for list in lists {
            match list {
                Listed::These(some) => items.extend(some),
                Listed::Unknown(gap) => return Ok(Listed::Unknown(gap)),
            }
        }
        Ok(Listed::These(items))
    }

    /// The RegistryCredentials, undecoded: one that this version can't read must not hide the others.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer.
    pub async fn registry_credentials(&self) -> Result<Listed<DynamicObject>, String> {
        let path = RegistryCredential::url_path(&(), None);
        self.pages("RegistryCredentials", path, ListParams::default(), false).await
    }

    /// The pods, as far as their pulls go.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer.
    pub async fn pods(&self) -> Result<Listed<Pod>, String> {
        let path = kubernetes::Pod::url_path(&(), self.namespace());
        self.pages("pods", path, ListParams::default(), false).await
    }

    /// The objects of a namespaced kind: `what` they are called in a sentence, and a field selector.
    ///
    /// # Errors
    /// A sentence, where the API server can't answer.
    pub async fn list<T: Observable + Clone>(
        &self,
        what: &'static str,
        fields: Option<&str>,
    ) -> Result<Listed<Observed<T>>, String> {
        let params = ListParams { field_selector: fields.map(str::to_owned), ..ListParams::default() };
        self.pages(what, T::Kind::url_path(&(), self.namespace()), params, T::METADATA_ONLY).await
    }

    fn namespace(&self) -> Option<&str> {
        match &self.scope {
            Scope::All => None,
            Scope::Namespace(name) => Some(name),
        }
    }

    async fn pages<K>(
        &self,
        what: &'static str,
        path: String,
        params: ListParams,
        metadata_only: bool,
    ) -> Result<Listed<K>, String>
    where
        K: Clone + serde::de::DeserializeOwned,
    {
        let list = pages::List { what, path, params, metadata_only };
        list.all(&self.client, |count| self.tell(count)).await
    }

    fn tell(&self, count: usize) {
        let (progress, read) = &mut *self.read.borrow_mut();
        *read += count;
        progress.tell(*read, None);
    }
}
