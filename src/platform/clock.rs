//! The clock. All other code takes times as arguments.
#![expect(clippy::disallowed_methods, reason = "this module owns the clock")]

use std::sync::OnceLock;
use std::time::{Duration, Instant, SystemTime};

use jiff::Timestamp;

use super::failpoint;

/// Returns the time of day.
pub(crate) fn now() -> Timestamp {
    time_of_day(SystemTime::now()).saturating_add(failpoint::clock_shift()).unwrap_or(Timestamp::MAX)
}

/// Returns the time of day in nanoseconds since 1970, as file systems count it.
pub(crate) fn nanoseconds() -> i64 {
    as_nanoseconds(now())
}

/// Returns a time in nanoseconds since 1970, as file systems count it, or the nearest that they can
/// count.
pub(crate) fn as_nanoseconds(time: Timestamp) -> i64 {
    i64::try_from(time.as_nanosecond()).unwrap_or(i64::MAX)
}

/// Returns a remote's time of day. Where tests let time pass, it passes for the remote too.
pub(crate) fn remote(date: Timestamp) -> Timestamp {
    date.saturating_add(failpoint::remote_shift()).unwrap_or(Timestamp::MAX)
}

/// Converts the system's time, or returns the nearest representable time. A clock in the year 10000
/// is wrong, but no reason to panic.
fn time_of_day(system: SystemTime) -> Timestamp {
    Timestamp::try_from(system).unwrap_or(if system < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX })
}

/// Returns the time since the process first called this, from a clock that never jumps.
pub(crate) fn elapsed() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_clock_out_of_range_gives_the_nearest_time() {
        let after = |seconds| SystemTime::UNIX_EPOCH + Duration::from_secs(seconds);
        // Windows' clock begins in the year 1601.
        let before = |seconds| SystemTime::UNIX_EPOCH.checked_sub(Duration::from_secs(seconds));
        let check = |system, wanted| assert_eq!(time_of_day(system), wanted);
        check(SystemTime::UNIX_EPOCH, Timestamp::UNIX_EPOCH);
        check(after(1_795_882_200), Timestamp::from_second(1_795_882_200).unwrap());
        check(before(86_400).unwrap(), Timestamp::from_second(-86_400).unwrap());
        // The last second of the year 9999, and long before the Romans.
        check(after(253_402_300_799), Timestamp::MAX);
        if let Some(before) = before(400_000_000_000) {
            check(before, Timestamp::MIN);
        }
    }
}
