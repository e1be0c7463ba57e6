//! Any password for any registries: what is rendered says just that, in the bytes that kubectl writes, and the kubelet can
//! read it. Any text as a docker config of somebody else's ends in an answer.

#![no_main]

use std::collections::BTreeSet;

use base64::{Engine, prelude::BASE64_STANDARD};
use libfuzzer_sys::fuzz_target;
use regcred::{
    credential::{
        Login, PullSecret, RegistryKey, RevisionKey,
        docker_config::{DockerConfig, MAX_BYTES},
    },
    image::docker_logins::{self, ConfigFormat},
};
use serde_json::Value;

fuzz_target!(|input: (Vec<String>, String)| {
    let (registries, password) = input;
    let _ = docker_logins::read(ConfigFormat::DockerCfg, password.as_bytes());
    let registries: Vec<RegistryKey> = registries.iter().filter_map(|text| RegistryKey::parse(text).ok()).collect();
    let login = Login::new("_json_key", &password);
    let Ok(config) = DockerConfig::render(registries.iter().map(|registry| (registry, &login))) else {
        // It stands there in base64 for each registry.
        assert!(registries.len() * (password.len() * 2 + 400) + 100_000 > MAX_BYTES, "refused though it is small");
        return;
    };
    let bytes = config.expose_bytes();
    assert!(bytes.len() <= MAX_BYTES);
    let text = std::str::from_utf8(bytes).expect("UTF-8");
    assert!(text.is_ascii() && !text.contains('\\'), "nothing needs to be escaped");
    let value: Value = serde_json::from_slice(bytes).expect("JSON");
    let auths = value["auths"].as_object().expect("auths");
    let names: BTreeSet<&str> = registries.iter().map(RegistryKey::as_str).collect();
    assert!(auths.keys().map(String::as_str).eq(names), "the registries are those that were asked for");
    let logins = docker_logins::read(ConfigFormat::DockerConfigJson, bytes).expect("the kubelet can read it");
    assert!(logins.iter().map(|login| login.name.as_str()).eq(auths.keys()), "the kubelet finds other entries");
    for login in auths.values() {
        assert_eq!(login.as_object().map(|members| members.len()), Some(1), "auth alone");
        let auth = BASE64_STANDARD.decode(login["auth"].as_str().expect("auth")).expect("base64");
        assert_eq!(auth, format!("_json_key:{password}").into_bytes());
    }
    let secret =
        PullSecret::new("pull".into(), Default::default(), Default::default(), &config, None, &RevisionKey::nobodys());
    assert_eq!(BASE64_STANDARD.decode(secret.expose_encoded()).expect("base64"), bytes);
    let runs = password.as_bytes().windows(16).filter(|run| run.iter().all(u8::is_ascii_alphanumeric));
    if let Some(run) = runs.last().filter(|_| !registries.is_empty()) {
        let quoting = format!("denied: {} in team-a", String::from_utf8_lossy(run));
        assert!(secret.is_quoted_in(&quoting), "a quotation isn't noticed");
    }
});
