//! Whole cases: objects as the API server has them → the report.

use std::collections::BTreeMap;

use kube::api::DynamicObject;
use serde_json::{Value, json};

use super::{
    compose::{Case, compose},
    intent::{Contents, Flags, Intent, Source},
    question::Action,
    report::{Change, PlanReport},
};
use crate::{
    api::{NamespaceName, Reason, RegistryCredentialStatus, SecretName},
    cli::{out::Report, table::Style},
    cluster::observe::Observed,
    credential::{
        SourceSecret,
        testing::{KEY_A, KEY_B, revision_key, secret_json},
    },
    plan::{Namespace, Secret, ServiceAccount, decoded::Limits},
};

fn flags() -> Flags {
    let limits = Limits { credential_namespaces: vec!["regcred-system".to_owned()], ..Limits::default() };
    Flags { limits, revision_key: Some(revision_key()), ..Flags::default() }
}

/// A RegistryCredential whose status says `reason`, with these changes of its spec.
fn credential(reason: &str, more: Value) -> DynamicObject {
    let mut spec = json!({
        "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "darwin-gcr-key"}}},
        "registries": ["gcr.io/darwin/"],
        "namespaces": {"names": ["team-*"]},
    });
    for (member, value) in more.as_object().unwrap() {
        spec[member] = value.clone();
    }
    let ready = json!({
        "type": "Ready", "status": if reason == "RolledOut" { "True" } else { "False" }, "reason": reason,
        "message": "as the status says", "lastTransitionTime": "2026-01-01T00:00:00Z",
    });
    serde_json::from_value(json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential",
        "metadata": {"name": "darwin", "uid": "u", "generation": 3, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": spec, "status": {"observedGeneration": 3, "conditions": [ready]},
    }))
    .unwrap()
}

fn source(key: &str) -> Source {
    Source::Found(SourceSecret::from_json(secret_json(&[("key.json", key.as_bytes())]).as_bytes()).unwrap())
}

fn reason(intent: &Intent) -> Option<Reason> {
    intent.contents.as_ref().err().map(|held| held.reason)
}

#[test]
fn without_the_source_the_status_tells_as_long_as_nothing_that_decides_changes() {
    let was = |reason: &str| credential(reason, json!({}));
    let is = |more: Value| credential("RolledOut", more);
    let intent =
        |before: &DynamicObject, after: &DynamicObject| Intent::new(Some(before), after, Source::NotRead, &flags());
    let fewer = is(json!({"namespaces": {"names": ["team-a"]}, "conflictPolicy": "Adopt"}));
    let other = is(json!({"registries": ["eu.gcr.io/darwin/"]}));
    let labelled = is(json!({"secretTemplate": {"labels": {"a": "b"}}}));
    for (before, after, wanted) in [
        (was("RolledOut"), &fewer, Ok(Contents::AsApplied)),
        (was("RolledOut"), &other, Ok(Contents::New)),
        (was("RolledOut"), &labelled, Ok(Contents::New)),
        (was("InvalidKey"), &fewer, Err(Reason::InvalidKey)),
        (was("SourceNotFound"), &fewer, Err(Reason::SourceNotFound)),
        (was("NamespaceNotAllowed"), &fewer, Err(Reason::NamespaceNotAllowed)),
        // What the status says of another spec may be otherwise with this one.
        (was("InvalidKey"), &other, Ok(Contents::New)),
        // Suspended says nothing of the source, and what came meanwhile isn't rolled out.
        (was("Suspended"), &fewer, Ok(Contents::Unsettled)),
        (was("RollingOut"), &fewer, Ok(Contents::Unsettled)),
        (was("PartiallyReady"), &fewer, Ok(Contents::AsApplied)),
    ] {
        let found = intent(&before, after).contents;
        assert_eq!(found.map_err(|held| held.reason), wanted, "{before:?}");
    }
    let mut unseen = was("RolledOut");
    unseen.data["status"] = serde_json::to_value(RegistryCredentialStatus::pending()).unwrap();
    assert_eq!(intent(&unseen, &fewer).contents, Ok(Contents::Unsettled));
    // A status of an older spec says nothing.
    let mut older = was("InvalidKey");
    older.metadata.generation = Some(4);
    assert_eq!(intent(&older, &older).contents, Ok(Contents::Unsettled));
    let new = Intent::new(None, &fewer, Source::NotRead, &flags());
    assert_eq!(new.contents, Ok(Contents::New));
}

#[test]
fn the_source_that_was_read_counts_before_the_status() {
    let object = credential("SourceNotFound", json!({}));
    let intent = |source: Source| Intent::new(Some(&object), &object, source, &flags());
    assert!(matches!(intent(source(KEY_A)).contents, Ok(Contents::Known(_))));
    assert_ne!(intent(source(KEY_A)).contents, intent(source(KEY_B)).contents);
    assert_eq!(reason(&intent(source("{}"))), Some(Reason::InvalidKey));
    assert_eq!(reason(&intent(Source::Missing)), Some(Reason::SourceNotFound));
    // The operator can't read it, whoever else can.
    let unreadable = credential("SourceUnreadable", json!({}));
    assert_eq!(
        reason(&Intent::new(Some(&unreadable), &unreadable, source(KEY_A), &flags())),
        Some(Reason::SourceUnreadable)
    );
}

#[test]
fn without_the_operators_key_a_source_is_checked_and_not_compared() {
    let flags = Flags { revision_key: None, ..flags() };
    let of = |says: &str, source: Source| {
        let object = credential(says, json!({}));
        Intent::new(Some(&object), &object, source, &flags).contents.map_err(|held| held.reason)
    };
    let applied = |key: &str| match source(key) {
        Source::Found(source) => Source::Applied(source),
        other => other,
    };
    assert_eq!(of("RolledOut", source(KEY_A)), Ok(Contents::AsApplied));
    assert_eq!(of("RollingOut", source(KEY_A)), Ok(Contents::Unsettled));
    assert_eq!(of("RolledOut", source("{}")), Err(Reason::InvalidKey));
    assert_eq!(of("RolledOut", applied(KEY_A)), Ok(Contents::Brought));
    assert_eq!(of("RolledOut", applied("{}")), Err(Reason::InvalidKey));
}

#[test]
fn a_flag_that_was_given_decides_and_of_others_the_operator_knows_better() {
    let elsewhere = json!({"registries": ["registry.example.com/a/"]});
    let decided = |reasons: &[Reason]| Flags { decided: reasons.iter().copied().collect(), ..flags() };
    let intent = |says: &str, flags: &Flags| {
        let object = credential(says, elsewhere.clone());
        Intent::new(Some(&object), &object, source(KEY_A), flags)
    };
    assert_eq!(reason(&intent("RolledOut", &flags())), Some(Reason::RegistryNotAllowed));
    assert_eq!(reason(&intent("RegistryNotAllowed", &flags())), Some(Reason::RegistryNotAllowed));
    let mut allowed = decided(&[Reason::RegistryNotAllowed]);
    allowed.limits.allowed_registries = "registry.example.com".parse().unwrap();
    assert!(matches!(intent("RegistryNotAllowed", &allowed).contents, Ok(Contents::Known(_))));
}

/// A namespace with the default service account and, perhaps, a Secret darwin.
fn namespace(name: &str, secret: Option<Value>) -> (NamespaceName, Namespace) {
    let account = json!({"metadata": {"name": "default", "namespace": name, "uid": "a", "resourceVersion": "5"}});
    let account: Observed<ServiceAccount> = serde_json::from_value(account).unwrap();
    let secret =
        secret.map(|metadata| serde_json::from_value::<Observed<Secret>>(json!({"metadata": metadata})).unwrap());
    let namespace = Namespace {
        secrets: secret.into_iter().map(|seen| (SecretName::from("darwin"), seen.object)).collect(),
        service_accounts: [("default".into(), account.object)].into_iter().collect(),
        ..Namespace::default()
    };
    (name.into(), namespace)
}

/// As the operator has applied it.
fn applied(revision: &str) -> Value {
    json!({
        "name": "darwin", "uid": "s", "resourceVersion": "7", "labels": {"regcred.dev/credential": "darwin"},
        "annotations": {"regcred.dev/revision": revision},
        "ownerReferences": [{"apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "name": "darwin", "uid": "u"}],
        "managedFields": [{"manager": "regcred", "operation": "Apply", "fieldsV1": {
            "f:data": {"f:.dockerconfigjson": {}},
            "f:metadata": {"f:annotations": {"f:a": {}}, "f:labels": {"f:b": {}}},
        }}],
    })
}

fn report(
    action: Action,
    before: Option<&DynamicObject>,
    after: Option<&DynamicObject>,
    source: Source,
    namespaces: Vec<(NamespaceName, Namespace)>,
) -> PlanReport {
    let change = if action == Action::Delete { Change::Delete } else { Change::None };
    let intents = |object: Option<&DynamicObject>, source: Source| -> Vec<Intent> {
        object.map(|object| Intent::new(before, object, source, &flags())).into_iter().collect()
    };
    compose(Case {
        action,
        namespace: None,
        namespaces,
        before: intents(before, Source::NotRead),
        after: intents(after, source),
        subjects: (action != Action::None).then(|| BTreeMap::from([("darwin".into(), change)])),
        notes: Vec::new(),
    })
}

fn table(report: &PlanReport) -> String {
    let mut text = Vec::new();
    report.write_table(&mut text, Style::Plain).unwrap();
    String::from_utf8(text).unwrap()
}

#[test]
fn namespaces_to_which_the_same_happens_are_folded() {
    let after = credential("RolledOut", json!({}));
    let foreign = json!({"name": "darwin", "uid": "f", "resourceVersion": "3"});
    let mut namespaces: Vec<_> = (0..5).map(|at| namespace(&format!("team-{at}"), None)).collect();
    namespaces.insert(2, namespace("team-1x", Some(foreign)));
    namespaces.push(namespace("elsewhere", None));
    let report = report(Action::Apply, None, Some(&after), Source::NotRead, namespaces);
    let table = table(&report);
    let wanted = "\
NAMESPACE                   ACTION      OBJECT                      DETAIL
team-0, team-1 and 3 more   Create      Secret darwin               for RegistryCredential darwin
team-0, team-1 and 3 more   Add entry   ServiceAccount default      darwin of RegistryCredential darwin
team-1x                     Refuse      RegistryCredential darwin   ForeignSecret: ";
    assert!(table.starts_with(wanted), "{table}");
    let end = "\n5 Secrets to create; 5 entries to add in 5 service accounts; in 5 namespaces; 1 refused\nnote: the source \
               wasn't read for darwin, so it isn't known whether it can be used; add --read-source, if you may read it\n";
    assert!(table.ends_with(end), "{table}");
    assert_eq!(report.count_findings(), 1);
}

#[test]
fn a_secret_that_the_operator_applied_counts_as_current_until_the_source_is_read() {
    let object = credential("RolledOut", json!({}));
    let namespaces =
        || vec![namespace("team-a", Some(applied("v1:one"))), namespace("team-b", Some(applied("v1:two")))];
    let ask = |source: Source| report(Action::None, Some(&object), Some(&object), source, namespaces());
    assert_eq!((ask(Source::NotRead).counts.secrets.update, ask(Source::NotRead).counts.entries.add), (0, 2));
    assert_eq!(ask(source(KEY_A)).counts.secrets.update, 2);
    let mut drifted = applied("v1:one");
    drifted["managedFields"] = json!([]);
    let drifted = vec![namespace("team-a", Some(drifted))];
    let report = report(Action::None, Some(&object), Some(&object), Source::NotRead, drifted);
    assert_eq!(report.namespaces[0].secrets[0].cause, Some("Drift"));
}

#[test]
fn what_is_held_is_a_finding_and_changes_nothing() {
    let before = credential("RolledOut", json!({}));
    let after = credential("RolledOut", json!({"suspend": true, "registries": ["eu.gcr.io/x/"]}));
    let namespaces = vec![namespace("team-a", Some(applied("v1:one"))), namespace("team-b", None)];
    let report = report(Action::Apply, Some(&before), Some(&after), Source::NotRead, namespaces);
    assert_eq!(
        table(&report),
        "NAMESPACE   ACTION   OBJECT                      DETAIL\n-           Hold     RegistryCredential darwin   Suspended: \
         spec.suspend is true: nothing is written and nothing removed\n1 RegistryCredential held\n"
    );
    assert_eq!(report.count_findings(), 1);
}

#[test]
fn deletion_takes_what_the_garbage_collector_takes_too() {
    let before = credential("InvalidKey", json!({}));
    let mut without_label = applied("v1:one");
    without_label["labels"] = json!({});
    let namespaces = vec![namespace("team-a", Some(applied("v1:one"))), namespace("team-b", Some(without_label))];
    let report = report(Action::Delete, Some(&before), None, Source::NotRead, namespaces);
    assert_eq!((report.counts.secrets.delete, report.count_findings(), report.notes.len()), (2, 0, 0), "{report:?}");
    assert_eq!(table(&report).lines().last(), Some("2 Secrets to delete; in 2 namespaces"));
}

#[test]
fn nothing_is_said_in_words() {
    let object = credential("RolledOut", json!({"namespaces": {"names": ["elsewhere"]}}));
    let ask = |action: Action| report(action, Some(&object), Some(&object), source(KEY_A), Vec::new());
    assert_eq!(table(&ask(Action::None)), "nothing to do\n");
    assert_eq!(table(&ask(Action::Apply)), "nothing changes in any namespace\n");
}

#[test]
fn a_secret_of_another_type_is_in_the_way_of_who_wants_its_name_and_of_nobody_else() {
    let object = credential("RolledOut", json!({}));
    let of_another_type = |name: &str| {
        let (name, mut namespace) = namespace(name, Some(applied("v1:one")));
        let mut of_the_dead = namespace.secrets.get("darwin").unwrap().clone();
        of_the_dead.label = Some("gone".into());
        of_the_dead.credential_owners = [("gone".into(), "dead".into())].into();
        namespace.secrets.insert("old".into(), of_the_dead);
        namespace.secrets.get_mut("darwin").unwrap().wrong_type = true;
        (name, namespace)
    };
    let namespaces = vec![of_another_type("elsewhere"), of_another_type("team-a")];
    let report = report(Action::None, Some(&object), Some(&object), Source::NotRead, namespaces);
    let refused = report.namespaces.iter().map(|it| it.refusals.iter().map(|it| it.reason).collect::<Vec<_>>());
    assert_eq!(refused.collect::<Vec<_>>(), [vec![], vec!["WrongType"]], "{report:?}");
    assert_eq!((report.counts.secrets.delete, report.counts.secrets.update), (2, 0), "what else is there is seen");
}

#[test]
fn of_a_secret_that_others_make_entries_are_all_that_is_planned() {
    let attaching = |reason: &str, more: Value| {
        let mut object = credential(reason, more);
        let spec = object.data["spec"].as_object_mut().unwrap();
        spec.retain(|member, _| !["credential", "registries"].contains(&member.as_str()));
        spec.insert("existingSecretName".to_owned(), json!("darwin"));
        object
    };
    let theirs = || json!({"name": "darwin", "uid": "f", "resourceVersion": "3"});
    let object = attaching("RolledOut", json!({}));
    let namespaces = vec![namespace("team-a", Some(theirs())), namespace("team-b", None)];
    let planned = report(Action::Apply, None, Some(&object), Source::NotRead, namespaces);
    let table = table(&planned);
    assert!(table.contains("Add entry   ServiceAccount default      darwin of RegistryCredential darwin\n"), "{table}");
    assert!(table.contains("SecretMissing: there is no Secret darwin of type"), "{table}");
    assert_eq!(
        (planned.counts.secrets, planned.counts.entries.add, planned.counts.refused),
        (Default::default(), 1, 1)
    );
    assert_eq!(
        (planned.registry_credentials[0].contents, planned.notes.len()),
        (None, 0),
        "there is no source to read"
    );

    // What the operator holds for a flag that nobody gave here is held; what is said of another kind of fault is not.
    let intent = |object: &DynamicObject| reason(&Intent::new(Some(object), object, Source::NotRead, &flags()));
    assert_eq!(intent(&attaching("SecretNameNotAllowed", json!({}))), Some(Reason::SecretNameNotAllowed));
    assert_eq!(intent(&attaching("PartiallyReady", json!({}))), None);
    assert_eq!(intent(&attaching("RolledOut", json!({"suspend": true}))), Some(Reason::Suspended));
}
