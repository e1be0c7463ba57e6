//! The schema of a whole RegistryCredential: the CRD's own, with Kubernetes' own for the metadata.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::generate::SchemaSettings;
use serde_json::{Value as Json, json};

use crate::api::crd;

/// What a RegistryCredential may have, from its first line on.
pub fn schema() -> Json {
    let mut schema =
        json!(crd::crd().spec.versions.first().and_then(|version| version.schema.as_ref()))["openAPIV3Schema"].take();
    let labels = labels(&schema);
    let properties = &mut schema["properties"];
    properties["apiVersion"] = json!({"type": "string"});
    properties["kind"] = json!({"type": "string"});
    properties["metadata"] = metadata(labels);
    schema
}

/// What labels may be. The CRD says it of the labels that a selector asks for.
fn labels(schema: &Json) -> Json {
    let path = "/properties/spec/properties/namespaces/properties/selector/properties/matchLabels";
    let mut labels = schema.pointer(path).cloned().unwrap_or_default();
    if let Some(labels) = labels.as_object_mut() {
        labels.remove("maxProperties");
    }
    labels
}

fn metadata(labels: Json) -> Json {
    let settings = SchemaSettings::openapi3().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut metadata = json!(settings.into_generator().into_root_schema_for::<ObjectMeta>());
    metadata["properties"]["labels"] = labels;
    // Where they came from: nobody writes these, and they are passed over by whoever applies them.
    for field in ["managedFields", "ownerReferences"] {
        metadata["properties"][field] = json!({});
    }
    metadata
}
