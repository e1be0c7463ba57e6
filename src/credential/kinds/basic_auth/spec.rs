//! `spec.credential.basicAuth`.

use kube::{
    KubeSchema,
    core::{Reason, Rule},
};
use schemars::{Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

use crate::api::{kinds::SecretRef, schema};

/// The member of `spec.credential`.
pub const MEMBER: &str = "basicAuth";

/// The longest user name in a spec, in characters.
const MAX_USERNAME: u32 = 255;

/// A user name and a password or token in a Secret.
#[derive(KubeSchema, Serialize, Deserialize, Clone, Debug, PartialEq)]
#[serde(rename_all = "camelCase")]
#[x_kube(validation = one_username())]
pub struct BasicAuthSource {
    /// The Secret. Its owner must have set its annotation regcred.dev/registries to the registries, separated by commas, that the login may be sent to.
    pub secret_ref: SecretRef,
    /// The user name, where it isn't in the Secret. It stands readable here, so never write a token into it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "username")]
    pub username: Option<String>,
    /// The key in the Secret's data that holds the user name; username if neither this nor username is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::secret_key")]
    pub username_key: Option<String>,
    /// The key in the Secret's data that holds the password or token.
    #[serde(default = "password_key")]
    #[schemars(schema_with = "schema::secret_key")]
    pub password_key: String,
}

/// The key where `usernameKey` is left out.
pub const USERNAME_KEY: &str = "username";

/// The key where `passwordKey` is left out.
pub fn password_key() -> String {
    "password".to_owned()
}

/// No sentence repeats the value: it may be a token that somebody wrote here by mistake.
fn username(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string",
        "maxLength": MAX_USERNAME,
        "x-kubernetes-validations": [
            {
                "rule": "self.size() > 0",
                "message": "username is empty: write the user name, or leave it out where the Secret has it",
            },
            {
                "rule": "!self.contains(':')",
                "message": "username has a colon in it: write the user name alone; the password belongs into the Secret",
            },
            {
                "rule": "!self.matches('[[:cntrl:]]')",
                "message": "username has a control character in it: write it on one line",
            },
        ],
    })
}

fn one_username() -> Rule {
    Rule::new("!(has(self.username) && has(self.usernameKey))")
        .message("basicAuth has both username and usernameKey: write username for a name that isn't in the Secret, or usernameKey for one that is")
        .reason(Reason::FieldValueForbidden)
}
