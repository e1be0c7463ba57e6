//! What a status says in each situation, and what it keeps.

use super::*;
use crate::progress::{Failure, Stuck};

fn at(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

fn resolved(source: &str, summary: Summary) -> Report {
    let identity = Identity { principal: "puller@darwin.iam.gserviceaccount.com".to_owned(), ..Identity::default() };
    Report {
        generation: Some(3),
        resolution: Ok(Resolution {
            identity: Some(identity),
            registries: vec!["gcr.io/darwin/".to_owned()],
            source: Some(source.to_owned()),
            notes: Vec::new(),
            expires_at: None,
        }),
        summary: Some(summary),
        stuck: Stuck::Untold,
    }
}

fn held(reason: Reason, hold: StallCause) -> Report {
    let stalled = Stalled::new(reason, "what is wrong");
    assert_eq!(stalled.cause(), hold);
    let state = Err(stalled);
    Report { generation: Some(3), resolution: state, summary: None, stuck: Stuck::Untold }
}

fn suspended(generation: i64, summary: Option<Summary>) -> Report {
    let message = "spec.suspend is true".to_owned();
    let state = Err(Stalled::new(Reason::Suspended, message));
    Report { generation: Some(generation), resolution: state, summary, stuck: Stuck::Untold }
}

/// Of so many target namespaces none has the Secret.
fn none_of(desired: usize) -> Summary {
    Summary { desired, ..Summary::default() }
}

fn all_ready() -> Summary {
    Summary { desired: 2, ready: 2, accounts_desired: 3, accounts_ready: 3, ..Summary::default() }
}

fn behind() -> Summary {
    Summary { ready: 1, behind: 1, accounts_ready: 1, ..all_ready() }
}

fn partly(failed: usize) -> Summary {
    let failure = |n| {
        let failure = Failure { reason: Reason::ForeignSecret, message: "in the way".to_owned() };
        (format!("team-{n}").into(), failure)
    };
    Summary { ready: 1, failed, failures: (0..failed).map(failure).collect(), ..all_ready() }
}

/// `Type=Status Reason: message`, by condition.
fn said(status: &RegistryCredentialStatus) -> Vec<String> {
    let conditions = status.conditions.iter();
    conditions
        .map(|c| {
            let text = format!("{}={} {}: {}", c.type_, c.status, c.reason, c.message);
            text.trim_end_matches([':', ' ']).to_owned()
        })
        .collect()
}

fn new() -> RegistryCredentialStatus {
    RegistryCredentialStatus::default()
}

fn ready() -> RegistryCredentialStatus {
    build(&new(), &resolved("812", all_ready()), at(100))
}

#[test]
fn while_rolling_out_it_is_not_ready_and_reconciling() {
    let status = build(&new(), &resolved("812", behind()), at(100));
    assert_eq!(
        said(&status),
        [
            "Ready=False RollingOut: 1 of 2 namespaces are ready",
            "Reconciling=True RollingOut: 1 of 2 namespaces are ready",
            "Stalled=False Progressing",
            "CredentialValid=True Valid",
            "Suspended=False NotSuspended",
        ]
    );
    assert_eq!(status.observed_generation, Some(3));
    assert_eq!(status.observed_source, Some(ObservedSource { resource_version: "812".to_owned() }));
    assert_eq!(status.identity.as_ref().unwrap().principal, "puller@darwin.iam.gserviceaccount.com");
    assert_eq!(status.last_rollout_time, None);
    assert!(status.conditions.iter().all(|c| c.observed_generation == Some(3)));
}

#[test]
fn when_all_is_done_it_is_ready() {
    let status = ready();
    assert_eq!(
        said(&status),
        [
            "Ready=True RolledOut: 2 of 2 namespaces are ready, and 3 of 3 service accounts",
            "Reconciling=False RolledOut",
            "Stalled=False Progressing",
            "CredentialValid=True Valid",
            "Suspended=False NotSuspended",
        ]
    );
    let (namespaces, accounts) = (status.namespaces.unwrap(), status.service_accounts.unwrap());
    assert_eq!((namespaces.desired, namespaces.ready, namespaces.failed), (2, 2, 0));
    assert_eq!((namespaces.summary.as_str(), accounts.summary.as_str()), ("2/2", "3/3"));
    assert_eq!((accounts.desired, accounts.ready), (3, 3));
    assert_eq!(status.last_rollout_time, Some(Time(at(100))));
}

#[test]
fn without_a_target_namespace_it_is_ready_and_says_so() {
    let status = build(&new(), &resolved("812", Summary::default()), at(100));
    assert_eq!(said(&status)[0], "Ready=True RolledOut: no namespace matches spec.namespaces yet");
}

#[test]
fn a_failed_namespace_makes_it_partially_ready_but_not_stalled() {
    let status = build(&ready(), &resolved("812", partly(1)), at(200));
    assert_eq!(
        said(&status),
        [
            "Ready=False PartiallyReady: 1 of 2 namespaces are ready; team-0 failed: ForeignSecret: in the way",
            "Reconciling=False PartiallyReady",
            "Stalled=False Progressing",
            "CredentialValid=True Valid",
            "Suspended=False NotSuspended",
        ]
    );
    let failure = &status.failures[0];
    assert_eq!(
        (failure.namespace.as_str(), failure.reason.as_str(), failure.message.as_str()),
        ("team-0", "ForeignSecret", "in the way")
    );
    let several = build(&new(), &resolved("812", partly(3)), at(200));
    assert!(said(&several)[0].contains("team-0 failed (and 2 more): ForeignSecret"), "{:?}", said(&several));
    assert_eq!((several.failures.len(), several.namespaces.unwrap().failed), (3, 3));
    assert_eq!(build(&status, &resolved("812", all_ready()), at(300)).failures, [], "they go when they are mended");
}

/// Of so many namespaces this many don't have the Secret that others make; the others do.
fn attached(desired: usize, missing: usize) -> Report {
    let failure = |n| {
        let failure = Failure { reason: Reason::SecretMissing, message: "there is no Secret pull".to_owned() };
        (format!("team-{n}").into(), failure)
    };
    let failures = (0..missing).map(failure).collect();
    let summary = Summary { desired, ready: desired - missing, failed: missing, missing, failures, ..all_ready() };
    Report { resolution: Ok(Resolution::default()), ..resolved("812", summary) }
}

#[test]
fn of_a_secret_that_others_make_it_says_only_whether_it_is_there() {
    let status = build(&new(), &attached(2, 0), at(100));
    assert_eq!(
        said(&status),
        [
            "Ready=True RolledOut: 2 of 2 namespaces are ready, and 3 of 3 service accounts",
            "Reconciling=False RolledOut",
            "Stalled=False Progressing",
            "CredentialValid=Unknown NotRead: somebody else makes the Secret, and regcred doesn't read it",
            "Suspended=False NotSuspended",
        ]
    );
    assert_eq!((&status.identity, &status.observed_source, &status.credential_expires_at), (&None, &None, &None));
    assert_eq!((status.registries.len(), status.last_rollout_time.clone()), (0, Some(Time(at(100)))));
    assert_eq!(build(&status, &attached(2, 0), at(200)), status, "nothing new");
    let counts = status.namespaces.unwrap();
    assert_eq!((counts.desired, counts.ready, counts.failed), (2, 2, 0));
}

#[test]
fn where_a_secret_that_others_make_is_missing_it_says_in_how_many_namespaces_and_names_a_few() {
    let ready = |report: &Report| said(&build(&new(), report, at(100)))[0].clone();
    assert_eq!(
        ready(&attached(3, 1)),
        "Ready=False PartiallyReady: 2 of 3 namespaces are ready; SecretMissing in 1 of 3 namespaces (team-0): there is no \
         Secret pull"
    );
    let mut many = attached(9, 5);
    assert_eq!(
        ready(&many),
        "Ready=False PartiallyReady: 4 of 9 namespaces are ready; SecretMissing in 5 of 9 namespaces (team-0, team-1, \
         team-2, …): there is no Secret pull"
    );
    let sums = many.summary.as_mut().unwrap();
    let contested = Failure { reason: Reason::ServiceAccountContested, message: "a fight".to_owned() };
    sums.failures.insert(0, ("a".into(), contested));
    (sums.failed, sums.ready) = (6, 3);
    assert_eq!(
        ready(&many),
        "Ready=False PartiallyReady: 3 of 9 namespaces are ready; SecretMissing in 5 of 9 namespaces (team-0, team-1, \
         team-2, …): there is no Secret pull; 1 more failed"
    );
}

#[test]
fn failures_wait_until_every_namespace_has_been_looked_at() {
    let status = build(&new(), &resolved("812", Summary { behind: 1, ..partly(1) }), at(100));
    assert_eq!(said(&status)[0], "Ready=False RollingOut: 1 of 2 namespaces are ready");
}

#[test]
fn each_kind_of_hold_says_what_it_takes_to_go_on() {
    for (hold, reason, expected) in [
        (
            StallCause::Orphaned,
            Reason::Orphaned,
            [
                "Ready=False Orphaned: what is wrong",
                "Reconciling=False Orphaned",
                "Stalled=False Orphaned",
                "CredentialValid=True Valid",
            ],
        ),
        (
            StallCause::Spec,
            Reason::InvalidSpec,
            [
                "Ready=False InvalidSpec: what is wrong",
                "Reconciling=False InvalidSpec",
                "Stalled=True InvalidSpec: what is wrong",
                "CredentialValid=True Valid",
            ],
        ),
        (
            StallCause::Source,
            Reason::InvalidKey,
            [
                "Ready=False InvalidKey: what is wrong",
                "Reconciling=False InvalidKey",
                "Stalled=True InvalidKey: what is wrong",
                "CredentialValid=False InvalidKey: what is wrong",
            ],
        ),
        (
            StallCause::Retried,
            Reason::SourceUnreadable,
            [
                "Ready=False SourceUnreadable: what is wrong",
                "Reconciling=True SourceUnreadable: what is wrong",
                "Stalled=False SourceUnreadable",
                "CredentialValid=True Valid",
            ],
        ),
    ] {
        let status = build(&ready(), &held(reason, hold), at(200));
        assert_eq!(said(&status)[..4], expected);
        assert_eq!(said(&status)[4], "Suspended=False NotSuspended");
        let before = ready();
        assert_eq!(status.observed_source, before.observed_source, "what the namespaces hold still stands");
        assert_eq!((status.namespaces, status.identity), (before.namespaces, before.identity));
        assert_eq!(status.last_rollout_time, before.last_rollout_time);
    }
}

#[test]
fn of_a_source_that_was_never_valid_a_hold_knows_nothing() {
    let fresh = build(&new(), &suspended(3, None), at(100));
    assert_eq!(said(&fresh)[3], "CredentialValid=Unknown Suspended: spec.suspend is true");
    let invalid = build(&new(), &held(Reason::InvalidKey, StallCause::Source), at(100));
    let then_suspended = build(&invalid, &suspended(4, None), at(200));
    assert_eq!(said(&then_suspended)[3], "CredentialValid=Unknown Suspended: spec.suspend is true");
}

#[test]
fn what_was_rolled_out_and_then_suspended_stays_ready_for_the_spec_that_was_rolled_out() {
    let status = build(&ready(), &suspended(4, Some(all_ready())), at(200));
    let told = "spec.suspend is true; 2 of 2 namespaces hold what was rolled out";
    assert_eq!(
        said(&status),
        [
            format!("Ready=True Suspended: {told}"),
            "Reconciling=False Suspended".to_owned(),
            "Stalled=False Suspended".to_owned(),
            "CredentialValid=True Valid".to_owned(),
            format!("Suspended=True Suspended: {told}"),
        ]
    );
    let of: Vec<_> = status.conditions.iter().map(|c| c.observed_generation).collect();
    assert_eq!((status.observed_generation, of), (Some(4), vec![Some(3), Some(4), Some(4), Some(4), Some(4)]));
    assert_eq!(status.conditions[0].last_transition_time, Time(at(100)));
    assert_eq!(status.last_rollout_time, ready().last_rollout_time);
    let edited = build(&status, &suspended(5, Some(all_ready())), at(300));
    assert_eq!(edited.observed_generation, Some(5));
    assert_eq!(edited.conditions[0].observed_generation, Some(3), "still of what was rolled out");
    let on = build(&edited, &Report { generation: Some(6), ..resolved("812", behind()) }, at(400));
    assert_eq!(said(&on)[0], "Ready=False RollingOut: 1 of 2 namespaces are ready");
    assert_eq!(said(&on)[4], "Suspended=False NotSuspended");
    assert!(on.conditions.iter().all(|c| c.observed_generation == Some(6)));
}

#[test]
fn what_is_suspended_before_it_was_rolled_out_is_waited_for_by_nobody() {
    let reports = [
        (new(), "Unknown", None),
        (RegistryCredentialStatus::pending(), "Unknown", None),
        (build(&new(), &resolved("812", behind()), at(100)), "False", Some(3)),
        (build(&new(), &resolved("812", partly(1)), at(100)), "False", Some(3)),
        (build(&ready(), &held(Reason::InvalidKey, StallCause::Source), at(100)), "False", Some(3)),
    ];
    for (before, wanted, of) in reports {
        let status = build(&before, &suspended(4, Some(none_of(2))), at(200));
        let told = "Suspended: spec.suspend is true; 0 of 2 namespaces hold what was rolled out";
        assert_eq!(
            said(&status)[..3],
            [
                format!("Ready={wanted} {told}"),
                "Reconciling=False Suspended".to_owned(),
                format!("Stalled=True {told}"),
            ]
        );
        assert_eq!((status.conditions[0].observed_generation, status.observed_generation), (of, Some(4)));
        assert_eq!(status.failures, [], "nothing is tried");
    }
}

#[test]
fn counts_go_on_while_it_is_suspended_as_soon_as_all_has_been_looked_at() {
    let first = build(&ready(), &suspended(4, Some(Summary { desired: 2, behind: 2, ..Summary::default() })), at(200));
    assert_eq!(first.namespaces, ready().namespaces, "nothing new is known yet");
    assert_eq!(
        said(&first)[4],
        "Suspended=True Suspended: spec.suspend is true; 2 of 2 namespaces hold what was rolled out"
    );
    let grown = Summary { desired: 3, ..all_ready() };
    let status = build(&first, &suspended(4, Some(grown)), at(300));
    let counts = |status: &RegistryCredentialStatus| status.namespaces.as_ref().unwrap().summary.clone();
    assert_eq!((counts(&status).as_str(), status.service_accounts.as_ref().unwrap().desired), ("2/3", 3));
    assert!(said(&status)[0].ends_with("; 2 of 3 namespaces hold what was rolled out"), "{:?}", said(&status));
    let restarted = Summary { desired: 3, behind: 3, ..Summary::default() };
    assert_eq!(build(&status, &suspended(4, Some(restarted)), at(400)), status, "a restart says nothing new");
}

#[test]
fn the_default_of_the_crd_is_nothing_that_was_said() {
    let pending = RegistryCredentialStatus::pending();
    for report in [
        resolved("812", all_ready()),
        resolved("812", behind()),
        held(Reason::SourceNotFound, StallCause::Source),
        suspended(3, Some(none_of(2))),
    ] {
        assert_eq!(build(&pending, &report, at(100)), build(&new(), &report, at(100)));
    }
    let silent = Report { summary: None, ..resolved("812", all_ready()) };
    assert_eq!(
        build(&pending, &silent, at(100)),
        pending,
        "an empty status would say that nothing is to be waited for"
    );
}

#[test]
fn a_restart_says_nothing_new_before_all_has_been_looked_at() {
    let before = ready();
    let forgotten = Summary { desired: 2, behind: 2, ..Summary::default() };
    assert_eq!(build(&before, &resolved("812", forgotten.clone()), at(200)), before);
    assert_eq!(build(&before, &resolved("812", all_ready()), at(300)), before, "nor after, where nothing is new");

    let changed = |report: Report| said(&build(&before, &report, at(200)))[0].clone();
    assert_eq!(changed(resolved("900", forgotten.clone())), "Ready=False RollingOut: 0 of 2 namespaces are ready");
    let edited = Report { generation: Some(4), ..resolved("812", forgotten.clone()) };
    assert_eq!(changed(edited), "Ready=False RollingOut: 0 of 2 namespaces are ready");
    let unready = build(&new(), &resolved("812", behind()), at(100));
    let restarted = build(&unready, &resolved("812", forgotten), at(200));
    assert_eq!(said(&restarted)[0], "Ready=False RollingOut: 0 of 2 namespaces are ready");
}

#[test]
fn a_new_source_and_not_ready_go_in_one_write() {
    let status = build(&ready(), &resolved("900", behind()), at(200));
    assert_eq!(status.observed_source.as_ref().unwrap().resource_version, "900");
    assert_eq!((status.conditions[0].status.as_str(), status.conditions[1].status.as_str()), ("False", "True"));
    assert_eq!(status.last_rollout_time, Some(Time(at(100))), "the last roll-out is still the one before");
}

#[test]
fn last_rollout_time_is_when_it_became_ready_with_this_source() {
    let rolling = build(&ready(), &resolved("900", behind()), at(200));
    let done = build(&rolling, &resolved("900", all_ready()), at(300));
    assert_eq!(done.last_rollout_time, Some(Time(at(300))));
    let still = build(&done, &resolved("900", all_ready()), at(400));
    assert_eq!(still.last_rollout_time, Some(Time(at(300))));
    let grown = Summary { desired: 3, ready: 3, ..all_ready() };
    assert_eq!(build(&done, &resolved("900", grown), at(400)).last_rollout_time, Some(Time(at(300))));
    // Without a write in between, as where no namespace is a target.
    assert_eq!(build(&done, &resolved("901", all_ready()), at(500)).last_rollout_time, Some(Time(at(500))));
}

#[test]
fn a_transition_time_moves_with_the_status_and_with_nothing_else() {
    let times = |status: &RegistryCredentialStatus| -> Vec<i64> {
        status.conditions.iter().map(|c| c.last_transition_time.0.as_second()).collect()
    };
    let failed = build(&ready(), &resolved("812", partly(1)), at(200));
    assert_eq!(times(&failed), [200, 100, 100, 100, 100], "only Ready has changed");
    let more = build(&failed, &resolved("812", partly(2)), at(300));
    assert_ne!(said(&more), said(&failed));
    assert_eq!(times(&more), times(&failed), "another message is no transition");
    let rolling = build(&more, &resolved("900", behind()), at(400));
    assert_eq!(times(&rolling), [200, 400, 100, 100, 100]);
}

#[test]
fn times_are_whole_seconds() {
    let now = Timestamp::from_millisecond(100_400).unwrap();
    let status = build(&new(), &resolved("812", all_ready()), now);
    assert_eq!(status.last_rollout_time, Some(Time(at(100))));
    assert_eq!(status.conditions[0].last_transition_time, Time(at(100)));
}

#[test]
fn stuck_pods_are_told_while_somebody_looks() {
    let counts = |count| StuckPodCounts { count, pods: vec!["team-a/api-1".to_owned()] };
    let report = |stuck| Report { stuck, ..resolved("812", all_ready()) };
    let message = |status: &RegistryCredentialStatus| said(status)[0].clone();
    let found = build(&new(), &report(Stuck::Found(counts(2))), at(100));
    assert_eq!(found.stuck_pods, Some(counts(2)));
    let two = "Ready=True RolledOut: 2 of 2 namespaces are ready, and 3 of 3 service accounts; 2 pods were created too \
               early and can't pull";
    assert_eq!(message(&found), two);
    assert_eq!(build(&found, &report(Stuck::Unknown), at(200)), found, "a restart: nobody has looked yet");
    let one = build(&found, &report(Stuck::Found(counts(1))), at(200));
    assert!(message(&one).ends_with("; 1 pod was created too early and can't pull"));
    let none = build(&found, &report(Stuck::Found(StuckPodCounts::default())), at(200));
    assert_eq!(none.stuck_pods, Some(StuckPodCounts::default()), "none is not the same as not looked");
    assert!(!message(&none).contains("pods"));
    let untold = build(&found, &report(Stuck::Untold), at(200));
    assert_eq!(untold.stuck_pods, None);
    assert!(!message(&untold).contains("pods"));
    assert_eq!(build(&found, &suspended(4, Some(all_ready())), at(200)).stuck_pods, None);
    assert_eq!(build(&found, &held(Reason::InvalidKey, StallCause::Source), at(200)).stuck_pods, None);
}

#[test]
fn a_credential_without_sums_keeps_its_status() {
    let report = Report { summary: None, ..resolved("900", all_ready()) };
    let status = build(&ready(), &report, at(200));
    assert_eq!(said(&status), said(&ready()));
    assert_eq!(status.observed_source, ready().observed_source);
}

/// With the second at which its login ends.
fn ending(report: Report, end: Option<i64>) -> Report {
    let resolution = report.resolution.map(|found| Resolution { expires_at: end.map(at), ..found });
    let resolution = resolution.map_err(|stalled| Stalled { expired_at: end.map(at), ..stalled });
    Report { resolution, ..report }
}

#[test]
fn when_the_login_ends_is_said_until_there_is_another_or_it_is_withdrawn() {
    let valid = |end| ending(resolved("812", all_ready()), end);
    let before = build(&new(), &valid(Some(500)), at(100));
    assert_eq!(before.credential_expires_at, Some(Time(at(500))));
    let expired = ending(held(Reason::TokenExpired, StallCause::Source), Some(400));
    let held = |reason| Report { resolution: Err(Stalled::new(reason, "what is wrong")), ..expired.clone() };
    for (report, end) in [
        (valid(Some(900)), Some(900)),
        (valid(None), None),
        (expired.clone(), Some(400)),
        // What was rolled out ends as before.
        (held(Reason::InvalidCredential), Some(500)),
        (held(Reason::SourceNotFound), Some(500)),
        (held(Reason::InvalidSpec), Some(500)),
        (suspended(4, Some(all_ready())), Some(500)),
        (held(Reason::SourceNotMarked), Some(500)),
        (held(Reason::Revoked), None),
    ] {
        let status = build(&before, &report, at(200));
        assert_eq!(status.credential_expires_at, end.map(|end| Time(at(end))), "{:?}", report.resolution);
    }
}

#[test]
fn the_registries_are_those_of_the_source_until_there_are_others_or_they_are_withdrawn() {
    let names = |count: usize| -> Vec<String> { (0..count).map(|n| format!("r{n:03}.example.com")).collect() };
    let report = |count: usize| {
        let report = resolved("812", all_ready());
        Report { resolution: report.resolution.map(|found| Resolution { registries: names(count), ..found }), ..report }
    };
    assert_eq!(ready().registries, ["gcr.io/darwin/"]);
    assert_eq!(build(&ready(), &report(3), at(200)).registries, names(3));
    let full = build(&ready(), &report(65), at(200));
    assert_eq!(full.registries, names(64), "no more than there is room for");
    assert_eq!(build(&full, &report(65), at(300)), full);
    for (reason, left) in [
        (Reason::InvalidCredential, 64),
        (Reason::SourceNotFound, 64),
        (Reason::SourceUnreadable, 64),
        (Reason::InvalidSpec, 64),
        (Reason::Suspended, 64),
        (Reason::Revoked, 0),
        (Reason::SourceNotMarked, 64),
    ] {
        let held = Report { resolution: Err(Stalled::new(reason, "")), ..report(0) };
        assert_eq!(build(&full, &held, at(300)).registries, names(left), "{reason}");
    }
}

#[test]
fn notes_are_the_message_of_credential_valid_for_as_long_as_it_is() {
    let noted = |notes: &[&str], summary: Summary| {
        let report = resolved("812", summary);
        let notes = notes.iter().map(|&note| note.to_owned()).collect();
        Report { resolution: report.resolution.map(|found| Resolution { notes, ..found }), ..report }
    };
    let valid = |status: &RegistryCredentialStatus| said(status)[3].clone();
    let two = build(&new(), &noted(&["it ends soon", "ghcr.io isn't permitted"], behind()), at(100));
    assert_eq!(valid(&two), "CredentialValid=True Valid: it ends soon; ghcr.io isn't permitted");
    assert!(said(&two).iter().filter(|line| line.contains("it ends soon")).count() == 1, "nowhere else");
    let settled = build(&two, &noted(&["it ends soon", "ghcr.io isn't permitted"], all_ready()), at(200));
    assert_eq!(valid(&settled), valid(&two));
    assert_eq!(settled.conditions[3].last_transition_time, Time(at(100)), "a note is no transition");

    // What doesn't speak of the source leaves them as they are.
    for report in [
        held(Reason::InvalidSpec, StallCause::Spec),
        held(Reason::SourceUnreadable, StallCause::Retried),
        held(Reason::Orphaned, StallCause::Orphaned),
        suspended(4, Some(all_ready())),
    ] {
        assert_eq!(valid(&build(&settled, &report, at(300))), valid(&two), "{:?}", report.resolution);
    }
    let broken = build(&settled, &held(Reason::InvalidCredential, StallCause::Source), at(300));
    assert_eq!(valid(&broken), "CredentialValid=False InvalidCredential: what is wrong");
    let one = build(&broken, &noted(&["ghcr.io isn't permitted"], all_ready()), at(400));
    assert_eq!(valid(&one), "CredentialValid=True Valid: ghcr.io isn't permitted");
    assert_eq!(valid(&build(&one, &noted(&[], all_ready()), at(500))), "CredentialValid=True Valid");
}

#[test]
fn what_its_owner_withdraws_is_stalled_and_nothing_of_it_is_said_to_be_there() {
    let mut before = build(&new(), &resolved("812", partly(1)), at(100));
    before.stuck_pods = Some(StuckPodCounts { count: 1, pods: vec!["team-a/api-1".to_owned()] });
    let reason = Reason::Revoked;
    let withdrawn = build(&before, &held(reason, StallCause::Withdrawn), at(200));
    assert_eq!(
        said(&withdrawn),
        [
            format!("Ready=False {reason}: what is wrong"),
            format!("Reconciling=False {reason}"),
            format!("Stalled=True {reason}: what is wrong"),
            format!("CredentialValid=False {reason}: what is wrong"),
            "Suspended=False NotSuspended".to_owned(),
        ]
    );
    assert_eq!((&withdrawn.namespaces, &withdrawn.service_accounts), (&None, &None));
    assert_eq!((&withdrawn.observed_source, &withdrawn.stuck_pods), (&None, &None));
    assert_eq!((withdrawn.registries.len(), withdrawn.failures.len()), (0, 0));
    assert_eq!((&withdrawn.identity, withdrawn.observed_generation), (&before.identity, Some(3)), "whose it was");
    assert_eq!(build(&withdrawn, &held(reason, StallCause::Withdrawn), at(300)), withdrawn, "it is said once");

    // The same source again, as where its owner has put the annotation back.
    let back = build(&withdrawn, &resolved("812", behind()), at(300));
    assert_eq!(said(&back)[0], "Ready=False RollingOut: 1 of 2 namespaces are ready");
    assert_eq!(back.registries, ["gcr.io/darwin/"]);
    let suspended = build(&withdrawn, &suspended(4, None), at(300));
    assert_eq!(said(&suspended)[3], "CredentialValid=Unknown Suspended: spec.suspend is true");
}

mod restarts {
    use super::super::*;
    use crate::progress::Failure;

    /// The report on two namespaces, of which one fails and `behind` haven't been looked at.
    fn report(generation: i64, behind: usize) -> Report {
        let failure = Failure { reason: Reason::ForeignSecret, message: "not ours".to_owned() };
        let (failed, failures) = if behind == 0 { (1, vec![("team-a".into(), failure)]) } else { Default::default() };
        let ready = 1_usize.saturating_sub(behind);
        let summary = Summary { desired: 2, ready, behind, failed, failures, ..Summary::default() };
        let state = Ok(Resolution { source: Some("812".to_owned()), ..Resolution::default() });
        Report { generation: Some(generation), resolution: state, summary: Some(summary), stuck: Stuck::Unknown }
    }

    fn reason(status: &RegistryCredentialStatus) -> &str {
        &status.conditions.iter().find(|c| c.type_ == "Ready").unwrap().reason
    }

    #[test]
    fn a_restart_says_nothing_of_what_failed_before_all_has_been_looked_at() {
        let now = Timestamp::UNIX_EPOCH;
        let before = build(&RegistryCredentialStatus::default(), &report(1, 0), now);
        assert_eq!(reason(&before), "PartiallyReady");
        assert_eq!(build(&before, &report(1, 2), now), before);
        assert_eq!(build(&before, &report(1, 0), now), before);
        assert_eq!(reason(&build(&before, &report(2, 2), now)), "RollingOut");
    }

    #[test]
    fn what_was_held_is_rolling_out_as_soon_as_it_can_be() {
        let now = Timestamp::UNIX_EPOCH;
        let ready = build(&RegistryCredentialStatus::default(), &report(1, 0), now);
        let state = Err(Stalled::new(Reason::SourceUnreadable, ""));
        let held = build(
            &ready,
            &Report { generation: Some(1), resolution: state, summary: None, stuck: Stuck::Unknown },
            now,
        );
        assert_eq!(reason(&build(&held, &report(1, 2), now)), "RollingOut");
    }
}
