//! All pull secrets with their data, in pages, each in memory that is wiped; what is kept of them has no login.

use std::collections::BTreeMap;

use http::StatusCode;
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, Resource, api::ListParams, core::Request};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::{
    api::{NamespaceName, SecretName},
    cli::{
        args::Scope,
        diagnosis::{Credential, Known},
        lister::{Cause, Gap},
        secret,
    },
    cluster::{observe::Observed, read_undecoded},
    plan,
};

/// How many Secrets are asked for at once: one may have a MiB.
const PAGE: u32 = 100;

/// How often a list is begun anew where the API server has forgotten in the middle which one it was.
const TRIES: usize = 5;

type Secrets = BTreeMap<(NamespaceName, SecretName), Known>;

#[derive(Deserialize)]
struct Page<'a> {
    #[serde(borrow)]
    items: Vec<&'a RawValue>,
    #[serde(default)]
    metadata: PageMetadata,
}

#[derive(Default, Deserialize)]
struct PageMetadata {
    #[serde(default, rename = "continue")]
    token: String,
}

/// What a list came to.
enum End {
    All,
    Forgotten,
    Refused,
}

/// All Secrets of these types.
///
/// # Errors
/// A sentence, where the API server can't answer.
pub async fn all(
    client: &Client,
    scope: &Scope,
    types: &[&str],
    credentials: &[Credential],
) -> Result<(Secrets, Option<Gap>), String> {
    let mut found = Secrets::new();
    for of_type in types {
        for tried in 1.. {
            match list(client, scope, of_type, credentials, &mut found).await? {
                End::All => break,
                End::Refused => {
                    let why = "you may not list Secrets".to_owned();
                    return Ok((Secrets::new(), Some(Gap { what: "Secrets", why, cause: Cause::Forbidden })));
                }
                End::Forgotten if tried == TRIES => {
                    return Err("the Secrets can't be listed: they are forgotten faster than they can be read; try \
                                again"
                        .to_owned());
                }
                End::Forgotten => {}
            }
        }
    }
    Ok((found, None))
}

async fn list(
    client: &Client,
    scope: &Scope,
    of_type: &str,
    credentials: &[Credential],
    found: &mut Secrets,
) -> Result<End, String> {
    let cannot = |why: &str| format!("the Secrets can't be listed: {why}");
    let namespace = match scope {
        Scope::All => None,
        Scope::Namespace(name) => Some(name.as_str()),
    };
    let mut params = ListParams::default().fields(&format!("type={of_type}")).limit(PAGE);
    loop {
        let request = Request::new(Secret::url_path(&(), namespace)).list(&params);
        let request = request.map_err(|error| cannot(&error.to_string()))?;
        let (status, body) = read_undecoded(client, request).await.map_err(|error| cannot(&error.to_string()))?;
        match status {
            StatusCode::OK => {}
            StatusCode::GONE => return Ok(End::Forgotten),
            StatusCode::FORBIDDEN => return Ok(End::Refused),
            StatusCode::UNAUTHORIZED => return Err("the API server doesn't know you; log in again".to_owned()),
            other => return Err(cannot(&format!("the API server has answered {other}"))),
        }
        // The error's own text may quote the answer.
        let page: Page<'_> = serde_json::from_slice(&body).map_err(|_| cannot("the answer isn't a list"))?;
        for item in &page.items {
            let body = item.get().as_bytes();
            let head: Observed<plan::Secret> =
                serde_json::from_slice(body).map_err(|_| cannot("an item isn't a Secret"))?;
            let seen = secret::read(body).ok_or_else(|| cannot("an item isn't a Secret"))?;
            found.insert(head.key(), Known::new(seen, &head.object, credentials));
        }
        if page.metadata.token.is_empty() {
            return Ok(End::All);
        }
        params.continue_token = Some(page.metadata.token);
    }
}
