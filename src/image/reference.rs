//! Image references, parsed and normalised as the library does it that Kubernetes and the container runtimes use.
//!
//! <https://github.com/distribution/reference/blob/v0.6.0/normalize.go> (`ParseNormalizedNamed`), and for the tag that
//! is meant where there is none
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/util/parsers/parsers.go> (`ParseImageName`).

use std::fmt;

use thiserror::Error;

pub(super) const DOCKER_HUB: &str = "docker.io";

/// Docker's own name for Docker Hub, which is taken for [`DOCKER_HUB`].
pub(super) const DOCKER_HUB_INDEX: &str = "index.docker.io";

/// Where the images of Docker Hub are whose name is a single word.
const OFFICIAL: &str = "library/";

/// The tag that is meant where a reference has neither tag nor digest.
const DEFAULT_TAG: &str = "latest";

const MAX_REPOSITORY_BYTES: usize = 255;
const MAX_TAG_BYTES: usize = 128;

/// The digests that references may have, and how many hexadecimal digits each has.
const ALGORITHMS: [(&str, usize); 3] = [("sha256", 64), ("sha384", 96), ("sha512", 128)];

/// Why a text isn't an image reference. It doesn't hold the text, in which somebody may have put a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum ReferenceError {
    /// An empty text.
    #[error("it is empty; write an image such as registry.example/team/app:1.2")]
    Empty,
    /// A blank or a control character.
    #[error("it has a blank or a control character; write it without")]
    Blank,
    /// `https://…`
    #[error("it begins with a scheme; write it without https://, such as registry.example/team/app:1.2")]
    Scheme,
    /// 64 hexadecimal digits.
    #[error("it is 64 hexadecimal digits, as an image's ID is; write the repository, too: repository@sha256:DIGEST")]
    Identifier,
    /// The part before the first slash is meant as a host and isn't one.
    #[error(
        "what stands before its first / isn't a registry; write a host of letters, digits, - and ., or an IPv6 address \
         in brackets, and a port behind a colon if it isn't that of HTTPS"
    )]
    Registry,
    /// Nothing between the registry and the tag.
    #[error("it has no repository; write one behind the registry's /, such as registry.example/team/app")]
    NoRepository,
    /// Upper case in the repository.
    #[error("its repository has upper case letters; write it in lower case")]
    UpperCase,
    /// Two slashes in a row, or one at the end.
    #[error("its repository has an empty part; write no / at its end and no two in a row")]
    EmptyPart,
    /// A character or an order of characters that no repository has.
    #[error(
        "its repository has a part that isn't one; write a-z and 0-9, and between these a single ., one or two _, or -"
    )]
    Repository,
    /// More than 255 bytes.
    #[error("its repository has more than {MAX_REPOSITORY_BYTES} characters; shorten it")]
    RepositoryTooLong,
    /// A tag that isn't one.
    #[error(
        "its tag isn't one; write 1 to {MAX_TAG_BYTES} letters, digits, _, . and - behind the :, beginning with none of \
         . and -"
    )]
    Tag,
    /// A digest of another algorithm.
    #[error("its digest isn't one of sha256, sha384 or sha512; write @sha256: and 64 hexadecimal digits")]
    DigestAlgorithm,
    /// A digest of the wrong length or with other characters.
    #[error(
        "its digest isn't one; write the hexadecimal digits in lower case: 64 for sha256, 96 for sha384, 128 for sha512"
    )]
    Digest,
}

/// An image reference with the registry and repository filled in, and the tag and digest as they were written.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Reference {
    registry: String,
    repository: String,
    tag: Option<String>,
    digest: Option<String>,
}

impl Reference {
    /// Parses and normalises a reference: without a registry it is Docker Hub's, where a single word is below `library/`.
    ///
    /// # Errors
    /// Says what is wrong, and nothing of the text.
    pub fn parse(text: &str) -> Result<Self, ReferenceError> {
        if let Some(error) = not_at_all(text) {
            return Err(error);
        }
        let (registry, rest) = split_registry(text);
        let (rest, digest) = split_at_char(rest, '@');
        let (path, tag) = split_at_char(rest, ':');
        let official = if registry == DOCKER_HUB && !path.contains('/') { OFFICIAL } else { "" };
        let repository = format!("{official}{path}");
        check_name(registry, path, &repository)?;
        if tag.is_some_and(|tag| !is_tag(tag)) {
            return Err(ReferenceError::Tag);
        }
        digest.map_or(Ok(()), check_digest)?;
        Ok(Self {
            registry: registry.to_owned(),
            repository,
            tag: tag.map(str::to_owned),
            digest: digest.map(str::to_owned),
        })
    }

    /// The registry's host, with a port if it was written.
    pub fn registry(&self) -> &str {
        &self.registry
    }

    /// The repository at the registry, without a slash at its beginning.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// Registry and repository: what the kubelet looks for in docker configs.
    pub fn name(&self) -> String {
        format!("{}/{}", self.registry, self.repository)
    }

    /// The tag that was written.
    pub fn tag(&self) -> Option<&str> {
        self.tag.as_deref()
    }

    /// The digest that was written, such as `sha256:…`; it says which image is pulled, whatever the tag.
    pub fn digest(&self) -> Option<&str> {
        self.digest.as_deref()
    }

    /// The tag that was written, or `latest` where there is no digest either.
    pub fn effective_tag(&self) -> Option<&str> {
        self.tag().or(if self.digest.is_none() { Some(DEFAULT_TAG) } else { None })
    }

    /// Whether the tag is `latest`, written or meant; a digest beside it changes nothing about that.
    pub fn is_latest(&self) -> bool {
        self.effective_tag() == Some(DEFAULT_TAG)
    }
}

/// The name, tag and digest, as they can be parsed again. No tag is made up.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.repository)?;
        if let Some(tag) = &self.tag {
            write!(f, ":{tag}")?;
        }
        match &self.digest {
            Some(digest) => write!(f, "@{digest}"),
            None => Ok(()),
        }
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

/// What is wrong with a text that can't be cut into the parts of a reference.
fn not_at_all(text: &str) -> Option<ReferenceError> {
    if text.is_empty() {
        Some(ReferenceError::Empty)
    } else if text.contains(|c: char| c.is_whitespace() || c.is_control()) {
        Some(ReferenceError::Blank)
    } else if text.contains("://") {
        Some(ReferenceError::Scheme)
    } else if text.len() == 64 && text.bytes().all(is_lower_hex) {
        Some(ReferenceError::Identifier)
    } else {
        None
    }
}

/// The registry, and what comes behind it. A single word is a repository; what stands before the first slash is a
/// registry if it can't be a part of a repository, or is `localhost`.
fn split_registry(text: &str) -> (&str, &str) {
    match text.split_once('/') {
        Some((DOCKER_HUB_INDEX, rest)) => (DOCKER_HUB, rest),
        Some((first, rest)) if first == "localhost" || first.contains(['.', ':']) || has_upper_case(first) => {
            (first, rest)
        }
        _ => (DOCKER_HUB, text),
    }
}

fn split_at_char(text: &str, separator: char) -> (&str, Option<&str>) {
    text.split_once(separator).map_or((text, None), |(before, after)| (before, Some(after)))
}

fn has_upper_case(text: &str) -> bool {
    text.contains(char::is_uppercase)
}

/// `path` is what was written of the `repository`.
fn check_name(registry: &str, path: &str, repository: &str) -> Result<(), ReferenceError> {
    if path.is_empty() {
        return Err(ReferenceError::NoRepository);
    }
    if has_upper_case(path) {
        return Err(ReferenceError::UpperCase);
    }
    if path.split('/').any(str::is_empty) {
        return Err(ReferenceError::EmptyPart);
    }
    if !path.split('/').all(is_repository_part) {
        return Err(ReferenceError::Repository);
    }
    // A first part with a dot that is no host, such as a_b.c, is taken for a part of the repository.
    let counted = match (is_host_and_port(registry), is_repository_part(registry)) {
        (true, _) => repository.len(),
        (false, true) => registry.len() + 1 + repository.len(),
        (false, false) => return Err(ReferenceError::Registry),
    };
    if counted > MAX_REPOSITORY_BYTES { Err(ReferenceError::RepositoryTooLong) } else { Ok(()) }
}

fn is_host_and_port(text: &str) -> bool {
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|b| b.is_ascii_digit());
    if let Some((address, rest)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let is_address = !address.is_empty() && address.bytes().all(|b| b.is_ascii_hexdigit() || b == b':');
        return is_address && (rest.is_empty() || rest.strip_prefix(':').is_some_and(is_port));
    }
    let (host, port) = split_at_char(text, ':');
    host.split('.').all(is_label) && port.is_none_or(is_port)
}

fn is_label(label: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    label.starts_with(alphanumeric)
        && label.ends_with(alphanumeric)
        && label.chars().all(|c| alphanumeric(c) || c == '-')
}

/// Whether a text may stand between the slashes of a repository: letters and digits, with `.`, `_`, `__` or any number of
/// `-` between them.
pub fn is_repository_part(part: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    let is_separator = |text: &str| matches!(text, "" | "." | "_" | "__") || text.bytes().all(|b| b == b'-');
    part.starts_with(alphanumeric) && part.ends_with(alphanumeric) && part.split(alphanumeric).all(is_separator)
}

fn is_tag(tag: &str) -> bool {
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    tag.len() <= MAX_TAG_BYTES && tag.starts_with(word) && tag.chars().all(|c| word(c) || c == '.' || c == '-')
}

fn is_lower_hex(byte: u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'a'..=b'f')
}

fn check_digest(digest: &str) -> Result<(), ReferenceError> {
    let (algorithm, hex) = digest.split_once(':').ok_or(ReferenceError::DigestAlgorithm)?;
    let known = ALGORITHMS.iter().find(|(name, _)| *name == algorithm);
    let (_, digits) = known.ok_or(ReferenceError::DigestAlgorithm)?;
    if hex.len() == *digits && hex.bytes().all(is_lower_hex) { Ok(()) } else { Err(ReferenceError::Digest) }
}

#[cfg(test)]
#[path = "reference_tests.rs"]
mod tests;
