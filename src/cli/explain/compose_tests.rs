//! Tests of the whole answer, from what is known to what is said.

use super::*;
use crate::{
    api::ServiceAccountName,
    cli::{
        diagnosis::{Cluster, Credential},
        explain::subject::{Kind, Subject},
        out::Report,
        pod::{Pod, testing::pod},
        table::Style,
    },
    image::{
        docker_logins::{ConfigFault, Login, LoginKind},
        pull::Managed,
    },
    plan::{Namespace, Second, ServiceAccount},
};

const NOW: i64 = 1_800_000_000;

/// A pod of the service account `default`, which names nothing, in the namespace team-a.
fn case(secrets: Vec<(&str, Seen)>) -> Case {
    let entries: Vec<&str> = secrets.iter().map(|(name, _)| *name).collect();
    let pod = Pod { created: Second(NOW), ..pod("team-a", &entries) };
    let seen = secrets.into_iter().map(|(name, seen)| (("team-a".into(), name.into()), seen.into()));
    let cluster = Cluster {
        namespaces: Some([("team-a".into(), Namespace::default())].into()),
        accounts: Some([(("team-a".into(), "default".into()), ServiceAccount::default())].into()),
        secrets: Some(seen.collect()),
        now: NOW,
        ..Cluster::default()
    };
    let subject = Subject { kind: Kind::Pod, name: "api-1".to_owned(), pod, account: None };
    Case { policy: None, subject: Some(subject), cluster }
}

/// The service account `default` names these.
fn account(case: &mut Case, entries: &[&str]) {
    let entries = entries.iter().map(|&name| name.into()).collect();
    let account = ServiceAccount { entries, written: Second(NOW), ..ServiceAccount::default() };
    case.cluster.accounts = Some([(("team-a".into(), ServiceAccountName::from("default")), account)].into());
}

fn read(entries: &[&str], kind: LoginKind, written: i64) -> Seen {
    let logins = entries.iter().map(|name| Login { name: (*name).to_owned().into(), kind }).collect();
    Seen::Read { logins, written: Some(written) }
}

fn managed() -> Managed {
    Managed { credential: "darwin".to_owned(), registries: Some(vec!["gcr.io/darwin/".to_owned()]) }
}

fn used(case: &mut Case, image: &str, policy: PullPolicy, waiting: Option<(&str, &str)>) {
    let uses = &mut case.subject.as_mut().unwrap().pod.uses;
    let waiting = waiting.map(|(reason, message)| (reason.into(), message.into()));
    let one = Use { image: image.into(), name: format!("c{}", uses.len()).into(), policy: Some(policy), waiting };
    *uses = uses.iter().cloned().chain([one]).collect();
}

fn reasons(report: &Explanations) -> Vec<&'static str> {
    let all = report.findings.iter().chain(report.images.iter().flat_map(|image| &image.findings));
    all.map(|finding| finding.reason).collect()
}

fn outcome(report: &Explanations) -> &'static str {
    report.images[0].credentials.as_ref().unwrap().outcome
}

const IMAGE: &str = "gcr.io/darwin/api:1";

#[test]
fn offline_the_reference_and_its_policy_are_all_there_is() {
    let report = explain(&Case::default(), Some("nginx"));
    let image = &report.images[0];
    let reference = image.reference.as_ref().unwrap();
    assert_eq!((reference.registry.as_str(), reference.repository.as_str()), ("docker.io", "library/nginx"));
    assert_eq!((reference.tag.as_deref(), image.pull_policy.policy), (Some("latest"), "Always"));
    assert_eq!((report.count_findings(), image.credentials.is_none()), (0, true));

    let report = explain(&Case::default(), Some("NGINX"));
    assert_eq!(reasons(&report), ["InvalidImageName"]);
    assert_eq!((report.images[0].pull_policy.policy, report.images[0].pull_policy.from), ("IfNotPresent", "Default"));
}

#[test]
fn the_policy_is_that_of_the_user_or_the_pod_or_the_default() {
    let mut case = case(Vec::new());
    let policy = |case: &Case| {
        let policy = explain(case, Some(IMAGE)).images.remove(0).pull_policy;
        (policy.policy, policy.from)
    };
    assert_eq!(policy(&case), ("IfNotPresent", "Default"));
    used(&mut case, IMAGE, PullPolicy::Always, None);
    assert_eq!(policy(&case), ("Always", "Pod"));
    case.policy = Some(PullPolicy::Never);
    assert_eq!(policy(&case), ("Never", "Given"));
}

#[test]
fn each_image_of_a_pod_is_explained_once_for_each_policy() {
    let mut case = case(Vec::new());
    for (image, policy) in [
        (IMAGE, PullPolicy::Always),
        ("docker.io/library/nginx", PullPolicy::Always),
        (IMAGE, PullPolicy::Always),
        (IMAGE, PullPolicy::Never),
    ] {
        used(&mut case, image, policy, None);
    }
    let report = explain(&case, None);
    let users: Vec<String> = report.images.iter().map(|image| image.used_by.join(" ")).collect();
    assert_eq!(users, ["c0 c2", "c1", "c3"]);
    assert_eq!(explain(&case, Some("nginx")).images[0].used_by, ["c1"]);
    assert_eq!(explain(&case, Some("redis")).images[0].used_by, [""; 0]);
}

#[test]
fn what_wins_and_what_follows_is_said_in_order() {
    let secrets = vec![
        ("wide", read(&["gcr.io"], LoginKind::Other, 0)),
        ("darwin", Seen::NotRead { managed: Some(managed()) }),
        ("theirs", Seen::NotRead { managed: None }),
    ];
    let report = explain(&case(secrets), Some(IMAGE));
    let credentials = report.images[0].credentials.as_ref().unwrap();
    let tried: Vec<_> =
        credentials.tried.iter().map(|it| (it.secret.as_str(), it.entry.as_str(), it.known_by)).collect();
    assert_eq!(tried, [("darwin", "gcr.io/darwin/", "RegistryCredential"), ("wide", "gcr.io", "Data")]);
    assert!(credentials.incomplete);
    assert!(credentials.meaning.starts_with("Secret darwin's entry gcr.io/darwin/ is used first"), "{credentials:?}");
    assert_eq!(report.count_findings(), 0);
}

#[test]
fn without_data_it_says_what_is_not_known() {
    let report = explain(&case(vec![("theirs", Seen::NotRead { managed: None })]), Some(IMAGE));
    assert_eq!((outcome(&report), report.pull_secrets[0].state), ("Unknown", "NotRead"));
    let report = explain(&case(vec![("theirs", Seen::Unseen("you may not".to_owned()))]), Some(IMAGE));
    assert_eq!((outcome(&report), report.pull_secrets[0].state), ("Unknown", "NotAllowed"));
    assert_eq!(report.count_findings(), 0);
}

#[test]
fn a_broken_secret_blocks_and_a_missing_one_does_not() {
    let broken = ("broken", Seen::Unparseable(ConfigFault::Auth(1)));
    let report = explain(&case(vec![broken]), Some("nginx"));
    assert_eq!((outcome(&report), reasons(&report)), ("Blocked", vec!["PullSecretUnparseable"]));
    let other = Seen::NoPullSecret { secret_type: Some("Opaque".to_owned()) };
    let report = explain(&case(vec![("gone", Seen::Missing), ("other", other)]), Some("nginx"));
    assert_eq!((outcome(&report), reasons(&report)), ("Anonymous", vec!["PullSecretMissing", "NoPullSecret"]));
}

#[test]
fn a_credential_that_would_do_and_is_not_named_is_found() {
    let mut known = case(Vec::new());
    for (namespaces, expected) in [("elsewhere", "NamespaceNotTargeted"), ("team-*", "EntryMissing")] {
        known.cluster.credentials = vec![Credential::of("darwin", namespaces, true)];
        assert_eq!(reasons(&explain(&known, Some(IMAGE))), [expected]);
        assert_eq!(reasons(&explain(&known, Some("nginx"))), [""; 0]);
    }
    let accounts = known.cluster.accounts.replace(Default::default());
    assert_eq!(reasons(&explain(&known, Some(IMAGE))), ["ServiceAccountMissing"]);
    known.cluster.accounts = None;
    assert_eq!(reasons(&explain(&known, Some(IMAGE))), ["PullSecretNotNamed"]);
    known.cluster.accounts = accounts;
    account(&mut known, &["darwin"]);
    assert_eq!(reasons(&explain(&known, Some(IMAGE))), ["OlderThanEntry"]);
    assert_eq!(reasons(&explain(&known, Some("nginx"))), [""; 0]);
    // What an entry of somebody else's is for isn't known.
    account(&mut known, &["theirs"]);
    assert_eq!(reasons(&explain(&known, Some("nginx"))), ["OlderThanEntry"]);

    let managed = ("darwin", Seen::NotRead { managed: Some(managed()) });
    let mut named = case(vec![managed]);
    named.cluster.credentials = vec![Credential::of("darwin", "team-*", true)];
    assert_eq!(reasons(&explain(&named, Some(IMAGE))), [""; 0]);
    let mut own = case(vec![("own", read(&["quay.io"], LoginKind::Other, 0))]);
    account(&mut own, &["theirs"]);
    assert_eq!(reasons(&explain(&own, Some("nginx"))), ["PodListReplaces"]);
}

#[test]
fn a_secret_that_a_credential_is_to_make_is_said_once_to_be_missing() {
    let mut waits = case(vec![("darwin", Seen::Missing)]);
    waits.cluster.credentials = vec![Credential::of("darwin", "team-*", true)];
    let report = explain(&waits, Some(IMAGE));
    assert_eq!(reasons(&report), ["PullSecretMissing"]);
    assert!(report.findings[0].message.contains("RegistryCredential darwin"), "{report:?}");
    waits.cluster.credentials = vec![Credential::of("darwin", "elsewhere", true)];
    let report = explain(&waits, Some(IMAGE));
    assert_eq!(reasons(&report), ["PullSecretMissing", "NamespaceNotTargeted"]);
    assert!(!report.findings[0].message.contains("RegistryCredential"), "{report:?}");
}

#[test]
fn a_stale_credential_that_shadows_a_public_image_is_found() {
    let token = || vec![("token", read(&["docker.io"], LoginKind::GoogleToken, 0))];
    assert_eq!(reasons(&explain(&case(token()), Some("nginx"))), ["CredentialExpired"]);
    let mut refused = case(vec![("old", read(&["docker.io"], LoginKind::Other, 0))]);
    used(&mut refused, "nginx", PullPolicy::Always, Some(("ImagePullBackOff", "…: 401 Unauthorized")));
    let report = explain(&refused, None);
    assert_eq!(reasons(&report), ["CredentialRefused"]);
    assert!(report.images[0].findings[0].remedy.contains("anonymously"));
}

#[test]
fn the_registrys_answer_is_told_apart_by_what_was_asked() {
    for (reason, message, expected) in [
        ("ImagePullBackOff", "403 Forbidden", "AnonymousRefused"),
        ("illegal base64 data at input byte 0", "illegal base64 data at input byte 0", "PullSecretUnparseable"),
        ("ErrImagePull", "gcr.io/darwin/api:1: not found", "ImageNotFound"),
        ("ErrImagePull", "dial tcp: lookup gcr.io: no such host", "RegistryUnreachable"),
        ("RegistryUnavailable", "", "RegistryUnreachable"),
        ("ErrImagePull", "toomanyrequests", "TooManyPulls"),
        ("ErrImagePull", "no space left on device", "PullFailed"),
        ("ErrImageNeverPull", "", "ImageNeverPulled"),
    ] {
        let mut waiting = case(Vec::new());
        used(&mut waiting, IMAGE, PullPolicy::Never, Some((reason, message)));
        assert_eq!(reasons(&explain(&waiting, None)), [expected], "{reason}: {message}");
    }
    let mut starting = case(Vec::new());
    used(&mut starting, IMAGE, PullPolicy::Never, Some(("ContainerCreating", "401 Unauthorized")));
    assert_eq!(reasons(&explain(&starting, None)), [""; 0]);
}

#[test]
fn it_reads_as_a_text_for_people() {
    let secrets = vec![
        ("darwin", Seen::NotRead { managed: Some(managed()) }),
        ("gone", Seen::Missing),
        ("theirs", Seen::NotRead { managed: None }),
    ];
    let mut case = case(secrets);
    used(&mut case, IMAGE, PullPolicy::IfNotPresent, Some(("ImagePullBackOff", "403 Forbidden")));
    let mut text = Vec::new();
    explain(&case, None).write_table(&mut text, Style::Plain).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), include_str!("../../../tests/image/explained.txt"));
}
