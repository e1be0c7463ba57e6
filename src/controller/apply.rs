//! Executes one step against the API server and puts its answer into the index.

use std::{future::Future, sync::Arc, time::Instant};

use kube::{
    Api, Client,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, Preconditions},
    core::Status,
};
use serde_json::{Value, json};
use tracing::debug;

use super::{
    adaptive_concurrency::Answer,
    context::Context,
    error::{self, WRITE_TIMEOUT, WriteError},
};
use crate::{
    api::{FIELD_MANAGER, NamespaceName, PodName, SECRET_TYPE, SecretName, ServiceAccountName},
    cluster::{create_secret, observe::Observed, patch_secret, replace_secret, settle_secret},
    credential::{Guard, Owner, PullSecret, SecretManifest},
    plan::{Change, Pod, ResourceVersion, Secret, ServiceAccount, Write, catalog::Entry, managed_names::ManagedNames},
    process::metrics::WriteKind,
};

/// A step with all that it takes to execute it.
pub enum Task {
    /// A Secret.
    WriteSecret { entry: Arc<Entry>, secret: SecretName, write: Write },
    /// JSON patch of a service account.
    PatchServiceAccount { service_account: ServiceAccountName, changes: Vec<Change>, patch: Vec<Value> },
    /// Deletion of a Secret.
    DeleteSecret { secret: SecretName, uid: Box<str>, resource_version: ResourceVersion },
}

/// Executes it. `Moved` says that the index has been brought up to date and a new plan is needed.
pub async fn execute(context: &Context, namespace: &NamespaceName, task: &Task) -> Result<(), WriteError> {
    let started = Instant::now();
    let (kind, result) = match task {
        Task::WriteSecret { entry, secret, write } => {
            (WriteKind::WriteSecret, write_secret(context, namespace, entry, secret, write).await)
        }
        Task::PatchServiceAccount { service_account, changes, patch } => {
            let result = patch_service_account(context, namespace, service_account, changes, patch).await;
            (WriteKind::PatchServiceAccount, result)
        }
        Task::DeleteSecret { secret, uid, resource_version } => {
            (WriteKind::DeleteSecret, delete_secret(context, namespace, secret, uid, *resource_version).await)
        }
    };
    context.metrics.write(kind, error::result(&result));
    let answer = if matches!(result, Err(WriteError::TooBusy(_))) { Answer::TooBusy } else { Answer::Given };
    if let Some(limit) = context.adaptive_concurrency.ended(started.elapsed(), answer) {
        debug!(limit, "the roll-out's pace has changed");
        context.namespaces.limit_bulk(limit);
    }
    result
}

async fn write_secret(
    context: &Context,
    namespace: &NamespaceName,
    entry: &Entry,
    name: &SecretName,
    write: &Write,
) -> Result<(), WriteError> {
    let Some(pull_secret) = &entry.pull_secret else {
        return Ok(()); // held: nothing is written
    };
    let owner = Owner { name: entry.desired.credential.clone(), uid: entry.desired.uid.to_string() };
    let written = match write {
        // Rights by name can't allow a POST, as the name of what it makes isn't known when rights are checked.
        Write::Create if context.settings.limits.managed_names == ManagedNames::Any => {
            let manifest = SecretManifest::new(pull_secret, namespace, &owner, &Guard::Post);
            bounded(create_secret(&context.client, namespace.as_str(), &manifest)).await
        }
        Write::Create => apply(context, namespace, name, pull_secret, &owner, &Guard::Create).await,
        Write::Replace { uid, resource_version } => {
            let guard = exact(uid, *resource_version);
            let manifest = SecretManifest::new(pull_secret, namespace, &owner, &guard);
            bounded(replace_secret(&context.client, namespace, name, &manifest)).await
        }
        Write::Apply { uid, resource_version } => {
            let guard = exact(uid, *resource_version);
            apply(context, namespace, name, pull_secret, &owner, &guard).await
        }
        Write::Patch { resource_version, entry } => {
            bounded(patch_secret(&context.client, namespace, pull_secret, *entry, *resource_version)).await
        }
        Write::Settle { resource_version, entry } => {
            bounded(settle_secret(&context.client, namespace, name, *entry, *resource_version)).await
        }
    };
    let error = match written {
        Ok(seen) => {
            context.index().secret_answered(namespace, name, seen.object);
            return Ok(());
        }
        Err(error) => error,
    };
    let patched = match write {
        Write::Patch { resource_version, .. } | Write::Settle { resource_version, .. } => Some(*resource_version),
        Write::Create | Write::Replace { .. } | Write::Apply { .. } => None,
    };
    match error {
        WriteError::Moved => {
            look_again(context, namespace, name).await?;
            Err(WriteError::Moved)
        }
        // A patch for a Secret that has another shape by now fails before its resourceVersion is looked at.
        WriteError::Invalid(_) if patched.is_some() => {
            look_again(context, namespace, name).await?;
            let moved = context.index().secret_version(namespace, name) != patched;
            Err(if moved { WriteError::Moved } else { withhold(pull_secret, error) })
        }
        WriteError::Gone => Err(WriteError::Gone),
        error => Err(withhold(pull_secret, error)),
    }
}

async fn apply(
    context: &Context,
    namespace: &NamespaceName,
    name: &SecretName,
    pull_secret: &PullSecret,
    owner: &Owner,
    guard: &Guard,
) -> Result<Observed<Secret>, WriteError> {
    let manifest = SecretManifest::new(pull_secret, namespace, owner, guard);
    // Force: what we take over is ours, or `conflictPolicy: Adopt` says so; the guard makes sure of which object it is.
    let params = PatchParams::apply(FIELD_MANAGER).force();
    bounded(secrets(&context.client, namespace).patch(name.as_str(), &params, &Patch::Apply(manifest))).await
}

fn exact(uid: &str, resource_version: ResourceVersion) -> Guard {
    Guard::Exact { uid: uid.to_owned(), resource_version: resource_version.to_string() }
}

/// An admission webhook or policy may quote what it refuses.
fn withhold(pull_secret: &PullSecret, error: WriteError) -> WriteError {
    let withheld = || "the refusal quotes the credential, so it isn't repeated here".to_owned();
    match error {
        WriteError::Denied(text) if pull_secret.is_quoted_in(&text) => WriteError::Denied(withheld()),
        WriteError::Invalid(text) if pull_secret.is_quoted_in(&text) => WriteError::Invalid(withheld()),
        WriteError::Unavailable(text) if pull_secret.is_quoted_in(&text) => WriteError::Unavailable(withheld()),
        WriteError::TooBusy(text) if pull_secret.is_quoted_in(&text) => WriteError::TooBusy(withheld()),
        other => other,
    }
}

/// Reads a Secret's metadata and type. Metadata alone doesn't tell the type, so the list asks for it.
async fn look_again(context: &Context, namespace: &NamespaceName, name: &SecretName) -> Result<(), WriteError> {
    let api = secrets(&context.client, namespace);
    let typed = format!("metadata.name={name},type={SECRET_TYPE}");
    let listed = bounded(api.list(&ListParams::default().fields(&typed))).await?;
    let version = listed.metadata.resource_version.as_deref().and_then(|v| v.parse().ok()).unwrap_or_default();
    if let Some(seen) = listed.items.into_iter().next() {
        context.index().secret_seen(namespace, name, seen.object);
        return Ok(());
    }
    match bounded(api.get_opt(name.as_str())).await? {
        Some(seen) => {
            let secret = Secret { wrong_type: true, ..seen.object };
            context.index().secret_seen(namespace, name, secret);
        }
        None => {
            context.index().secret_gone(namespace, name, version);
        }
    }
    Ok(())
}

async fn patch_service_account(
    context: &Context,
    namespace: &NamespaceName,
    name: &ServiceAccountName,
    changes: &[Change],
    patch: &[Value],
) -> Result<(), WriteError> {
    let api: Api<Observed<ServiceAccount>> = Api::namespaced(context.client.clone(), namespace.as_str());
    let patch = serde_json::from_value(Value::Array(patch.to_vec()));
    let patch = Patch::<()>::Json(patch.map_err(|_| WriteError::Invalid("not a JSON patch".to_owned()))?);
    let removed = || {
        changes.iter().filter_map(|c| match c {
            Change::Remove(secret) => Some(secret),
            _ => None,
        })
    };
    removed().for_each(|secret| context.index().removing(namespace, name, secret));
    let result = send_patch(context, namespace, name, &api, &patch).await;
    // Without an answer of the API server it may have been done all the same, which its event then tells.
    if matches!(result, Err(WriteError::Unavailable(_) | WriteError::TooBusy(_))) {
        context.unconfirmed_patches().begin(namespace, name);
    } else {
        context.unconfirmed_patches().end(namespace, name);
        removed().for_each(|secret| context.index().removed(namespace, name, secret));
    }
    result
}

/// Reads a service account whose last patch had no answer.
///
/// # Errors
/// Where that has none, either: it stays unconfirmed.
pub async fn settle_unconfirmed_patch(
    context: &Context,
    namespace: &NamespaceName,
    name: &ServiceAccountName,
) -> Result<(), WriteError> {
    let api: Api<Observed<ServiceAccount>> = Api::namespaced(context.client.clone(), namespace.as_str());
    let before = context.index().service_account_version(namespace, name);
    read_service_account(context, namespace, name, &api, before).await?;
    context.unconfirmed_patches().end(namespace, name);
    Ok(())
}

async fn read_service_account(
    context: &Context,
    namespace: &NamespaceName,
    name: &ServiceAccountName,
    api: &Api<Observed<ServiceAccount>>,
    before: Option<ResourceVersion>,
) -> Result<(), WriteError> {
    match bounded(api.get_opt(name.as_str())).await? {
        Some(seen) => {
            context.index().service_account_seen(namespace, name, seen.object);
        }
        None => {
            context.index().service_account_gone(namespace, name, before.unwrap_or_default());
        }
    }
    Ok(())
}

async fn send_patch(
    context: &Context,
    namespace: &NamespaceName,
    name: &ServiceAccountName,
    api: &Api<Observed<ServiceAccount>>,
    patch: &Patch<()>,
) -> Result<(), WriteError> {
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let before = context.index().service_account_version(namespace, name);
    let error = match bounded(api.patch(name.as_str(), &params, patch)).await {
        Ok(seen) => {
            context.index().service_account_answered(namespace, name, seen.object);
            return Ok(());
        }
        Err(error) => error,
    };
    // A patch for a list that has another shape by now fails before its resourceVersion is looked at.
    if !matches!(error, WriteError::Moved | WriteError::Invalid(_)) {
        return Err(error);
    }
    read_service_account(context, namespace, name, api, before).await?;
    let moved = context.index().service_account_version(namespace, name) != before;
    Err(if moved { WriteError::Moved } else { error })
}

async fn delete_secret(
    context: &Context,
    namespace: &NamespaceName,
    name: &SecretName,
    uid: &str,
    resource_version: ResourceVersion,
) -> Result<(), WriteError> {
    let api = secrets(&context.client, namespace);
    let preconditions =
        Preconditions { uid: Some(uid.to_owned()), resource_version: Some(resource_version.to_string()) };
    let deleted = bounded(api.delete(name.as_str(), &DeleteParams::background().preconditions(preconditions))).await;
    match deleted {
        Ok(_) | Err(WriteError::Gone) => {
            context.index().secret_gone(namespace, name, resource_version);
            Ok(())
        }
        Err(WriteError::Moved) => {
            look_again(context, namespace, name).await?;
            Err(WriteError::Moved)
        }
        Err(error) => Err(error),
    }
}

/// Evicts a pod, if it is as we saw it: one that has gone on since may run by now.
pub async fn evict_pod(
    context: &Context,
    namespace: &NamespaceName,
    name: &PodName,
    pod: &Pod,
) -> Result<(), WriteError> {
    let api: Api<Observed<Option<Pod>>> = Api::namespaced(context.client.clone(), namespace.as_str());
    // Not the client's own `evict`: it sends `delete_options`, which the API server passes over, preconditions and all.
    let eviction = json!({
        "apiVersion": "policy/v1",
        "kind": "Eviction",
        "metadata": {"name": name.as_str(), "namespace": namespace.as_str()},
        "deleteOptions": {"preconditions": {"uid": pod.uid, "resourceVersion": pod.resource_version.to_string()}},
    });
    let params = PostParams::default();
    let evicted = bounded(api.create_subresource("eviction", name.as_str(), &params, &eviction)).await;
    let result = evicted.map(|_: Status| ());
    context.metrics.write(WriteKind::EvictPod, error::result(&result));
    result
}

fn secrets(client: &Client, namespace: &NamespaceName) -> Api<Observed<Secret>> {
    Api::namespaced(client.clone(), namespace.as_str())
}

/// Waits for an answer no longer than [`WRITE_TIMEOUT`].
pub(super) async fn bounded<T>(call: impl Future<Output = kube::Result<T>>) -> Result<T, WriteError> {
    match tokio::time::timeout(WRITE_TIMEOUT, call).await {
        Ok(answer) => answer.map_err(WriteError::from),
        Err(_) => {
            Err(WriteError::TooBusy(format!("the API server didn't answer within {} s", WRITE_TIMEOUT.as_secs())))
        }
    }
}
