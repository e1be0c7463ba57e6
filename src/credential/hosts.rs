//! Where a credential may be sent: what its kind, the administrator, the source's owner and the spec say together.
//!
//! | rule of the kind | which registries | who widens | `spec.registries` |
//! | --- | --- | --- | --- |
//! | [`HostRule::Provider`] | the spec's | the administrator, by `--allowed-registries` | required |
//! | [`HostRule::NamedBySource`] | the source's | nobody | narrows |
//! | [`HostRule::MarkedByOwner`] | those of the annotation `regcred.dev/registries` | nobody | narrows |
//!
//! Where a source Secret has the annotation, no login of it goes to a registry that the annotation doesn't cover,
//! whatever the kind's rule, save for a provider's. `--allowed-registries` doesn't widen what an owner has marked: who
//! may write RegistryCredentials could otherwise send one owner's password to another one's registry.

use std::{collections::BTreeMap, sync::Arc};

use super::{
    AllowedRegistries,
    login::{Login, listed},
    registry::{RegistryKey, RegistryKeyError},
    source::SourceSecret,
};
use crate::api::{REGISTRIES_ANNOTATION, Reason, Stalled};

/// As many registries as a spec may list, so that a roll-out's Secret and its status stay readable.
pub const MAX_REGISTRIES: usize = 64;

/// What a kind says of the registries that it may be sent to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HostRule {
    /// The provider's own, and those that the administrator allows.
    Provider(Provider),
    /// Those that the source has a login for.
    NamedBySource,
    /// Those that the source's owner has marked it for.
    MarkedByOwner,
}

/// The registries of a provider, on the port of HTTPS only: at another one a runtime may be set to speak plain HTTP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Provider {
    /// Whose they are, as in "isn't one of Google's".
    pub whose: &'static str,
    /// The same as people write them.
    pub shown: &'static str,
    /// Hosts, and domains with a dot before them: `.gcr.io` is every host below it.
    pub hosts: &'static [&'static str],
}

impl Provider {
    /// Whether every host that the key can match is one of these. Its last two labels hold no wildcard, so they say whose
    /// host it is, however many labels come before.
    pub fn has(&self, key: &RegistryKey) -> bool {
        let labels = key.labels();
        let is_of = |host: &&str| match host.strip_prefix('.') {
            Some(domain) => {
                let domain: Vec<&str> = domain.split('.').collect();
                labels.len() > domain.len() && labels.ends_with(&domain)
            }
            None => labels.join(".") == **host,
        };
        key.special_port().is_none() && self.hosts.iter().any(is_of)
    }

    /// Permits each registry of a spec.
    ///
    /// # Errors
    /// For the first one that is neither the provider's nor allowed.
    pub fn check(&self, at: usize, key: &RegistryKey, allowed: &AllowedRegistries) -> Result<(), Stalled> {
        if self.has(key) || allowed.lists(key) {
            return Ok(());
        }
        let Self { whose, shown, .. } = self;
        let message = format!(
            "spec.registries[{at}], {key}, isn't one of {whose} ({shown}, on port 443), so the key isn't sent there; \
             correct it, or have an administrator add {} to the operator's --allowed-registries",
            key.authority()
        );
        Err(Stalled::new(Reason::RegistryNotAllowed, message))
    }
}

/// A login for each registry.
pub type ByRegistry = BTreeMap<RegistryKey, Arc<Login>>;

/// The registries that the owner of a source Secret has marked it for, by its annotation.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Mark(Vec<RegistryKey>);

impl Mark {
    /// Reads the annotation; `None` where there is none.
    ///
    /// # Errors
    /// If an entry isn't a registry, or there are too many.
    pub fn of(source: &SourceSecret) -> Result<Option<Self>, Stalled> {
        let Some(text) = &source.marks().registries else { return Ok(None) };
        let invalid = |what: String| {
            let at = source.at();
            Stalled::new(Reason::InvalidCredential, format!("{at}, annotation {REGISTRIES_ANNOTATION}: {what}"))
        };
        let entries = text.split(',').map(str::trim).filter(|entry| !entry.is_empty());
        let parsed: Result<Vec<_>, (usize, RegistryKeyError)> = entries
            .enumerate()
            .map(|(at, text)| RegistryKey::of_entry(text).map_err(|fault| (at + 1, fault)))
            .collect();
        let mut keys = parsed.map_err(|(entry, fault)| invalid(format!("entry {entry} isn't a registry: {fault}")))?;
        keys.sort();
        keys.dedup();
        if keys.len() > MAX_REGISTRIES {
            return Err(invalid(format!("it has more than {MAX_REGISTRIES} registries; write fewer")));
        }
        Ok(Some(Self(keys)))
    }

    /// The registries, sorted.
    pub fn registries(&self) -> &[RegistryKey] {
        &self.0
    }
}

/// The command by which a source's owner marks it for these registries, and for those that it has been marked for.
pub fn mark_command<'a>(
    source: &SourceSecret,
    mark: Option<&'a Mark>,
    more: impl IntoIterator<Item = &'a RegistryKey>,
) -> String {
    let mut keys: Vec<&RegistryKey> = mark.into_iter().flat_map(|mark| &mark.0).chain(more).collect();
    keys.sort();
    keys.dedup();
    let value: Vec<&str> = keys.into_iter().map(RegistryKey::as_str).collect();
    let value = if value.is_empty() { "registry.example.com".to_owned() } else { value.join(",") };
    // A wildcard would be the shell's.
    let quote = if value.contains('*') { "'" } else { "" };
    format!(
        "kubectl -n {} annotate secret {} --overwrite {REGISTRIES_ANNOTATION}={quote}{value}{quote}",
        source.namespace(),
        source.name()
    )
}

/// The logins as far as a list of registries asks for them, and what it asks for that there is no login for.
///
/// An entry of the list that covers registries of the logins stands for all of these; one that is narrower than a
/// registry of the logins gets that login for itself alone.
pub fn narrow(logins: &ByRegistry, to: &[RegistryKey]) -> (ByRegistry, Vec<RegistryKey>) {
    let mut found = ByRegistry::new();
    let mut missing = Vec::new();
    for wanted in to {
        let within = logins.iter().filter(|(registry, _)| wanted.covers(registry));
        found.extend(within.map(|(registry, login)| (registry.clone(), Arc::clone(login))));
        if logins.contains_key(wanted) {
            continue;
        }
        // The greatest is the longest path, and a host before a wildcard: the one that the kubelet would try first.
        let around = logins.iter().rev().find(|(registry, _)| registry.covers(wanted));
        match around {
            Some((_, login)) => {
                found.insert(wanted.clone(), Arc::clone(login));
            }
            None if !logins.keys().any(|registry| wanted.covers(registry)) => {
                missing.push(wanted.clone());
            }
            None => {}
        }
    }
    (found, missing)
}

/// Whether the owner's mark permits anything at all.
///
/// # Errors
/// If it lists no registry: what was rolled out goes.
pub fn check_not_withdrawn(source: &SourceSecret, mark: &Mark, wanted: &[RegistryKey]) -> Result<(), Stalled> {
    if !mark.registries().is_empty() {
        return Ok(());
    }
    Err(withdrawn(source, &mark_command(source, None, wanted)))
}

/// Nothing of the source may be used; the command would permit it.
fn withdrawn(source: &SourceSecret, command: &str) -> Stalled {
    let message = format!(
        "the annotation {REGISTRIES_ANNOTATION} of {} permits none of its logins, so none is rolled out, and what was \
         rolled out is removed; its owner permits them with: {command}",
        source.at()
    );
    Stalled::new(Reason::Revoked, message)
}

/// What of the source's logins goes where, by its owner's mark and the spec's list, and what should be known of it.
///
/// # Errors
/// Where the mark leaves nothing, which [`crate::api::StallCause::Withdrawn`] tells from a fault; where the spec asks for a registry that
/// the source has no login for.
pub fn permitted(
    source: &SourceSecret,
    logins: &ByRegistry,
    mark: Option<&Mark>,
    wanted: &[RegistryKey],
) -> Result<(ByRegistry, Vec<String>), Stalled> {
    let at = source.at();
    let marked = match mark {
        Some(mark) => narrow(logins, mark.registries()).0,
        None => logins.clone(),
    };
    if wanted.is_empty() {
        if marked.is_empty() {
            return Err(withdrawn(source, &mark_command(source, mark, logins.keys())));
        }
        return Ok((marked, Vec::new()));
    }
    let (found, refused) = narrow(&marked, wanted);
    if let Some(absent) = narrow(logins, wanted).1.first() {
        let message = format!(
            "{at} has no login for {absent}, which spec.registries lists; it has: {}; add that login to the Secret, or \
             take {absent} out of spec.registries",
            listed(logins.keys())
        );
        return Err(Stalled::new(Reason::RegistryNotInSource, message));
    }
    if refused.is_empty() {
        return Ok((found, Vec::new()));
    }
    let names = listed(&refused);
    let command = mark_command(source, mark, &refused);
    if found.is_empty() {
        let message = format!(
            "the annotation {REGISTRIES_ANNOTATION} of {at} permits none of spec.registries ({names}), so nothing is \
             rolled out, and what was rolled out is removed; its owner permits them with: {command}"
        );
        return Err(Stalled::new(Reason::Revoked, message));
    }
    let note = format!(
        "the annotation {REGISTRIES_ANNOTATION} of {at} doesn't permit {names}, which spec.registries lists, so no login \
         for it is rolled out; its owner permits it with: {command}"
    );
    Ok((found, vec![note]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(texts: &[&str]) -> Vec<RegistryKey> {
        texts.iter().map(|text| RegistryKey::parse(text).unwrap().canonical()).collect()
    }

    fn logins(registries: &[&str]) -> ByRegistry {
        keys(registries).into_iter().map(|key| (key.clone(), Arc::new(Login::new(key.as_str(), "x")))).collect()
    }

    /// Each registry, and whose login it gets.
    fn narrowed(registries: &[&str], to: &[&str]) -> (Vec<String>, Vec<String>) {
        let (found, missing) = narrow(&logins(registries), &keys(to));
        let found = found.iter().map(|(key, login)| {
            if login.username() == key.as_str() { key.to_string() } else { format!("{key} by {}", login.username()) }
        });
        (found.collect(), missing.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn a_list_narrows_and_never_widens() {
        let has = ["*.gcr.io", "docker.io", "ghcr.io/team/", "quay.io"];
        for (to, found, missing) in [
            (&["quay.io"][..], &["quay.io"][..], &[][..]),
            (&["ghcr.io"], &["ghcr.io/team/"], &[]),
            (&["quay.io/team/"], &["quay.io/team/ by quay.io"], &[]),
            (&["eu.gcr.io"], &["eu.gcr.io by *.gcr.io"], &[]),
            (&["index.docker.io"], &["docker.io"], &[]),
            (&["docker.io/team/"], &["docker.io/team/ by docker.io"], &[]),
            (&["gcr.io"], &[], &["gcr.io"]),
            (&["quay.io", "quay.io:5000", "ghcr.io/other/"], &["quay.io"], &["quay.io:5000", "ghcr.io/other/"]),
            (&[], &[], &[]),
        ] {
            let strings = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
            assert_eq!(narrowed(&has, to), (strings(found), strings(missing)), "{to:?}");
        }
    }

    #[test]
    fn the_longest_path_gives_the_login() {
        let has = ["quay.io", "quay.io/team/"];
        assert_eq!(narrowed(&has, &["quay.io/team/a/"]).0, ["quay.io/team/a/ by quay.io/team/"]);
        assert_eq!(narrowed(&has, &["quay.io/other/"]).0, ["quay.io/other/ by quay.io"]);
        assert_eq!(narrowed(&has, &["quay.io"]).0, has);
    }

    #[test]
    fn a_provider_has_its_hosts_on_the_port_of_https() {
        let provider = Provider { whose: "", shown: "", hosts: &["example.com", ".example.org"] };
        for (text, is_one) in [
            ("example.com", true),
            ("example.com:443", true),
            ("example.com:8443", false),
            ("a.example.com", false),
            ("example.org", false),
            ("a.example.org/team/", true),
            ("*.a.example.org", true),
            ("notexample.com", false),
            ("a.notexample.org", false),
        ] {
            assert_eq!(provider.has(&RegistryKey::parse(text).unwrap()), is_one, "{text}");
        }
    }
}
