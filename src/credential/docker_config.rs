//! Renders `.dockerconfigjson` as `docker login` writes its file: of each registry `auth` alone.
//!
//! That is what every client reads, and prefers where `username` and `password` stand beside it, as `kubectl create secret
//! docker-registry` puts them. Without these a Secret has less than half as many bytes, and bytes are what a roll-out
//! costs the API server and etcd. An email would only change the hash that the kubelet remembers a credential by.

use std::{
    collections::BTreeMap,
    fmt,
    io::{self, Write},
};

use serde::Serialize;
use thiserror::Error;
use zeroize::Zeroizing;

use super::{login::Login, registry::RegistryKey};

/// What the API server takes as the data of one Secret.
pub const MAX_BYTES: usize = 1024 * 1024;

/// The docker config is more than a Secret can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error(
    "the docker config, which holds a login for each registry, has more than {MAX_BYTES} bytes; list fewer registries"
)]
pub struct TooLarge;

/// The bytes of a `.dockerconfigjson`.
pub struct DockerConfig(Zeroizing<Vec<u8>>);

impl DockerConfig {
    /// Renders each registry's own login.
    ///
    /// # Errors
    /// If no Secret can hold it.
    pub fn render<'a>(logins: impl IntoIterator<Item = (&'a RegistryKey, &'a Login)>) -> Result<Self, TooLarge> {
        let entry = |login: &'a Login| Entry { auth: login.expose_auth() };
        let config = Config {
            auths: logins.into_iter().map(|(registry, login)| (registry.entry_name(), entry(login))).collect(),
        };
        // Counted first: a buffer that grows leaves copies of its contents behind.
        let mut count = Count(0);
        serde_json::to_writer(&mut count, &config).map_err(|_| TooLarge)?;
        let mut bytes = Zeroizing::new(Vec::with_capacity(count.0));
        serde_json::to_writer(&mut *bytes, &config).map_err(|_| TooLarge)?;
        Ok(Self(bytes))
    }

    /// The bytes.
    pub fn expose_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for DockerConfig {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DockerConfig(..)")
    }
}

#[derive(Serialize)]
struct Config<'a> {
    auths: BTreeMap<&'a str, Entry<'a>>,
}

#[derive(Serialize)]
struct Entry<'a> {
    auth: &'a str,
}

/// Counts bytes, up to what a Secret can hold; that there are more is its only error.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0 += bytes.len();
        if self.0 > MAX_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use base64::{Engine, prelude::BASE64_STANDARD};
    use proptest::prelude::*;
    use serde_json::Value;

    use crate::credential::testing::one_login;

    fn render(registries: &[&str], password: &str) -> String {
        let keys: Vec<_> = registries.iter().map(|text| RegistryKey::parse(text).unwrap()).collect();
        let config = one_login(&keys, password).unwrap();
        assert_eq!(config.0.len(), config.0.capacity(), "it never grew");
        String::from_utf8(config.expose_bytes().to_vec()).unwrap()
    }

    #[test]
    fn registries_are_sorted_and_named_once() {
        assert_eq!(
            render(&["gcr.io/b", "*.gcr.io", "gcr.io", "gcr.io/b"], "x"),
            r#"{"auths":{"*.gcr.io":{"auth":"X2pzb25fa2V5Ong="},"gcr.io":{"auth":"X2pzb25fa2V5Ong="},"gcr.io/b":{"auth":"X2pzb25fa2V5Ong="}}}"#
        );
    }

    #[test]
    fn the_largest_has_one_mebibyte() {
        let registry = [RegistryKey::parse("gcr.io/").unwrap()];
        let render = |size| one_login(&registry, &"x".repeat(size));
        let largest = render(786_395).unwrap();
        assert_eq!(largest.expose_bytes().len(), 1_048_573);
        assert_eq!(render(786_396).unwrap_err(), TooLarge);
    }

    #[test]
    fn counting_stops_behind_the_limit() {
        let mut count = Count(MAX_BYTES - 2);
        assert_eq!(count.write(b"ab").unwrap(), 2);
        assert!(count.flush().is_ok());
        assert!(count.write(b"c").is_err());
    }

    #[test]
    fn debug_shows_nothing() {
        let config = one_login(&[], "secret").unwrap();
        assert_eq!(format!("{config:?}"), "DockerConfig(..)");
        assert_eq!(config.expose_bytes(), br#"{"auths":{}}"#);
    }

    #[test]
    fn what_cannot_be_rendered_says_what_to_do() {
        assert_eq!(
            TooLarge.to_string(),
            "the docker config, which holds a login for each registry, has more than 1048576 bytes; list fewer registries"
        );
    }

    proptest! {
        #[test]
        fn any_password_comes_back(password in any::<String>()) {
            let parsed: Value = serde_json::from_str(&render(&["gcr.io"], &password)).unwrap();
            let entry = &parsed["auths"]["gcr.io"];
            let login = BASE64_STANDARD.decode(entry["auth"].as_str().unwrap()).unwrap();
            prop_assert_eq!(login, format!("_json_key:{password}").into_bytes());
        }
    }
}
