//! The API: the custom resource, its rules and reasons, and the labels and annotations that mark what is ours; names of
//! Kubernetes objects, and text of others made fit to be shown.

pub mod crd;
pub mod kinds;
mod names;
mod pattern;
mod printable;
pub mod reason;
pub mod registry_credential;
mod rules;
mod schema;

pub use kinds::{CredentialSource, SecretRef};
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

/// Annotation of a source Secret, set by its owner: the registries that its login may be sent to, separated by commas.
pub const REGISTRIES_ANNOTATION: &str = "regcred.dev/registries";

/// Annotation of a source Secret, set by its owner: what it may be used for.
pub const USE_ANNOTATION: &str = "regcred.dev/use";

/// The name of the Secret in the state namespace that holds the operator's random bytes.
pub const ROOT_KEY_NAME: &str = "root-key";

/// Its type. What is of a type of ours is never a source.
pub const ROOT_KEY_TYPE: &str = "regcred.dev/root-key";

/// The namespace of the operator's own Secrets, unless it is told another.
pub const STATE_NAMESPACE: &str = "regcred-state";
