//! A bell by which one process tells another of this machine that there is something to look at,
//! and nothing else.
//!
//! A datagram socket in the file system: the one who waits costs nothing meanwhile, and who rings
//! needs no answer. Not a file that is touched: whoever watches the state's folder would wake for
//! each of the database's own writes. A ring may get lost (another container, a full queue) and
//! anybody who may write the folder can ring, so it only says *when* to look; what is found is the
//! truth.

use std::io;
use std::path::{Path, PathBuf};

use super::file_id::FileId;

/// A bell that can be rung, until it is dropped.
#[derive(Debug)]
pub(crate) struct Wakeup {
    #[cfg(unix)]
    socket: tokio::net::UnixDatagram,
    path: PathBuf,
    /// Of the socket, so that its end leaves alone what hangs in its place by then.
    id: Option<FileId>,
}

impl Wakeup {
    /// Hangs a bell at `path`, in place of one that a dead process left. Only for whoever has the
    /// place to itself. Needs a runtime.
    ///
    /// # Errors
    /// When the system has no such sockets, the path is too long for one (about 100 bytes), or the
    /// folder can't be written.
    #[cfg(unix)]
    pub(crate) fn hang(path: &Path) -> io::Result<Self> {
        super::own_file::remove(path)?;
        let socket = tokio::net::UnixDatagram::bind(path)?;
        // In a folder that nobody else may enter, so that nobody is quicker.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(Self { socket, path: path.to_owned(), id: FileId::at(path)? })
    }

    /// Hangs a bell at `path`.
    ///
    /// # Errors
    /// Always on this system.
    #[cfg(not(unix))]
    pub fn hang(path: &Path) -> io::Result<Self> {
        let _ = path;
        Err(io::ErrorKind::Unsupported.into())
    }

    /// Waits until it was rung; many rings are one. May be dropped and called again.
    ///
    /// # Errors
    /// When it can't be heard any more.
    #[cfg(unix)]
    pub(crate) async fn woken(&self) -> io::Result<()> {
        let mut wake = [0; 16];
        self.socket.recv(&mut wake).await?;
        while self.socket.try_recv(&mut wake).is_ok() {}
        Ok(())
    }

    /// Waits until it was rung.
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
        // It may be gone, and another one may hang there: the folder was deleted, and made anew.
        if FileId::at(&self.path).is_ok_and(|found| found.is_some() && found == self.id) {
            let _ = super::own_file::remove(&self.path);
        }
    }
}

/// Rings the bell at `path`.
///
/// # Errors
/// When there is none, or nobody listens.
pub(crate) fn wake(path: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt as _;
        // No link leads the ring to another program's socket.
        if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        let socket = std::os::unix::net::UnixDatagram::unbound()?;
        // A full queue means that it was rung already.
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
    async fn rings_before_and_while_somebody_waits_are_heard() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bell");
        assert!(wake(&path).is_err());
        let wakeup = Wakeup::hang(&path).unwrap();
        wake(&path).unwrap();
        wake(&path).unwrap();
        wakeup.woken().await.unwrap();
        let (heard, woken) = tokio::join!(wakeup.woken(), async { wake(&path) });
        assert!(heard.is_ok() && woken.is_ok());
        // A process that was killed leaves its socket; the next one takes its place.
        let next = Wakeup::hang(&path).unwrap();
        wake(&path).unwrap();
        next.woken().await.unwrap();
        // The first one is gone only now, and leaves the next one alone.
        drop(wakeup);
        wake(&path).unwrap();
        next.woken().await.unwrap();
        drop(next);
        assert!(!path.exists());
        assert!(Wakeup::hang(&folder.path().join("x".repeat(200))).is_err());
    }
}
