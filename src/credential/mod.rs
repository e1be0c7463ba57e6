//! PURE: a source's bytes → a pull secret. No client, no clock, no async, no logging.
//!
//! [`resolve`] is the whole way: the spec and the source Secret → a checked key → a docker config → a [`PullSecret`],
//! which [`SecretManifest`] makes the body of an apply of. Everything that fails is a [`Stalled`]: a reason and a message
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

use std::collections::BTreeSet;

use crate::api::{Identity, Reason, RegistryCredentialSpec, SecretKeyRef, SecretName, Stalled};
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

/// Makes the pull secret of a RegistryCredential, whose Secrets have this name.
///
/// # Errors
/// The first thing that is wrong with the spec or the source.
pub fn resolve(
    name: SecretName,
    spec: &RegistryCredentialSpec,
    source: &SourceSecret,
    allowed: &AllowedRegistries,
) -> Result<Resolved, Stalled> {
    let reference = source_ref(spec)?;
    check_secret_name(&name, spec)?;
    check_template(spec)?;
    let registries = check_registries(spec, allowed)?;

    let key = read_key(&reference.key, source)?;
    let config = DockerConfig::render(&registries, Username::JSON_KEY, key.expose_file())
        .map_err(|error| Stalled::new(Reason::InvalidSpec, format!("spec.registries: {error}")))?;

    let template = &spec.secret_template;
    Ok(Resolved {
        pull_secret: PullSecret::new(name, template.labels.clone(), template.annotations.clone(), &config, None),
        identity: key.identity().clone(),
    })
}

/// The service-account key under a key of the source Secret.
///
/// # Errors
/// If there is none, or it isn't usable.
pub fn read_key(key: &str, source: &SourceSecret) -> Result<GcpServiceAccountKey, Stalled> {
    let at = format!("Secret {}/{}", source.namespace(), source.name());
    let file = source.get(key).map_err(|error| Stalled::new(Reason::SourceKeyNotFound, format!("{at}: {error}")))?;
    GcpServiceAccountKey::parse(file)
        .map_err(|error| Stalled::new(Reason::InvalidKey, format!("{at}, key {key}: {error}")))
}

/// Which Secret the credential comes from.
///
/// # Errors
/// If `spec.credential` has none of the members that this version knows.
pub fn source_ref(spec: &RegistryCredentialSpec) -> Result<&SecretKeyRef, Stalled> {
    match &spec.credential.gcp_service_account_key {
        Some(source) => Ok(&source.secret_ref),
        None => Err(Stalled::new(
            Reason::UnsupportedCredential,
            "spec.credential has no member that this version of regcred knows; upgrade regcred, or use gcpServiceAccountKey",
        )),
    }
}

/// Whether a source may live in a namespace.
///
/// # Errors
/// If it isn't one of those allowed.
pub fn check_namespace(namespace: &str, allowed: &[String]) -> Result<(), Stalled> {
    if allowed.iter().any(|one| one == namespace) {
        return Ok(());
    }
    let message = format!(
        "secretRef.namespace {namespace} isn't one of the operator's --credential-namespaces ({}); move the Secret \
         there, or have the administrator add {namespace}",
        allowed.join(", ")
    );
    Err(Stalled::new(Reason::NamespaceNotAllowed, message))
}

/// The registries of the spec, sorted, each once.
///
/// # Errors
/// If there is none, one isn't a registry, or one isn't permitted.
pub fn check_registries(
    spec: &RegistryCredentialSpec,
    allowed: &AllowedRegistries,
) -> Result<Vec<RegistryKey>, Stalled> {
    if spec.registries.is_empty() {
        return Err(Stalled::new(
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
pub fn check_registry(at: usize, text: &str, allowed: &AllowedRegistries) -> Result<RegistryKey, Stalled> {
    let key = RegistryKey::parse(text).map_err(|error| {
        let message = format!("spec.registries[{at}] isn't a registry: {error}");
        Stalled::new(Reason::InvalidSpec, message)
    })?;
    if allowed.permits(&key) { Ok(key) } else { Err(not_allowed(at, &key)) }
}

fn not_allowed(at: usize, key: &RegistryKey) -> Stalled {
    let message = format!(
        "spec.registries[{at}], {key}, isn't one of Google's (gcr.io, *.gcr.io, *.pkg.dev, on port 443), so the key isn't \
         sent there; correct it, or have an administrator add {} to the operator's --allowed-registries",
        key.authority()
    );
    Stalled::new(Reason::RegistryNotAllowed, message)
}

/// Whether Secrets can have the name that the template or the RegistryCredential's own name gives them.
fn check_secret_name(name: &SecretName, spec: &RegistryCredentialSpec) -> Result<(), Stalled> {
    if is_secret_name(name.as_str()) {
        return Ok(());
    }
    let message = match spec.secret_template.name {
        None => "metadata.name has more than 63 characters; use a shorter one",
        Some(_) => {
            "spec.secretTemplate.name isn't a Secret's name of at most 63 characters (a-z, 0-9, - and ., a letter or digit at both ends)"
        }
    };
    Err(Stalled::new(Reason::InvalidSpec, message))
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
fn check_template(spec: &RegistryCredentialSpec) -> Result<(), Stalled> {
    let template = &spec.secret_template;
    for (field, map) in [("labels", &template.labels), ("annotations", &template.annotations)] {
        if let Some(owner) = map.keys().find_map(|key| reserved_by(key)) {
            let message =
                format!("spec.secretTemplate.{field} has a key by which {owner} marks what it manages; take it out");
            return Err(Stalled::new(Reason::InvalidSpec, message));
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
