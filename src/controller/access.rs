//! What this replica may do, asked of the API server rather than tried: each refusal stays in its audit log, where
//! somebody looks for attacks.

use k8s_openapi::api::authorization::v1::{
    FieldSelectorAttributes, ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use kube::{Api, Client, api::PostParams};

use super::{apply::bounded, error::WriteError};

/// Whether it may list those pods of all namespaces that this field selector selects, which a watch of them begins with: a
/// role of ours gives both, one of an earlier version the watch alone. Every authenticated user may ask,
/// unless somebody has taken that away (`system:basic-user`).
///
/// # Errors
/// Where the question is refused (`Denied`), or gets no answer.
pub async fn may_watch_pods(client: &Client, fields: &str) -> Result<bool, WriteError> {
    let selector = FieldSelectorAttributes { raw_selector: Some(fields.to_owned()), requirements: None };
    let attributes = ResourceAttributes {
        verb: Some("list".to_owned()),
        version: Some("v1".to_owned()),
        resource: Some("pods".to_owned()),
        field_selector: Some(selector),
        ..ResourceAttributes::default()
    };
    let spec = SelfSubjectAccessReviewSpec { resource_attributes: Some(attributes), ..Default::default() };
    let review = SelfSubjectAccessReview { spec, ..Default::default() };
    let api = Api::<SelfSubjectAccessReview>::all(client.clone());
    let answer = bounded(api.create(&PostParams::default(), &review)).await?;
    Ok(answer.status.is_some_and(|status| status.allowed))
}
