//! The events of a run in progress, for a listener that shows them.

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
    /// A try of a step failed, and the next one waits.
    Delayed {
        /// The address.
        address: Address,
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
    /// A request waits for Roblox's limits, or for Roblox to recover.
    Waiting {
        /// The reason: lower case, no full stop.
        reason: &'static str,
        /// The expected length of the wait.
        wait: Duration,
    },
}

/// Receives the events of a run.
pub(crate) type Listener = std::sync::Arc<dyn Fn(ProgressEvent) + Send + Sync>;

/// Returns a listener that ignores every event.
pub(crate) fn silent() -> Listener {
    std::sync::Arc::new(|_| {})
}
