//! How long one operation at Roblox took, as far as polls tell.

/// The two ages between which an operation became done, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LatencySample {
    /// The age at the last poll that found it running; 0 without one.
    pub running: u32,
    /// The age at which it is known to be done.
    pub done: u32,
}

impl LatencySample {
    /// Returns that of an operation that was done at its first poll, at this age.
    pub const fn done(millis: u32) -> Self {
        Self { running: 0, done: millis }
    }
}
