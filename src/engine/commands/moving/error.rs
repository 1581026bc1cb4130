//! The errors of moving in from another tool.

use std::io;
use std::path::PathBuf;

use crate::engine::workspace::gather::GatherError;
use crate::manifest::Diagnostic;
use crate::model::ids::Creator;
use crate::model::shown::foreign;
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
    /// A file of the tool is no text.
    #[error("{} is not UTF-8", .path.display())]
    Encoding { path: PathBuf },
    /// No file of a list is there.
    #[error("none of the {count} files of the list is there, such as {}; nothing was written", foreign(.example))]
    NoFileListed {
        /// The number of paths.
        count: usize,
        /// One of them.
        example: String,
        /// The folder in which their paths begin.
        folder: PathBuf,
    },
    /// Paths of a list are written in another way than the files are.
    #[error("{}; nothing was written", misspelt(.paths))]
    Misspelt {
        /// Each path, and the file that it means.
        paths: Vec<(String, String)>,
    },
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

/// The most paths that one message lists.
const SHOWN: usize = 10;

fn misspelt(paths: &[(String, String)]) -> String {
    let shown = paths.iter().take(SHOWN).map(|(path, file)| format!("{} is {}", foreign(path), foreign(file)));
    let shown: Vec<String> = shown.collect();
    let more = match paths.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("the list writes paths in another way than the files are called: {}{more}", shown.join(", "))
}

impl MoveError {
    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read(error) => error.hint(),
            Self::Encoding { path }
                if path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("csv")) =>
            {
                Some("save it as UTF-8; Excel calls that \"CSV UTF-8\"".to_owned())
            }
            Self::Encoding { .. } => Some("save it as UTF-8".to_owned()),
            Self::NoFileListed { folder, .. } => Some(format!(
                "the paths of a list begin in its own folder, {}: move the list to where they begin",
                folder.display()
            )),
            Self::Misspelt { .. } => {
                Some("write the paths as the files are called, upper and lower case too".to_owned())
            }
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
