//! The credential kinds: a folder for each, which holds all that is particular to it.
//!
//! In a folder: `spec.rs`, the kind's member of `spec.credential` with its rules (compiled in `api::kinds`, see there);
//! and here, what a source Secret must be, which registries its logins may go to, how its bytes become logins, and every
//! sentence about that. All other code asks a [`Kind`]; [`of`] is the one place that knows them all.

pub mod basic_auth;
pub mod docker_config;
pub mod gcp_service_account_key;

use std::{fmt, sync::Arc};

use jiff::Timestamp;

use super::{
    hosts::{ByRegistry, HostRule},
    login::Login,
    source::SourceSecret,
};
use crate::api::{
    CredentialSource, Identity, Reason, Stalled,
    kinds::{MEMBERS, members},
};

/// What is particular to one kind of credential. Pure: bytes in, logins or a sentence out.
pub trait Kind: fmt::Debug + Send + Sync {
    /// The member of `spec.credential`.
    fn member(&self) -> &'static str;

    /// The Secret that it reads.
    fn secret(&self) -> SourceRef<'_>;

    /// The command that creates such a Secret, for whoever has none yet.
    fn create_command(&self, namespace: &str) -> String;

    /// Where its logins may go.
    fn hosts(&self) -> HostRule;

    /// Whether the owner of a Secret of this type must have said by the annotation where its login may go.
    fn needs_mark(&self, secret_type: &str) -> bool;

    /// Whether it reads Secrets of this one's type at all.
    ///
    /// # Errors
    /// If it doesn't.
    fn check_type(&self, source: &SourceSecret) -> Result<(), Stalled>;

    /// The logins of a Secret.
    ///
    /// # Errors
    /// The first fault of the Secret, in a sentence that holds nothing of it.
    fn read(&self, source: &SourceSecret, now: Timestamp) -> Result<Material, Stalled>;
}

/// A Secret that a spec refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SourceRef<'a> {
    /// Its namespace, if the spec names one.
    pub namespace: Option<&'a str>,
    /// Its name.
    pub name: &'a str,
}

/// What a Secret holds.
#[derive(Debug)]
pub struct Material {
    /// The logins.
    pub logins: Found,
    /// Who logs in, where the kind knows more than a user name.
    pub identity: Option<Identity>,
    /// When the first of the logins stops working, where one says so itself.
    pub expires_at: Option<Timestamp>,
    /// What its owner should know, each in a sentence.
    pub notes: Vec<String>,
}

/// The logins of a Secret, and whether it says itself what they are for.
#[derive(Debug)]
pub enum Found {
    /// One for whichever registry.
    Anywhere(Arc<Login>),
    /// One for each registry.
    ByRegistry(ByRegistry),
}

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

/// Checks a file that somebody means to put into a Secret.
///
/// # Errors
/// What is wrong with it.
pub fn check_file(file: &[u8]) -> Result<(), FileFault> {
    use gcp_service_account_key::{GcpServiceAccountKey, KeyError};
    GcpServiceAccountKey::parse(file).map(drop).map_err(|error| FileFault {
        at: match error {
            KeyError::InvalidJson { line, column } => Some((line, column)),
            _ => None,
        },
        message: error.to_string(),
    })
}

/// Which kind a text belongs to that stands where another kind's password should, as people mix them up.
pub fn belonging_to(text: &str) -> Option<(&'static str, &'static str)> {
    use crate::api::kinds;
    if docker_config::is_like(text) {
        Some(("a docker config", kinds::docker_config::MEMBER))
    } else if gcp_service_account_key::is_like(text) {
        Some(("a Google service-account key file", kinds::gcp_service_account_key::MEMBER))
    } else {
        None
    }
}
