//! The lists that an audit takes, one for each kind → what is known of the cluster.

use std::collections::BTreeMap;

use jiff::Timestamp;
use kube::{Client, api::DynamicObject};

use super::{report::NotRead, secret_data};
use crate::{
    api::{NamespaceName, SECRET_TYPE, SecretName, ServiceAccountName},
    cli::{
        diagnosis::{Cluster, Credential, Known, of_namespaces},
        lister::{Gap, Listed, Lister},
    },
    cluster::observe::Observed,
    image::pull::Seen,
    plan::{Secret, ServiceAccount},
};

/// The older type of pull secrets.
const OLDER_TYPE: &str = "kubernetes.io/dockercfg";

/// Reads it; the data of Secrets only with a client for that.
///
/// # Errors
/// A sentence, where the API server can't answer, or pods may not be listed: without them there is nothing to say.
pub async fn cluster(lister: &Lister, data: Option<&Client>) -> Result<(Cluster, Vec<NotRead>), String> {
    let (pods, accounts, namespaces, credentials) =
        tokio::try_join!(lister.pods(), lister.service_accounts(), lister.namespaces(), lister.registry_credentials())?;
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
    let (credentials, undecodable) = decoded(&credentials);

    let (secrets, gap) = match data {
        Some(client) => secret_data::all(client, lister.scope(), &[SECRET_TYPE, OLDER_TYPE], &credentials).await?,
        None => metadata(lister, &credentials).await?,
    };
    let secrets = note(gap, "whether pull secrets exist isn't known").then_some(secrets);
    let so = "which images it is for isn't known";
    not_read.extend(undecodable.into_iter().map(|why| NotRead { what: "RegistryCredentials", why, so }));
    let mut cluster = Cluster { namespaces, accounts, secrets, credentials, pods, now: Timestamp::now().as_second() };
    if cluster.names_what_is_not_there() {
        let of_others = format!("type!={SECRET_TYPE},type!={OLDER_TYPE}");
        let (others, gap) = lister.list::<Secret>("Secrets", Some(&of_others)).await?.into_parts();
        let so = "whether what is missing is there with another type isn't known";
        not_read.extend(gap.map(|gap| NotRead { what: gap.what, why: gap.why, so }));
        let known = |seen: &Observed<Secret>| {
            Known::new(Seen::NoPullSecret { secret_type: None }, &seen.object, &cluster.credentials)
        };
        let others = others.iter().map(|seen| (seen.key::<SecretName>(), known(seen)));
        cluster.secrets.get_or_insert_default().extend(others);
    }
    Ok((cluster, not_read))
}

/// Those that this version can read, and a sentence for each of the others.
fn decoded(objects: &[DynamicObject]) -> (Vec<Credential>, Vec<String>) {
    let (mut credentials, mut undecodable) = (Vec::new(), Vec::new());
    for object in objects {
        match Credential::new(object) {
            Ok(credential) => credentials.push(credential),
            Err(held) => {
                let name = object.metadata.name.as_deref().unwrap_or_default();
                undecodable.push(format!("RegistryCredential {name}: {}", held.message));
            }
        }
    }
    (credentials, undecodable)
}

/// The pull secrets of both types, without their data.
async fn metadata(
    lister: &Lister,
    credentials: &[Credential],
) -> Result<(BTreeMap<(NamespaceName, SecretName), Known>, Option<Gap>), String> {
    let (current, older) = (format!("type={SECRET_TYPE}"), format!("type={OLDER_TYPE}"));
    let lists: (Listed<Observed<Secret>>, _) =
        tokio::try_join!(lister.list("Secrets", Some(&current)), lister.list("Secrets", Some(&older)))?;
    let ((mut secrets, gap), (more, another)) = (lists.0.into_parts(), lists.1.into_parts());
    secrets.extend(more);
    let known = |seen: &Observed<Secret>| (seen.key(), Known::not_read(&seen.object, credentials));
    Ok((secrets.iter().map(known).collect(), gap.or(another)))
}

fn of_accounts(seen: Vec<Observed<ServiceAccount>>) -> BTreeMap<(NamespaceName, ServiceAccountName), ServiceAccount> {
    seen.into_iter().map(|seen| (seen.key(), seen.object)).collect()
}
