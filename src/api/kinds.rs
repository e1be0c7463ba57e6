//! `spec.credential`: one member for each credential kind.
//!
//! A kind's own part of the API stands in the kind's folder, with all else that is particular to it, and is compiled
//! here: `credential` imports `api` and never the other way round, and a kind's reader (in `credential`) needs its spec
//! type as much as the resource does. `#[path]` gives us both, one folder for each kind and no import that runs up; the
//! alternatives were a folder of spec types here, so two places for each kind, or a resource above `credential`, which
//! would then have to be handed to it field by field.

use kube::{
    KubeSchema,
    core::{Reason, Rule},
};
use serde::{Deserialize, Serialize};

use super::schema;

#[path = "../credential/kinds/basic_auth/spec.rs"]
pub mod basic_auth;
#[path = "../credential/kinds/docker_config/spec.rs"]
pub mod docker_config;
#[path = "../credential/kinds/gcp_service_account_key/spec.rs"]
pub mod gcp_service_account_key;

/// One credential; exactly one member is set.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, Default, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = one_credential())]
pub struct CredentialSource {
    /// A Google service-account key for gcr.io and pkg.dev, as a JSON file in a Secret. Pods log in as _json_key with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gcp_service_account_key: Option<gcp_service_account_key::GcpServiceAccountKeySource>,
    /// The logins of an existing docker config, for any number of registries, each with its own login. They are rendered anew, and nothing else of the config is passed on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub docker_config: Option<docker_config::DockerConfigSource>,
    /// One user name with a password or token, for the registries that the Secret's owner has written into its annotation regcred.dev/registries.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub basic_auth: Option<basic_auth::BasicAuthSource>,
}

/// The members, and whether a kind has no registries of its own, so that `spec.registries` must name them.
pub const MEMBERS: [(&str, bool); 3] =
    [(gcp_service_account_key::MEMBER, true), (docker_config::MEMBER, false), (basic_auth::MEMBER, false)];

/// A Secret as a whole.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
pub struct SecretRef {
    /// The namespace of the Secret: one of the operator's --credential-namespaces; the first of them if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::namespace_name")]
    pub namespace: Option<String>,
    /// The name of the Secret.
    #[schemars(schema_with = "schema::secret_name")]
    pub name: String,
}

/// The members in a sentence: `a, b or c`.
pub fn members() -> String {
    let names: Vec<&str> = MEMBERS.iter().map(|(name, _)| *name).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
    }
}

/// Exactly one member. One that this version doesn't know is pruned before.
fn one_credential() -> Rule {
    let given: Vec<String> = MEMBERS.iter().map(|(name, _)| format!("has(self.{name})")).collect();
    Rule::new(format!("[{}].filter(given, given).size() == 1", given.join(", ")))
        .message(format!("credential must have exactly one member: write {}", members()).as_str())
        .reason(Reason::FieldValueRequired)
}

/// A credential without registries is for nothing, unless its kind has some of its own. A rule of the whole spec.
pub(super) fn registries_given() -> Rule {
    let without: Vec<String> =
        MEMBERS.iter().filter(|(_, needs)| *needs).map(|(name, _)| format!("!has(self.credential.{name})")).collect();
    Rule::new(format!(
        "!has(self.credential) || ({}) || (has(self.registries) && self.registries.size() > 0)",
        without.join(" && ")
    ))
    .message("registries is missing: write which ones the key is for, as in gcr.io/my-project/")
    .field_path(".registries")
    .reason(Reason::FieldValueRequired)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_members_are_those_of_the_union() {
        let schema = schemars::schema_for!(CredentialSource);
        let mut names: Vec<&str> = MEMBERS.iter().map(|(name, _)| *name).collect();
        names.sort_unstable();
        let properties = schema.get("properties").and_then(|value| value.as_object()).unwrap();
        assert!(properties.keys().map(String::as_str).eq(names));
        assert_eq!(members(), "gcpServiceAccountKey, dockerConfig or basicAuth");
    }
}
