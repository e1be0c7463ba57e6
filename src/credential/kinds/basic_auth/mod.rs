//! `basicAuth`: one user name with a password or token, from one Secret.
//!
//! Such a Secret says nothing of what it is for: `kubernetes.io/basic-auth` is used for git and databases, too. So its
//! owner must mark it with the registries that it may be sent to; else whoever may write RegistryCredentials could have
//! any password of the credential namespace copied to where he can read it.

use std::sync::Arc;

use jiff::Timestamp;
use zeroize::Zeroizing;

use crate::{
    api::{
        Reason, SecretRef, Stalled,
        kinds::basic_auth::{BasicAuthSource, MEMBER, USERNAME_KEY},
    },
    credential::{
        hosts::HostRule,
        json_file,
        kind::{Found, Kind, Material, SourceRef},
        login::Login,
        recognize::belonging_to,
        source::SourceSecret,
        token,
    },
};

/// The longest user name or password, in bytes.
const MAX_BYTES: usize = 64 * 1024;

/// The types of Secret that may hold a user name and a password.
const TYPES: [&str; 3] = ["Opaque", "kubernetes.io/basic-auth", ""];

impl Kind for BasicAuthSource {
    fn member(&self) -> &'static str {
        MEMBER
    }

    fn secret(&self) -> SourceRef<'_> {
        let SecretRef { namespace, name } = &self.secret_ref;
        SourceRef { namespace: namespace.as_deref(), name }
    }

    fn create_command(&self, namespace: &str) -> String {
        let username = match &self.username {
            Some(_) => String::new(),
            None => format!(" --from-literal={}=NAME", self.username_key()),
        };
        let name = &self.secret_ref.name;
        format!(
            "kubectl -n {namespace} create secret generic {name}{username} --from-file={}=FILE, and mark it with \
             kubectl -n {namespace} annotate secret {name} {}=registry.example.com",
            self.password_key,
            crate::api::REGISTRIES_ANNOTATION
        )
    }

    fn hosts(&self) -> HostRule {
        HostRule::MarkedByOwner
    }

    fn needs_mark(&self, _: &str) -> bool {
        true
    }

    fn check_type(&self, source: &SourceSecret) -> Result<(), Stalled> {
        if TYPES.contains(&source.secret_type()) {
            return Ok(());
        }
        let message = format!(
            "{} is of a type that {MEMBER} doesn't read; name one that is Opaque or of type kubernetes.io/basic-auth",
            source.at()
        );
        Err(Stalled::new(Reason::SourceTypeNotAllowed, message))
    }

    fn read(&self, source: &SourceSecret, now: Timestamp) -> Result<Material, Stalled> {
        let at = source.at();
        let mut notes = Vec::new();
        let username = match (&self.username, &self.username_key) {
            (Some(_), Some(_)) => {
                let message = format!("spec.credential.{MEMBER} has username and usernameKey; leave one of them out");
                return Err(Stalled::new(Reason::InvalidSpec, message));
            }
            (Some(username), None) => {
                check_username(username).map_err(|fault| {
                    let message = format!("spec.credential.{MEMBER}.username {fault}");
                    Stalled::new(Reason::InvalidSpec, message)
                })?;
                Zeroizing::new(username.clone())
            }
            (None, _) => {
                let key = self.username_key();
                let value = value(source, key, &mut notes).map_err(|invalid| or_write_it(invalid, key))?;
                check_username(value).map_err(|fault| fault_at(source, key, &fault))?;
                Zeroizing::new(value.to_owned())
            }
        };
        let key = &self.password_key;
        let password = value(source, key, &mut notes)?;
        check_password(password, &username).map_err(|fault| fault_at(source, key, &fault))?;
        let expires_at = token::expires_at(password);
        if let Some(end) = expires_at {
            if end <= now {
                let message = format!("{at}, key {key}: it is a token that expired at {end}; store one that is valid");
                return Err(Stalled::new(Reason::TokenExpired, message).with_key(key).with_expiry(end));
            }
            notes.push(format!("the password in {at} is a token that expires at {end}; store a new one before then"));
        }
        let login = Login::new(&username, password);
        // Under another key there may be anything, a password, too, where the two are mixed up.
        let is_named = self.username.is_some() || self.username_key() == USERNAME_KEY;
        Ok(Material {
            logins: Found::Anywhere(Arc::new(if is_named { login } else { login.withheld() })),
            identity: None,
            expires_at,
            notes,
        })
    }
}

impl BasicAuthSource {
    fn username_key(&self) -> &str {
        self.username_key.as_deref().unwrap_or(USERNAME_KEY)
    }
}

fn fault_at(source: &SourceSecret, key: &str, fault: &str) -> Stalled {
    let message = format!("{}, key {key}: it {fault}", source.at());
    Stalled::new(Reason::InvalidCredential, message).with_key(key)
}

/// A user name may be missing because the registry's tokens have none.
fn or_write_it(invalid: Stalled, key: &str) -> Stalled {
    if invalid.reason != Reason::SourceKeyNotFound {
        return invalid;
    }
    let message = format!(
        "{}; write usernameKey where it is another key than {key}, or username where the Secret has none",
        invalid.message
    );
    Stalled { message, ..invalid }
}

/// The text under a key, without the one line break that an editor or `echo` leaves at its end.
fn value<'a>(source: &'a SourceSecret, key: &str, notes: &mut Vec<String>) -> Result<&'a str, Stalled> {
    let at = source.at();
    let bytes = source
        .get(key)
        .map_err(|error| Stalled::new(Reason::SourceKeyNotFound, format!("{at}: {error}")).with_key(key))?;
    if bytes.len() > MAX_BYTES {
        let fault = format!("has {} bytes, more than the 65536 that a login can have; store it alone", bytes.len());
        return Err(fault_at(source, key, &fault));
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(_) if matches!(bytes, [0xFF, 0xFE, ..] | [0xFE, 0xFF, ..]) => {
            return Err(fault_at(source, key, "is UTF-16 text; save it as UTF-8 without BOM"));
        }
        Err(error) => {
            let fault = format!("isn't UTF-8 text from byte {} on; store it as text", error.valid_up_to());
            return Err(fault_at(source, key, &fault));
        }
    };
    if text.starts_with('\u{FEFF}') {
        return Err(fault_at(source, key, "begins with a UTF-8 byte order mark; save it as UTF-8 without BOM"));
    }
    let Some(trimmed) = text.strip_suffix("\r\n").or_else(|| text.strip_suffix('\n')) else { return Ok(text) };
    notes.push(format!("{at}, key {key} ends with a line break, which was left out"));
    Ok(trimmed)
}

fn check_username(username: &str) -> Result<(), String> {
    let fault = if username.is_empty() {
        "is empty; write the user name that the registry asks for, any word if it asks for none"
    } else if username.contains(char::is_control) {
        "has a control character, as a line break is, in it; write the user name alone, on one line"
    } else if username.contains(':') {
        "has a colon in it, where a login is split (RFC 7617); write the user name alone"
    } else if username.len() > MAX_BYTES {
        "has more than the 65536 bytes that a login can have; write the user name alone"
    } else {
        return Ok(());
    };
    Err(fault.to_owned())
}

fn check_password(password: &str, username: &str) -> Result<(), String> {
    if password.is_empty() {
        return Err("is empty; store the password or token".to_owned());
    }
    // Before its line breaks are complained about.
    if let Some((what, member)) = belonging_to(password) {
        return Err(format!("is {what}, not a password; use spec.credential.{member} for it"));
    }
    if password.contains(char::is_control) {
        let fault = "has a control character, as a line break is, in it; store the password or token alone, on one line \
                     (printf writes no line break at the end)";
        return Err(fault.to_owned());
    }
    let Some(decoded) = json_file::decode(password.as_bytes()) else { return Ok(()) };
    let Ok(decoded) = std::str::from_utf8(&decoded) else { return Ok(()) };
    if let Some((what, member)) = belonging_to(decoded) {
        return Err(format!(
            "is {what} in base64, not a password; use spec.credential.{member} for it, with the file as it is"
        ));
    }
    // By the user name, as some registries' tokens are base64 of something with a colon themselves (Artifactory's).
    if decoded.strip_prefix(username).is_some_and(|rest| rest.starts_with(':')) {
        return Err("is the base64 of username:password, as in a docker config; store the password alone".to_owned());
    }
    Ok(())
}

#[cfg(test)]
mod tests;
