//! Opens the database. Nothing is written before the file is known to be a state of this remote
//! that this program understands.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension as _};
use rusqlite_migration::Migrations;

use super::schema::{KNOWN, MIGRATIONS};
use super::{Store, schema};
use crate::platform::file_id::FileId;
use crate::platform::lock::FileLock;
use crate::platform::own_file::{self, How};
use crate::platform::{atomic_file, space};
use crate::state::error::{StateError, lacks_shared_memory};

/// The `application_id` that the migrations set: "MACA".
const APPLICATION_ID: i64 = 0x4D41_4341;

/// How long a statement waits for another program's lock: that of a command that leaves a request,
/// or of a person's `sqlite3`. Longer than either writes.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// The size in bytes to which the log shrinks once it was copied into the database. One large
/// import must not occupy the disk forever.
const LOG_LIMIT_BYTES: i64 = 8 << 20;

/// The size in bytes below which a database is checked in less time than another thread takes to
/// begin.
const CHECKED_ALONE_BYTES: u64 = 1 << 20;

/// More than the store has distinct statements.
const STATEMENTS: usize = 64;

/// SQLite's access to files on Windows with room for any path; the usual one has room for 260
/// characters. <https://sqlite.org/vfs.html#standard_windows_vfses>
const LONG_PATHS: &CStr = c"win32-longpath";

impl Store {
    /// Opens the state of `remote` for reading and writing. Creates it and its folder if they are
    /// missing, readable by this user alone.
    ///
    /// The caller must hold the [`StateLock`](crate::state::lock::StateLock).
    ///
    /// # Errors
    /// When the file is no state, damaged, of a newer Macadam or of another remote, when it can't
    /// be written, or when the disk is full. The file is unchanged then.
    pub fn open(path: &Path, remote: &str, now: Timestamp) -> Result<Self, StateError> {
        Self::open_and_read(path, remote, now, |_| Ok(())).map(|(store, ())| store)
    }

    /// Opens it like [`Store::open`], and reads from it with `read`, while another thread checks a
    /// large one. What that read counts only if the check finds nothing.
    ///
    /// # Errors
    /// As for [`Store::open`], and those of `read`.
    pub(crate) fn open_and_read<T>(
        path: &Path,
        remote: &str,
        now: Timestamp,
        read: impl FnOnce(&Self) -> Result<T, StateError>,
    ) -> Result<(Self, T), StateError> {
        create_file(path)?;
        // The lock's file may have been deleted, and another process may hold a new one. This lock
        // is on the database itself.
        let alone = FileLock::try_acquire_beside_sqlite(path).map_err(|error| unopened(path, error))?;
        let alone = alone.ok_or_else(|| StateError::InUse { path: path.to_owned() })?;
        let fail = |doing| move |error| StateError::from_sql(path, doing, error);
        let own = alone.id().map_err(|error| unopened(path, error))?;
        let connection = connect_to_write(path, own)?;
        refuse_what_is_not_ours(&connection, path, remote)?;
        let version: i64 = connection
            .pragma_query_value(None, "user_version", |row| row.get(0))
            .map_err(fail("look at the database"))?;
        let (place, remote) = (path.to_owned(), remote.to_owned());
        let mut store = Self { connection, path: place, remote, files: Vec::new(), _alone: Some(alone) };
        let is_large = own_file::metadata(path).is_ok_and(|found| found.len() >= CHECKED_ALONE_BYTES);
        // What an older Macadam left can't be read before the migrations.
        let value = if version == KNOWN && is_large {
            let value = store.read_beside_check(own, read)?;
            store.begin_to_write(now)?;
            value
        } else {
            check_structure(&store.connection, path)?;
            store.begin_to_write(now)?;
            read(&store)?
        };
        Ok((store, value))
    }

    /// Reads with `read` while the structure is checked through a connection of its own.
    fn read_beside_check<T>(
        &self,
        own: FileId,
        read: impl FnOnce(&Self) -> Result<T, StateError>,
    ) -> Result<T, StateError> {
        let path: &Path = &self.path;
        let check = || check_structure(&connect_to_write(path, own)?, path);
        std::thread::scope(|scope| {
            let checking = std::thread::Builder::new().name("check".to_owned()).spawn_scoped(scope, check);
            let Ok(checking) = checking else {
                check()?;
                return read(self);
            };
            let value = read(self);
            checking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            value
        })
    }

    /// Prepares a checked database for writing, and brings its schema up to date.
    fn begin_to_write(&mut self, now: Timestamp) -> Result<(), StateError> {
        let Self { connection, path, remote, files: known, _alone: alone } = self;
        let path: &Path = path;
        let fail = |doing| move |error| StateError::from_sql(path, doing, error);
        if connection.is_readonly("main").map_err(fail("look at the database"))? {
            return Err(StateError::ReadOnly { path: path.to_owned() });
        }
        configure(connection).map_err(fail("configure the database"))?;
        Migrations::from_slice(MIGRATIONS).to_latest(connection).map_err(|error| match error {
            rusqlite_migration::Error::RusqliteError { err, .. } => {
                StateError::from_sql(path, "bring the schema up to date", err)
            }
            other => StateError::Damaged { path: path.to_owned(), detail: other.to_string() },
        })?;
        let meta = "INSERT INTO meta (id, remote, created_at) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING";
        connection.execute(meta, (remote.as_str(), now.to_string())).map_err(fail("write the remote"))?;
        set_checkpoint_at_end(connection, true).map_err(fail("configure the database"))?;
        if let Some(alone) = alone {
            *known = files(path, alone).map_err(|error| unopened(path, error))?;
        }
        Ok(())
    }

    /// Opens the state of `remote` for reading, beside a writer or on a read-only disk. `None` if
    /// there is none yet.
    ///
    /// # Errors
    /// When the file is no state, damaged, of a newer Macadam or of another remote, or when a crash
    /// left a log that can only be read after a write.
    pub fn open_read_only(path: &Path, remote: &str) -> Result<Option<Self>, StateError> {
        let before = match existing(path) {
            Ok(found) => found,
            Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
                return Ok(None);
            }
            Err(error) => return Err(StateError::OpenFile { path: path.to_owned(), source: Arc::new(error) }),
        };
        if fs::metadata(path).is_ok_and(|found| found.len() == 0) && !has_log(path) {
            return Ok(None);
        }
        refuse_empty_with_log(path)?;
        let fail = |error| StateError::from_sql(path, "open the database", error);
        let connection = connect_for_reading(path).map_err(|error| match error.sqlite_error_code() {
            Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly) if has_log(path) && !atomic_file::is_used_up(path) => {
                StateError::Unrecovered { path: path.to_owned() }
            }
            _ => fail(error),
        })?;
        refuse_swapped(path, before)?;
        connection.pragma_update(None, "query_only", true).map_err(fail)?;
        refuse_what_is_not_ours(&connection, path, remote)?;
        let version: i64 = connection.pragma_query_value(None, "user_version", |row| row.get(0)).map_err(fail)?;
        let (path, remote) = (path.to_owned(), remote.to_owned());
        Ok((version > 0).then(|| Self { connection, path, remote, files: Vec::new(), _alone: None }))
    }

    /// Reads the whole database and compares all its indexes: slower than the check at every start.
    ///
    /// # Errors
    /// [`StateError::Damaged`] with the first problem found.
    pub fn integrity_check(&self) -> Result<(), StateError> {
        check(&self.connection, &self.path, "integrity_check")?;
        let fail = |error| StateError::from_sql(&self.path, "check the foreign keys", error);
        let orphan: Option<String> = self
            .connection
            .query_row("SELECT \"table\" FROM pragma_foreign_key_check", [], |row| row.get(0))
            .optional()
            .map_err(fail)?;
        match orphan {
            None => Ok(()),
            Some(table) => {
                let detail = format!("a row of `{table}` belongs to nothing");
                Err(StateError::Damaged { path: self.path.clone(), detail })
            }
        }
    }
}

/// Creates the folder and an empty file, for this user alone, if they are missing.
fn create_file(path: &Path) -> Result<(), StateError> {
    create_folder(path)?;
    match own_file::metadata(path) {
        Ok(_) => refuse_empty_with_log(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            own_file::open(path, How::Private).map(drop).map_err(|error| unopened(path, error))
        }
        Err(error) => Err(unopened(path, error)),
    }
}

fn unopened(path: &Path, error: io::Error) -> StateError {
    match error.kind() {
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            StateError::ReadOnly { path: path.to_owned() }
        }
        _ if space::is_full(&error) => StateError::Full { path: path.to_owned() },
        _ => StateError::OpenFile { path: path.to_owned(), source: Arc::new(error) },
    }
}

/// Returns the files of an open state after a write: the database and SQLite's files beside it,
/// which exist as long as it is open.
fn files(path: &Path, alone: &FileLock) -> io::Result<Vec<(PathBuf, FileId)>> {
    let own = alone.id()?;
    if FileId::at(path)? != Some(own) {
        return Err(io::Error::other("another file took its place while it was opened"));
    }
    let mut files = vec![(path.to_owned(), own)];
    for ending in ["-wal", "-shm"] {
        let path = own_file::with_ending(path, ending);
        files.extend(FileId::at(&path)?.map(|id| (path, id)));
    }
    Ok(files)
}

/// Creates the folder of a file, for this user alone, if it is missing.
pub(in crate::state) fn create_folder(path: &Path) -> Result<(), StateError> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => return Ok(()),
    };
    own_file::create_folder(folder)
        .map_err(|error| StateError::CreateFolder { path: folder.to_owned(), source: Arc::new(error) })
}

/// Returns the identity of the plain file at a state's path, and follows no link.
pub(super) fn existing(path: &Path) -> io::Result<FileId> {
    FileId::of_found(path, &own_file::metadata(path)?)
}

/// Refuses a file that replaced the one found before. SQLite opens files only by their paths.
pub(super) fn refuse_swapped(path: &Path, before: FileId) -> Result<(), StateError> {
    match existing(path) {
        Ok(now) if now == before => Ok(()),
        Ok(_) => Err(unopened(path, io::Error::other("another file took its place while it was opened"))),
        Err(error) => Err(unopened(path, error)),
    }
}

/// Returns whether the database's folder can be written. SQLite only says that it can't open a
/// file; usually it could not create its log beside the database.
fn folder_can_be_written(path: &Path) -> bool {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    !tempfile::tempfile_in(folder)
        .is_err_and(|error| matches!(error.kind(), io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied))
}

/// Refuses an empty file with a log. SQLite takes it for a new database and drops the log, but a
/// state that was truncated to nothing is damaged.
fn refuse_empty_with_log(path: &Path) -> Result<(), StateError> {
    match fs::metadata(path) {
        Ok(found) if found.len() == 0 && has_log(path) => {
            let detail = "the file is empty, but its log is not".to_owned();
            Err(StateError::Damaged { path: path.to_owned(), detail })
        }
        _ => Ok(()),
    }
}

/// Returns whether the log has work that may not be in the database yet.
fn has_log(path: &Path) -> bool {
    fs::metadata(own_file::with_ending(path, "-wal")).is_ok_and(|found| found.len() > 0)
}

pub(super) fn connect(path: &Path, flags: OpenFlags) -> rusqlite::Result<Connection> {
    // No link in any component: the path was resolved before.
    let flags = flags | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    match own_file::of_any_length(path) {
        Some(path) => set_up(Connection::open_with_flags_and_vfs(path, flags, LONG_PATHS)?),
        None => set_up(Connection::open_with_flags(path, flags)?),
    }
}

fn set_up(connection: Connection) -> rusqlite::Result<Connection> {
    // Before the schema is read, since it can't be trusted.
    distrust(&connection)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    read_something(&connection)?;
    Ok(connection)
}

/// Treats the state as data and never as a program: none of its views and triggers runs, its schema
/// calls no function that does more than compute, and the schema itself can't be written.
/// <https://sqlite.org/security.html>
fn distrust(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false)?;
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, false)?;
    connection.pragma_update(None, "cell_size_check", true)
}

/// Connects to the database whose file has this identity. Until the state is known to be ours, and
/// checked, closing the connection must not even copy its log into the database.
fn connect_to_write(path: &Path, own: FileId) -> Result<Connection, StateError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let fail = |doing| move |error| StateError::from_sql(path, doing, error);
    let connection = connect(path, flags).map_err(|error| match error.sqlite_error_code() {
        Some(ErrorCode::CannotOpen) if !folder_can_be_written(path) && !atomic_file::is_used_up(path) => {
            StateError::ReadOnly { path: path.to_owned() }
        }
        _ => fail("open the database")(error),
    })?;
    refuse_swapped(path, own)?;
    set_checkpoint_at_end(&connection, false).map_err(fail("configure the database"))?;
    Ok(connection)
}

/// Says whether the log is copied into the database when its last connection closes.
fn set_checkpoint_at_end(connection: &Connection, copies: bool) -> rusqlite::Result<()> {
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, !copies).map(drop)
}

/// Reads something, since only the first read really opens a file.
fn read_something(connection: &Connection) -> rusqlite::Result<()> {
    connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get::<_, i64>(0)).map(drop)
}

/// Connects beside a writer, or alone; in a writable folder, or in a read-only one.
fn connect_for_reading(path: &Path) -> rusqlite::Result<Connection> {
    // Opened for writing, although nothing is written. SQLite keeps its shared memory in files
    // beside the database, and only a connection that may write removes them again. If the file
    // can't be written, SQLite itself falls back to reading.
    let first = connect(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX);
    match first {
        // The folder can't be written, or the disk is full, and no process has the state open, so
        // none changes it either.
        Err(error)
            if (matches!(error.sqlite_error_code(), Some(ErrorCode::CannotOpen | ErrorCode::ReadOnly))
                || lacks_shared_memory(&error))
                && !has_log(path) =>
        {
            connect_immutable(path)
        }
        other => other,
    }
}

/// Opens a database that no process changes, without any file beside it.
pub(super) fn connect_immutable(path: &Path) -> rusqlite::Result<Connection> {
    let long = own_file::of_any_length(path);
    let place = long.as_deref().unwrap_or(path);
    let place = place.to_str().ok_or_else(|| rusqlite::Error::InvalidPath(path.to_owned()))?;
    let mut uri = String::from("file:");
    for character in place.chars() {
        match character {
            '%' => uri.push_str("%25"),
            '?' => uri.push_str("%3f"),
            '#' => uri.push_str("%23"),
            other => uri.push(other),
        }
    }
    uri.push_str("?immutable=1");
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY
        | OpenFlags::SQLITE_OPEN_URI
        | OpenFlags::SQLITE_OPEN_NO_MUTEX
        | OpenFlags::SQLITE_OPEN_NOFOLLOW;
    match long {
        Some(_) => set_up(Connection::open_with_flags_and_vfs(&uri, flags, LONG_PATHS)?),
        None => set_up(Connection::open_with_flags(&uri, flags)?),
    }
}

pub(super) fn refuse_what_is_not_ours(connection: &Connection, path: &Path, remote: &str) -> Result<(), StateError> {
    let fail = |error| StateError::from_sql(path, "look at the database", error);
    let pragma = |name| connection.pragma_query_value(None, name, |row| row.get::<_, i64>(0)).map_err(fail);
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0)).map_err(fail)?;
    if tables == 0 {
        return Ok(());
    }
    if pragma("application_id")? != APPLICATION_ID {
        return Err(StateError::Foreign { path: path.to_owned() });
    }
    let found = pragma("user_version")?;
    if found > KNOWN {
        return Err(StateError::Newer { path: path.to_owned(), found, known: KNOWN });
    }
    schema::require(connection, path, found)?;
    let found: Option<String> =
        connection.query_row("SELECT remote FROM meta WHERE id = 1", [], |row| row.get(0)).optional().map_err(fail)?;
    match found {
        Some(found) if found != remote => {
            Err(StateError::OtherRemote { path: path.to_owned(), found, wanted: remote.to_owned() })
        }
        _ => Ok(()),
    }
}

/// Checks the structure alone: loading reads the rows strictly anyway, and checking them here as well
/// doubles the time.
fn check_structure(connection: &Connection, path: &Path) -> Result<(), StateError> {
    let set = |ignored| {
        let set = connection.pragma_update(None, "ignore_check_constraints", ignored);
        set.map_err(|error| StateError::from_sql(path, "configure the database", error))
    };
    set(true)?;
    check(connection, path, "quick_check")?;
    set(false)
}

fn check(connection: &Connection, path: &Path, pragma: &'static str) -> Result<(), StateError> {
    let found: String = connection
        .query_row(&format!("PRAGMA {pragma}(1)"), [], |row| row.get(0))
        .map_err(|error| StateError::from_sql(path, "check the database", error))?;
    if found == "ok" { Ok(()) } else { Err(StateError::Damaged { path: path.to_owned(), detail: found }) }
}

fn configure(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update_and_check(None, "journal_mode", "WAL", |_| Ok(()))?;
    // A reported change survives a power loss; on macOS only a full fsync reaches the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A group of changes keeps its rollback data in memory, since the disk may be full.
    connection.pragma_update(None, "temp_store", "MEMORY")?;
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT_BYTES, |_| Ok(()))
}
