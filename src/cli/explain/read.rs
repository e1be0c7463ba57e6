//! What is asked of the API server for a pod beside the pod itself.

use jiff::Timestamp;
use kube::Client;

use super::{
    secrets::{Data, look},
    subject::Subject,
};
use crate::cli::{
    args::Scope,
    diagnosis::{Cluster, Credential, of_namespaces},
    lister::Lister,
};

/// Its namespace, its pull secrets, and the RegistryCredentials, which say what the Secrets of theirs are for. What the
/// user may not read isn't known; RegistryCredentials then are taken to be none.
///
/// # Errors
/// A sentence, where the API server can't answer.
pub async fn cluster(client: &Client, subject: &Subject, data: Data) -> Result<Cluster, String> {
    let pod = &subject.pod;
    let lister = Lister::new(client.clone(), Scope::Namespace(pod.namespace.to_string()));
    let (namespaces, listed) = tokio::try_join!(lister.namespaces(), lister.registry_credentials())?;
    let (namespaces, gap) = namespaces.into_parts();
    let credentials: Vec<Credential> =
        listed.items().iter().filter_map(|object| Credential::new(object).ok()).collect();
    let key = (pod.namespace.clone(), pod.service_account.clone());
    Ok(Cluster {
        namespaces: gap.is_none().then(|| of_namespaces(namespaces)),
        accounts: subject.account.clone().map(|account| account.map(|it| (key, it)).into_iter().collect()),
        secrets: Some(look(client, pod, &credentials, data).await?),
        credentials,
        pods: Vec::new(),
        now: Timestamp::now().as_second(),
    })
}
