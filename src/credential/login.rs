//! What a registry is told: a user name and a password, and which registry gets which.

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine, prelude::BASE64_STANDARD};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::registry::RegistryKey;
use crate::api::{Identity, printable};

/// How many registries an identity lists.
const MAX_LISTED: usize = 5;

/// How a token begins that some registries take as the user name: GitHub's, GitLab's, Docker's, DigitalOcean's, and a JWT.
const TOKENS: [&str; 9] = ["ghp_", "gho_", "ghs_", "github_pat_", "glpat-", "dckr_pat_", "dckr_oat_", "dop_v1_", "eyJ"];

/// A user name, without a colon, and a password.
pub struct Login {
    username: Zeroizing<String>,
    password: Zeroizing<String>,
    auth: Zeroizing<String>,
    is_withheld: bool,
}

impl Login {
    /// One that has been checked.
    pub fn new(username: &str, password: &str) -> Self {
        let both = Zeroizing::new([username, ":", password].concat());
        Self {
            username: Zeroizing::new(username.to_owned()),
            password: Zeroizing::new(password.to_owned()),
            auth: Zeroizing::new(BASE64_STANDARD.encode(both.as_bytes())),
            is_withheld: false,
        }
    }

    /// The same, for a user name that may be something else, so that it isn't shown.
    #[must_use]
    pub fn withheld(self) -> Self {
        Self { is_withheld: true, ..self }
    }

    /// The user name. It may be a token, so what is shown is [`Self::principal`].
    pub fn username(&self) -> &str {
        &self.username
    }

    /// The password.
    pub fn expose_password(&self) -> &str {
        &self.password
    }

    /// What the kubelet sends to the registry: base64 of `username:password`.
    pub fn expose_auth(&self) -> &str {
        &self.auth
    }

    /// The user name as it may be shown, where it isn't a token itself.
    pub fn principal(&self) -> String {
        if self.is_withheld {
            return "(withheld)".to_owned();
        }
        let is_token = self.username == self.password || TOKENS.iter().any(|token| self.username.starts_with(token));
        if is_token { "a token as the user name".to_owned() } else { printable(&self.username) }
    }

    fn is_like(&self, other: &Self) -> bool {
        self.auth == other.auth
    }
}

impl fmt::Debug for Login {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Login(..)")
    }
}

/// Which registry is told what.
#[derive(Debug, Default)]
pub struct Logins {
    /// A login for each registry.
    pub by_registry: BTreeMap<RegistryKey, Arc<Login>>,
    /// Who logs in.
    pub identity: Identity,
    /// When the first of them stops working, where a password says so itself.
    pub expires_at: Option<Timestamp>,
    /// What the owner of the source or the author of the spec should know, each in a sentence.
    pub notes: Vec<String>,
}

/// Who logs in, by the logins alone.
pub fn identity(logins: &BTreeMap<RegistryKey, Arc<Login>>) -> Identity {
    let mut distinct: Vec<&Login> = Vec::new();
    for login in logins.values() {
        if !distinct.iter().any(|known| known.is_like(login)) {
            distinct.push(login);
        }
    }
    let mut names: Vec<String> = distinct.iter().map(|login| login.principal()).collect();
    names.dedup();
    let principal = match &names[..] {
        [] => String::new(),
        [name] => name.clone(),
        _ => format!("{} logins", distinct.len()),
    };
    Identity { principal, detail: listed(logins.keys()) }
}

/// The first few registries, and how many more there are.
pub fn listed<'a>(registries: impl IntoIterator<Item = &'a RegistryKey>) -> String {
    let names: Vec<&str> = registries.into_iter().map(RegistryKey::as_str).collect();
    match names.len().checked_sub(MAX_LISTED) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..MAX_LISTED].join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logins(entries: &[(&str, &str, &str)]) -> BTreeMap<RegistryKey, Arc<Login>> {
        let entry = |(registry, username, password): &(&str, &str, &str)| {
            (RegistryKey::parse(registry).unwrap(), Arc::new(Login::new(username, password)))
        };
        entries.iter().map(entry).collect()
    }

    fn said(entries: &[(&str, &str, &str)]) -> (String, String) {
        let Identity { principal, detail } = identity(&logins(entries));
        (principal, detail)
    }

    #[test]
    fn an_identity_is_the_user_name_where_there_is_one() {
        assert_eq!(said(&[("ghcr.io", "puller", "a")]), ("puller".to_owned(), "ghcr.io".to_owned()));
        assert_eq!(
            said(&[("ghcr.io", "puller", "a"), ("quay.io", "puller", "b")]),
            ("puller".to_owned(), "ghcr.io, quay.io".to_owned())
        );
        assert_eq!(said(&[("ghcr.io", "one", "a"), ("quay.io", "two", "b")]).0, "2 logins");
        assert_eq!(said(&[]), (String::new(), String::new()));
    }

    #[test]
    fn an_identity_lists_five_registries_at_most() {
        let names: Vec<String> = (0..7).map(|n| format!("r{n}.example.com")).collect();
        let entries: Vec<_> = names.iter().map(|name| (name.as_str(), "puller", "a")).collect();
        assert!(said(&entries).1.ends_with("r4.example.com and 2 more"));
        assert!(!said(&entries[..5]).1.contains("more"));
    }

    #[test]
    fn a_token_as_the_user_name_is_not_shown() {
        for (username, password) in [("marker", "marker"), ("ghp_marker", "x-oauth-basic"), ("dop_v1_marker", "x")] {
            assert_eq!(said(&[("ghcr.io", username, password)]).0, "a token as the user name");
        }
        let long = "x".repeat(49);
        assert_eq!(said(&[("ghcr.io", &long, "a")]).0, "(withheld)");
    }

    #[test]
    fn debug_shows_nothing() {
        assert_eq!(format!("{:?}", Login::new("puller", "secret")), "Login(..)");
    }
}
