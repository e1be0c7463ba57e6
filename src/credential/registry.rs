//! Registries as the kubelet matches them, and which of them a credential may be sent to.
//!
//! The kubelet compares an entry with an image so: equal port, equal number of host labels, each label a glob, the path
//! a plain prefix. It drops a scheme, and `/v1` or `/v2` at the start of a path.
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/credentialprovider/keyring.go>

use std::fmt;

use thiserror::Error;

use crate::image::{Keyring, Reference};

const MAX_BYTES: usize = 255;

/// Docker Hub's host in an image's name.
const DOCKER_HUB: &str = "docker.io";

/// What people write for Docker Hub as a whole: its website, its registry, and what docker itself calls it.
const DOCKER_HUB_HOSTS: [&str; 8] = [
    "docker.io",
    "www.docker.io",
    "index.docker.io",
    "registry.docker.io",
    "registry-1.docker.io",
    "docker.com",
    "hub.docker.com",
    "registry.hub.docker.com",
];

/// The name of Docker Hub's entry in a docker config: the only one that every client looks up.
const DOCKER_HUB_ENTRY: &str = "https://index.docker.io/v1/";
const MAX_HOST_BYTES: usize = 253;
const MAX_LABEL_BYTES: usize = 63;

/// Why a text isn't a registry. It doesn't hold the text, in which somebody may have put a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum RegistryKeyError {
    /// An empty text.
    #[error("it is empty; write a host such as gcr.io")]
    Empty,
    /// More than 255 bytes.
    #[error("it has more than 255 bytes; write a host and, if wanted, the beginning of a path")]
    TooLong,
    /// `https://…`
    #[error("it has a scheme; write the host without https://, such as gcr.io")]
    Scheme,
    /// `user:password@…`
    #[error("it has an @; write the host without a user or a digest")]
    UserInfo,
    /// Upper case, which no image has.
    #[error("it has upper case letters, which no image reference has; write it in lower case")]
    UpperCase,
    /// A character that a host can't have.
    #[error("its host has a character other than a-z, 0-9, - and . (or * for any characters of a label)")]
    HostCharacter,
    /// More than a host can have.
    #[error("its host has more than 253 bytes")]
    HostTooLong,
    /// Two dots in a row, or one at either end.
    #[error("its host has an empty label; write no dot at its ends and no two in a row")]
    EmptyLabel,
    /// A label of more than 63 bytes.
    #[error("its host has a label of more than 63 bytes")]
    LabelTooLong,
    /// `-x.example.com`
    #[error("its host has a label that begins or ends with -")]
    LabelHyphen,
    /// `*.io`
    #[error("its host has a wildcard in the last two labels; write these out, such as *.gcr.io")]
    WildcardTooBroad,
    /// `my-project/`, which the kubelet takes for a path on Docker Hub.
    #[error("its host has no dot and no port; begin with the registry's host, such as gcr.io/")]
    NoHost,
    /// A port that isn't a number from 1 to 65535.
    #[error("its port isn't a number from 1 to 65535 (with no wildcard and no leading zero)")]
    Port,
    /// A character that the path of an image can't have.
    #[error("its path has a character other than a-z, 0-9, ., _, - and /; write no wildcard, tag or digest there")]
    PathCharacter,
    /// `gcr.io//x`
    #[error("its path has two slashes in a row, which no image reference has")]
    EmptySegment,
    /// `/v1/…` and `/v2/…`
    #[error("its path begins with /v1/ or /v2/, which the kubelet drops; leave that out")]
    ApiVersion,
}

/// A registry: a host, where `*` in a label stands for any characters, and perhaps a port and the beginning of a path.
///
/// Its order is that of its text, byte by byte.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RegistryKey {
    text: String,
    host_len: usize,
    port: Option<u16>,
}

impl RegistryKey {
    /// Checks a text.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn parse(text: &str) -> Result<Self, RegistryKeyError> {
        if text.is_empty() {
            return Err(RegistryKeyError::Empty);
        }
        if text.len() > MAX_BYTES {
            return Err(RegistryKeyError::TooLong);
        }
        if text.contains("://") {
            return Err(RegistryKeyError::Scheme);
        }
        if text.contains('@') {
            return Err(RegistryKeyError::UserInfo);
        }
        if text.contains(char::is_uppercase) {
            return Err(RegistryKeyError::UpperCase);
        }
        let (authority, path) = text.split_at(text.find('/').unwrap_or(text.len()));
        let (host, port) = match authority.split_once(':') {
            Some((host, port)) => (host, Some(parse_port(port)?)),
            None => (authority, None),
        };
        check_host(host)?;
        if port.is_none() && !host.contains('.') && host != "localhost" {
            return Err(RegistryKeyError::NoHost);
        }
        check_path(path)?;
        Ok(Self { text: text.to_owned(), host_len: host.len(), port })
    }

    /// Reads the name of an entry in a docker config: `docker login` and people write `https://gcr.io`, `gcr.io/v2/` and
    /// `gcr.io/`, all of which the kubelet takes for `gcr.io`.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn of_entry(name: &str) -> Result<Self, RegistryKeyError> {
        let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
        let (authority, path) = bare.split_at(bare.find('/').unwrap_or(bare.len()));
        let path = match path {
            "/v1" | "/v2" => "",
            path if path.starts_with("/v1/") || path.starts_with("/v2/") => &path[3..],
            path => path,
        };
        let path = if path == "/" { "" } else { path };
        Self::parse(&format!("{authority}{path}")).map(Self::canonical)
    }

    /// The same registry by the one name that we call it by: all of Docker Hub's become `docker.io`.
    #[must_use]
    pub fn canonical(self) -> Self {
        if self.port.is_some() || !DOCKER_HUB_HOSTS.contains(&self.host()) {
            return self;
        }
        let path = if self.path() == "/" { "" } else { self.path() };
        Self { text: format!("{DOCKER_HUB}{path}"), host_len: DOCKER_HUB.len(), port: None }
    }

    /// The name of its entry in a docker config.
    pub fn entry_name(&self) -> &str {
        if self.text == DOCKER_HUB { DOCKER_HUB_ENTRY } else { &self.text }
    }

    /// Whether all that the other one can match, this one matches, too. A label of the other one with a wildcard matches
    /// more than one name, so only a `*` alone covers it, or the same label.
    pub fn covers(&self, other: &Self) -> bool {
        let (own, theirs) = (self.labels(), other.labels());
        self.special_port() == other.special_port()
            && own.len() == theirs.len()
            && own.iter().zip(&theirs).all(|(own, theirs)| *own == "*" || own == theirs)
            && other.path().starts_with(self.path())
    }

    /// The text that was parsed.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The host, perhaps with wildcards.
    pub fn host(&self) -> &str {
        &self.text[..self.host_len]
    }

    /// The port, if the text has one.
    pub fn port(&self) -> Option<u16> {
        self.port
    }

    /// Host and port, without the path.
    pub fn authority(&self) -> &str {
        &self.text[..self.text.find('/').unwrap_or(self.text.len())]
    }

    /// Whether the kubelet would use an entry of this name for the image, where no other entry matches better. It never
    /// looks for one where the image isn't a reference.
    pub fn matches(&self, image: &str) -> bool {
        let mut keyring = Keyring::default();
        keyring.add(&self.text, ());
        Reference::parse(image).is_ok_and(|image| !keyring.lookup(&image).is_empty())
    }

    /// The path, with its slash at the beginning; empty if there is none.
    fn path(&self) -> &str {
        &self.text[self.authority().len()..]
    }

    /// The host's labels.
    pub fn labels(&self) -> Vec<&str> {
        self.host().split('.').collect()
    }

    /// The port where it isn't that of HTTPS.
    pub fn special_port(&self) -> Option<u16> {
        self.port.filter(|port| *port != 443)
    }
}

impl fmt::Display for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for RegistryKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.text, f)
    }
}

fn parse_port(port: &str) -> Result<u16, RegistryKeyError> {
    // The kubelet compares ports as text, so 0443 would never match; and u16's parser takes +443.
    if port.starts_with(['0', '+']) {
        return Err(RegistryKeyError::Port);
    }
    port.parse().map_err(|_| RegistryKeyError::Port)
}

fn check_host(host: &str) -> Result<(), RegistryKeyError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "-.*".contains(c);
    if !host.chars().all(allowed) {
        return Err(RegistryKeyError::HostCharacter);
    }
    if host.len() > MAX_HOST_BYTES {
        return Err(RegistryKeyError::HostTooLong);
    }
    for label in host.split('.') {
        if label.is_empty() {
            return Err(RegistryKeyError::EmptyLabel);
        }
        if label.len() > MAX_LABEL_BYTES {
            return Err(RegistryKeyError::LabelTooLong);
        }
        if label.starts_with('-') || label.ends_with('-') {
            return Err(RegistryKeyError::LabelHyphen);
        }
    }
    if host.rsplit('.').take(2).any(|label| label.contains('*')) {
        return Err(RegistryKeyError::WildcardTooBroad);
    }
    Ok(())
}

fn check_path(path: &str) -> Result<(), RegistryKeyError> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
    if !path.chars().all(allowed) {
        return Err(RegistryKeyError::PathCharacter);
    }
    if path.contains("//") {
        return Err(RegistryKeyError::EmptySegment);
    }
    if path.starts_with("/v1/") || path.starts_with("/v2/") {
        return Err(RegistryKeyError::ApiVersion);
    }
    Ok(())
}

/// Why a list of allowed registries can't be read. Entries count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum AllowedRegistriesError {
    /// An entry that is no registry.
    #[error("entry {entry} isn't a registry: {fault}")]
    NotARegistry {
        /// Which entry.
        entry: usize,
        /// What is wrong with it.
        fault: RegistryKeyError,
    },
    /// An entry with a path.
    #[error("entry {entry} has a path; write the host alone, or host:port")]
    Path {
        /// Which entry.
        entry: usize,
    },
    /// A wildcard elsewhere than as the whole first label.
    #[error("entry {entry} has a wildcard that isn't its whole first label; write it as *.example.com")]
    Wildcard {
        /// Which entry.
        entry: usize,
    },
}

/// The registries that the administrator lists, beyond those of a credential's provider.
///
/// Whoever writes a RegistryCredential could otherwise have a key sent to a host of theirs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AllowedRegistries(Vec<RegistryKey>);

impl AllowedRegistries {
    /// Reads a list, separated by commas, of `host`, `host:port`, `*.host` and `*.host:port`; `*` stands for one label.
    ///
    /// # Errors
    /// The first entry that is none of these.
    pub fn parse(list: &str) -> Result<Self, AllowedRegistriesError> {
        let entries = list.split(',').map(str::trim).enumerate();
        entries
            .filter(|(_, text)| !text.is_empty())
            .map(|(at, text)| allowed_entry(at + 1, text))
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The shortest list that has these, as far as one can, save for those that need no list.
    pub fn covering<'a>(
        registries: impl IntoIterator<Item = &'a str>,
        needs_none: impl Fn(&RegistryKey) -> bool,
    ) -> Self {
        let keys = registries.into_iter().filter_map(|text| RegistryKey::parse(text).ok());
        let entry = |key: RegistryKey| {
            let labels = key.labels().into_iter().map(|label| if label.contains('*') { "*" } else { label });
            let host = labels.collect::<Vec<_>>().join(".");
            let port = key.special_port().map(|port| format!(":{port}")).unwrap_or_default();
            allowed_entry(1, &format!("{host}{port}")).ok()
        };
        let mut entries: Vec<RegistryKey> = keys.filter(|key| !needs_none(key)).filter_map(entry).collect();
        entries.dedup();
        Self(entries)
    }

    /// Whether none is listed.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether every host that the key can match is listed.
    pub fn lists(&self, key: &RegistryKey) -> bool {
        self.0.iter().any(|entry| entry.covers(key))
    }
}

impl std::str::FromStr for AllowedRegistries {
    type Err = AllowedRegistriesError;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        Self::parse(list)
    }
}

fn allowed_entry(entry: usize, text: &str) -> Result<RegistryKey, AllowedRegistriesError> {
    let key = RegistryKey::parse(text).map_err(|fault| AllowedRegistriesError::NotARegistry { entry, fault })?;
    if key.as_str().contains('/') {
        return Err(AllowedRegistriesError::Path { entry });
    }
    let host = key.host();
    if host.strip_prefix("*.").unwrap_or(host).contains('*') {
        return Err(AllowedRegistriesError::Wildcard { entry });
    }
    Ok(key)
}

#[cfg(test)]
#[path = "registry_tests.rs"]
mod tests;
