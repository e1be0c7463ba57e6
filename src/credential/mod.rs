//! PURE: a source's bytes → a pull secret. No client, no clock, no async, no logging.
//!
//! [`resolve`] is the whole way: the spec and the source Secret → logins → a docker config → a [`PullSecret`],
//! which [`SecretManifest`] makes the body of an apply of. Everything that fails is a [`Stalled`]: a reason and a message
//! for the status, which holds nothing of the credential.

pub mod docker_config;
pub mod hosts;
mod json_file;
pub mod kind;
pub mod kinds;
pub mod login;
pub mod manifest;
pub mod pull_secret;
mod recognize;
pub mod registry;
pub mod revision;
pub mod source;
mod token;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

use std::{collections::BTreeSet, sync::Arc};

use jiff::Timestamp;

use crate::api::{
    Identity, REGISTRIES_ANNOTATION, Reason, RegistryCredentialSpec, SecretName, SecretTemplate, Stalled,
    USE_ANNOTATION,
};
use docker_config::DockerConfig;
use hosts::{HostRule, Mark};
use kind::{Found, Kind, Material};

pub use login::{Login, Logins};
pub use manifest::{Guard, Owner, SecretManifest};
pub use pull_secret::PullSecret;

pub use registry::{AllowedRegistries, AllowedRegistriesError, RegistryKey, RegistryKeyError};
pub use revision::{Revision, RevisionKey, RootKey};
pub use source::{SourceError, SourceSecret};

/// The longest name of a RegistryCredential and of its Secrets: both become values of labels or parts of annotations.
const MAX_NAME_BYTES: usize = 63;

/// What a RegistryCredential stands for.
#[derive(Debug)]
pub struct Resolved {
    /// What every target namespace gets.
    pub pull_secret: PullSecret,
    /// Who logs in, for the status.
    pub identity: Identity,
    /// The registries that it is for, sorted.
    pub registries: Vec<RegistryKey>,
    /// What the author of the spec, or the owner of the source, should know, each in a sentence.
    pub notes: Vec<String>,
}

/// Makes the pull secret of a RegistryCredential, whose Secrets have this name and revisions by this key.
///
/// # Errors
/// The first thing that is wrong with the spec or the source.
pub fn resolve(
    name: SecretName,
    spec: &RegistryCredentialSpec,
    source: &SourceSecret,
    allowed: &AllowedRegistries,
    key: &RevisionKey,
    now: Timestamp,
) -> Result<Resolved, Stalled> {
    let kind = kind(spec)?;
    check_secret_name(&name, spec)?;
    check_template(spec)?;
    let wanted = check_registries(spec, allowed)?;

    let Logins { by_registry, identity, expires_at, notes } = logins(kind, source, &wanted, now)?;
    let pairs = by_registry.iter().map(|(registry, login)| (registry, &**login));
    let config = DockerConfig::render(pairs)
        .map_err(|error| Stalled::new(Reason::InvalidSpec, format!("spec.registries: {error}")))?;

    let SecretTemplate { labels, annotations, .. } = spec.secret_template.clone();
    Ok(Resolved {
        pull_secret: PullSecret::new(name, labels, annotations, &config, expires_at, key),
        identity,
        registries: by_registry.into_keys().collect(),
        notes,
    })
}

/// The kind of a spec's credential.
fn kind(spec: &RegistryCredentialSpec) -> Result<&dyn Kind, Stalled> {
    let without = || Stalled::new(Reason::InvalidSpec, "spec.credential is missing; write it");
    kinds::of(spec.credential.as_ref().ok_or_else(without)?)
}

/// The logins that a source gives to a kind, as far as its owner and the spec permit.
///
/// # Errors
/// What is wrong with the source, or that its owner doesn't permit it.
pub fn logins(
    kind: &dyn Kind,
    source: &SourceSecret,
    wanted: &[RegistryKey],
    now: Timestamp,
) -> Result<Logins, Stalled> {
    check_use(source)?;
    kind.check_type(source)?;
    let mark = match kind.hosts() {
        HostRule::Provider(_) => None,
        HostRule::NamedBySource | HostRule::MarkedByOwner => Mark::of(source)?,
    };
    if mark.is_none() && kind.needs_mark(source.secret_type()) {
        return Err(not_marked(source, wanted));
    }
    // Before anything is read: a source that is broken, or whose token is over, can be withdrawn, too.
    if let Some(mark) = &mark {
        hosts::check_not_withdrawn(source, mark, wanted)?;
    }
    let Material { logins, identity, expires_at, mut notes } = kind.read(source, now)?;
    let by_registry = match (logins, kind.hosts()) {
        (Found::Anywhere(login), HostRule::Provider(_)) => {
            wanted.iter().map(|registry| (registry.clone(), Arc::clone(&login))).collect()
        }
        (found, _) => {
            let all = match found {
                Found::ByRegistry(logins) => logins,
                Found::Anywhere(login) => {
                    let marked = mark.iter().flat_map(Mark::registries).chain(wanted);
                    marked.map(|registry| (registry.clone(), Arc::clone(&login))).collect()
                }
            };
            let (permitted, more) = hosts::permitted(source, &all, mark.as_ref(), wanted)?;
            notes.extend(more);
            permitted
        }
    };
    let identity = identity.unwrap_or_else(|| login::identity(&by_registry));
    Ok(Logins { by_registry, identity, expires_at, notes })
}

fn not_marked(source: &SourceSecret, wanted: &[RegistryKey]) -> Stalled {
    let message = format!(
        "{} has no annotation {REGISTRIES_ANNOTATION}, by which its owner says which registries its login may be sent \
         to, so nothing of it is rolled out, and what was rolled out before stays; its owner sets it with: {}",
        source.at(),
        hosts::mark_command(source, None, wanted)
    );
    Stalled::new(Reason::SourceNotMarked, message)
}

/// Whether a Secret may be a source at all.
///
/// # Errors
/// If it is one that regcred has made, or if its owner has kept it for another use.
fn check_use(source: &SourceSecret) -> Result<(), Stalled> {
    let at = source.at();
    if source.is_managed() || source.secret_type().starts_with("regcred.dev/") {
        let message = format!("{at} is one that regcred itself has made; name the Secret that it was made from");
        return Err(Stalled::new(Reason::SourceTypeNotAllowed, message));
    }
    let (reason, refusal) = match source.marks().usage.as_deref() {
        None => return Ok(()),
        Some("Mint") => (
            Reason::Revoked,
            "says that it is only for minting tokens, so it is never rolled out, and what was rolled out is removed",
        ),
        Some(_) => (
            Reason::SourceNotMarked,
            "has a value that this version of regcred doesn't know, so it isn't rolled out, and what was rolled out \
             before stays",
        ),
    };
    let message = format!(
        "the annotation {USE_ANNOTATION} of {at} {refusal}; name another Secret, or have its owner take the annotation out"
    );
    Err(Stalled::new(reason, message))
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
/// If there is none though the kind has none of its own, if one isn't a registry, or isn't one of those of the kind's
/// provider.
pub fn check_registries(
    spec: &RegistryCredentialSpec,
    allowed: &AllowedRegistries,
) -> Result<Vec<RegistryKey>, Stalled> {
    let hosts = kind(spec)?.hosts();
    if spec.registries.is_empty() && matches!(hosts, HostRule::Provider(_)) {
        return Err(Stalled::new(
            Reason::InvalidSpec,
            "spec.registries is empty; list the registries that the key is for, such as gcr.io",
        ));
    }
    let mut keys = BTreeSet::new();
    for (at, text) in spec.registries.iter().enumerate() {
        keys.insert(check_registry(hosts, at, text, allowed)?);
    }
    Ok(keys.into_iter().collect())
}

/// The entry `spec.registries[at]`.
///
/// # Errors
/// If it isn't a registry, or not one of those of the kind's provider.
pub fn check_registry(
    hosts: HostRule,
    at: usize,
    text: &str,
    allowed: &AllowedRegistries,
) -> Result<RegistryKey, Stalled> {
    let key = RegistryKey::parse(text).map_err(|error| {
        let message = format!("spec.registries[{at}] isn't a registry: {error}");
        Stalled::new(Reason::InvalidSpec, message)
    })?;
    if let HostRule::Provider(provider) = hosts {
        provider.check(at, &key, allowed)?;
    }
    Ok(key.canonical())
}

/// Whether Secrets can have the name that the template or the RegistryCredential's own name gives them.
fn check_secret_name(name: &SecretName, spec: &RegistryCredentialSpec) -> Result<(), Stalled> {
    if is_secret_name(name.as_str()) {
        return Ok(());
    }
    Err(match spec.secret_template.name {
        None => Stalled::new(Reason::InvalidSpec, "metadata.name has more than 63 characters; use a shorter one"),
        Some(_) => no_secret_name("spec.secretTemplate.name"),
    })
}

/// What this field of a spec has isn't what [`is_secret_name`] takes.
pub fn no_secret_name(field: &str) -> Stalled {
    let message = format!(
        "{field} isn't a Secret's name of at most {MAX_NAME_BYTES} characters (a-z, 0-9, - and ., a letter or digit at both \
         ends)"
    );
    Stalled::new(Reason::InvalidSpec, message)
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
