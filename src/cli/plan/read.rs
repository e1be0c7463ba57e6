//! What is asked of the API server: one list of each kind, and sources where the user wants them read.

use std::collections::{BTreeMap, BTreeSet};

use kube::{Client, api::DynamicObject};

use super::{
    args::PlanArgs,
    compose::Case,
    intent::{Flags, Intent, Source, works},
    question::{Action, Objects, Question},
};
use crate::{
    api::{CredentialName, NamespaceName, ROOT_KEY_NAME, Reason, SecretName, ServiceAccountName},
    cli::{
        args::{DEFAULT_NAMESPACE, Scope},
        lister::{Cause, Listed, Lister},
    },
    cluster::{
        SourceFailure,
        index::Index,
        observe::{NamespaceMeta, Observed},
        read_root_key, read_source,
    },
    credential::{AllowedRegistries, RevisionKey, kinds},
    plan::{
        Namespace, Secret, ServiceAccount,
        decoded::{DecodedCredential, Limits, is_going},
    },
};

/// Reads all that the question takes.
///
/// # Errors
/// A sentence, where what there is can't be known.
pub async fn case(client: &Client, scope: Scope, args: &PlanArgs, question: &Question) -> Result<Case, String> {
    let lister = Lister::new(client.clone(), scope);
    let managed = args.managed_secret_names.iter().cloned().collect();
    let (credentials, namespaces, accounts, secrets) = tokio::try_join!(
        lister.registry_credentials(),
        lister.namespaces(),
        lister.service_accounts(),
        lister.pull_secrets(&managed),
    )?;
    let mut notes: Vec<String> = question.skipped().to_vec();
    let before = objects(credentials, question, &mut notes)?;
    let mut flags = flags(args, &before, question);
    if args.read_source || !question.secrets().is_empty() {
        flags.revision_key = revision_key(client, &args.state_namespace, &mut notes).await;
    }
    let answerable = question.put(&before, &flags)?;
    let is_subject = |name: &CredentialName| answerable.subjects.as_ref().is_none_or(|all| all.contains_key(name));

    let mut after = Vec::new();
    for (name, object) in &answerable.after {
        let source = match is_subject(name) {
            true => {
                let at = At { object, before: before.get(name) };
                source(client, &at, args, question, &flags, &mut notes).await?
            }
            false => Source::NotRead,
        };
        after.push(Intent::new(before.get(name), object, source, &flags));
    }
    let there = before.values().filter(|object| !is_going(object));
    let before: Vec<_> = there.map(|object| Intent::new(Some(object), object, Source::NotRead, &flags)).collect();

    let written = after.iter().filter(|intent| intent.contents.is_ok());
    // Somebody else may come to have the name of one that is deleted.
    let deleted = before.iter().filter(|intent| !answerable.after.contains_key(&intent.decoded.credential));
    let asked = written.chain(deleted).filter(|intent| is_subject(&intent.decoded.credential));
    let asked: BTreeSet<&SecretName> = asked.map(|intent| &intent.decoded.secret).collect();
    let in_the_way = lister.secrets_of_other_types(asked).await?;
    let mut index = Index::new(managed);
    for intent in before.iter().chain(&after) {
        index.take_interest(&intent.decoded.secret);
    }
    let scope = lister.scope();
    let namespaces = fill(index, scope, namespaces, accounts, [secrets, in_the_way], &mut notes)?;
    let namespace = match scope {
        Scope::All => None,
        Scope::Namespace(name) => Some(name.clone()),
    };
    Ok(Case { action: question.action, namespace, namespaces, before, after, subjects: answerable.subjects, notes })
}

/// The RegistryCredentials by name.
fn objects(listed: Listed<DynamicObject>, question: &Question, notes: &mut Vec<String>) -> Result<Objects, String> {
    let (items, gap) = listed.into_parts();
    match gap {
        Some(gap) if gap.cause == Cause::NotServed && question.action == Action::Apply => {
            notes.push(format!("{}; apply config/crd before the RegistryCredential", gap.why));
        }
        Some(gap) => return Err(format!("{}; without them nothing can be said", gap.why)),
        None => {}
    }
    let named = |object: DynamicObject| Some((object.metadata.name.as_deref()?.into(), object));
    Ok(items.into_iter().filter_map(named).collect())
}

/// Where a flag isn't given, what the RegistryCredentials ask for is taken to be allowed; of registries other than Google's
/// only what the operator has taken.
fn flags(args: &PlanArgs, before: &Objects, question: &Question) -> Flags {
    let given = &args.limits;
    let namespaces = given.credential_namespaces.iter().map(|name| name.trim().to_owned());
    let mut credential_namespaces: Vec<String> = namespaces.filter(|name| !name.is_empty()).collect();
    let decided = [
        (Reason::RegistryNotAllowed, !given.allowed_registries.is_empty()),
        (Reason::NamespaceNotAllowed, !credential_namespaces.is_empty()),
        (Reason::SecretNameNotAllowed, !args.managed_secret_names.is_empty()),
    ];
    if credential_namespaces.is_empty() {
        let asked: BTreeSet<&str> = before.values().chain(question.manifests()).filter_map(place).collect();
        credential_namespaces = [DEFAULT_NAMESPACE].into_iter().chain(asked).map(str::to_owned).collect();
    }
    let mut allowed_registries = given.allowed_registries.clone();
    if allowed_registries.is_empty() {
        let taken = before.values().filter(|object| works(object));
        let taken = taken.filter_map(|object| object.data.pointer("/spec/registries")?.as_array());
        let taken = taken.flatten().filter_map(|registry| registry.as_str());
        allowed_registries = AllowedRegistries::covering(taken, kinds::is_a_providers);
    }
    let managed_names = args.managed_secret_names.iter().cloned().collect();
    let state_namespace = args.state_namespace.clone();
    let limits = Limits { credential_namespaces, allowed_registries, managed_names, state_namespace };
    let decided = decided.into_iter().filter_map(|(reason, given)| given.then_some(reason)).collect();
    Flags { limits, decided, revision_key: None }
}

/// The key by which the operator makes revisions, where the user may read it.
async fn revision_key(client: &Client, namespace: &str, notes: &mut Vec<String>) -> Option<RevisionKey> {
    let why = match read_root_key(client, namespace).await {
        Ok(Some(key)) => return Some(key.revision_key()),
        Ok(None) => "it isn't there, so the operator hasn't run yet, or has another --state-namespace".to_owned(),
        Err(failure) => told(failure),
    };
    notes.push(format!(
        "Secret {namespace}/{ROOT_KEY_NAME}, the operator's own, can't be read: {why}; so what pull secrets hold can't be \
         compared: sources in the files count as changed, and of others the operator's word is taken"
    ));
    None
}

/// Why the user can't read a Secret.
fn told(failure: SourceFailure) -> String {
    match failure {
        SourceFailure::Forbidden => "you may not read it".to_owned(),
        SourceFailure::Answer(why) => why,
        SourceFailure::Client(error) => error.to_string(),
    }
}

/// The namespace of its source, where it names one.
fn place(object: &DynamicObject) -> Option<&str> {
    let paths = kinds::namespace_path();
    paths.filter_map(|path| object.data.pointer(&format!("/{}", path.join("/")))?.as_str()).next()
}

/// A RegistryCredential whose source is looked for.
struct At<'a> {
    object: &'a DynamicObject,
    before: Option<&'a DynamicObject>,
}

impl At<'_> {
    /// Whether the operator, which has found it, must look in another namespace than we do, who only assume one.
    fn is_elsewhere(&self, flags: &Flags) -> bool {
        let is_assumed = place(self.object).is_none() && !flags.decided.contains(&Reason::NamespaceNotAllowed);
        is_assumed && self.before.is_some_and(|before| place(before).is_none() && works(before))
    }
}

/// The source of a RegistryCredential: from the files, or from the cluster if it is to be read.
///
/// # Errors
/// A sentence, where the API server would refuse the one in the files.
async fn source(
    client: &Client,
    at: &At<'_>,
    args: &PlanArgs,
    question: &Question,
    flags: &Flags,
    notes: &mut Vec<String>,
) -> Result<Source, String> {
    let decoded = DecodedCredential::new(at.object, &flags.limits);
    let Ok(Some((namespace, kind))) = decoded.source(&flags.limits) else { return Ok(Source::NotRead) };
    let name = kind.secret().name;
    // The last one is what an apply leaves.
    if let Some(applied) = question.secrets().iter().rev().find(|secret| secret.is(namespace, name)) {
        return applied.in_namespace(namespace).map(Source::Applied);
    }
    if !args.read_source {
        return Ok(Source::NotRead);
    }
    let why = match read_source(client, namespace, name).await {
        Ok(Some(source)) => return Ok(Source::Found(source)),
        Ok(None) if at.is_elsewhere(flags) => {
            "it isn't there, and the operator has one, so it looks in another namespace: add --credential-namespaces, as \
             the operator has it"
                .to_owned()
        }
        Ok(None) => return Ok(Source::Missing),
        Err(failure) => told(failure),
    };
    notes.push(format!("Secret {namespace}/{name}, the source of {}, can't be read: {why}", decoded.credential));
    Ok(Source::NotRead)
}

/// What there is, as the operator keeps it.
fn fill(
    mut index: Index,
    scope: &Scope,
    namespaces: Listed<Observed<NamespaceMeta>>,
    accounts: Listed<Observed<ServiceAccount>>,
    secrets: [Listed<Observed<Secret>>; 2],
    notes: &mut Vec<String>,
) -> Result<Vec<(NamespaceName, Namespace)>, String> {
    let (items, gap) = namespaces.into_parts();
    match (gap, scope) {
        (Some(gap), Scope::All) => {
            return Err(format!("{}; name one namespace with --namespace, if you may read there", gap.why));
        }
        (Some(gap), Scope::Namespace(name)) => {
            notes.push(format!("{}, so its labels aren't known, and selectors count as if it had none", gap.why));
            index.namespace_seen(&name.as_str().into(), Default::default(), false);
        }
        (None, _) => {}
    }
    for seen in items {
        let NamespaceMeta { labels, terminating } = seen.object;
        index.namespace_seen(&seen.name.as_str().into(), labels, terminating);
    }
    for listed in secrets {
        let (items, gap) = listed.into_parts();
        if let Some(gap) = gap {
            return Err(format!("{}; name one namespace with --namespace, if you may read there", gap.why));
        }
        for seen in items {
            let (namespace, name) = seen.key::<SecretName>();
            index.secret_seen(&namespace, &name, seen.object);
        }
    }
    let (items, gap) = accounts.into_parts();
    notes.extend(gap.map(|gap| format!("{}, so their entries aren't in this plan", gap.why)));
    for seen in items {
        let (namespace, name) = seen.key::<ServiceAccountName>();
        index.service_account_seen(&namespace, &name, seen.object);
    }
    let by_name: BTreeMap<_, _> = index.iter().map(|(name, namespace)| (name.clone(), namespace.clone())).collect();
    Ok(by_name.into_iter().collect())
}
