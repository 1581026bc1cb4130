//! Times and ages as people read them: in UTC, to the minute.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

/// A time that displays as `2026-11-28 15:10 UTC`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Minute(pub Timestamp);

impl fmt::Display for Minute {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.strftime("%Y-%m-%d %H:%M UTC"))
    }
}

/// An age that displays in the two largest units that matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Age(pub SignedDuration);

impl fmt::Display for Age {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.0.as_hours() / 24, self.0.as_hours() % 24, self.0.as_mins() % 60) {
            (0, 0, minutes) => write!(f, "{minutes} min"),
            (0, hours, minutes) => write!(f, "{hours} h {minutes} min"),
            (days, hours, _) => write!(f, "{days} d {hours} h"),
        }
    }
}
