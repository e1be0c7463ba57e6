//! Any bytes as a docker config or as a password: a sentence that repeats nothing of them, or logins that the kubelet reads
//! as we do.

#![no_main]

use std::collections::BTreeMap;

use libfuzzer_sys::fuzz_target;
use regcred::{
    api::{
        SecretRef,
        kinds::{
            basic_auth::BasicAuthSource,
            docker_config::{DockerConfigRef, DockerConfigSource},
        },
    },
    credential::{
        SourceSecret,
        docker_config::DockerConfig,
        kind::Kind,
        logins,
        source::Marks,
    },
    image::docker_logins::{self, ConfigFormat},
};

/// How many letters and digits in a row make a quotation.
const QUOTED: usize = 12;

/// Words that our own sentences have, whatever the Secret says.
const OURS: [&str; 5] = [
    include_str!("../../src/credential/kinds/docker_config/fault.rs"),
    include_str!("../../src/credential/kinds/docker_config/mod.rs"),
    include_str!("../../src/credential/kinds/basic_auth/mod.rs"),
    include_str!("../../src/credential/registry.rs"),
    "regcred-system gcpServiceAccountKey dockerConfig basicAuth",
];

fn source(data: &[(&str, &[u8])], secret_type: &str) -> SourceSecret {
    let data: BTreeMap<_, _> = data.iter().map(|(key, value)| ((*key).to_owned(), value.to_vec().into())).collect();
    let marks = Marks { registries: Some("registry.example.com".to_owned()), usage: None };
    let marks = if secret_type == "Opaque" { marks } else { Marks::default() };
    SourceSecret::unapplied("regcred-system", "s", data).with(secret_type, marks)
}

fn try_kind(kind: &dyn Kind, source: &SourceSecret, input: &[u8]) {
    match logins(kind, source, &[], jiff::Timestamp::UNIX_EPOCH) {
        Ok(found) => {
            let pairs = found.by_registry.iter().map(|(registry, login)| (registry, &**login));
            let Ok(config) = DockerConfig::render(pairs) else { return };
            let read = docker_logins::read(ConfigFormat::DockerConfigJson, config.expose_bytes());
            let read = read.expect("the kubelet can read it");
            assert_eq!(read.len(), found.by_registry.len(), "the kubelet finds other entries");
            let debug = format!("{found:?}");
            for login in found.by_registry.values().filter(|login| login.expose_password().len() > 20) {
                assert!(!debug.contains(login.expose_password()), "{debug}");
            }
        }
        Err(stalled) => {
            let said = stalled.message;
            for run in input.windows(QUOTED).filter(|run| run.iter().all(u8::is_ascii_alphanumeric)) {
                let run = std::str::from_utf8(run).expect("ASCII");
                // The registry of an entry is named.
                let quoted = said.contains(run) && !said.contains(&format!("({run}")) && !OURS.iter().any(|it| it.contains(run));
                assert!(!quoted || said.contains("entry "), "{said} quotes {run}");
            }
        }
    }
}

fuzz_target!(|input: &[u8]| {
    let secret_ref = DockerConfigRef { namespace: None, name: "s".to_owned(), key: None };
    let config = DockerConfigSource { secret_ref };
    try_kind(&config, &source(&[(".dockerconfigjson", input)], "kubernetes.io/dockerconfigjson"), input);
    try_kind(&config, &source(&[(".dockercfg", input)], "kubernetes.io/dockercfg"), input);
    let basic = BasicAuthSource {
        secret_ref: SecretRef { namespace: None, name: "s".to_owned() },
        username: None,
        username_key: None,
        password_key: "password".to_owned(),
    };
    let (username, password) = input.split_at(input.len() / 4);
    try_kind(&basic, &source(&[("username", username), ("password", password)], "Opaque"), input);
});
