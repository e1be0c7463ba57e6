//! Which kind a text is for that somebody has put where another kind's password belongs.
//!
//! Kinds know nothing of one another, so what tells them apart stands here, below all of them.

use crate::{
    api::kinds,
    process::json::{self, Member},
};

/// What a text is, however broken, and the member of `spec.credential` that takes it.
pub fn belonging_to(text: &str) -> Option<(&'static str, &'static str)> {
    if is_docker_config(text) {
        Some(("a docker config", kinds::docker_config::MEMBER))
    } else if is_google_key(text) {
        Some(("a Google service-account key file", kinds::gcp_service_account_key::MEMBER))
    } else {
        None
    }
}

/// Whether a text is a docker config, new or old.
pub fn is_docker_config(text: &str) -> bool {
    json::members(text)
        .is_ok_and(|members| members.iter().any(|member| member.is_in_any_case("auths") || is_docker_entry(member)))
}

/// Whether a member is a registry's entry in a docker config.
pub fn is_docker_entry(member: &Member<'_>) -> bool {
    let is_field = |field: &Member<'_>| field.is_in_any_case("auth") || field.is_in_any_case("password");
    json::members(member.value()).is_ok_and(|fields| fields.iter().any(is_field))
}

fn is_google_key(text: &str) -> bool {
    json::members(text)
        .is_ok_and(|members| members.iter().any(|member| member.is("private_key") || member.is("client_email")))
}
