//! `gcpServiceAccountKey`: a service account's JSON key file, which Google's registries take as the password of
//! `_json_key`.

pub mod key;
mod key_error;
mod private_key;

use std::sync::Arc;

use jiff::Timestamp;

use crate::{
    api::{
        Identity, Reason, Stalled,
        kinds::gcp_service_account_key::{GcpServiceAccountKeySource, MEMBER, SecretKeyRef},
    },
    credential::{
        hosts::{HostRule, Provider},
        kind::{Found, Kind, Material, SourceRef},
        login::Login,
        source::SourceSecret,
    },
};

pub use key::GcpServiceAccountKey;
pub use key_error::KeyError;

/// The user name by which Google's registries know that the password is a service account's JSON key file as it is.
/// <https://cloud.google.com/artifact-registry/docs/docker/authentication#json-key>
const USERNAME: &str = "_json_key";

/// `gcr.io`, and all names below `gcr.io` and `pkg.dev`.
pub const GOOGLE: Provider =
    Provider { whose: "Google's", shown: "gcr.io, *.gcr.io, *.pkg.dev", hosts: &["gcr.io", ".gcr.io", ".pkg.dev"] };

impl Kind for GcpServiceAccountKeySource {
    fn member(&self) -> &'static str {
        MEMBER
    }

    fn secret(&self) -> SourceRef<'_> {
        let SecretKeyRef { namespace, name, .. } = &self.secret_ref;
        SourceRef { namespace: namespace.as_deref(), name }
    }

    fn create_command(&self, namespace: &str) -> String {
        let SecretKeyRef { name, key, .. } = &self.secret_ref;
        let file = if key == "key.json" { key.clone() } else { format!("{key}=key.json") };
        format!("kubectl -n {namespace} create secret generic {name} --from-file={file}")
    }

    fn hosts(&self) -> HostRule {
        HostRule::Provider(GOOGLE)
    }

    fn needs_mark(&self, _: &str) -> bool {
        false // a Google key is told by its contents, and goes to Google
    }

    fn check_type(&self, _: &SourceSecret) -> Result<(), Stalled> {
        Ok(())
    }

    fn read(&self, source: &SourceSecret, _: Timestamp) -> Result<Material, Stalled> {
        let key = read_key(&self.secret_ref.key, source)?;
        let said = key.identity();
        let identity = Identity {
            principal: said.client_email.clone(),
            detail: format!("project {}, key {}", said.project_id, said.private_key_id),
        };
        Ok(Material {
            logins: Found::Anywhere(Arc::new(Login::new(USERNAME, key.expose_file()))),
            identity: Some(identity),
            expires_at: None,
            notes: Vec::new(),
        })
    }
}

/// The service-account key under a key of the source Secret.
///
/// # Errors
/// If there is none, or it isn't usable.
pub fn read_key(key: &str, source: &SourceSecret) -> Result<GcpServiceAccountKey, Stalled> {
    let at = source.at();
    let file = source
        .get(key)
        .map_err(|error| Stalled::new(Reason::SourceKeyNotFound, format!("{at}: {error}")).with_key(key))?;
    GcpServiceAccountKey::parse(file)
        .map_err(|error| Stalled::new(Reason::InvalidKey, format!("{at}, key {key}: {error}")).with_key(key))
}
