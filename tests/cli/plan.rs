//! `regcred plan` before it asks a cluster: what it takes of files, and what it refuses as `check` does.

use std::fs;

use serde_json::Value;

use crate::{ROOT, regcred, run, stderr};

const FILES: &str = "tests/cases/check/files";

/// What stands in these files wherever a credential may come by mistake.
const MARKER: &str = "7Qx";

/// The sentence with which it ends, where there is no cluster.
fn said(args: &[&str]) -> String {
    let output = regcred(&[&["plan"], args].concat()).env("KUBECONFIG", "/nonexistent").output().unwrap();
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{output:?}");
    let said = stderr(&output);
    assert!(!said.contains(MARKER), "{said}");
    said
}

#[test]
fn it_takes_what_check_takes_and_refuses_what_check_says_is_refused() {
    let (mut taken, mut refused) = (0, 0);
    for entry in fs::read_dir(format!("{ROOT}/{FILES}")).unwrap() {
        let file = format!("{FILES}/{}", entry.unwrap().file_name().to_str().unwrap());
        let checked: Value = serde_json::from_slice(&run(&["check", "-o", "json", &file]).stdout).unwrap();
        let findings = checked["findings"].as_array().unwrap().iter();
        // A Secret's data is looked at where it is a source, which only the cluster tells.
        let mut findings =
            findings.filter(|it| !it["object"].as_str().is_some_and(|object| object.starts_with("Secret")));
        let is_refused = findings.any(|it| it["effect"] == "Refused" || it["effect"] == "Unreadable");
        let said = said(&["-f", &file]);
        let asked = said.starts_with("regcred: no cluster to talk to");
        let nothing = said.starts_with("regcred: there is no RegistryCredential in ");
        let by_check = said.starts_with(&format!("regcred: {file}")) && said.contains("; regcred check ");
        assert!(by_check == is_refused && (by_check || asked || nothing), "{file}: {said}");
        assert!(nothing == (!is_refused && checked["registryCredentials"] == 0 && !asked), "{file}: {said}");
        taken += usize::from(asked);
        refused += usize::from(by_check);
    }
    assert!(taken >= 2 && refused >= 2, "{taken} taken, {refused} refused");
}

#[test]
fn wrong_arguments_are_said_before_any_cluster_is_asked() {
    assert!(said(&["-f", "/nowhere/at-all.yaml"]).starts_with("regcred: /nowhere/at-all.yaml: "));
    assert!(said(&["--delete"]).starts_with("regcred: --delete needs to know which: "));
    assert!(said(&["darwin", "-f", "x.yaml"]).contains("cannot be used with"));
    assert!(said(&["darwin"]).starts_with("regcred: no cluster to talk to"));
}
