//! A manifest against the schema of its kind, as the API server would check it, with the place of each mistake.

use serde_json::{Map, Value as Json, json};

use super::{
    finding::Problem,
    rules::Rules,
    yaml::{Entry, Node, Value},
};
use kube::core::cel::apply_defaults;

/// Most names that a sentence lists.
const MAX_LISTED: usize = 12;

/// Whether null stands for a field that isn't there. It always does where the schema has a default.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Nulls {
    /// It is refused, as the API server does with what is applied.
    Refused,
    /// In metadata and status, where tools write `creationTimestamp: null`.
    PassedOver,
}

/// Checks nodes against schemas.
pub struct Schemas {
    rules: Rules,
}

/// Whether a value has the shape that its rules may be asked of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Sound,
    Broken,
}

impl Shape {
    fn and(self, other: Self) -> Self {
        if self == Self::Sound { other } else { self }
    }
}

/// A place in an object, as in `spec.registries[0]`.
pub fn join(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

impl Schemas {
    /// Nothing is compiled yet.
    pub fn new() -> Self {
        Self { rules: Rules::new() }
    }

    /// Adds what is wrong with the node at `path`.
    pub fn check(&self, schema: &Json, node: &Node<'_>, path: &str, nulls: Nulls, problems: &mut Vec<Problem>) {
        self.walk(schema, node, path, nulls, problems);
    }

    fn walk(&self, schema: &Json, node: &Node<'_>, path: &str, nulls: Nulls, problems: &mut Vec<Problem>) -> Shape {
        let before = problems.len();
        if let Some(message) = wrong_type(schema, node, nulls) {
            problems.push(Problem::refused(node.at, path, message));
            return Shape::Broken;
        }
        if let Value::Null = node.value {
            return Shape::Sound;
        }
        if let Some(message) = too_much(schema, node) {
            problems.push(Problem::refused(node.at, path, message));
        }
        let mut shape = if problems.len() == before { Shape::Sound } else { Shape::Broken };
        for (at, item) in node.items().iter().enumerate() {
            if let Some(items) = schema.get("items") {
                shape = shape.and(self.walk(items, item, &format!("{path}[{at}]"), nulls, problems));
            }
        }
        shape = shape.and(self.fields(schema, node, path, nulls, problems));
        if shape == Shape::Sound {
            self.ask_rules(schema, node, path, problems);
        }
        shape
    }

    fn fields(&self, schema: &Json, node: &Node<'_>, path: &str, nulls: Nulls, problems: &mut Vec<Problem>) -> Shape {
        let mut shape = Shape::Sound;
        let properties = schema.get("properties").and_then(Json::as_object);
        for entry in node.entries() {
            let name = entry.key.as_str();
            let known = properties.and_then(|properties| properties.get(name));
            let child = known.or_else(|| schema.get("additionalProperties").filter(|values| values.is_object()));
            if let Some(child) = child {
                let by_tools = path.is_empty() && ["metadata", "status"].contains(&name);
                let nulls = if by_tools { Nulls::PassedOver } else { nulls };
                shape = shape.and(self.walk(child, &entry.node, &join(path, &printable(name)), nulls, problems));
            } else if let Some(properties) = properties {
                problems.push(unknown(entry, path, properties));
            }
        }
        let Value::Map(_) = &node.value else {
            return shape;
        };
        for name in schema.get("required").and_then(Json::as_array).into_iter().flatten().filter_map(Json::as_str) {
            if node.get(name).is_none() {
                let what = properties.and_then(|properties| properties.get(name)?.get("description")?.as_str());
                problems.push(Problem::refused(node.at, join(path, name), missing(what)));
                shape = Shape::Broken;
            }
        }
        shape
    }

    /// The sentence is the rule's own for any value: one that names the value could name a password in it.
    fn ask_rules(&self, schema: &Json, node: &Node<'_>, path: &str, problems: &mut Vec<Problem>) {
        let Some(rules) = schema.get("x-kubernetes-validations").and_then(Json::as_array) else {
            return;
        };
        let value = apply_defaults(schema, &json(node));
        for rule in rules {
            let text = |name: &str| rule.get(name).and_then(Json::as_str);
            let Some(condition) = text("rule").filter(|condition| !condition.contains("oldSelf")) else {
                continue;
            };
            if self.rules.holds(condition, &value) {
                continue;
            }
            let field = text("fieldPath").map(|field| field.trim_start_matches('.')).unwrap_or_default();
            let path = if field.is_empty() { path.to_owned() } else { join(path, field) };
            let place = field.split('.').try_fold(node, |node, name| node.get(name)).map(|node| node.at);
            let place = place.or_else(|| self.culprit(condition, node)).unwrap_or(node.at);
            problems.push(Problem::refused(place, path, text("message").unwrap_or("it breaks a rule of its kind")));
        }
    }

    /// The entry of a list or object with which a rule breaks that held of those before it.
    fn culprit(&self, condition: &str, node: &Node<'_>) -> Option<super::yaml::Position> {
        match &node.value {
            Value::List(items) => {
                let holds = |count: usize| self.rules.holds(condition, &items[..count].iter().map(json).collect());
                (1..=items.len()).find(|count| !holds(*count)).filter(|_| holds(0)).map(|count| items[count - 1].at)
            }
            Value::Map(entries) => {
                let holds = |fields: Map<String, Json>| self.rules.holds(condition, &Json::Object(fields));
                let one = |entry: &Entry<'_>| Map::from_iter([(entry.key.as_str().to_owned(), json(&entry.node))]);
                let guilty = entries.iter().find(|entry| !holds(one(entry))).filter(|_| holds(Map::new()));
                guilty.map(|entry| entry.at)
            }
            _ => None,
        }
    }
}

/// The node as the API server gets it, without nulls.
pub fn json(node: &Node<'_>) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(bool) => json!(bool),
        Value::Number(number) => Json::Number(number.clone()),
        Value::Text(text) => json!(text.as_str()),
        Value::List(items) => items.iter().map(json).collect(),
        Value::Map(entries) => entries
            .iter()
            .filter(|entry| !matches!(entry.node.value, Value::Null))
            .map(|entry| (entry.key.as_str().to_owned(), json(&entry.node)))
            .collect(),
    }
}

fn wrong_type(schema: &Json, node: &Node<'_>, nulls: Nulls) -> Option<String> {
    let wanted = schema.get("type").and_then(Json::as_str)?;
    let is = match &node.value {
        Value::Null if nulls == Nulls::PassedOver || schema.get("default").is_some() => return None,
        Value::Null => return Some("null isn't a value: write one, or leave the field out".to_owned()),
        Value::Bool(_) => "boolean",
        Value::Number(number) if number.is_f64() => "number",
        Value::Number(_) => "integer",
        Value::Text(_) => "string",
        Value::List(_) => "array",
        Value::Map(_) => "object",
    };
    if wanted == is || (wanted, is) == ("number", "integer") {
        return None;
    }
    let remedy = match (wanted, is) {
        ("string", "boolean" | "integer" | "number") => "put it in quotes",
        ("string", _) => "write one text",
        ("array", _) => "write a list, as in [a, b]",
        ("object", _) => "write its fields below it",
        ("boolean", _) => "write true or false, without quotes",
        _ => "write a number, without quotes",
    };
    Some(format!("it must be {}, not {}: {remedy}", called(wanted), called(is)))
}

/// A type's name in a sentence.
fn called(name: &str) -> &'static str {
    match name {
        "string" => "text",
        "boolean" => "true or false",
        "integer" => "a whole number",
        "number" => "a number",
        "array" => "a list",
        _ => "an object",
    }
}

fn too_much(schema: &Json, node: &Node<'_>) -> Option<String> {
    let limit = |name: &str| schema.get(name).and_then(Json::as_u64).and_then(|limit| usize::try_from(limit).ok());
    let over = |name: &str, count: usize| limit(name).filter(|most| count > *most);
    match &node.value {
        Value::Text(text) => {
            let count = text.as_str().chars().count();
            if let Some(most) = over("maxLength", count) {
                return Some(format!("it has {count} characters, more than the {most} that it can have: shorten it"));
            }
            let words: Vec<_> = schema.get("enum")?.as_array()?.iter().filter_map(Json::as_str).collect();
            let known = words.contains(&text.as_str());
            (!known).then(|| format!("it isn't one of the words that can stand here: write {}", words.join(" or ")))
        }
        Value::List(items) => over("maxItems", items.len()).map(|most| {
            format!("it has {} entries, more than the {most} that it can have: take some out", items.len())
        }),
        Value::Map(entries) => over("maxProperties", entries.len()).map(|most| {
            format!("it has {} entries, more than the {most} that it can have: take some out", entries.len())
        }),
        _ => None,
    }
}

fn unknown(entry: &Entry<'_>, path: &str, properties: &Map<String, Json>) -> Problem {
    let name = entry.key.as_str();
    let close = properties.keys().find(|known| known.eq_ignore_ascii_case(name));
    let remedy = match close {
        Some(known) => format!("write {known}"),
        None if properties.len() > MAX_LISTED => "take it out, or correct its name".to_owned(),
        None => format!("write one of {}", properties.keys().map(String::as_str).collect::<Vec<_>>().join(", ")),
    };
    Problem::refused(entry.at, join(path, &printable(name)), format!("there is no such field: {remedy}"))
}

fn missing(description: Option<&str>) -> String {
    match description.and_then(|text| text.split(['.', ':']).next()) {
        Some(what) => format!("it is missing: add it ({})", what.trim()),
        None => "it is missing: add it".to_owned(),
    }
}

/// A field's name, unless it may be something else that came there by mistake.
pub fn printable(name: &str) -> String {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-._/".contains(c);
    if name.len() <= 63 && name.chars().all(allowed) { name.to_owned() } else { "?".to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// What [`Schemas`] looks at, and what says nothing of a manifest's validity.
    const KNOWN: [&str; 13] = [
        "type",
        "properties",
        "items",
        "additionalProperties",
        "required",
        "enum",
        "maxLength",
        "maxItems",
        "maxProperties",
        "x-kubernetes-validations",
        "default",
        "description",
        "title",
    ];
    /// How lists are merged, and how times and numbers in the status are written.
    const PASSED_OVER: [&str; 4] =
        ["format", "x-kubernetes-list-type", "x-kubernetes-list-map-keys", "x-kubernetes-map-type"];

    fn keywords(schema: &Json, found: &mut BTreeSet<String>) {
        for (name, value) in schema.as_object().unwrap() {
            found.insert(name.clone());
            match (name.as_str(), value) {
                ("properties", Json::Object(properties)) => {
                    properties.values().for_each(|schema| keywords(schema, found));
                }
                ("items" | "additionalProperties", Json::Object(_)) => keywords(value, found),
                _ => {}
            }
        }
    }

    #[test]
    fn every_keyword_of_the_crd_is_one_that_is_checked() {
        let mut found = BTreeSet::new();
        keywords(&super::super::kind::schema(), &mut found);
        let known: BTreeSet<_> = KNOWN.iter().chain(&PASSED_OVER).map(|name| (*name).to_owned()).collect();
        assert_eq!(found.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    }

    #[test]
    fn what_may_be_something_else_than_a_name_is_not_printed() {
        assert_eq!(printable("secretRef"), "secretRef");
        assert_eq!(printable("example.com/team"), "example.com/team");
        assert_eq!(printable("a b"), "?");
        assert_eq!(printable(&"a".repeat(64)), "?");
    }
}
