//! The status while a watch is refused, or the operator's own Secret can't be had: nothing is said of the present but
//! that.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::api::{Reason, RegistryCredentialStatus};

/// The status that follows `previous` where `why` says what isn't seen. Counts and the other conditions stay as they were
/// last known, and so does which generation they are of. Where it is suspended, that goes for Ready, too: it speaks of
/// what was rolled out, and is all that remembers it.
pub fn blind(
    previous: &RegistryCredentialStatus,
    generation: Option<i64>,
    reason: Reason,
    why: &str,
    now: Timestamp,
) -> RegistryCredentialStatus {
    let mut status = previous.clone();
    if *previous == RegistryCredentialStatus::pending() {
        status.conditions.clear(); // the CRD's default, and the time in it is nobody's
    }
    let is_suspended = status.conditions.iter().any(|c| c.type_ == "Suspended" && c.status == "True");
    let said: &[_] = match is_suspended {
        true => &[("Reconciling", "True")],
        false => &[("Ready", "Unknown"), ("Reconciling", "True")],
    };
    let now = Time(now.round(jiff::Unit::Second).unwrap_or(now));
    for &(type_, value) in said {
        let before = status.conditions.iter().position(|condition| condition.type_ == type_);
        let since = before.map(|at| &status.conditions[at]).filter(|condition| condition.status == value);
        let condition = Condition {
            type_: type_.to_owned(),
            status: value.to_owned(),
            reason: reason.to_string(),
            message: why.to_owned(),
            observed_generation: generation,
            last_transition_time: since.map_or_else(|| now.clone(), |condition| condition.last_transition_time.clone()),
        };
        match before {
            Some(at) => status.conditions[at] = condition,
            None => status.conditions.push(condition),
        }
    }
    status
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_changes_go_unseen_is_said_and_counts_stay() {
        let now = Timestamp::from_second(1_000).unwrap();
        let ready = Condition {
            type_: "Ready".to_owned(),
            status: "True".to_owned(),
            reason: "RolledOut".to_owned(),
            message: String::new(),
            observed_generation: Some(1),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        let valid = Condition { type_: "CredentialValid".to_owned(), ..ready.clone() };
        let previous = RegistryCredentialStatus {
            observed_generation: Some(1),
            conditions: vec![ready, valid.clone()],
            ..RegistryCredentialStatus::default()
        };
        let status = blind(&previous, Some(2), Reason::WatchRefused, "no right", now);
        assert_eq!(status.observed_generation, Some(1), "the new spec wasn't acted upon");
        let told = |c: &Condition| (c.type_.clone(), c.status.clone(), c.reason.clone(), c.message.clone());
        let all: Vec<_> = status.conditions.iter().map(told).collect();
        let text = |texts: [&str; 4]| <(String, String, String, String)>::from(texts.map(str::to_owned));
        let wanted = [
            text(["Ready", "Unknown", "WatchRefused", "no right"]),
            told(&valid),
            text(["Reconciling", "True", "WatchRefused", "no right"]),
        ];
        assert_eq!(all, wanted);
        let later = Timestamp::from_second(2_000).unwrap();
        assert_eq!(blind(&status, Some(2), Reason::WatchRefused, "no right", later), status, "nothing new to say");
    }

    #[test]
    fn one_that_is_suspended_keeps_what_it_says_of_what_was_rolled_out() {
        let now = Timestamp::from_second(1_000).unwrap();
        let condition = |type_: &str, generation| Condition {
            type_: type_.to_owned(),
            status: "True".to_owned(),
            reason: "Suspended".to_owned(),
            message: String::new(),
            observed_generation: Some(generation),
            last_transition_time: Time(Timestamp::UNIX_EPOCH),
        };
        let conditions = vec![condition("Ready", 1), condition("Suspended", 2)];
        let previous = RegistryCredentialStatus { observed_generation: Some(2), conditions, ..Default::default() };
        let status = blind(&previous, Some(2), Reason::WatchRefused, "no right", now);
        assert_eq!(status.conditions[..2], previous.conditions);
        let told = &status.conditions[2];
        assert_eq!(
            (told.type_.as_str(), told.status.as_str(), told.message.as_str()),
            ("Reconciling", "True", "no right")
        );
    }

    #[test]
    fn the_time_in_the_default_of_the_crd_is_not_taken_for_ours() {
        let now = Timestamp::from_second(1_000).unwrap();
        let status = blind(&RegistryCredentialStatus::pending(), Some(1), Reason::WatchRefused, "no right", now);
        let times: Vec<_> = status.conditions.iter().map(|c| (c.type_.as_str(), c.last_transition_time.0)).collect();
        assert_eq!(times, [("Ready", now), ("Reconciling", now)]);
    }
}
