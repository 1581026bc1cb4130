//! How a file is opened, who may then read it, and why a path is not opened at all.

use std::io;
use std::path::PathBuf;

use super::owner::Owner;
use crate::model::proposed::quoted;

/// The name of a folder in messages.
pub(super) const FOLDER: &str = "a folder";

/// The users that may access a new file or folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Those that the umask allows.
    Usual,
    /// This user alone.
    Private,
}

impl Access {
    /// Returns how to open a new file.
    pub(super) const fn new_file(self) -> How {
        match self {
            Self::Usual => How::New,
            Self::Private => How::NewPrivate,
        }
    }
}

/// The way to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum How {
    /// To read it.
    Read,
    /// To overwrite an existing file.
    Write,
    /// To append to an existing file.
    Append,
    /// To read and write it; a missing file is created for this user alone.
    Private,
    /// To write a new file; it must not exist yet. The umask says who may read it.
    New,
    /// The same, for this user alone.
    NewPrivate,
}

impl How {
    /// Returns whether a missing file is created.
    #[cfg(unix)]
    pub(super) const fn creates(self) -> bool {
        matches!(self, Self::Private | Self::New | Self::NewPrivate)
    }

    /// Returns whether the file is this user's alone.
    pub(super) const fn is_private(self) -> bool {
        matches!(self, Self::Private | Self::NewPrivate)
    }

    /// Returns whether the file must be missing.
    pub(super) const fn is_new(self) -> bool {
        matches!(self, Self::New | Self::NewPrivate)
    }
}

/// The reason why an existing path is not opened. It comes inside an [`io::Error`], and
/// [`super::own_file::refusal`] finds it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PathRefusal {
    /// The file, or a folder on the way to it, is a link.
    #[error("`{}` is a symbolic link, and Macadam follows none here", at.display())]
    Link {
        /// The first component that is a link.
        at: PathBuf,
    },
    /// It is not a plain file.
    #[error("it is {kind}, not a file")]
    NotAFile {
        /// The kind of the place, with its article.
        kind: &'static str,
    },
    /// It is longer than any such file.
    #[error("it has more than {limit} bytes")]
    TooLong {
        /// The limit in bytes.
        limit: u64,
    },
    /// The system doesn't allow it, since it is another user's.
    #[error("Permission denied: {} belongs to {}, and this is {}", whose(*is_folder), owner.in_words(), me.in_words())]
    Others {
        /// The file, or the folder where it isn't there.
        at: PathBuf,
        /// It is the folder.
        is_folder: bool,
        /// Whose it is.
        owner: Owner,
        /// This user.
        me: Owner,
    },
}

const fn whose(is_folder: bool) -> &'static str {
    if is_folder { "its folder" } else { "it" }
}

impl PathRefusal {
    /// Returns what a person can do about it, if there is something.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::Link { .. } => Some("put the file itself there in place of the link".to_owned()),
            Self::NotAFile { .. } => Some("put a plain file there, or name another one".to_owned()),
            Self::TooLong { .. } => None,
            Self::Others { at, owner, me, .. } => {
                let at = at.display().to_string();
                let chown = format!("`sudo chown {} {}`", me.for_chown(), quoted(&at));
                Some(format!("{chown}; or run it as {}, if that one syncs here", owner.in_words()))
            }
        }
    }
}

impl From<PathRefusal> for io::Error {
    fn from(refusal: PathRefusal) -> Self {
        let kind = match &refusal {
            PathRefusal::TooLong { .. } => io::ErrorKind::FileTooLarge,
            PathRefusal::NotAFile { kind: FOLDER } => io::ErrorKind::IsADirectory,
            PathRefusal::Others { .. } => io::ErrorKind::PermissionDenied,
            PathRefusal::Link { .. } | PathRefusal::NotAFile { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, refusal)
    }
}
