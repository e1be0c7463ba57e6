//! One RegistryCredential: read its source, resolve it, publish what it wants to the catalog.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Secret as KubeSecret;
use kube::{Api, Resource, api::DynamicObject, core::Request};
use tracing::{debug, info, warn};

use super::{
    backoff::TRANSIENT,
    context::{Context, Published},
    error::{WRITE_TIMEOUT, WriteError, printable},
    queue::Lane,
};
use crate::{
    api::{Reason, RegistryCredentialSpec},
    catalog::{Entry, Epoch},
    cluster::read_undecoded,
    credential::{self, Invalid, PullSecret, Resolved, SourceSecret},
    metrics::ReconcileResult,
    names::{CredentialName, NamespaceName, SecretName},
    observe::Observed,
    plan::{Claim, ClaimState, NamespaceRule, Scope, Secret, ServiceAccountRule, StuckRule},
    rollout::{Hold, State},
};

/// After how many failures in a row, about twenty seconds, the status says that the source can't be read.
const TELL_AFTER: u32 = 7;

/// How long the name of a credential stays held after `--cascade=orphan` has let it go, so that the caches of its
/// Secrets learn that they have no owner any more.
const ORPHAN_GRACE: Duration = Duration::from_secs(30);

/// Brings the catalog up to date with one RegistryCredential.
pub async fn reconcile(context: &Arc<Context>, name: &CredentialName) -> ReconcileResult {
    let object = context.objects().get(name).cloned();
    let Some(object) = object.filter(|o| o.metadata.deletion_timestamp.is_none() || is_being_orphaned(o)) else {
        remove(context, name);
        return ReconcileResult::Done;
    };
    let decoded = Decoded::new(&object, context);
    let source = decoded.source_key(context).and_then(|key| context.sources().get(&key).cloned());
    let uid = object.metadata.uid.clone().unwrap_or_default();
    let generation = object.metadata.generation;
    let known = context.states().get(name).cloned();
    if let Some(known) = &known
        && (&known.uid, known.generation, &known.source) == (&uid, generation, &source)
        && !matches!(known.state, State::Held { hold: Hold::Retried, .. })
        && !is_being_orphaned(&object)
    {
        // Only its status or something that we don't use has changed. A status may be one that our predecessor sent
        // before it was killed, and that arrived late, or somebody's.
        context.statuses.add(name.clone(), Lane::Live);
        return ReconcileResult::Done;
    }

    let found = decoded.resolve(context, name).await;
    let (pull_secret, state) = match found {
        Ok((resolved, version)) => {
            context.source_retries.worked(name);
            let state = State::Resolved { identity: resolved.identity, source: version };
            (Some(Arc::new(resolved.pull_secret)), state)
        }
        Err(held) => {
            if held.hold == Hold::Retried {
                let wait = context.source_retries.failed(name, TRANSIENT);
                context.credentials.add_at(name.clone(), Instant::now() + wait);
                warn!(credential = %name, reason = held.reason.as_str(), message = held.message, "tried again");
                let stands = known.filter(|known| known.uid == uid && known.generation == generation);
                if let Some(known) = stands {
                    // What was found last stands, and namespaces go on getting it.
                    if context.source_retries.count(name) == TELL_AFTER {
                        let state = State::Held { reason: held.reason, message: held.message, hold: held.hold };
                        context.states().insert(name.clone(), Published { state, ..known });
                        context.statuses.add(name.clone(), Lane::Live);
                    }
                    return ReconcileResult::Failed;
                }
            }
            let state = State::Held { reason: held.reason, message: held.message, hold: held.hold };
            (None, state)
        }
    };
    // What was read is newer than, or the same as, what the cache had: the event that follows says nothing new.
    let source = match &state {
        State::Resolved { source, .. } => Some(source.clone()),
        State::Held { .. } => source,
    };
    let current = context.objects().get(name).cloned();
    let is_same = |now: Arc<DynamicObject>| {
        let (now, then) = (&now.metadata, &object.metadata);
        (&now.uid, &now.generation, &now.deletion_timestamp) == (&then.uid, &then.generation, &then.deletion_timestamp)
    };
    if !current.is_some_and(is_same) {
        return ReconcileResult::Done; // it changed while its source was read, and is queued again
    }
    let claim = decoded.claim(name, &object, pull_secret.as_deref());
    let result = match &state {
        State::Held { hold: Hold::Spec | Hold::Source | Hold::Retried, .. } => ReconcileResult::Failed,
        State::Held { hold: Hold::Suspended, .. } | State::Resolved { .. } => ReconcileResult::Done,
    };
    publish(context, claim, pull_secret, Published { since: Instant::now(), uid, generation, source, state }).await;
    result
}

/// `kubectl delete --cascade=orphan`: the garbage collector is taking its Secrets' owner references away.
pub fn is_being_orphaned(object: &DynamicObject) -> bool {
    object.metadata.deletion_timestamp.is_some() && object.metadata.finalizers.iter().flatten().any(|f| f == "orphan")
}

/// It is gone or going: the one thing that leads to removal.
fn remove(context: &Arc<Context>, name: &CredentialName) {
    context.states().remove(name);
    context.source_retries.worked(name);
    let uid = context.catalog().get(name).map(|entry| entry.claim.uid.to_string()).unwrap_or_default();
    let now = Instant::now();
    let grace = context.orphaned().get_mut(&uid).map(|until| *until.get_or_insert(now + ORPHAN_GRACE));
    match grace {
        Some(until) if until > now => {
            hold(context, name);
            context.credentials.add_at(name.clone(), until);
        }
        _ => {
            context.orphaned().remove(&uid);
            forget(context, name);
        }
    }
}

/// It is being orphaned, or has been, and what is known of its Secrets may be older than that: nothing is made for it any
/// more, nor removed. This doesn't wait for its turn: its source may be read just now.
pub fn hold(context: &Context, name: &CredentialName) {
    context.change_catalog(|catalog| {
        if let Some(entry) = catalog.get(name).cloned() {
            let claim = Claim { state: ClaimState::Held, ..entry.claim.clone() };
            catalog.insert(Entry { claim, pull_secret: None, epoch: entry.epoch });
        }
    });
}

fn forget(context: &Context, name: &CredentialName) {
    if context.change_catalog(|catalog| catalog.remove(name)).is_some() {
        info!(credential = %name, "the RegistryCredential is gone: its entries and Secrets go, too");
        context.ledger().end(name);
        context.stuck.wanted_by(&context.catalog());
        context.metrics.forget(name);
        context.statuses.add(name.clone(), Lane::Live); // the writer forgets it, too
        context.plan_all();
    }
}

async fn publish(context: &Arc<Context>, claim: Claim, pull_secret: Option<Arc<PullSecret>>, found: Published) {
    let name = claim.credential.clone();
    let secret = claim.secret.clone();
    match &found.state {
        State::Resolved { source, .. } => info!(credential = %name, source, "resolved"),
        State::Held { reason, message, .. } => info!(credential = %name, reason = reason.as_str(), message, "held"),
    }
    let is_new_name = context.index().take_interest(&secret);
    if is_new_name && *context.synced().borrow() && context.settings.managed_names.allow(&secret) {
        look_for(context, &secret).await;
    }
    let resolved = pull_secret.is_some();
    let epoch = context.change_catalog(|catalog| {
        let epoch = Epoch(catalog.get(&name).map_or(0, |entry| entry.epoch.0) + 1);
        catalog.insert(Entry { claim: claim.clone(), pull_secret, epoch });
        epoch
    });
    context.stuck.wanted_by(&context.catalog());
    // A namespace that comes after this is planned with the new catalog and counts itself.
    let targets = targets(context, &claim);
    if resolved {
        context.ledger().begin(&name, epoch, targets);
    } else {
        context.ledger().end(&name);
    }
    context.states().insert(name.clone(), found);
    context.statuses.add(name, Lane::Live);
    context.plan_all();
}

fn targets(context: &Context, claim: &Claim) -> Vec<NamespaceName> {
    let index = context.index();
    let all = index.iter().filter(|(name, namespace)| !namespace.terminating && claim.targets(name, namespace));
    all.map(|(name, _)| name.clone()).collect()
}

/// Counts anew in all credentials, as after a restart: who stood by wasn't told which namespaces came and went.
pub fn count_anew(context: &Context) {
    // The ledger first, so that a change of the catalog that comes later is also counted later.
    let mut ledger = context.ledger();
    for entry in context.catalog().entries().filter(|entry| entry.pull_secret.is_some()) {
        ledger.begin(&entry.claim.credential, entry.epoch, targets(context, &entry.claim));
    }
    drop(ledger);
    let now = Instant::now();
    context.states().values_mut().for_each(|found| found.since = now);
}

/// Until now, foreign Secrets of this name were passed over. Asking for all of them at once spares a refused write in
/// each namespace that has one; where the list fails, those writes tell.
async fn look_for(context: &Context, secret: &SecretName) {
    let api = Api::<Observed<Secret>>::all(context.client.clone());
    let selector = format!("metadata.name={secret},type={}", crate::api::SECRET_TYPE);
    let params = kube::api::ListParams::default().fields(&selector);
    match tokio::time::timeout(WRITE_TIMEOUT, api.list(&params)).await {
        Ok(Ok(list)) => {
            let mut index = context.index();
            for seen in list.items {
                let (namespace, name) = seen.key::<SecretName>();
                index.secret_seen(&namespace, &name, seen.object);
            }
        }
        Ok(Err(_)) | Err(_) => debug!(%secret, "couldn't list the Secrets of a new name beforehand"),
    }
}

/// Why nothing can be written for a credential.
struct Held {
    reason: Reason,
    message: String,
    hold: Hold,
}

impl From<Invalid> for Held {
    fn from(invalid: Invalid) -> Self {
        let hold = match invalid.reason {
            Reason::SourceKeyNotFound | Reason::InvalidKey => Hold::Source,
            _ => Hold::Spec,
        };
        Self { reason: invalid.reason, message: invalid.message, hold }
    }
}

/// A RegistryCredential as far as this version understands it.
struct Decoded {
    uid: String,
    secret: SecretName,
    orphaned: bool,
    spec: Result<(RegistryCredentialSpec, NamespaceRule, ServiceAccountRule), Held>,
}

impl Decoded {
    fn new(object: &DynamicObject, context: &Context) -> Self {
        let spec = object.data.get("spec").cloned().unwrap_or_default();
        let template = spec.pointer("/secretTemplate/name").and_then(|name| name.as_str());
        let secret = template.or(object.metadata.name.as_deref()).unwrap_or_default().into();
        let spec = serde_json::from_value::<RegistryCredentialSpec>(spec).map_err(|error| Held {
            reason: Reason::Undecodable,
            message: format!(
                "this version of regcred ({}) can't read the spec: {}; upgrade regcred, or correct the spec",
                env!("CARGO_PKG_VERSION"),
                printable(&error.to_string())
            ),
            hold: Hold::Spec,
        });
        let spec = spec.and_then(|mut spec| {
            let operator = |error: kube::core::ParseExpressionError| Held {
                reason: Reason::InvalidSpec,
                message: format!("a selector can't be read: {}", printable(&error.to_string())),
                hold: Hold::Spec,
            };
            let namespaces = NamespaceRule::new(&spec.namespaces).map_err(operator)?;
            let accounts = ServiceAccountRule::new(&spec.service_accounts).map_err(operator)?;
            if let Some(source) = &mut spec.credential.gcp_service_account_key {
                let first = context.settings.credential_namespaces.first().cloned();
                source.secret_ref.namespace = source.secret_ref.namespace.take().or(first);
            }
            Ok((spec, namespaces, accounts))
        });
        let uid = object.metadata.uid.clone().unwrap_or_default();
        Self { uid, secret, orphaned: is_being_orphaned(object), spec }
    }

    fn source_key(&self, context: &Context) -> Option<(String, String)> {
        let (spec, ..) = self.spec.as_ref().ok()?;
        let source = credential::source_ref(spec).ok()?;
        let namespace = source.namespace.clone()?;
        context.settings.credential_namespaces.contains(&namespace).then(|| (namespace, source.name.clone()))
    }

    /// The pull secret, and the version of the source that it was made from.
    async fn resolve(&self, context: &Context, name: &CredentialName) -> Result<(Resolved, String), Held> {
        if self.orphaned {
            let message = "it is being deleted with --cascade=orphan: its Secrets and entries stay".to_owned();
            return Err(Held { reason: Reason::Orphaned, message, hold: Hold::Suspended });
        }
        let spec = match &self.spec {
            Ok((spec, ..)) => spec,
            Err(Held { reason, message, hold }) => {
                return Err(Held { reason: *reason, message: message.clone(), hold: *hold });
            }
        };
        if spec.suspend {
            let message = "spec.suspend is true: nothing is written and nothing removed".to_owned();
            return Err(Held { reason: Reason::Suspended, message, hold: Hold::Suspended });
        }
        let managed = &context.settings.managed_names;
        if !managed.allow(&self.secret) {
            let message = format!(
                "the Secrets' name {} isn't one of the operator's --managed-secret-names ({managed}); make another \
                 RegistryCredential with one of these as secretTemplate.name, or have the administrator add {} there and \
                 to the resourceNames of the operator's ClusterRole",
                self.secret, self.secret
            );
            return Err(Held { reason: Reason::SecretNameNotAllowed, message, hold: Hold::Spec });
        }
        let source = credential::source_ref(spec)?;
        let namespace = source.namespace.clone().unwrap_or_default();
        credential::check_namespace(&namespace, &context.settings.credential_namespaces)?;
        credential::check_registries(spec, &context.settings.allowed_registries)?;
        let secret = self.read(context, &namespace, &source.name).await?;
        let resolved = credential::resolve(name, spec, &secret, &context.settings.allowed_registries)?;
        Ok((resolved, secret.resource_version().to_owned()))
    }

    /// Reads the source. The answer goes from the wire into memory that is wiped: the client's own decoding would log
    /// what it can't decode.
    async fn read(&self, context: &Context, namespace: &str, name: &str) -> Result<SourceSecret, Held> {
        let unreadable = |why: String| Held {
            reason: Reason::SourceUnreadable,
            message: format!("Secret {namespace}/{name} can't be read, and is tried again: {why}"),
            hold: Hold::Retried,
        };
        let missing = || Held {
            reason: Reason::SourceNotFound,
            message: format!(
                "Secret {namespace}/{name} doesn't exist; create it: kubectl -n {namespace} create secret generic \
                 {name} --from-file=key.json"
            ),
            hold: Hold::Source,
        };
        let forbidden = format!(
            "the operator's service account may not read Secrets in {namespace}; bind the Role of config/rbac there"
        );
        if context.unreadable().contains(namespace) {
            return Err(unreadable(forbidden));
        }
        if !context.sources().contains_key(&(namespace.to_owned(), name.to_owned())) {
            return Err(missing());
        }
        let request = Request::new(KubeSecret::url_path(&(), Some(namespace)));
        let request = request.get(name, &kube::api::GetParams::default());
        let request = request.map_err(|_| unreadable("its name isn't one".to_owned()))?;
        let answer = read_undecoded(&context.client, request);
        let (status, body) = match tokio::time::timeout(WRITE_TIMEOUT, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => return Err(unreadable(WriteError::from(error).to_string())),
            Err(_) => return Err(unreadable("the API server didn't answer".to_owned())),
        };
        match status.as_u16() {
            200 => SourceSecret::from_json(&body).map_err(|error| unreadable(error.to_string())),
            404 => Err(missing()),
            403 => Err(unreadable(forbidden)),
            code => Err(unreadable(format!("HTTP {code}"))),
        }
    }

    fn claim(&self, name: &CredentialName, object: &DynamicObject, pull_secret: Option<&PullSecret>) -> Claim {
        let (scope, policy, stuck) = match &self.spec {
            Ok((spec, namespaces, service_accounts)) => {
                let (namespaces, service_accounts) = (namespaces.clone(), service_accounts.clone());
                (Scope::Known { namespaces, service_accounts }, spec.conflict_policy, StuckRule::new(spec))
            }
            Err(_) => (Scope::Unknown, Default::default(), StuckRule::default()),
        };
        let state = pull_secret.map_or(ClaimState::Held, |pull_secret| ClaimState::Resolved {
            revision: pull_secret.revision().clone(),
            fields: pull_secret.field_count(),
        });
        Claim {
            credential: name.clone(),
            uid: self.uid.as_str().into(),
            created: object.metadata.creation_timestamp.as_ref().map_or(Timestamp::MAX, |time| time.0),
            secret: self.secret.clone(),
            scope,
            policy,
            state,
            stuck,
        }
    }
}
