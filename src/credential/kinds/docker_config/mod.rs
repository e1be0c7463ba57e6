//! `dockerConfig`: an existing docker config with any number of registries, each with its own login.
//!
//! Logins are rendered anew, never copied: what else a config holds (helpers, headers, other tokens) stays where it is,
//! and one that the kubelet couldn't read, or would read in another way than was meant, isn't rolled out.

pub mod config;
pub mod fault;

use jiff::Timestamp;

use crate::{
    api::{
        Reason, Stalled,
        kinds::docker_config::{DockerConfigRef, DockerConfigSource},
    },
    credential::{
        hosts::{ByRegistry, HostRule},
        kind::{Found, Kind, Material, SourceRef},
        recognize,
        registry::RegistryKey,
        source::SourceSecret,
        token,
    },
    image::docker_logins::ConfigFormat,
};

pub use crate::api::kinds::docker_config::MEMBER;
pub use fault::DockerConfigFault;

/// The type of a Secret that says nothing of what it is for.
const OPAQUE: &str = "Opaque";

impl Kind for DockerConfigSource {
    fn member(&self) -> &'static str {
        MEMBER
    }

    fn secret(&self) -> SourceRef<'_> {
        let DockerConfigRef { namespace, name, .. } = &self.secret_ref;
        SourceRef { namespace: namespace.as_deref(), name }
    }

    fn create_command(&self, namespace: &str) -> String {
        format!(
            "kubectl -n {namespace} create secret docker-registry {} --docker-server=registry.example.com \
             --docker-username=NAME --docker-password=TOKEN",
            self.secret_ref.name
        )
    }

    fn hosts(&self) -> HostRule {
        HostRule::NamedBySource
    }

    fn needs_mark(&self, secret_type: &str) -> bool {
        // Whoever makes a Secret of docker's types says by that what it is for.
        ConfigFormat::of_type(secret_type).is_none()
    }

    fn check_type(&self, source: &SourceSecret) -> Result<(), Stalled> {
        let own = source.secret_type();
        if own.is_empty() || own == OPAQUE || ConfigFormat::of_type(own).is_some() {
            return Ok(());
        }
        let message = format!(
            "{} is of a type that {MEMBER} doesn't read; name a Secret of type kubernetes.io/dockerconfigjson or \
             kubernetes.io/dockercfg, or an Opaque one that its owner has marked",
            source.at()
        );
        Err(Stalled::new(Reason::SourceTypeNotAllowed, message))
    }

    fn read(&self, source: &SourceSecret, now: Timestamp) -> Result<Material, Stalled> {
        let at = source.at();
        let own = ConfigFormat::of_type(source.secret_type());
        let key = match (&self.secret_ref.key, own) {
            (Some(key), _) => key.as_str(),
            (None, Some(format)) => format.key(),
            (None, None) => {
                let message = format!(
                    "{at} is Opaque, so spec.credential.{MEMBER}.secretRef.key must say which key holds the docker \
                     config; {}",
                    place_of_config(source).unwrap_or_else(|| "none of its keys does".to_owned())
                );
                return Err(Stalled::new(Reason::InvalidSpec, message));
            }
        };
        let bytes = source.get(key).map_err(|error| {
            let more = place_of_config(source).map(|place| format!("; {place}")).unwrap_or_default();
            Stalled::new(Reason::SourceKeyNotFound, format!("{at}: {error}{more}")).with_key(key)
        })?;
        let format =
            if key == ConfigFormat::DockerCfg.key() { ConfigFormat::DockerCfg } else { ConfigFormat::DockerConfigJson };
        let logins = config::parse(format, bytes).map_err(|fault| {
            Stalled::new(Reason::InvalidCredential, format!("{at}, key {key}: {fault}")).with_key(key)
        })?;
        let tokens = tokens(&logins);
        if let Some((registry, expired)) = tokens.iter().find(|(_, end)| *end <= now) {
            let message = format!(
                "{at}, key {key}: the login for {registry} is a token that expired at {expired}; store one that is valid"
            );
            return Err(Stalled::new(Reason::TokenExpired, message).with_key(key).with_expiry(*expired));
        }
        let note = |(registry, end): &(&RegistryKey, Timestamp)| {
            format!("the login for {registry} in {at} is a token that expires at {end}; store a new one before then")
        };
        Ok(Material {
            expires_at: tokens.iter().map(|(_, end)| *end).min(),
            notes: tokens.iter().min_by_key(|(_, end)| *end).map(note).into_iter().collect(),
            logins: Found::ByRegistry(logins),
            identity: None,
        })
    }
}

/// Checks a docker config that is a file of its own.
///
/// # Errors
/// What is wrong with it.
pub fn check_file(text: &str) -> Result<(), DockerConfigFault> {
    let format = if text.contains("\"auths\"") { ConfigFormat::DockerConfigJson } else { ConfigFormat::DockerCfg };
    config::parse(format, text.as_bytes()).map(drop)
}

/// The registries whose password says itself when it stops working.
fn tokens(logins: &ByRegistry) -> Vec<(&RegistryKey, Timestamp)> {
    let end = |(registry, login): (_, &std::sync::Arc<crate::credential::Login>)| {
        Some((registry, token::expires_at(login.expose_password())?))
    };
    logins.iter().filter_map(end).collect()
}

/// Where a docker config is in a Secret that has none where it was looked for: `--from-file=config.json` is often written.
fn place_of_config(source: &SourceSecret) -> Option<String> {
    let holds = |bytes: &[u8]| std::str::from_utf8(bytes).is_ok_and(recognize::is_docker_config);
    let (key, _) = source.entries().find(|(_, bytes)| holds(bytes))?;
    let key: String = key.chars().filter(|c| c.is_ascii_alphanumeric() || "-._".contains(*c)).collect();
    Some(format!("its key {key} holds one: write key: {key}"))
}

#[cfg(test)]
mod tests;
