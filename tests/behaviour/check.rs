//! `regcred check` says of a manifest what a real API server says: refused, or not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
    process::Command,
};

use controlplane::{ControlPlane, Options};
use serde_json::{Value, json};

use crate::world::{self, ROOT};

/// Manifests by name, which is that of the object and of its file.
type Manifests = BTreeMap<String, String>;

/// The cases of the CRD that need no older version of the object.
fn cases() -> Manifests {
    let files = fs::read_dir(format!("{ROOT}/tests/cases/crd")).unwrap().map(|entry| entry.unwrap().path());
    files
        .map(|path| (path.file_stem().unwrap().to_str().unwrap().to_owned(), fs::read_to_string(path).unwrap()))
        .filter(|(name, text)| !text.contains("---") && text.contains(&format!("name: {name}}}")))
        .collect()
}

/// Every way to a value of the object.
fn paths(value: &Value, here: &str, found: &mut Vec<String>) {
    found.push(here.to_owned());
    match value {
        Value::Object(fields) => {
            fields.iter().for_each(|(name, value)| paths(value, &format!("{here}/{}", name.replace('/', "~1")), found));
        }
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(at, value)| paths(value, &format!("{here}/{at}"), found));
        }
        _ => {}
    }
}

/// Manifests that have everything, each with one thing about it changed; of the further kinds of credentials that part
/// alone.
fn mutations() -> Manifests {
    let mut all = mutations_of("everything", "");
    for case in ["basic-auth-everything", "docker-config-everything"] {
        all.extend(mutations_of(case, "/spec/credential"));
    }
    all.extend(mutations_of("existing-everything", "/spec/existingSecretName"));
    all
}

/// One case of the CRD, with one thing about what is below that path changed.
fn mutations_of(case: &str, below: &str) -> Manifests {
    let text = fs::read_to_string(format!("{ROOT}/tests/cases/crd/{case}.yaml")).unwrap();
    let mut base: Value = serde_saphyr::from_str(&text).unwrap();
    base["metadata"]["labels"] = json!({"example.com/team": "images"});
    base["metadata"]["annotations"] = json!({"example.com/note": "some words"});
    let mut found = Vec::new();
    paths(&base, "", &mut found);
    found.retain(|path| path.starts_with(below));
    let kept = ["", "/apiVersion", "/kind", "/metadata", "/metadata/name"];
    let values = [
        json!(null),
        json!(true),
        json!(7),
        json!(1.5),
        json!("x"),
        json!("Not A Name"),
        json!("x".repeat(5000)),
        json!({}),
        json!([]),
        json!(["x", "x"]),
        json!({"unknown": "x"}),
    ];
    let mut changed = Vec::new();
    for path in found.iter().filter(|path| !kept.contains(&path.as_str())) {
        for value in &values {
            let mut mutant = base.clone();
            *mutant.pointer_mut(path).unwrap() = value.clone();
            changed.push(mutant);
        }
        let (parent, name) = path.rsplit_once('/').unwrap();
        let mut mutant = base.clone();
        match mutant.pointer_mut(parent).unwrap() {
            Value::Object(fields) => drop(fields.remove(&name.replace("~1", "/"))),
            Value::Array(items) => drop(items.remove(name.parse().unwrap())),
            other => panic!("{path} leads through {other}"),
        }
        changed.push(mutant);
    }
    for path in found.iter().filter(|path| base.pointer(path).is_some_and(Value::is_object)) {
        let mut mutant = base.clone();
        mutant.pointer_mut(path).unwrap()["unknown"] = json!("x");
        changed.push(mutant);
    }
    let named = |(at, mut mutant): (usize, Value)| {
        let name = format!("{case}-{at}");
        mutant["metadata"]["name"] = json!(name);
        (name, mutant.to_string())
    };
    changed.into_iter().enumerate().map(named).collect()
}

/// Scalars that aren't what they seem, in a field that wants text and in one that wants true or false.
fn scalars() -> Manifests {
    let words = [
        "y",
        "Yes",
        "on",
        "Off",
        "n",
        "~",
        "null",
        "0x1F",
        "017",
        "0o17",
        "1_000",
        "1e3",
        ".5",
        ".inf",
        "-.INF",
        ".nan",
        "yEs",
        "1.2.3",
        "08",
        "+1",
        "2024-01-01",
        "0b11",
        "!!str yes",
        "!!str 7",
        "'7'",
        "\"on\"",
        "|\n    on",
        "1:30",
    ];
    let manifest = |name: &str, label: &str, suspend: &str| {
        format!(
            "apiVersion: regcred.dev/v1alpha1\nkind: RegistryCredential\nmetadata: {{name: {name}}}\nspec:\n  \
             credential: {{gcpServiceAccountKey: {{secretRef: {{name: darwin-gcr-key}}}}}}\n  \
             registries: [gcr.io/darwin/]\n  secretTemplate:\n   annotations:\n    a: {label}\n  \
             namespaces: {{names: [default]}}\n  suspend: {suspend}\n"
        )
    };
    let mut manifests = Manifests::new();
    for (at, word) in words.iter().enumerate() {
        for (kind, label, suspend) in [("text", *word, "false"), ("bool", "x", *word)] {
            let name = format!("scalar-{kind}-{at}");
            manifests.insert(name.clone(), manifest(&name, label, suspend));
        }
    }
    manifests
}

/// The names of those that the API server takes.
fn taken_by_the_api_server(cluster: &ControlPlane, folder: &Path) -> BTreeSet<String> {
    let folder = folder.to_str().unwrap();
    let args = ["apply", "--server-side", "--dry-run=server", "--validate=strict", "-o", "name", "-f", folder];
    let output = cluster.kubectl(&args);
    let said = String::from_utf8(output.stdout).unwrap();
    said.lines().map(|line| line.split_once('/').unwrap().1.to_owned()).collect()
}

/// The names of those that `regcred check` says are refused, with its sentences.
fn refused_by_check(folder: &Path) -> BTreeMap<String, Vec<String>> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_regcred")).args(["check", "-o", "json"]).arg(folder).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    let mut refused = BTreeMap::<_, Vec<_>>::new();
    for finding in report["findings"].as_array().unwrap() {
        if ["Refused", "Unreadable"].contains(&finding["effect"].as_str().unwrap()) {
            let file = Path::new(finding["file"].as_str().unwrap()).file_stem().unwrap().to_str().unwrap();
            let said = format!("{}: {}", finding["field"], finding["message"]);
            refused.entry(file.to_owned()).or_default().push(said);
        }
    }
    refused
}

#[test]
fn check_refuses_what_a_real_api_server_refuses_and_nothing_else() {
    let cluster = world::cluster(Options::default());
    let mut manifests = cases();
    manifests.extend(mutations());
    manifests.extend(scalars());
    assert!(manifests.len() > 500, "only {} manifests", manifests.len());
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in &manifests {
        fs::write(folder.path().join(format!("{name}.yaml")), text).unwrap();
    }
    let taken = taken_by_the_api_server(&cluster, folder.path());
    let refused = refused_by_check(folder.path());
    let rarer = taken.len().min(manifests.len() - taken.len());
    assert!(rarer > 100, "{} of {} are taken", taken.len(), manifests.len());
    let wrong = manifests.iter().filter_map(|(name, text)| match (taken.contains(name), refused.get(name)) {
        (true, Some(said)) => Some(format!("{name} is taken, but check says {said:?}:\n{text}")),
        (false, None) => Some(format!("{name} is refused, and check says nothing:\n{text}")),
        _ => None,
    });
    let wrong: Vec<_> = wrong.collect();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), manifests.len(), wrong.join("\n"));
}
