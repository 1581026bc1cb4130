//! The clock. Everything else takes times as arguments.
#![expect(clippy::disallowed_methods, reason = "this module owns the clock")]

use jiff::Timestamp;

/// The time of day.
pub fn now() -> Timestamp {
    Timestamp::now()
}
