//! What the operator asked the API server for, over all cases: as much as docs/security.md says, and no less.

use std::collections::BTreeSet;
use std::time::Duration;

use controlplane::{AuditEntry, OPERATOR, eventually};
use serde_json::Value;

use crate::case::PULL_SECRET;
use crate::suite::{NAMESPACE, Suite};

/// Where the operator's own Secret is.
const STATE_NAMESPACE: &str = "regcred-state";

pub fn none_was_forbidden(suite: &Suite) {
    provoke_a_race(suite);
    provoke_a_patch(suite);
    // Where a RegistryCredential is deleted, the garbage collector may be faster; here nobody else deletes its Secret.
    suite.cluster().kubectl_ok(&["label", "namespace", "chart-early-late", "case-"]);
    assert!(ours(suite).iter().any(AuditEntry::is_question), "nothing beyond its roles lets it ask what it may do");
    let forbidden: Vec<AuditEntry> = ours(suite).into_iter().filter(|entry| [401, 403].contains(&entry.code)).collect();
    assert!(forbidden.is_empty(), "{forbidden:#?}");
}

pub fn secrets_are_read_as_documented(suite: &Suite) {
    let reads = ours(suite).into_iter().filter(|entry| entry.resource == "secrets" && !entry.is_write());
    let reads: Vec<AuditEntry> = reads.collect();
    assert!(reads.iter().any(|entry| entry.namespace == NAMESPACE), "the sources were read");
    let undocumented: Vec<&AuditEntry> = reads.iter().filter(|entry| !documented(entry)).collect();
    assert!(undocumented.is_empty(), "{undocumented:#?}");
}

/// The table "Which Secrets it reads" of docs/security.md.
fn documented(entry: &AuditEntry) -> bool {
    let selects = |field: &str| {
        entry.uri.contains(&format!("fieldSelector={field}")) || entry.uri.contains(&format!("%2C{field}"))
    };
    let pull_secrets = selects("type%3Dkubernetes.io%2Fdockerconfigjson");
    match entry.verb.as_str() {
        _ if entry.namespace == NAMESPACE => true,
        "get" if entry.namespace == STATE_NAMESPACE => entry.name == "root-key",
        "list" | "watch" if entry.namespace.is_empty() => pull_secrets,
        "list" => selects("metadata.name%3D") && pull_secrets,
        "get" => entry.name.ends_with(PULL_SECRET),
        _ => false,
    }
}

pub fn no_right_is_unused(suite: &Suite) {
    let rights = rights(suite);
    assert!(rights.len() > 15, "{rights:?}");
    eventually(Duration::from_secs(30), || {
        let used: BTreeSet<Right> = ours(suite).iter().flat_map(used).collect();
        let unused: Vec<&Right> = rights.iter().filter(|right| !used.iter().any(|used| used.is(right))).collect();
        if unused.is_empty() { Ok(()) } else { Err(format!("unused: {unused:#?}")) }
    });
}

/// A verb on a resource, in one namespace or (empty) in all.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Right {
    namespace: String,
    group: String,
    resource: String,
    verb: String,
}

impl Right {
    /// Whether this use is one of that right.
    fn is(&self, right: &Right) -> bool {
        let somewhere = right.namespace.is_empty() || right.namespace == self.namespace;
        somewhere && (&self.group, &self.resource, &self.verb) == (&right.group, &right.resource, &right.verb)
    }
}

/// What the shipped roles allow, once for each verb.
fn rights(suite: &Suite) -> Vec<Right> {
    let bound = |role: &Value| {
        let (kind, namespace) = (text(&role["kind"]), text(&role["metadata"]["namespace"]));
        let bindings =
            suite.cluster().get_json(&[if kind == "Role" { "rolebindings" } else { "clusterrolebindings" }, "-A"]);
        let bindings = bindings["items"].as_array().cloned().unwrap_or_default();
        bindings.iter().any(|binding| {
            binding["roleRef"]["name"] == role["metadata"]["name"]
                && text(&binding["metadata"]["namespace"]) == namespace
                && binding["subjects"].as_array().into_iter().flatten().any(|subject| {
                    format!("system:serviceaccount:{}:{}", text(&subject["namespace"]), text(&subject["name"]))
                        == OPERATOR
                })
        })
    };
    let roles = suite.cluster().get_json(&["roles,clusterroles", "-A", "-l", "app.kubernetes.io/name=regcred"]);
    let roles = roles["items"].as_array().cloned().unwrap_or_default();
    let mut rights = Vec::new();
    for role in roles.iter().filter(|role| bound(role)) {
        for rule in role["rules"].as_array().into_iter().flatten() {
            let strings = |member: &str| rule[member].as_array().into_iter().flatten().map(text).collect::<Vec<_>>();
            for (group, resource, verb) in product(&strings("apiGroups"), &strings("resources"), &strings("verbs")) {
                rights.push(Right { namespace: text(&role["metadata"]["namespace"]), group, resource, verb });
            }
        }
    }
    rights
}

fn product(groups: &[String], resources: &[String], verbs: &[String]) -> Vec<(String, String, String)> {
    let pairs = groups.iter().flat_map(|group| resources.iter().map(move |resource| (group, resource)));
    let triples = pairs.flat_map(|(group, resource)| verbs.iter().map(move |verb| (group, resource, verb)));
    triples.map(|(group, resource, verb)| (group.clone(), resource.clone(), verb.clone())).collect()
}

/// The rights that a request took. An apply that creates takes two.
fn used(entry: &AuditEntry) -> Vec<Right> {
    let slash = if entry.subresource.is_empty() { "" } else { "/" };
    let right = |verb: &str| Right {
        namespace: entry.namespace.clone(),
        group: entry.group.clone(),
        resource: format!("{}{slash}{}", entry.resource, entry.subresource),
        verb: verb.to_owned(),
    };
    let created = (entry.verb == "patch" && entry.code == 201).then(|| right("create"));
    [right(&entry.verb)].into_iter().chain(created).collect()
}

/// A service account is read only when it has changed between our seeing it and our patch.
fn provoke_a_race(suite: &Suite) {
    let reads = |entry: &AuditEntry| entry.resource == "serviceaccounts" && entry.verb == "get";
    let account = |index: usize, round: usize| {
        format!(
            r#"{{"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {{"name": "race-{index}", "namespace": "chart-early-late", "annotations": {{"round": "{round}"}}}}}}"#
        )
    };
    for index in 0..40 {
        if ours(suite).iter().any(reads) {
            return;
        }
        let rounds: Vec<String> = (0..5).map(|round| account(index, round)).collect();
        suite.cluster().apply(&rounds.join("\n---\n")).unwrap();
    }
}

/// A Secret is patched only where somebody else has a part in it.
fn provoke_a_patch(suite: &Suite) {
    let managed = ["secrets", "-n", "chart-early-late", "-l", "regcred.dev/credential"];
    let secrets = suite.cluster().get_json(&managed);
    let name = secrets["items"][0]["metadata"]["name"].as_str().expect("a managed Secret");
    let theirs = r#"{"metadata": {"labels": {"theirs": "x"}}, "data": {".dockerconfigjson": "e30="}}"#;
    suite.cluster().kubectl_ok(&["-n", "chart-early-late", "patch", "secret", name, "-p", theirs]);
    eventually(Duration::from_secs(30), || {
        let mut patches = ours(suite).into_iter().filter(|entry| entry.resource == "secrets" && entry.verb == "patch");
        patches.next().map(drop).ok_or_else(|| "it isn't put right".to_owned())
    });
}

fn ours(suite: &Suite) -> Vec<AuditEntry> {
    suite.cluster().audit_log().into_iter().filter(|entry| entry.user == OPERATOR).collect()
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
