//! What happens while a run goes on, for whoever shows it. Nobody needs to listen.

use std::time::Duration;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::ids::AssetId;

/// One thing that happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProgressEvent {
    /// Files are being looked at.
    Files {
        /// How many are done.
        done: u64,
        /// How many there are.
        total: u64,
        /// Bytes hashed so far.
        bytes: u64,
    },
    /// A plan is about to be carried out.
    Planned {
        /// Its steps.
        steps: u64,
    },
    /// An upload goes over the wire.
    Uploading {
        /// Whose.
        address: Address,
        /// Its length in bytes.
        bytes: u64,
    },
    /// Roblox took the upload and works on it.
    Accepted {
        /// Whose.
        address: Address,
    },
    /// A step is over, well or not.
    Finished {
        /// Whose.
        address: Address,
    },
    /// A request was answered, or was not.
    Answered {
        /// Of which endpoint.
        endpoint: &'static str,
        /// The status of the answer.
        status: Option<u16>,
    },
    /// A request had waited before it went out.
    Waited {
        /// To which endpoint.
        endpoint: &'static str,
        /// For so long.
        time: Duration,
    },
    /// Roblox was asked about the key.
    KeyExpires {
        /// When it expires; `None`: never, or nobody knows.
        at: Option<Timestamp>,
    },
    /// Pages of Roblox's list of versions were read.
    Listed {
        /// Of which asset.
        asset_id: AssetId,
        /// How many versions so far.
        versions: u64,
    },
    /// An operation was asked for.
    Polled,
    /// A request waits for Roblox's limits or for Roblox to recover.
    Waiting {
        /// For what: lower case, no full stop.
        reason: &'static str,
        /// For how long, as far as is known.
        wait: Duration,
    },
}

/// Where progress is told.
pub(crate) type Listener = std::sync::Arc<dyn Fn(ProgressEvent) + Send + Sync>;

/// A listener that listens to nothing.
pub(crate) fn silent() -> Listener {
    std::sync::Arc::new(|_| {})
}
