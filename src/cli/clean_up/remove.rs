//! Takes entries, annotations and Secrets of ours away, one object after the other.

use std::io::Write;

use kube::{
    Api, Client,
    api::{DeleteParams, Patch, PatchParams, Preconditions},
};
use serde_json::Value;

use crate::{
    api::{FIELD_MANAGER, SecretName, printable},
    cli::{
        args::Scope,
        lister::{Listed, Lister},
    },
    cluster::observe::Observed,
    plan::{Change, Secret, ServiceAccount, json_patch, managed_names::ManagedNames},
};

/// How often a service account or Secret that moves meanwhile is tried again.
const TRIES: usize = 5;

/// Whether to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Say what would be done.
    DryRun,
    /// Do it.
    Remove,
}

/// What a cleanup came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Service accounts whose entries and annotations went, or would go.
    pub service_accounts: usize,
    /// Secrets that went, or would go.
    pub secrets: usize,
    /// Objects where that failed.
    pub failed: usize,
}

/// Removes entries first and Secrets after them, so that no pod is told of a Secret that isn't there. One line for
/// each object goes to `out`.
///
/// # Errors
/// A sentence, where objects can't be listed, or `out` can't be written. What fails for one object is counted, and the
/// rest done.
pub async fn remove(client: &Client, mode: Mode, out: &mut impl Write) -> Result<Removed, String> {
    let lister = Lister::new(client.clone(), Scope::All);
    // Where there is no such kind any more, nobody would make anything again.
    let left = lister.registry_credentials().await?.items().len();
    if left > 0 {
        writeln!(out, "note: {left} RegistryCredentials exist; a running operator would make all of this again")
            .map_err(unsaid)?;
    }
    let mut removed = Removed::default();
    for Observed { namespace, name, object: seen, .. } in known(lister.service_accounts().await?)? {
        if seen.added.is_empty() {
            continue;
        }
        let secrets: Vec<_> = seen.added.keys().map(SecretName::to_string).collect();
        let what = format!("serviceaccount {namespace}/{name}: pull secret {}", secrets.join(", "));
        let done = match mode {
            Mode::DryRun => Ok(()),
            Mode::Remove => strip(client, &namespace, &name, seen).await,
        };
        tell(out, mode, &what, done, &mut removed.service_accounts, &mut removed.failed).map_err(unsaid)?;
    }
    for Observed { namespace, name, object: seen, .. } in known(lister.pull_secrets(&ManagedNames::default()).await?)? {
        // Without the owner reference it was orphaned on purpose, or somebody else's all along.
        if !is_ours(&seen) {
            continue;
        }
        let done = match mode {
            Mode::DryRun => Ok(()),
            Mode::Remove => delete(client, &namespace, &name, seen).await,
        };
        tell(out, mode, &format!("secret {namespace}/{name}"), done, &mut removed.secrets, &mut removed.failed)
            .map_err(unsaid)?;
    }
    Ok(removed)
}

/// All of it: what isn't listed isn't removed.
fn known<T>(listed: Listed<T>) -> Result<Vec<T>, String> {
    match listed {
        Listed::These(items) => Ok(items),
        Listed::Unknown(gap) => Err(gap.why),
    }
}

fn unsaid(error: std::io::Error) -> String {
    format!("the report can't be written: {error}")
}

fn tell(
    out: &mut impl Write,
    mode: Mode,
    what: &str,
    done: kube::Result<()>,
    count: &mut usize,
    failed: &mut usize,
) -> std::io::Result<()> {
    match (done, mode) {
        (Ok(()), Mode::DryRun) => writeln!(out, "would remove {what}")?,
        (Ok(()), Mode::Remove) => writeln!(out, "removed {what}")?,
        (Err(error), _) => {
            *failed += 1;
            return writeln!(out, "failed to remove {what}: {}", sentence(&error));
        }
    }
    *count += 1;
    Ok(())
}

async fn strip(client: &Client, namespace: &str, name: &str, mut seen: ServiceAccount) -> kube::Result<()> {
    let api = Api::<Observed<ServiceAccount>>::namespaced(client.clone(), namespace);
    let params = PatchParams { field_manager: Some(FIELD_MANAGER.to_owned()), ..PatchParams::default() };
    let mut tries = 1;
    loop {
        let changes: Vec<Change> = seen
            .added
            .keys()
            .map(|secret| match seen.entries.contains(secret) {
                true => Change::Remove(secret.clone()),
                false => Change::Forget(secret.clone()),
            })
            .collect();
        let patch =
            serde_json::from_value(Value::Array(json_patch(&seen, &changes))).map_err(kube::Error::SerdeError)?;
        let error = match api.patch(name, &params, &Patch::<()>::Json(patch)).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        let moved = matches!(&error, kube::Error::Api(s) if s.code == 409 || s.code == 422);
        match api.get_opt(name).await? {
            None => return Ok(()),
            Some(now) => seen = now.object,
        }
        if seen.added.is_empty() {
            return Ok(());
        }
        if !moved || tries == TRIES {
            return Err(error);
        }
        tries += 1;
    }
}

async fn delete(client: &Client, namespace: &str, name: &str, mut seen: Secret) -> kube::Result<()> {
    let api = Api::<Observed<Secret>>::namespaced(client.clone(), namespace);
    let mut tries = 1;
    loop {
        let (uid, version) = (seen.uid.to_string(), seen.resource_version.to_string());
        let preconditions = Preconditions { uid: Some(uid), resource_version: Some(version) };
        let error = match api.delete(name, &DeleteParams::background().preconditions(preconditions)).await {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        match &error {
            kube::Error::Api(status) if status.code == 404 => return Ok(()),
            kube::Error::Api(status) if status.code == 409 && tries < TRIES => {}
            _ => return Err(error),
        }
        match api.get_opt(name).await? {
            Some(now) if is_ours(&now.object) => seen = now.object,
            // Gone, or no longer ours.
            Some(_) | None => return Ok(()),
        }
        tries += 1;
    }
}

/// Our label, and an owner reference to the RegistryCredential that it names, whether that exists or not.
fn is_ours(secret: &Secret) -> bool {
    secret.credential_owners.iter().any(|(name, _)| Some(name) == secret.label.as_ref())
}

fn sentence(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => printable(&status.message),
        _ => "the API server can't be reached".to_owned(),
    }
}
