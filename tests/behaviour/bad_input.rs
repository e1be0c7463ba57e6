//! Sources that can't be used: said in one sentence, without a byte of them, while everything else goes on.

use base64::{Engine, engine::general_purpose::STANDARD};
use controlplane::eventually;
use regcred::credential::kinds::gcp_service_account_key::KeyError;
use serde_json::{Value, json};

use crate::{
    evidence::{apply_all, assert_unsaid, readiness, source, versions},
    scope::Scope,
    world::{SOON, World, cluster, credential, key},
};

/// Something that must never be repeated.
const MARKER: &str = "Xq7LeakedMarker";

/// Key A with one field set; null takes it out.
fn with(field: &str, value: Value) -> String {
    let mut file: Value = serde_json::from_str(&key('a')).unwrap();
    let fields = file.as_object_mut().unwrap();
    match value {
        Value::Null => fields.remove(field),
        value => fields.insert(field.to_owned(), value),
    };
    fields.insert("client_id".to_owned(), json!(MARKER));
    file.to_string()
}

fn pem(label: &str, body: &str) -> String {
    with("private_key", json!(format!("-----BEGIN {label}-----\n{body}\n-----END {label}-----\n")))
}

/// Files that aren't keys, with what the status is to say of each.
fn files() -> Vec<(KeyError, Vec<u8>)> {
    use KeyError::*;
    let body: String =
        key('a').split_once("-----\\n").unwrap().1.split_once("\\n-----").unwrap().0.replace("\\n", "\n");
    let good_pem = format!("-----BEGIN PRIVATE KEY-----\n{body}\n-----END PRIVATE KEY-----\n");
    let of_type = |name: &str| with("type", json!(name));
    let utf16: Vec<u8> = key('a').replace("darwin", MARKER).encode_utf16().flat_map(u16::to_le_bytes).collect();
    let mut not_utf8 = format!("{{\"x\": \"{MARKER}").into_bytes();
    let offset = not_utf8.len();
    not_utf8.extend(b"\xE9\"}");
    let deep = format!("{{\"x\": {}\"{MARKER}\"", "[".repeat(5000));
    let marked = key('a').replacen('{', &format!("{{\"x\": \"{MARKER}\","), 1);
    let half = marked[..1000].to_owned();
    let texts: Vec<(KeyError, String)> = vec![
        (FileTooLarge { bytes: 70000 }, MARKER.to_owned() + &" ".repeat(70000 - MARKER.len())),
        (EmptyFile, " \n\t".to_owned()),
        (Utf8Bom, format!("\u{feff}{marked}")),
        (Base64TooOften, STANDARD.encode(&marked)),
        (BarePem, format!("{good_pem}{MARKER}\n")),
        (NotAnObject, format!("/home/{MARKER}/key.json")),
        (NotAnObject, format!("<html><body>{MARKER}</body></html>")),
        (NotAnObject, format!("type: service_account\nprivate_key: {MARKER}\n")),
        (Truncated { bytes: half.len() }, half),
        (Truncated { bytes: deep.len() }, deep),
        (InvalidJson { line: 1, column: 10 }, format!("{{\"type\": {MARKER}}}")),
        (InvalidJson { line: 1, column: 3 }, format!("{{}}{{\"private_key\": \"{MARKER}\"}}")),
        (DockerConfig, format!("{{\"auths\": {{\"gcr.io\": {{\"auth\": \"{}\"}}}}}}", STANDARD.encode(MARKER))),
        (OauthClient, format!("{{\"installed\": {{\"client_secret\": \"{MARKER}\"}}}}")),
        (AuthorizedUser, of_type("authorized_user")),
        (ExternalAccount, of_type("external_account")),
        (ImpersonatedServiceAccount, of_type("impersonated_service_account")),
        (GdchServiceAccount, of_type("gdch_service_account")),
        (UnknownType, of_type(MARKER)),
        (MissingField { field: "private_key" }, with("private_key", Value::Null)),
        (
            DuplicateField { field: "private_key" },
            key('a').replacen('{', &format!("{{\"private_key\": \"{MARKER}\","), 1),
        ),
        (NotAString { field: "private_key" }, with("private_key", json!([MARKER]))),
        (NotAString { field: "type" }, with("type", json!({MARKER: MARKER}))),
        (
            BadEscape { field: "private_key_id" },
            with("private_key_id", json!("half")).replace("\"half\"", &format!("\"{MARKER}\\ud83d\"")),
        ),
        (EmptyField { field: "project_id" }, with("project_id", json!(" "))),
        (
            FieldTooLong { field: "private_key_id", bytes: 400 },
            with("private_key_id", json!(format!("{MARKER:x<400}"))),
        ),
        (Unprintable { field: "client_email" }, with("client_email", json!(format!("{MARKER}\u{1b}[31m@b")))),
        (NotAnEmail, with("client_email", json!(MARKER))),
        (EscapedTwice, with("private_key", json!(good_pem.replace('\n', "\\n")))),
        (NotPem, with("private_key", json!(MARKER))),
        (OtherPem, pem(&format!("{MARKER} KEY"), &body)),
        (Encrypted, pem("ENCRYPTED PRIVATE KEY", &body)),
        (PublicKey, pem("PUBLIC KEY", &body)),
        (Certificate, pem("CERTIFICATE", &body)),
        (PemTruncated, with("private_key", json!(format!("-----BEGIN PRIVATE KEY-----\n{MARKER}\n")))),
        (PemLineBreaksLost, with("private_key", json!(good_pem.replace('\n', " ")))),
        (PemNotBase64, pem("PRIVATE KEY", &format!("{body}\n!{MARKER}!"))),
        (BrokenKey, pem("PRIVATE KEY", &body.replacen("MII", "MIJ", 1))),
        (NotRsa, pem("PRIVATE KEY", "MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC")),
    ];
    let mut files: Vec<(KeyError, Vec<u8>)> =
        texts.into_iter().map(|(error, text)| (error, text.into_bytes())).collect();
    files.push((Utf16, utf16));
    files.push((NotUtf8 { offset }, not_utf8));
    files.push((Binary, [&[0x30, 0x82, 9, 0xA2][..], MARKER.as_bytes(), &[0, 0xFF, 0x1B]].concat()));
    files
}

/// Parts of the good key's private half.
fn parts_of_the_key() -> Vec<String> {
    let file: Value = serde_json::from_str(&key('a')).unwrap();
    let lines: Vec<String> = file["private_key"].as_str().unwrap().lines().map(str::to_owned).collect();
    vec![lines[1].clone(), lines[lines.len() / 2].clone(), lines[lines.len() - 2].clone()]
}

#[test]
fn no_malformed_key_changes_a_secret_or_is_repeated_anywhere() {
    // All there is to log: the HTTP client's own words, too.
    let options = controlplane::Options {
        controllers: controlplane::Controllers::Default,
        audit: controlplane::Audit::Metadata,
        ..Default::default()
    };
    let files = files();
    let name = |i: usize| format!("bad-{i}");
    let managed = Scope::args_managing((0..files.len()).map(name).chain(["good".to_owned()]).collect());
    let args: Vec<&str> = ["--log-filter", "trace"].into_iter().chain(managed.iter().map(String::as_str)).collect();
    let world = World::on(cluster(options), &args);
    world.namespace("team-a", json!({}));
    let targets = json!({"names": ["team-*"]});
    let of_source = |i: usize| {
        let source = json!({"gcpServiceAccountKey": {"secretRef": {"name": name(i)}}});
        credential(&name(i), json!({"credential": source, "namespaces": targets}))
    };
    apply_all(&world.cluster, (0..files.len()).map(|i| source(&name(i), key('a').as_bytes())).collect());
    apply_all(&world.cluster, (0..files.len()).map(of_source).collect());
    eventually(SOON * 2, || {
        let ready = readiness(&world)?;
        let waiting: Vec<_> = ready.iter().filter(|(_, (_, reason, _))| reason != "RolledOut").collect();
        if waiting.is_empty() { Ok(()) } else { Err(format!("{waiting:?}")) }
    });
    let before = versions(&world);

    apply_all(&world.cluster, files.iter().enumerate().map(|(i, (_, file))| source(&name(i), file)).collect());
    eventually(SOON * 2, || {
        let ready = readiness(&world)?;
        for (i, (error, _)) in files.iter().enumerate() {
            let wanted = format!("Secret regcred-system/{}, key key.json: {error}", name(i));
            let wanted = ("False".to_owned(), "InvalidKey".to_owned(), wanted);
            if ready[&name(i)] != wanted {
                return Err(format!("{wanted:?} isn't said, but {:?}", ready[&name(i)]));
            }
        }
        Ok(())
    });
    eventually(SOON, || {
        let events = world.get(&["events.events.k8s.io", "-n", "default"])?;
        let events = events["items"].as_array().unwrap();
        let missing = (0..files.len()).find(|i| {
            !events.iter().any(|e| e["reason"] == "InvalidKey" && e["regarding"]["name"] == name(*i).as_str())
        });
        missing.map_or(Ok(()), |i| Err(format!("{} has no Event", name(i))))
    });
    // Another credential is served meanwhile, and a new namespace gets it and nothing of the others.
    assert_eq!(versions(&world), before);
    world.source("key", &key('b'));
    world.credential("good", json!({"namespaces": targets}));
    world.wait_password("team-a", "good", &key('b'));
    world.wait_ready("good");

    assert!(world.operator.is_running());
    assert!(world.operator.log().contains("\"level\":\"TRACE\""));
    let mut secrets = parts_of_the_key();
    secrets.push(MARKER.to_owned());
    assert_unsaid(&world, &secrets);

    // Mended, each goes on.
    apply_all(&world.cluster, (0..files.len()).map(|i| source(&name(i), key('b').as_bytes())).collect());
    eventually(SOON * 2, || {
        let ready = readiness(&world)?;
        let waiting: Vec<_> = ready.iter().filter(|(_, (_, reason, _))| reason != "RolledOut").collect();
        if waiting.is_empty() { Ok(()) } else { Err(format!("{waiting:?}")) }
    });
    world.wait_password("team-a", &name(0), &key('b'));
}

#[test]
fn a_source_that_is_missing_or_not_allowed_is_named_with_the_remedy() {
    let world = World::new();
    world.namespace("team-a", json!({}));
    world.source("key", &key('a'));
    let extra = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": {"name": "other-keys", "namespace": "regcred-system"},
        "stringData": {"b.json": MARKER, "a.json": MARKER},
    });
    world.cluster.apply(&extra.to_string()).unwrap();
    let of = |secret_ref: Value| {
        json!({
            "credential": {"gcpServiceAccountKey": {"secretRef": secret_ref}},
            "namespaces": {"names": ["team-a"]},
        })
    };
    let says = |name: &str, reason: &str, parts: &[&str]| {
        let message = world.wait_condition(name, "Ready", "False", reason);
        world.wait_condition(name, "Stalled", "True", reason);
        for part in parts {
            assert!(message.contains(part), "{name}: {message}");
        }
    };
    world.credential("missing", of(json!({"name": "nowhere"})));
    says(
        "missing",
        "SourceNotFound",
        &["Secret regcred-system/nowhere doesn't exist", "kubectl -n regcred-system create"],
    );
    world.credential("wrong-key", of(json!({"name": "other-keys", "key": "key.json"})));
    says("wrong-key", "SourceKeyNotFound", &["no key key.json", "a.json, b.json"]);
    world.credential("elsewhere", of(json!({"name": "key", "namespace": "kube-system"})));
    says("elsewhere", "NamespaceNotAllowed", &["kube-system", "--credential-namespaces (regcred-system)"]);
    let evil =
        json!({"registries": ["gcr.io/darwin/", "registry.evil.example/x/"], "namespaces": {"names": ["team-a"]}});
    world.credential("evil", evil);
    says("evil", "RegistryNotAllowed", &["registry.evil.example", "--allowed-registries"]);
    for name in ["missing", "wrong-key", "elsewhere", "evil"] {
        assert!(world.secret("team-a", name).unwrap_err().contains("not found"), "{name} was written");
    }
    assert_unsaid(&world, &[MARKER.to_owned()]);

    // What is missing comes, and the credential goes on by itself.
    world.source("nowhere", &key('a'));
    world.wait_ready("missing");
    let extra = source("other-keys", key('b').as_bytes());
    world.cluster.apply(&extra.to_string()).unwrap();
    world.wait_ready("wrong-key");
}

#[test]
fn a_registry_that_the_administrator_allows_gets_the_credential() {
    let options = controlplane::Options { controllers: controlplane::Controllers::Default, ..Default::default() };
    let world = World::on(cluster(options), &["--allowed-registries", "registry.example.com,*.mirror.example:5000"]);
    world.namespace("team-a", json!({}));
    world.source("key", &key('a'));
    let registries = json!(["registry.example.com/x/", "eu.mirror.example:5000"]);
    world.credential("mirror", json!({"registries": registries, "namespaces": {"names": ["team-a"]}}));
    world.wait_ready("mirror");
    world.credential("other", json!({"registries": ["evil.example.com"], "namespaces": {"names": ["team-a"]}}));
    world.wait_condition("other", "Ready", "False", "RegistryNotAllowed");
}
