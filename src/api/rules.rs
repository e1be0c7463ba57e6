//! What the API server refuses, and the sentence that it refuses it with.
//!
//! The rules are CEL. A rule on a value says the value, since the writer may not know where in a long list it is.
//! What needs the operator's flags (whether a registry or a namespace is allowed) can't be checked here.

use kube::core::{Reason, Rule};
use serde_json::{Value, json};

/// A rule on one string: what must hold, and what to say after the string itself when it doesn't.
pub(super) struct StringRule {
    holds: &'static str,
    tail: &'static str,
}

impl StringRule {
    /// The rule as an entry of `x-kubernetes-validations`.
    fn json(&self) -> Value {
        json!({
            "rule": self.holds,
            // What is said where the string has a line break, which a message may not have.
            "message": format!("the value {}", self.tail),
            "messageExpression": format!("'\"' + self + {}", literal(&format!("\" {}", self.tail))),
        })
    }
}

/// A CEL string.
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\\', r"\\").replace('\'', r"\'"))
}

/// The value of `x-kubernetes-validations` for a string.
pub(super) fn string_rules(rules: &[StringRule]) -> Value {
    rules.iter().map(StringRule::json).collect()
}

/// HOST[:PORT][/PATH]. Each rule lets pass what another one refuses, so that there is one sentence for one mistake.
pub(super) const REGISTRY: &[StringRule] = &[
    StringRule {
        holds: r"!self.matches('^([:/.]|$)|^[^/:]*[.]([.:/]|$)')",
        tail: "has no proper host: begin with one, as in gcr.io/my-project/",
    },
    StringRule { holds: "!self.contains('://')", tail: "has a scheme: leave it out, as in gcr.io/my-project/" },
    StringRule { holds: "!self.matches('[[:space:]]')", tail: "has white space in it: take it out" },
    StringRule {
        holds: "!self.matches('[A-Z]')",
        tail: "has upper case letters: write it in lower case, as images are",
    },
    StringRule {
        holds: r"!self.matches('[?{}\\[\\]]')",
        tail: "has ?, [, ], { or } in it: the only wildcard is *, and only in the host",
    },
    StringRule {
        holds: "self.contains('://') || !self.matches('/.*[*]')",
        tail: "has a * in its path: a path is a plain prefix, so end it where the * is",
    },
    StringRule {
        holds: "self.contains('://') || !self.matches('^[^/]+:') || self.matches('^[^/:]+:[1-9][0-9]{0,4}(/|$)')",
        tail: "has no proper port: write a number after the colon, or leave both out",
    },
    StringRule {
        holds: "self.contains('://') || !self.matches('/.*:|@')",
        tail: "has a user, tag or digest: end it with the repository's path",
    },
    StringRule {
        holds: "self.matches('^([^/:*]*|[^/:]*[.][^./:*]+[.][^./:*]+)([:/]|$)')",
        tail: "covers a whole domain: write at least the last two parts of the host without *, as in *.gcr.io",
    },
    StringRule {
        holds: r"!self.matches('[^-a-zA-Z0-9._*:/?{}\\[\\]@[:space:]]')",
        tail: "has characters that no image has: write letters, digits and - . _ / : * only",
    },
];

/// Names of namespaces or service accounts.
pub(super) const NAME_PATTERN: &[StringRule] = &[StringRule {
    holds: "self.matches('^[-a-z0-9.*]+$')",
    tail: "can't be a name: write lower case letters, digits, - and . only, and * for any characters",
}];

/// The name of a Secret (RFC 1123 subdomain).
pub(super) const SECRET_NAME: &[StringRule] = &[StringRule {
    holds: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*$')",
    tail: "can't be a Secret's name: write lower case letters, digits, - and . only, each part beginning and ending with a letter or digit",
}];

/// The name of a namespace (RFC 1123 label).
pub(super) const NAMESPACE_NAME: &[StringRule] = &[StringRule {
    holds: "self.matches('^[a-z0-9]([-a-z0-9]*[a-z0-9])?$')",
    tail: "can't be a namespace's name: write lower case letters, digits and - only, beginning and ending with a letter or digit",
}];

/// A key in a Secret's data.
pub(super) const SECRET_KEY: &[StringRule] = &[StringRule {
    holds: "self.matches('^[-._a-zA-Z0-9]+$') && self != '.' && !self.startsWith('..')",
    tail: "can't be a key of a Secret: write letters, digits, -, _ and . only, as in key.json",
}];

/// A label's value.
pub(super) const LABEL_VALUE: &[StringRule] = &[StringRule {
    holds: "self.matches('^([a-zA-Z0-9]([-a-zA-Z0-9_.]*[a-zA-Z0-9])?)?$')",
    tail: "can't be a label's value: write letters, digits, -, _ and . only, beginning and ending with a letter or digit",
}];

/// `NAME` or `PREFIX/NAME`: the key of a label or annotation.
macro_rules! key_pattern {
    () => {
        "^([a-z0-9]([-a-z0-9]*[a-z0-9])?([.][a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?[a-zA-Z0-9]([-a-zA-Z0-9_.]{0,61}[a-zA-Z0-9])?$"
    };
}

macro_rules! not_a_key {
    () => {
        "is malformed: write NAME or PREFIX/NAME, as in example.com/team, with at most 63 letters, digits, -, _ and . in NAME"
    };
}

/// The key that a selector's expression looks at.
pub(super) const LABEL_KEY: &[StringRule] =
    &[StringRule { holds: concat!("self.matches('", key_pattern!(), "')"), tail: not_a_key!() }];

/// A rule on a map's keys: what must hold of each `k`, and what to say after the first one that breaks it.
fn key_rule(holds: &str, tail: &str) -> Value {
    json!({
        "rule": format!("self.all(k, {holds})"),
        "message": format!("an entry's key {tail}"),
        "messageExpression": format!("'\"' + self.filter(k, !({holds}))[0] + {}", literal(&format!("\" {tail}"))),
    })
}

/// For any map of labels or annotations.
pub(super) fn map_keys() -> Value {
    json!([key_rule(concat!("k.matches('", key_pattern!(), "')"), not_a_key!())])
}

/// For the labels or annotations of our Secrets: some are how others, or we, recognise what is theirs.
pub(super) fn template_keys() -> Value {
    json!([
        key_rule(concat!("k.matches('", key_pattern!(), "')"), not_a_key!()),
        key_rule(
            "!k.matches('^([^/]*[.])?regcred[.]dev/')",
            "is reserved for regcred itself: use a prefix of your own"
        ),
        key_rule(
            "!k.startsWith('argocd.argoproj.io/') && k != 'app.kubernetes.io/instance'",
            "is how Argo CD marks what it manages and may prune: leave it out"
        ),
    ])
}

/// No entry twice. `what` begins the sentence.
pub(super) fn unique(what: &str) -> Value {
    json!({
        "rule": "self.all(x, self.indexOf(x) == self.lastIndexOf(x))",
        "message": format!("{what} has an entry twice: write it once"),
        "messageExpression": format!(
            "'{what} has \"' + self.filter(x, self.indexOf(x) != self.lastIndexOf(x))[0] + '\" twice: write it once'"
        ),
    })
}

/// At least one entry, where the list is given at all.
pub(super) fn some_service_account() -> Value {
    json!({
        "rule": "self.size() > 0",
        "message": "attach.serviceAccounts.names is empty: name at least one service account, or leave the list out",
    })
}

/// Values go with `In` and `NotIn`, and with nothing else.
pub(super) fn expression_values() -> Value {
    json!([
        {
            "rule": "!(self.operator in ['In', 'NotIn']) || (has(self.values) && self.values.size() > 0)",
            "message": "an expression with the operator In or NotIn needs values: write at least one",
            "fieldPath": ".values",
            "reason": "FieldValueRequired",
        },
        {
            "rule": "self.operator in ['In', 'NotIn'] || !has(self.values) || self.values.size() == 0",
            "message": "an expression with the operator Exists or DoesNotExist takes no values: leave them out, or write In or NotIn",
            "fieldPath": ".values",
            "reason": "FieldValueForbidden",
        },
    ])
}

/// A RegistryCredential's name becomes the value of a label.
pub(super) fn name_fits_label() -> Rule {
    Rule::new("self.metadata.name.size() <= 63")
        .message("metadata.name is longer than 63 characters: choose a shorter one, since it becomes a label's value")
}

/// Pods name the Secret for as long as they live.
pub(super) fn secret_name_stays() -> Rule {
    let effective = |object: &str| {
        format!(
            "(has({object}.spec.existingSecretName) ? {object}.spec.existingSecretName : has({object}.spec.secretTemplate) && has({object}.spec.secretTemplate.name) ? {object}.spec.secretTemplate.name : {object}.metadata.name)"
        )
    };
    // Where it is another one's to make, the rule for that says so.
    Rule::new(format!("{SWAPPED} || {} == {}", effective("self"), effective("oldSelf")))
        .message("the Secrets' name can't change, since running pods name it: create a second RegistryCredential with the new name, and delete this one when no pod needs it any more")
        .field_path(".spec")
        .reason(Reason::FieldValueForbidden)
}

/// `credential` was given and isn't any more, or the other way round.
const SWAPPED: &str = "has(self.spec.existingSecretName) != has(oldSelf.spec.existingSecretName)";

/// Secrets that regcred has made don't become somebody else's, nor these regcred's.
pub(super) fn maker_stays() -> Rule {
    Rule::new(format!("!({SWAPPED})"))
        .message("credential and existingSecretName can't take each other's place, since that would give away Secrets or take them over: create a second RegistryCredential, and delete this one when no pod needs it any more")
        .field_path(".spec")
        .reason(Reason::FieldValueForbidden)
}

/// The Secrets come of a credential, or somebody else makes them.
pub(super) fn one_maker() -> Rule {
    Rule::new("has(self.credential) != has(self.existingSecretName)")
        .message("a RegistryCredential has either credential, to make Secrets, or existingSecretName, to attach Secrets that somebody else makes: write exactly one of them")
        .reason(Reason::FieldValueRequired)
}

/// What has to hold of a spec that has `existingSecretName` and nothing in its place.
fn of_existing(field: &str, holds: &str, message: &str) -> Rule {
    Rule::new(format!("!has(self.existingSecretName) || has(self.credential) || {holds}"))
        .message(message)
        .field_path(field)
        .reason(Reason::FieldValueForbidden)
}

/// regcred doesn't know what somebody else's Secret is for.
pub(super) fn existing_has_no_registries() -> Rule {
    of_existing(
        ".registries",
        "!has(self.registries) || self.registries.size() == 0",
        "registries together with existingSecretName would say nothing, since whoever makes the Secret decides what it is for: leave registries out",
    )
}

/// Nor does it write to it.
pub(super) fn existing_has_no_template() -> Rule {
    let without = |field: &str| format!("!has(self.secretTemplate.{field})");
    let without: Vec<String> = ["name", "labels", "annotations"].into_iter().map(without).collect();
    of_existing(
        ".secretTemplate",
        &format!("!has(self.secretTemplate) || ({})", without.join(" && ")),
        "secretTemplate together with existingSecretName would change nothing, since regcred doesn't make the Secret: leave secretTemplate out",
    )
}

/// Nor takes it over.
pub(super) fn existing_is_not_adopted() -> Rule {
    of_existing(
        ".conflictPolicy",
        "!has(self.conflictPolicy) || self.conflictPolicy != 'Adopt'",
        "conflictPolicy: Adopt would take over what existingSecretName leaves to somebody else: leave conflictPolicy out, or write credential in place of existingSecretName",
    )
}

/// To attach is all that it does.
pub(super) fn existing_is_attached() -> Rule {
    of_existing(
        ".attach",
        "!has(self.attach) || !has(self.attach.mode) || self.attach.mode != 'None'",
        "existingSecretName together with attach.mode: None does nothing at all: leave attach.mode out, so that service accounts name the Secret",
    )
}

/// A pod that waits for an image that the Secret isn't for would be evicted in vain.
pub(super) fn existing_evicts_no_pods() -> Rule {
    of_existing(
        ".stuckPods",
        "!has(self.stuckPods) || self.stuckPods != 'Evict'",
        "stuckPods: Evict together with existingSecretName could evict pods in vain, since regcred doesn't know which images the Secret is for: write Report or Ignore",
    )
}

/// An empty selector selects all, so selecting nothing is always a mistake.
pub(super) fn some_namespace() -> Rule {
    Rule::new("(has(self.names) && self.names.size() > 0) || has(self.selector)")
        .message("namespaces has neither names nor a selector: write at least one, as in names: [default] or, for all namespaces, selector: {}")
        .reason(Reason::FieldValueRequired)
}

/// `mode: None` beside a choice of service accounts is a contradiction.
pub(super) fn none_chooses_none() -> Rule {
    Rule::new("!has(self.mode) || self.mode != 'None' || !has(self.serviceAccounts)")
        .message("attach has mode: None together with serviceAccounts: leave these out, or write mode: ServiceAccounts")
        .reason(Reason::FieldValueForbidden)
}
