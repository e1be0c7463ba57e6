//! PURE: when to look again at a login that says itself when it ends. No event tells that moment.

use std::time::Duration;

use jiff::Timestamp;

use crate::{api::Stalled, progress::Resolution};

/// The longest time without a look: the wall clock may be set while a timer runs.
const LONGEST: Duration = Duration::from_secs(60);

/// The shortest: a timer may end a moment before the wall clock is there.
const SHORTEST: Duration = Duration::from_millis(50);

/// Whether the clock says something else than when this was found: that a login has ended meanwhile, or that it hasn't
/// after all.
pub fn is_due(found: &Result<Resolution, Stalled>, now: Timestamp) -> bool {
    match found {
        Ok(resolution) => resolution.expires_at.is_some_and(|end| end <= now),
        Err(stalled) => stalled.expired_at.is_some_and(|end| end > now),
    }
}

/// After which time to look again; `None` where no login says when it ends.
pub fn next_look(found: &Result<Resolution, Stalled>, now: Timestamp) -> Option<Duration> {
    let end = match found {
        Ok(resolution) => resolution.expires_at?,
        Err(stalled) => stalled.expired_at?,
    };
    // What has ended and couldn't be read anew has a retry of its own.
    let left = Duration::try_from(end.duration_since(now)).ok().filter(|left| !left.is_zero());
    Some(left.unwrap_or(LONGEST).clamp(SHORTEST, LONGEST))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::Reason;

    const END: i64 = 1_800_000_000;

    fn at(millisecond: i64) -> Timestamp {
        Timestamp::from_millisecond(END * 1000 + millisecond).unwrap()
    }

    fn valid(expires_at: Option<Timestamp>) -> Result<Resolution, Stalled> {
        Ok(Resolution { source: Some("812".to_owned()), expires_at, ..Resolution::default() })
    }

    #[test]
    fn a_login_is_looked_at_when_it_ends_and_each_minute_until_then() {
        let expired = || Err(Stalled::new(Reason::TokenExpired, "").with_expiry(at(0)));
        let broken = || Err(Stalled::new(Reason::InvalidCredential, ""));
        for (found, now, due, wait) in [
            (valid(Some(at(0))), at(-3_600_000), false, Some(60_000)),
            (valid(Some(at(0))), at(-60_000), false, Some(60_000)),
            (valid(Some(at(0))), at(-59_999), false, Some(59_999)),
            (valid(Some(at(0))), at(-8_000), false, Some(8_000)),
            (valid(Some(at(0))), at(-1), false, Some(50)),
            (valid(Some(at(0))), at(0), true, Some(60_000)),
            (valid(Some(at(0))), at(86_400_000), true, Some(60_000)),
            (valid(None), at(0), false, None),
            // The clock was ahead, and has been set back.
            (expired(), at(-1), true, Some(50)),
            (expired(), at(0), false, Some(60_000)),
            (expired(), at(1), false, Some(60_000)),
            (broken(), at(0), false, None),
        ] {
            let said = (is_due(&found, now), next_look(&found, now));
            assert_eq!(said, (due, wait.map(Duration::from_millis)), "{found:?} at {now}");
        }
    }
}
