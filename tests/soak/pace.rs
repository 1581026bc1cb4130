//! The speed of a scenario: the long one keeps to Roblox's pace, the short one only proves that the
//! soak works.

use std::ops::Range;
use std::time::Duration;

/// The times and sizes of a scenario. Each use draws anew from a range.
#[derive(Debug, Clone)]
pub struct Pace {
    /// The length of a storm, in seconds.
    pub storm: Range<u64>,
    /// The pause between two actions, in milliseconds.
    pub between: Range<u64>,
    /// How long the emulator is down, frozen or faulty, in milliseconds.
    pub outage: Range<u64>,
    /// The time for an upload to reach an operation that never ends, beyond an outage.
    pub endless: Duration,
    /// The approximate number of files.
    pub files: usize,
    /// The emulator's `--latency`.
    pub latency: &'static str,
    /// The longest time for any part of a request of the service.
    pub patience: &'static str,
    /// The back-off of an upload without a response, in seconds.
    pub rest: &'static str,
    /// The time after which a command beside the service gives up.
    pub command_patience: &'static str,
    /// The service's `--interval`, drawn for each of its lives.
    pub intervals: &'static [&'static str],
    /// The time after a storm within which the service must be in step.
    pub converge: Duration,
    /// The time after that in which nothing may happen.
    pub quiet: Duration,
    /// The most actions of each kind in the generator's list.
    pub most_of_each_action: usize,
    /// Whether a storm continues until every action of the list was taken.
    pub every_action: bool,
    /// Whether the emulator keeps to Roblox's limits.
    pub limits: bool,
}

impl Pace {
    /// Phases of a minute or two, with an action every second or two: about the most that Roblox's
    /// limits allow.
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
            most_of_each_action: usize::MAX,
            every_action: false,
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
            // Far more than needed: a loaded machine is no defect.
            converge: Duration::from_secs(120),
            quiet: Duration::from_millis(1500),
            most_of_each_action: 1,
            every_action: true,
            limits: false,
        }
    }
}
