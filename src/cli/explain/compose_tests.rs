//! Tests of the whole answer, from what is known to what is said.

use super::*;
use crate::{
    cli::{
        explain::{
            read::Credential,
            subject::{Kind, Subject},
        },
        out::Report,
        table::Style,
    },
    credential::docker_logins::{ConfigFault, Login, LoginKind},
    pull::Managed,
};

fn case(secrets: Vec<Named>) -> Case {
    let subject = Subject {
        kind: Kind::Pod,
        namespace: "team-a".to_owned(),
        name: "api-1".to_owned(),
        service_account: "default".to_owned(),
        pull_secrets: secrets.iter().map(|named| named.name.clone()).collect(),
        of_service_account: Some(Vec::new()),
        uses: Vec::new(),
    };
    Case { subject: Some(subject), secrets, now: 1_800_000_000, ..Case::default() }
}

fn named(name: &str, seen: Seen) -> Named {
    Named { name: name.to_owned(), seen }
}

fn read(entries: &[&str], kind: LoginKind, written: i64) -> Seen {
    let logins = entries.iter().map(|name| Login { name: (*name).to_owned().into(), kind }).collect();
    Seen::Read { logins, written: Some(written) }
}

fn managed() -> Managed {
    Managed { credential: "darwin".to_owned(), registries: vec!["gcr.io/darwin/".to_owned()] }
}

fn darwin() -> Credential {
    Credential { uid: "u".to_owned(), secret: "darwin".to_owned(), says: managed() }
}

fn used(case: &mut Case, image: &str, policy: PullPolicy, waiting: Option<(&str, &str)>) {
    let name = format!("c{}", case.subject.as_ref().unwrap().uses.len());
    let waiting = waiting.map(|(reason, message)| (reason.to_owned(), message.to_owned()));
    let one = Use { image: image.to_owned(), name, policy: Some(policy), waiting };
    case.subject.as_mut().unwrap().uses.push(one);
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
        named("wide", read(&["gcr.io"], LoginKind::Other, 0)),
        named("darwin", Seen::NotRead { managed: Some(managed()) }),
        named("theirs", Seen::NotRead { managed: None }),
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
    let report = explain(&case(vec![named("theirs", Seen::NotRead { managed: None })]), Some(IMAGE));
    assert_eq!((outcome(&report), report.pull_secrets[0].state), ("Unknown", "NotRead"));
    let report = explain(&case(vec![named("theirs", Seen::Unseen("you may not".to_owned()))]), Some(IMAGE));
    assert_eq!((outcome(&report), report.pull_secrets[0].state), ("Unknown", "NotAllowed"));
    assert_eq!(report.count_findings(), 0);
}

#[test]
fn a_broken_secret_blocks_and_a_missing_one_does_not() {
    let broken = named("broken", Seen::Unparseable(ConfigFault::Auth(1)));
    let report = explain(&case(vec![broken]), Some("nginx"));
    assert_eq!((outcome(&report), reasons(&report)), ("Blocked", vec!["PullSecretUnparseable"]));
    let other = Seen::NoPullSecret { secret_type: Some("Opaque".to_owned()) };
    let report = explain(&case(vec![named("gone", Seen::Missing), named("other", other)]), Some("nginx"));
    assert_eq!((outcome(&report), reasons(&report)), ("Anonymous", vec!["PullSecretMissing", "NoPullSecret"]));
}

#[test]
fn a_credential_that_would_do_and_is_not_named_is_found() {
    let mut known = case(Vec::new());
    known.credentials = vec![darwin()];
    assert_eq!(reasons(&explain(&known, Some(IMAGE))), ["PullSecretNotNamed"]);
    assert_eq!(reasons(&explain(&known, Some("nginx"))), [""; 0]);
    known.subject.as_mut().unwrap().of_service_account = Some(vec!["darwin".to_owned()]);
    assert_eq!(reasons(&explain(&known, Some(IMAGE))), ["PodWithoutPullSecret"]);
    assert_eq!(reasons(&explain(&known, Some("nginx"))), [""; 0]);
    known.subject.as_mut().unwrap().of_service_account = Some(vec!["theirs".to_owned()]);
    assert_eq!(reasons(&explain(&known, Some("nginx"))), ["PodWithoutPullSecret"]);
    let mut named = case(vec![named("darwin", Seen::NotRead { managed: Some(managed()) })]);
    named.credentials = vec![darwin()];
    assert_eq!(reasons(&explain(&named, Some(IMAGE))), [""; 0]);
}

#[test]
fn a_stale_credential_that_shadows_a_public_image_is_found() {
    let token = || vec![named("token", read(&["docker.io"], LoginKind::GoogleToken, 0))];
    assert_eq!(reasons(&explain(&case(token()), Some("nginx"))), ["CredentialExpired"]);
    let mut refused = case(vec![named("old", read(&["docker.io"], LoginKind::Other, 0))]);
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
        named("darwin", Seen::NotRead { managed: Some(managed()) }),
        named("gone", Seen::Missing),
        named("theirs", Seen::NotRead { managed: None }),
    ];
    let mut case = case(secrets);
    used(&mut case, IMAGE, PullPolicy::IfNotPresent, Some(("ImagePullBackOff", "403 Forbidden")));
    let mut text = Vec::new();
    explain(&case, None).write_table(&mut text, Style::Plain).unwrap();
    assert_eq!(String::from_utf8(text).unwrap(), include_str!("../../../tests/image/explained.txt"));
}
