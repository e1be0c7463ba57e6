//! The whole way from a spec and a source Secret to a pull secret, and every way to fail on it.

use super::{
    testing::{KEY_A, KEY_B, logins_of, revision_key, source, spec},
    *,
};
use crate::api::secret_name;

fn try_resolve(spec: &RegistryCredentialSpec, file: &str) -> Result<Resolved, Stalled> {
    let source = source(&[("key.json", file.as_bytes())]);
    let name = secret_name("darwin", spec.secret_template.name.as_deref());
    resolve(name, spec, &source, &AllowedRegistries::default(), &revision_key(), Timestamp::UNIX_EPOCH)
}

fn fault(spec: &RegistryCredentialSpec, file: &str) -> (Reason, String) {
    let invalid = try_resolve(spec, file).unwrap_err();
    (invalid.reason, invalid.message)
}

#[test]
fn a_key_resolves_to_a_pull_secret() {
    let mut spec = spec(&["gcr.io/darwin/", "eu.gcr.io", "gcr.io/darwin/"]);
    spec.secret_template.labels = [("a".to_owned(), "b".to_owned())].into();
    spec.secret_template.annotations = [("c".to_owned(), "d".to_owned())].into();
    let resolved = try_resolve(&spec, KEY_A).unwrap();
    assert_eq!(resolved.identity.principal, "puller@darwin.iam.gserviceaccount.com");
    assert_eq!(resolved.identity.detail, format!("project darwin, key {}", "1".repeat(40)));
    assert_eq!(
        resolved.registries.iter().map(RegistryKey::as_str).collect::<Vec<_>>(),
        ["eu.gcr.io", "gcr.io/darwin/"]
    );
    assert!(resolved.notes.is_empty());
    let secret = resolved.pull_secret;
    assert_eq!(secret.name().as_str(), "darwin");
    assert_eq!(secret.labels(), &spec.secret_template.labels);
    assert_eq!(secret.annotations(), &spec.secret_template.annotations);
    assert_eq!(secret.expires_at(), None);
    let login = format!("_json_key:{KEY_A}");
    let wanted =
        [("eu.gcr.io", &login), ("gcr.io/darwin/", &login)].map(|(name, login)| (name.to_owned(), login.clone()));
    assert_eq!(logins_of(&secret), wanted.into());
}

#[test]
fn the_revision_follows_the_key_and_not_the_order_of_registries() {
    let revision = |registries: &[&str], file| {
        let resolved = try_resolve(&spec(registries), file).unwrap();
        resolved.pull_secret.revision().clone()
    };
    let first = revision(&["gcr.io", "eu.gcr.io"], KEY_A);
    assert_eq!(first, revision(&["eu.gcr.io", "gcr.io"], KEY_A));
    assert_ne!(first, revision(&["gcr.io", "eu.gcr.io"], KEY_B));
    assert_ne!(first, revision(&["gcr.io"], KEY_A));
}

#[test]
fn the_template_names_the_secret() {
    let mut spec = spec(&["gcr.io"]);
    let longest = "a".repeat(63);
    for name in ["darwin-secret", "a.b", "0", &longest] {
        spec.secret_template.name = Some(name.to_owned());
        let resolved = try_resolve(&spec, KEY_A).unwrap();
        assert_eq!(resolved.pull_secret.name().as_str(), name);
    }
    let too_long = "a".repeat(64);
    for name in ["", "A", "a_b", "-a", "a-", "a..b", ".a", "a.", "a/b", &too_long] {
        spec.secret_template.name = Some(name.to_owned());
        let (reason, message) = fault(&spec, KEY_A);
        assert_eq!(reason, Reason::InvalidSpec, "{name}");
        assert_eq!(
            message,
            "spec.secretTemplate.name isn't a Secret's name of at most 63 characters (a-z, 0-9, - and ., a letter or digit at both ends)"
        );
    }
}

#[test]
fn a_name_that_is_no_label_value_is_refused() {
    let named = |name: String| {
        let source = source(&[("key.json", KEY_A.as_bytes())]);
        resolve(
            name.into(),
            &spec(&["gcr.io"]),
            &source,
            &AllowedRegistries::default(),
            &revision_key(),
            Timestamp::UNIX_EPOCH,
        )
    };
    assert!(named("a".repeat(63)).is_ok());
    let invalid = named("a".repeat(64)).unwrap_err();
    assert_eq!(invalid.to_string(), "InvalidSpec: metadata.name has more than 63 characters; use a shorter one");
}

#[test]
fn a_template_cannot_set_what_marks_whose_a_secret_is() {
    for (key, owner) in [
        ("regcred.dev/credential", "regcred"),
        ("regcred.dev/x", "regcred"),
        ("added.regcred.dev/x", "regcred"),
        ("argocd.argoproj.io/tracking-id", "Argo CD"),
        ("app.kubernetes.io/instance", "Argo CD"),
    ] {
        for field in ["labels", "annotations"] {
            let mut spec = spec(&["gcr.io"]);
            let template = &mut spec.secret_template;
            let map = if field == "labels" { &mut template.labels } else { &mut template.annotations };
            map.insert("a".to_owned(), String::new());
            map.insert(key.to_owned(), String::new());
            let message =
                format!("spec.secretTemplate.{field} has a key by which {owner} marks what it manages; take it out");
            assert_eq!(fault(&spec, KEY_A), (Reason::InvalidSpec, message));
        }
    }
    for key in ["regcred.dev", "notregcred.dev/x", "regcred.dev.example.com/x", "app.kubernetes.io/name", "x"] {
        let mut spec = spec(&["gcr.io"]);
        spec.secret_template.labels = [(key.to_owned(), "x".to_owned())].into();
        assert!(try_resolve(&spec, KEY_A).is_ok(), "{key}");
    }
}

#[test]
fn an_unknown_credential_asks_for_an_upgrade() {
    let mut unknown = spec(&["gcr.io"]);
    assert_eq!(kinds::of(unknown.credential.as_ref().unwrap()).unwrap().secret().name, "darwin-gcr-key");
    unknown.credential = Some(Default::default());
    let (reason, message) = fault(&unknown, KEY_A);
    assert_eq!(reason, Reason::UnsupportedCredential);
    assert_eq!(
        message,
        "spec.credential has no member that this version of regcred knows; upgrade regcred, or use gcpServiceAccountKey, dockerConfig or basicAuth"
    );
    assert_eq!(kinds::of(unknown.credential.as_ref().unwrap()).unwrap_err().reason, reason);
}

#[test]
fn a_registry_that_is_not_allowed_is_named() {
    let evil = spec(&["gcr.io", "evil.example:8443/gcr.io"]);
    assert_eq!(
        fault(&evil, KEY_A),
        (
            Reason::RegistryNotAllowed,
            "spec.registries[1], evil.example:8443/gcr.io, isn't one of Google's (gcr.io, *.gcr.io, *.pkg.dev, on port 443), \
             so the key isn't sent there; correct it, or have an administrator add evil.example:8443 to the operator's \
             --allowed-registries"
                .to_owned()
        )
    );
    let allowed = AllowedRegistries::parse("evil.example:8443").unwrap();
    let keys = check_registries(&evil, &allowed).unwrap();
    assert_eq!(keys.iter().map(RegistryKey::as_str).collect::<Vec<_>>(), ["evil.example:8443/gcr.io", "gcr.io"]);
}

#[test]
fn a_registry_that_is_none_is_not_quoted() {
    let (reason, message) = fault(&spec(&["gcr.io", "me:marker@gcr.io"]), KEY_A);
    assert_eq!(reason, Reason::InvalidSpec);
    assert_eq!(message, "spec.registries[1] isn't a registry: it has an @; write the host without a user or a digest");
}

#[test]
fn no_registries_and_too_many_are_invalid() {
    let (reason, message) = fault(&spec(&[]), KEY_A);
    assert_eq!(reason, Reason::InvalidSpec);
    assert_eq!(message, "spec.registries is empty; list the registries that the key is for, such as gcr.io");
    let many: Vec<String> = (0..500).map(|n| format!("gcr.io/{n}")).collect();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    let (reason, message) = fault(&spec(&many), KEY_A);
    assert_eq!(reason, Reason::InvalidSpec);
    assert!(message.starts_with("spec.registries: the docker config"), "{message}");
}

#[test]
fn a_missing_key_of_the_secret_is_named() {
    let source = source(&[("gcr.json", KEY_A.as_bytes())]);
    let invalid = resolve(
        "darwin".into(),
        &spec(&["gcr.io"]),
        &source,
        &AllowedRegistries::default(),
        &revision_key(),
        Timestamp::UNIX_EPOCH,
    )
    .unwrap_err();
    assert_eq!(
        invalid,
        Stalled {
            reason: Reason::SourceKeyNotFound,
            message: "Secret regcred-system/darwin-gcr-key: it has no key key.json; it has: gcr.json".to_owned(),
            key: Some("key.json".to_owned()),
            expired_at: None,
        }
    );
}

#[test]
fn a_bad_key_says_where_it_is() {
    assert_eq!(
        fault(&spec(&["gcr.io"]), "{}"),
        (
            Reason::InvalidKey,
            "Secret regcred-system/darwin-gcr-key, key key.json: the field type is missing; store the key file as Google made it".to_owned()
        )
    );
}

#[test]
fn debug_of_what_is_resolved_shows_no_key() {
    let resolved = try_resolve(&spec(&["gcr.io"]), KEY_A).unwrap();
    let shown = format!("{resolved:?}");
    assert!(shown.contains("puller@darwin"));
    assert!(!shown.contains(&resolved.pull_secret.expose_encoded()[..16]));
}

#[test]
fn a_file_is_told_for_a_docker_config_by_its_content_alone() {
    for text in [r#"{"auths": {}}"#, r#"{"auths": {"ghcr.io": {"auth": "eA"}}"#, r#" {"auths": [1"#] {
        assert!(kinds::is_logins_file(text), "{text}");
    }
    // A key that is broken, other JSON that mentions the word, and what says nothing of logins.
    for text in ["{", r#"{"type": "service_account""#, r#"{"notes": "auths"}"#, r#"{"notes": {"auths": "none"}}"#, ""] {
        assert!(!kinds::is_logins_file(text), "{text}");
    }
}
