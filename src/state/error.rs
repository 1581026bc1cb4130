//! The errors of the state database.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rusqlite::{ErrorCode, ffi};

use crate::model::recorded::ApplyError;
use crate::model::shown::foreign;
use crate::platform::{atomic_file, own_file};

/// The length in bytes of the longest path that SQLite opens on Unix: its limit of 512, less the
/// ending of a journal.
const LONGEST_PATH: usize = 504;

/// The state can't be used, or a change of it failed and stored nothing.
///
/// Can be cloned, because all callers that wait for one COMMIT get its error.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StateError {
    /// The folder of the state could not be created.
    #[error("can't create the folder `{}` for the state", path.display())]
    CreateFolder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The file of the state could not be read or created.
    #[error("can't open the state `{}`", path.display())]
    OpenFile {
        /// The database.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// The file contains something else.
    #[error("`{}` is not a database", path.display())]
    NotADatabase {
        /// The file.
        path: PathBuf,
    },
    /// The file is a database of another program.
    #[error("`{}` is another program's database", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
    },
    /// The database is broken.
    #[error("the state `{}` is damaged: {detail}", path.display())]
    Damaged {
        /// The database.
        path: PathBuf,
        /// The first problem found.
        detail: String,
    },
    /// Another program added to its schema, or changed it.
    #[error("the state `{}` was changed by another program: {what}", path.display())]
    Altered {
        /// The database.
        path: PathBuf,
        /// The first difference.
        what: Alteration,
    },
    /// A later version of Macadam wrote it.
    #[error("the state `{}` was written by a newer Macadam (schema {found}; this one knows {known})", path.display())]
    Newer {
        /// The database.
        path: PathBuf,
        /// Its schema.
        found: i64,
        /// The newest schema that this program knows.
        known: i64,
    },
    /// It belongs to another remote.
    #[error("the state `{}` belongs to {found}, not to {wanted}", path.display())]
    OtherRemote {
        /// The database.
        path: PathBuf,
        /// The remote that it belongs to.
        found: String,
        /// The requested remote.
        wanted: String,
    },
    /// It can't be written.
    #[error("the state `{}` is read-only", path.display())]
    ReadOnly {
        /// The database.
        path: PathBuf,
    },
    /// A crash left work in its log, and it can't be recovered on a read-only disk.
    #[error("the state `{}` was not closed properly and can't be recovered on a read-only disk", path.display())]
    Unrecovered {
        /// The database.
        path: PathBuf,
    },
    /// Another process writes it, although its lock is free.
    #[error("another Macadam is using the state `{}`, and its lock file was deleted", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// The disk is full.
    #[error("the disk is full: no space for the state `{}`", path.display())]
    Full {
        /// The database.
        path: PathBuf,
    },
    /// There is no room for the outcome of an upload.
    #[error("the disk is full: no space beside the state `{}` to record an upload, so Macadam sent nothing more", path.display())]
    NoRoom {
        /// The database.
        path: PathBuf,
        /// The system's error.
        source: Arc<io::Error>,
    },
    /// SQLite opens no file of such a name.
    #[error("the path of the state `{}` has {} bytes, and SQLite takes at most {LONGEST_PATH}", path.display(), path.as_os_str().len())]
    PathTooLong {
        /// The database.
        path: PathBuf,
    },
    /// Another program keeps it busy.
    #[error("another program keeps the state `{}` busy", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
    },
    /// A change does not fit the stored data: a defect of Macadam.
    #[error("a change does not fit the state")]
    Misfit(#[source] ApplyError),
    /// Any other error of SQLite.
    #[error("can't {doing} in the state `{}`", path.display())]
    Sql {
        /// The attempted action.
        doing: &'static str,
        /// The database.
        path: PathBuf,
        /// SQLite's error.
        source: Arc<rusqlite::Error>,
    },
    /// The state is closed, or its thread has ended.
    #[error("the state is closed")]
    Closed,
}

/// A difference between the schema and that of the migrations. The names in it come from another
/// program.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Alteration {
    /// Something that no migration creates.
    #[error("it has the {kind} `{}`, which isn't Macadam's", foreign(name))]
    Added {
        /// A table, an index, a view or a trigger.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Something is missing.
    #[error("it lacks the {kind} `{}`", foreign(name))]
    Missing {
        /// A table or an index.
        kind: String,
        /// Its name.
        name: String,
    },
    /// Something has another definition.
    #[error("its {kind} `{}` is defined in another way", foreign(name))]
    Changed {
        /// A table or an index.
        kind: String,
        /// Its name.
        name: String,
    },
}

impl StateError {
    /// Returns what a person can do about it, if there is something.
    pub fn hint(&self) -> Option<String> {
        let beside = |path: &Path| {
            format!(
                "move `{}` and its `-wal` and `-shm` files aside; the next `macadam sync --once` rebuilds the state from the lockfile",
                path.display()
            )
        };
        match self {
            Self::NotADatabase { path } | Self::Damaged { path, .. } | Self::Altered { path, .. } => Some(beside(path)),
            Self::Foreign { .. } => Some("point --state to another file".to_owned()),
            Self::Newer { .. } => Some("update Macadam, or point --state to another file".to_owned()),
            Self::OtherRemote { .. } => {
                Some("leave --state out: Macadam then keeps a state for each server".to_owned())
            }
            Self::ReadOnly { path } => own_file::owner_hint(path)
                .or_else(|| Some("give this user write access to the state and its folder".to_owned())),
            Self::Unrecovered { .. } => {
                Some("run `macadam status` once where the folder can be written, or point --state to a copy".to_owned())
            }
            Self::Full { .. } => Some(
                "free some space, then run it again; interrupted uploads may wait for you then: see `macadam status`"
                    .to_owned(),
            ),
            Self::InUse { .. } => Some("wait for it, or stop it".to_owned()),
            Self::PathTooLong { .. } => {
                Some("move the project to a shorter path, or point --state to a file with one".to_owned())
            }
            Self::NoRoom { .. } => Some("free 10 MB on this disk, then run it again".to_owned()),
            Self::Busy { .. } => {
                Some("close other programs that have the state open, for example `sqlite3`".to_owned())
            }
            Self::CreateFolder { source, .. } => own_file::hint(source).or_else(|| {
                let access =
                    "give this user write access there, or point --state to a file in a folder where it has that";
                Some(access.to_owned())
            }),
            Self::OpenFile { source, .. } => own_file::hint(source),
            Self::Misfit(_) | Self::Sql { .. } | Self::Closed => None,
        }
    }

    /// Classifies an error of SQLite.
    pub(super) fn from_sql(path: &Path, doing: &'static str, error: rusqlite::Error) -> Self {
        let path = path.to_owned();
        match &error {
            // A value that Macadam never writes: the database is sound for SQLite, but the state is
            // damaged.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => {
                let source = std::error::Error::source(&error).map(ToString::to_string);
                return Self::Damaged { path, detail: source.unwrap_or_else(|| error.to_string()) };
            }
            _ => {}
        }
        match error.sqlite_error_code() {
            Some(ErrorCode::NotADatabase) => Self::NotADatabase { path },
            Some(ErrorCode::DatabaseCorrupt) => Self::Damaged { path, detail: error.to_string() },
            Some(ErrorCode::ReadOnly) => Self::ReadOnly { path },
            Some(ErrorCode::DiskFull) => Self::Full { path },
            _ if may_lack_space(&error) && atomic_file::is_used_up(&path) => Self::Full { path },
            Some(ErrorCode::CannotOpen) if cfg!(unix) && path.as_os_str().len() > LONGEST_PATH => {
                Self::PathTooLong { path }
            }
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Busy { path },
            _ => Self::Sql { doing, path, source: Arc::new(error) },
        }
    }
}

/// Returns whether SQLite may have failed because the disk is full: for a write and for a file beside
/// the database it only says that it failed, and of a used-up quota always.
fn may_lack_space(error: &rusqlite::Error) -> bool {
    const OF_WRITES: [i32; 9] = [
        ffi::SQLITE_IOERR_WRITE,
        ffi::SQLITE_IOERR_FSYNC,
        ffi::SQLITE_IOERR_DIR_FSYNC,
        ffi::SQLITE_IOERR_TRUNCATE,
        ffi::SQLITE_IOERR_CLOSE,
        ffi::SQLITE_IOERR_SHMOPEN,
        ffi::SQLITE_IOERR_SHMSIZE,
        ffi::SQLITE_IOERR_SHMMAP,
        ffi::SQLITE_IOERR_COMMIT_ATOMIC,
    ];
    match error {
        rusqlite::Error::SqliteFailure(failure, _) => {
            failure.code == ErrorCode::CannotOpen || OF_WRITES.contains(&failure.extended_code)
        }
        _ => false,
    }
}

/// Returns whether SQLite could not make the memory that connections share, a file beside the
/// database. Where another process has the state open, it is there already.
pub(super) fn lacks_shared_memory(error: &rusqlite::Error) -> bool {
    const OF_SHARED_MEMORY: [i32; 3] = [ffi::SQLITE_IOERR_SHMOPEN, ffi::SQLITE_IOERR_SHMSIZE, ffi::SQLITE_IOERR_SHMMAP];
    matches!(error, rusqlite::Error::SqliteFailure(failure, _) if OF_SHARED_MEMORY.contains(&failure.extended_code))
}

/// An error inside the store, before the state's path is added.
#[derive(Debug)]
pub(super) enum StoreFault {
    /// SQLite refused.
    Sql(rusqlite::Error),
    /// The change doesn't fit.
    Misfit(ApplyError),
}

impl From<rusqlite::Error> for StoreFault {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl From<ApplyError> for StoreFault {
    fn from(error: ApplyError) -> Self {
        Self::Misfit(error)
    }
}

impl StoreFault {
    pub(super) fn at(self, path: &Path, doing: &'static str) -> StateError {
        match self {
            Self::Sql(error) => StateError::from_sql(path, doing, error),
            Self::Misfit(error) => StateError::Misfit(error),
        }
    }
}
