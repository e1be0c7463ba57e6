//! Which docker configs are taken, and the sentence for each that isn't.

use std::collections::BTreeMap;

use base64::{Engine, prelude::BASE64_STANDARD};
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{CredentialSource, RegistryCredentialSpec, StallCause},
    credential::{
        AllowedRegistries, Resolved, resolve,
        source::Marks,
        testing::{KEY_A, logins_of, revision_key, secret, spec},
    },
};

const JSON: &str = "kubernetes.io/dockerconfigjson";
const OLD: &str = "kubernetes.io/dockercfg";

/// Now, for all of these tests: 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;

fn docker(registries: &[&str], key: Option<&str>) -> RegistryCredentialSpec {
    let secret_ref = DockerConfigRef { namespace: None, name: "logins".to_owned(), key: key.map(str::to_owned) };
    let credential =
        CredentialSource { docker_config: Some(DockerConfigSource { secret_ref }), ..CredentialSource::default() };
    RegistryCredentialSpec { credential: Some(credential), ..spec(registries) }
}

fn marked(registries: &str) -> Marks {
    Marks { registries: Some(registries.to_owned()), usage: None }
}

fn try_all(spec: &RegistryCredentialSpec, source: &SourceSecret) -> Result<Resolved, Stalled> {
    let now = Timestamp::from_second(NOW).unwrap();
    resolve("darwin".into(), spec, source, &AllowedRegistries::default(), &revision_key(), now)
}

fn try_config(config: &str) -> Result<Resolved, Stalled> {
    try_all(&docker(&[], None), &secret("logins", &[(".dockerconfigjson", config.as_bytes())], JSON, Marks::default()))
}

/// The logins of each entry of what is rendered.
fn rendered(resolved: &Resolved) -> BTreeMap<String, String> {
    logins_of(&resolved.pull_secret)
}

fn auth(login: &str) -> String {
    BASE64_STANDARD.encode(login)
}

fn pairs(entries: &[(&str, &str)]) -> BTreeMap<String, String> {
    entries.iter().map(|(name, login)| ((*name).to_owned(), (*login).to_owned())).collect()
}

#[test]
fn each_registry_keeps_its_own_login() {
    let config = json!({
        "auths": {
            "https://index.docker.io/v1/": {"auth": auth("hub:one"), "email": "x@example.com"},
            "ghcr.io": {"username": "gh", "password": "two:with:colons"},
            "https://registry.example.com:5000/v2/": {"username": "robot$x", "password": "three", "auth": auth("robot$x:three")},
            "quay.io/team/": {"auth": auth("quay:four").trim_end_matches('=')},
        },
        "HttpHeaders": {"X": "y"},
        "credHelpers": {"gcr.io": "gcloud"},
    });
    let resolved = try_config(&config.to_string()).unwrap();
    assert_eq!(
        rendered(&resolved),
        pairs(&[
            ("https://index.docker.io/v1/", "hub:one"),
            ("ghcr.io", "gh:two:with:colons"),
            ("registry.example.com:5000", "robot$x:three"),
            ("quay.io/team/", "quay:four"),
        ])
    );
    assert_eq!(resolved.identity.principal, "4 logins");
    assert_eq!(resolved.identity.detail, "docker.io, ghcr.io, quay.io/team/, registry.example.com:5000");
    assert_eq!((resolved.notes.len(), resolved.pull_secret.expires_at()), (0, None));
}

#[test]
fn the_old_format_and_a_named_key_are_read_too() {
    let entries = json!({"gcr.io": {"auth": auth("a:b")}}).to_string();
    let whole = json!({"auths": {"gcr.io": {"auth": auth("a:b")}}}).to_string();
    let wanted = pairs(&[("gcr.io", "a:b")]);
    let old = secret("logins", &[(".dockercfg", entries.as_bytes())], OLD, Marks::default());
    assert_eq!(rendered(&try_all(&docker(&[], None), &old).unwrap()), wanted);
    let named = secret("logins", &[("config.json", whole.as_bytes())], "Opaque", marked("gcr.io"));
    assert_eq!(rendered(&try_all(&docker(&[], Some("config.json")), &named).unwrap()), wanted);
}

#[test]
fn a_google_key_is_a_password_like_another() {
    let config = json!({"auths": {"gcr.io": {"username": "_json_key", "password": KEY_A}}}).to_string();
    assert_eq!(rendered(&try_config(&config).unwrap())["gcr.io"], format!("_json_key:{KEY_A}"));
}

#[test]
fn registries_narrow() {
    let config = json!({"auths": {
        "docker.io": {"auth": auth("hub:one")}, "ghcr.io": {"auth": auth("gh:two")}, "quay.io": {"auth": auth("q:three")},
    }})
    .to_string();
    let source = secret("logins", &[(".dockerconfigjson", config.as_bytes())], JSON, Marks::default());
    let some = try_all(&docker(&["ghcr.io", "registry-1.docker.io", "quay.io/team/"], None), &source).unwrap();
    let wanted = [("ghcr.io", "gh:two"), ("https://index.docker.io/v1/", "hub:one"), ("quay.io/team/", "q:three")];
    assert_eq!(rendered(&some), pairs(&wanted));
    let absent = try_all(&docker(&["ghcr.io", "gcr.io"], None), &source).unwrap_err();
    assert_eq!((absent.reason, absent.cause()), (Reason::RegistryNotInSource, StallCause::Source));
    assert_eq!(
        absent.message,
        "Secret regcred-system/logins has no login for gcr.io, which spec.registries lists; it has: docker.io, ghcr.io, \
         quay.io; add that login to the Secret, or take gcr.io out of spec.registries"
    );
}

#[test]
fn an_annotation_narrows_what_its_owner_has_put_there() {
    let config =
        json!({"auths": {"ghcr.io": {"auth": auth("gh:two")}, "quay.io": {"auth": auth("q:three")}}}).to_string();
    let data: [(&str, &[u8]); 1] = [(".dockerconfigjson", config.as_bytes())];
    let source = |mark: &str| secret("logins", &data, JSON, marked(mark));
    let one = try_all(&docker(&[], None), &source("ghcr.io/team/, gcr.io")).unwrap();
    assert_eq!(rendered(&one), pairs(&[("ghcr.io/team/", "gh:two")]));
    let rest = try_all(&docker(&["ghcr.io", "quay.io"], None), &source("ghcr.io")).unwrap();
    assert_eq!(rendered(&rest), pairs(&[("ghcr.io", "gh:two")]));
    assert_eq!(
        rest.notes,
        ["the annotation regcred.dev/registries of Secret regcred-system/logins doesn't permit quay.io, which \
          spec.registries lists, so no login for it is rolled out; its owner permits it with: kubectl -n regcred-system \
          annotate secret logins --overwrite regcred.dev/registries=ghcr.io,quay.io"]
    );
    for (spec, mark) in
        [(docker(&[], None), "gcr.io"), (docker(&[], None), ""), (docker(&["quay.io"], None), "ghcr.io")]
    {
        let revoked = try_all(&spec, &source(mark)).unwrap_err();
        assert_eq!((revoked.reason, revoked.cause()), (Reason::Revoked, StallCause::Withdrawn), "{mark}");
    }
}

#[test]
fn a_token_tells_when_it_expires() {
    let ecr = |end: i64| BASE64_STANDARD.encode(json!({"payload": "x", "expiration": end}).to_string());
    let config = |end: i64| {
        json!({"auths": {
            "1.dkr.ecr.eu-west-1.amazonaws.com": {"username": "AWS", "password": ecr(end)},
            "2.dkr.ecr.eu-west-1.amazonaws.com": {"username": "AWS", "password": ecr(end + 60)},
        }})
        .to_string()
    };
    let valid = try_config(&config(NOW + 1)).unwrap();
    assert_eq!(valid.pull_secret.expires_at(), Timestamp::from_second(NOW + 1).ok());
    assert_eq!(
        valid.notes,
        ["the login for 1.dkr.ecr.eu-west-1.amazonaws.com in Secret regcred-system/logins is a token that expires at \
          2027-01-15T08:00:01Z; store a new one before then"]
    );
    let expired = try_config(&config(NOW)).unwrap_err();
    assert_eq!((expired.reason, expired.cause()), (Reason::TokenExpired, StallCause::Source));
    assert_eq!(expired.expired_at, Timestamp::from_second(NOW).ok());
    assert!(
        expired.message.contains("1.dkr.ecr.eu-west-1.amazonaws.com is a token that expired at 2027-01-15T08:00:00Z")
    );
}

/// What nobody may read in a status or a log.
const MARKERS: [&str; 3] = ["s3cr3tMarker", "tokenMarker", "keyMarker"];

/// A docker config with one entry.
fn one(name: &str, entry: Value) -> String {
    json!({"auths": {name: entry}}).to_string()
}

/// Each is a `.dockerconfigjson`, with what the sentence says of it.
fn malformed() -> Vec<(String, &'static [&'static str])> {
    let secret = MARKERS[0];
    let both = auth(&format!("puller:{secret}"));
    let whole = one("ghcr.io", json!({"auth": both}));
    let entry = |entry: Value| one("ghcr.io", entry);
    let bare = |text: &str| text.replace("MARK", secret);
    vec![
        (String::new(), &["it is empty", "docker login"][..]),
        (" \n".to_owned(), &["it is empty"]),
        (secret.to_owned(), &["isn't a JSON object", "contents of config.json"]),
        (format!("\"{secret}\""), &["isn't a JSON object"]),
        ("[]".to_owned(), &["isn't a JSON object"]),
        (format!("/home/me/.docker/config.json {secret}"), &["not its path"]),
        (auth(&whole), &["base64 once too often", "stringData"]),
        (auth(&auth(&whole)), &["base64 once too often"]),
        (format!("\u{FEFF}{whole}"), &["byte order mark"]),
        (whole[..whole.len() - 3].to_owned(), &["ends in the middle", "store the whole"]),
        (bare(r#"{"auths": {"ghcr.io": {"auth": "MARK",}}}"#), &["isn't valid JSON at line 1, column"]),
        (bare("{\"auths\": {\n'ghcr.io': 'MARK'}}"), &["line 2, column 1"]),
        (format!("{whole} {whole}"), &["isn't valid JSON"]),
        (bare("-----BEGIN PRIVATE KEY-----\nMARK"), &["PEM"]),
        ("{}".to_owned(), &["has no auths", "docker login writes"]),
        (json!({"username": "puller", "password": secret}).to_string(), &["has no auths"]),
        (json!({"auths": null}).to_string(), &["no registry in it"]),
        (json!({"auths": {}}).to_string(), &["no registry in it", "docker login"]),
        (json!({"auths": []}).to_string(), &["auths isn't an object"]),
        (json!({"auths": secret}).to_string(), &["auths isn't an object"]),
        (json!({"ghcr.io": {"auth": both}}).to_string(), &["old .dockercfg", "kubernetes.io/dockercfg"]),
        (json!({"auths": {}, "credsStore": "desktop"}).to_string(), &["credsStore or credHelpers", "DOCKER_CONFIG"]),
        (json!({"credHelpers": {"gcr.io": "gcloud"}}).to_string(), &["credsStore or credHelpers"]),
        (json!({"auths": {"ghcr.io": {}}, "credsStore": "osxkeychain"}).to_string(), &["in a helper on the machine"]),
        (
            json!({"auths": {"ghcr.io": {}, "quay.io": {"auth": both}}, "credsStore": "pass"}).to_string(),
            &["entry 1 (ghcr.io) has no login"],
        ),
        (entry(json!({})), &["entry 1 (ghcr.io) has no login", "log in"]),
        (entry(json!({"email": secret})), &["entry 1 (ghcr.io) has no login"]),
        (entry(json!({"auth": "", "username": null})), &["has no login"]),
        (entry(json!({"identitytoken": secret})), &["identitytoken", "the kubelet passes over", "access token"]),
        (
            entry(json!({"auth": auth("00000000-0000-0000-0000-000000000000:"), "identitytoken": secret})),
            &["entry 1 (ghcr.io)", "identitytoken"],
        ),
        (entry(json!({"registrytoken": secret})), &["registrytoken", "the kubelet passes over"]),
        (entry(json!(secret)), &["entry 1 (ghcr.io) isn't an object"]),
        (entry(json!([secret])), &["isn't an object"]),
        (entry(json!({"auth": {"x": secret}})), &["auth that isn't a string", "quotes"]),
        (entry(json!({"username": "puller", "password": 12345678})), &["password that isn't a string"]),
        (entry(json!({"auth": secret})), &["auth that isn't the base64 of UTF-8 text", "username and password without auth"]),
        (entry(json!({"auth": format!("%%{secret}%%")})), &["auth that isn't base64"]),
        (entry(json!({"auth": auth(secret)})), &["auth without a colon", "encoded once"]),
        (entry(json!({"auth": auth(&both)})), &["auth without a colon"]),
        (entry(json!({"auth": BASE64_STANDARD.encode(b"puller:\xFF\xFE")})), &["isn't the base64 of UTF-8 text"]),
        (entry(json!({"auth": auth(&format!("puller:{secret}\n"))})), &["control character", "password", "printf"]),
        (entry(json!({"username": "pul\tler", "password": secret})), &["control character", "username"]),
        (entry(json!({"username": "puller", "password": format!("{secret}\0x")})), &["control character"]),
        (entry(json!({"auth": auth(&format!(":{secret}"))})), &["without a user name", "any word"]),
        (entry(json!({"password": secret})), &["without a user name"]),
        (entry(json!({"username": secret})), &["without a password"]),
        (entry(json!({"auth": auth(&format!("{secret}:"))})), &["without a password"]),
        (entry(json!({"username": format!("puller:{secret}"), "password": "x"})), &["a colon in its user name"]),
        (
            entry(json!({"auth": both, "username": "other", "password": secret})),
            &["auth that says another username", "the kubelet takes auth"],
        ),
        (entry(json!({"auth": both, "password": "tokenMarker"})), &["auth that says another password"]),
        (entry(json!({"username": "puller", "password": "x".repeat(70_000)})), &["70000 bytes", "65536"]),
        (bare(r#"{"auths": {"ghcr.io": {"password": "\ud83dMARK", "username": "x"}}}"#), &["\\u escape"]),
        (
            json!({"auths": {"docker.io": {"auth": both}, "index.docker.io": {"auth": both}}}).to_string(),
            &["entry 2 (docker.io) and entry 1 stand for the same registry", "leave one"],
        ),
        (
            json!({"auths": {"gcr.io": {"auth": both}, "https://gcr.io/": {"auth": both}}}).to_string(),
            &["entry 2 (gcr.io) and entry 1"],
        ),
        (
            json!({"auths": {"gcr.io/v2/": {"auth": both}, "http://gcr.io": {"auth": both}}}).to_string(),
            &["stand for the same registry"],
        ),
        (
            bare(r#"{"auths": {"ghcr.io": {"auth": "YTpi"}, "ghcr.io": {"auth": "MARK"}}}"#),
            &["auths has the same name twice", "write it once"],
        ),
        (bare(r#"{"auths": {}, "auths": {"ghcr.io": {"auth": "MARK"}}}"#), &["the docker config has the same name twice"]),
        (bare(r#"{"auths": {}, "Auths": {"ghcr.io": {"auth": "MARK"}}}"#), &["the same name twice"]),
        (
            bare(r#"{"auths": {"ghcr.io": {"password": "x", "Password": "MARK"}}}"#),
            &["entry 1 (ghcr.io) has the same name twice"],
        ),
        (one("*.io", json!({"auth": both})), &["entry 1 isn't named by a registry", "wildcard in the last two labels"]),
        (one("*.*.com", json!({"auth": both})), &["wildcard in the last two labels"]),
        (one("*", json!({"auth": both})), &["entry 1 isn't named by a registry", "wildcard"]),
        (one("", json!({"auth": both})), &["entry 1 isn't named by a registry: it is empty"]),
        (one("my-team", json!({"auth": both})), &["no dot and no port"]),
        (one(&format!("puller:{secret}@ghcr.io"), json!({"auth": "YTpi"})), &["has an @"]),
        (one(secret, json!({"auth": "YTpi"})), &["entry 1 isn't named by a registry", "upper case"]),
        (one("ghcr.io:port", json!({"auth": both})), &["port isn't a number"]),
        (one("ghcr.io/Team", json!({"auth": both})), &["upper case"]),
        (one("ghcr.io/a?x=1", json!({"auth": both})), &["path has a character"]),
        (one("ftp://ghcr.io", json!({"auth": both})), &["has a scheme"]),
        (KEY_A.to_owned(), &["a Google service-account key file, not a docker config", "gcpServiceAccountKey"]),
        (format!("{}{whole}", " ".repeat(600_000)), &["600", "524288", "store only the logins"]),
        (
            json!({"auths": (0..257).map(|n| (format!("r{n}.example.com"), json!({"auth": both}))).collect::<serde_json::Map<_, _>>()})
                .to_string(),
            &["257 registries", "256"],
        ),
    ]
}

#[test]
fn each_malformed_config_has_its_sentence_and_none_quotes_it() {
    let cases = malformed();
    assert!(cases.len() > 60, "{}", cases.len());
    for (config, fragments) in cases {
        let shown = &config[..config.len().min(200)];
        let invalid = try_config(&config).unwrap_err();
        assert_eq!((invalid.reason, invalid.cause()), (Reason::InvalidCredential, StallCause::Source), "{shown}");
        assert_eq!(invalid.key.as_deref(), Some(".dockerconfigjson"));
        let message = &invalid.message;
        assert!(message.starts_with("Secret regcred-system/logins, key .dockerconfigjson: "), "{message}");
        for fragment in fragments {
            assert!(message.contains(fragment), "{shown}\n{message}\n{fragment}");
        }
        let quoted = |marker: &&str| message.contains(*marker) || message.contains(&auth(marker)[..12]);
        assert!(!MARKERS.iter().any(quoted), "{message}");
    }
}

#[test]
fn what_is_no_text_is_refused() {
    let utf16: Vec<u8> = r#"{"auths"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    for (bytes, fragment) in [
        (&utf16[..], "UTF-16"),
        (b"{\"auths\": \"\xFF\"}", "isn't UTF-8 text from byte 11 on"),
        (b"\x30\x82\x01\x02", "it is binary"),
    ] {
        let source = secret("logins", &[(".dockerconfigjson", bytes)], JSON, Marks::default());
        let message = try_all(&docker(&[], None), &source).unwrap_err().message;
        assert!(message.contains(fragment), "{message}");
    }
}

#[test]
fn what_the_old_key_may_not_hold() {
    for (config, fragment) in [
        (json!({"auths": {"ghcr.io": {"auth": "YTpi"}}}).to_string(), "kubernetes.io/dockerconfigjson"),
        (json!({"credsStore": "desktop"}).to_string(), "in a helper"),
        ("{}".to_owned(), "no registry in it"),
        (KEY_A.to_owned(), "a Google service-account key file"),
    ] {
        let source = secret("logins", &[(".dockercfg", config.as_bytes())], OLD, Marks::default());
        let message = try_all(&docker(&[], None), &source).unwrap_err().message;
        assert!(message.contains(fragment), "{message}");
    }
}

#[test]
fn only_secrets_that_are_meant_for_it_are_read() {
    let config = one("ghcr.io", json!({"auth": auth("puller:s3cr3tMarker")}));
    let data: [(&str, &[u8]); 2] = [("config.json", config.as_bytes()), (".dockerconfigjson", config.as_bytes())];
    let mint = || Marks { registries: Some("ghcr.io".to_owned()), usage: Some("Mint".to_owned()) };
    let other = || Marks { registries: Some("ghcr.io".to_owned()), usage: Some("mint".to_owned()) };
    let named = docker(&[], Some("config.json"));
    for (spec, secret_type, marks, reason, cause, fragment) in [
        (&named, "kubernetes.io/tls", marked("ghcr.io"), Reason::SourceTypeNotAllowed, StallCause::Source, "of a type"),
        (
            &named,
            "kubernetes.io/service-account-token",
            marked("ghcr.io"),
            Reason::SourceTypeNotAllowed,
            StallCause::Source,
            "of a type",
        ),
        (
            &named,
            "kubernetes.io/basic-auth",
            marked("ghcr.io"),
            Reason::SourceTypeNotAllowed,
            StallCause::Source,
            "of a type",
        ),
        (
            &named,
            "helm.sh/release.v1",
            marked("ghcr.io"),
            Reason::SourceTypeNotAllowed,
            StallCause::Source,
            "of a type",
        ),
        (
            &named,
            "regcred.dev/issued",
            marked("ghcr.io"),
            Reason::SourceTypeNotAllowed,
            StallCause::Source,
            "itself has made",
        ),
        (
            &named,
            "regcred.dev/anything",
            marked("ghcr.io"),
            Reason::SourceTypeNotAllowed,
            StallCause::Source,
            "itself has made",
        ),
        (
            &named,
            "Opaque",
            Marks::default(),
            Reason::SourceNotMarked,
            StallCause::Source,
            "kubectl -n regcred-system annotate secret logins --overwrite regcred.dev/registries=registry.example.com",
        ),
        (
            &docker(&["ghcr.io", "*.gcr.io"], Some("config.json")),
            "Opaque",
            Marks::default(),
            Reason::SourceNotMarked,
            StallCause::Source,
            "regcred.dev/registries='*.gcr.io,ghcr.io'",
        ),
        (&named, "", Marks::default(), Reason::SourceNotMarked, StallCause::Source, "no annotation"),
        (&named, "Opaque", mint(), Reason::Revoked, StallCause::Withdrawn, "only for minting"),
        (&docker(&[], None), JSON, mint(), Reason::Revoked, StallCause::Withdrawn, "only for minting"),
        (&docker(&[], None), JSON, other(), Reason::SourceNotMarked, StallCause::Source, "doesn't know"),
        (
            &named,
            "Opaque",
            marked("https://"),
            Reason::InvalidCredential,
            StallCause::Source,
            "entry 1 isn't a registry",
        ),
        (
            &named,
            "Opaque",
            marked("ghcr.io, puller:s3cr3tMarker@ghcr.io"),
            Reason::InvalidCredential,
            StallCause::Source,
            "entry 2 isn't a registry: it has an @",
        ),
        (
            &docker(&[], None),
            "Opaque",
            marked("ghcr.io"),
            Reason::InvalidSpec,
            StallCause::Spec,
            "its key .dockerconfigjson holds one",
        ),
        (
            &docker(&[], Some("config")),
            "Opaque",
            marked("ghcr.io"),
            Reason::SourceKeyNotFound,
            StallCause::Source,
            "its key .dockerconfigjson holds one: write key: .dockerconfigjson",
        ),
    ] {
        let invalid = try_all(spec, &secret("logins", &data, secret_type, marks)).unwrap_err();
        assert_eq!((invalid.reason, invalid.cause()), (reason, cause), "{secret_type} {invalid}");
        assert!(invalid.message.contains(fragment), "{invalid}");
        assert!(!invalid.message.contains("s3cr3tMarker"), "{invalid}");
    }
}

#[test]
fn many_marks_are_refused() {
    let mark: Vec<String> = (0..65).map(|n| format!("r{n}.example.com")).collect();
    let source = secret("logins", &[("c", b"{}")], "Opaque", marked(&mark.join(",")));
    let invalid = try_all(&docker(&[], Some("c")), &source).unwrap_err();
    assert!(invalid.message.ends_with("it has more than 64 registries; write fewer"), "{invalid}");
}

#[test]
fn the_command_makes_such_a_secret() {
    let spec = docker(&[], None);
    assert_eq!(
        crate::credential::kinds::of(spec.credential.as_ref().unwrap()).unwrap().create_command("regcred-system"),
        "kubectl -n regcred-system create secret docker-registry logins --docker-server=registry.example.com \
         --docker-username=NAME --docker-password=TOKEN"
    );
}
