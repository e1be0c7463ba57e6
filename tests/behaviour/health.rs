//! What tools that wait make of a RegistryCredential in every state that it can be in: kstatus, which Helm and Flux go by,
//! and Argo CD with our health script. The statuses are the operator's own, from `progress::build`.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use controlplane::tool;
use jiff::Timestamp;
use regcred::{
    api::{Reason, RegistryCredentialStatus, StallCause, Stalled},
    progress::{Failure, Report, Resolution, Stuck, Summary, blind, build},
};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::world::{ROOT, credential};

/// What tools make of one object.
#[derive(Debug, Deserialize)]
pub struct Verdicts {
    pub kstatus: Said,
    pub argocd: Said,
}

#[derive(Debug, Deserialize)]
pub struct Said {
    pub status: String,
    pub message: String,
}

/// Asks kstatus itself, and config/argocd/health.lua as Argo CD runs it.
pub fn verdicts(objects: &[Value]) -> Vec<Verdicts> {
    let mut command = Command::new(tool("health").unwrap());
    command.arg(format!("{ROOT}/config/argocd/health.lua"));
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(objects).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// The newest generation of the object that the statuses are of.
const NEWEST: i64 = 4;

fn object(status: &impl serde::Serialize, change: impl FnOnce(&mut Value)) -> Value {
    let mut object = credential("darwin", json!({"namespaces": {"names": ["team-*"]}}));
    object["metadata"]["generation"] = json!(NEWEST);
    object["status"] = json!(status);
    change(&mut object);
    object
}

fn following(
    before: &RegistryCredentialStatus,
    generation: i64,
    state: Result<Resolution, Stalled>,
    summary: Option<Summary>,
) -> RegistryCredentialStatus {
    let report = Report { generation: Some(generation), resolution: state, summary, stuck: Stuck::Unknown };
    build(before, &report, Timestamp::UNIX_EPOCH)
}

fn resolved(generation: i64, summary: Summary) -> RegistryCredentialStatus {
    let state = Ok(Resolution { source: Some("812".to_owned()), ..Resolution::default() });
    following(&RegistryCredentialStatus::pending(), generation, state, Some(summary))
}

fn held(before: &RegistryCredentialStatus, reason: Reason, hold: StallCause) -> RegistryCredentialStatus {
    let counted = (hold == StallCause::Suspended).then(rolled_out);
    let stalled = Stalled::new(reason, "what to do");
    assert_eq!(stalled.cause(), hold);
    let state = Err(stalled);
    following(before, NEWEST, state, counted)
}

fn rolled_out() -> Summary {
    Summary { desired: 2, ready: 2, ..Summary::default() }
}

fn rolling_out() -> Summary {
    Summary { ready: 1, behind: 1, ..rolled_out() }
}

fn partly() -> Summary {
    let failure = Failure { reason: Reason::ForeignSecret, message: "in the way".to_owned() };
    Summary { ready: 1, failed: 1, failures: vec![("team-a".into(), failure)], ..rolled_out() }
}

fn reason_of(cause: StallCause) -> Reason {
    match cause {
        StallCause::Suspended => Reason::Suspended,
        StallCause::Orphaned => Reason::Orphaned,
        StallCause::Spec => Reason::InvalidSpec,
        StallCause::Source => Reason::SourceNotFound,
        StallCause::Withdrawn => Reason::Revoked,
        StallCause::Retried => Reason::SourceUnreadable,
    }
}

/// What every hold is to tools, but for a suspended one, which depends on what came before.
fn of_hold(hold: StallCause) -> Option<(&'static str, &'static str)> {
    match hold {
        StallCause::Suspended => None,
        StallCause::Orphaned => Some(("Terminating", "Progressing")),
        StallCause::Spec | StallCause::Source | StallCause::Withdrawn => Some(("Failed", "Degraded")),
        StallCause::Retried => Some(("InProgress", "Progressing")),
    }
}

fn suspend(object: &mut Value) {
    object["spec"]["suspend"] = json!(true);
}

fn delete(object: &mut Value) {
    object["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
}

#[test]
fn tools_that_wait_are_told_the_truth_in_every_state() {
    let pending = RegistryCredentialStatus::pending();
    let (old, ready) = (resolved(NEWEST - 1, rolled_out()), resolved(NEWEST, rolled_out()));
    let no_namespace = resolved(NEWEST, Summary::default());
    let of_others = following(&pending, NEWEST, Ok(Resolution::default()), Some(rolled_out()));
    let old_rolling = resolved(NEWEST - 1, rolling_out());
    let suspended = |before: &RegistryCredentialStatus| held(before, Reason::Suspended, StallCause::Suspended);
    let unseeing = |before: &RegistryCredentialStatus| {
        blind(before, Some(NEWEST), Reason::WatchRefused, "no right", Timestamp::UNIX_EPOCH)
    };
    let same = |_: &mut Value| {};
    let mut table = vec![
        // Why the CRD has a default: without any status nobody waits for anything.
        (
            "no status",
            object(&Value::Null, |it| _ = it.as_object_mut().unwrap().remove("status")),
            "Current",
            "Progressing",
        ),
        ("the CRD's default", object(&pending, same), "InProgress", "Progressing"),
        ("the CRD's default, and to be suspended", object(&pending, suspend), "InProgress", "Progressing"),
        ("rolled out, and edited since", object(&old, same), "InProgress", "Progressing"),
        ("rolled out, and to be suspended", object(&old, suspend), "InProgress", "Progressing"),
        ("rolling out", object(&resolved(NEWEST, rolling_out()), same), "InProgress", "Progressing"),
        ("rolled out", object(&ready, same), "Current", "Healthy"),
        ("attached, as others make the Secret", object(&of_others, same), "Current", "Healthy"),
        ("rolled out, to no namespace yet", object(&no_namespace, same), "Current", "Healthy"),
        ("failed in a namespace", object(&resolved(NEWEST, partly()), same), "InProgress", "Degraded"),
        ("suspended once it was rolled out", object(&suspended(&old), suspend), "Current", "Suspended"),
        ("suspended in a roll-out", object(&suspended(&old_rolling), suspend), "Failed", "Suspended"),
        ("suspended from birth", object(&suspended(&pending), suspend), "Failed", "Suspended"),
        ("a watch is refused", object(&unseeing(&ready), same), "InProgress", "Progressing"),
        ("a watch is refused from the start", object(&unseeing(&pending), same), "InProgress", "Progressing"),
        ("suspended, and a watch is refused", object(&unseeing(&suspended(&old)), suspend), "InProgress", "Suspended"),
        (
            "suspended, and a watch was refused",
            object(&suspended(&unseeing(&suspended(&old))), suspend),
            "Current",
            "Suspended",
        ),
        ("being deleted", object(&ready, delete), "Terminating", "Progressing"),
    ];
    for hold in [StallCause::Orphaned, StallCause::Spec, StallCause::Source, StallCause::Retried] {
        let (kstatus, argocd) = of_hold(hold).unwrap();
        let also = |it: &mut Value| {
            if hold == StallCause::Orphaned {
                delete(it)
            }
        };
        for before in [&pending, &old, &old_rolling] {
            let status = held(before, reason_of(hold), hold);
            table.push((
                if before == &pending { "held from birth" } else { "held" },
                object(&status, also),
                kstatus,
                argocd,
            ));
        }
    }

    let objects: Vec<Value> = table.iter().map(|(_, object, ..)| object.clone()).collect();
    let found = verdicts(&objects);
    let mut wrong = String::new();
    for ((state, object, kstatus, argocd), found) in table.iter().zip(&found) {
        if (found.kstatus.status.as_str(), found.argocd.status.as_str()) != (*kstatus, *argocd) {
            wrong += &format!("{state}: {found:?}, not {kstatus} and {argocd}: {:#}\n", object["status"]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
    // Who gives up says why.
    for ((state, ..), found) in table.iter().zip(&found).filter(|(_, found)| found.kstatus.status == "Failed") {
        assert!(found.kstatus.message.starts_with("what to do"), "{state}: {found:?}");
        assert!(found.argocd.message.contains(": what to do"), "{state}: {found:?}");
    }
}
