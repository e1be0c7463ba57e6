//! Pure: what was seen of the Lease, when it may be taken, and what is written to take, keep and release it.
//!
//! The times in a Lease are for people. Whether its holder lives is judged by our own clock since the Lease was last
//! seen to change, so that clocks may differ.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use k8s_openapi::{
    api::coordination::v1::{Lease, LeaseSpec},
    apimachinery::pkg::apis::meta::v1::MicroTime,
};
use kube::api::ObjectMeta;

use crate::plan::ResourceVersion;

/// How long a Lease has to stay unchanged before another replica may take it.
pub const TERM: Duration = Duration::from_secs(13);

/// What is known of the Lease.
#[derive(Debug, Default)]
pub struct LeaseState {
    lease: Option<Lease>,
    version: ResourceVersion,
    free_at: Option<Instant>,
}

impl LeaseState {
    /// It looks so; what is older than what was seen before is passed over.
    pub fn seen(&mut self, lease: Lease, now: Instant) {
        let version = version(&lease);
        if version < self.version || version == self.version && self.lease.is_some() {
            return;
        }
        let before = self.lease.as_ref().and_then(|lease| lease.spec.as_ref());
        if holder(&lease).is_none() {
            self.free_at = Some(now);
        } else if self.free_at.is_none() || before != lease.spec.as_ref() {
            self.free_at = Some(now + term(&lease));
        }
        self.version = version;
        self.lease = Some(lease);
    }

    /// There is none. Where there was one, its holder may not know that yet.
    pub fn gone(&mut self, now: Instant) {
        let held = self.lease.take().is_some_and(|lease| holder(&lease).is_some());
        if held || self.free_at.is_none() {
            self.free_at = Some(if held { now + TERM } else { now });
        }
    }

    /// Its deletion was seen, which has a version of its own.
    pub fn deleted(&mut self, lease: &Lease, now: Instant) {
        if version(lease) > self.version {
            self.version = version(lease);
            self.gone(now);
        }
    }

    /// When we may take it, unless it changes before; `None` while nothing is known.
    pub fn free_at(&self) -> Option<Instant> {
        self.free_at
    }

    /// Who has it, be they alive or not.
    pub fn holder(&self) -> Option<&str> {
        self.lease.as_ref().and_then(holder)
    }

    /// Whether it exists.
    pub fn exists(&self) -> bool {
        self.lease.is_some()
    }

    /// The Lease as it is when `identity` takes or keeps it. It goes through only if nothing has changed since we looked.
    pub fn held_by(&self, identity: &str, name: &str, now: Timestamp) -> Lease {
        let mut lease = self.lease.clone().unwrap_or_else(|| Lease {
            metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
            ..Lease::default()
        });
        let spec = lease.spec.get_or_insert_default();
        if spec.holder_identity.as_deref() != Some(identity) {
            spec.acquire_time = Some(MicroTime(now));
            spec.lease_transitions = Some(spec.lease_transitions.map_or(0, |count| count.saturating_add(1)));
        }
        spec.holder_identity = Some(identity.to_owned());
        spec.lease_duration_seconds = i32::try_from(TERM.as_secs()).ok();
        spec.renew_time = Some(MicroTime(now));
        lease
    }

    /// The Lease without a holder, for another replica to take at once.
    pub fn released(&self) -> Option<Lease> {
        let lease = self.lease.clone()?;
        let spec = LeaseSpec { holder_identity: None, ..lease.spec.unwrap_or_default() };
        Some(Lease { spec: Some(spec), ..lease })
    }
}

fn holder(lease: &Lease) -> Option<&str> {
    lease.spec.as_ref()?.holder_identity.as_deref().filter(|holder| !holder.is_empty())
}

fn version(lease: &Lease) -> ResourceVersion {
    lease.metadata.resource_version.as_deref().and_then(|version| version.parse().ok()).unwrap_or_default()
}

/// A holder of another version of regcred may count on more time than we would.
fn term(lease: &Lease) -> Duration {
    let seconds = lease.spec.as_ref().and_then(|spec| spec.lease_duration_seconds);
    Duration::from_secs(seconds.and_then(|seconds| u64::try_from(seconds).ok()).unwrap_or_default()).max(TERM)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn lease(version: u64, holder: Option<&str>, renewed: i64) -> Lease {
        let metadata = ObjectMeta {
            name: Some("regcred".to_owned()),
            resource_version: Some(version.to_string()),
            ..ObjectMeta::default()
        };
        let spec = LeaseSpec {
            holder_identity: holder.map(str::to_owned),
            lease_duration_seconds: Some(10),
            renew_time: Timestamp::from_second(renewed).ok().map(MicroTime),
            lease_transitions: Some(3),
            ..LeaseSpec::default()
        };
        Lease { metadata, spec: Some(spec) }
    }

    #[test]
    fn a_lease_is_free_its_term_after_its_last_change_whatever_its_own_times_say() {
        for skew in [-1_000_000_000, 0, 1_000_000_000] {
            let (mut lease_state, now) = (LeaseState::default(), Instant::now());
            assert_eq!(lease_state.free_at(), None);
            lease_state.seen(lease(7, Some("other"), 2_000_000_000 + skew), now);
            assert_eq!(lease_state.free_at(), Some(now + TERM));
            lease_state.seen(lease(8, Some("other"), 2_000_000_003 + skew), now + 3 * SECOND);
            assert_eq!(lease_state.free_at(), Some(now + 3 * SECOND + TERM));
        }
    }

    #[test]
    fn what_is_old_or_no_renewal_changes_nothing() {
        let (mut lease_state, now) = (LeaseState::default(), Instant::now());
        lease_state.seen(lease(7, Some("other"), 0), now);
        lease_state.seen(lease(6, None, 0), now + SECOND);
        lease_state.seen(lease(7, Some("other"), 0), now + SECOND);
        lease_state.deleted(&lease(5, Some("other"), 0), now + SECOND);
        let annotated = lease(9, Some("other"), 0);
        lease_state.seen(annotated, now + SECOND);
        assert_eq!((lease_state.holder(), lease_state.free_at()), (Some("other"), Some(now + TERM)));
        let taken = lease_state.held_by("us", "regcred", Timestamp::UNIX_EPOCH);
        assert_eq!(taken.metadata.resource_version.as_deref(), Some("9"));
    }

    #[test]
    fn a_released_lease_is_free_at_once_and_so_is_one_that_never_was() {
        let (mut lease_state, now) = (LeaseState::default(), Instant::now());
        lease_state.seen(lease(7, Some("other"), 0), now);
        lease_state.seen(lease(8, None, 0), now + SECOND);
        assert_eq!((lease_state.holder(), lease_state.free_at()), (None, Some(now + SECOND)));
        let mut none = LeaseState::default();
        none.gone(now);
        assert_eq!(none.free_at(), Some(now));
    }

    #[test]
    fn who_held_a_lease_that_somebody_deletes_has_time_to_notice() {
        let (mut lease_state, now) = (LeaseState::default(), Instant::now());
        lease_state.seen(lease(7, Some("other"), 0), now);
        lease_state.deleted(&lease(8, Some("other"), 0), now + SECOND);
        lease_state.gone(now + 2 * SECOND);
        assert_eq!((lease_state.holder(), lease_state.free_at()), (None, Some(now + SECOND + TERM)));
        assert!(!lease_state.exists());
        lease_state.seen(lease(9, Some("other"), 1), now + 3 * SECOND);
        assert_eq!(lease_state.free_at(), Some(now + 3 * SECOND + TERM));
    }

    #[test]
    fn taking_keeping_and_releasing_leave_the_rest_as_it_is() {
        let (mut lease_state, now) = (LeaseState::default(), Instant::now());
        let mut seen = lease(7, Some("other"), 0);
        seen.metadata.annotations = Some([("a".to_owned(), "b".to_owned())].into());
        lease_state.seen(seen.clone(), now);
        let taken = lease_state.held_by("us", "regcred", Timestamp::UNIX_EPOCH);
        assert_eq!(taken.metadata, seen.metadata);
        let spec = taken.spec.clone().unwrap();
        assert_eq!((spec.holder_identity.as_deref(), spec.lease_transitions), (Some("us"), Some(4)));

        lease_state.seen(Lease { metadata: lease(8, None, 0).metadata, ..taken }, now);
        let later = Timestamp::from_second(5).unwrap();
        let kept = lease_state.held_by("us", "regcred", later).spec.unwrap();
        assert_eq!((kept.lease_transitions, kept.acquire_time), (Some(4), spec.acquire_time));
        assert_eq!(kept.renew_time, Some(MicroTime(later)));
        assert_eq!(lease_state.released().unwrap().spec.unwrap().holder_identity, None);
    }
}
