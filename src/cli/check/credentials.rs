//! One RegistryCredential: its schema and rules, then what the API server lets pass and the operator or nobody obeys.

use serde_json::Value as Json;

use super::{
    finding::{Effect, Problem},
    kind, registries,
    schema::{self, Nulls, Schemas, join},
    yaml::{Node, Position},
};
use crate::{
    api::{CredentialSource, Pattern},
    credential::{self, AllowedRegistries, RegistryKey, hosts::HostRule, kinds},
};

/// What every RegistryCredential is checked against.
pub struct Checker {
    schemas: Schemas,
    schema: Json,
    allowed: AllowedRegistries,
    credential_namespaces: Vec<String>,
}

impl Checker {
    /// With the operator's flags; no namespace given says that they aren't known.
    pub fn new(allowed: AllowedRegistries, credential_namespaces: Vec<String>) -> Self {
        Self { schemas: Schemas::new(), schema: kind::schema(), allowed, credential_namespaces }
    }

    /// All that is wrong with a RegistryCredential.
    pub fn check(&self, root: &Node<'_>) -> Vec<Problem> {
        let mut problems = Vec::new();
        let refuse = |problems: &mut Vec<Problem>, node: &Node<'_>, field: &str, message: &str| {
            // One sentence for one mistake: the schema has said what isn't even text.
            if !problems.iter().any(|problem| problem.field == field) {
                problems.push(Problem::refused(node.at, field, message));
            }
        };
        self.schemas.check(&self.schema, root, "", Nulls::Refused, &mut problems);
        match root.get("apiVersion") {
            None => refuse(&mut problems, root, "apiVersion", "it is missing: write regcred.dev/v1alpha1"),
            Some(node) if node.text() != Some("regcred.dev/v1alpha1") => {
                refuse(&mut problems, node, "apiVersion", "this regcred doesn't know it: write regcred.dev/v1alpha1");
            }
            Some(_) => {}
        }
        let metadata = |name: &str| root.at_path(&["metadata", name]);
        match metadata("name") {
            None if metadata("generateName").is_none() => {
                let at = root.get("metadata").unwrap_or(root);
                refuse(&mut problems, at, "metadata.name", "it is missing: add it (it is the Secrets' name, too)");
            }
            Some(node) if node.text().is_some_and(|name| name.len() <= 63 && !credential::is_secret_name(name)) => {
                let message = "it can't be a name: write lower case letters, digits, - and . only, each part beginning \
                               and ending with a letter or digit";
                refuse(&mut problems, node, "metadata.name", message);
            }
            _ => {}
        }
        self.registries(root, &mut problems);
        self.namespace(root, &mut problems);
        targets(root, &mut problems);
        problems
    }

    fn registries(&self, root: &Node<'_>, problems: &mut Vec<Problem>) {
        // Where the kind can't be told, any registry may be right.
        let source = root.at_path(&["spec", "credential"]).map(schema::json);
        let source = source.and_then(|source| serde_json::from_value::<CredentialSource>(source).ok());
        let hosts = source.as_ref().and_then(|source| Some(kinds::of(source).ok()?.hosts()));
        let hosts = hosts.unwrap_or(HostRule::NamedBySource);
        let entries = root.at_path(&["spec", "registries"]).map(Node::items).unwrap_or_default();
        for (at, node) in entries.iter().enumerate() {
            let field = format!("spec.registries[{at}]");
            let Some(text) = node.text().filter(|_| !problems.iter().any(|problem| problem.field == field)) else {
                continue;
            };
            match credential::check_registry(hosts, at, text, &self.allowed) {
                Err(invalid) => problems.push(Problem::new(node.at, field, Effect::Held, invalid.message)),
                Ok(key) => {
                    let slip = RegistryKey::parse(text).ok().and_then(|written| registries::slip(&written));
                    let message = slip.or_else(|| registries::never_matches(&key).map(str::to_owned));
                    problems.extend(message.map(|message| Problem::new(node.at, field, Effect::Ineffective, message)));
                }
            }
        }
    }

    fn namespace(&self, root: &Node<'_>, problems: &mut Vec<Problem>) {
        for path in kinds::namespace_path() {
            let field = path.join(".");
            let node = root.at_path(&path).filter(|_| !self.credential_namespaces.is_empty());
            let node = node.filter(|_| !problems.iter().any(|problem| problem.field == field));
            if let Some((node, text)) = node.and_then(|node| Some((node, node.text()?)))
                && let Err(invalid) = credential::check_namespace(text, &self.credential_namespaces)
            {
                problems.push(Problem::new(node.at, field, Effect::Held, invalid.message));
            }
        }
    }
}

/// A name in a list, with its place.
struct Named {
    at: Position,
    field: String,
    pattern: Pattern,
}

/// The texts of the list at a path.
fn named(root: &Node<'_>, path: &[&str]) -> Vec<Named> {
    let field = path.iter().fold(String::new(), |field, name| join(&field, name));
    let items = root.at_path(path).map(Node::items).unwrap_or_default().iter().enumerate();
    let named = |(at, node): (usize, &Node<'_>)| {
        Some(Named { at: node.at, field: format!("{field}[{at}]"), pattern: Pattern::new(node.text()?) })
    };
    items.filter_map(named).collect()
}

/// Names that can match nothing.
fn targets(root: &Node<'_>, problems: &mut Vec<Problem>) {
    let mut found = Vec::new();
    let mut say =
        |named: &Named, message: String| found.push(Problem::new(named.at, &named.field, Effect::Ineffective, message));
    let excluded = named(root, &["spec", "namespaces", "exclude"]);
    for namespace in named(root, &["spec", "namespaces", "names"]).iter().chain(&excluded) {
        if !namespace.pattern.can_name_a_namespace() {
            let remedy = "write lower case letters, digits and - only, beginning and ending with a letter or digit";
            say(namespace, format!("no namespace can have such a name: {remedy}"));
        }
    }
    for namespace in named(root, &["spec", "namespaces", "names"]) {
        let by = excluded.iter().find(|by| by.pattern.covers(&namespace.pattern));
        if let Some(by) = by.filter(|_| namespace.pattern.can_name_a_namespace()) {
            say(&namespace, format!("{} leaves out all that it names: take one of them out", by.field));
        }
    }
    let any = Pattern::new("*");
    let selects = root.at_path(&["spec", "namespaces", "selector"]).is_some();
    if let Some(all) = excluded.iter().find(|all| selects && all.pattern.covers(&any)) {
        say(all, "it leaves out every namespace, so nothing is selected: take it out".to_owned());
    }
    for account in named(root, &["spec", "attach", "serviceAccounts", "names"]) {
        if !account.pattern.can_name_a_service_account() {
            let remedy = "each part between dots begins and ends with a letter or digit";
            say(&account, format!("no service account can have such a name: {remedy}"));
        }
    }
    // What a rule has refused already isn't said twice.
    found.retain(|new| !problems.iter().any(|old| old.field == new.field));
    problems.append(&mut found);
}
