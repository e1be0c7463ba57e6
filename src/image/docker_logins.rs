//! Reads docker configs as the kubelet does: which entries they have, and nothing of what these hold.
//!
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/credentialprovider/config.go>. It reads names of members in
//! any case, takes `null` for nothing, and refuses the whole config for one entry that it can't read.

use base64::{
    Engine,
    alphabet::STANDARD,
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use thiserror::Error;
use zeroize::Zeroizing;

use crate::process::json::{self, Fault, Member};

/// The key of a Secret of type `kubernetes.io/dockerconfigjson` (an object with `auths`), and that of the older
/// `kubernetes.io/dockercfg`, which is the entries themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConfigFormat {
    /// `.dockerconfigjson`
    DockerConfigJson,
    /// `.dockercfg`
    DockerCfg,
}

impl ConfigFormat {
    /// That of a Secret of this type; `None` for one that the kubelet passes over.
    pub fn of_type(secret_type: &str) -> Option<Self> {
        match secret_type {
            "kubernetes.io/dockerconfigjson" => Some(Self::DockerConfigJson),
            "kubernetes.io/dockercfg" => Some(Self::DockerCfg),
            _ => None,
        }
    }

    /// Where it is in the Secret.
    pub fn key(self) -> &'static str {
        match self {
            Self::DockerConfigJson => ".dockerconfigjson",
            Self::DockerCfg => ".dockercfg",
        }
    }
}

/// Why the kubelet can't read a docker config. Positions count from 1; nothing of the text is in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ConfigFault {
    /// The end is missing.
    #[error("it isn't JSON: it ends too early")]
    Truncated,
    /// The syntax.
    #[error("it isn't JSON (line {line}, column {column})")]
    Syntax {
        /// The line.
        line: usize,
        /// The column, in bytes.
        column: usize,
    },
    /// It, or a part of it, is another kind of value than it must be.
    #[error("{0} isn't an object")]
    NotAnObject(&'static str),
    /// `HttpHeaders` has a value that isn't text.
    #[error("HttpHeaders has a value that isn't a string")]
    Headers,
    /// An entry that isn't an object of strings.
    #[error("entry {0} isn't an object whose username, password, email and auth are strings")]
    Entry(usize),
    /// An `auth` that the kubelet can't decode.
    #[error("entry {0} has an auth that isn't the base64 of username:password")]
    Auth(usize),
}

impl From<Fault> for ConfigFault {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Truncated => Self::Truncated,
            Fault::Syntax { line, column } => Self::Syntax { line, column },
        }
    }
}

/// What can be said of a login without saying what it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoginKind {
    /// Neither a user name nor a password.
    Empty,
    /// An access token of Google's, by its user name.
    GoogleToken,
    /// A token of Amazon ECR's, by its user name.
    EcrToken,
    /// Anything else.
    Other,
}

impl LoginKind {
    /// For how many seconds such a token is valid at most.
    /// <https://cloud.google.com/artifact-registry/docs/docker/authentication#token>,
    /// <https://docs.aws.amazon.com/AmazonECR/latest/userguide/registry_auth.html>
    pub fn lifetime(self) -> Option<i64> {
        match self {
            Self::GoogleToken => Some(3600),
            Self::EcrToken => Some(12 * 3600),
            Self::Empty | Self::Other => None,
        }
    }

    fn of(username: &str, password: &str) -> Self {
        match username {
            "" if password.is_empty() => Self::Empty,
            "oauth2accesstoken" => Self::GoogleToken,
            "AWS" => Self::EcrToken,
            _ => Self::Other,
        }
    }
}

/// An entry of a docker config.
pub struct Login {
    /// The entry's name: as a rule a registry, but anybody may have written anything there.
    pub name: Zeroizing<String>,
    /// What it holds.
    pub kind: LoginKind,
}

/// The entries, in the order of the text.
///
/// # Errors
/// If the kubelet can't read it; it then pulls nothing for a pod that names the Secret.
pub fn read(format: ConfigFormat, bytes: &[u8]) -> Result<Vec<Login>, ConfigFault> {
    // As Go does: what isn't UTF-8 becomes a character that stands for that.
    let lossy = Zeroizing::new(String::from_utf8_lossy(bytes).into_owned());
    let members = object(&lossy, "the docker config")?;
    let mut logins = Vec::new();
    match format {
        ConfigFormat::DockerCfg => add_entries(&mut logins, &members)?,
        ConfigFormat::DockerConfigJson => {
            for member in &members {
                if member.is_in_any_case("auths") {
                    let entries = object(member.value(), "auths")?;
                    if member.value() == "null" {
                        logins.clear();
                    }
                    add_entries(&mut logins, &entries)?;
                } else if member.is_in_any_case("HttpHeaders") {
                    let headers = object(member.value(), "HttpHeaders")?;
                    headers.iter().map(string).collect::<Option<Vec<_>>>().ok_or(ConfigFault::Headers)?;
                }
            }
        }
    }
    Ok(logins)
}

/// The members of an object; none of `null`.
fn object<'a>(text: &'a str, what: &'static str) -> Result<Vec<Member<'a>>, ConfigFault> {
    let members = json::members(text)?;
    let text = text.trim_start();
    if text.starts_with('{') || text.starts_with("null") { Ok(members) } else { Err(ConfigFault::NotAnObject(what)) }
}

fn add_entries(logins: &mut Vec<Login>, members: &[Member<'_>]) -> Result<(), ConfigFault> {
    for (at, member) in members.iter().enumerate() {
        let kind = login(member.value(), at + 1)?;
        // A name with half a character in it is no registry.
        let name = member.name().unwrap_or_default();
        // Of two entries with one name, the last one counts.
        logins.retain(|login| login.name != name);
        logins.push(Login { name, kind });
    }
    Ok(())
}

fn login(entry: &str, at: usize) -> Result<LoginKind, ConfigFault> {
    let members = object(entry, "an entry").map_err(|_| ConfigFault::Entry(at))?;
    let [mut username, mut password, mut auth]: [Zeroizing<String>; 3] = Default::default();
    for member in &members {
        let mut ignored = Zeroizing::default();
        let field = if member.is_in_any_case("username") {
            &mut username
        } else if member.is_in_any_case("password") {
            &mut password
        } else if member.is_in_any_case("auth") {
            &mut auth
        } else if member.is_in_any_case("email") {
            &mut ignored
        } else {
            continue;
        };
        if member.value() != "null" {
            *field = string(member).ok_or(ConfigFault::Entry(at))?;
        }
    }
    if auth.is_empty() {
        return Ok(LoginKind::of(&username, &password));
    }
    let decoded = decode(&auth).ok_or(ConfigFault::Auth(at))?;
    let colon = decoded.iter().position(|byte| *byte == b':').ok_or(ConfigFault::Auth(at))?;
    let (username, password) = (String::from_utf8_lossy(&decoded[..colon]), &decoded[colon + 1..]);
    Ok(LoginKind::of(&username, if password.is_empty() { "" } else { "." }))
}

/// The string that a member's value is; empty for `null`.
fn string(member: &Member<'_>) -> Option<Zeroizing<String>> {
    match member.value() {
        "null" => Some(Zeroizing::default()),
        // Half a character in an escape becomes a character that stands for that, as with Go.
        value if value.starts_with('"') => Some(json::unescape(value).unwrap_or_else(|| "\u{FFFD}".to_owned().into())),
        _ => None,
    }
}

/// As Go's decoder: line ends are passed over, and the padding may be left out.
fn decode(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let padding =
        if text.trim().ends_with('=') { DecodePaddingMode::RequireCanonical } else { DecodePaddingMode::RequireNone };
    let config = GeneralPurposeConfig::new().with_decode_allow_trailing_bits(true).with_decode_padding_mode(padding);
    let mut packed = Zeroizing::new(String::with_capacity(text.len()));
    packed.extend(text.chars().filter(|c| !matches!(c, '\r' | '\n')));
    let mut decoded = Zeroizing::new(Vec::with_capacity(packed.len()));
    GeneralPurpose::new(&STANDARD, config).decode_vec(packed.as_bytes(), &mut decoded).ok()?;
    Some(decoded)
}

#[cfg(test)]
#[path = "docker_logins_tests.rs"]
mod tests;
