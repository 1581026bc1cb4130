//! The errors of a lockfile.

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::{Path, PathBuf};

use super::driver;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::proposed::quoted;
use crate::platform::atomic_file::AtomicWriteError;
use crate::platform::own_file;

/// A position in a lockfile. Lines and columns count from 1, columns in characters.
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

/// A lockfile that can't be used. It is never treated as an empty one.
#[derive(Debug, thiserror::Error)]
pub enum LockfileError {
    /// It could not be read.
    #[error("can't read the lockfile `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// It could not be written; the old one is unchanged.
    #[error("can't write the lockfile")]
    Write(#[from] AtomicWriteError),
    /// It has no room for the result of the next upload.
    #[error("can't write the lockfile, so nothing is uploaded")]
    NoRoom(#[source] AtomicWriteError),
    /// It could not be written, or could not be read before that, so it lacks facts that this
    /// machine knows.
    #[error("the lockfile lacks {}, which only the state of this machine knows", listed(lacks))]
    Behind {
        /// The missing assets, with their addresses.
        lacks: Vec<(Address, AssetId)>,
        /// Why it could not be written.
        source: Box<LockfileError>,
    },
    /// The new lockfile lacks something that the old one has.
    #[error("the new lockfile would lack asset {asset_id} of `{address}`, which `{}` has; it is left as it was", path.display())]
    WouldLose {
        /// The file.
        path: PathBuf,
        /// The address of the asset.
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
    /// It is empty.
    #[error("the lockfile is empty")]
    Empty {
        /// Its start.
        place: LockfilePosition,
    },
    /// Git left a conflict for a person to merge.
    #[error("the lockfile has merge conflicts")]
    ConflictMarkers {
        /// The first one.
        place: LockfilePosition,
    },
    /// Its last line is missing.
    #[error("the lockfile is cut off: its last line is missing")]
    CutOff {
        /// Its end.
        place: LockfilePosition,
    },
    /// Text follows its last line.
    #[error("the lockfile goes on after its last line, `{}`", super::write::LAST_LINE)]
    GoesOn {
        /// The start of that text.
        place: LockfilePosition,
    },
    /// A later version of Macadam wrote it.
    #[error("the lockfile was written by a newer Macadam (version {found}; this one knows {known})")]
    Newer {
        /// Its version.
        found: i64,
        /// The newest version that this program knows.
        known: i64,
        /// The place of the version.
        place: LockfilePosition,
    },
    /// It is not UTF-8, not TOML, or has content that no lockfile has.
    #[error("the lockfile is damaged: {message}")]
    Damaged {
        /// The problem.
        message: String,
        /// The place of the damage.
        place: LockfilePosition,
    },
    /// It belongs to another remote.
    #[error("the lockfile belongs to {found}, not to {wanted}")]
    OtherRemote {
        /// The remote that it belongs to.
        found: String,
        /// The requested remote.
        wanted: String,
        /// The place of the remote.
        place: LockfilePosition,
    },
}

/// The version of a lockfile that git has beside one that can't be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum GitCopy {
    /// Git doesn't know the file, or there is no git.
    None,
    /// The index has another version, and the checked-out commit has none.
    Staged,
    /// The checked-out commit has another version.
    Head,
    /// The checked-out commit has the very file that can't be used.
    Same,
    /// Git didn't answer.
    Unknown,
}

impl GitCopy {
    /// Returns how to get a whole `file` back.
    fn way_back(self, file: &str) -> String {
        let file = quoted(file);
        match self {
            Self::None => format!(
                "git has no copy of it: put back one that works, or move {file} away, and `macadam plan` shows what is known without it"
            ),
            Self::Staged => format!("restore it with `git checkout -- {file}`; {REST}"),
            Self::Head | Self::Unknown => format!("restore it with `git checkout HEAD -- {file}`; {REST}"),
            Self::Same => format!(
                "`git log -- {file}` lists the commits that changed it: restore a whole one with `git checkout COMMIT -- {file}`; {REST}"
            ),
        }
    }
}

/// What comes after an older lockfile was restored.
const REST: &str = "the next sync adds the rest from the state";

impl LockfileError {
    /// Returns the file, where the error is about what it says.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::TooLarge { path, .. } => Some(path),
            Self::Behind { source, .. } => source.file(),
            _ => self.place().map(|place| place.file.as_path()),
        }
    }

    /// Returns the place of an error in the text.
    pub const fn place(&self) -> Option<&LockfilePosition> {
        match self {
            Self::Read { .. } | Self::Write(_) | Self::NoRoom(_) | Self::WouldLose { .. } | Self::TooLarge { .. } => {
                None
            }
            Self::Behind { source, .. } => source.place(),
            Self::Empty { place }
            | Self::ConflictMarkers { place }
            | Self::CutOff { place }
            | Self::GoesOn { place }
            | Self::Newer { place, .. }
            | Self::Damaged { place, .. }
            | Self::OtherRemote { place, .. } => Some(place),
        }
    }

    /// Returns what a person can do about it, if there is something. `copy` is git's version of
    /// [`LockfileError::file`].
    pub(crate) fn hint(&self, copy: GitCopy) -> Option<String> {
        // Named as a person would in the manifest's folder.
        let file = self.file().map(file_name).unwrap_or_default();
        let hint = match self {
            Self::Read { source, .. } => return own_file::hint(source),
            Self::Behind { source, .. } => {
                const KEEP: &str =
                    "keep the state, and run the same command again: it writes the lockfile and uploads nothing twice";
                let mend = source.hint(copy).map(|hint| format!("{hint}; then ")).unwrap_or_default();
                return Some(format!("{mend}{KEEP}"));
            }
            Self::Write(error) | Self::NoRoom(error) => return error.hint(),
            Self::WouldLose { .. } => {
                "please report this; moved aside, the state is rebuilt from the lockfile by the next `macadam sync --once`"
            }
            Self::ConflictMarkers { .. } if copy != GitCopy::None => return Some(driver::merge_again(&file)),
            Self::TooLarge { .. }
            | Self::Empty { .. }
            | Self::CutOff { .. }
            | Self::Damaged { .. }
            | Self::ConflictMarkers { .. } => return Some(copy.way_back(&file)),
            Self::GoesOn { .. } => {
                return Some(format!("delete that text; if you can't tell what it is: {}", copy.way_back(&file)));
            }
            Self::Newer { .. } => "update Macadam",
            Self::OtherRemote { found, wanted, place } => return Some(own_server(found, wanted, &place.file, copy)),
        };
        Some(hint.to_owned())
    }
}

/// The name of a file in its folder.
fn file_name(path: &Path) -> Cow<'_, str> {
    path.file_name().unwrap_or_default().to_string_lossy()
}

/// The one way on where a lockfile belongs to another server. A stranger may have named that server: only
/// one on this machine is proposed, since the key is sent to whatever `--api-url` names.
fn own_server(found: &str, wanted: &str, lockfile: &Path, copy: GitCopy) -> String {
    let name = lockfile.display();
    let file = quoted(&name.to_string());
    if wanted.starts_with("http://") {
        return format!(
            "to try something out, use `--emulator` in place of `--api-url`. In a copy of the project, `rm {file}` and `macadam sync --once --accept-new-lockfile` start anew at that server"
        );
    }
    let restore = match copy {
        GitCopy::None | GitCopy::Staged | GitCopy::Same => String::new(),
        GitCopy::Head | GitCopy::Unknown => {
            format!("; where git has the real one, `git checkout HEAD -- {file}` restores it")
        }
    };
    if is_on_this_machine(found) {
        return format!(
            "to go on with that server, add `--api-url {}`: it runs on a machine of your own, and its asset IDs don't exist on Roblox. To go on with Roblox, move {name} away{restore}",
            quoted(found)
        );
    }
    format!(
        "a command needs the `--api-url` of the server that its lockfile belongs to, and none for Roblox itself. Your API key is sent to that server: if you \
         don't know the one in {name}, don't name it; {}",
        copy.way_back(&lockfile.to_string_lossy())
    )
}

/// Whether an address without encryption is this machine's, as `--api-url` takes it.
fn is_on_this_machine(address: &str) -> bool {
    let Some(rest) = address.strip_prefix("http://") else { return false };
    let authority = rest.split_once('/').map_or(rest, |(authority, _)| authority);
    let is_port = |port: &str| !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    // The colons of an address of version 6 stand in brackets.
    let host = authority.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(authority, |(host, _)| host);
    let version_6 = host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']'));
    match version_6 {
        Some(inner) => inner.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback()),
        None => host == "localhost" || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback()),
    }
}

/// The most assets to name; the rest is only counted.
const NAMED: usize = 10;

/// Formats assets for a person: `ui/a.png` (123), …
fn listed(assets: &[(Address, AssetId)]) -> String {
    let named = assets.iter().take(NAMED).map(|(address, asset_id)| format!("asset {asset_id} (`{address}`)"));
    let named = named.collect::<Vec<_>>().join(", ");
    match assets.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A pull request may name any server in its lockfile, and the key is sent to the one of `--api-url`.
    #[test]
    fn no_server_but_one_on_this_machine_is_proposed() {
        let hint = |found: &str| own_server(found, "https://apis.roblox.com", Path::new("a.lock.toml"), GitCopy::Head);
        for local in ["http://127.0.0.1:8787", "http://localhost", "http://localhost:1/a", "http://[::1]:80"] {
            let hint = hint(local);
            assert!(hint.contains("--api-url ") && hint.contains("a machine of your own"), "{local}: {hint}");
        }
        for foreign in [
            "https://apis.roblox.com.evil.example",
            "http://127.0.0.1.evil.example:80",
            "http://localhost@evil.example",
            "http://localhost:80@evil.example",
            "http://localhost.evil.example",
            "http://localhost\\@evil.example",
            "http://192.168.1.1",
            "http://[::1].evil.example",
            "evil.example",
        ] {
            let hint = hint(foreign);
            assert!(
                !hint.contains("evil") && !hint.contains("192") && !hint.contains("of your own"),
                "{foreign}: {hint}"
            );
            assert!(hint.contains("Your API key is sent to that server"), "{hint}");
        }
    }
}
