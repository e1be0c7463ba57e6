//! The CustomResourceDefinition, as it is installed.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::RegistryCredential;

/// The definition of `registrycredentials.regcred.dev`.
///
/// Whoever deletes it deletes every RegistryCredential and every Secret of theirs, so Helm and Argo CD are told to keep it.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = RegistryCredential::crd();
    crd.metadata.annotations = Some(BTreeMap::from([
        ("argocd.argoproj.io/sync-options".to_owned(), "Prune=false".to_owned()),
        ("helm.sh/resource-policy".to_owned(), "keep".to_owned()),
    ]));
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            forbid_null(schema);
        }
    }
    crd
}

/// [`crd`] as YAML. A definition is plain data, so writing it can't fail; JSON, which is YAML too, stands in if it did.
pub fn yaml() -> String {
    let crd = crd();
    serde_saphyr::to_string(&crd).unwrap_or_else(|_| serde_json::to_string(&crd).unwrap_or_default())
}

/// An optional field is left out, not null. Else `has()` would call a null given: `selector:` with nothing after it
/// would select every namespace.
fn forbid_null(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    for property in schema.properties.iter_mut().flat_map(BTreeMap::values_mut) {
        forbid_null(property);
    }
    match &mut schema.items {
        Some(JSONSchemaPropsOrArray::Schema(items)) => forbid_null(items),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(forbid_null),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = &mut schema.additional_properties {
        forbid_null(values);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crds/registrycredentials.regcred.dev.yaml");

    #[test]
    fn generated_file_is_up_to_date() {
        let yaml = yaml();
        if std::env::var_os("UPDATE_CRD").is_some() {
            std::fs::write(FILE, &yaml).unwrap();
        }
        assert!(
            std::fs::read_to_string(FILE).unwrap_or_default() == yaml,
            "{FILE} is stale: run `make crd`, or `cargo run -- crd > crds/registrycredentials.regcred.dev.yaml`"
        );
    }
}
