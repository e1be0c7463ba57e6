//! The CRD as a real API server takes it: every case of tests/cases/crd, and what kubectl shows.

use std::fs;

use controlplane::{Options, eventually};
use serde_json::json;

use crate::world::{self, ROOT, SOON};

#[test]
fn the_api_server_accepts_and_refuses_what_the_cases_say() {
    let cluster = world::cluster(Options::default());
    let mut files: Vec<_> =
        fs::read_dir(format!("{ROOT}/tests/cases/crd")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 100, "only {} cases", files.len());
    let mut wrong = Vec::new();
    for file in files {
        let name = file.file_stem().unwrap().to_string_lossy().into_owned();
        let text = fs::read_to_string(&file).unwrap();
        let (head, body) = text.split_once('\n').unwrap();
        let documents: Vec<_> = body.split("---\n").collect();
        let (last, earlier) = documents.split_last().unwrap();
        for document in earlier {
            cluster.apply(document).unwrap();
        }
        // An apply refuses a null by its type; what is created has its nulls dropped first, as the cases suppose.
        let result = match earlier {
            [] => cluster.kubectl_with_input(&["create", "--dry-run=server", "-f", "-"], last),
            _ => cluster.apply(last),
        };
        let right = match (head.strip_prefix("# refused: "), &result) {
            (Some(wanted), Err(said)) => said.contains(wanted),
            (None, Ok(_)) => head == "# accepted",
            _ => false,
        };
        if !right {
            wrong.push(format!("{name}: {head}\n    but the API server says {result:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn kubectl_explains_the_fields_and_shows_the_columns() {
    let cluster = world::cluster(Options::default());
    let fields = [
        "",
        ".spec.credential.gcpServiceAccountKey.secretRef.key",
        ".spec.credential.dockerConfig.secretRef.key",
        ".spec.credential.basicAuth.usernameKey",
        ".spec.existingSecretName",
        ".spec.namespaces",
        ".spec.attach.serviceAccounts.when",
        ".status.conditions",
        ".status.identity.principal",
    ];
    for field in fields {
        // The schema is published a moment after the kind is served.
        let explained =
            eventually(SOON, || cluster.kubectl_with_input(&["explain", &format!("registrycredential{field}")], ""));
        let description = explained.split_once("DESCRIPTION:").unwrap_or_else(|| panic!("{explained}")).1;
        assert!(!description.contains("<empty>") && description.trim().len() > 20, "{field}: {explained}");
    }

    cluster.apply(&world::credential("darwin", json!({"namespaces": {"names": ["team-*"]}})).to_string()).unwrap();
    let status = json!({"status": {
        "observedGeneration": 1,
        "conditions": [{
            "type": "Ready", "status": "False", "reason": "PartiallyReady", "message": "118 of 120",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }],
        "identity": {"principal": "puller@darwin.iam.gserviceaccount.com", "detail": ""},
        "registries": ["gcr.io/darwin/", "ghcr.io/darwin/"],
        "namespaces": {"desired": 120, "ready": 118, "failed": 2, "summary": "118/120"},
        "serviceAccounts": {"desired": 340, "ready": 336, "summary": "336/340"},
    }});
    cluster.kubectl_ok(&[
        "patch",
        "regcred",
        "darwin",
        "--subresource=status",
        "--type=merge",
        "-p",
        &status.to_string(),
    ]);
    let rows = |args: &[&str]| -> Vec<Vec<String>> {
        let table = cluster.kubectl_ok(args);
        table.lines().map(|line| line.split_whitespace().map(str::to_owned).collect()).collect()
    };
    let narrow = rows(&["get", "regcred"]);
    assert_eq!(narrow[0], ["NAME", "READY", "REASON", "NAMESPACES", "SERVICEACCOUNTS", "IDENTITY", "AGE"]);
    let email = "puller@darwin.iam.gserviceaccount.com";
    assert_eq!(narrow[1][..6], ["darwin", "False", "PartiallyReady", "118/120", "336/340", email]);
    let wide = rows(&["get", "regcred", "-o", "wide"]);
    assert_eq!(wide[0][7..], ["REGISTRIES", "MESSAGE"]);
    assert_eq!(wide[1][7..].join(" "), r#"["gcr.io/darwin/","ghcr.io/darwin/"] 118 of 120"#);
}
