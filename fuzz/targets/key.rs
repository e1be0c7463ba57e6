//! Any bytes as a key file: a sentence that repeats nothing of them, or a key with all of them.

#![no_main]

use libfuzzer_sys::fuzz_target;
use regcred::credential::kinds::gcp_service_account_key::GcpServiceAccountKey;

/// How many letters and digits in a row make a quotation.
const QUOTED: usize = 12;

/// Words that our own sentences have, whatever the file says.
const OURS: [&str; 2] =
    [
        include_str!("../../src/credential/kinds/gcp_service_account_key/key_error.rs"),
        include_str!("../../src/credential/kinds/gcp_service_account_key/key.rs"),
    ];

/// What serde_json says of half a surrogate pair, with or without an escape after it: JSON, but of no Rust string.
const NO_TEXT: [&str; 2] = ["lone leading surrogate in hex escape", "unexpected end of hex escape"];

/// Other members, and their names, may be such texts.
#[derive(serde::Deserialize)]
struct Members {
    #[serde(rename = "type")]
    kind: String,
    private_key: String,
}

fuzz_target!(|file: &[u8]| {
    match GcpServiceAccountKey::parse(file) {
        Ok(key) => {
            assert_eq!(key.expose_file().as_bytes(), file, "the password isn't the file");
            let identity = key.identity();
            for text in [&identity.client_email, &identity.project_id, &identity.private_key_id] {
                assert!(
                    !text.is_empty() && text.len() <= 320 && text.chars().all(|c| c.is_ascii_graphic()),
                    "{text:?}"
                );
            }
            let members: Members = match serde_json::from_slice(file) {
                Ok(members) => members,
                Err(error) => {
                    let said = error.to_string();
                    assert!(NO_TEXT.iter().any(|it| said.contains(it)), "what we take is JSON: {error}");
                    return;
                }
            };
            assert_eq!(members.kind, "service_account");
            let pem = members.private_key;
            let said = format!("{key:?}");
            assert!(pem.lines().filter(|line| line.len() > 40).all(|line| !said.contains(line)), "{said}");
        }
        Err(error) => {
            let said = format!("{error} {error:?}");
            for run in file.windows(QUOTED).filter(|run| run.iter().all(u8::is_ascii_alphanumeric)) {
                let run = std::str::from_utf8(run).expect("ASCII");
                let quoted = said.contains(run) && !OURS.iter().any(|ours| ours.contains(run));
                assert!(!quoted, "{said} quotes {run}");
            }
        }
    }
});
