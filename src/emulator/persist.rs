//! The world file, from which an emulator resumes where the last one left the world.
//!
//! The emulator writes every change before the response. Changes that arrive during a write share
//! the next one. The file is UTF-8, one JSON object a line:
//!
//! - `{"format":2,"world":{…}}`: the whole world, in a form of `world/saved.rs`. A rename puts this
//!   line into place.
//! - Then a line for each later write, with what changed since: `{"assets":{"17":{…}}}`; `null` is
//!   a removed entry. So an answer costs the same however large the world is.
//!
//! A kill leaves at most a last line without its end, which is dropped: its changes were not
//! answered. The file is written whole again when the changes have outgrown the world, after a
//! failed write, and when the file isn't as this emulator left it. It is not synced: it stands in
//! for a remote that a power cut doesn't reach. Keys, faults, limits and the clock are not in it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use super::world::{World, WorldChange};
use crate::platform::own_file::{self, How};

/// The most bytes that are read of a world file: enough for a million assets.
const MAX_BYTES: u64 = 1 << 30;

/// The most bytes that are read of the lock's text, which is a URL.
const MAX_URL_BYTES: u64 = 1024;

/// The version of the file's format.
const FORMAT: u32 = 2;

/// The fewest bytes of changes that are worth writing the whole world again.
pub(super) const MIN_OUTGROWN: u64 = 1 << 18;

/// The first line.
#[derive(Serialize, Deserialize)]
struct Whole<'a> {
    format: u32,
    world: WorldChange<'a>,
}

/// The part of the first line that every format has.
#[derive(Deserialize)]
struct WorldFormat {
    format: u32,
}

/// The length of a file whose last line is complete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Extent {
    /// The bytes of the first line.
    whole: u64,
    /// The bytes of all lines.
    all: u64,
}

impl Extent {
    /// Returns whether the changes take more room than the world.
    fn is_outgrown(self) -> bool {
        self.all - self.whole > self.whole.max(MIN_OUTGROWN)
    }
}

/// An error of a world file.
#[derive(Debug, thiserror::Error)]
pub enum WorldFileError {
    /// Its folder or its lock could not be made.
    #[error("could not prepare the emulator's world file `{}`", path.display())]
    Prepare {
        /// The world file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// Another emulator uses it.
    #[error("another emulator runs on the world file `{}`{}", path.display(), url.as_ref().map(|url| format!(", at {url}")).unwrap_or_default())]
    InUse {
        /// The world file.
        path: PathBuf,
        /// The URL of the other emulator.
        url: Option<String>,
    },
    /// It could not be read.
    #[error("could not read the emulator's world file `{}`", path.display())]
    Read {
        /// The world file.
        path: PathBuf,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
    /// It is damaged or of another version.
    #[error("the emulator's world file `{}` is damaged or of another version: {reason}", path.display())]
    Damaged {
        /// The world file.
        path: PathBuf,
        /// The place and kind of damage.
        reason: String,
    },
}

/// A world file that only this emulator uses, until it is dropped.
#[derive(Debug)]
pub(super) struct WorldFile {
    path: PathBuf,
    lock: File,
    /// `None` if the next write must be a whole world.
    extent: Option<Extent>,
}

impl WorldFile {
    /// Locks the file for this process. The kernel frees the lock when the process ends, however it
    /// ends.
    pub(super) fn open(path: &Path) -> Result<Self, WorldFileError> {
        let prepare = |source| WorldFileError::Prepare { path: path.to_owned(), source };
        let path = &own_file::named(path);
        if let Some(folder) = path.parent() {
            own_file::create_folder(folder).map_err(prepare)?;
        }
        let mut lock_path = path.as_os_str().to_owned();
        lock_path.push(".lock");
        let lock = own_file::open(Path::new(&lock_path), How::Private).map_err(prepare)?;
        match lock.try_lock() {
            Ok(()) => Ok(WorldFile { path: path.to_owned(), lock, extent: None }),
            Err(TryLockError::WouldBlock) => {
                let mut text = String::new();
                let url = lock.take(MAX_URL_BYTES).read_to_string(&mut text).is_ok().then(|| text.trim().to_owned());
                Err(WorldFileError::InUse { path: path.to_owned(), url: url.filter(|url| !url.is_empty()) })
            }
            Err(TryLockError::Error(source)) => Err(prepare(source)),
        }
    }

    /// Writes the URL of this emulator into the lock.
    pub(super) fn announce(&mut self, url: &str) -> Result<(), WorldFileError> {
        let write = |lock: &mut File| {
            lock.set_len(0)?;
            lock.rewind()?;
            lock.write_all(url.as_bytes())
        };
        write(&mut self.lock).map_err(|source| WorldFileError::Prepare { path: self.path.clone(), source })
    }

    /// Loads the saved world; `None` if there is no file yet.
    pub(super) fn load(&mut self) -> Result<Option<World>, WorldFileError> {
        let path = || self.path.clone();
        let bytes = match own_file::read(&self.path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WorldFileError::Read { path: path(), source }),
        };
        let (world, extent) = parse(&bytes).map_err(|reason| WorldFileError::Damaged { path: path(), reason })?;
        self.extent = extent;
        Ok(Some(world))
    }

    /// Writes what changed in the world, and returns the number of bytes that it wrote.
    pub(super) async fn save(&mut self, shared: &Shared) -> std::io::Result<u64> {
        if let Some(extent) = self.extent.take().filter(|extent| !extent.is_outgrown()) {
            let line = match shared.settled().0.world.changes() {
                Some(changes) if changes.is_empty() => Some(Vec::new()),
                Some(changes) => Some(line(&changes)?),
                // It was reset.
                None => None,
            };
            if let Some(line) = line {
                let more = line.len() as u64;
                let path = self.path.clone();
                match blocking(move || append(&path, extent.all, &line)).await {
                    Ok(()) => {
                        self.extent = Some(Extent { all: extent.all + more, ..extent });
                        return Ok(more);
                    }
                    Err(error) => {
                        tracing::debug!(%error, "could not append to the emulator's world file; writing it whole");
                    }
                }
            }
        }
        let line = line(&Whole { format: FORMAT, world: shared.settled().0.world.whole() })?;
        let (path, length) = (self.path.clone(), line.len() as u64);
        blocking(move || own_file::replace_private(&path, &line)).await?;
        self.extent = Some(Extent { whole: length, all: length });
        Ok(length)
    }
}

/// Returns the world of a file's lines, and the file's extent if its last line is complete. An error
/// says the place and kind of damage.
pub(super) fn parse(bytes: &[u8]) -> Result<(World, Option<Extent>), String> {
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let first = lines.next().unwrap_or_default();
    let WorldFormat { format } = serde_json::from_slice(first).map_err(|error| error.to_string())?;
    if format != FORMAT {
        return Err(format!("its format is {format}"));
    }
    let Whole { world, .. } = serde_json::from_slice(first).map_err(|error| error.to_string())?;
    let mut changes = vec![world];
    let mut complete = first.ends_with(b"\n");
    for (number, line) in (2..).zip(lines) {
        complete = line.ends_with(b"\n");
        if complete {
            changes.push(serde_json::from_slice(line).map_err(|error| format!("line {number}: {error}"))?);
        }
    }
    let extent = Extent { whole: first.len() as u64, all: bytes.len() as u64 };
    Ok((World::restored(changes), complete.then_some(extent)))
}

fn line(value: &impl Serialize) -> std::io::Result<Vec<u8>> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    Ok(line)
}

/// Appends a line to a file of this length.
fn append(path: &Path, length: u64, line: &[u8]) -> std::io::Result<()> {
    let mut file = own_file::open(path, How::Append)?;
    let found = file.metadata()?.len();
    if found != length {
        return Err(std::io::Error::other(format!("it has {found} bytes instead of {length}")));
    }
    file.write_all(line)
}

async fn blocking(write: impl FnOnce() -> std::io::Result<()> + Send + 'static) -> std::io::Result<()> {
    tokio::task::spawn_blocking(write).await.unwrap_or_else(|error| Err(std::io::Error::other(error)))
}

/// Writes the changes of the world until it is stopped, and then once more.
pub(super) async fn keep(mut file: WorldFile, shared: Arc<Shared>, stop: CancellationToken) {
    let mut changes = shared.changes();
    loop {
        let stopped = tokio::select! {
            changed = changes.changed() => changed.is_err(),
            () = stop.cancelled() => true,
        };
        let number = *changes.borrow_and_update();
        if let Err(error) = file.save(&shared).await {
            tracing::error!(path = %file.path.display(), %error, "could not write the emulator's world file");
        }
        // Even after a failure: the change is in the world, and only the next run will miss it.
        shared.mark_saved(number);
        if stopped {
            return;
        }
    }
}
