//! What `kubectl apply` would bring of files: RegistryCredentials that the API server takes, and Secrets.

use std::path::PathBuf;

use kube::api::DynamicObject;

use super::{
    credentials::Checker,
    finding::{CheckReport, Effect, Finding},
    input, manifests, object, schema, secrets,
    yaml::Node,
};
use crate::credential::{AllowedRegistries, SourceSecret, source::Marks};

/// What was found in the files.
#[derive(Default)]
pub struct Applied {
    /// The RegistryCredentials, in their order.
    pub credentials: Vec<DynamicObject>,
    /// The Secrets, in their order.
    pub secrets: Vec<AppliedSecret>,
    /// What was passed over though it may be one of them, as `FILE:LINE: why`.
    pub skipped: Vec<String>,
}

/// A Secret of a manifest.
pub struct AppliedSecret {
    /// Its namespace, if it names one.
    pub namespace: Option<String>,
    /// Its name.
    pub name: String,
    /// Its data, or why the API server would refuse it.
    data: Result<secrets::Data, String>,
    /// Its type, and what its owner says of it.
    said: (String, Marks),
}

impl AppliedSecret {
    /// Whether it would be this one. A manifest without a namespace may come to be in any.
    pub fn is(&self, namespace: &str, name: &str) -> bool {
        self.name == name && self.namespace.as_deref().is_none_or(|own| own == namespace)
    }

    /// As the API server would have it in a namespace.
    ///
    /// # Errors
    /// A sentence, where it would refuse it.
    pub fn in_namespace(&self, namespace: &str) -> Result<SourceSecret, String> {
        let data = self.data.clone()?;
        let (secret_type, marks) = &self.said;
        Ok(SourceSecret::unapplied(namespace, &self.name, data).with(secret_type, marks.clone()))
    }
}

/// Reads files, folders, and standard input for `-`.
///
/// # Errors
/// A sentence, where a file can't be read, or `regcred check` would say that the API server refuses a manifest in it.
pub fn read(paths: &[PathBuf]) -> Result<Applied, String> {
    let inputs = input::read(paths)?;
    // What the operator would hold isn't refused; the plan says so itself, and knows the cluster.
    let checker = Checker::new(AllowedRegistries::default(), Vec::new());
    let mut applied = Applied::default();
    for input in &inputs {
        let mut report = CheckReport::default();
        let found = manifests(input, &mut report);
        for node in &found.credentials {
            let name = object("RegistryCredential", node);
            let problems = checker.check(node).into_iter();
            report.findings.extend(problems.map(|problem| Finding::new(&input.name, Some(&name), problem)));
        }
        applied.secrets.extend(found.secrets.iter().filter_map(|node| secret(node, &input.name)));
        let refused = |it: &&Finding| matches!(it.effect, Effect::Unreadable | Effect::Refused);
        if let Some(refused) = report.findings.iter().find(refused) {
            return Err(sentence(refused));
        }
        let skipped = report.skipped.iter().map(|it| format!("{}:{}: {}", it.file, it.line, it.message));
        applied.skipped.extend(skipped);
        for node in &found.credentials {
            applied.credentials.push(credential(node, &input.name)?);
        }
    }
    Ok(applied)
}

fn sentence(refused: &Finding) -> String {
    let Finding { file, line, column, message, .. } = refused;
    let field = refused.field.as_deref().map(|field| format!("{field}: ")).unwrap_or_default();
    format!("{file}:{line}:{column}: {field}{message}; regcred check {file} says all that is wrong")
}

fn credential(node: &Node<'_>, file: &str) -> Result<DynamicObject, String> {
    let at = node.at.line;
    let object: DynamicObject = serde_json::from_value(schema::json(node))
        .map_err(|_| format!("{file}:{at}: the RegistryCredential can't be read; run regcred check {file}"))?;
    match object.metadata.name {
        Some(_) => Ok(object),
        None => Err(format!("{file}:{at}: metadata.name is missing; kubectl apply needs one, so write it")),
    }
}

/// None where it has no name. What is wrong with its data matters only where it is a source.
fn secret(node: &Node<'_>, file: &str) -> Option<AppliedSecret> {
    let metadata = |field: &str| node.at_path(&["metadata", field]).and_then(Node::text).map(str::to_owned);
    let data = secrets::read(node).map(|(data, _)| data);
    let data = data.map_err(|problem| sentence(&Finding::new(file, Some(&object("Secret", node)), problem)));
    Some(AppliedSecret { namespace: metadata("namespace"), name: metadata("name")?, data, said: secrets::said(node) })
}
