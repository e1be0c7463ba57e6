//! Names of entries in docker configs, read as the kubelet reads them: as URLs whose host may have wildcards.
//!
//! <https://github.com/kubernetes/kubernetes/blob/v1.36.3/pkg/credentialprovider/keyring.go> (`Add`, `URLsMatch`). Where
//! it leaves the reading to Go's `net/url`, which decodes twice, so is it here.

use std::{fmt, net::Ipv6Addr};

/// What the name of an entry stands for. Anybody may have written anything there.
#[derive(Clone, PartialEq, Eq)]
pub struct EntryName {
    /// Host and path as the kubelet keeps them: what entries are sorted by.
    key: Vec<u8>,
    /// The key, read once more; `None` if it can't be, and matches nothing.
    target: Option<Target>,
}

impl EntryName {
    /// Reads a name: `gcr.io`, `https://gcr.io/v1/`, `*.pkg.dev`, `registry.example:5000/team/`. `None` where the kubelet
    /// passes the entry over.
    pub fn parse(name: &str) -> Option<Self> {
        let bare = name.strip_prefix("https://").or_else(|| name.strip_prefix("http://")).unwrap_or(name);
        let Url { host, path } = Url::parse(bare.as_bytes())?;
        let path = match path.get(..4) {
            Some(b"/v1/" | b"/v2/") => &path[3..],
            _ => &path[..],
        };
        let key = if path == b"/" { host } else { [&host, path].concat() };
        let target = Target::parse(&key);
        Some(Self { key, target })
    }

    /// Whether the entry is for an image's name (registry and repository).
    pub(super) fn matches(&self, image: &Target) -> bool {
        self.target.as_ref().is_some_and(|pattern| pattern.matches(image))
    }

    /// What entries are sorted by: the greatest comes first.
    pub(super) fn key(&self) -> &[u8] {
        &self.key
    }
}

/// As the kubelet reads it: without scheme, user, query and fragment.
impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Some(target) => {
                let port = if target.port.is_empty() { String::new() } else { format!(":{}", target.port) };
                let bracketed = target.host.contains(':') && !target.host.starts_with('[');
                let (open, close) = if bracketed { ("[", "]") } else { ("", "") };
                write!(f, "{open}{}{close}{port}{}", target.host, String::from_utf8_lossy(&target.path))
            }
            None => f.write_str("an entry that matches nothing"),
        }
    }
}

impl fmt::Debug for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "EntryName({self})")
    }
}

/// A host, a port and a path, of an entry or of an image.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Target {
    host: String,
    /// Empty if there is none.
    port: String,
    path: Vec<u8>,
}

impl Target {
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        let Url { host, path } = Url::parse(text)?;
        let host = String::from_utf8(host).ok()?;
        let (host, port) = split_port(&host);
        Some(Self { host: host.to_owned(), port: port.to_owned(), path })
    }

    fn matches(&self, image: &Self) -> bool {
        // An IPv6 address keeps its brackets where it has no port, and Go takes these for a choice of characters.
        !self.host.starts_with('[')
            && self.port == image.port
            && image.path.starts_with(&self.path)
            && self.host.split('.').count() == image.host.split('.').count()
            && self.host.split('.').zip(image.host.split('.')).all(|(pattern, label)| is_like(pattern, label))
    }
}

/// As Go's `net.SplitHostPort`, and the whole text where that fails.
fn split_port(host: &str) -> (&str, &str) {
    match host.rsplit_once(':') {
        Some((address, port)) if address.starts_with('[') && address.ends_with(']') => {
            (&address[1..address.len() - 1], port)
        }
        Some((name, port)) if !name.contains([':', '[', ']']) => (name, port),
        _ => (host, ""),
    }
}

/// Whether a label of a host is like a pattern, in which `*` stands for any characters, none included.
fn is_like(pattern: &str, label: &str) -> bool {
    let Some((start, rest)) = pattern.split_once('*') else { return pattern == label };
    let (middle, end) = rest.rsplit_once('*').unwrap_or(("", rest));
    let Some(mut between) = label.strip_prefix(start).and_then(|label| label.strip_suffix(end)) else { return false };
    middle.split('*').all(|part| match between.find(part) {
        Some(at) => {
            between = &between[at + part.len()..];
            true
        }
        None => false,
    })
}

/// Host (with its port) and path of a URL, decoded.
struct Url {
    host: Vec<u8>,
    path: Vec<u8>,
}

impl Url {
    /// As Go's `url.Parse` of the text with `https://` before it; `None` where that fails.
    fn parse(text: &[u8]) -> Option<Self> {
        if text.iter().any(u8::is_ascii_control) {
            return None;
        }
        let (text, fragment) = cut(text, b'#');
        unescape(fragment)?;
        let (text, _query) = cut(text, b'?');
        let (authority, path) = text.split_at(text.iter().position(|b| *b == b'/').unwrap_or(text.len()));
        let host = match authority.iter().rposition(|b| *b == b'@') {
            Some(at) if !is_user_info(&authority[..at]) => return None,
            Some(at) => &authority[at + 1..],
            None => authority,
        };
        Some(Self { host: parse_host(host)?, path: unescape(path)? })
    }
}

fn cut(text: &[u8], separator: u8) -> (&[u8], &[u8]) {
    match text.iter().position(|b| *b == separator) {
        Some(at) => (&text[..at], &text[at + 1..]),
        None => (text, b""),
    }
}

fn is_user_info(text: &[u8]) -> bool {
    text.iter().all(|b| b.is_ascii_alphanumeric() || b"-._:~!$&'()*+,;=%@".contains(b)) && unescape(text).is_some()
}

fn parse_host(text: &[u8]) -> Option<Vec<u8>> {
    let is_port = |port: &[u8]| port.is_empty() || port[0] == b':' && port[1..].iter().all(u8::is_ascii_digit);
    match text.iter().rposition(|b| *b == b'[') {
        Some(0) => {
            let close = text.iter().rposition(|b| *b == b']')?;
            let is_address = std::str::from_utf8(&text[1..close]).is_ok_and(|text| text.parse::<Ipv6Addr>().is_ok());
            (is_address && is_port(&text[close + 1..])).then(|| text.to_vec())
        }
        Some(_) => None,
        None => {
            let colon = text.iter().position(|b| *b == b':').unwrap_or(text.len());
            is_port(&text[colon..]).then(|| unescape_host(text)).flatten()
        }
    }
}

/// In a host, only what isn't ASCII may be escaped, and `%` itself.
fn unescape_host(text: &[u8]) -> Option<Vec<u8>> {
    let escapes = |three: &[u8]| three[0] != b'%' || three[1] >= b'8' || three == b"%25";
    let allowed = |b: &u8| !b.is_ascii() || b.is_ascii_alphanumeric() || b"-_.~!$&'()*+,;=:]<>\"%".contains(b);
    (text.windows(3).all(escapes) && text.iter().all(allowed)).then(|| unescape(text)).flatten()
}

/// Percent-decoding; `None` where two hexadecimal digits are missing behind a `%`.
fn unescape(text: &[u8]) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(after.get(..2)?).ok().filter(|d| d.bytes().all(|b| b.is_ascii_hexdigit()));
            decoded.push(u8::from_str_radix(digits?, 16).ok()?);
            rest = &after[2..];
        } else {
            decoded.push(*first);
            rest = after;
        }
    }
    Some(decoded)
}
