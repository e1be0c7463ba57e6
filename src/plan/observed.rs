//! What the caches know of one namespace: just enough to plan, none of it secret.

use std::{fmt, num::ParseIntError, str::FromStr};

use crate::{
    api::{CredentialName, Labels, SecretName, ServiceAccountName},
    process::{SmallMap, Text},
};

/// `metadata.resourceVersion`: numbers that grow, comparable within one resource since Kubernetes 1.35 (KEP-5504).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResourceVersion(pub u64);

impl FromStr for ResourceVersion {
    type Err = ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.parse().map(Self)
    }
}

impl fmt::Display for ResourceVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A moment in whole seconds since 1970, as the API server has them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Second(pub i64);

/// One namespace with what matters in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Its labels.
    pub labels: Labels,
    /// It is being deleted: nothing in it is touched any more.
    pub terminating: bool,
    /// Managed Secrets, and foreign ones that are in the way.
    pub secrets: SmallMap<SecretName, Secret>,
    /// All service accounts.
    pub service_accounts: SmallMap<ServiceAccountName, ServiceAccount>,
}

/// A Secret, without its data.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Secret {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: ResourceVersion,
    /// `metadata.creationTimestamp`.
    pub created: Second,
    /// It has a deletionTimestamp: it can't be kept, and a new one can't be made yet.
    pub deleting: bool,
    /// It is not of type kubernetes.io/dockerconfigjson, and a Secret's type can't be changed.
    pub wrong_type: bool,
    /// The value of our label.
    pub label: Option<CredentialName>,
    /// Owner references to RegistryCredentials: name and UID.
    pub credential_owners: Box<[(CredentialName, Text)]>,
    /// Whether anything else owns it, too.
    pub other_owners: OtherOwners,
    /// The value of our revision annotation.
    pub revision: Option<Text>,
    /// How many labels and annotations our entries in managedFields own; `None` where none of them owns the data, which is how
    /// a change of the value by somebody else shows without reading the value.
    pub owned_fields: Option<usize>,
    /// The place in managedFields of the entry that our POST has made. While there is one, an apply takes nothing out that
    /// the POST has put in.
    pub creation: Option<u8>,
    /// Nobody else has put anything into it, as far as metadata tells: all of managedFields is ours and names each label and
    /// annotation, every owner is a RegistryCredential, and there is no finalizer.
    pub is_ours_alone: bool,
}

/// Whether something that isn't a RegistryCredential owns a Secret.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OtherOwners {
    /// Nothing else.
    #[default]
    None,
    /// Something else: the garbage collector would keep it, and so do we.
    Some,
}

/// A service account, pruned to what a plan asks for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServiceAccount {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: ResourceVersion,
    /// It has a deletionTimestamp.
    pub deleting: bool,
    /// Its labels.
    pub labels: Labels,
    /// The names in imagePullSecrets, in order; an entry without a name is the empty string.
    pub entries: Box<[SecretName]>,
    /// Our annotations `added.regcred.dev/<secret>: <credential>`.
    pub added: SmallMap<SecretName, CredentialName>,
    /// Whether it has any annotations: a JSON patch can't add to a map that isn't there.
    pub annotations: Annotations,
    /// Who else wrote imagePullSecrets, as managedFields say.
    pub list_writer: Option<ListWriter>,
    /// When we last wrote to it, as managedFields say. The API server keeps none for one that was empty when it was
    /// made, as `default` is: then it is when it was made.
    pub written: Second,
}

/// A pod that waits for an image and that a controller would make again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.uid`.
    pub uid: Box<str>,
    /// `metadata.resourceVersion`.
    pub resource_version: ResourceVersion,
    /// `metadata.creationTimestamp`.
    pub created: Second,
    /// The UID of the controller that made it.
    pub owner: Text,
    /// The service account that it runs as.
    pub service_account: ServiceAccountName,
    /// The names in its imagePullSecrets; it keeps them.
    pub entries: Box<[SecretName]>,
    /// The images that it waits for.
    pub images: Box<[Text]>,
}

/// Whether an object has a map of annotations.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Annotations {
    /// No annotation at all.
    #[default]
    Absent,
    /// At least one.
    Present,
}

/// A manager other than us that owns `imagePullSecrets`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListWriter {
    /// The field manager's name.
    pub manager: Text,
    /// How it wrote the list.
    pub operation: WriteOperation,
}

/// How a field manager came to own a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteOperation {
    /// By server-side apply: it will apply again, and conflict with us or revert us.
    Apply,
    /// By any other write.
    Update,
}
