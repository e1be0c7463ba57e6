//! The CustomResourceDefinition, as it is installed.

use std::collections::BTreeMap;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use kube::CustomResourceExt;

use super::{RegistryCredential, RegistryCredentialStatus};

/// The definition of `registrycredentials.regcred.dev`.
///
/// Whoever deletes it deletes every RegistryCredential and every Secret of theirs, so Helm, Argo CD and Flux are told to keep it.
pub fn crd() -> CustomResourceDefinition {
    let mut crd = RegistryCredential::crd();
    crd.metadata.annotations = Some(BTreeMap::from([
        ("argocd.argoproj.io/sync-options".to_owned(), "Prune=false".to_owned()),
        ("helm.sh/resource-policy".to_owned(), "keep".to_owned()),
        ("kustomize.toolkit.fluxcd.io/prune".to_owned(), "disabled".to_owned()),
    ]));
    for version in &mut crd.spec.versions {
        if let Some(schema) = version.schema.as_mut().and_then(|s| s.open_api_v3_schema.as_mut()) {
            forbid_null(schema);
            say_pending(schema);
        }
    }
    crd
}

/// [`crd`] as YAML. A definition is plain data, so writing it can't fail; JSON, which is YAML too, stands in if it did.
pub fn yaml() -> String {
    let crd = crd();
    serde_saphyr::to_string(&crd).unwrap_or_else(|_| serde_json::to_string(&crd).unwrap_or_default())
}

/// A RegistryCredential has a status from its first moment on.
fn say_pending(schema: &mut JSONSchemaProps) {
    let status = schema.properties.as_mut().and_then(|properties| properties.get_mut("status"));
    // A status is plain data, so this can't fail; a test reads the default back.
    if let (Some(status), Ok(pending)) = (status, serde_json::to_value(RegistryCredentialStatus::pending())) {
        status.default = Some(JSON(pending));
    }
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
    use std::{collections::BTreeSet, fs, path::PathBuf};

    use kube::core::cel::{CompiledSchema, ValidationError, Validator, apply_defaults, compile_schema};
    use serde_json::Value;

    use super::*;

    fn repository() -> PathBuf {
        env!("CARGO_MANIFEST_DIR").into()
    }

    /// What the API server says in its own words, from limits and types: not CEL's business.
    const SCHEMA: [&str; 4] = ["Required value", "may not be more than", "must have at most", "supported values"];

    /// One file of tests/cases/crd: what must become of the last manifest, written over those before it.
    struct Case {
        name: String,
        refused: Option<String>,
        manifests: Vec<Value>,
    }

    fn cases() -> Vec<Case> {
        let mut cases: Vec<_> = fs::read_dir(repository().join("tests/cases/crd"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .map(|path| {
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                let text = fs::read_to_string(&path).unwrap();
                let (head, body) = text.split_once('\n').unwrap();
                let refused = head.strip_prefix("# refused: ").map(str::to_owned);
                assert!(refused.is_some() || head == "# accepted", "{name}: {head}");
                let manifests = body.split("---\n").map(|m| serde_saphyr::from_str(m).unwrap()).collect();
                Case { name, refused, manifests }
            })
            .collect();
        cases.sort_by(|a, b| a.name.cmp(&b.name));
        assert!(cases.len() > 100, "only {} cases", cases.len());
        cases
    }

    /// The rules of the CRD, evaluated as the API server does.
    struct Server {
        schema: Value,
        rules: CompiledSchema,
    }

    impl Server {
        fn new() -> Self {
            let crd = serde_json::to_value(crd()).unwrap();
            let schema = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone();
            let rules = compile_schema(&schema);
            Self { schema, rules }
        }

        /// What refuses the last manifest of the case, written over those before it.
        fn refusals(&self, case: &Case) -> Vec<ValidationError> {
            let mut old = None;
            let mut refusals = vec![];
            for manifest in &case.manifests {
                assert!(refusals.is_empty(), "{}: refused too soon", case.name);
                let new = apply_defaults(&self.schema, &without_nulls(manifest));
                if let Err(errors) = Validator::new().validate_compiled(&self.rules, &new, old.as_ref()) {
                    refusals = errors.into_vec();
                }
                old = Some(new);
            }
            refusals
        }
    }

    /// The API server drops a null where the schema has none.
    fn without_nulls(value: &Value) -> Value {
        match value {
            Value::Object(fields) => fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(key, value)| (key.clone(), without_nulls(value)))
                .collect(),
            other => other.clone(),
        }
    }

    #[test]
    fn generated_file_is_up_to_date() {
        let file = repository().join("crds/registrycredentials.regcred.dev.yaml");
        let yaml = yaml();
        if std::env::var_os("UPDATE_CRD").is_some() {
            fs::write(&file, &yaml).unwrap();
        }
        assert!(
            fs::read_to_string(&file).unwrap_or_default() == yaml,
            "{} is stale: run `make crd`, or `cargo run -- crd > crds/registrycredentials.regcred.dev.yaml`",
            file.display()
        );
    }

    #[test]
    fn who_has_no_status_yet_has_the_one_that_says_so() {
        let case = cases().into_iter().find(|case| case.name == "smallest").unwrap();
        let whole = apply_defaults(&Server::new().schema, &case.manifests[0]);
        let status = serde_json::from_value::<RegistryCredentialStatus>(whole["status"].clone()).unwrap();
        assert_eq!(status, RegistryCredentialStatus::pending());
        assert_eq!(whole["status"]["conditions"][0]["lastTransitionTime"], "1970-01-01T00:00:00Z");
        assert_eq!(whole["status"]["conditions"].as_array().unwrap().len(), 1);
    }

    #[test]
    fn one_mistake_is_refused_with_one_sentence() {
        let server = Server::new();
        let mut wrong = String::new();
        for case in cases() {
            let said: Vec<_> = server.refusals(&case).into_iter().map(|e| e.message).collect();
            let right = match &case.refused {
                Some(want) if SCHEMA.iter().any(|own| want.contains(own)) => said.len() <= 1,
                Some(want) => said.len() == 1 && said[0].contains(want),
                None => said.is_empty(),
            };
            if !right {
                wrong += &format!("{}: {said:#?} instead of {:?}\n", case.name, case.refused);
            }
        }
        assert!(wrong.is_empty(), "{wrong}");
    }

    #[test]
    fn every_rule_refuses_some_case() {
        let server = Server::new();
        let mut idle = BTreeSet::new();
        collect_rules(&server.schema, &mut idle);
        assert!(idle.len() > 20, "only {} rules", idle.len());
        for refusal in cases().iter().flat_map(|case| server.refusals(case)) {
            idle.remove(&refusal.rule);
        }
        assert!(idle.is_empty(), "{idle:#?}");
    }

    fn collect_rules(schema: &Value, rules: &mut BTreeSet<String>) {
        match schema {
            Value::Object(fields) => {
                if let Some(Value::Array(here)) = fields.get("x-kubernetes-validations") {
                    rules.extend(here.iter().map(|rule| rule["rule"].as_str().unwrap().to_owned()));
                }
                fields.values().for_each(|value| collect_rules(value, rules));
            }
            Value::Array(values) => values.iter().for_each(|value| collect_rules(value, rules)),
            _ => {}
        }
    }

    #[test]
    fn what_is_accepted_can_be_decoded() {
        for case in cases().into_iter().filter(|case| case.refused.is_none()) {
            for manifest in case.manifests {
                let credential: RegistryCredential = serde_json::from_value(manifest).unwrap();
                kube::core::cel::validate_cel(&credential).unwrap();
            }
        }
    }

    #[test]
    fn a_rename_to_the_same_effective_name_keeps_the_secret() {
        for case in cases().into_iter().filter(|case| case.name.starts_with("rename")) {
            let names: Vec<_> = case
                .manifests
                .into_iter()
                .map(|m| serde_json::from_value::<RegistryCredential>(m).unwrap().secret_name())
                .collect();
            assert_eq!(names[0] == names[1], case.refused.is_none(), "{}", case.name);
        }
    }
}
