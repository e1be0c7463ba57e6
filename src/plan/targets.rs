//! Which namespaces and service accounts a RegistryCredential means.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{Expression, ParseExpressionError, Selector};

use crate::{
    api::{AttachMode, AttachTargets, Labels, NamespaceName, NamespaceTargets, Pattern, ServiceAccountName},
    process::Text,
};

fn patterns(names: &[String]) -> Vec<Pattern> {
    names.iter().map(|name| Pattern::new(name)).collect()
}

/// All of these have to hold; `matches` of kube's own selector wants a `BTreeMap`.
#[derive(Clone, Debug, PartialEq)]
struct LabelRule(Vec<Expression>);

impl LabelRule {
    fn new(selector: &Option<LabelSelector>) -> Result<Option<Self>, ParseExpressionError> {
        let selector = selector.clone().map(Selector::try_from).transpose()?;
        Ok(selector.map(|selector| Self(selector.into_iter().collect())))
    }

    fn matches(&self, labels: &Labels) -> bool {
        let value = |key: &String| labels.get(key.as_str()).map(Text::as_str);
        self.0.iter().all(|expression| match expression {
            Expression::In(key, values) => value(key).is_some_and(|value| values.contains(value)),
            Expression::NotIn(key, values) => value(key).is_none_or(|value| !values.contains(value)),
            Expression::Equal(key, wanted) => value(key) == Some(wanted),
            Expression::NotEqual(key, unwanted) => value(key) != Some(unwanted),
            Expression::Exists(key) => value(key).is_some(),
            Expression::DoesNotExist(key) => value(key).is_none(),
        })
    }
}

/// `spec.namespaces`, ready to be asked. The default is for none.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NamespaceRule {
    names: Vec<Pattern>,
    selector: Option<LabelRule>,
    exclude: Vec<Pattern>,
}

impl NamespaceRule {
    /// # Errors
    /// Where the selector has an operator that Kubernetes doesn't know.
    pub fn new(targets: &NamespaceTargets) -> Result<Self, ParseExpressionError> {
        Ok(Self {
            names: patterns(&targets.names),
            selector: LabelRule::new(&targets.selector)?,
            exclude: patterns(&targets.exclude),
        })
    }

    /// Never this one, whatever the spec says.
    #[must_use]
    pub fn without(mut self, namespace: &str) -> Self {
        self.exclude.push(Pattern::new(namespace));
        self
    }

    /// Named or selected, and not excluded.
    pub fn matches(&self, name: &NamespaceName, labels: &Labels) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(name.as_str()));
        (any(&self.names) || self.selector.as_ref().is_some_and(|s| s.matches(labels))) && !any(&self.exclude)
    }
}

/// The service accounts of `spec.attach`, ready to be asked.
#[derive(Clone, Debug, PartialEq)]
pub struct ServiceAccountRule {
    names: Vec<Pattern>,
    selector: Option<LabelRule>,
    exclude: Vec<Pattern>,
}

impl ServiceAccountRule {
    /// # Errors
    /// Where the selector has an operator that Kubernetes doesn't know.
    pub fn new(attach: &AttachTargets) -> Result<Self, ParseExpressionError> {
        if attach.mode == AttachMode::None {
            return Ok(Self { names: Vec::new(), selector: None, exclude: Vec::new() });
        }
        let targets = attach.service_accounts.clone().unwrap_or_default();
        let names = match (&targets.names, &targets.selector) {
            (Some(names), _) => patterns(names),
            (None, Some(_)) => Vec::new(),
            (None, None) => vec![Pattern::new("default")],
        };
        Ok(Self { names, selector: LabelRule::new(&targets.selector)?, exclude: patterns(&targets.exclude) })
    }

    /// Named or selected, and not excluded.
    pub fn matches(&self, name: &ServiceAccountName, labels: &Labels) -> bool {
        let any = |patterns: &[Pattern]| patterns.iter().any(|p| p.matches(name.as_str()));
        (any(&self.names) || self.selector.as_ref().is_some_and(|s| s.matches(labels))) && !any(&self.exclude)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelectorRequirement;
    use kube::core::SelectorExt;
    use proptest::prelude::*;

    use super::*;
    use crate::api::ServiceAccountTargets;

    fn labels(pairs: &[(&str, &str)]) -> Labels {
        pairs.iter().map(|(key, value)| ((*key).into(), (*value).into())).collect()
    }

    fn strings(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    fn selector(pairs: &[(&str, &str)]) -> Option<LabelSelector> {
        let pairs = pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
        Some(LabelSelector { match_labels: Some(pairs.collect()), ..LabelSelector::default() })
    }

    fn namespaces(names: &[&str], selector: Option<LabelSelector>, exclude: &[&str]) -> NamespaceRule {
        let targets = NamespaceTargets { names: strings(names), selector, exclude: strings(exclude) };
        NamespaceRule::new(&targets).unwrap()
    }

    fn accounts(names: Option<&[&str]>, selector: Option<LabelSelector>, exclude: &[&str]) -> ServiceAccountRule {
        let targets = ServiceAccountTargets {
            names: names.map(strings),
            selector,
            exclude: strings(exclude),
            ..Default::default()
        };
        ServiceAccountRule::new(&AttachTargets { service_accounts: Some(targets), ..Default::default() }).unwrap()
    }

    fn expression() -> impl Strategy<Value = Expression> {
        let values = || prop::collection::btree_set("[xyz]", 0..3);
        prop_oneof![
            ("[abc]", values()).prop_map(|(key, values)| Expression::In(key, values)),
            ("[abc]", values()).prop_map(|(key, values)| Expression::NotIn(key, values)),
            ("[abc]", "[xyz]").prop_map(|(key, value)| Expression::Equal(key, value)),
            ("[abc]", "[xyz]").prop_map(|(key, value)| Expression::NotEqual(key, value)),
            "[abc]".prop_map(Expression::Exists),
            "[abc]".prop_map(Expression::DoesNotExist),
        ]
    }

    proptest! {
        #[test]
        fn labels_match_as_they_do_in_kube(
            expressions in prop::collection::vec(expression(), 0..4),
            labels in prop::collection::btree_map("[abc]", "[xyz]", 0..4),
        ) {
            let selector: Selector = expressions.iter().cloned().collect();
            let expected = selector.matches(&labels);
            let labels: BTreeMap<String, String> = labels;
            let labels: Labels = labels.into_iter().map(|(key, value)| (key.into(), value.into())).collect();
            prop_assert_eq!(LabelRule(expressions).matches(&labels), expected);
        }
    }

    #[test]
    fn a_namespace_is_named_or_selected_and_not_excluded() {
        let rule = namespaces(&["team-*", "web"], selector(&[("images", "private")]), &["team-x*"]);
        let private = [("images", "private"), ("more", "labels")];
        for (name, with, expected) in [
            ("team-a", labels(&[]), true),
            ("web", labels(&[]), true),
            ("other", labels(&[]), false),
            ("other", labels(&private), true),
            ("other", labels(&[("images", "public")]), false),
            ("team-xy", labels(&[]), false),
            ("team-xy", labels(&private), false),
        ] {
            assert_eq!(rule.matches(&name.into(), &with), expected, "{name}, {with:?}");
        }
    }

    #[test]
    fn an_empty_selector_selects_all_and_no_selector_none() {
        let all = namespaces(&[], Some(LabelSelector::default()), &["kube-*"]);
        assert!(all.matches(&"any".into(), &labels(&[])));
        assert!(!all.matches(&"kube-system".into(), &labels(&[])));
        assert!(!namespaces(&[], None, &[]).matches(&"any".into(), &labels(&[("a", "b")])));
    }

    #[test]
    fn without_names_and_selector_it_is_the_default_service_account() {
        let rule = accounts(None, None, &[]);
        assert!(rule.matches(&"default".into(), &labels(&[])));
        assert!(!rule.matches(&"builder".into(), &labels(&[])));
    }

    #[test]
    fn service_accounts_are_named_or_selected() {
        let pulls = selector(&[("pulls", "private")]);
        let private = labels(&[("pulls", "private")]);
        let selected = accounts(None, pulls.clone(), &[]);
        assert!(selected.matches(&"builder".into(), &private));
        assert!(!selected.matches(&"default".into(), &labels(&[])), "a selector alone doesn't mean default");
        let both = accounts(Some(&["ci-*"]), pulls.clone(), &[]);
        for (name, with, expected) in
            [("ci-1", labels(&[]), true), ("builder", private.clone(), true), ("builder", labels(&[]), false)]
        {
            assert_eq!(both.matches(&name.into(), &with), expected, "{name}");
        }
        assert!(accounts(None, Some(LabelSelector::default()), &[]).matches(&"x".into(), &labels(&[])));
        let excluded = accounts(Some(&["ci-*"]), pulls.clone(), &["ci-b", "*-x"]);
        for (name, labels, wanted) in [
            ("ci-a", labels(&[]), true),
            ("ci-b", labels(&[]), false),
            ("ci-x", labels(&[("pulls", "private")]), false),
            ("other", labels(&[("pulls", "private")]), true),
        ] {
            assert_eq!(excluded.matches(&name.into(), &labels), wanted, "{name}");
        }
        let targets = ServiceAccountTargets { names: Some(strings(&["*"])), selector: pulls, ..Default::default() };
        let none = AttachTargets { mode: AttachMode::None, service_accounts: Some(targets) };
        let none = ServiceAccountRule::new(&none).unwrap();
        assert!(!none.matches(&"default".into(), &private), "attach: None wins");
    }

    #[test]
    fn an_operator_that_kubernetes_does_not_know_is_an_error() {
        let requirement = LabelSelectorRequirement {
            key: "a".to_owned(),
            operator: "Like".to_owned(),
            values: Some(strings(&["b"])),
        };
        let selector = Some(LabelSelector { match_expressions: Some(vec![requirement]), match_labels: None });
        let targets = NamespaceTargets { selector: selector.clone(), ..NamespaceTargets::default() };
        assert!(NamespaceRule::new(&targets).is_err());
        let targets = ServiceAccountTargets { selector, ..ServiceAccountTargets::default() };
        let targets = AttachTargets { service_accounts: Some(targets), ..AttachTargets::default() };
        assert!(ServiceAccountRule::new(&targets).is_err());
    }
}
