//! The events of a run in progress, for a listener that shows them.

use std::fmt;
use std::time::Duration;

use jiff::Timestamp;

use crate::engine::report::estimate::Workload;
use crate::engine::report::run_report::Outcome;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::plan::Step;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum ProgressEvent {
    /// Files are being scanned.
    Files {
        /// Files scanned so far.
        done: u64,
        /// Files in total.
        total: u64,
        /// Bytes hashed so far.
        bytes: u64,
    },
    /// Execution of a plan is about to begin.
    Planned {
        /// What it asks of Roblox.
        work: Workload,
        /// The addresses of its steps.
        addresses: Vec<Address>,
        /// When the run ends whatever is left, where it has a limit.
        ends_at: Option<Timestamp>,
    },
    /// An upload is being sent.
    Uploading {
        /// The address.
        address: Address,
        /// The length in bytes.
        bytes: u64,
    },
    /// Roblox accepted the upload and processes it.
    Accepted {
        /// The address.
        address: Address,
    },
    /// An earlier try of a step failed, and the next one waits.
    Delayed {
        /// The address.
        address: Address,
        /// The length of the wait.
        wait: Duration,
        /// The answer to its upload got lost, so it is uploaded again.
        lost_answer: bool,
    },
    /// A step ended, successfully or not.
    Finished {
        /// The step.
        step: Box<Step>,
        /// How it ended.
        outcome: Outcome,
    },
    /// A request ended, with a response or without.
    Answered {
        /// Its endpoint.
        endpoint: &'static str,
        /// The status of the response.
        status: Option<u16>,
        /// There was no connection, at this time.
        unconnected: Option<Timestamp>,
    },
    /// A request was sent after a wait.
    Waited {
        /// Its endpoint.
        endpoint: &'static str,
        /// The length of the wait.
        time: Duration,
    },
    /// The key was introspected.
    KeyExpires {
        /// When it expires; `None` if never or unknown.
        at: Option<Timestamp>,
    },
    /// Pages of Roblox's list of versions were read.
    Listed {
        /// The asset.
        asset_id: AssetId,
        /// The number of versions so far.
        versions: u64,
    },
    /// An operation was polled.
    Polled,
    /// A request waits for Roblox's limits, or for Roblox to recover. Comes again if the wait
    /// becomes longer.
    Waiting {
        /// The reason.
        reason: WaitReason,
        /// The expected length of the wait.
        wait: Duration,
    },
    /// The run waits for moderation, at most for `left`.
    Reviewing {
        /// The number of assets under review.
        assets: u64,
        /// The rest of the time that the run waits.
        left: Duration,
    },
}

/// Why a request isn't sent at once. As text it completes "Macadam is …".
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum WaitReason {
    /// Roblox takes no more requests of this kind for now.
    RateLimit,
    /// Roblox's answers are failures.
    Failing,
    /// Nothing answers.
    Unconnected,
}

impl WaitReason {
    /// Returns what is wrong meanwhile, in a few words.
    pub(crate) const fn cause(self) -> &'static str {
        match self {
            Self::RateLimit => "Roblox takes no more requests for now",
            Self::Failing => "Roblox fails",
            Self::Unconnected => "no connection to Roblox",
        }
    }
}

impl fmt::Display for WaitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::RateLimit => "waiting for Roblox's rate limit",
            Self::Failing => "waiting for Roblox to recover from its errors",
            Self::Unconnected => "waiting for the network",
        })
    }
}

/// Receives the events of a run.
pub(crate) type Listener = std::sync::Arc<dyn Fn(ProgressEvent) + Send + Sync>;

/// Returns a listener that ignores every event.
pub(crate) fn silent() -> Listener {
    std::sync::Arc::new(|_| {})
}
