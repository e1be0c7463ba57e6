//! The fingerprint of what is applied to a namespace, and the key that keeps it from telling anything.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::docker_config::DockerConfig;
use crate::api::SecretName;

/// How many bytes of the hash of what a Secret holds stand in a revision, each as two hexadecimal digits.
const DATA_BYTES: usize = 16;

/// The same of the hash of its name, labels and annotations.
const TEMPLATE_BYTES: usize = 8;

/// A fingerprint of all that is applied to a namespace: `v2:`, 32 hexadecimal digits for the docker config, a hyphen, and 16
/// for the Secret's name, labels and annotations.
///
/// It stands in an annotation of the Secret, so that drift is seen without reading data. Many may read that, and a
/// password, other than a private key, can be guessed; so nobody can compare it with anything who doesn't have the key. Name,
/// labels and annotations are no secret: their part stays the same with another key.
/// Should the same input ever have to give other bytes, `v2` changes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// What the value of an annotation begins with that was made with a key of ours.
    pub const VERSION: &'static str = "v2:";

    /// Of all that is applied.
    pub fn new(
        key: &RevisionKey,
        config: &DockerConfig,
        name: &SecretName,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let data = hmac::sign(&key.0, config.expose_bytes());
        let mut template = Framed::default();
        template.bytes(name.as_str().as_bytes());
        template.map(labels);
        template.map(annotations);
        let template = digest::digest(&digest::SHA256, &template.0);
        let hex = |hash: &[u8], bytes: usize| -> String {
            hash.iter().take(bytes).map(|byte| format!("{byte:02x}")).collect()
        };
        let (data, template) = (hex(data.as_ref(), DATA_BYTES), hex(template.as_ref(), TEMPLATE_BYTES));
        Self(format!("{}{data}-{template}", Self::VERSION).into())
    }

    /// Whether a Secret of the other revision has the right labels and annotations already.
    pub fn has_template_of(&self, other: &str) -> bool {
        fn template(text: &str) -> Option<&str> {
            text.strip_prefix(Revision::VERSION)?.split_once('-').map(|(_, template)| template)
        }
        template(&self.0).is_some() && template(&self.0) == template(other)
    }

    /// One that no Secret has, or one that was read from a Secret: for a plan that doesn't know the source.
    pub fn assumed(text: &str) -> Self {
        Self(text.into())
    }

    /// The value of the annotation.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Revision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&*self.0, f)
    }
}

/// Parts that each begin with their length, so that no two lists of parts are the same bytes.
#[derive(Default)]
struct Framed(Vec<u8>);

impl Framed {
    fn length(&mut self, length: usize) {
        self.0.extend_from_slice(&(length as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.extend_from_slice(bytes);
    }

    fn map(&mut self, map: &BTreeMap<String, String>) {
        self.length(map.len());
        for (key, value) in map {
            self.bytes(key.as_bytes());
            self.bytes(value.as_bytes());
        }
    }
}

/// How many random bytes a [`RootKey`] has.
pub const KEY_BYTES: usize = 32;

/// The operator's random bytes. They are never used themselves: the key for each purpose is derived from them, so that
/// none of these tells of another.
#[derive(Clone, PartialEq, Eq)]
pub struct RootKey(Zeroizing<[u8; KEY_BYTES]>);

impl RootKey {
    /// Of these bytes; `None` where they aren't [`KEY_BYTES`].
    pub fn new(bytes: &[u8]) -> Option<Self> {
        Some(Self(Zeroizing::new(bytes.try_into().ok()?)))
    }

    /// The bytes themselves, to be stored.
    pub fn expose_bytes(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }

    /// Whether a text repeats a part of them in base64, as they are stored: 8 characters in a row.
    pub fn is_quoted_in(&self, text: &str) -> bool {
        let encoded = Zeroizing::new(BASE64_STANDARD.encode(*self.0));
        encoded.as_bytes().windows(8).any(|part| text.as_bytes().windows(8).any(|quoted| quoted == part))
    }

    /// The key of the revisions.
    ///
    /// This is HKDF's expansion to one block; what is random and as long as a key needs no extraction
    /// (<https://www.rfc-editor.org/rfc/rfc5869>, 2.3 and 3.3).
    pub fn revision_key(&self) -> RevisionKey {
        const PURPOSE: &[u8] = b"regcred/revision\x01";
        let root = hmac::Key::new(hmac::HMAC_SHA256, &*self.0);
        RevisionKey(hmac::Key::new(hmac::HMAC_SHA256, hmac::sign(&root, PURPOSE).as_ref()))
    }
}

impl fmt::Debug for RootKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RootKey(..)")
    }
}

/// The key of the revisions.
#[derive(Clone)]
pub struct RevisionKey(hmac::Key);

impl RevisionKey {
    /// For who asks whether a source can be used, and not for what becomes of it.
    pub fn nobodys() -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, &[]))
    }
}

impl fmt::Debug for RevisionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevisionKey(..)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{registry::RegistryKey, testing::one_login};

    fn key(byte: u8) -> RootKey {
        RootKey::new(&[byte; KEY_BYTES]).unwrap()
    }

    fn revision(key: &RootKey, password: &str) -> Revision {
        let config = one_login(&[RegistryKey::parse("ghcr.io").unwrap()], password).unwrap();
        let labels = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        Revision::new(&key.revision_key(), &config, &"name".into(), &labels, &BTreeMap::new())
    }

    /// Python's `hmac` and `hashlib` give the same. If this has to change, so must `v2`.
    #[test]
    fn it_is_an_hmac_by_a_key_that_is_derived_and_a_hash_of_the_framed_rest() {
        let seen = revision(&key(7), "pw");
        assert_eq!(seen.as_str(), "v2:90f7a1ceb1bc01d2fcbebf10fd2370f9-8f779a4a0c45f86d");
        assert_eq!((seen.to_string(), format!("{seen:?}")), (seen.as_str().to_owned(), format!("{:?}", seen.as_str())));
        assert_eq!(revision(&key(7), "pw"), seen);
        assert_ne!(revision(&key(7), "pw2"), seen);
    }

    #[test]
    fn it_tells_what_a_secret_holds_from_how_it_is_labelled() {
        let (one, other) = (revision(&key(7), "pw"), revision(&key(7), "pw2"));
        assert!(one.has_template_of(revision(&key(8), "pw").as_str()), "whatever the key");
        assert!(one.has_template_of(other.as_str()) && one.has_template_of(one.as_str()));
        let labelled = one.as_str().replace(&one.as_str()[one.as_str().len() - 4..], "0000");
        assert!(!one.has_template_of(&labelled) && !other.has_template_of(&labelled));
        for not_ours in ["", "v1:00", "v2:", "v2:00", "unknown"] {
            let assumed = Revision::assumed(not_ours);
            assert!(!one.has_template_of(not_ours) && !assumed.has_template_of(one.as_str()), "{not_ours}");
            assert!(!assumed.has_template_of(not_ours), "{not_ours}");
        }
    }

    /// Who reads annotations and all else of the Secret but its data knows every other part of what is hashed.
    #[test]
    fn a_password_cannot_be_guessed_without_the_key() {
        const WORDS: [&str; 8] =
            ["123456", "password", "hunter2", "letmein", "qwerty", "dragon", "correct horse", "changeme"];
        let seen = revision(&key(7), "hunter2");
        let guessed = |key: &RootKey| WORDS.iter().find(|word| revision(key, word) == seen);
        assert_eq!(guessed(&key(7)), Some(&"hunter2"), "with the key it can");
        for byte in [0, 1, 8, 255] {
            assert_eq!(guessed(&key(byte)), None, "with another key");
        }
    }

    #[test]
    fn a_key_has_its_length_and_shows_nothing() {
        for length in [0, KEY_BYTES - 1, KEY_BYTES + 1] {
            assert_eq!(RootKey::new(&vec![0; length]), None);
        }
        let shown = format!("{:?} {:?}", key(7), key(7).revision_key());
        assert_eq!(shown, "RootKey(..) RevisionKey(..)");
        assert_eq!(key(7).expose_bytes(), &[7; KEY_BYTES]);
        let encoded = BASE64_STANDARD.encode([7; KEY_BYTES]);
        assert!(key(7).is_quoted_in(&format!("data.key: {}: denied", &encoded[..20])));
        assert!(!key(7).is_quoted_in(&encoded[..7]) && !key(8).is_quoted_in(&encoded) && !key(7).is_quoted_in(""));
    }
}
