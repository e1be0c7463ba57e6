//! PURE: a source's bytes → a pull secret. No client, no clock, no async, no logging.
//!
//! [`resolve`] is the whole way: the spec and the source Secret → a checked key → a docker config → a [`PullSecret`],
//! which [`SecretManifest`] makes the body of an apply of. Everything that fails is an [`Invalid`]: a reason and a message
//! for the status, which holds nothing of the credential.

pub mod docker_config;
pub mod gcp_key;
mod key_error;
mod key_file;
pub mod manifest;
mod private_key;
pub mod pull_secret;
pub mod registry;
pub mod source;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, fmt};

use crate::api::{CredentialName, Identity, Reason, RegistryCredentialSpec, SecretKeyRef, SecretName};
use docker_config::{DockerConfig, Username};

pub use gcp_key::GcpServiceAccountKey;
pub use key_error::KeyError;
pub use manifest::{Guard, Owner, SecretManifest};
pub use pull_secret::{PullSecret, Revision};

pub use registry::{AllowedRegistries, AllowedRegistriesError, RegistryKey, RegistryKeyError};
pub use source::{SourceError, SourceSecret};

/// The longest name of a RegistryCredential and of its Secrets: both become values of labels or parts of annotations.
const MAX_NAME_BYTES: usize = 63;

/// What a RegistryCredential stands for.
#[derive(Debug)]
pub struct Resolved {
    /// What every target namespace gets.
    pub pull_secret: PullSecret,
    /// Whose credential it is, for the status.
    pub identity: Identity,
}

/// Why a RegistryCredential stands for nothing that can be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// The reason, for a condition.
    pub reason: Reason,
    /// What is wrong, where, and what to do.
    pub message: String,
}

impl Invalid {
    fn new(reason: Reason, message: impl Into<String>) -> Self {
        Self { reason, message: message.into() }
    }
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.reason, self.message)
    }
}

impl std::error::Error for Invalid {}

/// Makes the pull secret of a RegistryCredential.
///
/// # Errors
/// The first thing that is wrong with the spec or the source.
pub fn resolve(
    name: &CredentialName,
    spec: &RegistryCredentialSpec,
    source: &SourceSecret,
    allowed: &AllowedRegistries,
) -> Result<Resolved, Invalid> {
    let reference = source_ref(spec)?;
    let secret_name = secret_name(name, spec)?;
    check_template(spec)?;
    let registries = check_registries(spec, allowed)?;

    let key = read_key(&reference.key, source)?;
    let config = DockerConfig::render(&registries, Username::JSON_KEY, key.expose_file())
        .map_err(|error| Invalid::new(Reason::InvalidSpec, format!("spec.registries: {error}")))?;

    let template = &spec.secret_template;
    Ok(Resolved {
        pull_secret: PullSecret::new(secret_name, template.labels.clone(), template.annotations.clone(), &config, None),
        identity: key.identity().clone(),
    })
}

/// The service-account key under a key of the source Secret.
///
/// # Errors
/// If there is none, or it isn't usable.
pub fn read_key(key: &str, source: &SourceSecret) -> Result<GcpServiceAccountKey, Invalid> {
    let at = format!("Secret {}/{}", source.namespace(), source.name());
    let file = source.get(key).map_err(|error| Invalid::new(Reason::SourceKeyNotFound, format!("{at}: {error}")))?;
    GcpServiceAccountKey::parse(file)
        .map_err(|error| Invalid::new(Reason::InvalidKey, format!("{at}, key {key}: {error}")))
}

/// Which Secret the credential comes from.
///
/// # Errors
/// If `spec.credential` has none of the members that this version knows.
pub fn source_ref(spec: &RegistryCredentialSpec) -> Result<&SecretKeyRef, Invalid> {
    match &spec.credential.gcp_service_account_key {
        Some(source) => Ok(&source.secret_ref),
        None => Err(Invalid::new(
            Reason::UnsupportedCredential,
            "spec.credential has no member that this version of regcred knows; upgrade regcred, or use gcpServiceAccountKey",
        )),
    }
}

/// Whether a source may live in a namespace.
///
/// # Errors
/// If it isn't one of those allowed.
pub fn check_namespace(namespace: &str, allowed: &[String]) -> Result<(), Invalid> {
    if allowed.iter().any(|one| one == namespace) {
        return Ok(());
    }
    let message = format!(
        "secretRef.namespace {namespace} isn't one of the operator's --credential-namespaces ({}); move the Secret \
         there, or have the administrator add {namespace}",
        allowed.join(", ")
    );
    Err(Invalid::new(Reason::NamespaceNotAllowed, message))
}

/// The registries of the spec, sorted, each once.
///
/// # Errors
/// If there is none, one isn't a registry, or one isn't permitted.
pub fn check_registries(
    spec: &RegistryCredentialSpec,
    allowed: &AllowedRegistries,
) -> Result<Vec<RegistryKey>, Invalid> {
    if spec.registries.is_empty() {
        return Err(Invalid::new(
            Reason::InvalidSpec,
            "spec.registries is empty; list the registries that the key is for, such as gcr.io",
        ));
    }
    let mut keys = BTreeSet::new();
    for (at, text) in spec.registries.iter().enumerate() {
        keys.insert(check_registry(at, text, allowed)?);
    }
    Ok(keys.into_iter().collect())
}

/// The entry `spec.registries[at]`.
///
/// # Errors
/// If it isn't a registry, or not a permitted one.
pub fn check_registry(at: usize, text: &str, allowed: &AllowedRegistries) -> Result<RegistryKey, Invalid> {
    let key = RegistryKey::parse(text).map_err(|error| {
        let message = format!("spec.registries[{at}] isn't a registry: {error}");
        Invalid::new(Reason::InvalidSpec, message)
    })?;
    if allowed.permits(&key) { Ok(key) } else { Err(not_allowed(at, &key)) }
}

fn not_allowed(at: usize, key: &RegistryKey) -> Invalid {
    let message = format!(
        "spec.registries[{at}], {key}, isn't one of Google's (gcr.io, *.gcr.io, *.pkg.dev, on port 443), so the key isn't \
         sent there; correct it, or have an administrator add {} to the operator's --allowed-registries",
        key.authority()
    );
    Invalid::new(Reason::RegistryNotAllowed, message)
}

/// The name of the Secrets: the template's, else the RegistryCredential's own.
fn secret_name(name: &CredentialName, spec: &RegistryCredentialSpec) -> Result<SecretName, Invalid> {
    let invalid = |message: &str| Err(Invalid::new(Reason::InvalidSpec, message));
    if !is_secret_name(name.as_str()) {
        return invalid("metadata.name has more than 63 characters; use a shorter one");
    }
    match spec.secret_template.name.as_deref() {
        None => Ok(name.as_str().into()),
        Some(own) if is_secret_name(own) => Ok(own.into()),
        Some(_) => invalid(
            "spec.secretTemplate.name isn't a Secret's name of at most 63 characters (a-z, 0-9, - and ., a letter or digit at both ends)",
        ),
    }
}

/// Whether the text is a DNS subdomain, as names of Secrets are, and short enough.
pub fn is_secret_name(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let part = |part: &str| {
        part.starts_with(alphanumeric)
            && part.ends_with(alphanumeric)
            && part.chars().all(|c| alphanumeric(c) || c == '-')
    };
    text.len() <= MAX_NAME_BYTES && text.split('.').all(part)
}

/// The template can't set what says whose a Secret is.
fn check_template(spec: &RegistryCredentialSpec) -> Result<(), Invalid> {
    let template = &spec.secret_template;
    for (field, map) in [("labels", &template.labels), ("annotations", &template.annotations)] {
        if let Some(owner) = map.keys().find_map(|key| reserved_by(key)) {
            let message =
                format!("spec.secretTemplate.{field} has a key by which {owner} marks what it manages; take it out");
            return Err(Invalid::new(Reason::InvalidSpec, message));
        }
    }
    Ok(())
}

/// Who knows their own objects by this label or annotation. Argo CD may prune what carries its mark.
fn reserved_by(key: &str) -> Option<&'static str> {
    let (domain, _) = key.split_once('/')?;
    let is_own = domain.strip_suffix("regcred.dev").is_some_and(|below| below.is_empty() || below.ends_with('.'));
    if is_own {
        Some("regcred")
    } else if domain == "argocd.argoproj.io" || key == "app.kubernetes.io/instance" {
        Some("Argo CD")
    } else {
        None
    }
}
