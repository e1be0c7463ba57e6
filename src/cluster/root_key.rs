//! The operator's random bytes as they are stored: a Secret of a type of its own in the state namespace.

use base64::{Engine, prelude::BASE64_STANDARD};
use kube::Client;
use serde::Serialize;
use zeroize::Zeroizing;

use super::{SourceFailure, create_secret, read_source};
use crate::{
    api::{ROOT_KEY_NAME, ROOT_KEY_TYPE},
    credential::RootKey,
};

/// The key in the Secret's data.
const DATA_KEY: &str = "key";

/// What is stored; `None` where nothing is.
///
/// # Errors
/// Why it can't be read.
pub async fn read_root_key(client: &Client, namespace: &str) -> Result<Option<RootKey>, SourceFailure> {
    let Some(secret) = read_source(client, namespace, ROOT_KEY_NAME).await? else { return Ok(None) };
    let key = secret.get(DATA_KEY).ok().filter(|_| secret.secret_type() == ROOT_KEY_TYPE).and_then(RootKey::new);
    let not_ours =
        "it isn't one that regcred has made; restore it, or delete it, and each pull secret is written once more";
    key.map(Some).ok_or_else(|| SourceFailure::Answer(not_ours.to_owned()))
}

/// Stores it, or fails where something is stored by now.
///
/// # Errors
/// The client's: 409 where there is one, 404 where its namespace isn't there.
pub async fn create_root_key(client: &Client, namespace: &str, key: &RootKey) -> Result<(), kube::Error> {
    let encoded = Zeroizing::new(BASE64_STANDARD.encode(key.expose_bytes()));
    let body = Body {
        api_version: "v1",
        kind: "Secret",
        metadata: Metadata { name: ROOT_KEY_NAME, namespace },
        type_: ROOT_KEY_TYPE,
        immutable: true,
        data: Data { key: &encoded },
    };
    create_secret(client, namespace, &body).await.map(drop)
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    api_version: &'static str,
    kind: &'static str,
    metadata: Metadata<'a>,
    #[serde(rename = "type")]
    type_: &'static str,
    immutable: bool,
    data: Data<'a>,
}

#[derive(Serialize)]
struct Metadata<'a> {
    name: &'static str,
    namespace: &'a str,
}

#[derive(Serialize)]
struct Data<'a> {
    key: &'a str,
}
