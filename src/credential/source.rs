//! The source Secret as the API server sends it, in memory that is wiped.
//!
//! `k8s_openapi`'s Secret would do but for that. Base64 has no character that JSON escapes, so the values are decoded
//! straight from the response; annotations other than our own are skipped unread, as `kubectl apply` leaves a copy of the
//! data in one.

use std::{collections::BTreeMap, fmt};

use base64::{Engine, prelude::BASE64_STANDARD};
use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};
use thiserror::Error;
use zeroize::Zeroizing;

/// How many keys an error lists.
const MAX_LISTED: usize = 10;

/// The longest name of a key that Kubernetes has.
const MAX_KEY_CHARS: usize = 253;

/// What is wrong with a source Secret. It holds names of keys, never a value.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SourceError {
    /// The body isn't a Secret as the API server sends it.
    #[error("the API server's answer isn't a Secret (line {line}, column {column})")]
    NotASecret {
        /// The line, from 1.
        line: usize,
        /// The column in bytes, from 1.
        column: usize,
    },
    /// The Secret has no such key.
    #[error("it has no key {key}; {}", listed(.available, *.more))]
    KeyNotFound {
        /// The key that was asked for.
        key: String,
        /// The first of its keys, sorted.
        available: Vec<String>,
        /// How many more there are.
        more: usize,
    },
}

fn listed(available: &[String], more: usize) -> String {
    match (available, more) {
        ([], _) => "it has no data".to_owned(),
        (keys, 0) => format!("it has: {}", keys.join(", ")),
        (keys, more) => format!("it has: {} and {more} more", keys.join(", ")),
    }
}

/// A Secret that a credential comes from.
pub struct SourceSecret {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    secret_type: String,
    marks: Marks,
    is_managed: bool,
    data: BTreeMap<String, Value>,
}

/// What its owner has said of it by annotations.
#[derive(Clone, Default, Deserialize)]
pub struct Marks {
    /// The registries that its login may be sent to.
    #[serde(default, rename = "regcred.dev/registries")]
    pub registries: Option<String>,
    /// What it may be used for.
    #[serde(default, rename = "regcred.dev/use")]
    pub usage: Option<String>,
}

impl SourceSecret {
    /// Reads the API server's JSON.
    ///
    /// # Errors
    /// If that isn't a Secret.
    pub fn from_json(body: &[u8]) -> Result<Self, SourceError> {
        // serde_json's own text may quote the input.
        let body: Body = serde_json::from_slice(body)
            .map_err(|error| SourceError::NotASecret { line: error.line(), column: error.column() })?;
        Ok(Self {
            namespace: body.metadata.namespace,
            name: body.metadata.name,
            uid: body.metadata.uid,
            resource_version: body.metadata.resource_version,
            secret_type: body.secret_type,
            marks: body.metadata.annotations.unwrap_or_default(),
            is_managed: body.metadata.labels.unwrap_or_default().credential.is_some(),
            data: body.data.unwrap_or_default(),
        })
    }

    /// One that no API server has seen yet.
    pub fn unapplied(namespace: &str, name: &str, data: BTreeMap<String, Zeroizing<Vec<u8>>>) -> Self {
        Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            uid: String::new(),
            resource_version: String::new(),
            secret_type: String::new(),
            marks: Marks::default(),
            is_managed: false,
            data: data.into_iter().map(|(key, bytes)| (key, Value(bytes))).collect(),
        }
    }

    /// As its manifest says that it is.
    #[must_use]
    pub fn with(self, secret_type: &str, marks: Marks) -> Self {
        Self { secret_type: secret_type.to_owned(), marks, ..self }
    }

    /// `metadata.namespace`.
    pub fn namespace(&self) -> &str {
        &self.namespace
    }

    /// `metadata.name`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `metadata.uid`.
    pub fn uid(&self) -> &str {
        &self.uid
    }

    /// `metadata.resourceVersion`.
    pub fn resource_version(&self) -> &str {
        &self.resource_version
    }

    /// `type`; empty for one that no API server has seen yet.
    pub fn secret_type(&self) -> &str {
        &self.secret_type
    }

    /// What its owner has said of it by annotations.
    pub fn marks(&self) -> &Marks {
        &self.marks
    }

    /// Whether it has the label of the Secrets that regcred makes.
    pub fn is_managed(&self) -> bool {
        self.is_managed
    }

    /// Which it is, in a sentence.
    pub fn at(&self) -> String {
        format!("Secret {}/{}", self.namespace, self.name)
    }

    /// The keys that it has, with their bytes.
    pub fn entries(&self) -> impl Iterator<Item = (&str, &[u8])> {
        self.data.iter().map(|(key, value)| (key.as_str(), value.0.as_slice()))
    }

    /// The bytes under a key.
    ///
    /// # Errors
    /// Names the keys that are there.
    pub fn get(&self, key: &str) -> Result<&[u8], SourceError> {
        match self.data.get(key) {
            Some(value) => Ok(&value.0),
            None => Err(SourceError::KeyNotFound {
                key: printable(key),
                available: self.data.keys().take(MAX_LISTED).map(|k| printable(k)).collect(),
                more: self.data.len().saturating_sub(MAX_LISTED),
            }),
        }
    }
}

/// Names of keys that Kubernetes takes stay as they are; anything else doesn't get into a message.
fn printable(key: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    key.chars().take(MAX_KEY_CHARS).map(|c| if allowed(c) { c } else { '?' }).collect()
}

impl fmt::Debug for SourceSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SourceSecret")
            .field("namespace", &self.namespace)
            .field("name", &self.name)
            .field("resource_version", &self.resource_version)
            .finish_non_exhaustive()
    }
}

#[derive(Deserialize)]
struct Body {
    metadata: Metadata,
    #[serde(default, rename = "type")]
    secret_type: String,
    #[serde(default)]
    data: Option<BTreeMap<String, Value>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    namespace: String,
    name: String,
    uid: String,
    resource_version: String,
    #[serde(default)]
    annotations: Option<Marks>,
    #[serde(default)]
    labels: Option<Labels>,
}

#[derive(Default, Deserialize)]
struct Labels {
    #[serde(default, rename = "regcred.dev/credential")]
    credential: Option<de::IgnoredAny>,
}

/// A value, decoded.
struct Value(Zeroizing<Vec<u8>>);

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Base64;

        impl Visitor<'_> for Base64 {
            type Value = Value;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("base64")
            }

            fn visit_str<E: de::Error>(self, base64: &str) -> Result<Value, E> {
                // As large as it can get: growing would leave a copy behind.
                let mut bytes = Zeroizing::new(Vec::with_capacity(base64.len()));
                BASE64_STANDARD.decode_vec(base64, &mut bytes).map_err(|_| E::custom("not base64"))?;
                Ok(Value(bytes))
            }

            // Go writes null for an empty value that was never set.
            fn visit_unit<E: de::Error>(self) -> Result<Value, E> {
                Ok(Value(Zeroizing::default()))
            }
        }

        // Not `deserialize_str`, which refuses null.
        deserializer.deserialize_any(Base64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::credential::testing::secret_json;
    use proptest::prelude::*;

    fn source(data: &[(&str, &[u8])]) -> SourceSecret {
        SourceSecret::from_json(secret_json(data).as_bytes()).unwrap()
    }

    #[test]
    fn a_secret_of_the_api_server_is_read() {
        let secret = source(&[("key.json", b"\x00\xFF{}"), ("empty", b"")]);
        assert_eq!(secret.namespace(), "regcred-system");
        assert_eq!(secret.name(), "darwin-gcr-key");
        assert_eq!(secret.uid(), "11111111-2222-3333-4444-555555555555");
        assert_eq!(secret.resource_version(), "812");
        assert_eq!(secret.secret_type(), "Opaque");
        assert_eq!(secret.get("key.json"), Ok(&b"\x00\xFF{}"[..]));
        assert_eq!(secret.get("empty"), Ok(&b""[..]));
    }

    #[test]
    fn a_secret_without_data_is_read_too() {
        let full = secret_json(&[]);
        for data in ["", ",\"data\":null", ",\"data\":{\"x\":null}"] {
            let body = full.replace(",\"data\":{}", data);
            let secret = SourceSecret::from_json(body.as_bytes()).unwrap();
            assert_eq!(secret.get("x").ok(), data.contains('x').then_some(&b""[..]), "{body}");
        }
    }

    #[test]
    fn a_missing_key_names_those_that_are_there() {
        let message = |secret: &SourceSecret, key| secret.get(key).unwrap_err().to_string();
        assert_eq!(message(&source(&[]), "k"), "it has no key k; it has no data");
        assert_eq!(message(&source(&[("b", b""), ("a", b"")]), "k"), "it has no key k; it has: a, b");
        let names: Vec<String> = (0..11).map(|n| format!("k{n:02}")).collect();
        let data: Vec<(&str, &[u8])> = names.iter().map(|n| (n.as_str(), &b""[..])).collect();
        assert_eq!(
            message(&source(&data[..10]), "x"),
            "it has no key x; it has: k00, k01, k02, k03, k04, k05, k06, k07, k08, k09"
        );
        assert_eq!(
            message(&source(&data), "x"),
            "it has no key x; it has: k00, k01, k02, k03, k04, k05, k06, k07, k08, k09 and 1 more"
        );
    }

    #[test]
    fn odd_names_of_keys_are_made_harmless() {
        assert_eq!(
            source(&[("a\nb c", b"")]).get("x\u{1b}y").unwrap_err().to_string(),
            "it has no key x?y; it has: a?b?c"
        );
        assert_eq!(printable("aZ0-._"), "aZ0-._");
        assert_eq!(printable(&"a".repeat(254)), "a".repeat(253));
    }

    #[test]
    fn what_is_no_secret_is_refused_without_quoting_it() {
        let good = secret_json(&[("k", b"hello")]);
        assert!(SourceSecret::from_json(good.as_bytes()).is_ok());
        for body in [
            "".to_owned(),
            "{}".to_owned(),
            "\"marker-marker\"".to_owned(),
            good.replace("\"aGVsbG8=\"", "\"marker-marker\""),
            good.replace("\"aGVsbG8=\"", "17"),
            good.replace("\"uid\"", "\"marker-marker\""),
            good.replace("\"resourceVersion\"", "\"marker-marker\""),
        ] {
            let error = SourceSecret::from_json(body.as_bytes()).unwrap_err();
            assert!(matches!(error, SourceError::NotASecret { .. }), "{body}");
            assert!(!error.to_string().contains("marker"));
        }
        assert_eq!(
            SourceSecret::from_json(b"{\n x").unwrap_err().to_string(),
            "the API server's answer isn't a Secret (line 2, column 2)"
        );
    }

    #[test]
    fn debug_shows_no_data() {
        let shown = format!("{:?}", source(&[("k", b"hello")]));
        assert_eq!(
            shown,
            r#"SourceSecret { namespace: "regcred-system", name: "darwin-gcr-key", resource_version: "812", .. }"#
        );
    }

    #[test]
    fn an_expected_type_is_named() {
        // Only seen by whoever debugs this: the error's text is dropped.
        let error = serde_json::from_str::<Value>("1").err().unwrap();
        assert!(error.to_string().contains("expected base64"));
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let secret = source(&[("k", &bytes)]);
            prop_assert_eq!(secret.get("k"), Ok(&bytes[..]));
        }

        #[test]
        fn any_body_ends_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..100)) {
            let _ = SourceSecret::from_json(&bytes);
        }
    }
}
