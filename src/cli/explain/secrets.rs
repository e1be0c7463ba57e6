//! Looks at a pod's pull secrets: at their metadata and type, and at their data only where the user asks for that.

use std::collections::BTreeMap;

use http::{Request, StatusCode, header::ACCEPT};
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, Resource};
use serde::Deserialize;

use crate::{
    api::{NamespaceName, SecretName},
    cli::{
        diagnosis::{Credential, Known},
        pod::Pod,
        secret::read,
    },
    cluster::{observe::Observed, read_undecoded},
    image::{docker_logins::ConfigFormat, pull::Seen},
    plan,
};

/// The API server prints a Secret as a row of a table, with its type and without its data.
const AS_TABLE: &str = "application/json;as=Table;v=v1;g=meta.k8s.io";

/// Whether Secrets' data may be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Yes.
    Read,
    /// No: it isn't even asked for.
    Leave,
}

/// Looks at each pull secret that a pod names.
///
/// # Errors
/// A sentence, where the API server can't answer. That it refuses is no error.
pub async fn look(
    client: &Client,
    pod: &Pod,
    credentials: &[Credential],
    data: Data,
) -> Result<BTreeMap<(NamespaceName, SecretName), Known>, String> {
    let mut found = BTreeMap::new();
    for name in &pod.pull_secrets {
        let known = look_at(client, pod.namespace.as_str(), name.as_str(), credentials, data).await?;
        found.insert((pod.namespace.clone(), name.clone()), known);
    }
    Ok(found)
}

async fn look_at(
    client: &Client,
    namespace: &str,
    name: &str,
    credentials: &[Credential],
    data: Data,
) -> Result<Known, String> {
    // The API server takes any text in imagePullSecrets, and none but these characters in a Secret's name.
    if !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-' || c == '.') {
        return Ok(Seen::Missing.into());
    }
    let cannot = |why: String| format!("Secret {namespace}/{name} can't be read: {why}");
    let accept = if data == Data::Read { "application/json" } else { AS_TABLE };
    let path = format!("{}/{name}", Secret::url_path(&(), Some(namespace)));
    let request = Request::get(path).header(ACCEPT, accept).body(Vec::new());
    let request = request.map_err(|error| cannot(error.to_string()))?;
    let (status, body) = read_undecoded(client, request).await.map_err(|error| cannot(error.to_string()))?;
    match (status, data) {
        (StatusCode::NOT_FOUND, _) => Ok(Seen::Missing.into()),
        (StatusCode::FORBIDDEN, _) => Ok(Seen::Unseen(format!("you may not read Secrets in {namespace}")).into()),
        (StatusCode::UNAUTHORIZED, _) => Err(cannot("the API server doesn't know you; log in again".to_owned())),
        (StatusCode::OK, Data::Read) => {
            whole(&body, credentials).ok_or_else(|| cannot("the answer isn't a Secret".to_owned()))
        }
        (StatusCode::OK, Data::Leave) => {
            row(&body, credentials).ok_or_else(|| cannot("the answer isn't a Secret's row".to_owned()))
        }
        (other, _) => Err(cannot(format!("the API server has answered {other}"))),
    }
}

/// A Secret with its data.
fn whole(body: &[u8], credentials: &[Credential]) -> Option<Known> {
    let metadata: Observed<plan::Secret> = serde_json::from_slice(body).ok()?;
    Some(Known::new(read(body)?, &metadata.object, credentials))
}

/// A Secret as a table with one row.
fn row(body: &[u8], credentials: &[Credential]) -> Option<Known> {
    let table: Table = serde_json::from_slice(body).ok()?;
    let column = table.column_definitions.iter().position(|column| column.name == "Type")?;
    let row = table.rows.into_iter().next()?;
    let secret_type = row.cells.get(column)?.as_str()?.to_owned();
    if ConfigFormat::of_type(&secret_type).is_none() {
        let seen = Seen::NoPullSecret { secret_type: Some(secret_type) };
        return Some(Known::new(seen, &row.object.object, credentials));
    }
    Some(Known::not_read(&row.object.object, credentials))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Table {
    column_definitions: Vec<Column>,
    rows: Vec<Row>,
}

#[derive(Deserialize)]
struct Column {
    name: String,
}

#[derive(Deserialize)]
struct Row {
    cells: Vec<serde_json::Value>,
    object: Observed<plan::Secret>,
}
