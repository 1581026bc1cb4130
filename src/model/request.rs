//! The requests of commands to a running service, and its answers.

use std::fmt;

use super::address::Address;
use super::ids::AssetId;
use super::proposed::quoted;

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

/// The most addresses of a command that a log names.
const MOST_TYPED: usize = 3;

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
        /// Which; with none of them it tries the key.
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

    /// The command with its arguments, for a log; of many addresses the first.
    pub fn typed(&self) -> String {
        let mut words = vec!["macadam".to_owned(), self.command().to_owned()];
        let addresses = self.addresses();
        words.extend(addresses.iter().take(MOST_TYPED).map(|address| quoted(address.as_str())));
        words.extend((addresses.len() > MOST_TYPED).then(|| "…".to_owned()));
        match self {
            Self::Resolve { found: Resolution::Asset(asset_id), .. } => words.push(format!("--asset-id {asset_id}")),
            Self::Resolve { found: Resolution::Nothing, .. } => words.push("--recreate".to_owned()),
            Self::Resolve { found: Resolution::NoDuplicate, .. } => words.push("--no-duplicate".to_owned()),
            Self::Import { asset_id, content_matches, .. } => {
                words.push(asset_id.to_string());
                words.extend(content_matches.then(|| "--content-matches".to_owned()));
            }
            Self::Pin { revision, .. } => words.push(revision.to_string()),
            Self::Retry { addresses } if addresses.is_empty() => words.push("--all".to_owned()),
            Self::Retry { .. }
            | Self::Forget { .. }
            | Self::Archive { .. }
            | Self::Restore { .. }
            | Self::Recreate { .. }
            | Self::Unpin { .. } => {}
        }
        words.join(" ")
    }

    /// The addresses that it is for.
    pub const fn addresses(&self) -> &[Address] {
        match self {
            Self::Resolve { address, .. }
            | Self::Import { address, .. }
            | Self::Archive { address, .. }
            | Self::Restore { address } => std::slice::from_ref(address),
            Self::Retry { addresses }
            | Self::Forget { addresses }
            | Self::Recreate { addresses }
            | Self::Pin { addresses, .. }
            | Self::Unpin { addresses } => addresses.as_slice(),
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
    /// The service has a command of its own (`--on-change`) that commits it.
    pub has_command: bool,
    /// The notes, a line each.
    pub notes: Vec<String>,
}

impl RequestDone {
    /// Whether a person has to commit the lockfile.
    pub const fn is_left_to_commit(&self) -> bool {
        self.lockfile_written && !self.has_command
    }
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
    /// The address that was asked for and names no asset, or none that was uploaded.
    pub unknown: Option<Address>,
}

impl RequestProblem {
    /// Creates the problem of a request that concerns known assets, or none.
    pub const fn new(kind: ProblemKind, message: String, hint: Option<String>) -> Self {
        Self { kind, message, hint, unknown: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_log_names_a_command_as_it_was_typed() {
        let names = |names: &[&str]| names.iter().map(|name| Address::new(name).unwrap()).collect::<Vec<_>>();
        let pin = |all: &[&str]| Request::Pin { addresses: names(all), revision: 3 }.typed();
        assert_eq!(pin(&["sword"]), "macadam pin sword 3");
        assert_eq!(pin(&["a b.png"]), format!("macadam pin {} 3", quoted("a b.png")));
        assert_eq!(pin(&["a", "b", "c", "d"]), "macadam pin a b c … 3");
        let (address, asset_id) = (Address::new("a").unwrap(), "5".parse().unwrap());
        let import = Request::Import { address: address.clone(), asset_id, content_matches: true };
        assert_eq!(import.typed(), "macadam import a 5 --content-matches");
        let resolve = Request::Resolve { address, found: Resolution::Asset(asset_id) };
        assert_eq!(resolve.typed(), "macadam resolve a --asset-id 5");
    }
}
