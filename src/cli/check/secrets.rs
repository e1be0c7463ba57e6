//! Secrets that a RegistryCredential in the same files takes its key from.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::{
    finding::{Effect, Problem},
    schema::printable,
    yaml::{Entry, Node, Position, Value},
};
use crate::{
    api::Reason,
    credential::{self, SourceSecret},
};

/// Where a RegistryCredential takes its key from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// The namespace, if it names one.
    pub namespace: Option<String>,
    /// The Secret.
    pub name: String,
    /// The key in it.
    pub key: String,
}

impl Reference {
    /// The reference of a RegistryCredential, if it has one.
    pub fn of(credential: &Node<'_>) -> Option<Self> {
        let reference = credential.at_path(&["spec", "credential", "gcpServiceAccountKey", "secretRef"])?;
        let text = |name: &str| reference.get(name)?.text().map(str::to_owned);
        Some(Self {
            namespace: text("namespace"),
            name: text("name")?,
            key: text("key").unwrap_or_else(crate::api::default_key),
        })
    }

    /// Whether it means that Secret, where `default` is the namespace of a reference without one. A manifest without a
    /// namespace may come to be in any.
    fn means(&self, secret: &Node<'_>, default: &str) -> bool {
        let metadata = |name: &str| secret.at_path(&["metadata", name])?.text();
        let wanted = self.namespace.as_deref().unwrap_or(default);
        metadata("name") == Some(&self.name) && metadata("namespace").is_none_or(|namespace| namespace == wanted)
    }

    /// What is wrong with the key in a Secret; none where the reference means another one.
    pub fn check(&self, secret: &Node<'_>, default: &str) -> Option<Result<(), Problem>> {
        self.means(secret, default).then(|| {
            let namespace = self.namespace.as_deref().unwrap_or(default);
            let (data, places) = read(secret)?;
            let source = SourceSecret::unapplied(namespace, &self.name, data);
            credential::read_key(&self.key, &source).map(drop).map_err(|invalid| {
                let (at, field) = match places.get(&self.key) {
                    Some((at, field)) if invalid.reason != Reason::SourceKeyNotFound => (*at, field.clone()),
                    _ => (secret.at, String::new()),
                };
                Problem::new(at, field, Effect::Held, invalid.message)
            })
        })
    }
}

/// The values by their keys.
pub type Data = BTreeMap<String, Zeroizing<Vec<u8>>>;

/// Where each value stands, and as which field.
pub type Places = BTreeMap<String, (Position, String)>;

/// The data as the API server would keep it.
///
/// # Errors
/// The first value that it would refuse.
pub fn read(secret: &Node<'_>) -> Result<(Data, Places), Problem> {
    let mut data = Data::new();
    let mut places = Places::new();
    // The second takes the place of the first.
    for list in ["data", "stringData"] {
        for entry in secret.get(list).map(Node::entries).unwrap_or_default() {
            let field = format!("{list}.{}", printable(entry.key.as_str()));
            let bytes = if list == "data" { decoded(entry, &field)? } else { plain(entry, &field)? };
            data.insert(entry.key.as_str().to_owned(), bytes);
            places.insert(entry.key.as_str().to_owned(), (entry.node.at, field));
        }
    }
    Ok((data, places))
}

fn decoded(entry: &Entry<'_>, field: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    let wrong = || {
        let message = "it isn't base64, so the API server refuses the Secret: put the file as it is into stringData";
        Problem::refused(entry.node.at, field, message)
    };
    if let Value::Null = entry.node.value {
        return Ok(Zeroizing::default());
    }
    let text = entry.node.text().ok_or_else(wrong)?;
    // Go passes line breaks over.
    let joined = Zeroizing::new(text.replace(['\r', '\n'], ""));
    let mut bytes = Zeroizing::new(Vec::with_capacity(joined.len()));
    BASE64_STANDARD.decode_vec(joined.as_bytes(), &mut bytes).map_err(|_| wrong())?;
    Ok(bytes)
}

fn plain(entry: &Entry<'_>, field: &str) -> Result<Zeroizing<Vec<u8>>, Problem> {
    match &entry.node.value {
        Value::Null => Ok(Zeroizing::default()),
        Value::Text(text) => Ok(Zeroizing::new(text.as_str().as_bytes().to_vec())),
        Value::Map(_) | Value::List(_) => Err(Problem::refused(
            entry.node.at,
            field,
            "the file isn't quoted, so it is read as a part of the manifest: write | after the name, and the file below \
             it, indented",
        )),
        Value::Bool(_) | Value::Number(_) => {
            Err(Problem::refused(entry.node.at, field, "it must be text: put it in quotes"))
        }
    }
}
