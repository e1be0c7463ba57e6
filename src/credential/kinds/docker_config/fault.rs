//! Everything that can be wrong with a docker config, each in a sentence.
//!
//! These sentences go to the status and to logs, so no variant holds anything of the config but counts, positions and the
//! names of registries that have been checked to be such.

use std::fmt;

use thiserror::Error;

use crate::credential::{RegistryKey, RegistryKeyError, json_file::FileFault};

/// An entry of a docker config.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Which of the entries, from 1.
    pub entry: usize,
    /// Its registry, where its name is one.
    pub registry: Option<RegistryKey>,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.registry {
            Some(registry) => write!(f, "entry {} ({registry})", self.entry),
            None => write!(f, "entry {}", self.entry),
        }
    }
}

/// Why a docker config can't be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum DockerConfigFault {
    /// More than [`super::config::MAX_BYTES`].
    #[error(
        "the docker config has {bytes} bytes, more than the 524288 that it can have; store only the logins that are needed"
    )]
    TooLarge {
        /// Its size.
        bytes: usize,
    },
    /// More entries than [`super::config::MAX_ENTRIES`].
    #[error(
        "the docker config has {count} registries, more than the 256 that it can have; store only the logins that are needed"
    )]
    TooMany {
        /// How many.
        count: usize,
    },
    /// It isn't text that may be a JSON object.
    #[error("{}", file_sentence(*.0))]
    File(FileFault),
    /// JSON that ends too early.
    #[error("the JSON ends in the middle, after {bytes} bytes; store the whole docker config")]
    Truncated {
        /// Its size.
        bytes: usize,
    },
    /// JSON with a syntax error.
    #[error(
        "it isn't valid JSON at line {line}, column {column}; correct it, or make it anew with kubectl create secret docker-registry"
    )]
    Syntax {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// A name twice in one object.
    #[error("{0} has the same name twice, so it isn't clear which one counts; write it once")]
    DuplicateName(String),
    /// Another kind's file.
    #[error("it is {what}, not a docker config; use spec.credential.{member} for it")]
    OtherKind {
        /// What it is.
        what: &'static str,
        /// The kind's member of `spec.credential`.
        member: &'static str,
    },
    /// `.dockercfg` where `config.json` should be.
    #[error(
        "it has no auths, and looks like the old .dockercfg; store it in a Secret of type kubernetes.io/dockercfg under the key .dockercfg, or put the entries into {{\"auths\": {{…}}}}"
    )]
    OldFormat,
    /// `config.json` where `.dockercfg` should be.
    #[error(
        "it has auths, as ~/.docker/config.json does; store it in a Secret of type kubernetes.io/dockerconfigjson under the key .dockerconfigjson"
    )]
    NewFormat,
    /// No `auths`.
    #[error(
        "it has no auths; store what docker login writes: {{\"auths\": {{\"registry.example.com\": {{\"auth\": …}}}}}}"
    )]
    NoAuths,
    /// `auths` that isn't an object.
    #[error(
        "auths isn't an object of registries; store what docker login writes: {{\"auths\": {{\"registry.example.com\": {{\"auth\": …}}}}}}"
    )]
    AuthsNotAnObject,
    /// No entries.
    #[error(
        "it has no registry in it; log in with docker login, or make the Secret with kubectl create secret docker-registry"
    )]
    Empty,
    /// The logins are elsewhere.
    #[error(
        "it has no login in it but credsStore or credHelpers, so the logins are in a helper on the machine where docker login ran; log in there with an empty folder as DOCKER_CONFIG, and store the config.json of that"
    )]
    Helper,
    /// An entry whose name isn't a registry.
    #[error("{place} isn't named by a registry: {fault}")]
    NotARegistry {
        /// Which one.
        place: Place,
        /// What is wrong with the name.
        fault: RegistryKeyError,
    },
    /// Two names for one registry.
    #[error(
        "{place} and entry {other} stand for the same registry, and the kubelet takes either by chance; leave one of them"
    )]
    SameRegistry {
        /// The second of them.
        place: Place,
        /// The first of them.
        other: usize,
    },
    /// An entry that isn't an object.
    #[error("{0} isn't an object; write {{\"username\": …, \"password\": …}} there")]
    NotAnObject(Place),
    /// A field that isn't a string.
    #[error("{place} has a {field} that isn't a string; put it in quotes")]
    NotAString {
        /// Which one.
        place: Place,
        /// The field.
        field: &'static str,
    },
    /// A string with half of a character.
    #[error("{place} has a {field} with a \\u escape that is no character; write the character itself")]
    BadEscape {
        /// Which one.
        place: Place,
        /// The field.
        field: &'static str,
    },
    /// No login at all.
    #[error("{0} has no login; log in to that registry anew, or take the entry out")]
    NoLogin(Place),
    /// Only `identitytoken`.
    #[error(
        "{0} has no password but an identitytoken, which the kubelet passes over; use a password or an access token"
    )]
    IdentityToken(Place),
    /// Only `registrytoken`.
    #[error(
        "{0} has no password but a registrytoken, which the kubelet passes over; use a password or an access token"
    )]
    RegistryToken(Place),
    /// `auth` that isn't base64.
    #[error(
        "{0} has an auth that isn't base64; write the base64 of username:password, or username and password without auth"
    )]
    AuthNotBase64(Place),
    /// `auth` that isn't UTF-8.
    #[error(
        "{0} has an auth that isn't the base64 of UTF-8 text; write the base64 of username:password, or username and password without auth"
    )]
    AuthNotText(Place),
    /// `auth` without a colon.
    #[error("{0} has an auth without a colon in it; write the base64 of username:password, encoded once")]
    AuthNoColon(Place),
    /// `auth` and the other two say different things.
    #[error(
        "{place} has an auth that says another {field} than {field} does; the kubelet takes auth: write both alike, or leave auth out"
    )]
    Disagree {
        /// Which one.
        place: Place,
        /// The field.
        field: &'static str,
    },
    /// No user name.
    #[error(
        "{0} has a password without a user name, which container runtimes take for no login; write the user name that the registry asks for, any word if it asks for none"
    )]
    NoUsername(Place),
    /// No password.
    #[error("{0} has a user name without a password; write the password or token, too")]
    NoPassword(Place),
    /// A colon in the user name.
    #[error("{0} has a colon in its user name, where a login is split; write the user name alone")]
    ColonInUsername(Place),
    /// A control character.
    #[error(
        "{place} has a control character, as a line break is, in its {field}; take it out (printf writes none at the end, echo does)"
    )]
    Control {
        /// Which one.
        place: Place,
        /// The field.
        field: &'static str,
    },
    /// A field that is too long.
    #[error(
        "{place} has a {field} of {bytes} bytes, more than the 65536 that a login can have; store the password or token alone"
    )]
    FieldTooLong {
        /// Which one.
        place: Place,
        /// The field.
        field: &'static str,
        /// Its size.
        bytes: usize,
    },
}

fn file_sentence(fault: FileFault) -> String {
    let text = match fault {
        FileFault::Empty => "it is empty; store what docker login writes into config.json",
        FileFault::Utf8Bom => "it begins with a UTF-8 byte order mark; save it as UTF-8 without BOM",
        FileFault::Utf16 => {
            "it is UTF-16 text; save it as UTF-8 without BOM (in PowerShell, copy the file, don't redirect it)"
        }
        FileFault::Binary => "it is binary; store the docker config, which is JSON text",
        FileFault::NotUtf8 { offset } => {
            return format!("it isn't UTF-8 text from byte {offset} on; store the docker config unchanged");
        }
        FileFault::Base64TooOften => {
            "it is encoded in base64 once too often; put the plain JSON into stringData, or its base64, once, into data"
        }
        FileFault::Pem => "it is a PEM file; store the docker config, which is JSON text",
        FileFault::NotAnObject => {
            "it isn't a JSON object, as its first character isn't a brace; store the contents of config.json, not its path or a part of it"
        }
    };
    text.to_owned()
}
