//! Which credentials are tried for an image, and what is certain about it.

use super::named::Seen;
use crate::image::{Keyring, Reference, docker_logins::LoginKind};

/// How it is known that a Secret has an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// From the Secret's data.
    Data,
    /// From the RegistryCredential that manages the Secret.
    RegistryCredential,
}

/// One credential that the kubelet tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Try {
    /// Which of the pull secrets, from 0.
    pub secret: usize,
    /// The entry's name as the kubelet reads it: it matches the image.
    pub entry: String,
    /// How that is known.
    pub source: Source,
    /// Whether it is a token that can't be valid any more.
    pub expired: bool,
}

/// What is certain about how the image is pulled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Not at all: this pull secret (from 0) can't be read by the kubelet.
    Blocked(usize),
    /// With credentials, and never anonymously.
    Credentials,
    /// Anonymously, unless the node itself has a credential.
    Anonymous,
    /// With credentials if one of the Secrets that weren't read has an entry for it, else anonymously.
    Unknown,
}

/// Which credentials are tried for an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// Those that are known to be tried, in order: the first that the registry takes wins.
    pub tries: Vec<Try>,
    /// Whether a Secret that wasn't read may add to them, anywhere in the order.
    pub incomplete: bool,
    /// What is certain.
    pub outcome: Outcome,
}

impl Credentials {
    /// What the kubelet would do with the pull secrets of a pod, in the pod's order, at `now` (seconds since 1970).
    pub fn of<'a>(image: &Reference, secrets: impl IntoIterator<Item = &'a Seen> + Clone, now: i64) -> Self {
        let mut keyring = Keyring::default();
        for (secret, seen) in secrets.clone().into_iter().enumerate() {
            for (name, source, expired) in entries(seen, now) {
                keyring.add(name, (secret, source, expired));
            }
        }
        let found = keyring.lookup(image).into_iter();
        let tries: Vec<Try> = found
            .map(|(entry, &(secret, source, expired))| Try { secret, entry: entry.to_string(), source, expired })
            .collect();
        let blocked = secrets.clone().into_iter().position(|seen| matches!(seen, Seen::Unparseable(_)));
        let incomplete = secrets.into_iter().any(|seen| match seen {
            Seen::NotRead { managed } => managed.as_ref().is_none_or(|managed| managed.registries.is_none()),
            seen => matches!(seen, Seen::Unseen(_)),
        });
        let outcome = match (blocked, tries.is_empty(), incomplete) {
            (Some(secret), _, _) => Outcome::Blocked(secret),
            (None, false, _) => Outcome::Credentials,
            (None, true, true) => Outcome::Unknown,
            (None, true, false) => Outcome::Anonymous,
        };
        Self { tries, incomplete, outcome }
    }

    /// Whether all that is tried has expired, so that no pull can go well, be the image public or not.
    pub fn all_expired(&self) -> bool {
        self.outcome == Outcome::Credentials && !self.incomplete && self.tries.iter().all(|attempt| attempt.expired)
    }
}

/// The entries that a Secret is known to have, by name, and whether each has expired.
fn entries(seen: &Seen, now: i64) -> Vec<(&str, Source, bool)> {
    match seen {
        Seen::Read { logins, written } => {
            let expired = |kind: LoginKind| {
                kind.lifetime().zip(*written).is_some_and(|(lifetime, written)| written.saturating_add(lifetime) < now)
            };
            logins.iter().map(|login| (login.name.as_str(), Source::Data, expired(login.kind))).collect()
        }
        Seen::NotRead { managed: Some(managed) } => {
            let registries = managed.registries.iter().flatten();
            registries.map(|name| (name.as_str(), Source::RegistryCredential, false)).collect()
        }
        Seen::Missing
        | Seen::Unseen(_)
        | Seen::NoPullSecret { .. }
        | Seen::NotRead { managed: None }
        | Seen::Unparseable(_) => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::{
        docker_logins::{ConfigFault, Login},
        pull::Managed,
    };

    const NOW: i64 = 1_800_000_000;

    fn read(names: &[&str]) -> Seen {
        let logins = names.iter().map(|name| Login { name: (*name).to_owned().into(), kind: LoginKind::Other });
        Seen::Read { logins: logins.collect(), written: Some(NOW) }
    }

    fn token(kind: LoginKind, age: i64) -> Seen {
        let logins = vec![Login { name: "gcr.io".to_owned().into(), kind }];
        Seen::Read { logins, written: Some(NOW - age) }
    }

    fn managed(registries: &[&str]) -> Seen {
        let registries = Some(registries.iter().map(|text| (*text).to_owned()).collect());
        Seen::NotRead { managed: Some(Managed { credential: "darwin".to_owned(), registries }) }
    }

    fn of(image: &str, secrets: &[Seen]) -> Credentials {
        Credentials::of(&Reference::parse(image).unwrap(), secrets, NOW)
    }

    fn tried(credentials: &Credentials) -> Vec<(usize, &str)> {
        credentials.tries.iter().map(|attempt| (attempt.secret, attempt.entry.as_str())).collect()
    }

    #[test]
    fn all_that_match_are_tried_the_longer_first_and_the_equal_in_the_pods_order() {
        let secrets = [read(&["gcr.io"]), read(&["https://gcr.io/darwin/", "quay.io"]), managed(&["gcr.io"])];
        let found = of("gcr.io/darwin/api:1", &secrets);
        assert_eq!(tried(&found), [(1, "gcr.io/darwin/"), (0, "gcr.io"), (2, "gcr.io")]);
        assert_eq!(found.tries[2].source, Source::RegistryCredential);
        assert_eq!((found.outcome, found.incomplete), (Outcome::Credentials, false));
    }

    #[test]
    fn it_is_anonymous_only_where_every_secret_is_known_and_none_matches() {
        let known = || [read(&["quay.io"]), managed(&["*.pkg.dev"]), Seen::Missing];
        assert_eq!(of("gcr.io/a", &known()).outcome, Outcome::Anonymous);
        assert_eq!(of("gcr.io/a", &[]).outcome, Outcome::Anonymous);
        let other = Seen::NoPullSecret { secret_type: None };
        assert_eq!(of("gcr.io/a", &[other]).outcome, Outcome::Anonymous);
        let outdated = Managed { credential: "darwin".to_owned(), registries: None };
        let outdated = Seen::NotRead { managed: Some(outdated) };
        for unknown in [Seen::NotRead { managed: None }, outdated, Seen::Unseen("forbidden".to_owned())] {
            let [a, b, c] = known();
            let found = of("gcr.io/a", &[a, b, c, unknown]);
            assert_eq!((found.outcome, found.incomplete), (Outcome::Unknown, true));
        }
    }

    #[test]
    fn a_secret_that_was_not_read_changes_nothing_about_one_that_matches() {
        let found = of("gcr.io/a", &[Seen::NotRead { managed: None }, read(&["gcr.io"])]);
        assert_eq!((found.outcome, found.incomplete), (Outcome::Credentials, true));
    }

    #[test]
    fn one_unparseable_secret_blocks_every_pull() {
        let found = of("gcr.io/a", &[read(&["gcr.io"]), Seen::Unparseable(ConfigFault::Truncated)]);
        assert_eq!(found.outcome, Outcome::Blocked(1));
        assert_eq!(of("quay.io/a", &[Seen::Unparseable(ConfigFault::Truncated)]).outcome, Outcome::Blocked(0));
    }

    #[test]
    fn a_token_expires_and_a_key_does_not() {
        assert!(of("gcr.io/a", &[token(LoginKind::GoogleToken, 3601)]).all_expired());
        assert!(!of("gcr.io/a", &[token(LoginKind::GoogleToken, 3600)]).all_expired());
        assert!(!of("gcr.io/a", &[token(LoginKind::EcrToken, 3601)]).all_expired());
        assert!(!of("gcr.io/a", &[token(LoginKind::Other, 10_000_000)]).all_expired());
        assert!(!of("gcr.io/a", &[token(LoginKind::GoogleToken, 3601), read(&["gcr.io"])]).all_expired());
        let unknown = Seen::NotRead { managed: None };
        assert!(!of("gcr.io/a", &[token(LoginKind::GoogleToken, 3601), unknown]).all_expired());
        assert!(!of("gcr.io/a", &[]).all_expired());
    }
}
