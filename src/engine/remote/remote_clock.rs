//! This machine's clock against the remote's: what archives by a date has to know that the date is
//! right.

use std::fmt;

use jiff::{SignedDuration, Timestamp};

use crate::model::minute::Minute;

/// A clock that is off by more than this archives nothing. Below it, both clocks may well be kept
/// right, and the answer was on its way for a while.
const TOLERANCE: SignedDuration = SignedDuration::from_mins(5);

/// The remedy for a wrong clock.
pub(crate) const SET_CLOCK: &str = "set the clock, and let it be kept right: `timedatectl set-ntp true`";

/// Completes the message about a certificate that isn't valid at this machine's time.
pub(crate) fn untimely(message: &str, now: Timestamp) -> String {
    format!("{message}, {}: is the clock right?", Minute(now))
}

/// How far this machine's clock is ahead of the remote's; negative: behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClockOffset(SignedDuration);

impl ClockOffset {
    /// Compares the time `date` of an answer with that of its arrival.
    pub(crate) fn between(date: Timestamp, now: Timestamp) -> Self {
        Self(now.duration_since(date))
    }

    /// How far the clocks are apart.
    pub(crate) fn apart(self) -> SignedDuration {
        self.0.abs()
    }

    /// Whether no date may be trusted that needs both clocks.
    pub(crate) fn is_off(self) -> bool {
        self.apart() > TOLERANCE
    }
}

impl fmt::Display for ClockOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let off = self.apart();
        let (number, noun) =
            if off < SignedDuration::from_mins(120) { (off.as_mins(), "minute") } else { (off.as_hours(), "hour") };
        let ending = if number == 1 { "" } else { "s" };
        let way = if self.0.is_negative() { "behind" } else { "ahead" };
        write!(f, "this machine's clock is {number} {noun}{ending} {way}")
    }
}
