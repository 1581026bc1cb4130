//! The requests of commands to a running service, and its answers.

use std::fmt;

use super::address::Address;
use super::ids::AssetId;

/// A request's number in its state; never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(i64);

impl RequestId {
    /// The number as the state gave it.
    pub const fn new(number: i64) -> Self {
        Self(number)
    }

    /// The number.
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for RequestId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A decision of a person, for the process that holds the state to carry out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Settle a create whose outcome is unknown.
    Resolve {
        /// The address.
        address: Address,
        /// The finding of a person.
        found: Resolution,
    },
    /// Try again what was refused, or waits.
    Retry {
        /// Which.
        addresses: Vec<Address>,
    },
    /// Take an existing asset under management.
    Import {
        /// The address that is to have it.
        address: Address,
        /// The asset.
        asset_id: AssetId,
        /// The file is what the asset holds.
        content_matches: bool,
    },
    /// Drop addresses from state and lockfile, all of them or none.
    Forget {
        /// Which.
        addresses: Vec<Address>,
    },
    /// Archive an address's asset at the remote.
    Archive {
        /// The address.
        address: Address,
        /// The other addresses that go out of use in the same command: they don't count as users of
        /// the asset.
        together: Vec<Address>,
    },
    /// Restore it.
    Restore {
        /// The address.
        address: Address,
    },
    /// Make new assets for addresses whose creator changed.
    Recreate {
        /// Which.
        addresses: Vec<Address>,
    },
    /// Hold addresses at an earlier revision, all of them or none.
    Pin {
        /// Which.
        addresses: Vec<Address>,
        /// The number of the revision, as people see it.
        revision: u64,
    },
    /// Take their pins away, all of them or none.
    Unpin {
        /// Which.
        addresses: Vec<Address>,
    },
}

/// The finding of a person about an upload without a clear answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Resolution {
    /// It made this asset.
    Asset(AssetId),
    /// It made nothing, or isn't waited for any more: upload it again.
    Nothing,
    /// The abandoned upload made nothing: there is no duplicate.
    NoDuplicate,
}

impl Request {
    /// The command that a person typed.
    pub const fn command(&self) -> &'static str {
        match self {
            Self::Resolve { .. } => "resolve",
            Self::Retry { .. } => "retry",
            Self::Import { .. } => "import",
            Self::Forget { .. } => "forget",
            Self::Archive { .. } => "archive",
            Self::Restore { .. } => "restore",
            Self::Recreate { .. } => "recreate",
            Self::Pin { .. } => "pin",
            Self::Unpin { .. } => "unpin",
        }
    }
}

/// The result of a request that was carried out, for a person.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RequestDone {
    /// The asset of the address, where there is one.
    pub asset_id: Option<AssetId>,
    /// The number of its revision, as people see it.
    pub revision: Option<u64>,
    /// The lockfile was written, and is to be committed.
    pub lockfile_written: bool,
    /// The notes, a line each.
    pub notes: Vec<String>,
}

/// How a request failed, in the terms of exit codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProblemKind {
    /// It can't be carried out, or not by itself.
    Refused,
    /// Manifest, lockfile or state can't be used.
    Unusable,
    /// The remote refused the credential.
    Credential,
    /// The service ended before it answered.
    Interrupted,
}

/// A request was not carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct RequestProblem {
    /// In what way.
    pub kind: ProblemKind,
    /// The attempt and its failure, in one sentence.
    pub message: String,
    /// The next thing to do.
    pub hint: Option<String>,
}
