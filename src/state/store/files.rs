//! The file cache. It only saves time, so a power loss may take the newest entries.

use std::collections::BTreeSet;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension as _, Result, Row, Transaction, named_params};

use super::{Store, rows};
use crate::model::along::along;
use crate::model::asset::FileFormat;
use crate::model::file::{
    CachedFile, ContentFacts, FileCache, FileFacts, FileProblem, FileProblemKind, Fingerprint, ModelRoot,
};
use crate::model::ids::ContentHash;
use crate::model::path::ProjectPath;
use crate::state::error::StateError;

/// What an entry is read from, in order.
const COLUMNS: &str = "path, size, modified_ns, changed_ns, inode, device, looked_at_ns, content, content_size, format, \
     kind, duration_ns, sample_rate, width, height, problem, hint, problem_kind";

/// The changes of a scan to the cache.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FileDelta {
    /// Entries that are new or differ.
    pub changed: Vec<(ProjectPath, CachedFile)>,
    /// Files that are not scanned any more.
    pub vanished: Vec<ProjectPath>,
}

impl FileDelta {
    /// Returns the changes that lead from one cache to another.
    pub fn between(before: &FileCache, after: &FileCache) -> Self {
        let changed = along(after, before).filter(|(_, file, known)| *known != Some(*file));
        let vanished = along(before, after).filter(|(_, _, still)| still.is_none());
        Self {
            changed: changed.map(|(path, file, _)| (path.clone(), file.clone())).collect(),
            vanished: vanished.map(|(path, ..)| path.clone()).collect(),
        }
    }

    /// Returns whether there is nothing to save.
    pub fn is_empty(&self) -> bool {
        self.changed.is_empty() && self.vanished.is_empty()
    }
}

impl Store {
    /// Loads every entry of the cache.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn load_files(&self) -> Result<FileCache, StateError> {
        let read = || -> Result<FileCache> {
            let mut all = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM files ORDER BY path"))?;
            all.query_map([], |row| Ok((path(row)?, file(row)?)))?.collect()
        };
        let all = read();
        self.release_pages();
        all.map_err(|error| self.failed("read the file cache", error))
    }

    /// Saves the changes of a scan, in one transaction that doesn't wait for the disk.
    ///
    /// # Errors
    /// When the database can't be written; earlier entries stay.
    pub fn save_files(&mut self, delta: &FileDelta) -> Result<(), StateError> {
        if delta.is_empty() {
            return Ok(());
        }
        self.without_waiting("write the file cache", |transaction| save(transaction, delta))
    }

    /// Returns the entries of these files, as far as there are any.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn load_files_at(&self, paths: &BTreeSet<ProjectPath>) -> Result<FileCache, StateError> {
        let found = paths.iter().map(|path| Ok(self.load_file(path)?.map(|file| (path.clone(), file))));
        found.filter_map(Result::transpose).collect()
    }

    /// Returns the entry of one file.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn load_file(&self, path: &ProjectPath) -> Result<Option<CachedFile>, StateError> {
        let read = || {
            let mut one = self.connection.prepare_cached(&format!("SELECT {COLUMNS} FROM files WHERE path = ?1"))?;
            one.query_row([path.as_str()], file).optional()
        };
        read().map_err(|error| self.failed("read the file cache", error))
    }
}

/// Returns the entries of the files in a folder, without those of the folders in it.
pub(super) fn in_folder(connection: &Connection, folder: &str) -> Result<FileCache> {
    // Whatever begins with the folder's name and a slash, which only a zero follows.
    let (from, to) = match folder {
        "" => (String::new(), char::MAX.to_string()),
        folder => (format!("{folder}/"), format!("{folder}0")),
    };
    let rest = i64::try_from(from.chars().count()).unwrap_or(i64::MAX) + 1;
    let select = format!(
        "SELECT {COLUMNS} FROM files WHERE path >= ?1 AND path < ?2 AND instr(substr(path, ?3), '/') = 0 ORDER BY path"
    );
    let mut all = connection.prepare_cached(&select)?;
    all.query_map((from, to, rest), |row| Ok((path(row)?, file(row)?)))?.collect()
}

/// Returns the files whose content is one of these.
pub(super) fn with_content(connection: &Connection, contents: &BTreeSet<ContentHash>) -> Result<BTreeSet<ProjectPath>> {
    let mut all = connection.prepare_cached("SELECT path, content FROM files WHERE content IS NOT NULL")?;
    let mut found = all.query([])?;
    let mut paths = BTreeSet::new();
    while let Some(row) = found.next()? {
        if contents.contains(&rows::content(row, 1)?) {
            paths.insert(path(row)?);
        }
    }
    Ok(paths)
}

fn path(row: &Row<'_>) -> Result<ProjectPath> {
    ProjectPath::new(rows::text(row, 0)?).map_err(|error| rows::wrong(0, error))
}

fn save(transaction: &Transaction<'_>, delta: &FileDelta) -> Result<()> {
    let mut insert = transaction.prepare_cached(
        "INSERT OR REPLACE INTO files
            (path, size, modified_ns, changed_ns, inode, device, looked_at_ns, content, content_size, format, kind,
             duration_ns, sample_rate, width, height, problem, problem_kind, hint)
         VALUES (:path, :size, :modified_ns, :changed_ns, :inode, :device, :looked_at_ns, :content, :content_size,
             :format, :kind, :duration_ns, :sample_rate, :width, :height, :problem, :problem_kind, :hint)",
    )?;
    let mut delete = transaction.prepare_cached("DELETE FROM files WHERE path = ?1")?;
    for path in &delta.vanished {
        delete.execute([path.as_str()])?;
    }
    for (path, CachedFile { fingerprint, looked_at_ns, content }) in &delta.changed {
        let Fingerprint { size, modified_ns, changed_ns, inode, device } = *fingerprint;
        let facts = content.as_ref().ok();
        let inside = facts.map(|facts| Inside::of(facts.content)).unwrap_or_default();
        let problem = content.as_ref().err();
        insert.execute(named_params! {
            ":path": path.as_str(),
            ":size": rows::number(size),
            ":modified_ns": modified_ns,
            ":changed_ns": changed_ns,
            ":inode": rows::number(inode),
            ":device": rows::number(device),
            ":looked_at_ns": looked_at_ns,
            ":content": facts.map(|facts| facts.hash.as_bytes()),
            ":content_size": facts.map(|facts| rows::number(facts.size)),
            ":format": facts.and_then(|facts| format_name(facts.format)),
            ":kind": inside.kind,
            ":duration_ns": inside.duration_ns,
            ":sample_rate": inside.sample_rate,
            ":width": inside.width,
            ":height": inside.height,
            ":problem": problem.map(|problem| &problem.message),
            ":problem_kind": problem.map(|problem| problem.kind.code()),
            ":hint": problem.and_then(|problem| problem.hint.as_ref()),
        })?;
    }
    Ok(())
}

/// Returns the format's usual extension, which is its name in the table.
fn format_name(format: FileFormat) -> Option<&'static str> {
    format.extensions().first().copied()
}

/// The facts of a file's content, as columns.
#[derive(Default)]
struct Inside {
    kind: Option<&'static str>,
    duration_ns: Option<i64>,
    sample_rate: Option<u32>,
    width: Option<u32>,
    height: Option<u32>,
}

impl Inside {
    fn of(content: ContentFacts) -> Self {
        // A header may claim any length; three centuries are enough.
        let nanoseconds = |duration: Duration| i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
        match content {
            ContentFacts::Instances { root } => {
                let kind = match root {
                    ModelRoot::Animation => "animation",
                    ModelRoot::Other => "instances",
                    ModelRoot::Unknown => "unknown_instances",
                };
                Self { kind: Some(kind), ..Self::default() }
            }
            ContentFacts::Image { width, height } => {
                Self { kind: Some("image"), width: Some(width), height: Some(height), ..Self::default() }
            }
            ContentFacts::Audio { duration, sample_rate } => {
                let duration_ns = duration.map(nanoseconds);
                Self { kind: Some("audio"), duration_ns, sample_rate, ..Self::default() }
            }
            ContentFacts::Video { duration, width, height } => Self {
                kind: Some("video"),
                duration_ns: duration.map(nanoseconds),
                width: Some(width),
                height: Some(height),
                ..Self::default()
            },
            ContentFacts::Opaque => Self { kind: Some("opaque"), ..Self::default() },
        }
    }
}

fn file(row: &Row<'_>) -> Result<CachedFile> {
    let bits = |column| row.get::<_, i64>(column).map(i64::cast_unsigned);
    let fingerprint = Fingerprint {
        size: bits(1)?,
        modified_ns: row.get(2)?,
        changed_ns: row.get(3)?,
        inode: bits(4)?,
        device: bits(5)?,
    };
    let content = match row.get(15)? {
        Some(message) => {
            let kind = rows::named(row, 17, "kind of problem", FileProblemKind::from_code)?;
            Err(FileProblem { kind, message, hint: row.get(16)? })
        }
        None => Ok(FileFacts {
            size: bits(8)?,
            hash: rows::content(row, 7)?,
            format: rows::named(row, 9, "file format", FileFormat::of_extension)?,
            content: content_facts(row)?,
        }),
    };
    Ok(CachedFile { fingerprint, looked_at_ns: row.get(6)?, content })
}

fn content_facts(row: &Row<'_>) -> Result<ContentFacts> {
    let duration = || -> Result<Option<Duration>> {
        let nanoseconds: Option<i64> = row.get(11)?;
        Ok(nanoseconds.map(|nanoseconds| Duration::from_nanos(nanoseconds.unsigned_abs())))
    };
    Ok(match rows::text(row, 10)? {
        "instances" => ContentFacts::Instances { root: ModelRoot::Other },
        "animation" => ContentFacts::Instances { root: ModelRoot::Animation },
        "unknown_instances" => ContentFacts::Instances { root: ModelRoot::Unknown },
        "image" => ContentFacts::Image { width: row.get(13)?, height: row.get(14)? },
        "audio" => ContentFacts::Audio { duration: duration()?, sample_rate: row.get(12)? },
        "video" => ContentFacts::Video { duration: duration()?, width: row.get(13)?, height: row.get(14)? },
        "opaque" => ContentFacts::Opaque,
        other => return Err(rows::wrong(10, format_args!("`{other}` isn't a kind of content"))),
    })
}
