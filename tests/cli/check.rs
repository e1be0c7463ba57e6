//! `regcred check` on the manifests of tests/cases/check.

use std::{fs, io::Read, process::Stdio};

use serde_json::Value;

use crate::{ROOT, assert_expected, regcred, run, run_with_input, stderr, stdout};

const FILES: &str = "tests/cases/check/files";

/// What stands in these files wherever a credential may come by mistake.
const MARKER: &str = "7Qx";

const GOOD: &str = include_str!("../cases/check/files/good.yaml");

#[test]
fn each_mistake_is_found_with_its_place_and_its_remedy() {
    let table = run(&["check", FILES]);
    assert_eq!(table.status.code(), Some(1), "{table:?}");
    assert_eq!(stderr(&table), "");
    assert_expected("check/expected.txt", &stdout(&table));
}

#[test]
fn json_and_yaml_say_the_same_in_a_shape_of_their_own() {
    let json = run(&["check", "-o", "json", FILES]);
    assert_eq!(json.status.code(), Some(1), "{json:?}");
    assert_expected("check/expected.json", &stdout(&json));
    let yaml = run(&["check", "-o", "yaml", FILES]);
    assert_eq!(yaml.status.code(), Some(1), "{yaml:?}");
    let from_yaml: Value = serde_saphyr::from_str(&stdout(&yaml)).unwrap();
    assert_eq!(from_yaml, serde_json::from_slice::<Value>(&json.stdout).unwrap());
    assert_eq!(
        (&from_yaml["apiVersion"], &from_yaml["kind"]),
        (&"cli.regcred.dev/v1alpha1".into(), &"CheckReport".into())
    );
}

#[test]
fn no_output_has_a_credential_in_it() {
    let marked = fs::read_dir(format!("{ROOT}/{FILES}")).unwrap().map(|entry| entry.unwrap().path());
    let marked = marked.filter(|path| path.is_file() && fs::read_to_string(path).unwrap().contains(MARKER)).count();
    assert!(marked >= 4, "only {marked} files have the marker");
    for format in ["table", "json", "yaml"] {
        let output = run(&["check", "-o", format, FILES]);
        assert!(stdout(&output).contains("leaks.yaml") && stdout(&output).contains("key.json"), "{output:?}");
        assert!(!stdout(&output).contains(MARKER) && !stderr(&output).contains(MARKER), "{}", stdout(&output));
    }
    for broken in [
        "kind: Secret\nstringData: {a: *7Qx}\n",
        "kind: Secret\nstringData: {a: \"7Qx\\q\"}\n",
        "kind: Secret\nstringData: {a: !7Qx!7Qx 7Qx}\n",
        "%TAG 7Qx\nkind: Secret\n---\n7Qx: [",
        "kind: Secret\n7Qx: 7Qx: 7Qx\n",
    ] {
        let output = run_with_input(&["check", "-"], broken.as_bytes());
        assert_eq!(output.status.code(), Some(1), "{broken}: {output:?}");
        assert!(!stdout(&output).contains(MARKER) && !stderr(&output).contains(MARKER), "{}", stdout(&output));
    }
}

#[test]
fn good_manifests_end_with_0_and_what_cannot_be_read_with_2() {
    let good = run(&["check", "tests/cases/check/files/good.yaml", "config/samples", "tests/fixtures"]);
    assert_eq!((good.status.code(), stderr(&good).as_str()), (Some(0), ""), "{}", stdout(&good));
    assert!(
        stdout(&good).starts_with("0 findings in ") && stdout(&good).contains(" and 2 keys in "),
        "{}",
        stdout(&good)
    );
    let missing = run(&["check", "tests/cases/check/files/good.yaml", "nowhere.yaml"]);
    assert_eq!((missing.status.code(), stdout(&missing).as_str()), (Some(2), ""));
    assert!(stderr(&missing).starts_with("regcred: nowhere.yaml: "), "{missing:?}");
    for wrong in [&["check"][..], &["check", "-o", "xml", "-"], &["check", "--allowed-registries", "*.com", "-"]] {
        assert_eq!(run(wrong).status.code(), Some(2), "{wrong:?}");
    }
}

#[test]
fn a_dash_is_standard_input_as_yaml_or_json() {
    assert_eq!(run_with_input(&["check", "-"], GOOD.as_bytes()).status.code(), Some(0));
    let bad = run_with_input(&["check", "-"], GOOD.replace("gcr.io/darwin/", "gcr.io/Darwin/").as_bytes());
    assert_eq!(bad.status.code(), Some(1));
    assert!(stdout(&bad).contains("\n-:9:16"), "{}", stdout(&bad));
    let good: Value = serde_saphyr::from_str(GOOD.split("---").next().unwrap()).unwrap();
    let json = serde_json::to_string_pretty(&good).unwrap();
    let said = stdout(&run_with_input(&["check", "-"], json.as_bytes()));
    assert_eq!(said, "0 findings in 1 RegistryCredential and 0 keys in 1 file\n");
    let key = fs::read(format!("{ROOT}/tests/fixtures/throwaway-key-a.json")).unwrap();
    assert_eq!(
        stdout(&run_with_input(&["check", "-"], &key)),
        "0 findings in 0 RegistryCredentials and 1 key in 1 file\n"
    );
    assert_eq!(run_with_input(&["check", "-"], &key[..key.len() / 2]).status.code(), Some(1));
}

#[test]
fn the_operators_flags_change_what_it_would_hold() {
    let credential = GOOD
        .replace("\"*-docker.pkg.dev\"", "registry.example.com/x/")
        .replace("name: good-key", "name: good-key, namespace: keys");
    let said = |args: &[&str]| {
        let args: Vec<_> = ["check", "-"].iter().chain(args).copied().collect();
        stdout(&run_with_input(&args, credential.as_bytes()))
    };
    assert!(said(&[]).contains("have an administrator add registry.example.com"), "{}", said(&[]));
    assert!(said(&["--allowed-registries", "registry.example.com"]).starts_with("0 findings"));
    let elsewhere = said(&["--allowed-registries", "registry.example.com", "--credential-namespaces", "a,b"]);
    assert!(elsewhere.contains("secretRef.namespace keys isn't one of"), "{elsewhere}");
    assert!(
        said(&["--allowed-registries", "registry.example.com", "--credential-namespaces", "a,keys"]).starts_with("0 f")
    );
}

#[test]
fn a_key_in_a_secret_is_checked_as_the_operator_would() {
    let key = fs::read_to_string(format!("{ROOT}/tests/fixtures/throwaway-key-a.json")).unwrap();
    let with = |secret: Value| format!("{GOOD}---\n{secret}\n");
    let secret = |namespace: &str, data: Value| {
        let mut secret = serde_json::json!({"apiVersion": "v1", "kind": "Secret",
            "metadata": {"name": "good-key", "namespace": namespace}});
        secret.as_object_mut().unwrap().extend(data.as_object().unwrap().clone());
        with(secret)
    };
    let good = secret("regcred-system", serde_json::json!({"stringData": {"key.json": key}}));
    let said = run_with_input(&["check", "-"], good.as_bytes());
    assert_eq!(stdout(&said), "0 findings in 1 RegistryCredential and 1 key in 1 file\n");
    // One in a namespace that nobody looks in isn't ours to judge.
    let elsewhere = secret("other", serde_json::json!({"stringData": {"key.json": "{}"}}));
    let said = run_with_input(&["check", "-"], elsewhere.as_bytes());
    assert_eq!(stdout(&said), "0 findings in 1 RegistryCredential and 0 keys in 1 file\n");
    let said = run_with_input(&["check", "--credential-namespaces", "other", "-"], elsewhere.as_bytes());
    let wanted = "Secret other/good-key, key key.json: the field type is missing; store the key file as Google made it";
    assert!(stdout(&said).contains(wanted), "{}", stdout(&said));
}

#[test]
fn a_docker_config_by_itself_is_checked_as_one() {
    let of = |auth: &str| format!(r#"{{"auths": {{"ghcr.io": {{"auth": "{auth}"}}}}}}"#);
    let said = |text: &str| {
        let output = run_with_input(&["check", "-"], text.as_bytes());
        (output.status.code(), stdout(&output))
    };
    let good = of("bWU6bWFya2VyLTdReA==");
    let older = r#"{"ghcr.io": {"username": "me", "password": "marker-7Qx"}}"#;
    for text in [good.as_str(), older] {
        assert_eq!(said(text), (Some(0), "0 findings in 0 RegistryCredentials and 1 key in 1 file\n".to_owned()));
    }
    for (text, wanted) in [
        (of("marker-7Qx"), "entry 1 (ghcr.io) has an auth that isn't base64"),
        (good[..40].to_owned(), "the JSON ends in the middle"),
        (r#"{"auths": {}, "credHelpers": {"ghcr.io": "x"}}"#.to_owned(), "the logins are in a helper"),
    ] {
        let (code, found) = said(&text);
        assert!(code == Some(1) && found.contains(wanted) && !found.contains("marker"), "{found}");
    }
}

#[test]
fn a_reader_that_goes_is_no_error() {
    let mut child = regcred(&["check", "-o", "json", FILES, "tests/cases/crd"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // It reads nothing, so whatever is written meets a closed pipe.
    drop(child.stdout.take());
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!((child.wait().unwrap().code(), said.as_str()), (Some(1), ""));
}
