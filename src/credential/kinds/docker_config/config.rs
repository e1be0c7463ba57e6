//! The bytes of a docker config → a login for each registry, or what is wrong with it.
//!
//! Stricter than the kubelet (`docker_logins` reads as it does), as what the kubelet passes over in silence ends in a pull
//! without credentials, of which the registry then says no more than "not found".

use std::{collections::BTreeMap, sync::Arc};

use zeroize::Zeroizing;

use super::fault::{DockerConfigFault as Fault, Place};
use crate::{
    api::kinds::docker_config::MEMBER,
    credential::{
        hosts::ByRegistry,
        json_file,
        login::Login,
        recognize::{belonging_to, is_docker_entry},
        registry::RegistryKey,
    },
    image::docker_logins::{self, ConfigFormat},
    process::json::{self, Member},
};

/// The largest docker config that is read: 200 logins with a key file each.
pub const MAX_BYTES: usize = 512 * 1024;

/// The most registries in one.
pub const MAX_ENTRIES: usize = 256;

/// The longest user name or password, in bytes.
const MAX_FIELD_BYTES: usize = 64 * 1024;

/// The login of each registry.
///
/// # Errors
/// The first fault that is found.
pub fn parse(format: ConfigFormat, bytes: &[u8]) -> Result<ByRegistry, Fault> {
    if bytes.len() > MAX_BYTES {
        return Err(Fault::TooLarge { bytes: bytes.len() });
    }
    let text = json_file::object_text(bytes).map_err(Fault::File)?;
    let top = json::members(text).map_err(|fault| match fault {
        json::Fault::Truncated => Fault::Truncated { bytes: bytes.len() },
        json::Fault::Syntax { line, column } => Fault::Syntax { line, column },
    })?;
    unique(&top, "the docker config")?;
    let is_helped = top.iter().any(|member| {
        let is_helper = member.is_in_any_case("credsStore") || member.is_in_any_case("credHelpers");
        is_helper && !matches!(member.value(), "null" | "{}" | "\"\"")
    });
    let entries = entries(format, text, top, is_helped)?;
    if entries.is_empty() {
        return Err(if is_helped { Fault::Helper } else { Fault::Empty });
    }
    if entries.len() > MAX_ENTRIES {
        return Err(Fault::TooMany { count: entries.len() });
    }
    unique(&entries, "auths")?;
    let mut logins = ByRegistry::new();
    let mut first_at = BTreeMap::new();
    let mut unnamed = None;
    for (at, member) in entries.iter().enumerate() {
        let place = |registry| Place { entry: at + 1, registry };
        let name = member.name().unwrap_or_default();
        let registry =
            RegistryKey::of_entry(&name).map_err(|fault| Fault::NotARegistry { place: place(None), fault })?;
        let place = place(Some(registry.clone()));
        if let Some(other) = first_at.insert(registry.clone(), at + 1) {
            return Err(Fault::SameRegistry { place, other });
        }
        match login(member.value(), place) {
            // `docker login` leaves an empty entry for each registry that a helper has the login of.
            Err(fault @ Fault::NoLogin(_)) if is_helped => unnamed = unnamed.or(Some(fault)),
            Err(fault) => return Err(fault),
            Ok(login) => {
                logins.insert(registry, Arc::new(login));
            }
        }
    }
    match unnamed {
        Some(_) if logins.is_empty() => Err(Fault::Helper),
        Some(fault) => Err(fault),
        None => Ok(logins),
    }
}

/// The registries' entries.
fn entries<'a>(
    format: ConfigFormat,
    text: &str,
    top: Vec<Member<'a>>,
    is_helped: bool,
) -> Result<Vec<Member<'a>>, Fault> {
    let auths = top.iter().find(|member| member.is_in_any_case("auths"));
    match (format, auths) {
        (ConfigFormat::DockerCfg, None) if is_helped && top.len() == 1 => Err(Fault::Helper),
        (ConfigFormat::DockerCfg, None) => match other_kind(text) {
            Some(fault) => Err(fault),
            None => Ok(top),
        },
        (ConfigFormat::DockerCfg, Some(_)) => Err(Fault::NewFormat),
        (ConfigFormat::DockerConfigJson, Some(auths)) if auths.value() == "null" => Ok(Vec::new()),
        (ConfigFormat::DockerConfigJson, Some(auths)) if auths.value().starts_with('{') => {
            json::members(auths.value()).map_err(|_| Fault::AuthsNotAnObject)
        }
        (ConfigFormat::DockerConfigJson, Some(_)) => Err(Fault::AuthsNotAnObject),
        (ConfigFormat::DockerConfigJson, None) if is_helped => Err(Fault::Helper),
        (ConfigFormat::DockerConfigJson, None) if top.iter().any(is_docker_entry) => Err(Fault::OldFormat),
        (ConfigFormat::DockerConfigJson, None) => Err(other_kind(text).unwrap_or(Fault::NoAuths)),
    }
}

fn other_kind(text: &str) -> Option<Fault> {
    let (what, member) = belonging_to(text).filter(|(_, member)| *member != MEMBER)?;
    Some(Fault::OtherKind { what, member })
}

/// No name twice, in whatever case, as the kubelet and docker don't tell these apart.
fn unique(members: &[Member<'_>], what: &str) -> Result<(), Fault> {
    let mut names: Vec<_> = members.iter().filter_map(Member::name).collect();
    for name in &mut names {
        name.make_ascii_lowercase();
    }
    names.sort_unstable_by(|a, b| a.as_str().cmp(b.as_str()));
    if names.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Fault::DuplicateName(what.to_owned()));
    }
    Ok(())
}

/// The fields of an entry that say something to us, in order.
const FIELDS: [&str; 5] = ["username", "password", "auth", "identitytoken", "registrytoken"];

fn login(entry: &str, place: Place) -> Result<Login, Fault> {
    if !entry.starts_with('{') {
        return Err(Fault::NotAnObject(place));
    }
    let members = json::members(entry).unwrap_or_default();
    unique(&members, &place.to_string())?;
    let mut fields: [Zeroizing<String>; FIELDS.len()] = Default::default();
    for (field, value) in FIELDS.into_iter().zip(&mut fields) {
        if let Some(member) = members.iter().find(|member| member.is_in_any_case(field)) {
            *value = string(member, field, &place)?;
        }
    }
    let [mut username, mut password, auth, identity_token, registry_token] = fields;
    if !auth.trim().is_empty() {
        let (said_username, said_password) = split(&auth, &place)?;
        for (field, own, said) in [("username", &username, &said_username), ("password", &password, &said_password)] {
            if !own.is_empty() && own != said {
                return Err(Fault::Disagree { place, field });
            }
        }
        (username, password) = (said_username, said_password);
    }
    if password.is_empty() {
        return Err(if !identity_token.is_empty() {
            Fault::IdentityToken(place)
        } else if !registry_token.is_empty() {
            Fault::RegistryToken(place)
        } else if username.is_empty() {
            Fault::NoLogin(place)
        } else {
            Fault::NoPassword(place)
        });
    }
    if username.is_empty() {
        return Err(Fault::NoUsername(place));
    }
    if username.contains(':') {
        return Err(Fault::ColonInUsername(place));
    }
    for (field, value) in [("username", &username), ("password", &password)] {
        if value.len() > MAX_FIELD_BYTES {
            return Err(Fault::FieldTooLong { place, field, bytes: value.len() });
        }
        // A Google key file, which is a password to its registries, has line breaks.
        if value.contains(char::is_control) && belonging_to(value).is_none() {
            return Err(Fault::Control { place, field });
        }
    }
    Ok(Login::new(&username, &password))
}

/// The string that a member's value is; empty for `null`.
fn string(member: &Member<'_>, field: &'static str, place: &Place) -> Result<Zeroizing<String>, Fault> {
    match member.value() {
        "null" => Ok(Zeroizing::default()),
        value if value.starts_with('"') => {
            json::unescape(value).ok_or_else(|| Fault::BadEscape { place: place.clone(), field })
        }
        _ => Err(Fault::NotAString { place: place.clone(), field }),
    }
}

/// What `auth` says, split at the first colon, as a password may have more of them.
fn split(auth: &str, place: &Place) -> Result<(Zeroizing<String>, Zeroizing<String>), Fault> {
    let decoded = docker_logins::decode(auth.trim()).ok_or_else(|| Fault::AuthNotBase64(place.clone()))?;
    let text = std::str::from_utf8(&decoded).map_err(|_| Fault::AuthNotText(place.clone()))?;
    // Docker pads with NUL: https://github.com/docker/cli/blob/v27.0.0/cli/config/configfile/file.go#L258
    let text = text.trim_end_matches('\0');
    let (username, password) = text.split_once(':').ok_or_else(|| Fault::AuthNoColon(place.clone()))?;
    Ok((username.to_owned().into(), password.to_owned().into()))
}
