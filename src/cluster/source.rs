//! Reads a source Secret, undecoded from the wire: the client's own decoding would log what it can't decode.

use http::StatusCode;
use k8s_openapi::api::core::v1::Secret;
use kube::{Client, Resource, api::GetParams, core::Request};

use super::read_undecoded;
use crate::credential::SourceSecret;

/// Why a source can't be read.
#[derive(Debug)]
pub enum SourceFailure {
    /// There is no answer.
    Client(kube::Error),
    /// Whoever asks may not read Secrets in its namespace, or not this one.
    Forbidden,
    /// What is wrong with the question or the answer.
    Answer(String),
}

/// The Secret; `None` where there is none of that name.
///
/// # Errors
/// Why it can't be read.
pub async fn read_source(client: &Client, namespace: &str, name: &str) -> Result<Option<SourceSecret>, SourceFailure> {
    let request = Request::new(Secret::url_path(&(), Some(namespace))).get(name, &GetParams::default());
    let request = request.map_err(|_| SourceFailure::Answer("its name isn't one".to_owned()))?;
    let (status, body) = read_undecoded(client, request).await.map_err(SourceFailure::Client)?;
    match status {
        StatusCode::OK => {
            SourceSecret::from_json(&body).map(Some).map_err(|error| SourceFailure::Answer(error.to_string()))
        }
        StatusCode::NOT_FOUND => Ok(None),
        StatusCode::FORBIDDEN => Err(SourceFailure::Forbidden),
        other => Err(SourceFailure::Answer(format!("HTTP {}", other.as_u16()))),
    }
}
