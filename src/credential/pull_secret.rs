//! The pull secret that a credential resolves to: once per change, the same for every namespace.

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    sync::Arc,
};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use ring::{
    digest::{Context, SHA256},
    hkdf, hmac,
};
use zeroize::Zeroizing;

use super::docker_config::DockerConfig;
use crate::api::SecretName;

/// How many bytes of the hash stand in a revision, each as two hexadecimal digits.
const HASH_BYTES: usize = 16;

/// How many letters and digits in a row make a quotation of the credential.
const QUOTED_BYTES: usize = 16;

/// A fingerprint of all that is applied to a namespace: `v1:` and 32 hexadecimal digits.
///
/// It stands in an annotation of the Secret, so that drift is seen without reading data. A private key is part of what
/// is hashed, so nothing can be guessed back from it. Should the same input ever have to give other bytes, `v1` changes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(Arc<str>);

impl Revision {
    /// The value of the annotation.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// One that no Secret has, or one that was read from a Secret: for a plan that doesn't know the source.
    pub fn assumed(text: &str) -> Self {
        Self(text.into())
    }

    /// `v1:`, which whoever reads the annotation can compare with the hash of a guess. It is kept until the operator has a
    /// key, see [`Self::keyed`].
    fn of(
        config: &DockerConfig,
        name: &SecretName,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let mut hash = Framed(Context::new(&SHA256));
        hash.all(config, name, labels, annotations);
        Self::encode("v1", hash.0.finish().as_ref())
    }

    /// `v2:`, which nobody without the key can compare with anything: many may read the annotation, and a password, other
    /// than a private key, can be guessed.
    pub fn keyed(
        key: &RevisionKey,
        config: &DockerConfig,
        name: &SecretName,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) -> Self {
        let mut hash = Framed(hmac::Context::with_key(&key.0));
        hash.all(config, name, labels, annotations);
        Self::encode("v2", hash.0.sign().as_ref())
    }

    fn encode(version: &str, hash: &[u8]) -> Self {
        let hex: String = hash.iter().take(HASH_BYTES).map(|byte| format!("{byte:02x}")).collect();
        Self(format!("{version}:{hex}").into())
    }
}

/// How many random bytes a [`RevisionKey`] is made from.
pub const KEY_BYTES: usize = 32;

/// The key of the revisions: one of those that are derived from the operator's random bytes, so that none of them tells
/// of another (<https://www.rfc-editor.org/rfc/rfc5869>).
pub struct RevisionKey(hmac::Key);

impl RevisionKey {
    /// What the key is for, which sets it apart from the others.
    const PURPOSE: &'static [u8] = b"regcred/revision";

    /// Derives it; `None` where the library refuses, which it does for lengths that no hash has.
    pub fn derive(secret: &[u8; KEY_BYTES]) -> Option<Self> {
        let root = hkdf::Salt::new(hkdf::HKDF_SHA256, &[]).extract(secret);
        Some(Self(root.expand(&[Self::PURPOSE], hmac::HMAC_SHA256).ok()?.into()))
    }
}

impl fmt::Debug for RevisionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RevisionKey(..)")
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

/// A hash over parts that each begin with their length, so that no two lists of parts give the same input.
struct Framed<H>(H);

/// A hash, with a key or without.
trait Hash {
    fn update(&mut self, bytes: &[u8]);
}

impl Hash for Context {
    fn update(&mut self, bytes: &[u8]) {
        Self::update(self, bytes);
    }
}

impl Hash for hmac::Context {
    fn update(&mut self, bytes: &[u8]) {
        Self::update(self, bytes);
    }
}

impl<H: Hash> Framed<H> {
    /// All that is applied to a namespace.
    fn all(
        &mut self,
        config: &DockerConfig,
        name: &SecretName,
        labels: &BTreeMap<String, String>,
        annotations: &BTreeMap<String, String>,
    ) {
        self.bytes(config.expose_bytes());
        self.bytes(name.as_str().as_bytes());
        self.map(labels);
        self.map(annotations);
    }

    fn length(&mut self, length: usize) {
        self.0.update(&(length as u64).to_be_bytes());
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.0.update(bytes);
    }

    fn map(&mut self, map: &BTreeMap<String, String>) {
        self.length(map.len());
        for (key, value) in map {
            self.bytes(key.as_bytes());
            self.bytes(value.as_bytes());
        }
    }
}

/// What every target namespace gets.
pub struct PullSecret {
    name: SecretName,
    labels: BTreeMap<String, String>,
    annotations: BTreeMap<String, String>,
    revision: Revision,
    encoded: Zeroizing<String>,
    expires_at: Option<Timestamp>,
}

impl PullSecret {
    /// Labels and annotations are the template's; regcred's own are added where the Secret is applied.
    pub fn new(
        name: SecretName,
        labels: BTreeMap<String, String>,
        annotations: BTreeMap<String, String>,
        config: &DockerConfig,
        expires_at: Option<Timestamp>,
    ) -> Self {
        Self {
            revision: Revision::of(config, &name, &labels, &annotations),
            encoded: Zeroizing::new(BASE64_STANDARD.encode(config.expose_bytes())),
            name,
            labels,
            annotations,
            expires_at,
        }
    }

    /// The Secrets' name.
    pub fn name(&self) -> &SecretName {
        &self.name
    }

    /// The template's labels.
    pub fn labels(&self) -> &BTreeMap<String, String> {
        &self.labels
    }

    /// The template's annotations.
    pub fn annotations(&self) -> &BTreeMap<String, String> {
        &self.annotations
    }

    /// The fingerprint of all the above and of the data.
    pub fn revision(&self) -> &Revision {
        &self.revision
    }

    /// The docker config in base64, as the API has it.
    pub fn expose_encoded(&self) -> &str {
        &self.encoded
    }

    /// Whether a text, such as an admission webhook's refusal, repeats a part of the credential: 16 letters or digits in
    /// a row that stand so in the docker config or in its base64. A text may hold up to 15 of them; a registry's name or
    /// an address, which have a dot or a hyphen sooner, don't count.
    pub fn is_quoted_in(&self, text: &str) -> bool {
        let quoted: HashSet<&[u8]> = runs(text.as_bytes()).collect();
        let quotes = |bytes: &[u8]| runs(bytes).any(|run| quoted.contains(run));
        let mut config = Zeroizing::new(Vec::with_capacity(self.encoded.len()));
        let decoded = BASE64_STANDARD.decode_vec(self.encoded.as_bytes(), &mut config);
        decoded.is_err() || quotes(&config) || quotes(self.encoded.as_bytes())
    }

    /// When the credential stops working; `None` for one that doesn't by itself, as a key.
    pub fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }
}

/// Every stretch of so many letters and digits.
fn runs(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.windows(QUOTED_BYTES).filter(|run| run.iter().all(u8::is_ascii_alphanumeric))
}

impl fmt::Debug for PullSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PullSecret")
            .field("name", &self.name)
            .field("revision", &self.revision)
            .field("expires_at", &self.expires_at)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::{
        registry::RegistryKey,
        testing::{KEY_A, one_login, resolved, spec},
    };
    use std::collections::BTreeSet;

    type Pairs<'a> = &'a [(&'a str, &'a str)];

    fn map(pairs: Pairs<'_>) -> BTreeMap<String, String> {
        pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect()
    }

    fn secret(password: &str, name: &str, labels: Pairs<'_>, annotations: Pairs<'_>) -> PullSecret {
        let registry = [RegistryKey::parse("gcr.io").unwrap()];
        let config = one_login(&registry, password).unwrap();
        PullSecret::new(name.into(), map(labels), map(annotations), &config, None)
    }

    /// `printf` of the framed parts, piped to `sha256sum`, gives the same. If this has to change, so must `v1`.
    #[test]
    fn the_revision_is_a_hash_of_the_framed_parts() {
        let revision = secret("pw", "name", &[("a", "b")], &[]).revision().clone();
        let config = br#"{"auths":{"gcr.io":{"username":"_json_key","password":"pw","auth":"X2pzb25fa2V5OnB3"}}}"#;
        let len = |n: u8| [0, 0, 0, 0, 0, 0, 0, n];
        let framed =
            [&len(config.len() as u8)[..], config, &len(4), b"name", &len(1), &len(1), b"a", &len(1), b"b", &len(0)]
                .concat();
        let digest = ring::digest::digest(&SHA256, &framed);
        let hex: String = digest.as_ref().iter().map(|b| format!("{b:02x}")).collect();
        assert_eq!(revision.as_str(), format!("v1:{}", &hex[..32]));
        assert_eq!(revision.to_string(), revision.as_str());
        assert_eq!(format!("{revision:?}"), format!("{:?}", revision.as_str()));
    }

    fn keyed(key: u8, password: &str) -> Revision {
        let registry = [RegistryKey::parse("ghcr.io").unwrap()];
        let config = one_login(&registry, password).unwrap();
        let key = RevisionKey::derive(&[key; KEY_BYTES]).unwrap();
        Revision::keyed(&key, &config, &"name".into(), &map(&[("a", "b")]), &map(&[]))
    }

    /// HKDF and HMAC from Python's `hmac` and `hashlib`, over the parts framed as for `v1`, give the same.
    #[test]
    fn a_keyed_revision_is_an_hmac_of_the_framed_parts() {
        assert_eq!(keyed(7, "pw").as_str(), "v2:90d91f115cf91bed3c96029116002288");
        assert_eq!(keyed(7, "pw"), keyed(7, "pw"));
        assert_ne!(keyed(7, "pw"), keyed(7, "pw2"));
        assert_eq!(format!("{:?}", RevisionKey::derive(&[7; KEY_BYTES]).unwrap()), "RevisionKey(..)");
    }

    /// Who reads annotations and all else of the Secret but its data knows every other part of what is hashed.
    #[test]
    fn a_password_cannot_be_guessed_from_a_revision_without_the_key() {
        const WORDS: [&str; 8] =
            ["123456", "password", "hunter2", "letmein", "qwerty", "dragon", "correct horse", "changeme"];
        let seen = keyed(7, "hunter2");
        let guessed = |key: u8| WORDS.iter().find(|word| keyed(key, word) == seen);
        assert_eq!(guessed(7), Some(&"hunter2"), "with the key it can");
        for key in [0, 1, 8, 255] {
            assert_eq!(guessed(key), None, "with another key");
        }
        let unkeyed = |word: &str| secret(word, "name", &[("a", "b")], &[]).revision().clone();
        let digits = |revision: &Revision| revision.as_str()[3..].to_owned();
        assert!(WORDS.iter().all(|word| digits(&unkeyed(word)) != digits(&seen)), "by a plain hash");
    }

    #[test]
    fn the_revision_changes_with_every_part() {
        let all = [
            secret("pw", "name", &[], &[]),
            secret("pw2", "name", &[], &[]),
            secret("pw", "name2", &[], &[]),
            secret("pw", "name", &[("a", "b")], &[]),
            secret("pw", "name", &[], &[("a", "b")]),
            secret("pw", "name", &[("ab", "")], &[]),
            secret("pw", "name", &[("", "ab")], &[]),
            secret("pw", "name", &[("a", "b"), ("c", "d")], &[]),
            secret("pw", "name", &[("a", "b")], &[("c", "d")]),
        ];
        let revisions: BTreeSet<&Revision> = all.iter().map(PullSecret::revision).collect();
        assert_eq!(revisions.len(), all.len());
        assert_eq!(secret("pw", "name", &[], &[]).revision(), all[0].revision());
    }

    #[test]
    fn it_gives_back_what_it_was_made_of() {
        let soon = Timestamp::from_second(1_800_000_000).unwrap();
        let registry = [RegistryKey::parse("gcr.io").unwrap()];
        let config = one_login(&registry, "pw").unwrap();
        let secret = PullSecret::new("n".into(), map(&[("l", "1")]), map(&[("a", "2")]), &config, Some(soon));
        assert_eq!(secret.name().as_str(), "n");
        assert_eq!(secret.labels(), &map(&[("l", "1")]));
        assert_eq!(secret.annotations(), &map(&[("a", "2")]));
        assert_eq!(secret.expires_at(), Some(soon));
        let decoded = BASE64_STANDARD.decode(secret.expose_encoded()).unwrap();
        assert_eq!(decoded, config.expose_bytes());
    }

    #[test]
    fn a_text_that_quotes_the_credential_is_known() {
        let secret = secret("-abcdefghijklmnopq-rs/tu-", "name", &[], &[]);
        let quotes = |text: &str| secret.is_quoted_in(text);
        assert!(quotes("denied: \\nabcdefghijklmnopxyz"));
        assert!(quotes("bcdefghijklmnopq"));
        assert!(!quotes("abcdefghijklmno, bcdefghijklmnop"), "15 in a row");
        assert!(!quotes("ABCDEFGHIJKLMNOPQRS"));
        assert!(quotes(&format!("data: {}", &secret.expose_encoded()[8..24])), "its base64");
        assert!(!quotes(""));
    }

    #[test]
    fn naming_registries_and_the_account_is_not_quoting() {
        let secret = resolved("darwin", &spec(&["gcr.io/darwin/", "europe-docker.pkg.dev/darwin/images/"]));
        let text = "gcr.io/darwin/ europe-docker.pkg.dev/darwin/images/ puller@darwin.iam.gserviceaccount.com dockerconfigjson";
        assert!(!secret.is_quoted_in(text));
        let key: String = KEY_A.chars().skip(600).take(64).collect();
        assert!(secret.is_quoted_in(&key));
    }

    #[test]
    fn debug_shows_no_data() {
        let secret = secret("pw-pw-pw-pw", "name", &[], &[]);
        let shown = format!("{secret:?}");
        assert!(shown.contains("name") && shown.contains("v1:"));
        assert!(!shown.contains("pw-pw") && !shown.contains(&secret.expose_encoded()[..8]));
    }
}
