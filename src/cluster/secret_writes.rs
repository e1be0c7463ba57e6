//! Writes of Secrets that kube's `Api` has no method for: a body of any shape, and metadata alone for an answer.

use http::{Method, Request, header};
use k8s_openapi::api::core::v1::Secret as KubernetesSecret;
use kube::{Client, Resource};
use serde::Serialize;

use super::observe::Observed;
use crate::{
    api::{FIELD_MANAGER, NamespaceName, REVISION_ANNOTATION, SecretName},
    credential::PullSecret,
    plan::{ResourceVersion, Secret},
};

/// What an answer is asked for as: a Secret without its data.
const METADATA: &str = "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1";

/// POST: 409 where one of that name is there.
///
/// # Errors
/// The client's.
pub async fn create_secret(client: &Client, namespace: &str, body: &impl Serialize) -> kube::Result<Observed<Secret>> {
    let path = KubernetesSecret::url_path(&(), Some(namespace));
    send(client, Method::POST, &path, "application/json", body).await
}

/// PUT of a whole Secret, whose guard is in its body: 409 where it isn't the Secret that was seen.
///
/// # Errors
/// The client's.
pub async fn replace_secret(
    client: &Client,
    namespace: &NamespaceName,
    name: &SecretName,
    body: &impl Serialize,
) -> kube::Result<Observed<Secret>> {
    send(client, Method::PUT, &path_of(namespace, name), "application/json", body).await
}

/// A JSON patch of what a Secret holds, and of nothing else; it also makes the entry of managedFields that is a POST's one of
/// an apply. 409 where it isn't the Secret that was seen.
///
/// # Errors
/// The client's; 422 where it has another shape by now, as the version is looked at last.
pub async fn patch_secret(
    client: &Client,
    namespace: &NamespaceName,
    pull_secret: &PullSecret,
    entry: Option<u8>,
    seen: ResourceVersion,
) -> kube::Result<Observed<Secret>> {
    let mut operations: Vec<_> = entry.into_iter().map(settling).collect();
    operations.push(Replace::new("/data/.dockerconfigjson".to_owned(), pull_secret.expose_encoded()));
    // https://www.rfc-editor.org/rfc/rfc6901
    let revision = format!("/metadata/annotations/{}", REVISION_ANNOTATION.replace('/', "~1"));
    operations.push(Replace::new(revision, pull_secret.revision().as_str()));
    patch(client, namespace, pull_secret.name(), seen, operations).await
}

/// A JSON patch that makes an entry of managedFields, a POST's, one of an apply by the same manager.
///
/// # Errors
/// As [`patch_secret`].
pub async fn settle_secret(
    client: &Client,
    namespace: &NamespaceName,
    name: &SecretName,
    entry: u8,
    seen: ResourceVersion,
) -> kube::Result<Observed<Secret>> {
    patch(client, namespace, name, seen, vec![settling(entry)]).await
}

fn settling(entry: u8) -> Replace<'static> {
    Replace::new(format!("/metadata/managedFields/{entry}/operation"), "Apply")
}

async fn patch(
    client: &Client,
    namespace: &NamespaceName,
    name: &SecretName,
    seen: ResourceVersion,
    mut operations: Vec<Replace<'_>>,
) -> kube::Result<Observed<Secret>> {
    let seen = seen.to_string();
    operations.push(Replace::new("/metadata/resourceVersion".to_owned(), &seen));
    send(client, Method::PATCH, &path_of(namespace, name), "application/json-patch+json", &operations).await
}

fn path_of(namespace: &NamespaceName, name: &SecretName) -> String {
    format!("{}/{name}", KubernetesSecret::url_path(&(), Some(namespace.as_str())))
}

/// An operation of a JSON patch (<https://www.rfc-editor.org/rfc/rfc6902>). All that is replaced is there.
#[derive(Serialize)]
struct Replace<'a> {
    op: &'static str,
    path: String,
    value: &'a str,
}

impl<'a> Replace<'a> {
    fn new(path: String, value: &'a str) -> Self {
        Self { op: "replace", path, value }
    }
}

async fn send(
    client: &Client,
    method: Method,
    path: &str,
    content_type: &str,
    body: &impl Serialize,
) -> kube::Result<Observed<Secret>> {
    let body = serde_json::to_vec(body).map_err(kube::Error::SerdeError)?;
    let request = Request::builder()
        .method(method)
        .uri(format!("{path}?fieldManager={FIELD_MANAGER}"))
        .header(header::CONTENT_TYPE, content_type)
        .header(header::ACCEPT, METADATA)
        .body(body)
        .map_err(kube::Error::HttpError)?;
    client.request(request).await
}
