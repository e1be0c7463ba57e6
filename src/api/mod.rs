//! The API: the custom resource, its rules and reasons, and the labels and annotations that mark what is ours; names of
//! Kubernetes objects, and text of others made fit to be shown.

pub mod crd;
mod names;
mod pattern;
mod printable;
pub mod reason;
pub mod registry_credential;
mod rules;
mod schema;

pub use names::{CredentialName, Labels, NamespaceName, PodName, SecretName, ServiceAccountName};
pub use pattern::Pattern;
pub use printable::{plain, printable};
pub use reason::{Reason, StallCause, Stalled};
pub use registry_credential::*;

/// The field manager of every write.
pub const FIELD_MANAGER: &str = "regcred";

/// The type of every managed Secret.
pub const SECRET_TYPE: &str = "kubernetes.io/dockerconfigjson";

/// Label of every managed Secret; its value is the RegistryCredential's name.
pub const CREDENTIAL_LABEL: &str = "regcred.dev/credential";

/// Annotation of every managed Secret; its value is the revision of what was applied.
pub const REVISION_ANNOTATION: &str = "regcred.dev/revision";

/// Prefix of the annotation that records an entry that we added to a service account:
/// `added.regcred.dev/<secret>: <credential>`.
pub const ADDED_PREFIX: &str = "added.regcred.dev/";
