//! The lists that an audit takes, one for each kind → what is known of the cluster.

use std::collections::{BTreeMap, HashMap};

use jiff::Timestamp;
use kube::{Client, api::DynamicObject};

use super::{
    cluster::{Cluster, Credential},
    report::NotRead,
    secret_data,
};
use crate::{
    api::SECRET_TYPE,
    cli::survey::{Gap, Listed, Survey},
    names::{NamespaceName, SecretName, ServiceAccountName},
    observe::{NamespaceMeta, Observed},
    plan::{ClaimState, Namespace, Secret, ServiceAccount},
    pull::{Managed, Seen},
    wish::{Limits, Wish},
};

/// The older type of pull secrets.
const OLDER_TYPE: &str = "kubernetes.io/dockercfg";

/// Reads it; the data of Secrets only with a client for that.
///
/// # Errors
/// A sentence, where the API server can't answer, or pods may not be listed: without them there is nothing to say.
pub async fn cluster(survey: &Survey, data: Option<&Client>) -> Result<(Cluster, Vec<NotRead>), String> {
    let (pods, accounts, namespaces, credentials) =
        tokio::try_join!(survey.pods(), survey.service_accounts(), survey.namespaces(), survey.registry_credentials())?;
    let (pods, gap) = pods.into_parts();
    if let Some(gap) = gap {
        return Err(format!("{}; name a namespace in which you may, with --namespace", gap.why));
    }
    let mut not_read = Vec::new();
    let mut note = |gap: Option<Gap>, so: &'static str| {
        let is_known = gap.is_none();
        not_read.extend(gap.map(|gap| NotRead { what: gap.what, why: gap.why, so }));
        is_known
    };
    let (namespaces, gap) = namespaces.into_parts();
    let namespaces = note(gap, "whether a namespace is a target isn't known").then(|| of_namespaces(namespaces));
    let (accounts, gap) = accounts.into_parts();
    let accounts = note(gap, "what service accounts name isn't known").then(|| of_accounts(accounts));
    let (credentials, gap) = credentials.into_parts();
    note(gap, "which images should have a pull secret isn't known");
    let credentials: Vec<Credential> = credentials.iter().filter_map(credential).collect();

    let (secrets, gap) = match data {
        Some(client) => secret_data::all(client, survey.scope(), &[SECRET_TYPE, OLDER_TYPE]).await?,
        None => metadata(survey, &credentials).await?,
    };
    let secrets = note(gap, "whether pull secrets exist isn't known").then_some(secrets);
    let mut cluster = Cluster { namespaces, accounts, secrets, credentials, pods, now: Timestamp::now().as_second() };
    if cluster.names_what_is_not_there() {
        let of_others = format!("type!={SECRET_TYPE},type!={OLDER_TYPE}");
        let (others, gap) = survey.list::<Secret>("Secrets", Some(&of_others)).await?.into_parts();
        note(gap, "whether what is missing is there with another type isn't known");
        let others = others.iter().map(|seen| (seen.key::<SecretName>(), Seen::NoPullSecret { secret_type: None }));
        cluster.secrets.get_or_insert_default().extend(others);
    }
    Ok((cluster, not_read))
}

/// The pull secrets of both types, without their data.
async fn metadata(
    survey: &Survey,
    credentials: &[Credential],
) -> Result<(BTreeMap<(NamespaceName, SecretName), Seen>, Option<Gap>), String> {
    let (current, older) = (format!("type={SECRET_TYPE}"), format!("type={OLDER_TYPE}"));
    let lists: (Listed<Observed<Secret>>, _) =
        tokio::try_join!(survey.list("Secrets", Some(&current)), survey.list("Secrets", Some(&older)))?;
    let ((mut secrets, gap), (more, another)) = (lists.0.into_parts(), lists.1.into_parts());
    secrets.extend(more);
    let seen = |seen: &Observed<Secret>| {
        let managed = credentials.iter().find(|credential| credential.owns(&seen.object)).map(Credential::says);
        (seen.key(), Seen::NotRead { managed })
    };
    Ok((secrets.iter().map(seen).collect(), gap.or(another)))
}

fn of_namespaces(seen: Vec<Observed<NamespaceMeta>>) -> HashMap<NamespaceName, Namespace> {
    let namespace = |seen: Observed<NamespaceMeta>| {
        let NamespaceMeta { labels, terminating } = seen.object;
        (seen.name.into(), Namespace { labels, terminating, ..Namespace::default() })
    };
    seen.into_iter().map(namespace).collect()
}

fn of_accounts(seen: Vec<Observed<ServiceAccount>>) -> BTreeMap<(NamespaceName, ServiceAccountName), ServiceAccount> {
    seen.into_iter().map(|seen| (seen.key(), seen.object)).collect()
}

/// `None` where this version can't read it.
pub(super) fn credential(object: &DynamicObject) -> Option<Credential> {
    let wish = Wish::new(object, &Limits::default());
    let registries = wish.spec()?.registries.clone();
    let conditions = object.data.pointer("/status/conditions").and_then(|conditions| conditions.as_array());
    let ready = conditions.into_iter().flatten().find(|condition| condition["type"] == "Ready");
    let reason = ready.and_then(|condition| condition["reason"].as_str());
    Some(Credential {
        says: Managed { credential: wish.credential.to_string(), registries },
        claim: wish.claim(ClaimState::Held),
        status: reason.unwrap_or("not there yet").to_owned(),
    })
}
