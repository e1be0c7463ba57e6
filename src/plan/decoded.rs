//! PURE: a RegistryCredential as the API server has it → what it wants, or why nothing may be written for it.

use jiff::Timestamp;
use kube::api::DynamicObject;

use super::{
    desired::{Desired, DesiredState, Maker, Scope, StuckRule},
    managed_names::ManagedNames,
    targets::{NamespaceRule, ServiceAccountRule},
};
use crate::{
    api::{self, ConflictPolicy, CredentialName, Reason, RegistryCredentialSpec, SecretName, Stalled, printable},
    credential::{
        self, AllowedRegistries, PullSecret, Resolved, Revision, RevisionKey, SourceSecret, kind::Kind, kinds,
    },
};

/// What the operator's administrator allows RegistryCredentials to ask for.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// The namespaces that source Secrets may live in; the first is meant where a secretRef names none.
    pub credential_namespaces: Vec<String>,
    /// Registries that credentials may be sent to, beyond the provider's own.
    pub allowed_registries: AllowedRegistries,
    /// The names that managed Secrets may have.
    pub managed_names: ManagedNames,
    /// The namespace of the operator's own Secrets, which is never a target; empty where there is none.
    pub state_namespace: String,
}

/// The source Secret doesn't exist.
pub fn source_missing(namespace: &str, kind: &dyn Kind) -> Stalled {
    let name = kind.secret().name;
    let message = format!("Secret {namespace}/{name} doesn't exist; create it: {}", kind.create_command(namespace));
    Stalled::new(Reason::SourceNotFound, message)
}

/// The source Secret may be there, and can't be read.
pub fn source_unreadable(namespace: &str, name: &str, why: &str) -> Stalled {
    let message = format!("Secret {namespace}/{name} can't be read, and is tried again: {why}");
    Stalled::new(Reason::SourceUnreadable, message)
}

/// The name of a RegistryCredential's Secrets, whether or not the rest of its spec can be decoded.
pub fn secret_name(object: &DynamicObject) -> SecretName {
    let text = |path: &str| object.data.pointer(path).and_then(|name| name.as_str());
    let given = text("/spec/existingSecretName").or_else(|| text("/spec/secretTemplate/name"));
    api::secret_name(object.metadata.name.as_deref().unwrap_or_default(), given)
}

/// `kubectl delete --cascade=orphan`: the garbage collector is taking its Secrets' owner references away.
pub fn is_being_orphaned(object: &DynamicObject) -> bool {
    object.metadata.deletion_timestamp.is_some() && object.metadata.finalizers.iter().flatten().any(|f| f == "orphan")
}

/// It is being deleted, and its Secrets and entries with it.
pub fn is_going(object: &DynamicObject) -> bool {
    object.metadata.deletion_timestamp.is_some() && !is_being_orphaned(object)
}

/// A RegistryCredential as far as this version understands it.
#[derive(Clone, Debug)]
pub struct DecodedCredential {
    /// `metadata.name`.
    pub credential: CredentialName,
    /// `metadata.uid`.
    pub uid: String,
    /// The name of its Secrets.
    pub secret: SecretName,
    created: Timestamp,
    orphaned: bool,
    spec: Result<(RegistryCredentialSpec, NamespaceRule, ServiceAccountRule), Stalled>,
}

impl DecodedCredential {
    /// Reads the object.
    pub fn new(object: &DynamicObject, limits: &Limits) -> Self {
        let metadata = &object.metadata;
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let name = metadata.name.as_deref().unwrap_or_default();
        Self {
            credential: name.into(),
            uid: metadata.uid.clone().unwrap_or_default(),
            secret: secret_name(object),
            created: metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
            orphaned: is_being_orphaned(object),
            spec: decode(spec, limits),
        }
    }

    /// The spec, with the namespace of its source filled in; `None` where this version can't read it.
    pub fn spec(&self) -> Option<&RegistryCredentialSpec> {
        self.decoded().ok()
    }

    /// The same.
    ///
    /// # Errors
    /// Why this version can't read it.
    pub fn decoded(&self) -> Result<&RegistryCredentialSpec, &Stalled> {
        self.spec.as_ref().map(|(spec, ..)| spec)
    }

    /// Namespace and name of the source Secret, where it may live there.
    pub fn source_key(&self, limits: &Limits) -> Option<(String, String)> {
        let source = kinds::of(self.spec()?.credential.as_ref()?).ok()?.secret();
        let namespace = source.namespace?.to_owned();
        limits.credential_namespaces.contains(&namespace).then(|| (namespace, source.name.to_owned()))
    }

    /// Who makes its Secrets.
    fn maker(&self) -> Maker {
        let existing = self.spec().and_then(|spec| spec.existing_secret_name.as_ref());
        if existing.is_some() { Maker::Others } else { Maker::Us }
    }

    /// The namespace of the source that is to be read, and the kind that reads it; `None` where others make its Secrets.
    ///
    /// # Errors
    /// Why nothing is written whatever the source holds.
    pub fn source(&self, limits: &Limits) -> Result<Option<(&str, &dyn Kind)>, Stalled> {
        if self.orphaned {
            let message = match self.maker() {
                Maker::Us => "it is being deleted with --cascade=orphan: its Secrets and entries stay",
                // No Secret of its own could tell that they are to stay.
                Maker::Others => {
                    "it is being deleted with --cascade=orphan, which keeps Secrets: its entries go with it"
                }
            };
            return Err(Stalled::new(Reason::Orphaned, message));
        }
        let (spec, ..) = self.spec.as_ref().map_err(Stalled::clone)?;
        if spec.suspend {
            let message = "spec.suspend is true: nothing is written and nothing removed".to_owned();
            return Err(Stalled::new(Reason::Suspended, message));
        }
        let managed = &limits.managed_names;
        if !managed.allow(&self.secret) {
            let field = match self.maker() {
                Maker::Us => "secretTemplate.name",
                Maker::Others => "existingSecretName",
            };
            let message = format!(
                "the Secrets' name {} isn't one of the operator's --managed-secret-names ({managed}); make another \
                 RegistryCredential with one of these as {field}, or have the administrator add {} there and \
                 to the resourceNames of the operator's ClusterRole",
                self.secret, self.secret
            );
            return Err(Stalled::new(Reason::SecretNameNotAllowed, message));
        }
        let Some(credential) = &spec.credential else { return Ok(None) };
        let kind = kinds::of(credential)?;
        let namespace = kind.secret().namespace.unwrap_or_default();
        credential::check_namespace(namespace, &limits.credential_namespaces)?;
        credential::check_registries(spec, &limits.allowed_registries)?;
        Ok(Some((namespace, kind)))
    }

    /// The pull secret that comes of the source.
    ///
    /// # Errors
    /// Why nothing is written.
    pub fn resolve(
        &self,
        source: &SourceSecret,
        limits: &Limits,
        key: &RevisionKey,
        now: Timestamp,
    ) -> Result<Resolved, Stalled> {
        let (spec, ..) = self.spec.as_ref().map_err(Stalled::clone)?;
        credential::resolve(self.secret.clone(), spec, source, &limits.allowed_registries, key, now)
    }

    /// What it asks of namespaces, given what there is to write.
    pub fn desired(&self, state: DesiredState) -> Desired {
        let (scope, policy, stuck) = match &self.spec {
            Ok((spec, namespaces, service_accounts)) => {
                let (namespaces, service_accounts) = (namespaces.clone(), service_accounts.clone());
                let policy = match self.maker() {
                    Maker::Us => spec.conflict_policy,
                    Maker::Others => ConflictPolicy::Fail,
                };
                (Scope::Known { namespaces, service_accounts }, policy, StuckRule::new(spec))
            }
            Err(_) => (Scope::Unknown, Default::default(), StuckRule::default()),
        };
        Desired {
            credential: self.credential.clone(),
            uid: self.uid.as_str().into(),
            created: self.created,
            secret: self.secret.clone(),
            maker: self.maker(),
            scope,
            policy,
            state,
            stuck,
        }
    }
}

impl DecodedCredential {
    /// What it asks of namespaces where the source's owner has withdrawn it: to be in none of them, so that what was rolled
    /// out is taken back as from a namespace that isn't a target any more.
    pub fn withdrawn(&self) -> Desired {
        const NONE: &str = "withdrawn";
        let nowhere = self.desired(DesiredState::Resolved { revision: Revision::assumed(NONE), fields: 0 });
        let scope = match nowhere.scope {
            Scope::Known { service_accounts, .. } => {
                Scope::Known { namespaces: NamespaceRule::default(), service_accounts }
            }
            Scope::Unknown => Scope::Unknown,
        };
        Desired { scope, ..nowhere }
    }
}

impl From<Option<&PullSecret>> for DesiredState {
    fn from(pull_secret: Option<&PullSecret>) -> Self {
        pull_secret.map_or(Self::Stalled, |pull_secret| Self::Resolved {
            revision: pull_secret.revision().clone(),
            fields: pull_secret.field_count(),
        })
    }
}

fn decode(
    mut spec: serde_json::Value,
    limits: &Limits,
) -> Result<(RegistryCredentialSpec, NamespaceRule, ServiceAccountRule), Stalled> {
    if let Some(first) = limits.credential_namespaces.first() {
        kinds::fill_namespace(&mut spec, first);
    }
    let spec = serde_json::from_value::<RegistryCredentialSpec>(spec).map_err(|error| {
        let message = format!(
            "this version of regcred ({}) can't read the spec: {}; upgrade regcred, or correct the spec",
            env!("CARGO_PKG_VERSION"),
            printable(&error.to_string())
        );
        Stalled::new(Reason::Undecodable, message)
    })?;
    match (&spec.credential, &spec.existing_secret_name) {
        (Some(_), None) => {}
        (None, Some(name)) if credential::is_secret_name(name) => {}
        (None, Some(_)) => return Err(credential::no_secret_name("spec.existingSecretName")),
        (Some(_), Some(_)) => {
            let message = "spec has credential and existingSecretName; leave one of them out";
            return Err(Stalled::new(Reason::InvalidSpec, message));
        }
        (None, None) => {
            let message = "spec has neither credential nor existingSecretName; write one of them";
            return Err(Stalled::new(Reason::InvalidSpec, message));
        }
    }
    let selector = |error: kube::core::ParseExpressionError| {
        let message = format!("a selector can't be read: {}", printable(&error.to_string()));
        Stalled::new(Reason::InvalidSpec, message)
    };
    let namespaces = NamespaceRule::new(&spec.namespaces).map_err(selector)?.without(&limits.state_namespace);
    let accounts = ServiceAccountRule::new(&spec.attach).map_err(selector)?;
    Ok((spec, namespaces, accounts))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn object(metadata: Value, spec: Value) -> DynamicObject {
        let whole = json!({
            "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": metadata, "spec": spec,
        });
        serde_json::from_value(whole).unwrap()
    }

    fn spec() -> Value {
        json!({
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "key"}}},
            "registries": ["gcr.io/darwin/"],
            "namespaces": {"names": ["team-*"]},
        })
    }

    fn limits() -> Limits {
        Limits { credential_namespaces: vec!["sources".to_owned(), "others".to_owned()], ..Limits::default() }
    }

    fn with(member: &str, value: Value) -> Value {
        let mut spec = spec();
        spec[member] = value;
        spec
    }

    #[test]
    fn a_source_without_a_namespace_is_in_the_first_that_is_allowed() {
        let decoded = DecodedCredential::new(&object(json!({"name": "darwin"}), spec()), &limits());
        assert_eq!(decoded.source_key(&limits()), Some(("sources".to_owned(), "key".to_owned())));
        let (namespace, kind) = decoded.source(&limits()).unwrap().unwrap();
        assert_eq!((namespace, kind.secret().name), ("sources", "key"));
        assert_eq!(
            source_missing(namespace, kind).message,
            "Secret sources/key doesn't exist; create it: kubectl -n sources create secret generic key --from-file=key.json"
        );
        assert_eq!(
            (decoded.secret.as_str(), decoded.desired(DesiredState::Stalled).created),
            ("darwin", Timestamp::MAX)
        );
    }

    #[test]
    fn the_source_of_any_kind_is_found_without_naming_it() {
        for credential in [
            json!({"dockerConfig": {"secretRef": {"name": "key"}}}),
            json!({"basicAuth": {"secretRef": {"name": "key", "namespace": null}}}),
        ] {
            let spec = json!({"credential": credential, "namespaces": {"names": ["team-*"]}});
            let decoded = DecodedCredential::new(&object(json!({"name": "darwin"}), spec), &limits());
            assert_eq!(decoded.source_key(&limits()), Some(("sources".to_owned(), "key".to_owned())), "{credential}");
            assert_eq!(decoded.source(&limits()).unwrap().unwrap().0, "sources");
        }
    }

    fn attaching(secret: &str) -> Value {
        json!({"existingSecretName": secret, "namespaces": {"names": ["team-*"]}})
    }

    #[test]
    fn one_that_leaves_its_secrets_to_others_has_no_source_and_adopts_nothing() {
        let mut attaching = attaching("pull");
        // An edited CRD may let these pass.
        (attaching["conflictPolicy"], attaching["stuckPods"]) = (json!("Adopt"), json!("Evict"));
        let decoded = DecodedCredential::new(&object(json!({"name": "darwin"}), attaching), &limits());
        assert!(decoded.source(&limits()).unwrap().is_none() && decoded.source_key(&limits()).is_none());
        let desired = decoded.desired(DesiredState::Attached);
        assert_eq!(
            (desired.secret.as_str(), desired.maker, desired.policy),
            ("pull", Maker::Others, ConflictPolicy::Fail)
        );
        assert_eq!(
            desired.stuck.policy,
            api::StuckPods::Report,
            "no pod is evicted for an image that it may not be for"
        );
        let made = DecodedCredential::new(&object(json!({"name": "darwin"}), spec()), &limits());
        assert_eq!(made.desired(DesiredState::Stalled).maker, Maker::Us);
    }

    #[test]
    fn a_name_that_may_not_be_watched_is_refused_with_the_field_that_gives_it() {
        let only = Limits { managed_names: ["x".into()].into_iter().collect(), ..limits() };
        let decoded = DecodedCredential::new(&object(json!({"name": "darwin"}), attaching("pull")), &only);
        let message = decoded.source(&only).map(drop).unwrap_err().message;
        assert!(message.contains("name pull") && message.contains("as existingSecretName"), "{message}");
    }

    #[test]
    fn one_that_is_withdrawn_is_for_no_namespace_and_is_not_kept() {
        let decoded = DecodedCredential::new(&object(json!({"name": "darwin"}), spec()), &limits());
        let stalled = Stalled::new(Reason::Revoked, "");
        assert_eq!(stalled.cause(), crate::api::StallCause::Withdrawn);
        let (kept, withdrawn) = (decoded.desired(DesiredState::Stalled), decoded.withdrawn());
        let namespace = Default::default();
        assert!(kept.targets(&"team-a".into(), &namespace) && !withdrawn.targets(&"team-a".into(), &namespace));
        assert!(matches!(withdrawn.state, DesiredState::Resolved { .. }), "a stalled one would keep what is there");
    }

    #[test]
    fn each_hold_is_found_before_the_source_is_read() {
        let reason = |metadata: Value, spec: Value, limits: &Limits| {
            let decoded = DecodedCredential::new(&object(metadata, spec), limits);
            decoded.source(limits).map(drop).unwrap_err().reason
        };
        let named = || json!({"name": "darwin"});
        let (limits, only) = (limits(), Limits { managed_names: ["x".into()].into_iter().collect(), ..limits() });
        let orphaned = json!({"name": "d", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": ["orphan"]});
        let elsewhere = json!({"gcpServiceAccountKey": {"secretRef": {"name": "key", "namespace": "elsewhere"}}});
        let selector = json!({"selector": {"matchExpressions": [{"key": "a", "operator": "Like", "values": ["b"]}]}});
        for (found, wanted) in [
            (reason(orphaned, with("suspend", json!(true)), &limits), Reason::Orphaned),
            (reason(named(), with("suspend", json!(true)), &limits), Reason::Suspended),
            (reason(named(), with("registries", json!(7)), &limits), Reason::Undecodable),
            (reason(named(), with("namespaces", selector), &limits), Reason::InvalidSpec),
            (reason(named(), spec(), &only), Reason::SecretNameNotAllowed),
            (reason(named(), with("existingSecretName", json!("pull")), &limits), Reason::InvalidSpec),
            (reason(named(), with("credential", Value::Null), &limits), Reason::InvalidSpec),
            (reason(named(), attaching("Pull"), &limits), Reason::InvalidSpec),
            (reason(named(), attaching("pull"), &only), Reason::SecretNameNotAllowed),
            (reason(named(), with("credential", json!({})), &limits), Reason::UnsupportedCredential),
            (reason(named(), with("credential", elsewhere), &limits), Reason::NamespaceNotAllowed),
            (reason(named(), with("registries", json!(["registry.example.com"])), &limits), Reason::RegistryNotAllowed),
        ] {
            assert_eq!(found, wanted);
        }
    }

    #[test]
    fn one_that_cannot_be_read_is_for_no_namespace_and_keeps_its_name() {
        let broken = json!({"secretTemplate": {"name": "pull"}, "namespaces": "all"});
        let desired = DecodedCredential::new(&object(json!({"name": "darwin", "uid": "u"}), broken), &limits())
            .desired(DesiredState::Stalled);
        assert_eq!((desired.secret.as_str(), desired.uid.as_str()), ("pull", "u"));
        assert!(matches!(desired.scope, Scope::Unknown));
    }

    #[test]
    fn one_that_is_deleted_goes_unless_it_is_orphaned() {
        let deleted = |finalizers: Value| {
            let metadata = json!({"name": "d", "deletionTimestamp": "2026-01-01T00:00:00Z", "finalizers": finalizers});
            object(metadata, spec())
        };
        let there = object(json!({"name": "d", "finalizers": ["orphan"]}), spec());
        let all = [&there, &deleted(json!([])), &deleted(json!(["orphan"]))];
        assert_eq!(all.map(is_going), [false, true, false]);
        assert_eq!(all.map(is_being_orphaned), [false, false, true]);
    }
}
