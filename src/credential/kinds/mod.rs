//! The credential kinds: a folder for each, which holds all that is particular to it.
//!
//! In a folder: `spec.rs`, the kind's member of `spec.credential` with its rules (compiled in `api::kinds`, see there);
//! and here, what a source Secret must be, which registries its logins may go to, how its bytes become logins, and every
//! sentence about that. All other code asks a [`Kind`]; [`of`] is the one place that knows them all.

pub mod basic_auth;
pub mod docker_config;
pub mod gcp_service_account_key;

use super::{kind::Kind, recognize, registry::RegistryKey};
use crate::{
    api::{
        CredentialSource, Reason, Stalled,
        kinds::{MEMBERS, members},
    },
    process::json,
};

/// The kind of a credential.
///
/// # Errors
/// If `spec.credential` has none of the members that this version knows, or more than one.
pub fn of(credential: &CredentialSource) -> Result<&dyn Kind, Stalled> {
    let CredentialSource { gcp_service_account_key, docker_config, basic_auth } = credential;
    let all: [Option<&dyn Kind>; MEMBERS.len()] = [
        gcp_service_account_key.as_ref().map(|kind| kind as &dyn Kind),
        docker_config.as_ref().map(|kind| kind as &dyn Kind),
        basic_auth.as_ref().map(|kind| kind as &dyn Kind),
    ];
    let mut given = all.into_iter().flatten();
    match (given.next(), given.next()) {
        (Some(kind), None) => Ok(kind),
        (None, _) => Err(Stalled::new(
            Reason::UnsupportedCredential,
            format!(
                "spec.credential has no member that this version of regcred knows; upgrade regcred, or use {}",
                members()
            ),
        )),
        (Some(one), Some(other)) => Err(Stalled::new(
            Reason::InvalidSpec,
            format!("spec.credential has {} and {}; leave one of them", one.member(), other.member()),
        )),
    }
}

/// Whether a registry is one of a kind's own provider, so that no administrator has to allow it.
pub fn is_a_providers(registry: &RegistryKey) -> bool {
    [gcp_service_account_key::GOOGLE].iter().any(|provider| provider.has(registry))
}

/// The namespace of the source in a RegistryCredential's `spec.credential`, where it names one, for those that only look at
/// the text.
pub fn namespace_path() -> impl Iterator<Item = [&'static str; 5]> {
    MEMBERS.iter().map(|(member, _)| ["spec", "credential", member, "secretRef", "namespace"])
}

/// Fills in the namespace of the source in a `spec`, where it names none.
pub fn fill_namespace(spec: &mut serde_json::Value, namespace: &str) {
    for [_, credential, member, reference, field] in namespace_path() {
        let reference = spec.pointer_mut(&format!("/{credential}/{member}/{reference}"));
        if let Some(reference) = reference.and_then(|reference| reference.as_object_mut())
            && reference.get(field).is_none_or(serde_json::Value::is_null)
        {
            reference.insert(field.to_owned(), namespace.into());
        }
    }
}

/// What is wrong with a file, and where, if that can be said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileFault {
    /// Line and column, from 1.
    pub at: Option<(usize, usize)>,
    /// In a sentence.
    pub message: String,
}

/// Whether a file of whichever name is a docker config, however broken, so that somebody may mean to put it into a Secret.
pub fn is_logins_file(text: &str) -> bool {
    // Not every object with a password in it.
    text.contains(AUTHS) && (recognize::is_docker_config(text) || json::members(text).is_err())
}

/// What the logins of a docker config stand under.
const AUTHS: &str = "\"auths\"";

/// Checks a file that somebody means to put into a Secret.
///
/// # Errors
/// What is wrong with it.
pub fn check_file(file: &[u8]) -> Result<(), FileFault> {
    let text = std::str::from_utf8(file).unwrap_or_default();
    if is_logins_file(text) || recognize::is_docker_config(text) { check_logins(text) } else { check_key(file) }
}

fn check_logins(text: &str) -> Result<(), FileFault> {
    use docker_config::DockerConfigFault;
    docker_config::check_file(text).map_err(|fault| FileFault {
        at: match fault {
            DockerConfigFault::Syntax { line, column } => Some((line, column)),
            _ => None,
        },
        message: fault.to_string(),
    })
}

fn check_key(file: &[u8]) -> Result<(), FileFault> {
    use gcp_service_account_key::{GcpServiceAccountKey, KeyError};
    GcpServiceAccountKey::parse(file).map(drop).map_err(|error| FileFault {
        at: match error {
            KeyError::InvalidJson { line, column } => Some((line, column)),
            _ => None,
        },
        message: error.to_string(),
    })
}
