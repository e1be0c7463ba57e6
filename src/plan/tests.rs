//! What the proof doesn't tell: who wins, whose a Secret is, what is refused and how far it is; as tables.

use jiff::Timestamp;

use super::{
    decision::{Ownership, name_owner, ownership},
    *,
};
use crate::{
    api::{AttachTargets, ConflictPolicy, CredentialName, NamespaceName, NamespaceTargets},
    credential::testing::{resolved, spec},
};

const FIELDS: usize = 3;

fn here() -> NamespaceName {
    "team-a".into()
}

/// A credential with the UID `<name>-uid` that wants the Secret `pull` in team-a, for the service account `default`.
fn desired(name: &str, created: i64) -> Desired {
    let namespaces = NamespaceTargets { names: vec!["team-a".to_owned()], ..NamespaceTargets::default() };
    Desired {
        credential: name.into(),
        uid: format!("{name}-uid").into(),
        created: Timestamp::from_second(created).unwrap(),
        secret: "pull".into(),
        maker: Maker::Us,
        scope: Scope::Known {
            namespaces: NamespaceRule::new(&namespaces).unwrap(),
            service_accounts: ServiceAccountRule::new(&AttachTargets::default()).unwrap(),
        },
        policy: ConflictPolicy::Fail,
        state: DesiredState::Resolved {
            revision: resolved("any", &spec(&["gcr.io"])).revision().clone(),
            fields: FIELDS,
        },
        stuck: StuckRule::default(),
    }
}

fn held(name: &str, created: i64) -> Desired {
    Desired { state: DesiredState::Stalled, ..desired(name, created) }
}

/// One that leaves it to others to make its Secret.
fn attaching(name: &str, created: i64) -> Desired {
    Desired { state: DesiredState::Attached, maker: Maker::Others, ..desired(name, created) }
}

fn elsewhere(desired: Desired) -> Desired {
    let scope = Scope::Known {
        namespaces: NamespaceRule::new(&NamespaceTargets::default()).unwrap(),
        service_accounts: ServiceAccountRule::new(&AttachTargets::default()).unwrap(),
    };
    Desired { scope, ..desired }
}

fn unknown(desired: Desired) -> Desired {
    Desired { scope: Scope::Unknown, ..desired }
}

/// A Secret with this label and these owners: name and UID.
fn secret(label: Option<&str>, owners: &[(&str, &str)]) -> Secret {
    Secret {
        uid: "s".into(),
        label: label.map(Into::into),
        credential_owners: owners.iter().map(|(name, uid)| ((*name).into(), (*uid).into())).collect(),
        ..Secret::default()
    }
}

fn current(desired: &Desired) -> Secret {
    let DesiredState::Resolved { revision, .. } = &desired.state else { panic!("held") };
    Secret {
        revision: Some(revision.as_str().into()),
        owned_fields: Some(FIELDS),
        ..secret(Some(desired.credential.as_str()), &[(desired.credential.as_str(), desired.uid.as_str())])
    }
}

fn with(secret: Option<Secret>, accounts: &[(&str, ServiceAccount)]) -> Namespace {
    Namespace {
        secrets: secret.map(|secret| ("pull".into(), secret)).into_iter().collect(),
        service_accounts: accounts.iter().map(|(name, account)| ((*name).into(), account.clone())).collect(),
        ..Namespace::default()
    }
}

/// A service account whose entry `pull` this credential has added.
fn recorded(credential: &str) -> ServiceAccount {
    let added = [("pull".into(), credential.into())].into();
    ServiceAccount { entries: ["pull".into()].into(), added, annotations: Annotations::Present, ..Default::default() }
}

#[test]
fn a_secret_is_ours_by_label_and_owner_together() {
    let (darwin, other) = (desired("darwin", 1), desired("other", 2));
    let all_desired = [&darwin, &other];
    let also_owned = |secret: Secret| Secret { other_owners: OtherOwners::Some, ..secret };
    let ours = || Ownership::Ours("darwin".into());
    for (observed, expected) in [
        (secret(Some("darwin"), &[("darwin", "darwin-uid")]), ours()),
        (secret(Some("darwin"), &[("other", "other-uid"), ("darwin", "darwin-uid")]), ours()),
        (also_owned(secret(Some("darwin"), &[("darwin", "darwin-uid")])), ours()),
        (secret(Some("darwin"), &[("darwin", "old")]), Ownership::Left("darwin".into())),
        (secret(Some("gone"), &[("gone", "old"), ("gone", "older")]), Ownership::Left("gone".into())),
        (also_owned(secret(Some("gone"), &[("gone", "old")])), Ownership::Foreign),
        (secret(Some("darwin"), &[("gone", "old")]), Ownership::Foreign),
        (secret(Some("gone"), &[("gone", "darwin-uid")]), Ownership::Foreign),
        (secret(Some("darwin"), &[("other", "other-uid")]), Ownership::Foreign),
        (secret(Some("darwin"), &[]), Ownership::Orphaned("darwin".into())),
        (also_owned(secret(Some("darwin"), &[])), Ownership::Foreign),
        (secret(None, &[("darwin", "darwin-uid")]), Ownership::Foreign),
        (secret(None, &[]), Ownership::Foreign),
    ] {
        assert_eq!(ownership(&observed, &all_desired), expected, "{observed:?}");
    }
}

#[test]
fn the_owner_keeps_the_name_then_the_older_then_the_first_by_name_has_it() {
    let owned_by = |name: &str| Some(secret(Some(name), &[(name, &format!("{name}-uid"))]));
    let left_by = |name: &str| Some(secret(Some(name), &[(name, "old")]));
    let (old, new) = (|| desired("z", 1), || desired("a", 2));
    for (why, all_desired, namespace, expected) in [
        ("the older", vec![new(), old()], with(None, &[]), Some("z")),
        ("the first by name", vec![desired("b", 1), desired("a", 1)], with(None, &[]), Some("a")),
        ("the owner", vec![new(), old()], with(owned_by("a"), &[]), Some("a")),
        ("a dead owner counts for nothing", vec![new(), old()], with(left_by("a"), &[]), Some("z")),
        ("unless it is held", vec![held("a", 2), old()], with(left_by("a"), &[]), Some("a")),
        ("nobody", vec![elsewhere(old())], with(owned_by("z"), &[]), None),
        ("held elsewhere", vec![elsewhere(held("z", 1))], with(None, &[]), None),
        ("held, its Secret is here", vec![elsewhere(held("z", 1)), new()], with(owned_by("z"), &[]), Some("z")),
        (
            "held, its entry is here",
            vec![elsewhere(held("z", 1)), new()],
            with(None, &[("any", recorded("z"))]),
            Some("z"),
        ),
        (
            "held, its predecessor's entry is here",
            vec![Desired { secret: "other".into(), ..held("z", 1) }, new()],
            with(None, &[("any", recorded("z"))]),
            Some("a"),
        ),
        ("held, who knows where", vec![unknown(held("z", 1)), new()], with(None, &[]), Some("z")),
        ("held, who knows where, but younger", vec![unknown(held("z", 3)), new()], with(None, &[]), Some("a")),
        (
            "held, another name",
            vec![unknown(Desired { secret: "other".into(), ..held("z", 1) }), new()],
            with(None, &[]),
            Some("a"),
        ),
    ] {
        let all_desired: Vec<&Desired> = all_desired.iter().collect();
        let found =
            name_owner(&all_desired, &"pull".into(), &here(), &namespace).map(|desired| desired.credential.as_str());
        assert_eq!(found, expected, "{why}");
    }
}

fn refusals_of(all_desired: &[&Desired], namespace: &Namespace, contested: &Contested) -> Vec<(String, Refusal)> {
    let steps = plan(&here(), all_desired, namespace, contested, &LongAbsent::new());
    steps
        .into_iter()
        .filter_map(|step| match step {
            Step::Refuse { credential, refusal } => Some((credential.to_string(), refusal)),
            _ => None,
        })
        .collect()
}

#[test]
fn a_wish_that_is_refused_says_why() {
    let (darwin, younger) = (desired("darwin", 1), desired("younger", 2));
    let foreign = || Refusal::ForeignSecret { secret: "pull".into() };
    let wrong = || Refusal::WrongType { secret: "pull".into() };
    let taken = |by: &str| Refusal::NameTaken { secret: "pull".into(), name_owner: by.into() };
    let of_wrong_type = Secret { wrong_type: true, ..secret(None, &[]) };
    let (suspended, away, adopting) = (
        held("held", 0),
        elsewhere(desired("away", 0)),
        Desired { policy: ConflictPolicy::Adopt, ..desired("darwin", 1) },
    );
    for (why, all_desired, there, expected) in [
        ("nothing is in the way", vec![&darwin], None, vec![]),
        ("a foreign Secret", vec![&darwin], Some(secret(None, &[])), vec![("darwin", foreign())]),
        ("an orphan", vec![&darwin], Some(secret(Some("darwin"), &[])), vec![("darwin", foreign())]),
        ("it may be adopted", vec![&adopting], Some(secret(None, &[])), vec![]),
        ("a type can't be changed", vec![&adopting], Some(of_wrong_type.clone()), vec![("darwin", wrong())]),
        ("another has the name", vec![&darwin, &younger], None, vec![("younger", taken("darwin"))]),
        ("its own is there", vec![&darwin, &younger], Some(current(&darwin)), vec![("younger", taken("darwin"))]),
        (
            "two wish, neither can",
            vec![&darwin, &younger],
            Some(secret(None, &[])),
            vec![("darwin", foreign()), ("younger", taken("darwin"))],
        ),
        ("a held one has the name", vec![&suspended, &darwin], None, vec![("darwin", taken("held"))]),
        ("held ones wish for nothing", vec![&darwin, &held("later", 9)], None, vec![]),
        ("one without a wish here", vec![&away], Some(secret(None, &[])), vec![]),
    ] {
        let expected: Vec<_> = expected.into_iter().map(|(name, refusal)| (name.to_owned(), refusal)).collect();
        assert_eq!(refusals_of(&all_desired, &with(there, &[]), &Contested::new()), expected, "{why}");
    }
}

#[test]
fn a_list_that_others_apply_or_empty_is_refused() {
    let (darwin, adopting) = (desired("darwin", 1), Desired { policy: ConflictPolicy::Adopt, ..desired("darwin", 1) });
    let writer = |operation| Some(ListWriter { manager: "argocd".into(), operation });
    let account = |list_writer| ServiceAccount { list_writer, ..ServiceAccount::default() };
    let fought: Contested = [("default".into(), "pull".into())].into();
    let applied = |maker| Refusal::Applied {
        service_account: "default".into(),
        secret: "pull".into(),
        manager: "argocd".into(),
        maker,
    };
    let taken = |manager: Option<&str>| Refusal::TakenAway {
        service_account: "default".into(),
        secret: "pull".into(),
        manager: manager.map(Into::into),
    };
    use WriteOperation::{Apply, Update};
    for (desired, account, contested, expected) in [
        (&darwin, account(None), Contested::new(), None),
        (&darwin, account(writer(Update)), Contested::new(), None),
        (&darwin, account(writer(Apply)), Contested::new(), Some(applied(Maker::Us))),
        (&adopting, account(writer(Apply)), Contested::new(), None),
        (&darwin, account(writer(Update)), fought.clone(), Some(taken(Some("argocd")))),
        (&adopting, account(None), fought.clone(), Some(taken(None))),
        (&darwin, ServiceAccount { deleting: true, ..account(writer(Apply)) }, Contested::new(), None),
        (&darwin, recorded("darwin"), fought, None),
    ] {
        let namespace = with(Some(current(desired)), &[("default", account)]);
        let expected: Vec<_> = expected.into_iter().map(|refusal| ("darwin".to_owned(), refusal)).collect();
        assert_eq!(refusals_of(&[desired], &namespace, &contested), expected, "{namespace:?}");
    }
    let others = attaching("darwin", 1);
    let namespace = with(Some(secret(None, &[])), &[("default", account(writer(Apply)))]);
    let refused = refusals_of(&[&others], &namespace, &Contested::new());
    assert_eq!(refused, [("darwin".to_owned(), applied(Maker::Others))], "nothing of others' can be adopted");
}

/// What becomes of the entry in `default`, where nothing else may be done.
fn change(all_desired: &[&Desired], namespace: &Namespace, long_absent: &[&str]) -> Option<Change> {
    let long_absent = long_absent.iter().map(|&secret| secret.into()).collect();
    let mut changes = Vec::new();
    for step in plan(&here(), all_desired, namespace, &Contested::new(), &long_absent) {
        match step {
            Step::PatchServiceAccount { changes: all, .. } => changes.extend(all),
            Step::Refuse { .. } => {}
            other => panic!("{other:?}"),
        }
    }
    assert!(changes.len() <= 1, "{changes:?}");
    changes.pop()
}

#[test]
fn a_secret_that_others_make_is_attached_where_it_can_be_used_and_stays_attached_for_a_while() {
    let darwin = attaching("darwin", 1);
    let bare = ServiceAccount::default;
    let theirs = || secret(None, &[]);
    let append = Some(Change::Append("pull".into(), "darwin".into()));
    let remove = Some(Change::Remove("pull".into()));
    let missing = || Some(Refusal::SecretMissing { secret: "pull".into() });
    let labelled = |label: &str| Some(Refusal::ManagedSecret { secret: "pull".into(), label: label.into() });
    for (why, there, refusal) in [
        ("it is there", Some(theirs()), None),
        ("others own it", Some(Secret { other_owners: OtherOwners::Some, ..theirs() }), None),
        ("there is none", None, missing()),
        ("of another type", Some(Secret { wrong_type: true, ..theirs() }), missing()),
        ("going", Some(Secret { deleting: true, ..theirs() }), missing()),
        ("labelled by somebody", Some(secret(Some("gone"), &[("other", "old")])), labelled("gone")),
        ("left to people", Some(secret(Some("gone"), &[])), labelled("gone")),
        ("as if it were its own", Some(secret(Some("darwin"), &[("darwin", "darwin-uid")])), labelled("darwin")),
    ] {
        let usable = refusal.is_none();
        let namespace = |account| with(there.clone(), &[("default", account)]);
        let refused: Vec<_> = refusal.into_iter().map(|refusal| ("darwin".to_owned(), refusal)).collect();
        assert_eq!(refusals_of(&[&darwin], &namespace(bare()), &Contested::new()), refused, "{why}");
        assert_eq!(change(&[&darwin], &namespace(bare()), &[]), append.clone().filter(|_| usable), "{why}");
        assert_eq!(change(&[&darwin], &namespace(recorded("darwin")), &[]), None, "{why}");
        let later = change(&[&darwin], &namespace(recorded("darwin")), &["pull"]);
        assert_eq!(later, remove.clone().filter(|_| !usable), "{why}, for long");
        let other = change(&[&darwin], &namespace(recorded("darwin")), &["other"]);
        assert_eq!(other, None, "{why}: another one has been absent for long");
        let not_chosen = with(there.clone(), &[("builder", recorded("darwin"))]);
        assert_eq!(change(&[&darwin], &not_chosen, &[]), remove, "{why}, where it isn't chosen");
        let absent = absent(&here(), &[&darwin], &namespace(bare()));
        assert_eq!(absent.is_empty(), usable, "{why}");
        let ready = usize::from(usable);
        let wanted = if usable { SecretProgress::Current } else { SecretProgress::Missing };
        for state in [DesiredState::Attached, DesiredState::Stalled] {
            let desired = Desired { state, ..darwin.clone() };
            let progress = assess(&here(), &[&desired], &namespace(recorded("darwin")));
            assert_eq!(progress[0].1, Progress { secret: wanted, desired: 1, ready }, "{why}: {:?}", desired.state);
        }
    }
}

#[test]
fn of_a_secret_that_others_make_only_recorded_entries_are_taken_back() {
    let (darwin, held) = (attaching("darwin", 1), Desired { state: DesiredState::Stalled, ..attaching("darwin", 1) });
    let away = elsewhere(attaching("darwin", 1));
    let theirs = ServiceAccount { entries: ["pull".into()].into(), ..ServiceAccount::default() };
    let remove = Some(Change::Remove("pull".into()));
    let forged = secret(Some("darwin"), &[("darwin", "darwin-uid")]);
    for there in [Some(secret(None, &[])), Some(forged), None] {
        let recorded = with(there.clone(), &[("default", recorded("darwin"))]);
        let theirs = with(there, &[("default", theirs.clone())]);
        assert_eq!(change(&[&away], &recorded, &[]), remove, "no target any more");
        assert_eq!(change(&[&held], &recorded, &["pull"]), None, "suspended");
        for all_desired in [&[&darwin][..], &[&away], &[]] {
            // A Secret that says it is a deleted RegistryCredential's is one.
            if !(all_desired.is_empty() && theirs.secrets.values().any(|secret| secret.label.is_some())) {
                assert_eq!(change(all_desired, &theirs, &["pull"]), None, "an entry of somebody else's stays theirs");
            }
        }
    }
    let deleted = with(Some(secret(None, &[])), &[("default", recorded("darwin"))]);
    assert_eq!(change(&[], &deleted, &[]), remove, "the RegistryCredential is deleted");
}

#[test]
fn a_secret_of_regcreds_own_goes_where_only_one_that_attaches_is_left() {
    let (darwin, away) = (attaching("darwin", 1), elsewhere(desired("maker", 2)));
    for (all_desired, there) in [(vec![&darwin, &away], current(&away)), (vec![&darwin], current(&away))] {
        let plan = |account| {
            let namespace = with(Some(there.clone()), &[("default", account)]);
            plan(&here(), &all_desired, &namespace, &Contested::new(), &LongAbsent::new())
        };
        let is_deletion = |step: &Step| matches!(step, Step::DeleteSecret { .. });
        assert!(plan(ServiceAccount::default()).iter().all(is_deletion), "it isn't somebody else's");
        let before = plan(recorded("maker"));
        assert!(matches!(&before[..], [Step::PatchServiceAccount { .. }]), "entries go first: {before:?}");
    }
}

#[test]
fn one_that_makes_the_secret_keeps_its_name_from_one_that_attaches_it() {
    let (maker, attaching) = (desired("maker", 1), attaching("attaching", 2));
    let taken = |by: &str| Refusal::NameTaken { secret: "pull".into(), name_owner: by.into() };
    for there in [None, Some(current(&maker)), Some(secret(Some("maker"), &[("maker", "old")]))] {
        let refused = refusals_of(&[&attaching, &maker], &with(there, &[]), &Contested::new());
        assert_eq!(refused, [("attaching".to_owned(), taken("maker"))]);
    }
    let (late, early) = (desired("maker", 3), Desired { created: maker.created, ..attaching });
    let refused = |there| refusals_of(&[&early, &late], &with(there, &[]), &Contested::new());
    assert_eq!(refused(Some(current(&late))), [("attaching".to_owned(), taken("maker"))], "what it has made it keeps");
    assert_eq!(refused(Some(secret(None, &[]))), [("maker".to_owned(), taken("attaching"))], "what works goes on");
}

#[test]
fn a_namespace_that_is_terminating_is_left_alone() {
    let darwin = desired("darwin", 1);
    let namespace = Namespace { terminating: true, ..with(None, &[("default", recorded("gone"))]) };
    assert_eq!(plan(&here(), &[&darwin], &namespace, &Contested::new(), &LongAbsent::new()), []);
    assert_eq!(assess(&here(), &[&darwin], &namespace), []);
}

#[test]
fn a_namespace_is_ready_when_the_secret_is_current_and_every_chosen_account_names_it() {
    let (darwin, younger) = (desired("darwin", 1), desired("younger", 2));
    let naming = || recorded("darwin");
    let bare = ServiceAccount::default;
    let is_current = SecretProgress::Current;
    let stale = Secret { revision: Some("v1:old".into()), ..current(&darwin) };
    let changed = Secret { owned_fields: None, ..current(&darwin) };
    let fewer = Secret { owned_fields: Some(FIELDS - 1), ..current(&darwin) };
    let deleting = Secret { deleting: true, ..current(&darwin) };
    let others = Secret { ..current(&younger) };
    let missing = SecretProgress::Missing;
    for (why, there, accounts, expected) in [
        ("all is there", Some(current(&darwin)), vec![("default", naming())], (is_current, 1, 1)),
        ("no entry yet", Some(current(&darwin)), vec![("default", bare())], (is_current, 1, 0)),
        ("no account", Some(current(&darwin)), vec![], (is_current, 0, 0)),
        ("not chosen", Some(current(&darwin)), vec![("builder", naming())], (is_current, 0, 0)),
        (
            "terminating",
            Some(current(&darwin)),
            vec![("default", ServiceAccount { deleting: true, ..naming() })],
            (is_current, 0, 0),
        ),
        ("no Secret", None, vec![("default", naming())], (missing, 1, 0)),
        ("an old revision", Some(stale), vec![("default", naming())], (missing, 1, 0)),
        ("changed data", Some(changed), vec![("default", naming())], (missing, 1, 0)),
        ("a lost label", Some(fewer), vec![("default", naming())], (missing, 1, 0)),
        ("going", Some(deleting), vec![("default", naming())], (missing, 1, 0)),
        ("another's", Some(others), vec![("default", naming())], (missing, 1, 0)),
    ] {
        let all_desired = [&darwin, &younger];
        let progress = assess(&here(), &all_desired, &with(there, &accounts));
        let (secret, desired, ready) = expected;
        let found = progress.into_iter().find(|(credential, _)| *credential == darwin.credential);
        let found = found.expect("it targets the namespace").1;
        assert_eq!(found, Progress { secret, desired, ready }, "{why}");
        assert_eq!(found.is_ready(), secret == is_current && desired == ready, "{why}");
    }
}

#[test]
fn what_was_made_for_a_held_credential_counts_whatever_revision_it_has() {
    let held = held("darwin", 1);
    let here_is = || current(&desired("darwin", 1));
    for (why, there, wanted) in [
        ("as it was rolled out", Some(here_is()), (SecretProgress::Current, 1)),
        (
            "of another revision",
            Some(Secret { revision: Some("v1:old".into()), ..here_is() }),
            (SecretProgress::Current, 1),
        ),
        (
            "with a label less",
            Some(Secret { owned_fields: Some(FIELDS - 1), ..here_is() }),
            (SecretProgress::Current, 1),
        ),
        ("changed by somebody", Some(Secret { owned_fields: None, ..here_is() }), (SecretProgress::Missing, 0)),
        ("going", Some(Secret { deleting: true, ..here_is() }), (SecretProgress::Missing, 0)),
        ("of another type", Some(Secret { wrong_type: true, ..here_is() }), (SecretProgress::Missing, 0)),
        ("another's", Some(current(&desired("younger", 2))), (SecretProgress::Missing, 0)),
        ("none", None, (SecretProgress::Missing, 0)),
    ] {
        let namespace = with(there, &[("default", recorded("darwin"))]);
        let (secret, ready) = wanted;
        let progress = Progress { secret, desired: 1, ready };
        assert_eq!(assess(&here(), &[&held], &namespace), [(held.credential.clone(), progress)], "{why}");
    }
}

#[test]
fn others_namespaces_are_not_assessed() {
    let all_desired = [&elsewhere(held("held", 1)), &elsewhere(desired("away", 1)), &desired("darwin", 2)];
    let names: Vec<_> =
        assess(&here(), &all_desired, &with(None, &[])).into_iter().map(|(credential, _)| credential).collect();
    assert_eq!(names, [CredentialName::from("darwin")]);
}

#[test]
fn a_resource_version_is_a_number() {
    assert_eq!("812".parse(), Ok(ResourceVersion(812)));
    assert_eq!(ResourceVersion(812).to_string(), "812");
    assert!("new".parse::<ResourceVersion>().is_err());
}
