//! One credential's state and sums → its status. The conditions are those that kstatus reads, so `kubectl wait`, Flux,
//! Helm and Argo CD tell the truth: <https://github.com/kubernetes-sigs/cli-utils/blob/master/pkg/kstatus/README.md>.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::{
    rollout::{Failure, Summary},
    stuck_counts::Stuck,
};
use crate::api::{
    Identity, NamespaceCounts, NamespaceFailure, NamespaceName, ObservedSource, Reason, RegistryCredentialStatus,
    ServiceAccountCounts, StallCause, Stalled, StuckPodCounts,
};

/// What a RegistryCredential was resolved from; namespaces get the pull secret that came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolution {
    /// Whose credential it is; `None` where regcred has none, as others make the Secrets.
    pub identity: Option<Identity>,
    /// The registries that it is for, sorted.
    pub registries: Vec<String>,
    /// metadata.resourceVersion of the source Secret; `None` where there is none to read.
    pub source: Option<String>,
    /// What the owner of the source or the author of the spec should know, each in a sentence.
    pub notes: Vec<String>,
    /// When the first of the logins stops working, where one says so itself.
    pub expires_at: Option<Timestamp>,
}

/// All that a status is made of.
#[derive(Clone, Debug)]
pub struct Report {
    /// metadata.generation that was looked at.
    pub generation: Option<i64>,
    /// What the credential controller found.
    pub resolution: Result<Resolution, Stalled>,
    /// Its sums; `None` where nothing is counted for it.
    pub summary: Option<Summary>,
    /// Pods that were created before their pull secret.
    pub stuck: Stuck,
}

/// The status that follows `previous`; equal to it where there is nothing new to say.
pub fn build(previous: &RegistryCredentialStatus, report: &Report, now: Timestamp) -> RegistryCredentialStatus {
    let nothing = RegistryCredentialStatus::default();
    let before = if *previous == RegistryCredentialStatus::pending() { &nothing } else { previous };
    let mut status = before.clone();
    status.observed_generation = report.generation;
    let verdicts = match (&report.resolution, &report.summary) {
        (Ok(Resolution { identity, registries, source, notes, expires_at }), Some(sums)) => {
            let valid = match source {
                Some(_) => verdict("CredentialValid", "True", Reason::Valid, &notes.join("; ")),
                None => verdict("CredentialValid", "Unknown", Reason::NotRead, NOT_READ),
            };
            let source = source.clone().map(|resource_version| ObservedSource { resource_version });
            let known = before.observed_generation == report.generation && before.observed_source == source;
            if known && sums.behind > 0 && is_settled(before) {
                // A restart: nothing is known to have changed, so nothing is said before all has been looked at.
                return previous.clone();
            }
            status.identity.clone_from(identity);
            status.registries = registries.iter().take(RegistryCredentialStatus::MAX_REGISTRIES).cloned().collect();
            status.observed_source = source;
            status.credential_expires_at = expires_at.map(Time);
            count(&mut status, sums);
            match &report.stuck {
                Stuck::Unknown => {}
                Stuck::Untold => status.stuck_pods = None,
                Stuck::Found(counts) => status.stuck_pods = Some(counts.clone()),
            }
            rolling_out(sums, status.stuck_pods.as_ref(), valid)
        }
        (Ok(_), None) => return previous.clone(),
        (Err(stalled), sums) if stalled.cause() == StallCause::Suspended => {
            status.stuck_pods = None;
            // What isn't known of every namespace would look like a loss: after a restart it is nothing, at first.
            if let Some(sums) = sums.as_ref().filter(|sums| sums.behind == 0) {
                count(&mut status, sums);
            }
            let counts = status.namespaces.as_ref();
            let counts =
                counts.map(|it| format!("; {} of {} namespaces hold what was rolled out", it.ready, it.desired));
            let message = format!("{}{}", stalled.message, counts.unwrap_or_default());
            conditions_of(&Stalled { message, ..stalled.clone() }, before)
        }
        (Err(stalled), _) => {
            status.stuck_pods = None;
            if let Some(expired_at) = stalled.expired_at {
                status.credential_expires_at = Some(Time(expired_at));
            }
            if stalled.cause() == StallCause::Withdrawn {
                // What these speak of is taken back.
                status.observed_source = None;
                status.registries.clear();
                status.credential_expires_at = None;
                status.namespaces = None;
                status.service_accounts = None;
                status.failures.clear();
            }
            conditions_of(stalled, before)
        }
    };
    let now = Time(now.round(jiff::Unit::Second).unwrap_or(now));
    if is_true(&verdicts, "Ready") && (!is_true(before, "Ready") || before.observed_source != status.observed_source) {
        status.last_rollout_time = Some(now.clone());
    }
    let is_suspended = is_true(&verdicts, "Suspended");
    status.conditions =
        verdicts.into_iter().map(|verdict| condition(before, verdict, report.generation, &now)).collect();
    if is_suspended {
        // Ready still speaks of what was rolled out, so that `kubectl wait` doesn't take it for the newest spec.
        let spoken_of = ready(before).and_then(|ready| ready.observed_generation);
        status.conditions.iter_mut().filter(|c| c.type_ == "Ready").for_each(|c| c.observed_generation = spoken_of);
    }
    status
}

fn ready(status: &RegistryCredentialStatus) -> Option<&Condition> {
    status.conditions.iter().find(|c| c.type_ == "Ready")
}

/// Something that has conditions.
trait Conditions {
    fn status_of(&self, type_: &str) -> Option<&str>;
}

impl Conditions for RegistryCredentialStatus {
    fn status_of(&self, type_: &str) -> Option<&str> {
        self.conditions.iter().find(|c| c.type_ == type_).map(|c| c.status.as_str())
    }
}

impl Conditions for [Verdict; 5] {
    fn status_of(&self, type_: &str) -> Option<&str> {
        self.iter().find(|v| v.type_ == type_).map(|v| v.status)
    }
}

fn is_true(conditions: &impl Conditions, type_: &str) -> bool {
    conditions.status_of(type_) == Some("True")
}

/// Whether every namespace has been worked on, be it in vain.
fn is_settled(status: &RegistryCredentialStatus) -> bool {
    let partially = Reason::PartiallyReady.as_str();
    ready(status).is_some_and(|ready| ready.status == "True" || ready.reason == partially)
}

/// A condition without its times.
struct Verdict {
    type_: &'static str,
    status: &'static str,
    reason: String,
    message: String,
}

fn verdict(type_: &'static str, status: &'static str, reason: Reason, message: &str) -> Verdict {
    Verdict { type_, status, reason: reason.to_string(), message: message.to_owned() }
}

fn condition(previous: &RegistryCredentialStatus, verdict: Verdict, generation: Option<i64>, now: &Time) -> Condition {
    let same = previous.conditions.iter().find(|c| c.type_ == verdict.type_ && c.status == verdict.status);
    Condition {
        type_: verdict.type_.to_owned(),
        status: verdict.status.to_owned(),
        reason: verdict.reason,
        message: verdict.message,
        observed_generation: generation,
        last_transition_time: same.map_or_else(|| now.clone(), |c| c.last_transition_time.clone()),
    }
}

/// What is known of a credential that others put into their Secrets.
const NOT_READ: &str = "somebody else makes the Secret, and regcred doesn't read it";

fn rolling_out(sums: &Summary, stuck: Option<&StuckPodCounts>, valid: Verdict) -> [Verdict; 5] {
    let progress = format!("{} of {} namespaces are ready", sums.ready, sums.desired);
    let (ready, reason, message) = if sums.behind > 0 || sums.ready + sums.failed < sums.desired {
        // Neither ready nor failed is what waits for somebody else, such as a Secret that a finalizer keeps.
        ("False", Reason::RollingOut, progress)
    } else if let Some(missing) = missing(sums) {
        ("False", Reason::PartiallyReady, format!("{progress}; {missing}"))
    } else if let Some((namespace, failure)) = sums.failures.first() {
        let others = match sums.failed {
            1 => String::new(),
            failed => format!(" (and {} more)", failed - 1),
        };
        let message = format!("{progress}; {namespace} failed{others}: {}: {}", failure.reason, failure.message);
        ("False", Reason::PartiallyReady, message)
    } else if sums.desired == 0 {
        ("True", Reason::RolledOut, "no namespace matches spec.namespaces yet".to_owned())
    } else {
        let accounts = format!("{} of {} service accounts", sums.accounts_ready, sums.accounts_desired);
        let stuck = match stuck.map(|stuck| stuck.count) {
            None | Some(0) => String::new(),
            Some(1) => "; 1 pod was created too early and can't pull".to_owned(),
            Some(count) => format!("; {count} pods were created too early and can't pull"),
        };
        ("True", Reason::RolledOut, format!("{progress}, and {accounts}{stuck}"))
    };
    let reconciling = match reason {
        Reason::RollingOut => verdict("Reconciling", "True", reason, &message),
        _ => verdict("Reconciling", "False", reason, ""),
    };
    [
        verdict("Ready", ready, reason, &message),
        reconciling,
        verdict("Stalled", "False", Reason::Progressing, ""),
        valid,
        not_suspended(),
    ]
}

/// Where the Secret isn't there that somebody else has to make: in how many namespaces, and the first few of these.
fn missing(sums: &Summary) -> Option<String> {
    const FEW: usize = 3;
    let is_missing = |(_, failure): &&(NamespaceName, Failure)| failure.reason == Reason::SecretMissing;
    let (_, Failure { reason, message }) = sums.failures.iter().find(is_missing)?;
    let names: Vec<&str> = sums.failures.iter().filter(is_missing).take(FEW).map(|(name, _)| name.as_str()).collect();
    let more = if sums.missing > names.len() { ", …" } else { "" };
    let others = match sums.failed - sums.missing {
        0 => String::new(),
        others => format!("; {others} more failed"),
    };
    let (names, missing, desired) = (names.join(", "), sums.missing, sums.desired);
    Some(format!("{reason} in {missing} of {desired} namespaces ({names}{more}): {message}{others}"))
}

/// Always there, so that it can be waited for, and told from a version that knows no such condition.
fn not_suspended() -> Verdict {
    verdict("Suspended", "False", Reason::NotSuspended, "")
}

fn conditions_of(stalled: &Stalled, previous: &RegistryCredentialStatus) -> [Verdict; 5] {
    let (reason, message, cause) = (stalled.reason, stalled.message.as_str(), stalled.cause());
    let valid = match cause {
        StallCause::Source | StallCause::Withdrawn => verdict("CredentialValid", "False", reason, message),
        // What was found about the source still stands.
        _ if is_true(previous, "CredentialValid") => {
            let found = previous.conditions.iter().find(|condition| condition.type_ == "CredentialValid");
            verdict("CredentialValid", "True", Reason::Valid, found.map_or("", |found| &found.message))
        }
        _ => verdict("CredentialValid", "Unknown", reason, message),
    };
    let ready = match (cause, previous.status_of("Ready")) {
        (StallCause::Suspended, Some("True")) => "True",
        (StallCause::Suspended, None | Some("Unknown")) => "Unknown",
        _ => "False",
    };
    let (reconciling, stalled) = match cause {
        StallCause::Orphaned => ("False", "False"),
        // Whoever waits for what was rolled out before has it. For anything else he would wait in vain.
        StallCause::Suspended if ready == "True" => ("False", "False"),
        StallCause::Suspended | StallCause::Spec | StallCause::Source | StallCause::Withdrawn => ("False", "True"),
        StallCause::Retried => ("True", "False"),
    };
    [
        verdict("Ready", ready, reason, message),
        verdict("Reconciling", reconciling, reason, if reconciling == "True" { message } else { "" }),
        verdict("Stalled", stalled, reason, if stalled == "True" { message } else { "" }),
        valid,
        match cause {
            StallCause::Suspended => verdict("Suspended", "True", reason, message),
            _ => not_suspended(),
        },
    ]
}

fn count(status: &mut RegistryCredentialStatus, sums: &Summary) {
    // Counts are of objects in a cluster: far from what an i64 can't hold.
    let number = |count: usize| i64::try_from(count).unwrap_or(i64::MAX);
    status.namespaces = Some(NamespaceCounts {
        desired: number(sums.desired),
        ready: number(sums.ready),
        failed: number(sums.failed),
        summary: format!("{}/{}", sums.ready, sums.desired),
    });
    status.service_accounts = Some(ServiceAccountCounts {
        desired: number(sums.accounts_desired),
        ready: number(sums.accounts_ready),
        summary: format!("{}/{}", sums.accounts_ready, sums.accounts_desired),
    });
    status.failures = sums
        .failures
        .iter()
        .map(|(namespace, failure)| NamespaceFailure {
            namespace: namespace.to_string(),
            reason: failure.reason.to_string(),
            message: failure.message.clone(),
        })
        .collect();
}

#[cfg(test)]
#[path = "status_tests.rs"]
mod tests;
