//! A folder that was opened without following a link, and the operations on the names in it.
//!
//! On Unix it is an open descriptor: whatever happens to its path, files are opened, created,
//! renamed and removed in that very folder. Elsewhere it is a path, and only the names in it are
//! checked. Read next: [`super::own_file`], which says which files may be opened.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use super::access::{Access, How, PathRefusal};

/// The most names to try for a temporary file. Each is random, so a second one is hardly ever
/// needed.
const MAX_ATTEMPTS: usize = 16;

/// Splits a path into its folder and its file name.
pub(super) fn split(path: &Path) -> io::Result<(&Path, &OsStr)> {
    let name = path.file_name().ok_or(io::ErrorKind::InvalidFilename)?;
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    Ok((folder, name))
}

/// Whether the kernel opens a path in one call that follows no link, if it is new enough.
pub(super) const HAS_OPENAT2: bool = cfg!(any(target_os = "linux", target_os = "android"));

/// Opens a file to read it, in one call that follows no link; `None` if the kernel has no such call,
/// or refuses.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(super) fn file_at_once(path: &Path) -> Option<File> {
    use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    openat2(CWD, path, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok().map(File::from)
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(super) const fn file_at_once(_path: &Path) -> Option<File> {
    None
}

/// An open folder.
#[derive(Debug)]
pub(crate) struct Folder {
    #[cfg(unix)]
    descriptor: std::os::fd::OwnedFd,
    path: PathBuf,
}

/// Returns the error, or the refusal that explains it where a component is a link.
fn explained(path: &Path, error: io::Error) -> io::Error {
    // The first link from the root is the one that leads elsewhere.
    let mut components: Vec<&Path> = path.ancestors().collect();
    components.reverse();
    let is_link = |at: &&Path| at.symlink_metadata().is_ok_and(|found| found.is_symlink());
    match components.into_iter().find(is_link) {
        Some(at) => PathRefusal::Link { at: at.to_owned() }.into(),
        None => error,
    }
}

/// A file with a temporary name, removed when dropped.
#[derive(Debug)]
pub(super) struct Temporary<'f> {
    folder: &'f Folder,
    file: File,
    name: Option<OsString>,
}

impl Temporary<'_> {
    pub(super) const fn file(&mut self) -> &mut File {
        &mut self.file
    }

    /// Renames the file to `name`, and replaces any file of that name.
    pub(super) fn persist(mut self, name: &OsStr) -> io::Result<()> {
        if let Some(own) = &self.name {
            self.folder.rename(own, name)?;
            self.name = None;
        }
        Ok(())
    }
}

impl Drop for Temporary<'_> {
    fn drop(&mut self) {
        if let Some(name) = &self.name {
            let _ = self.folder.remove(name); // a failure leaves only a stray temporary file
        }
    }
}

impl Folder {
    /// Creates a new hidden file beside `name`.
    pub(super) fn temporary(&self, name: &OsStr, how: How) -> io::Result<Temporary<'_>> {
        for _ in 0..MAX_ATTEMPTS {
            let mut own = OsString::from(".");
            own.push(name);
            own.push(format!(".{:012x}.tmp", fastrand::u64(..1 << 48)));
            match self.file(&own, how) {
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|file| Temporary { folder: self, file, name: Some(own) }),
            }
        }
        Err(io::ErrorKind::AlreadyExists.into())
    }
}

#[cfg(unix)]
mod unix {
    use std::fs::Metadata;
    use std::os::fd::{AsFd as _, OwnedFd};
    use std::path::Component;

    use rustix::fs::{AtFlags, CWD, Mode, OFlags, fchmod, fsync, mkdirat, openat, renameat, unlinkat};
    use rustix::io::Errno;

    use super::*;

    /// The rights of everybody except the owner.
    const OTHERS: u32 = 0o077;

    /// Opens a folder on the way: the right to pass through it is enough.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    const WAY: OFlags = OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const WAY: OFlags = OFlags::DIRECTORY.union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

    impl Folder {
        /// Opens a folder without following a link in any component.
        ///
        /// # Errors
        /// The system's error, or [`PathRefusal::Link`].
        pub(crate) fn open(path: &Path) -> io::Result<Self> {
            let descriptor = in_one_call(path).unwrap_or_else(|| step_by_step(path));
            let descriptor = descriptor.map_err(|error| explained(path, error.into()))?;
            Ok(Self { descriptor, path: path.to_owned() })
        }

        /// Creates a folder and any missing one above it, and opens it.
        ///
        /// # Errors
        /// The system's error, or [`PathRefusal::Link`].
        pub(crate) fn create(path: &Path, access: Access) -> io::Result<Self> {
            match Self::open(path) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                found => return found,
            }
            let (above, name) = split(path)?;
            let above = Self::create(above, access)?;
            let mode = match access {
                Access::Usual => Mode::RWXU | Mode::RWXG | Mode::RWXO,
                Access::Private => Mode::RWXU,
            };
            match mkdirat(&above.descriptor, name, mode) {
                // Another process created it at the same moment.
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
            let made = Self::open(path)?;
            if access == Access::Private {
                made.keep_private()?;
            }
            // Its own name must survive a power loss as well.
            above.sync()?;
            Ok(made)
        }

        /// Removes other users' rights, as far as this user may.
        pub(in crate::platform) fn keep_private(&self) -> io::Result<()> {
            let mode = std::os::unix::fs::MetadataExt::mode(&self.metadata()?);
            if mode & OTHERS == 0 {
                return Ok(());
            }
            // A read-only folder stays read-only.
            // The type of the number differs between systems; all rights fit into 16 bits.
            let closed = (mode & !OTHERS & 0o7777) as rustix::fs::RawMode;
            match fchmod(self.readable()?, Mode::from_raw_mode(closed)) {
                // Another user's folder, which this one may write.
                Err(Errno::PERM) => Ok(()),
                changed => Ok(changed?),
            }
        }

        fn metadata(&self) -> io::Result<Metadata> {
            File::from(self.descriptor.try_clone()?).metadata()
        }

        /// Opens the same folder again with more than the right to pass through it.
        fn readable(&self) -> io::Result<OwnedFd> {
            let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            Ok(openat(&self.descriptor, ".", flags, Mode::empty())?)
        }

        /// Opens or creates the file of this name.
        pub(in crate::platform) fn file(&self, name: &OsStr, how: How) -> io::Result<File> {
            let mut flags = OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
            flags |= match how {
                How::Read => OFlags::RDONLY,
                How::Write => OFlags::WRONLY,
                How::Append => OFlags::WRONLY | OFlags::APPEND,
                How::Private => OFlags::RDWR,
                How::New | How::NewPrivate => OFlags::RDWR | OFlags::EXCL,
            };
            flags.set(OFlags::CREATE, how.creates());
            let usual = Mode::RUSR | Mode::WUSR | Mode::RGRP | Mode::WGRP | Mode::ROTH | Mode::WOTH;
            let mode = if how.is_private() { Mode::RUSR | Mode::WUSR } else { usual };
            match openat(&self.descriptor, name, flags, mode) {
                Ok(file) => Ok(file.into()),
                Err(error) => Err(self.explained(name, error)),
            }
        }

        fn explained(&self, name: &OsStr, error: Errno) -> io::Error {
            match error {
                // The systems' errors for a link that must not be followed.
                Errno::LOOP | Errno::MLINK | Errno::NOTDIR => explained(&self.path.join(name), error.into()),
                // A FIFO without a reader, or a socket.
                Errno::NXIO => PathRefusal::NotAFile { kind: "a device, a socket or a pipe" }.into(),
                error => error.into(),
            }
        }

        pub(in crate::platform) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
            Ok(renameat(&self.descriptor, from, &self.descriptor, to)?)
        }

        pub(in crate::platform) fn remove(&self, name: &OsStr) -> io::Result<()> {
            Ok(unlinkat(&self.descriptor, name, AtFlags::empty())?)
        }

        /// Waits until the names in it are on the disk. Does nothing where folders can't be synced.
        ///
        /// # Errors
        /// When the disk refuses.
        pub(crate) fn sync(&self) -> io::Result<()> {
            match to_the_disk(&self.readable()?) {
                // Some network and FUSE file systems have no fsync for folders.
                Err(Errno::INVAL | Errno::NOTSUP | Errno::NOSYS) => Ok(()),
                result => Ok(result?),
            }
        }
    }

    #[cfg(not(target_vendor = "apple"))]
    fn to_the_disk(folder: &OwnedFd) -> Result<(), Errno> {
        fsync(folder)
    }

    /// On Apple's systems fsync leaves the write in the disk's own memory, and only `F_FULLFSYNC`
    /// waits for it; std does the same for files. A file system without it has fsync alone.
    #[cfg(target_vendor = "apple")]
    fn to_the_disk(folder: &OwnedFd) -> Result<(), Errno> {
        rustix::fs::fcntl_fullfsync(folder).or_else(|_| fsync(folder))
    }

    /// Opens the folder in one system call; `None` if the kernel has none, or a sandbox forbids it.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn in_one_call(path: &Path) -> Option<Result<OwnedFd, Errno>> {
        match rustix::fs::openat2(CWD, path, WAY, Mode::empty(), rustix::fs::ResolveFlags::NO_SYMLINKS) {
            Err(Errno::NOSYS | Errno::PERM | Errno::INVAL | Errno::TOOBIG) => None,
            result => Some(result),
        }
    }

    #[cfg(not(any(target_os = "linux", target_os = "android")))]
    const fn in_one_call(_path: &Path) -> Option<Result<OwnedFd, Errno>> {
        None
    }

    /// Opens one component after the other, each in the folder before it.
    pub(super) fn step_by_step(path: &Path) -> Result<OwnedFd, Errno> {
        let mut open = openat(CWD, if path.is_absolute() { "/" } else { "." }, WAY, Mode::empty())?;
        for component in path.components() {
            let name = match component {
                Component::Normal(name) => name,
                Component::ParentDir => OsStr::new(".."),
                Component::RootDir | Component::CurDir | Component::Prefix(_) => continue,
            };
            open = openat(open.as_fd(), name, WAY, Mode::empty())?;
        }
        Ok(open)
    }
}

#[cfg(not(unix))]
#[expect(clippy::disallowed_methods, reason = "the owner of folders")]
impl Folder {
    /// Opens a folder.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        path.metadata().map_err(|error| explained(path, error))?;
        Ok(Self { path: path.to_owned() })
    }

    /// Creates a folder and any missing one above it, and opens it.
    ///
    /// # Errors
    /// The system's error.
    pub(crate) fn create(path: &Path, _access: Access) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Self::open(path)
    }

    pub(super) fn keep_private(&self) -> io::Result<()> {
        Ok(())
    }

    pub(super) fn file(&self, name: &OsStr, how: How) -> io::Result<File> {
        let mut options = std::fs::OpenOptions::new();
        match how {
            How::Read => options.read(true),
            How::Write => options.write(true),
            How::Append => options.append(true),
            How::Private => options.read(true).write(true).create(true).truncate(false),
            How::New | How::NewPrivate => options.read(true).write(true).create_new(true),
        };
        options.open(self.path.join(name))
    }

    pub(super) fn rename(&self, from: &OsStr, to: &OsStr) -> io::Result<()> {
        std::fs::rename(self.path.join(from), self.path.join(to))
    }

    pub(super) fn remove(&self, name: &OsStr) -> io::Result<()> {
        std::fs::remove_file(self.path.join(name))
    }

    /// Does nothing: folders can't be synced here.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(unix)]
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn without_openat2_a_link_is_refused_as_well() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir_all(real.join("a/b")).unwrap();
        symlink("b", real.join("a/link")).unwrap();
        symlink("a", real.join("link")).unwrap();
        for good in ["", "a", "a/b", "a/b/..", "a/../a/./b"] {
            assert!(unix::step_by_step(&real.join(good)).is_ok(), "{good}");
        }
        for bad in ["link", "link/b", "a/link", "a/b/../link", "a/none"] {
            assert!(unix::step_by_step(&real.join(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_open_folder_stays_the_same_when_its_path_becomes_a_link() {
        let temporary = tempfile::tempdir().unwrap();
        let real = temporary.path().canonicalize().unwrap();
        for name in ["ours", "outside"] {
            std::fs::create_dir(real.join(name)).unwrap();
        }
        std::fs::write(real.join("outside/x"), "theirs").unwrap();
        std::fs::write(real.join("ours/x"), "ours").unwrap();
        let folder = Folder::open(&real.join("ours")).unwrap();
        std::fs::rename(real.join("ours"), real.join("moved")).unwrap();
        symlink("outside", real.join("ours")).unwrap();
        let mut made = folder.temporary(OsStr::new("x"), How::New).unwrap();
        std::io::Write::write_all(made.file(), b"new").unwrap();
        made.persist(OsStr::new("x")).unwrap();
        assert_eq!(std::fs::read(real.join("moved/x")).unwrap(), b"new");
        assert_eq!(std::fs::read(real.join("outside/x")).unwrap(), b"theirs");
        drop(folder.temporary(OsStr::new("x"), How::New).unwrap());
        assert_eq!(std::fs::read_dir(real.join("moved")).unwrap().count(), 1, "a temporary file is left");
    }
}
