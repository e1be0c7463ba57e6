//! The schemas of those fields whose limits and rules no Rust type says.
//!
//! The limits keep the rules' cost within the API server's budget, and a spec within what a status can speak of.

use schemars::{Schema, SchemaGenerator, json_schema};
use serde_json::{Value, json};

use super::rules;

/// Longest name of a namespace (RFC 1123 label), and longest value of a label.
const LABEL: u32 = 63;
/// Longest name of a Secret or service account (RFC 1123 subdomain), and longest key of a Secret.
const SUBDOMAIN: u32 = 253;
/// Longest key of a label: a prefix, a slash and a name.
const QUALIFIED: u32 = SUBDOMAIN + 1 + LABEL;
/// Most entries of a list or map of labels, annotations, registries, service accounts.
const FEW: u32 = 64;
/// Most names of namespaces.
const MANY: u32 = 256;

fn string(longest: u32, rules: &[rules::StringRule]) -> Value {
    json!({
        "type": "string",
        "maxLength": longest,
        "x-kubernetes-validations": rules::string_rules(rules),
    })
}

fn list(most: u32, items: Value, rules: Value) -> Schema {
    json_schema!({
        "type": "array",
        "maxItems": most,
        "items": items,
        "x-kubernetes-validations": rules,
    })
}

pub(super) fn registries(_: &mut SchemaGenerator) -> Schema {
    let items = string(255, rules::REGISTRY);
    list(FEW, items, json!([rules::unique("registries")]))
}

pub(super) fn namespace_names(_: &mut SchemaGenerator) -> Schema {
    let items = string(LABEL, rules::NAME_PATTERN);
    list(MANY, items, json!([rules::unique("namespaces.names")]))
}

pub(super) fn excluded_names(_: &mut SchemaGenerator) -> Schema {
    let items = string(LABEL, rules::NAME_PATTERN);
    list(MANY, items, json!([rules::unique("namespaces.exclude")]))
}

pub(super) fn service_account_names(_: &mut SchemaGenerator) -> Schema {
    let items = string(SUBDOMAIN, rules::NAME_PATTERN);
    let rules = [rules::some_service_account(), rules::unique("attach.serviceAccounts.names")];
    list(FEW, items, json!(rules))
}

pub(super) fn excluded_service_accounts(_: &mut SchemaGenerator) -> Schema {
    let items = string(SUBDOMAIN, rules::NAME_PATTERN);
    list(FEW, items, json!([rules::unique("attach.serviceAccounts.exclude")]))
}

pub(super) fn secret_name(_: &mut SchemaGenerator) -> Schema {
    schema(string(SUBDOMAIN, rules::SECRET_NAME))
}

/// A name that an annotation's key ends with.
pub(super) fn managed_secret_name(_: &mut SchemaGenerator) -> Schema {
    schema(string(LABEL, rules::SECRET_NAME))
}

pub(super) fn secret_key(_: &mut SchemaGenerator) -> Schema {
    schema(string(SUBDOMAIN, rules::SECRET_KEY))
}

pub(super) fn namespace_name(_: &mut SchemaGenerator) -> Schema {
    schema(string(LABEL, rules::NAMESPACE_NAME))
}

pub(super) fn template_labels(_: &mut SchemaGenerator) -> Schema {
    map(string(LABEL, rules::LABEL_VALUE), rules::template_keys())
}

pub(super) fn template_annotations(_: &mut SchemaGenerator) -> Schema {
    map(json!({"type": "string", "maxLength": 4096}), rules::template_keys())
}

fn map(values: Value, rules: Value) -> Schema {
    json_schema!({
        "type": "object",
        "maxProperties": FEW,
        "additionalProperties": values,
        "x-kubernetes-validations": rules,
    })
}

pub(super) fn label_selector(_: &mut SchemaGenerator) -> Schema {
    let mut labels = map(string(LABEL, rules::LABEL_VALUE), rules::map_keys());
    labels.insert("description".to_owned(), json!("Labels that must all be there with these values."));
    let mut key = string(QUALIFIED, rules::LABEL_KEY);
    key["description"] = json!("The label's key.");
    json_schema!({
        "type": "object",
        "x-kubernetes-map-type": "atomic",
        "properties": {
            "matchLabels": labels,
            "matchExpressions": {
                "description": "Expressions that must all hold.",
                "type": "array",
                "maxItems": FEW,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": key,
                        "operator": {
                            "description": "In or NotIn, with values; Exists or DoesNotExist, without.",
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "description": "The values for In or NotIn.",
                            "type": "array",
                            "maxItems": FEW,
                            "x-kubernetes-list-type": "atomic",
                            "items": string(LABEL, rules::LABEL_VALUE),
                        },
                    },
                    "x-kubernetes-validations": rules::expression_values(),
                },
            },
        },
    })
}

fn schema(value: Value) -> Schema {
    let mut schema = Schema::default();
    if let Value::Object(map) = value {
        for (key, value) in map {
            schema.insert(key, value);
        }
    }
    schema
}
