//! Events in, effects out: no server, no clock.

use super::*;
use crate::api::CredentialName;

fn team_a() -> NamespaceName {
    "team-a".into()
}

fn pull() -> SecretName {
    "pull".into()
}

fn default() -> ServiceAccountName {
    "default".into()
}

/// An index that knows the namespace team-a and takes an interest in Secrets named `pull`.
fn index() -> Index {
    let mut index = Index::default();
    index.take_interest(&pull());
    index.namespace_seen(&team_a(), Labels::default(), false);
    index
}

fn secret(version: u64, revision: &str) -> Secret {
    Secret {
        uid: "s".into(),
        resource_version: ResourceVersion(version),
        label: Some("darwin".into()),
        revision: Some(revision.into()),
        ..Secret::default()
    }
}

fn unlabelled(version: u64) -> Secret {
    Secret { label: None, ..secret(version, "any") }
}

/// A service account with these entries, where ours is recorded.
fn account(version: u64, entries: &[&str]) -> ServiceAccount {
    ServiceAccount {
        uid: "a".into(),
        resource_version: ResourceVersion(version),
        entries: entries.iter().map(|entry| (*entry).into()).collect(),
        added: [(pull(), CredentialName::from("darwin"))].into(),
        ..ServiceAccount::default()
    }
}

impl Index {
    fn see(&mut self, secret: Secret) -> Effect {
        self.secret_seen(&team_a(), &pull(), secret)
    }

    fn see_account(&mut self, account: ServiceAccount) -> Effect {
        self.service_account_seen(&team_a(), &default(), account)
    }

    fn secret(&self) -> Option<&Secret> {
        self.get(&team_a())?.secrets.get(&pull())
    }

    fn account(&self) -> Option<&ServiceAccount> {
        self.get(&team_a())?.service_accounts.get(&default())
    }
}

fn taken(secret: &str) -> Effect {
    Effect::TakenAway(vec![secret.into()])
}

#[test]
fn only_a_newer_version_with_something_new_changes_a_secret() {
    let mut index = index();
    assert_eq!(index.see(secret(5, "v1:a")), Effect::Changed);
    assert_eq!(index.see(secret(5, "v1:b")), Effect::None, "the same version");
    assert_eq!(index.see(secret(4, "v1:b")), Effect::None, "an older one, as our own write overtook its event");
    assert_eq!(index.see(secret(6, "v1:a")), Effect::None, "nothing that a plan asks for");
    assert_eq!(index.secret().unwrap().resource_version, ResourceVersion(6));
    assert_eq!(index.see(secret(7, "v1:b")), Effect::Changed);
    assert_eq!(index.secret(), Some(&secret(7, "v1:b")));
}

#[test]
fn a_deletion_that_is_older_than_the_secret_is_not_believed() {
    let mut index = index();
    index.see(secret(5, "v1:a"));
    assert_eq!(index.secret_gone(&team_a(), &pull(), ResourceVersion(4)), Effect::None);
    assert!(index.secret().is_some());
    assert_eq!(index.secret_gone(&team_a(), &pull(), ResourceVersion(5)), Effect::Changed);
    assert_eq!(index.secret_gone(&team_a(), &pull(), ResourceVersion(6)), Effect::None, "it is gone already");
    assert_eq!(index.secret_gone(&"other".into(), &pull(), ResourceVersion(6)), Effect::None);
    assert!(index.secret().is_none());
}

#[test]
fn of_foreign_secrets_only_the_interesting_names_are_kept() {
    let mut index = index();
    assert_eq!(index.secret_seen(&team_a(), &"other".into(), unlabelled(5)), Effect::None);
    assert!(!index.get(&team_a()).unwrap().secrets.contains_key("other"));
    assert_eq!(index.see(unlabelled(5)), Effect::Changed);
    assert_eq!(index.secret_seen(&team_a(), &"labelled".into(), secret(5, "v1:a")), Effect::Changed);
    assert_eq!(index.secret_seen(&team_a(), &"labelled".into(), unlabelled(6)), Effect::Changed, "it lost its label");
    assert!(!index.get(&team_a()).unwrap().secrets.contains_key("labelled"));
}

#[test]
fn interest_is_new_once() {
    let mut index = Index::default();
    assert!(index.take_interest(&pull()));
    assert!(!index.take_interest(&pull()));
}

#[test]
fn a_secret_of_another_type_is_seen_anew_each_time() {
    let mut index = index();
    let wrong = |version| Secret { wrong_type: true, ..unlabelled(version) };
    index.see(wrong(5));
    assert_eq!(index.see(secret(5, "v1:a")), Effect::Changed, "even at the same version");
    index.see(wrong(6));
    index.forget_unwatched(&team_a());
    index.forget_unwatched(&"unknown".into());
    assert!(index.secret().is_none());
    index.see(secret(7, "v1:a"));
    index.forget_unwatched(&team_a());
    assert!(index.secret().is_some());
}

#[test]
fn an_entry_of_ours_that_vanishes_was_taken_away() {
    let mut index = index();
    assert_eq!(index.see_account(account(5, &["theirs", "pull"])), Effect::Changed);
    assert_eq!(index.see_account(account(6, &["pull", "theirs"])), Effect::Changed, "moved, not taken");
    assert_eq!(index.see_account(account(7, &["pull"])), Effect::Changed, "theirs was taken, which is their affair");
    assert_eq!(index.see_account(account(8, &[])), taken("pull"));
    assert_eq!(index.see_account(account(9, &[])), Effect::None, "it is taken once");
    let without_record = ServiceAccount { added: Default::default(), ..account(11, &[]) };
    index.see_account(account(10, &["pull"]));
    assert_eq!(index.see_account(without_record), taken("pull"), "its annotation may go along");
}

#[test]
fn what_we_remove_ourselves_was_not_taken_away() {
    let mut index = index();
    index.see_account(account(5, &["pull"]));
    index.removing(&team_a(), &default(), &pull());
    assert_eq!(index.see_account(account(6, &[])), Effect::Changed);
    index.removed(&team_a(), &default(), &pull());
    index.see_account(account(7, &["pull"]));
    assert_eq!(index.see_account(account(8, &[])), taken("pull"));
}

#[test]
fn what_we_may_have_removed_without_an_answer_was_not_taken_away() {
    let mut index = index();
    index.see_account(account(5, &["pull"]));
    index.removing(&team_a(), &default(), &pull());
    assert_eq!(index.see_account(account(6, &["pull", "theirs"])), Effect::Changed, "not yet");
    assert_eq!(index.see_account(account(7, &["theirs"])), Effect::Changed);
    index.see_account(account(8, &["pull"]));
    assert_eq!(index.see_account(account(9, &[])), taken("pull"), "once");
    index.see_account(account(10, &["pull"]));
    index.removing(&team_a(), &default(), &pull());
    index.service_account_gone(&team_a(), &default(), ResourceVersion(11));
    index.see_account(account(12, &["pull"]));
    assert_eq!(index.see_account(account(13, &[])), taken("pull"), "another service account");
}

#[test]
fn a_service_account_that_was_made_again_has_lost_nothing() {
    let mut index = index();
    index.see_account(account(5, &["pull"]));
    assert_eq!(index.see_account(ServiceAccount { uid: "b".into(), ..account(6, &[]) }), Effect::Changed);
}

#[test]
fn stale_events_of_service_accounts_are_dropped() {
    let mut index = index();
    index.see_account(account(5, &["pull"]));
    assert_eq!(index.see_account(account(5, &[])), Effect::None);
    assert_eq!(index.see_account(account(4, &[])), Effect::None);
    assert_eq!(index.see_account(account(6, &["pull"])), Effect::None);
    assert_eq!(index.service_account_version(&team_a(), &default()), Some(ResourceVersion(6)));
    assert_eq!(index.service_account_gone(&team_a(), &default(), ResourceVersion(5)), Effect::None);
    assert!(index.account().is_some());
    assert_eq!(index.service_account_gone(&team_a(), &default(), ResourceVersion(6)), Effect::Changed);
    assert_eq!(index.service_account_gone(&team_a(), &default(), ResourceVersion(7)), Effect::None);
    assert_eq!(index.service_account_gone(&"other".into(), &default(), ResourceVersion(7)), Effect::None);
    assert_eq!(index.service_account_version(&team_a(), &default()), None);
}

#[test]
fn a_namespace_changes_with_its_labels_and_when_it_terminates() {
    let mut index = Index::default();
    let labels: Labels = [("team".into(), "a".into())].into();
    assert_eq!(index.namespace_seen(&team_a(), Labels::default(), false), Effect::Changed);
    assert_eq!(index.namespace_seen(&team_a(), Labels::default(), false), Effect::None);
    assert_eq!(index.namespace_seen(&team_a(), labels.clone(), false), Effect::Changed);
    assert_eq!(index.namespace_seen(&team_a(), labels, true), Effect::Changed);
    assert_eq!(index.namespace_gone(&team_a()), Effect::Changed);
    assert_eq!(index.namespace_gone(&team_a()), Effect::None);
}

#[test]
fn content_that_comes_before_its_namespace_waits_for_it() {
    let mut index = Index::default();
    index.take_interest(&pull());
    index.see(secret(5, "v1:a"));
    assert_eq!((index.get(&team_a()), index.iter().count()), (None, 0));
    assert_eq!(index.namespace_seen(&team_a(), Labels::default(), false), Effect::Changed);
    assert_eq!(index.iter().count(), 1);
    assert!(index.secret().is_some());
}

#[test]
fn a_relist_says_what_vanished_unseen() {
    let mut index = index();
    let other: NamespaceName = "team-b".into();
    index.namespace_seen(&other, Labels::default(), false);
    for namespace in [team_a(), other.clone()] {
        index.secret_seen(&namespace, &pull(), secret(5, "v1:a"));
        index.service_account_seen(&namespace, &default(), account(5, &["pull"]));
    }
    index.relist_begins(Kind::Secret);
    index.see(secret(5, "v1:a"));
    assert_eq!(index.relist_ends(Kind::Secret), std::slice::from_ref(&other));
    assert!(index.secret().is_some(), "an event that isn't new still says that the Secret is there");
    assert!(index.get(&other).unwrap().secrets.is_empty());

    index.relist_begins(Kind::ServiceAccount);
    index.see_account(account(5, &["pull"]));
    assert_eq!(index.relist_ends(Kind::ServiceAccount), std::slice::from_ref(&other));
    assert!(index.account().is_some());

    index.relist_begins(Kind::Namespace);
    index.namespace_seen(&team_a(), Labels::default(), false);
    assert_eq!(index.relist_ends(Kind::Namespace), std::slice::from_ref(&other));
    assert_eq!(index.get(&other), None);
    assert_eq!(index.namespace_gone(&other), Effect::None, "nothing is kept of it");
}

#[test]
fn the_end_of_a_relist_that_never_began_removes_nothing() {
    let mut index = index();
    index.see(secret(5, "v1:a"));
    assert_eq!(index.relist_ends(Kind::Secret), []);
    assert!(index.secret().is_some());
}

#[test]
fn a_relist_of_watched_secrets_says_nothing_of_another_type() {
    let mut index = index();
    index.see(Secret { wrong_type: true, ..unlabelled(5) });
    index.relist_begins(Kind::Secret);
    assert_eq!(index.relist_ends(Kind::Secret), []);
    assert!(index.secret().is_some());
}

#[test]
fn content_outlives_its_namespace_in_a_relist_only_until_its_own() {
    let mut index = index();
    index.see(secret(5, "v1:a"));
    index.relist_begins(Kind::Namespace);
    index.relist_ends(Kind::Namespace);
    assert_eq!(index.get(&team_a()), None);
    assert_eq!(index.secret_gone(&team_a(), &pull(), ResourceVersion(6)), Effect::Changed);
    assert!(index.namespaces.is_empty());
}

/// One watch for each of two names, and nothing else managed.
fn index_of_two() -> Index {
    let mut index = Index::new([pull(), "push".into()].into_iter().collect());
    index.namespace_seen(&team_a(), Labels::default(), false);
    index
}

fn named(name: &SecretName) -> Kind {
    Kind::SecretNamed(name.clone())
}

#[test]
fn a_relist_of_one_name_loses_nothing_of_another() {
    let (mut index, push) = (index_of_two(), SecretName::from("push"));
    let team_b: NamespaceName = "team-b".into();
    index.namespace_seen(&team_b, Labels::default(), false);
    for namespace in [team_a(), team_b.clone()] {
        index.secret_seen(&namespace, &pull(), secret(5, "v1:a"));
        index.secret_seen(&namespace, &push, secret(5, "v1:b"));
    }
    index.relist_begins(named(&push));
    // Another name's news, and its own relist, go on meanwhile.
    index.see(secret(6, "v1:c"));
    index.relist_begins(named(&pull()));
    index.secret_seen(&team_b, &push, secret(5, "v1:b"));
    assert_eq!(index.relist_ends(named(&push)), [team_a()]);
    let known = |index: &Index| {
        let of = |(namespace, known): (&NamespaceName, &Namespace)| {
            known.secrets.keys().map(|name| format!("{namespace}/{name}")).collect::<Vec<_>>()
        };
        index.iter().flat_map(of).collect::<BTreeSet<_>>().into_iter().collect::<Vec<_>>()
    };
    assert_eq!(known(&index), ["team-a/pull", "team-b/pull", "team-b/push"]);

    index.see(secret(6, "v1:c"));
    assert_eq!(index.relist_ends(named(&pull())), std::slice::from_ref(&team_b));
    assert_eq!(known(&index), ["team-a/pull", "team-b/push"]);
}

#[test]
fn what_the_watch_of_one_name_has_told_makes_no_answer_about_another_old_news() {
    let (mut index, push) = (index_of_two(), SecretName::from("push"));
    index.observe_version(named(&push), ResourceVersion(9));
    index.secret_answered(&team_a(), &pull(), secret(8, "v1:a"));
    assert!(index.secret().is_some(), "its own watch hasn't come so far");
    index.secret_answered(&team_a(), &push, secret(8, "v1:a"));
    assert!(!index.get(&team_a()).unwrap().secrets.contains_key("push"), "it is gone already");
}

#[test]
fn foreign_secrets_of_managed_names_are_kept_before_any_credential_uses_them() {
    let mut index = index_of_two();
    assert_eq!(index.see(unlabelled(5)), Effect::Changed);
    assert!(!index.take_interest(&pull()), "nothing of that name was passed over");
}

#[test]
fn entries_of_names_that_arent_managed_are_as_somebody_elses() {
    let mut index = index_of_two();
    let both = |version, entries| ServiceAccount {
        added: [(pull(), "darwin".into()), ("other".into(), "darwin".into())].into(),
        ..account(version, entries)
    };
    index.see_account(both(5, &["pull", "other"]));
    let account = index.account().unwrap();
    assert_eq!(account.added.keys().collect::<Vec<_>>(), [&pull()]);
    assert_eq!(account.entries.len(), 2);
    assert_eq!(index.see_account(both(6, &["pull"])), Effect::Changed, "that one was taken is nobody's concern");
    assert_eq!(index.see_account(both(7, &[])), taken("pull"));
}
