//! What a key file may and may not be.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::credential::testing::{KEY_A, KEY_B};

fn parse(file: &str) -> Result<KeyIdentity, KeyError> {
    GcpServiceAccountKey::parse(file.as_bytes()).map(|key| key.identity().clone())
}

/// Key A with one field set; null takes it out.
fn with(field: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(KEY_A).unwrap();
    let fields = file.as_object_mut().unwrap();
    match value {
        Value::Null => fields.remove(field),
        value => fields.insert(field.to_owned(), value),
    };
    file.to_string()
}

#[test]
fn a_key_of_google_is_taken_byte_for_byte() {
    let key = GcpServiceAccountKey::parse(KEY_A.as_bytes()).unwrap();
    assert_eq!(key.expose_file(), KEY_A);
    assert_eq!(
        key.identity(),
        &KeyIdentity {
            client_email: "puller@darwin.iam.gserviceaccount.com".to_owned(),
            project_id: "darwin".to_owned(),
            private_key_id: "1".repeat(40),
        }
    );
    assert!(GcpServiceAccountKey::parse(KEY_B.as_bytes()).is_ok());
}

/// Found by fuzzing. It is JSON, and what becomes of it in a member that nobody reads is nobody's concern.
#[test]
fn half_a_surrogate_pair_in_a_member_that_is_not_used_is_no_objection() {
    for half in ["\\ud800//", "\\ud800\\n//"] {
        let file = KEY_A.replacen("//", half, 1);
        assert!(file.contains("https:\\ud800") && serde_json::from_str::<Value>(&file).is_err());
        assert_eq!(parse(&file), parse(KEY_A));
    }
}

#[test]
fn debug_shows_whose_key_it_is_and_nothing_else() {
    let key = GcpServiceAccountKey::parse(KEY_A.as_bytes()).unwrap();
    let shown = format!("{key:?}");
    assert!(shown.contains("puller@darwin"));
    assert!(!shown.contains("PRIVATE KEY") && !shown.contains("MII"));
}

#[test]
fn a_pkcs1_key_and_escaped_names_are_taken_too() {
    let pkcs1 = include_str!("testdata/key-a-pkcs1.pem");
    assert!(parse(&with("private_key", json!(pkcs1))).is_ok());
    assert!(parse(&KEY_A.replace("\"type\"", "\"\\u0074ype\"")).is_ok());
    assert!(parse(&format!("\n{KEY_A}\n\n")).is_ok());
}

#[test]
fn the_largest_file_has_64_kib() {
    let fill = |size: usize| format!("{KEY_A}{}", " ".repeat(size - KEY_A.len()));
    assert!(parse(&fill(65536)).is_ok());
    assert_eq!(parse(&fill(65537)), Err(KeyError::FileTooLarge { bytes: 65537 }));
}

#[test]
fn what_is_not_json_is_named() {
    assert_eq!(parse(""), Err(KeyError::EmptyFile));
    assert_eq!(parse("[1]"), Err(KeyError::NotAnObject));
    let half = &KEY_A[..500];
    assert_eq!(parse(half), Err(KeyError::Truncated { bytes: 500 }));
    assert_eq!(parse("{\n\"type\": service_account}"), Err(KeyError::InvalidJson { line: 2, column: 9 }));
}

#[test]
fn other_credentials_are_named() {
    let of_type = |name: &str| parse(&with("type", json!(name)));
    assert_eq!(of_type("authorized_user"), Err(KeyError::AuthorizedUser));
    assert_eq!(of_type("external_account"), Err(KeyError::ExternalAccount));
    assert_eq!(of_type("external_account_authorized_user"), Err(KeyError::ExternalAccount));
    assert_eq!(of_type("impersonated_service_account"), Err(KeyError::ImpersonatedServiceAccount));
    assert_eq!(of_type("gdch_service_account"), Err(KeyError::GdchServiceAccount));
    assert_eq!(of_type("Service_Account"), Err(KeyError::UnknownType));
    assert_eq!(parse(r#"{"auths":{}}"#), Err(KeyError::DockerConfig));
    assert_eq!(parse(r#"{"https://gcr.io":{"auth":"eA=="}}"#), Err(KeyError::DockerConfig));
    assert_eq!(parse(r#"{"gcr.io":{"username":"x","password":"y"}}"#), Err(KeyError::DockerConfig));
    assert_eq!(parse(r#"{"installed":{}}"#), Err(KeyError::OauthClient));
    assert_eq!(parse(r#"{"web":{}}"#), Err(KeyError::OauthClient));
    // A key that has such a member besides is a key.
    assert!(parse(&with("web", json!({}))).is_ok());
    assert!(parse(&with("auths", json!({}))).is_ok());
}

#[test]
fn each_field_that_is_read_must_be_there_once_as_a_string() {
    for field in ["type", "client_email", "project_id", "private_key_id", "private_key"] {
        assert_eq!(parse(&with(field, Value::Null)), Err(KeyError::MissingField { field }));
        for value in [json!(1), json!({"a": "b"}), json!(["x"]), json!(true)] {
            assert_eq!(parse(&with(field, value)), Err(KeyError::NotAString { field }));
        }
        for value in ["", " \n"] {
            assert_eq!(parse(&with(field, json!(value))), Err(KeyError::EmptyField { field }));
        }
        let twice = KEY_A.replacen('{', &format!("{{\"{field}\": \"x\","), 1);
        assert_eq!(parse(&twice), Err(KeyError::DuplicateField { field }));
        let half = with(field, json!("half")).replace("\"half\"", "\"x\\ud83d\"");
        assert_eq!(parse(&half), Err(KeyError::BadEscape { field }));
    }
    assert_eq!(parse(&KEY_A.replacen('{', "{\"type\": null,", 1)), Err(KeyError::DuplicateField { field: "type" }));
    // Fields that aren't read may be anything.
    assert!(parse(&KEY_A.replacen('{', "{\"client_id\": 1,", 1)).is_ok());
}

#[test]
fn what_goes_to_the_status_is_short_and_printable() {
    for field in ["client_email", "project_id", "private_key_id"] {
        let of = |bytes: usize| with(field, json!(format!("a@{}", "b".repeat(bytes - 2))));
        assert!(parse(&of(320)).is_ok());
        assert_eq!(parse(&of(321)), Err(KeyError::FieldTooLong { field, bytes: 321 }));
        for value in ["a@b\n", "a @b", "a@b\u{1b}[31m", "ä@b", "a@b\u{202e}"] {
            assert_eq!(parse(&with(field, json!(value))), Err(KeyError::Unprintable { field }));
        }
    }
    for email in ["ab", "@b", "a@", "a@b@c", "@"] {
        assert_eq!(parse(&with("client_email", json!(email))), Err(KeyError::NotAnEmail), "{email}");
    }
}

#[test]
fn a_private_key_that_does_not_load_is_refused() {
    let broken = KEY_A.replace("\\n", "\\\\n");
    assert_eq!(parse(&broken), Err(KeyError::EscapedTwice));
}

#[test]
fn every_error_is_one_line_that_says_what_to_do() {
    use KeyError::*;
    let field = "private_key_id";
    let all = [
        FileTooLarge { bytes: 70000 },
        EmptyFile,
        Utf8Bom,
        Utf16,
        Binary,
        NotUtf8 { offset: 12 },
        Base64TooOften,
        BarePem,
        NotAnObject,
        Truncated { bytes: 12 },
        InvalidJson { line: 3, column: 4 },
        DockerConfig,
        OauthClient,
        AuthorizedUser,
        ExternalAccount,
        ImpersonatedServiceAccount,
        GdchServiceAccount,
        UnknownType,
        MissingField { field },
        DuplicateField { field },
        NotAString { field },
        BadEscape { field },
        EmptyField { field },
        FieldTooLong { field, bytes: 400 },
        Unprintable { field },
        NotAnEmail,
        EscapedTwice,
        NotPem,
        OtherPem,
        Encrypted,
        PublicKey,
        Certificate,
        PemTruncated,
        PemLineBreaksLost,
        PemNotBase64,
        NotRsa,
        RsaTooSmall,
        RsaTooLarge,
        RsaOddSize,
        BrokenKey,
    ];
    let texts: std::collections::BTreeSet<String> = all.iter().map(KeyError::to_string).collect();
    assert_eq!(texts.len(), all.len(), "each has its own sentence");
    for text in texts {
        assert!(text.starts_with("the "), "{text}");
        assert!(text.contains("; "), "what is wrong; what to do: {text}");
        assert!(!text.contains('\n') && !text.ends_with('.') && text.len() < 240, "{text}");
    }
    assert_eq!(
        InvalidJson { line: 3, column: 4 }.to_string(),
        "the file isn't valid JSON at line 3, column 4; store the key file unchanged"
    );
    assert_eq!(
        MissingField { field }.to_string(),
        "the field private_key_id is missing; store the key file as Google made it"
    );
}

/// Whether the text has eight bytes in a row of the secret.
fn leaks(text: &str, secret: &str) -> bool {
    secret.as_bytes().windows(8).any(|window| text.as_bytes().windows(8).any(|w| w == window))
}

/// The base64 of key A's private key.
fn secret_of_key_a() -> String {
    let file: Value = serde_json::from_str(KEY_A).unwrap();
    file["private_key"].as_str().unwrap().lines().filter(|line| !line.starts_with('-')).collect()
}

const MARKER: &str = "xK7#qP2!wZ9$";

proptest! {
    #[test]
    fn any_bytes_end_in_an_answer(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = GcpServiceAccountKey::parse(&bytes);
    }

    #[test]
    fn a_damaged_key_is_never_quoted(at in 0..KEY_A.len(), junk in proptest::collection::vec(any::<u8>(), 0..5), cut in 0..40_usize) {
        let mut bytes = KEY_A.as_bytes().to_vec();
        let end = (at + cut).min(bytes.len());
        bytes.splice(at..end, junk);
        if let Err(error) = GcpServiceAccountKey::parse(&bytes) {
            let secret = secret_of_key_a();
            prop_assert!(!leaks(&error.to_string(), &secret));
            let debug = format!("{error:?}");
            prop_assert!(!leaks(&debug, &secret));
        }
    }

    #[test]
    fn no_value_of_a_field_is_quoted(
        field in proptest::sample::select(vec!["type", "client_email", "project_id", "private_key_id", "private_key", "other"]),
        before in ".{0,10}", after in ".{0,10}", raw in any::<bool>(),
    ) {
        let value = format!("{before}{MARKER}{after}");
        let file = if raw {
            with(field, json!("PLACE")).replace("\"PLACE\"", &value)
        } else {
            with(field, json!(value))
        };
        if let Err(error) = GcpServiceAccountKey::parse(file.as_bytes()) {
            prop_assert!(!leaks(&error.to_string(), MARKER));
            let debug = format!("{error:?}");
            prop_assert!(!leaks(&debug, MARKER));
        }
    }
}
