//! What is asked of the API server beside the pod and its Secrets: the RegistryCredentials, which say what the Secrets
//! of theirs are for.

use kube::{
    Client, Resource,
    api::ListParams,
    core::{ObjectList, Request},
};
use serde_json::Value;

use crate::{
    api::{RegistryCredential, RegistryCredentialSpec},
    pull::Managed,
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
    let request = Request::new(RegistryCredential::url_path(&(), None)).list(&ListParams::default());
    let request = request.map_err(|error| format!("RegistryCredentials can't be asked for: {error}"))?;
    match client.request::<ObjectList<Value>>(request).await {
        Ok(list) => Ok(list.items.iter().filter_map(credential).collect()),
        Err(kube::Error::Api(status)) if matches!(status.code, 403 | 404) => Ok(Vec::new()),
        Err(error) => Err(sentence("the RegistryCredentials", &error)),
    }
}

/// `None` where it has a shape that this version doesn't know.
fn credential(object: &Value) -> Option<Credential> {
    let metadata = &object["metadata"];
    let (uid, name) = (metadata["uid"].as_str()?, metadata["name"].as_str()?);
    let spec: RegistryCredentialSpec = serde_json::from_value(object["spec"].clone()).ok()?;
    Some(Credential {
        uid: uid.to_owned(),
        secret: spec.secret_template.name.unwrap_or_else(|| name.to_owned()),
        says: Managed { credential: name.to_owned(), registries: spec.registries },
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
