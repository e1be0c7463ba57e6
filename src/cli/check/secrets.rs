//! Secrets that a RegistryCredential in the same files takes its login from.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use zeroize::Zeroizing;

use super::{
    finding::{Effect, Problem},
    registries,
    schema::{self, printable},
    yaml::{Entry, Node, Position, Value},
};
use crate::{
    api::{CredentialSource, REGISTRIES_ANNOTATION, Reason, Stalled, USE_ANNOTATION},
    credential::{self, RegistryKey, SourceSecret, kind::Kind, kinds, source::Marks},
};

/// Where a RegistryCredential takes its login from, and what for.
#[derive(Clone, Debug, PartialEq)]
pub struct Reference {
    credential: CredentialSource,
    registries: Vec<RegistryKey>,
}

impl Reference {
    /// The reference of a RegistryCredential, if it has one.
    pub fn of(credential: &Node<'_>) -> Option<Self> {
        let source = schema::json(credential.at_path(&["spec", "credential"])?);
        let source: CredentialSource = serde_json::from_value(source).ok()?;
        kinds::of(&source).ok()?;
        let listed = credential.at_path(&["spec", "registries"]).map(Node::items).unwrap_or_default();
        // What isn't a registry is said of the RegistryCredential.
        let registries = listed.iter().filter_map(|node| RegistryKey::parse(node.text()?).ok());
        Some(Self { registries: registries.map(RegistryKey::canonical).collect(), credential: source })
    }

    fn kind(&self) -> Option<&dyn Kind> {
        kinds::of(&self.credential).ok()
    }

    /// What there is to say of a Secret; none where the reference means another one. `default` is the namespace of a
    /// reference without one. A manifest without a namespace may come to be in any.
    pub fn check(&self, secret: &Node<'_>, default: &str) -> Option<Vec<Problem>> {
        let kind = self.kind()?;
        let wanted = kind.secret();
        let namespace = wanted.namespace.unwrap_or(default);
        let metadata = |name: &str| secret.at_path(&["metadata", name])?.text();
        let is_meant =
            metadata("name") == Some(wanted.name) && metadata("namespace").is_none_or(|own| own == namespace);
        is_meant.then(|| self.problems(kind, secret, namespace))
    }

    fn problems(&self, kind: &dyn Kind, secret: &Node<'_>, namespace: &str) -> Vec<Problem> {
        let (data, places) = match read(secret) {
            Ok(read) => read,
            Err(problem) => return vec![problem],
        };
        let (secret_type, marks) = said(secret);
        let source = SourceSecret::unapplied(namespace, kind.secret().name, data).with(&secret_type, marks);
        match credential::logins(kind, &source, &self.registries, jiff::Timestamp::now()) {
            Err(invalid) => {
                let (at, field) = place(secret, &places, &invalid);
                vec![Problem::new(at, field, Effect::Held, invalid.message)]
            }
            Ok(found) => {
                let notes = found.notes.into_iter().map(|note| Problem::new(secret.at, "", Effect::Noted, note));
                // What spec.registries lists is said of the RegistryCredential.
                let own = found.by_registry.keys().filter(|registry| !self.registries.contains(registry));
                let (at, field) = marked(secret).unwrap_or((secret.at, String::new()));
                let slips = own.filter_map(registries::slip);
                let slips = slips.map(|slip| Problem::new(at, field.clone(), Effect::Ineffective, slip));
                notes.chain(slips).collect()
            }
        }
    }
}

/// Where in a Secret the fault is.
fn place(secret: &Node<'_>, places: &Places, invalid: &Stalled) -> (Position, String) {
    let value = || places.get(invalid.key.as_ref()?).cloned();
    let found = match invalid.reason {
        Reason::SourceKeyNotFound => None,
        Reason::SourceTypeNotAllowed => secret.get("type").map(|node| (node.at, "type".to_owned())),
        Reason::SourceNotMarked | Reason::Revoked => annotation(secret, USE_ANNOTATION).or_else(|| marked(secret)),
        Reason::InvalidCredential => value().or_else(|| marked(secret)),
        _ => value(),
    };
    found.unwrap_or((secret.at, String::new()))
}

/// The annotation by which its owner says where its login may be sent.
fn marked(secret: &Node<'_>) -> Option<(Position, String)> {
    annotation(secret, REGISTRIES_ANNOTATION)
}

fn annotation(secret: &Node<'_>, name: &str) -> Option<(Position, String)> {
    let node = secret.at_path(&["metadata", "annotations", name])?;
    Some((node.at, format!("metadata.annotations.{name}")))
}

/// The type of a Secret, and what its owner says of it.
pub fn said(secret: &Node<'_>) -> (String, Marks) {
    let annotation = |name: &str| secret.at_path(&["metadata", "annotations", name])?.text().map(str::to_owned);
    let secret_type = secret.get("type").and_then(Node::text).unwrap_or("Opaque");
    let marks = Marks { registries: annotation(REGISTRIES_ANNOTATION), usage: annotation(USE_ANNOTATION) };
    (secret_type.to_owned(), marks)
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
