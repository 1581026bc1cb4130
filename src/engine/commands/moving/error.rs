//! Why one can't move in from another tool.

use std::io;
use std::path::PathBuf;

use crate::engine::workspace::gather::GatherError;
use crate::model::ids::Creator;
use crate::moving::{ReadError, Tool};
use crate::platform::atomic_file::AtomicWriteError;
use crate::state::lockfile::LockfileError;

/// Why one can't move in. Nothing was written, unless [`MoveError::Write`] says otherwise.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MoveError {
    /// A file of the tool can't be read.
    #[error("read {}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file of the tool is not what the tool writes.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// Who owns the assets is not known.
    #[error("{} doesn't say who owns the assets", .tool.file_name())]
    NoCreator {
        /// The tool.
        tool: Tool,
    },
    /// Two owners were named.
    #[error("--creator says {given}, and the files of {} say {found}", .tool.name())]
    OtherCreator {
        /// The tool.
        tool: Tool,
        /// As given.
        given: Creator,
        /// As found.
        found: Creator,
    },
    /// Something is there already.
    #[error("{} is there already, and nothing is overwritten", .path.display())]
    Exists {
        /// Which file.
        path: PathBuf,
    },
    /// Roblox refused the key.
    #[error("{message}")]
    Credential {
        /// What it said.
        message: String,
        /// What to do.
        hint: String,
    },
    /// What would be written would upload what is uploaded.
    #[error("this would upload again what is on Roblox: {}; nothing was written", .addresses.join(", "))]
    WouldUpload {
        /// Which.
        addresses: Vec<String>,
    },
    /// The manifest that would be written is not valid.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// The lockfile can't be written.
    #[error(transparent)]
    Lockfile(#[from] LockfileError),
    /// The manifest can't be written.
    #[error("write {}", .path.display())]
    Write {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: AtomicWriteError,
    },
}

impl MoveError {
    /// What would mend it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::NoCreator { .. } => Some("say it with `--creator user:ID` or `--creator group:ID`".to_owned()),
            Self::OtherCreator { .. } => Some("leave --creator out, or mend the tool's file".to_owned()),
            Self::Exists { .. } => {
                Some("move it away first, or choose another manifest with `--manifest PATH`".to_owned())
            }
            Self::Credential { hint, .. } => Some(hint.clone()).filter(|hint| !hint.is_empty()),
            Self::WouldUpload { .. } => Some("this is a defect of macadam: please report it".to_owned()),
            Self::Write { source, .. } => source.hint().map(str::to_owned),
            Self::File { .. } | Self::Gather(_) | Self::Lockfile(_) => None,
        }
    }
}
