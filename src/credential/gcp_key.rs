//! A Google service-account key file, checked once.

use std::fmt;

use zeroize::Zeroizing;

use super::{key_error::KeyError, key_file, private_key};
use crate::{
    api::Identity,
    process::json::{self, Fault, Member},
};

/// The largest file that is looked at; Google's have about 2,400 bytes.
pub const MAX_FILE_BYTES: usize = 64 * 1024;

/// The longest value, in bytes, that goes from the file to the status (an address has at most 320 characters).
pub const MAX_IDENTITY_BYTES: usize = 320;

/// A service account's JSON key file.
pub struct GcpServiceAccountKey {
    file: Zeroizing<String>,
    identity: Identity,
}

impl GcpServiceAccountKey {
    /// Checks a file.
    ///
    /// # Errors
    /// The first fault that is found, as a sentence that holds nothing of the file.
    pub fn parse(bytes: &[u8]) -> Result<Self, KeyError> {
        if bytes.len() > MAX_FILE_BYTES {
            return Err(KeyError::FileTooLarge { bytes: bytes.len() });
        }
        let text = key_file::object_text(bytes)?;
        let members = json::members(text).map_err(|fault| match fault {
            Fault::Truncated => KeyError::Truncated { bytes: bytes.len() },
            Fault::Syntax { line, column } => KeyError::InvalidJson { line, column },
        })?;
        check_type(&members)?;
        let identity = Identity {
            client_email: identity_field(&members, "client_email")?,
            project_id: identity_field(&members, "project_id")?,
            private_key_id: identity_field(&members, "private_key_id")?,
        };
        check_email(&identity.client_email)?;
        private_key::check(&field(&members, "private_key")?)?;
        Ok(Self { file: Zeroizing::new(text.to_owned()), identity })
    }

    /// Whose key it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The whole file, byte for byte: the registry's password.
    pub fn expose_file(&self) -> &str {
        &self.file
    }
}

impl fmt::Debug for GcpServiceAccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GcpServiceAccountKey").field("identity", &self.identity).finish_non_exhaustive()
    }
}

fn check_type(members: &[Member<'_>]) -> Result<(), KeyError> {
    let has = |name| members.iter().any(|member| member.is(name));
    if !has("type") {
        if has("auths") || members.iter().any(is_docker_entry) {
            return Err(KeyError::DockerConfig);
        }
        if has("installed") || has("web") {
            return Err(KeyError::OauthClient);
        }
    }
    match field(members, "type")?.as_str() {
        "service_account" => Ok(()),
        "authorized_user" => Err(KeyError::AuthorizedUser),
        "external_account" | "external_account_authorized_user" => Err(KeyError::ExternalAccount),
        "impersonated_service_account" => Err(KeyError::ImpersonatedServiceAccount),
        "gdch_service_account" => Err(KeyError::GdchServiceAccount),
        _ => Err(KeyError::UnknownType),
    }
}

/// Whether a member is a registry's entry of an old `.dockercfg`, which has no `auths` around them.
fn is_docker_entry(member: &Member<'_>) -> bool {
    json::members(member.value()).is_ok_and(|inner| inner.iter().any(|m| m.is("auth") || m.is("password")))
}

/// The one string of that name.
fn field(members: &[Member<'_>], field: &'static str) -> Result<Zeroizing<String>, KeyError> {
    let mut found = members.iter().filter(|member| member.is(field));
    let member = found.next().ok_or(KeyError::MissingField { field })?;
    if found.next().is_some() {
        return Err(KeyError::DuplicateField { field });
    }
    if !member.value().starts_with('"') {
        return Err(KeyError::NotAString { field });
    }
    let value = json::unescape(member.value()).ok_or(KeyError::BadEscape { field })?;
    if value.trim().is_empty() {
        return Err(KeyError::EmptyField { field });
    }
    Ok(value)
}

/// A string that goes to the status, so it must be short and printable.
fn identity_field(members: &[Member<'_>], name: &'static str) -> Result<String, KeyError> {
    let value = field(members, name)?;
    let bytes = value.len();
    if bytes > MAX_IDENTITY_BYTES {
        return Err(KeyError::FieldTooLong { field: name, bytes });
    }
    if !value.chars().all(|c| c.is_ascii_graphic()) {
        return Err(KeyError::Unprintable { field: name });
    }
    Ok(value.as_str().to_owned())
}

fn check_email(email: &str) -> Result<(), KeyError> {
    match email.split_once('@') {
        Some((user, host)) if !user.is_empty() && !host.is_empty() && !host.contains('@') => Ok(()),
        _ => Err(KeyError::NotAnEmail),
    }
}

#[cfg(test)]
#[path = "gcp_key_tests.rs"]
mod tests;
