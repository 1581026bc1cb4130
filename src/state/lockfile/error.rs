//! What can go wrong with a lockfile.

use std::fmt;
use std::io;
use std::path::PathBuf;

use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::platform::atomic_file::AtomicWriteError;
use crate::platform::own_file;

/// Where in a lockfile something is; lines and columns count from 1, columns in characters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LockfilePosition {
    /// The file.
    pub file: PathBuf,
    /// The line.
    pub line: usize,
    /// The column.
    pub column: usize,
}

impl fmt::Display for LockfilePosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file.display(), self.line, self.column)
    }
}

/// A lockfile that can't be used. It is never taken for an empty one.
#[derive(Debug, thiserror::Error)]
pub enum LockfileError {
    /// It could not be read.
    #[error("can't read the lockfile `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It could not be written; the old one is as it was.
    #[error("can't write the lockfile")]
    Write(#[from] AtomicWriteError),
    /// What is about to be uploaded could not be written into it.
    #[error("the lockfile can't be written, so nothing is uploaded")]
    NoRoom(#[source] AtomicWriteError),
    /// It could not be written, or not read before that, and what this machine knows by now is not
    /// in it.
    #[error("the lockfile lacks {}, which only the state of this machine knows", listed(lacks))]
    Behind {
        /// The assets that it lacks, with their addresses.
        lacks: Vec<(Address, AssetId)>,
        /// Why it could not be written.
        source: Box<LockfileError>,
    },
    /// The one that would replace it lacks something that it has.
    #[error("the new lockfile would lack asset {asset_id} of `{address}`, which `{}` has; it is left as it was", path.display())]
    WouldLose {
        /// The file.
        path: PathBuf,
        /// Whose asset it is.
        address: Address,
        /// The asset.
        asset_id: AssetId,
    },
    /// It is larger than any lockfile.
    #[error("the lockfile `{}` is larger than {limit} bytes", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: u64,
    },
    /// It has nothing in it.
    #[error("the lockfile is empty")]
    Empty {
        /// Its start.
        place: LockfilePosition,
    },
    /// Git left it to a person to merge.
    #[error("the lockfile has conflict markers")]
    ConflictMarkers {
        /// The first one.
        place: LockfilePosition,
    },
    /// Its last line is not the last line of a lockfile.
    #[error("the lockfile is cut off: its last line is missing")]
    CutOff {
        /// Its end.
        place: LockfilePosition,
    },
    /// A later Macadam wrote it.
    #[error("the lockfile was written by a newer macadam (version {found}; this one knows {known})")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
        /// Where it says so.
        place: LockfilePosition,
    },
    /// It is no UTF-8, no TOML, or says something that no lockfile says.
    #[error("the lockfile is damaged: {message}")]
    Damaged {
        /// What is wrong there.
        message: String,
        /// Where.
        place: LockfilePosition,
    },
    /// It belongs to another remote.
    #[error("the lockfile belongs to {found}, not to {wanted}")]
    OtherRemote {
        /// The remote that it belongs to.
        found: String,
        /// The remote that was asked for.
        wanted: String,
        /// Where it says so.
        place: LockfilePosition,
    },
}

impl LockfileError {
    /// Where it is, for an error of the text.
    pub const fn place(&self) -> Option<&LockfilePosition> {
        match self {
            Self::Read { .. } | Self::Write(_) | Self::NoRoom(_) | Self::WouldLose { .. } | Self::TooLarge { .. } => {
                None
            }
            Self::Behind { source, .. } => source.place(),
            Self::Empty { place }
            | Self::ConflictMarkers { place }
            | Self::CutOff { place }
            | Self::Newer { place, .. }
            | Self::Damaged { place, .. }
            | Self::OtherRemote { place, .. } => Some(place),
        }
    }

    /// What would mend it, where that is plain.
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::Read { source, .. } => own_file::hint(source),
            Self::Behind { source, .. } => {
                const KEEP: &str =
                    "keep the state, and run the same command again: it writes the lockfile and uploads nothing twice";
                let mend = source.hint().map(|hint| format!("{hint}; then ")).unwrap_or_default();
                return Some(format!("{mend}{KEEP}"));
            }
            Self::Write(error) | Self::NoRoom(error) => error.hint(),
            Self::WouldLose { .. } => Some(
                "please report this; moved aside, the state is rebuilt from the lockfile by the next `macadam sync --once`",
            ),
            Self::ConflictMarkers { .. } => Some(
                "merge it again by Macadam's merge driver, which keeps both sides: `git config merge.macadam.driver \"macadam lockfile merge \
                 %O %A %B\"` sets it up for this clone, `git checkout -m -- FILE` merges; the line for it in .gitattributes comes from `macadam init`",
            ),
            Self::TooLarge { .. } | Self::Empty { .. } | Self::CutOff { .. } | Self::Damaged { .. } => Some(
                "take it back from git, for example with `git checkout HEAD -- FILE`; the next sync adds what the state knows",
            ),
            Self::Newer { .. } => Some("use the newer macadam"),
            Self::OtherRemote { .. } => {
                Some("each remote needs its own lockfile: use another manifest, or the remote that this one belongs to")
            }
        };
        hint.map(str::to_owned)
    }
}

/// So many assets are named before the rest is only counted.
const NAMED: usize = 10;

/// Assets for a person: `ui/a.png` (123), …
fn listed(assets: &[(Address, AssetId)]) -> String {
    let named = assets.iter().take(NAMED).map(|(address, asset_id)| format!("asset {asset_id} (`{address}`)"));
    let named = named.collect::<Vec<_>>().join(", ");
    match assets.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}
