//! The errors of moving in from another tool.

use std::io;
use std::path::PathBuf;

use crate::engine::workspace::gather::GatherError;
use crate::manifest::Diagnostic;
use crate::model::ids::Creator;
use crate::moving::{ReadError, Tool};
use crate::platform::atomic_file::AtomicWriteError;
use crate::platform::own_file;
use crate::state::lockfile::LockfileError;

/// Why moving in failed. Nothing was written, unless [`MoveError::Write`] says otherwise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    /// A file of the tool can't be read.
    #[error("read {}", .path.display())]
    File { path: PathBuf, source: io::Error },
    /// A file of the tool doesn't have the tool's format.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// A file of the tool is no TOML.
    #[error("{}", .0.message)]
    Syntax(Box<Diagnostic>),
    /// The owner of the assets is unknown.
    #[error("{} doesn't say who owns the assets", .tool.file_name())]
    NoCreator { tool: Tool },
    /// Two owners were given.
    #[error("--creator says {}, and the files of {} say {}", .given.in_words(), .tool.name(), .found.in_words())]
    OtherCreator {
        tool: Tool,
        /// As given.
        given: Creator,
        /// As found.
        found: Creator,
    },
    /// Every asset has one and the same owner, and it is not the one that was given.
    #[error("{}, not to {}; nothing was written", all_belong(*.count, *.found), .given.in_words())]
    AllOfAnother {
        /// As given.
        given: Creator,
        /// As Roblox says.
        found: Creator,
        /// The number of assets.
        count: usize,
    },
    /// A file exists already.
    #[error("{} already exists, and Macadam overwrites nothing", .path.display())]
    Exists { path: PathBuf },
    /// Roblox refused the key.
    #[error("{message}")]
    Credential {
        /// Roblox's message.
        message: String,
        /// The remedy.
        hint: String,
    },
    /// The new manifest would upload existing assets again.
    #[error("this would upload assets again that are on Roblox: {}; nothing was written", .addresses.join(", "))]
    WouldUpload {
        /// Their addresses.
        addresses: Vec<String>,
    },
    /// The new manifest would not be valid.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// The lockfile can't be written.
    #[error(transparent)]
    Lockfile(#[from] LockfileError),
    /// The manifest can't be written.
    #[error("write {}", .path.display())]
    Write { path: PathBuf, source: AtomicWriteError },
}

fn all_belong(count: usize, owner: Creator) -> String {
    let all = if count == 1 { "the one asset belongs".to_owned() } else { format!("all {count} assets belong") };
    format!("{all} to {}", owner.in_words())
}

impl MoveError {
    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::NoCreator { .. } => Some("add `--creator user:ID` or `--creator group:ID`".to_owned()),
            Self::AllOfAnother { found, .. } => Some(format!("import with `--creator {found}`")),
            Self::OtherCreator { .. } => Some("leave --creator out, or correct the tool's file".to_owned()),
            Self::Exists { .. } => {
                Some("move it away first, or choose another manifest with `--manifest PATH`".to_owned())
            }
            Self::Credential { hint, .. } => Some(hint.clone()).filter(|hint| !hint.is_empty()),
            Self::WouldUpload { .. } => Some("this is a bug in Macadam: please report it".to_owned()),
            Self::Write { source, .. } => source.hint(),
            Self::File { source, .. } => own_file::hint(source),
            Self::Syntax(_) | Self::Gather(_) | Self::Lockfile(_) => None,
        }
    }
}
