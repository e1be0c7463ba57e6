//! What is asked of the API server beside the pod and its Secrets: the RegistryCredentials, which say what the Secrets
//! of theirs are for.

use kube::Client;

use crate::{
    cli::{args::Scope, survey::Survey},
    pull::Managed,
    wish::{Limits, Wish},
};

/// A RegistryCredential as far as it matters here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credential {
    /// `metadata.uid`, by which its Secrets name it as their owner.
    pub uid: String,
    /// The name of its Secrets.
    pub secret: String,
    /// Its name and registries.
    pub says: Managed,
}

/// All RegistryCredentials that can be read; none where the kind isn't there or the user may not list it.
///
/// # Errors
/// A sentence, where the API server can't answer.
pub async fn registry_credentials(client: &Client) -> Result<Vec<Credential>, String> {
    let listed = Survey::new(client.clone(), Scope::All).registry_credentials().await?;
    let wishes = listed.items().iter().map(|object| Wish::new(object, &Limits::default()));
    Ok(wishes.filter_map(credential).collect())
}

/// `None` where it has a shape that this version doesn't know.
fn credential(wish: Wish) -> Option<Credential> {
    let registries = wish.spec()?.registries.clone();
    Some(Credential {
        secret: wish.secret.to_string(),
        says: Managed { credential: wish.credential.to_string(), registries },
        uid: wish.uid,
    })
}

/// Why something can't be read.
pub fn sentence(what: &str, error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 404 => format!("{what} doesn't exist"),
        kube::Error::Api(status) => format!("{what} can't be read: {}", status.message),
        error => format!("{what} can't be read: {error}"),
    }
}
