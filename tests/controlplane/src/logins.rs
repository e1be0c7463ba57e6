//! What a pull secret tells a kubelet.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::Value;

/// User name and password for each registry, from a Secret of type `kubernetes.io/dockerconfigjson`.
///
/// # Errors
/// What is missing, or isn't as the operator writes it: `auth`, and nothing beside it.
pub fn logins(secret: &Value) -> Result<BTreeMap<String, (String, String)>, String> {
    let decode = |text: &Value| BASE64_STANDARD.decode(text.as_str().unwrap_or_default()).map_err(|e| e.to_string());
    let config: Value =
        serde_json::from_slice(&decode(&secret["data"][".dockerconfigjson"])?).map_err(|e| e.to_string())?;
    let login = |(registry, entry): (&String, &Value)| {
        if entry.as_object().is_none_or(|members| members.len() != 1) {
            return Err(format!("{registry} has other members than auth"));
        }
        let login = String::from_utf8(decode(&entry["auth"])?).map_err(|e| e.to_string())?;
        let (username, password) = login.split_once(':').ok_or("no colon in auth")?;
        Ok((registry.clone(), (username.to_owned(), password.to_owned())))
    };
    config["auths"].as_object().ok_or("no auths")?.iter().map(login).collect()
}

/// The password for the first of its registries.
///
/// # Errors
/// As [`logins`], or that there is none.
pub fn password(secret: &Value) -> Result<String, String> {
    let first = logins(secret)?.into_values().next();
    Ok(first.ok_or("auths is empty")?.1)
}
