//! A wakeup between two processes of this machine: it says that there is something to read, and
//! nothing else.
//!
//! It is a datagram socket in the file system, on Windows a named pipe whose name is in a file: the
//! receiver costs nothing while it waits, and the sender needs no answer. A file to touch would not
//! do, since a watcher of the state's folder would wake for each of the database's own writes. A
//! wakeup may get lost (another container, a full queue), and anyone who may write the folder can
//! send one. So it only says *when* to read; the state itself is the truth.

use std::io;
use std::path::{Path, PathBuf};

use super::file_id::FileId;

#[cfg(windows)]
use self::pipe::Pipe;

/// A socket that receives wakeups until it is dropped.
#[derive(Debug)]
pub(crate) struct Wakeup {
    #[cfg(unix)]
    socket: tokio::net::UnixDatagram,
    #[cfg(windows)]
    pipe: Pipe,
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
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        super::own_file::remove(path)?;
        let socket = tokio::net::UnixDatagram::bind(path)?;
        // The folder is closed to other users, so none can connect before the permissions are set.
        std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o600))?;
        Ok(Self { socket, path: path.to_owned(), id: FileId::at(path)? })
    }

    /// Creates the pipe, and writes its name into the file at `path`. The caller must own the path.
    /// Needs a runtime.
    ///
    /// # Errors
    /// When the pipe or the file can't be made.
    #[cfg(windows)]
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let pipe = Pipe::new()?;
        super::own_file::replace_private(path, pipe.name().as_bytes())?;
        Ok(Self { pipe, path: path.to_owned(), id: FileId::at(path)? })
    }

    /// Waits for a wakeup; many become one. The future may be dropped and this called again.
    ///
    /// # Errors
    /// When the socket no longer works.
    #[cfg(unix)]
    pub(crate) async fn woken(&mut self) -> io::Result<()> {
        let mut wake = [0; 16];
        self.socket.recv(&mut wake).await?;
        while self.socket.try_recv(&mut wake).is_ok() {}
        Ok(())
    }

    /// Waits for a wakeup; many become one. The future may be dropped and this called again.
    ///
    /// # Errors
    /// When the pipe no longer works.
    #[cfg(windows)]
    pub(crate) async fn woken(&mut self) -> io::Result<()> {
        self.pipe.connected().await
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
    #[cfg(windows)]
    pipe::knock(&super::own_file::read(path, pipe::LONGEST_NAME)?)
}

/// A named pipe that nothing is ever written to: that somebody opens it is the wakeup.
#[cfg(windows)]
mod pipe {
    use std::io;
    use std::os::windows::fs::OpenOptionsExt as _;

    use tokio::net::windows::named_pipe::{NamedPipeServer, ServerOptions};

    /// Where Windows has its pipes, and how ours begin.
    const PREFIX: &str = r"\\.\pipe\macadam-";

    /// The length of a name in bytes, with room.
    pub(super) const LONGEST_NAME: u64 = 100;

    /// All instances are busy: another wakeup is on its way, and is taken after this.
    const BUSY: i32 = 231;

    /// The receiving end.
    #[derive(Debug)]
    pub(super) struct Pipe {
        name: String,
        listening: NamedPipeServer,
    }

    impl Pipe {
        /// Makes a pipe of a random name, which only who reads our file knows.
        pub(super) fn new() -> io::Result<Self> {
            let name = format!("{PREFIX}{}", uuid::Uuid::new_v4().simple());
            let listening = instance(&name, true)?;
            Ok(Self { name, listening })
        }

        pub(super) fn name(&self) -> &str {
            &self.name
        }

        /// Waits until somebody opens the pipe.
        pub(super) async fn connected(&mut self) -> io::Result<()> {
            self.listening.connect().await?;
            // The next instance listens before this one is gone, so that no wakeup meets a closed door.
            self.listening = instance(&self.name, false)?;
            Ok(())
        }
    }

    fn instance(name: &str, first: bool) -> io::Result<NamedPipeServer> {
        let mut options = ServerOptions::new();
        options.first_pipe_instance(first).access_outbound(false).reject_remote_clients(true).create(name)
    }

    /// Opens the pipe of this name for a moment.
    #[expect(clippy::disallowed_methods, reason = "a pipe is no file of a folder")]
    pub(super) fn knock(name: &[u8]) -> io::Result<()> {
        let name = std::str::from_utf8(name).map_err(|_| io::ErrorKind::InvalidData)?;
        // The file must not lead the wakeup to another program's pipe.
        let ours = name.strip_prefix(PREFIX).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_hexdigit()));
        if !ours {
            return Err(io::ErrorKind::InvalidData.into());
        }
        // Anonymous: whoever listens learns nothing of this user.
        match std::fs::OpenOptions::new().write(true).security_qos_flags(0).open(name) {
            Err(error) if error.raw_os_error() == Some(BUSY) => Ok(()),
            opened => opened.map(drop),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_wakeup_is_received_before_and_during_a_wait() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.bell");
        assert!(wake(&path).is_err());
        let mut wakeup = Wakeup::open(&path).unwrap();
        wake(&path).unwrap();
        wake(&path).unwrap();
        wakeup.woken().await.unwrap();
        let (heard, woken) = tokio::join!(wakeup.woken(), async { wake(&path) });
        assert!(heard.is_ok() && woken.is_ok());
        // A process that was killed leaves its socket; the next one replaces it.
        let mut next = Wakeup::open(&path).unwrap();
        wake(&path).unwrap();
        next.woken().await.unwrap();
        // Dropping the first one leaves its successor alone.
        drop(wakeup);
        wake(&path).unwrap();
        next.woken().await.unwrap();
        drop(next);
        assert!(!path.exists());
        #[cfg(unix)]
        assert!(Wakeup::open(&folder.path().join("x".repeat(200))).is_err());
    }
}
