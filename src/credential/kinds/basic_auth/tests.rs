//! Which user names and passwords are taken, and the sentence for each that isn't.

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

/// Now, for all of these tests: 2027-01-15T08:00:00Z.
const NOW: i64 = 1_800_000_000;

fn basic(registries: &[&str]) -> RegistryCredentialSpec {
    with(registries, |_| ())
}

fn with(registries: &[&str], change: impl FnOnce(&mut BasicAuthSource)) -> RegistryCredentialSpec {
    let mut source = BasicAuthSource {
        secret_ref: SecretRef { namespace: None, name: "login".to_owned() },
        username: None,
        username_key: None,
        password_key: "password".to_owned(),
    };
    change(&mut source);
    let credential = CredentialSource { basic_auth: Some(source), ..CredentialSource::default() };
    RegistryCredentialSpec { credential: Some(credential), ..spec(registries) }
}

fn marked(registries: &str) -> Marks {
    Marks { registries: Some(registries.to_owned()), usage: None }
}

fn try_all(spec: &RegistryCredentialSpec, source: &SourceSecret) -> Result<Resolved, Stalled> {
    let now = Timestamp::from_second(NOW).unwrap();
    let allowed = AllowedRegistries::parse("quay.io,registry.example.com").unwrap();
    resolve("darwin".into(), spec, source, &allowed, &revision_key(), now)
}

fn login(username: &[u8], password: &[u8], mark: &str) -> SourceSecret {
    secret("login", &[("username", username), ("password", password)], "kubernetes.io/basic-auth", marked(mark))
}

/// Name and login of each entry of what is rendered.
fn rendered(resolved: &Resolved) -> Vec<(String, String, String)> {
    let split = |(name, login): (String, String)| {
        let (username, password) = login.split_once(':').unwrap();
        (name, username.to_owned(), password.to_owned())
    };
    logins_of(&resolved.pull_secret).into_iter().map(split).collect()
}

fn names(resolved: &Resolved) -> Vec<String> {
    rendered(resolved).into_iter().map(|(name, ..)| name).collect()
}

#[test]
fn a_login_goes_where_its_owner_has_said() {
    let source = login(b"robot$puller", b"to:ken", "ghcr.io, registry.example.com:5000/team/,");
    let resolved = try_all(&basic(&[]), &source).unwrap();
    let entry = |name: &str| (name.to_owned(), "robot$puller".to_owned(), "to:ken".to_owned());
    assert_eq!(rendered(&resolved), [entry("ghcr.io"), entry("registry.example.com:5000/team/")]);
    assert_eq!(resolved.identity.principal, "robot$puller");
    assert_eq!(resolved.identity.detail, "ghcr.io, registry.example.com:5000/team/");
    assert!(resolved.notes.is_empty());
    assert_eq!(names(&try_all(&basic(&["ghcr.io/team/"]), &source).unwrap()), ["ghcr.io/team/"]);
}

/// <https://github.com/docker/cli/blob/v27.0.0/cli/registry/client/endpoint.go>, and what every client looks up.
#[test]
fn docker_hub_has_one_name_in_a_docker_config() {
    for name in ["docker.io", "index.docker.io", "registry-1.docker.io", "registry.hub.docker.com", "hub.docker.com"] {
        let source = login(b"a", b"b", "docker.io");
        let hub = ["https://index.docker.io/v1/"];
        assert_eq!(names(&try_all(&basic(&[name]), &source).unwrap()), hub, "{name}");
        assert_eq!(names(&try_all(&basic(&[]), &login(b"a", b"b", name)).unwrap()), hub, "{name}");
    }
    let source = login(b"a", b"b", "https://index.docker.io/v1/");
    assert_eq!(names(&try_all(&basic(&["docker.io/team/"]), &source).unwrap()), ["docker.io/team/"]);
}

#[test]
fn one_line_break_at_the_end_is_left_out_and_said() {
    for end in ["\n", "\r\n"] {
        let source = login(format!("puller{end}").as_bytes(), format!("token{end}").as_bytes(), "ghcr.io");
        let resolved = try_all(&basic(&[]), &source).unwrap();
        assert_eq!(rendered(&resolved), [("ghcr.io".to_owned(), "puller".to_owned(), "token".to_owned())]);
        assert_eq!(
            resolved.notes,
            ["username", "password"].map(|key| format!(
                "Secret regcred-system/login, key {key} ends with a line break, which was left out"
            ))
        );
    }
}

#[test]
fn the_user_name_may_stand_in_the_spec() {
    let source = secret("login", &[("token", b"t0ken")], "Opaque", marked("ghcr.io"));
    let spec = with(&[], |source| {
        source.username = Some("puller".to_owned());
        source.password_key = "token".to_owned();
    });
    assert_eq!(
        rendered(&try_all(&spec, &source).unwrap()),
        [("ghcr.io".to_owned(), "puller".to_owned(), "t0ken".to_owned())]
    );
    let named = secret("login", &[("user", b"puller"), ("password", b"t")], "Opaque", marked("ghcr.io"));
    let spec = with(&[], |source| source.username_key = Some("user".to_owned()));
    assert_eq!(
        rendered(&try_all(&spec, &named).unwrap()),
        [("ghcr.io".to_owned(), "puller".to_owned(), "t".to_owned())]
    );
}

#[test]
fn a_token_of_artifactory_is_not_taken_for_a_login() {
    let token = BASE64_STANDARD.encode("reftkn:01:1900000000:s3cr3tMarker");
    assert!(try_all(&basic(&[]), &login(b"puller", token.as_bytes(), "ghcr.io")).is_ok());
}

#[test]
fn a_host_that_is_withdrawn_goes_and_the_others_stay() {
    let asked = basic(&["ghcr.io", "quay.io"]);
    let both = try_all(&asked, &login(b"a", b"b", "ghcr.io,quay.io")).unwrap();
    assert_eq!((names(&both).len(), both.notes.len()), (2, 0));
    let one = try_all(&asked, &login(b"a", b"b", "ghcr.io")).unwrap();
    assert_eq!(names(&one), ["ghcr.io"]);
    assert_eq!(
        one.notes,
        ["the annotation regcred.dev/registries of Secret regcred-system/login doesn't permit quay.io, which \
          spec.registries lists, so no login for it is rolled out; its owner permits it with: kubectl -n regcred-system \
          annotate secret login --overwrite regcred.dev/registries=ghcr.io,quay.io"],
        "though --allowed-registries has quay.io"
    );
    for mark in ["gcr.io", "", " , "] {
        let none = try_all(&asked, &login(b"a", b"b", mark)).unwrap_err();
        assert_eq!((none.reason, none.cause()), (Reason::Revoked, StallCause::Withdrawn), "{mark}");
        assert!(none.message.contains("what was rolled out is removed"), "{none}");
        assert!(none.message.contains("ghcr.io,quay.io"), "{none}");
    }
}

#[test]
fn a_secret_that_its_owner_has_not_marked_is_not_used() {
    let data: [(&str, &[u8]); 2] = [("username", b"s3cr3tMarker"), ("password", b"s3cr3tMarker")];
    for secret_type in ["kubernetes.io/basic-auth", "Opaque", ""] {
        let source = secret("login", &data, secret_type, Marks::default());
        let invalid = try_all(&basic(&["registry.example.com"]), &source).unwrap_err();
        assert_eq!((invalid.reason, invalid.cause()), (Reason::SourceNotMarked, StallCause::Source));
        assert_eq!(
            invalid.message,
            "Secret regcred-system/login has no annotation regcred.dev/registries, by which its owner says which \
             registries its login may be sent to, so nothing of it is rolled out, and what was rolled out before stays; \
             its owner sets it with: kubectl -n regcred-system annotate secret login --overwrite \
             regcred.dev/registries=registry.example.com"
        );
    }
    for secret_type in [
        "kubernetes.io/tls",
        "kubernetes.io/ssh-auth",
        "kubernetes.io/service-account-token",
        "kubernetes.io/dockerconfigjson",
        "kubernetes.io/dockercfg",
        "bootstrap.kubernetes.io/token",
        "helm.sh/release.v1",
        "regcred.dev/issued",
    ] {
        let source = secret("login", &data, secret_type, marked("ghcr.io"));
        assert_eq!(try_all(&basic(&[]), &source).unwrap_err().reason, Reason::SourceTypeNotAllowed, "{secret_type}");
    }
    let mint = Marks { usage: Some("Mint".to_owned()), ..marked("ghcr.io") };
    let invalid = try_all(&basic(&[]), &secret("login", &data, "Opaque", mint)).unwrap_err();
    assert_eq!((invalid.reason, invalid.cause()), (Reason::Revoked, StallCause::Withdrawn));
}

#[test]
fn each_malformed_login_has_its_sentence_and_none_quotes_it() {
    const SECRET: &str = "s3cr3tMarker";
    let config = json!({"auths": {"ghcr.io": {"auth": BASE64_STANDARD.encode("a:s3cr3tMarker")}}}).to_string();
    let good = || (b"puller".to_vec(), SECRET.as_bytes().to_vec());
    let password = |password: &str| (b"puller".to_vec(), password.as_bytes().to_vec());
    let username = |username: &str| (username.as_bytes().to_vec(), SECRET.as_bytes().to_vec());
    assert!(try_all(&basic(&[]), &login(&good().0, &good().1, "ghcr.io")).is_ok());
    let utf16: Vec<u8> = [0xFF, 0xFE].into_iter().chain(SECRET.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    type Login = (Vec<u8>, Vec<u8>);
    let cases: Vec<(Login, &str, &[&str])> = vec![
        (password(""), "password", &["it is empty", "password or token"]),
        (password("\n"), "password", &["it is empty"]),
        (password("s3cr3tMarker\n\n"), "password", &["control character", "printf"]),
        (password("s3cr3tMarker\r"), "password", &["control character"]),
        (password("s3cr3t\tMarker"), "password", &["control character"]),
        (password("s3cr3tMarker\0"), "password", &["control character"]),
        (password("\u{FEFF}s3cr3tMarker"), "password", &["byte order mark"]),
        ((b"puller".to_vec(), utf16), "password", &["UTF-16"]),
        ((b"puller".to_vec(), b"s3cr3tMarker\xFF".to_vec()), "password", &["isn't UTF-8 text from byte 12 on"]),
        (password(&"x".repeat(65_537)), "password", &["65537 bytes", "65536"]),
        (password(&config), "password", &["a docker config, not a password", "spec.credential.dockerConfig"]),
        (password(r#"{"ghcr.io": {"auth": "czNjcjN0TWFya2Vy"}}"#), "password", &["a docker config, not a password"]),
        (password(&BASE64_STANDARD.encode(&config)), "password", &["a docker config in base64", "dockerConfig"]),
        (password(KEY_A), "password", &["a Google service-account key file", "gcpServiceAccountKey"]),
        (password(&BASE64_STANDARD.encode(KEY_A)), "password", &["key file in base64", "gcpServiceAccountKey"]),
        (
            password(&BASE64_STANDARD.encode("puller:s3cr3tMarker")),
            "password",
            &["base64 of username:password", "store the password alone"],
        ),
        (username(""), "username", &["it is empty", "any word"]),
        (username("\n"), "username", &["it is empty"]),
        (username("puller:s3cr3tMarker"), "username", &["colon", "RFC 7617"]),
        (username("s3cr3tMarker\u{7}"), "username", &["control character"]),
        (username("s3cr3tMarker\n\n"), "username", &["control character"]),
        ((b"\xE9s3cr3tMarker".to_vec(), good().1), "username", &["isn't UTF-8 text from byte 0 on"]),
        (username(&"x".repeat(70_000)), "username", &["70000 bytes"]),
    ];
    for ((username, password), key, fragments) in cases {
        let invalid = try_all(&basic(&[]), &login(&username, &password, "ghcr.io")).unwrap_err();
        assert_eq!((invalid.reason, invalid.cause()), (Reason::InvalidCredential, StallCause::Source), "{invalid}");
        assert_eq!(invalid.key.as_deref(), Some(key));
        let message = &invalid.message;
        assert!(message.starts_with(&format!("Secret regcred-system/login, key {key}: it ")), "{message}");
        for fragment in fragments {
            assert!(message.contains(fragment), "{message}: {fragment}");
        }
        assert!(!message.contains(SECRET) && !message.contains("czNjcjN0"), "{message}");
    }
}

#[test]
fn a_spec_that_an_older_crd_let_pass_is_refused() {
    let source = login(b"puller", b"token", "ghcr.io");
    for (change, fragment) in [
        (
            Box::new(|it: &mut BasicAuthSource| it.username = Some(String::new())) as Box<dyn Fn(&mut BasicAuthSource)>,
            "is empty",
        ),
        (Box::new(|it: &mut BasicAuthSource| it.username = Some("a:s3cr3tMarker".to_owned())), "has a colon"),
        (Box::new(|it: &mut BasicAuthSource| it.username = Some("a\nb".to_owned())), "control character"),
        (
            Box::new(|it: &mut BasicAuthSource| {
                it.username = Some("a".to_owned());
                it.username_key = Some("b".to_owned());
            }),
            "has username and usernameKey",
        ),
    ] {
        let invalid = try_all(&with(&[], change), &source).unwrap_err();
        assert_eq!((invalid.reason, invalid.cause()), (Reason::InvalidSpec, StallCause::Spec), "{invalid}");
        assert!(invalid.message.contains(fragment) && !invalid.message.contains("s3cr3tMarker"), "{invalid}");
    }
}

#[test]
fn a_missing_key_says_where_the_names_may_be() {
    let source = secret("login", &[("token", b"t")], "Opaque", marked("ghcr.io"));
    let invalid = try_all(&basic(&[]), &source).unwrap_err();
    assert_eq!(
        invalid.to_string(),
        "SourceKeyNotFound: Secret regcred-system/login: it has no key username; it has: token; write usernameKey where it \
         is another key than username, or username where the Secret has none"
    );
    let source = secret("login", &[("username", b"t")], "Opaque", marked("ghcr.io"));
    let invalid = try_all(&basic(&[]), &source).unwrap_err();
    assert!(invalid.message.ends_with("it has no key password; it has: username"), "{invalid}");
}

#[test]
fn a_token_tells_when_it_expires() {
    let jwt = |end: i64| {
        let part = |value: Value| base64::prelude::BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
        format!("{}.{}.s3cr3tMarker", part(json!({"alg": "RS256"})), part(json!({"exp": end})))
    };
    let valid = try_all(&basic(&[]), &login(b"a", jwt(NOW + 1).as_bytes(), "ghcr.io")).unwrap();
    assert_eq!(valid.pull_secret.expires_at(), Timestamp::from_second(NOW + 1).ok());
    assert_eq!(
        valid.notes,
        [
            "the password in Secret regcred-system/login is a token that expires at 2027-01-15T08:00:01Z; store a new one \
          before then"
        ]
    );
    let expired = try_all(&basic(&[]), &login(b"a", jwt(NOW).as_bytes(), "ghcr.io")).unwrap_err();
    assert_eq!(expired.expired_at, Timestamp::from_second(NOW).ok());
    assert_eq!(
        expired.to_string(),
        "TokenExpired: Secret regcred-system/login, key password: it is a token that expired at 2027-01-15T08:00:00Z; store \
         one that is valid"
    );
}

#[test]
fn the_command_makes_such_a_secret() {
    let command = |spec: &RegistryCredentialSpec| {
        crate::credential::kinds::of(spec.credential.as_ref().unwrap()).unwrap().create_command("regcred-system")
    };
    let mark =
        "and mark it with kubectl -n regcred-system annotate secret login regcred.dev/registries=registry.example.com";
    let create = "kubectl -n regcred-system create secret generic login";
    assert_eq!(
        command(&basic(&[])),
        format!("{create} --from-literal=username=NAME --from-file=password=FILE, {mark}")
    );
    assert_eq!(
        command(&with(&[], |source| source.username = Some("puller".to_owned()))),
        format!("{create} --from-file=password=FILE, {mark}")
    );
}

#[test]
fn what_a_spec_calls_the_user_name_is_shown_only_where_the_secret_calls_it_so_too() {
    let data: [(&str, &[u8]); 2] = [("username", b"puller"), ("password", b"s3cr3tMarker")];
    let source = secret("login", &data, "Opaque", marked("ghcr.io"));
    let said = |change: &dyn Fn(&mut BasicAuthSource)| {
        try_all(&with(&["ghcr.io"], change), &source).unwrap().identity.principal
    };
    assert_eq!(said(&|_| ()), "puller");
    assert_eq!(said(&|kind| kind.username = Some("other".to_owned())), "other");
    let swapped = |kind: &mut BasicAuthSource| {
        kind.username_key = Some("password".to_owned());
        kind.password_key = "username".to_owned();
    };
    assert_eq!(said(&swapped), "(withheld)");
}
