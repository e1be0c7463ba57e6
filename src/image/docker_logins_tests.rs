//! Tests of reading docker configs: the kubelet's own cases, and what it says of no other.

use proptest::prelude::*;

use super::*;

fn json(text: &str) -> Result<Vec<(String, LoginKind)>, ConfigFault> {
    let logins = read(ConfigFormat::DockerConfigJson, text.as_bytes())?;
    Ok(logins.iter().map(|login| (login.name.to_string(), login.kind)).collect())
}

fn cfg(text: &str) -> Result<Vec<LoginKind>, ConfigFault> {
    Ok(read(ConfigFormat::DockerCfg, text.as_bytes())?.iter().map(|login| login.kind).collect())
}

/// pkg/credentialprovider/config_test.go of Kubernetes v1.36.3 (under the Apache License 2.0):
/// `TestDecodeDockerConfigFieldAuth` and `TestDockerConfigEntryJSONDecode`.
#[test]
fn the_kubelets_own_cases_of_entries_end_as_there() {
    for (auth, fails) in [
        ("Zm9vOmJhcg==", false),
        ("Zm9vOmJhcg", false),
        ("Zm9vOm\\nJhcg==\\n", false),
        ("cGFudHM=", true),
        ("Zm9vOmJhcg== ", true),
        ("pants", true),
    ] {
        let read = cfg(&format!(r#"{{"gcr.io": {{"auth": "{auth}"}}}}"#));
        assert_eq!(read, if fails { Err(ConfigFault::Auth(1)) } else { Ok(vec![LoginKind::Other]) }, "{auth}");
    }
    for (entry, fault) in [
        (r#"{"username": "foo", "password": "bar", "email": "foo@example.com"}"#, None),
        (r#"{"auth": "Zm9vOmJhcg==", "email": "foo@example.com"}"#, None),
        (r#"{"username": "foo", "password": "bar", "auth": "cGluZzpwb25n", "email": "foo@example.com"}"#, None),
        (r#"{"auth": "pants", "email": "foo@example.com"}"#, Some(ConfigFault::Auth(1))),
        (r#"{"email": false}"#, Some(ConfigFault::Entry(1))),
    ] {
        assert_eq!(cfg(&format!(r#"{{"http://foo.example.com": {entry}}}"#)).err(), fault, "{entry}");
    }
}

#[test]
fn entries_are_found_in_any_order_and_case() {
    let text = r#"{"HttpHeaders": {"a": "b"}, "Auths": {"b": {"AUTH": "Zm9vOmJhcg"}, "a": null}, "other": [1]}"#;
    let expected = [("b".to_owned(), LoginKind::Other), ("a".to_owned(), LoginKind::Empty)];
    assert_eq!(json(text), Ok(expected.to_vec()));
    assert_eq!(json("{}"), Ok(vec![]));
    assert_eq!(json(r#"{"auths": null}"#), Ok(vec![]));
    assert_eq!(json(r#"{"auths": {"a": {}}, "AUTHS": null}"#), Ok(vec![]));
    let half = r#"{"auths": {"a": {"username": "\ud800"}}}"#;
    assert_eq!(json(half), Ok(vec![("a".to_owned(), LoginKind::Other)]));
    let twice = r#"{"auths": {"a": {"username": "AWS"}, "b": {}, "a": {"username": "x"}}}"#;
    assert_eq!(json(twice), Ok(vec![("b".to_owned(), LoginKind::Empty), ("a".to_owned(), LoginKind::Other)]));
}

#[test]
fn tokens_are_known_by_their_user_names() {
    for (entry, kind) in [
        (r#"{"username": "oauth2accesstoken", "password": "ya29"}"#, LoginKind::GoogleToken),
        (r#"{"auth": "QVdTOnRva2Vu"}"#, LoginKind::EcrToken),
        (r#"{"username": "AWS", "auth": "Zm9vOmJhcg=="}"#, LoginKind::Other),
        (r#"{"username": "", "password": null}"#, LoginKind::Empty),
        (r#"{"auth": "Og=="}"#, LoginKind::Empty),
        (r#"{"password": "x"}"#, LoginKind::Other),
    ] {
        assert_eq!(cfg(&format!(r#"{{"a": {entry}}}"#)), Ok(vec![kind]), "{entry}");
    }
    assert_eq!(LoginKind::GoogleToken.lifetime(), Some(3600));
    assert_eq!(LoginKind::Other.lifetime(), None);
}

#[test]
fn one_fault_is_a_fault_of_the_whole() {
    for (text, fault) in [
        ("", ConfigFault::Truncated),
        (r#"{"auths": {"#, ConfigFault::Truncated),
        ("{\n \"auths\": x}", ConfigFault::Syntax { line: 2, column: 11 }),
        ("[]", ConfigFault::NotAnObject("the docker config")),
        (r#"{"auths": []}"#, ConfigFault::NotAnObject("auths")),
        (r#"{"auths": "x"}"#, ConfigFault::NotAnObject("auths")),
        (r#"{"auths": {}, "httpheaders": {"a": 1}}"#, ConfigFault::Headers),
        (r#"{"auths": {"a": {}, "b": "x"}}"#, ConfigFault::Entry(2)),
        (r#"{"auths": {"a": {}, "b": {"username": 5}}}"#, ConfigFault::Entry(2)),
        (r#"{"auths": {"a": {"auth": "cGFudHM="}}}"#, ConfigFault::Auth(1)),
    ] {
        assert_eq!(json(text).err(), Some(fault), "{text}");
    }
}

#[test]
fn formats_are_those_of_the_secrets_type() {
    for (secret_type, key) in [
        ("kubernetes.io/dockerconfigjson", Some(".dockerconfigjson")),
        ("kubernetes.io/dockercfg", Some(".dockercfg")),
        ("Opaque", None),
    ] {
        assert_eq!(ConfigFormat::of_type(secret_type).map(ConfigFormat::key), key);
    }
}

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer_that_quotes_nothing(text in r#"(\{"auths":\{"[a-z.]{1,5}":\{"auth":)?[{}\[\]":,a-zA-Z0-9=\\]{0,40}"#) {
        if let Err(fault) = read(ConfigFormat::DockerConfigJson, text.as_bytes()) {
            let said = fault.to_string();
            prop_assert!(!text.as_bytes().windows(16).any(|run| said.as_bytes().windows(16).any(|part| part == run)));
        }
    }

    #[test]
    fn what_regcred_renders_is_read(password in any::<String>()) {
        use crate::credential::{RegistryKey, testing::one_login};
        let keys = ["gcr.io", "gcr.io/darwin/"].map(|text| RegistryKey::parse(text).unwrap());
        let config = one_login(&keys, &password).unwrap();
        let logins = read(ConfigFormat::DockerConfigJson, config.expose_bytes()).unwrap();
        let names: Vec<&str> = logins.iter().map(|login| login.name.as_str()).collect();
        prop_assert_eq!(names, ["gcr.io", "gcr.io/darwin/"]);
        prop_assert!(logins.iter().all(|login| login.kind == LoginKind::Other));
    }
}
