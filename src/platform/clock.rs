//! The clock. Everything else takes times as arguments.
#![expect(clippy::disallowed_methods, reason = "this module owns the clock")]

use std::sync::OnceLock;
use std::time::{Duration, Instant};

use jiff::Timestamp;

use super::failpoint;

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::now().saturating_add(failpoint::clock_shift()).unwrap_or(Timestamp::MAX)
}

/// The time since the process first asked, from a clock that never jumps.
pub fn elapsed() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
