//! Which namespaces and service accounts a RegistryCredential means.

use std::collections::BTreeMap;

use kube::core::{ParseExpressionError, Selector, SelectorExt};

use crate::{
    api::{Attach, NamespaceTargets, ServiceAccountTargets},
    names::{NamespaceName, ServiceAccountName},
};

/// Labels of an object.
pub type Labels = BTreeMap<String, String>;

/// A name where `*` stands for any characters, none included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Pattern(String);

impl Pattern {
    fn matches(&self, name: &str) -> bool {
        let mut parts = self.0.split('*');
        // `split` yields at least one part: what stands before the first `*`.
        let Some(mut rest) = name.strip_prefix(parts.next().unwrap_or_default()) else {
            return false;
        };
        let mut parts = parts.peekable();
        if parts.peek().is_none() {
            return rest.is_empty();
        }
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                return rest.ends_with(part);
            }
            match rest.find(part) {
                Some(at) => rest = &rest[at + part.len()..],
                None => return false,
            }
        }
        true
    }
}

fn patterns(names: &[String]) -> Vec<Pattern> {
    names.iter().cloned().map(Pattern).collect()
}

/// `spec.namespaces`, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct NamespaceRule {
    names: Vec<Pattern>,
    selector: Option<Selector>,
    exclude: Vec<Pattern>,
}

impl NamespaceRule {
    /// # Errors
    /// Where the selector has an operator that Kubernetes doesn't know.
    pub fn new(targets: &NamespaceTargets) -> Result<Self, ParseExpressionError> {
        Ok(Self {
            names: patterns(&targets.names),
            selector: targets.selector.clone().map(Selector::try_from).transpose()?,
            exclude: patterns(&targets.exclude),
        })
    }

    /// Named or selected, and not excluded.
    pub fn matches(&self, name: &NamespaceName, labels: &Labels) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(name.as_str()));
        (any(&self.names) || self.selector.as_ref().is_some_and(|s| s.matches(labels))) && !any(&self.exclude)
    }
}

/// `spec.serviceAccounts`, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAccountRule {
    names: Vec<Pattern>,
    selector: Option<Selector>,
}

impl ServiceAccountRule {
    /// # Errors
    /// Where the selector has an operator that Kubernetes doesn't know.
    pub fn new(targets: &ServiceAccountTargets) -> Result<Self, ParseExpressionError> {
        if targets.attach == Attach::None {
            return Ok(Self { names: Vec::new(), selector: None });
        }
        let names = match (&targets.names, &targets.selector) {
            (Some(names), _) => patterns(names),
            (None, Some(_)) => Vec::new(),
            (None, None) => vec![Pattern("default".to_owned())],
        };
        let selector = targets.selector.clone().map(Selector::try_from).transpose()?;
        Ok(Self { names, selector })
    }

    /// Named or selected.
    pub fn matches(&self, name: &ServiceAccountName, labels: &Labels) -> bool {
        self.names.iter().any(|p| p.matches(name.as_str())) || self.selector.as_ref().is_some_and(|s| s.matches(labels))
    }
}
