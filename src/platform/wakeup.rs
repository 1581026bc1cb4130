//! A wakeup between two processes of this machine: it says that there is something to read, and
//! nothing else.
//!
//! It is a datagram socket in the file system: the receiver costs nothing while it waits, and the
//! sender needs no answer. A file to touch would not do, since a watcher of the state's folder
//! would wake for each of the database's own writes. A wakeup may get lost (another container, a
//! full queue), and anyone who may write the folder can send one. So it only says *when* to read;
//! the state itself is the truth.

use std::io;
use std::path::{Path, PathBuf};

use super::file_id::FileId;

/// A socket that receives wakeups until it is dropped.
#[derive(Debug)]
pub(crate) struct Wakeup {
    #[cfg(unix)]
    socket: tokio::net::UnixDatagram,
    path: PathBuf,
    /// The socket's identity, so that dropping this leaves a successor at the same path alone.
    id: Option<FileId>,
}

impl Wakeup {
    /// Creates the socket at `path`, and replaces one that a dead process left. The caller must own
    /// the path. Needs a runtime.
    ///
    /// # Errors
    /// When the system has no such sockets, the path is too long for one (about 100 bytes), or the
    /// folder can't be written.
    #[cfg(unix)]
    pub(crate) fn hang(path: &Path) -> io::Result<Self> {
        super::own_file::remove(path)?;
        let socket = tokio::net::UnixDatagram::bind(path)?;
        // The folder is closed to other users, so none can connect before the permissions are set.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(Self { socket, path: path.to_owned(), id: FileId::at(path)? })
    }

    /// Creates the socket at `path`.
    ///
    /// # Errors
    /// Always on this system.
    #[cfg(not(unix))]
    pub fn hang(path: &Path) -> io::Result<Self> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits for a wakeup; many become one. The future may be dropped and this called again.
    ///
    /// # Errors
    /// When the socket no longer works.
    #[cfg(unix)]
    pub(crate) async fn woken(&self) -> io::Result<()> {
        let mut wake = [0; 16];
        self.socket.recv(&mut wake).await?;
        while self.socket.try_recv(&mut wake).is_ok() {}
        Ok(())
    }

    /// Waits for a wakeup.
    ///
    /// # Errors
    /// Always on this system.
    #[cfg(not(unix))]
    pub async fn woken(&self) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

impl Drop for Wakeup {
    fn drop(&mut self) {
        // The socket may be gone and another one in its place, if the folder was deleted and
        // created again.
        if FileId::at(&self.path).is_ok_and(|found| found.is_some() && found == self.id) {
            let _ = super::own_file::remove(&self.path);
        }
    }
}

/// Sends a wakeup to the socket at `path`.
///
/// # Errors
/// When there is no socket, or no process receives.
pub(crate) fn wake(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        // A link must not lead the wakeup to another program's socket.
        if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        // A full queue means that a wakeup already waits.
        socket.set_nonblocking(true)?;
        socket.send_to(&[1], path).map(drop)
    }
    #[cfg(not(unix))]
    {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wakeup_is_received_before_and_during_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bell");
        assert!(wake(&path).is_err());
        let wakeup = Wakeup::hang(&path).unwrap();
        wake(&path).unwrap();
        wake(&path).unwrap();
        wakeup.woken().await.unwrap();
        let (heard, woken) = tokio::join!(wakeup.woken(), async { wake(&path) });
        assert!(heard.is_ok() && woken.is_ok());
        // A process that was killed leaves its socket; the next one replaces it.
        let next = Wakeup::hang(&path).unwrap();
        wake(&path).unwrap();
        next.woken().await.unwrap();
        // Dropping the first one leaves its successor alone.
        drop(wakeup);
        wake(&path).unwrap();
        next.woken().await.unwrap();
        drop(next);
        assert!(!path.exists());
        assert!(Wakeup::hang(&folder.path().join("x".repeat(200))).is_err());
    }
}
