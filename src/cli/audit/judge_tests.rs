//! Tests of the whole judgement, from what is known to what is said.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::{
    cli::{diagnosis::Known, out::Report, table::Style},
    image::{
        docker_logins::{ConfigFault, Login, LoginKind},
        pull::Managed,
    },
    plan::{Namespace, Second, Secret, ServiceAccount},
};

const NOW: i64 = 1_800_000_000;

/// For gcr.io/darwin/, in team-*, for the service accounts `default` and `builder`.
fn darwin() -> Credential {
    let object = json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": "darwin", "uid": "u"},
        "spec": {
            "credential": {"gcpServiceAccountKey": {"secretRef": {"name": "key"}}},
            "registries": ["gcr.io/darwin/"], "namespaces": {"names": ["team-*"]},
            "attach": {"serviceAccounts": {"names": ["default", "builder"]}},
        },
        "status": {"conditions": [{"type": "Ready", "status": "False", "reason": "InvalidKey"}]},
    });
    Credential::new(&serde_json::from_value(object).unwrap()).unwrap()
}

fn pod(namespace: &str, name: &str, account: &str, entries: &[&str], image: &str) -> Value {
    let entries: Vec<Value> = entries.iter().map(|name| json!({"name": name})).collect();
    json!({
        "metadata": {"name": name, "namespace": namespace, "creationTimestamp": "2026-01-01T00:00:00Z"},
        "spec": {
            "serviceAccountName": account, "imagePullSecrets": entries,
            "containers": [{"name": "main", "image": image, "imagePullPolicy": "Always"}],
        },
    })
}

fn account(entries: &[&str]) -> ServiceAccount {
    ServiceAccount {
        entries: entries.iter().map(|&name| name.into()).collect(),
        written: Second(NOW),
        ..ServiceAccount::default()
    }
}

/// Two namespaces, of which team-a is a target, with some service accounts and no Secret.
fn cluster(pods: &[Value]) -> Cluster {
    let accounts = [
        (("team-a", "default"), account(&["darwin"])),
        (("team-a", "builder"), account(&[])),
        (("team-a", "other"), account(&[])),
        (("elsewhere", "default"), account(&[])),
    ];
    Cluster {
        namespaces: Some(["team-a", "elsewhere"].map(|name| (name.into(), Namespace::default())).into()),
        accounts: Some(accounts.map(|((namespace, name), it)| ((namespace.into(), name.into()), it)).into()),
        secrets: Some(BTreeMap::new()),
        credentials: vec![darwin()],
        pods: pods.iter().map(|pod| serde_json::from_str(&pod.to_string()).unwrap()).collect(),
        now: NOW,
    }
}

fn with(mut cluster: Cluster, secrets: Vec<(&str, Seen)>) -> Cluster {
    let known = |(name, seen): (&str, Seen)| {
        let owner = matches!(seen, Seen::NotRead { managed: Some(_) }).then(|| "darwin".into());
        let known = Known { created: Some(Second(NOW)), is_marked: owner.is_some(), owner, ..seen.into() };
        (("team-a".into(), name.into()), known)
    };
    cluster.secrets = Some(secrets.into_iter().map(known).collect());
    cluster
}

fn ours() -> Seen {
    let managed = Managed { credential: "darwin".to_owned(), registries: Some(darwin().registries) };
    Seen::NotRead { managed: Some(managed) }
}

fn judged(cluster: &Cluster) -> AuditReport {
    judge(cluster, &Scope::All, Vec::new())
}

/// Reason and object of each finding.
fn found(report: &AuditReport) -> Vec<(&'static str, String)> {
    report.findings.iter().map(|it| (it.finding.reason, format!("{:?}/{}", it.kind, it.name))).collect()
}

/// How the only container stands, and why.
fn stands(report: &AuditReport) -> (Stand, Option<&'static str>) {
    assert_eq!(report.containers.len(), 1, "{report:#?}");
    (report.containers[0].coverage, report.containers[0].reason)
}

const IMAGE: &str = "gcr.io/darwin/api:1";

#[test]
fn each_container_is_covered_or_it_is_said_why_not() {
    for (namespace, account, entries, expected) in [
        ("team-a", "default", &["darwin"][..], (Stand::Covered, None)),
        ("team-a", "default", &[], (Stand::NotCovered, Some("OlderThanEntry"))),
        ("team-a", "default", &["own"], (Stand::NotCovered, Some("PodListReplaces"))),
        ("team-a", "builder", &[], (Stand::NotCovered, Some("EntryMissing"))),
        ("team-a", "other", &[], (Stand::NotCovered, Some("ServiceAccountNotChosen"))),
        ("elsewhere", "default", &[], (Stand::NotCovered, Some("NamespaceNotTargeted"))),
        ("elsewhere", "default", &["darwin"], (Stand::NotCovered, Some("NamespaceNotTargeted"))),
    ] {
        let pods = [pod(namespace, "api", account, entries, IMAGE)];
        let own = Seen::NoPullSecret { secret_type: None };
        let report = judged(&with(cluster(&pods), vec![("darwin", ours()), ("own", own)]));
        assert_eq!(stands(&report), expected, "{namespace}/{account} {entries:?}");
        let counts = report.summary.registry_credentials["darwin"];
        assert_eq!(
            (counts.covered, counts.not_covered, counts.unknown),
            match expected.0 {
                Stand::Covered => (1, 0, 0),
                _ => (0, 1, 0),
            }
        );
        let pods = report.findings.iter().filter(|it| it.kind == Kind::Pod && it.container.is_some());
        assert_eq!(pods.map(|it| it.finding.reason).collect::<Vec<_>>(), Vec::from_iter(expected.1));
    }
    let waits = judged(&with(cluster(&[pod("team-a", "api", "default", &["darwin"], IMAGE)]), Vec::new()));
    assert_eq!(stands(&waits), (Stand::NotCovered, Some("PullSecretMissing")));
    assert!(waits.findings[0].finding.message.contains("whose status is InvalidKey"), "{waits:?}");
}

#[test]
fn what_was_not_read_is_no_finding_until_the_pod_waits() {
    let mut api = pod("team-a", "api", "other", &["theirs"], IMAGE);
    let foreign = || vec![("theirs", Seen::NotRead { managed: None })];
    let report = judged(&with(cluster(&[api.clone()]), foreign()));
    assert_eq!(stands(&report), (Stand::Unknown, Some("ServiceAccountNotChosen")));
    assert!(report.findings.iter().all(|it| it.kind != Kind::Pod), "{report:#?}");

    let waiting = json!({"waiting": {"reason": "ErrImagePull", "message": "401 Unauthorized"}});
    api["status"] = json!({"containerStatuses": [{"name": "main", "state": waiting}]});
    let report = judged(&with(cluster(&[api.clone()]), foreign()));
    let pods = found(&report).into_iter().filter(|(_, object)| object == "Pod/api").map(|(reason, _)| reason);
    assert_eq!(pods.collect::<Vec<_>>(), ["ServiceAccountNotChosen", "PullRefused"]);
    assert_eq!(report.summary.waiting, 1);

    // With its data it is known.
    let logins = vec![Login { name: "gcr.io".to_owned().into(), kind: LoginKind::Other }];
    let read = Seen::Read { logins, written: Some(NOW) };
    let report = judged(&with(cluster(&[api]), vec![("theirs", read)]));
    assert_eq!(stands(&report), (Stand::Covered, None));
    assert_eq!(report.containers[0].secret.as_deref(), Some("theirs"));
    assert!(found(&report).contains(&("CredentialRefused", "Pod/api".to_owned())));
}

#[test]
fn one_unparseable_secret_is_found_for_every_image_of_a_credential() {
    let pods = [pod("team-a", "api", "default", &["darwin", "broken"], IMAGE)];
    let secrets = vec![("darwin", ours()), ("broken", Seen::Unparseable(ConfigFault::Truncated))];
    let report = judged(&with(cluster(&pods), secrets));
    assert_eq!(stands(&report), (Stand::NotCovered, Some("PullSecretUnparseable")));
    assert_eq!(found(&report)[0], ("PullSecretUnparseable", "Pod/api".to_owned()));
}

#[test]
fn pull_secrets_that_are_absent_or_unused_are_found_once() {
    let pods = [
        pod("team-a", "a", "default", &["darwin"], "nginx:1"),
        pod("team-a", "b", "default", &["gone", "gone"], "nginx:1"),
    ];
    let unused = Seen::NotRead { managed: None };
    let report = judged(&with(cluster(&pods), vec![("unused", unused), ("ours", ours())]));
    assert_eq!(
        found(&report),
        [
            ("PullSecretMissing", "Pod/b".to_owned()),
            // Pod a has it from there.
            ("PullSecretMissing", "ServiceAccount/default".to_owned()),
            ("PullSecretUnused", "Secret/unused".to_owned()),
        ]
    );
    assert_eq!(report.containers, []);
}

#[test]
fn a_secret_that_is_used_otherwise_or_has_a_mark_is_not_unused() {
    let mut build = pod("team-a", "a", "builder", &[], "nginx:1");
    build["spec"]["volumes"] = json!([{"name": "v", "secret": {"secretName": "unused"}}]);
    let unused = || Seen::NotRead { managed: None };
    let all = |pods: &[Value]| {
        let mut all = with(cluster(pods), vec![("unused", unused()), ("orphan", unused()), ("darwin", ours())]);
        // Of a RegistryCredential that couldn't be read.
        let orphan = all.secrets.as_mut().unwrap().get_mut(&("team-a".into(), "orphan".into())).unwrap();
        orphan.is_marked = true;
        found(&judged(&all))
    };
    assert_eq!(all(&[]), [("PullSecretUnused", "Secret/unused".to_owned())]);
    assert_eq!(all(&[build.clone()]), []);
    build["status"] = json!({"phase": "Failed"});
    assert_eq!(all(&[build]), [("PullSecretUnused", "Secret/unused".to_owned())]);
}

#[test]
fn a_secret_that_has_not_caught_up_is_told_from_one_of_somebody_elses() {
    let named = || cluster(&[pod("team-a", "api", "default", &["darwin"], IMAGE)]);
    let read = || {
        let logins = vec![Login { name: "quay.io".to_owned().into(), kind: LoginKind::Other }];
        Seen::Read { logins, written: None }
    };
    let mut known = with(named(), vec![("darwin", read())]);
    assert_eq!(stands(&judged(&known)), (Stand::NotCovered, Some("PullSecretOfAnother")));
    let key = ("team-a".into(), "darwin".into());
    known.secrets.as_mut().unwrap().get_mut(&key).unwrap().owner = Some("darwin".into());
    assert_eq!(stands(&judged(&known)), (Stand::NotCovered, Some("PullSecretOutdated")));
    // Without its data it can't be known.
    let managed = Some(Managed { credential: "darwin".to_owned(), registries: None });
    let unknown = with(named(), vec![("darwin", Seen::NotRead { managed })]);
    assert_eq!(stands(&judged(&unknown)), (Stand::Unknown, None));
}

#[test]
fn a_credential_whose_source_names_its_registries_is_found_by_its_status() {
    let hub = |reason: &str, registries: Value| {
        let object = json!({
            "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential",
            "metadata": {"name": "darwin", "uid": "u", "generation": 1},
            "spec": {
                "credential": {"dockerConfig": {"secretRef": {"name": "logins"}}}, "namespaces": {"names": ["team-*"]},
            },
            "status": {
                "observedGeneration": 1, "registries": registries,
                "conditions": [{"type": "Ready", "status": "True", "reason": reason}],
            },
        });
        Credential::new(&serde_json::from_value(object).unwrap()).unwrap()
    };
    let secret = || Secret {
        label: Some("darwin".into()),
        credential_owners: vec![("darwin".into(), "u".into())].into(),
        ..Secret::default()
    };
    let judged = |credential: Credential, entries: &[&str], image: &str| {
        let mut cluster = cluster(&[pod("team-a", "api", "default", entries, image)]);
        let known = Known::not_read(&secret(), std::slice::from_ref(&credential));
        cluster.secrets = Some([(("team-a".into(), "darwin".into()), known)].into());
        cluster.credentials = vec![credential];
        judged(&cluster)
    };
    let both = || json!(["docker.io", "ghcr.io/team/"]);
    for (registries, reason, entries, image, expected) in [
        (both(), "RolledOut", &["darwin"][..], "nginx", Some((Stand::Covered, None))),
        (both(), "RolledOut", &["darwin"], "ghcr.io/team/api:1", Some((Stand::Covered, None))),
        (both(), "RolledOut", &["darwin"], "ghcr.io/other/api:1", None),
        (both(), "RolledOut", &[], "nginx", Some((Stand::NotCovered, Some("OlderThanEntry")))),
        // The Secret may have others by now.
        (both(), "RollingOut", &["darwin"], "nginx", Some((Stand::Unknown, None))),
        (json!(null), "RolledOut", &["darwin"], "nginx", None),
    ] {
        let report = judged(hub(reason, registries), entries, image);
        assert_eq!(report.containers.first().map(|it| (it.coverage, it.reason)), expected, "{reason} {image}");
    }
}

#[test]
fn of_two_credentials_the_nearer_one_is_spoken_of() {
    let pods = [pod("team-a", "api", "builder", &[], IMAGE)];
    let mut two = with(cluster(&pods), Vec::new());
    two.credentials = vec![Credential::of("a", "team-*", true), Credential::of("b", "team-*", false)];
    let report = judged(&two);
    assert_eq!(report.containers[0].registry_credential, "b");
    assert_eq!(stands(&report), (Stand::NotCovered, Some("EntryMissing")));
    let named = (("team-a".into(), "builder".into()), account(&["a"]));
    two.accounts.as_mut().unwrap().extend([named]);
    let report = judged(&two);
    assert_eq!((report.containers[0].registry_credential.as_str(), stands(&report).1), ("a", Some("OlderThanEntry")));
}

#[test]
fn all_that_waits_for_its_image_is_counted_whatever_else_is_said_of_it() {
    let waiting = |image: &str, entries: &[&str], reason: &str| {
        let mut pod = pod("elsewhere", "a", "default", entries, image);
        let state = json!({"waiting": {"reason": reason, "message": ""}});
        pod["status"] = json!({"containerStatuses": [{"name": "main", "state": state}]});
        let mut all = cluster(&[pod]);
        let broken = (("elsewhere".into(), "broken".into()), Seen::Unparseable(ConfigFault::Truncated).into());
        all.secrets.as_mut().unwrap().extend([broken]);
        let report = judged(&all);
        let reasons = report.findings.iter().filter(|it| it.kind == Kind::Pod).map(|it| it.finding.reason);
        (report.summary.waiting, reasons.collect::<Vec<_>>())
    };
    assert_eq!(waiting("nginx", &[], "ImagePullBackOff"), (1, vec!["PullFailed"]));
    assert_eq!(waiting("nginx", &[], "SignatureValidationFailed"), (1, vec!["PullFailed"]));
    assert_eq!(waiting("NGINX", &[], "InvalidImageName"), (1, vec!["InvalidImageName"]));
    assert_eq!(waiting("nginx", &["broken"], "illegal base64 data"), (1, vec!["PullSecretUnparseable"]));
    assert_eq!(waiting("nginx", &[], "ContainerCreating"), (0, vec![]));
}

#[test]
fn an_expired_token_is_found_for_any_image() {
    let logins = vec![Login { name: "quay.io".to_owned().into(), kind: LoginKind::GoogleToken }];
    let pods = [pod("team-a", "a", "builder", &["token"], "quay.io/a/b:1")];
    let report = judged(&with(cluster(&pods), vec![("token", Seen::Read { logins, written: Some(0) })]));
    assert!(found(&report).contains(&("CredentialExpired", "Pod/a".to_owned())), "{report:#?}");
}

#[test]
fn policies_with_which_an_image_is_not_what_one_thinks_are_found() {
    for (image, policy, expected) in [
        ("nginx", "Always", None),
        ("nginx", "IfNotPresent", Some("LatestNotPulled")),
        ("nginx:latest", "IfNotPresent", Some("LatestNotPulled")),
        ("nginx:1", "IfNotPresent", None),
        ("nginx:1", "Never", Some("PullPolicyNever")),
        ("NGINX", "Always", Some("InvalidImageName")),
    ] {
        let mut pod = pod("elsewhere", "a", "default", &[], image);
        pod["spec"]["containers"][0]["imagePullPolicy"] = json!(policy);
        let reasons: Vec<_> = found(&judged(&cluster(&[pod]))).into_iter().map(|(reason, _)| reason).collect();
        assert_eq!(reasons, Vec::from_iter(expected.into_iter().chain(["PullSecretMissing"])), "{image} {policy}");
    }
}

#[test]
fn what_could_not_be_read_leads_to_no_finding() {
    let pods = [pod("team-a", "a", "default", &["gone"], "nginx:1"), pod("elsewhere", "b", "default", &[], IMAGE)];
    let blind = Cluster { namespaces: None, accounts: None, secrets: None, ..cluster(&pods) };
    assert!(!blind.names_what_is_not_there() && cluster(&pods).names_what_is_not_there());
    let report = judged(&blind);
    assert_eq!(stands(&report), (Stand::NotCovered, Some("PullSecretNotNamed")));
    assert_eq!(found(&report), [("PullSecretNotNamed", "Pod/b".to_owned())]);
}

#[test]
fn pods_that_are_over_are_counted_and_passed_over() {
    let mut pod = pod("elsewhere", "a", "default", &["gone"], IMAGE);
    pod["status"] = json!({"phase": "Succeeded"});
    let report = judged(&with(cluster(&[pod]), vec![("darwin", ours())]));
    assert_eq!((report.summary.pods, report.summary.pods_over, report.summary.containers), (0, 1, 0));
    assert_eq!((found(&report), report.containers), (Vec::new(), Vec::new()));
}

#[test]
fn pods_of_one_controller_are_one_row_and_remedies_are_said_once() {
    let owner = json!([{"kind": "ReplicaSet", "name": "api-6d4f", "controller": true}]);
    let mut pods: Vec<Value> = ["x", "y"].map(|name| pod("team-a", name, "default", &[], IMAGE)).into();
    pods.iter_mut().for_each(|pod| pod["metadata"]["ownerReferences"] = owner.clone());
    let report = judged(&with(cluster(&pods), vec![("darwin", ours())]));
    let mut text = Vec::new();
    report.write_table(&mut text, Style::Plain).unwrap();
    let expected = "\
all namespaces: 2 pods with 2 images, of which 0 can't be pulled

REGISTRYCREDENTIAL   COVERED   NOT COVERED   UNKNOWN
darwin               0         2             0

NAMESPACE   OBJECT                PODS   CONTAINER   IMAGE                 REASON           FINDING
team-a      ReplicaSet/api-6d4f   2      main        gcr.io/darwin/api:1   OlderThanEntry   the pod is older than the entry darwin of its service account default

OlderThanEntry
  Have the pods created again (kubectl rollout restart): a pod takes the service account's list over
  only when it is created.
";
    assert_eq!(String::from_utf8(text).unwrap(), expected);
}

fn any_pod() -> impl Strategy<Value = Value> {
    let namespace = prop::sample::select(vec!["team-a", "elsewhere", "unheard-of"]);
    let account = prop::sample::select(vec!["default", "builder", "other", "unheard-of"]);
    let image = prop::sample::select(vec![IMAGE, "gcr.io/darwin/b", "gcr.io/other/a:1", "nginx", "NGINX"]);
    let entries = prop::collection::vec(prop::sample::select(vec!["darwin", "theirs", "broken", "read", "gone"]), 0..4);
    (namespace, account, entries, image)
        .prop_map(|(namespace, account, entries, image)| pod(namespace, "a", account, &entries, image))
}

proptest! {
    #[test]
    fn every_container_that_a_credential_is_for_stands_in_one_way_and_has_a_reason_if_it_is_not_covered(
        pods in prop::collection::vec(any_pod(), 0..6),
        there in prop::collection::vec(any::<bool>(), 4),
    ) {
        let logins = vec![Login { name: "gcr.io".to_owned().into(), kind: LoginKind::Other }];
        let all = vec![
            ("darwin", ours()), ("theirs", Seen::NotRead { managed: None }),
            ("broken", Seen::Unparseable(ConfigFault::Truncated)), ("read", Seen::Read { logins, written: None }),
        ];
        let secrets = all.into_iter().zip(there).filter(|(_, there)| *there).map(|(it, _)| it).collect();
        let cluster = with(cluster(&pods), secrets);
        let report = judged(&cluster);
        let counts = report.summary.registry_credentials["darwin"];
        let is_for = |pod: &&Pod| pod.uses[0].image.as_str().starts_with("gcr.io/darwin/");
        prop_assert_eq!(report.containers.len(), cluster.pods.iter().filter(is_for).count());
        prop_assert_eq!(counts.covered + counts.not_covered + counts.unknown, report.containers.len());
        for (container, pod) in report.containers.iter().zip(cluster.pods.iter().filter(is_for)) {
            let secrets: Vec<&Seen> = pod.pull_secrets.iter().map(|name| cluster.seen(&pod.namespace, name)).collect();
            let image = Reference::parse(pod.uses[0].image.as_str()).unwrap();
            let outcome = Credentials::of(&image, secrets.iter().copied(), NOW).outcome;
            prop_assert_eq!(container.coverage == Stand::Covered, outcome == Outcome::Credentials);
            prop_assert_eq!(container.coverage == Stand::Covered, container.secret.is_some());
            prop_assert_eq!(container.coverage == Stand::NotCovered, container.reason.is_some() && outcome != Outcome::Unknown);
            prop_assert_eq!(container.coverage == Stand::Unknown, outcome == Outcome::Unknown);
        }
        let count: usize = report.summary.findings.values().sum();
        prop_assert_eq!(count, report.findings.len());
    }
}

#[test]
fn a_secret_that_others_make_is_missed_and_is_in_use_where_it_is_attached() {
    let object = json!({
        "apiVersion": "regcred.dev/v1alpha1", "kind": "RegistryCredential", "metadata": {"name": "attaches", "uid": "u"},
        "spec": {"existingSecretName": "theirs", "namespaces": {"names": ["team-*"]}},
    });
    let attaches = || Credential::new(&serde_json::from_value(object.clone()).unwrap()).unwrap();
    let there = || vec![("theirs", Seen::NotRead { managed: None })];
    let mut used = with(cluster(&[]), there());
    used.accounts = Some(BTreeMap::new());
    assert_eq!(found(&judged(&used)), [("PullSecretUnused", "Secret/theirs".to_owned())]);
    used.credentials = vec![attaches()];
    assert_eq!(found(&judged(&used)), [], "a pod that comes may name it");

    // A pod that was created before the entry, for whichever image, and the entry of a Secret that isn't there.
    let mut early = with(cluster(&[pod("team-a", "api", "default", &[], "ghcr.io/team/api:1")]), there());
    early.credentials = vec![attaches()];
    early.accounts = Some([(("team-a".into(), "default".into()), account(&["theirs"]))].into());
    assert_eq!(found(&judged(&early)), [], "whether it has to pull with it isn't known");
    early.secrets = Some(BTreeMap::new());
    let report = judged(&early);
    assert_eq!(found(&report), [("PullSecretMissing", "ServiceAccount/default".to_owned())]);
    let message = &report.findings[0].finding.message;
    assert!(message.contains("theirs, which RegistryCredential attaches leaves to somebody else to make"), "{message}");
}
