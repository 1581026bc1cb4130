//! How fast a story goes: the long one keeps to Roblox's pace, the short one only proves that the
//! soak works.

use std::ops::Range;
use std::time::Duration;

/// The times and sizes of a story. Ranges are drawn from anew each time.
#[derive(Debug, Clone)]
pub struct Pace {
    /// How long a storm lasts, in seconds.
    pub storm: Range<u64>,
    /// Between two actions, in milliseconds.
    pub between: Range<u64>,
    /// How long the emulator is down, stands still or misbehaves, in milliseconds.
    pub outage: Range<u64>,
    /// How long an upload has to get to an operation that never ends, beyond an outage.
    pub endless: Duration,
    /// How many files there are, about.
    pub files: usize,
    /// How long operations take at the emulator, as its `--latency` has it.
    pub latency: &'static str,
    /// No part of a request of the service takes longer.
    pub patience: &'static str,
    /// For how many seconds an upload whose answer was lost rests.
    pub rest: &'static str,
    /// A command beside the service gives up after this.
    pub command_patience: &'static str,
    /// The service's `--interval`: drawn for each of its lives.
    pub intervals: &'static [&'static str],
    /// The service must be in step so long after a storm.
    pub converge: Duration,
    /// For so long nothing may happen then.
    pub quiet: Duration,
    /// How many cards of each kind of action the deck has, at most.
    pub cards: usize,
    /// A storm goes on until each card was dealt.
    pub whole_deck: bool,
    /// The emulator keeps to Roblox's limits.
    pub limits: bool,
}

impl Pace {
    /// Phases of a minute or two, an action every second or two: about what Roblox's limits allow.
    pub const fn long() -> Self {
        Self {
            storm: 40..90,
            between: 700..2800,
            outage: 1000..14_000,
            endless: Duration::from_secs(10),
            files: 60,
            latency: "observed",
            patience: "20s",
            rest: "60",
            command_patience: "30s",
            intervals: &["30s", "2m", "10m"],
            converge: Duration::from_secs(300),
            quiet: Duration::from_secs(10),
            cards: usize::MAX,
            whole_deck: false,
            limits: true,
        }
    }

    /// One storm of some seconds with each kind of action once.
    pub const fn short() -> Self {
        Self {
            storm: 1..2,
            between: 30..250,
            outage: 400..1200,
            endless: Duration::from_millis(2500),
            files: 12,
            latency: "20",
            patience: "2s",
            rest: "1",
            command_patience: "4s",
            intervals: &["5s"],
            // Far more than it takes: a loaded machine is no defect.
            converge: Duration::from_secs(120),
            quiet: Duration::from_millis(1500),
            cards: 1,
            whole_deck: true,
            limits: false,
        }
    }
}
