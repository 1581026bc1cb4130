//! The world file: a snapshot of the world, so that an embedded emulator resumes where the last
//! command left it.
//!
//! The emulator writes it after every change and before the response. Changes that arrive during a
//! write share the next one. A rename replaces the file, so a kill leaves the old or the new one.
//! It is not synced: it stands in for a remote that a power cut doesn't reach. Keys, faults, limits
//! and the clock are not in it.

use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

use super::shared::Shared;
use super::world::World;
use crate::platform::own_file::{self, How};

/// The most bytes that are read of a world file: enough for a million assets.
const MAX_BYTES: u64 = 1 << 30;

/// The most bytes that are read of the lock's text, which is a URL.
const MAX_URL_BYTES: u64 = 1024;

/// The version of the file's format.
const FORMAT: u32 = 1;

#[derive(Serialize)]
struct Saved<'a> {
    format: u32,
    world: &'a World,
}

#[derive(Deserialize)]
struct Loaded {
    format: u32,
    world: World,
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
            Ok(()) => Ok(WorldFile { path: path.to_owned(), lock }),
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
    pub(super) fn load(&self) -> Result<Option<World>, WorldFileError> {
        let path = || self.path.clone();
        let bytes = match own_file::read(&self.path, MAX_BYTES) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(WorldFileError::Read { path: path(), source }),
        };
        let loaded: Loaded = serde_json::from_slice(&bytes)
            .map_err(|error| WorldFileError::Damaged { path: path(), reason: error.to_string() })?;
        if loaded.format != FORMAT {
            return Err(WorldFileError::Damaged { path: path(), reason: format!("its format is {}", loaded.format) });
        }
        Ok(Some(loaded.world))
    }
}

fn snapshot(world: &World) -> std::io::Result<Vec<u8>> {
    Ok(serde_json::to_vec(&Saved { format: FORMAT, world })?)
}

/// Writes the world after each change until it is stopped, and then once more.
pub(super) async fn keep(file: WorldFile, shared: Arc<Shared>, stop: CancellationToken) {
    let mut changes = shared.changes();
    loop {
        let stopped = tokio::select! {
            changed = changes.changed() => changed.is_err(),
            () = stop.cancelled() => true,
        };
        let number = *changes.borrow_and_update();
        let bytes = snapshot(&shared.settled().0.world);
        let path = file.path.clone();
        let written =
            tokio::task::spawn_blocking(move || bytes.and_then(|bytes| own_file::replace_private(&path, &bytes))).await;
        if let Ok(Err(error)) = written {
            tracing::error!(path = %file.path.display(), %error, "could not write the emulator's world file");
        }
        // Even after a failure: the change is in the world, and only the next run will miss it.
        shared.mark_saved(number);
        if stopped {
            return;
        }
    }
}
