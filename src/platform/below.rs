//! The files below an open folder, by their paths from there: the system walks the way to the folder
//! once, and not for each of its files.
//!
//! Only Linux has the calls; elsewhere a caller uses whole paths. Read next: [`super::own_file`], for
//! a file of which nothing is known.

use std::fs::File;
use std::path::Path;

use crate::model::file::Fingerprint;

/// An open folder whose files are looked at and read.
#[derive(Debug)]
pub(crate) struct FilesBelow {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    descriptor: std::os::fd::OwnedFd,
}

#[cfg(any(target_os = "linux", target_os = "android"))]
impl FilesBelow {
    /// Opens a folder whose links are resolved; `None` where the system has no such calls.
    pub(crate) fn open(folder: &Path) -> Option<Self> {
        use rustix::fs::{CWD, Mode, OFlags, ResolveFlags, openat2};

        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat2(CWD, folder, flags, Mode::empty(), ResolveFlags::NO_SYMLINKS).ok()?;
        Some(Self { descriptor })
    }

    /// Opens a folder below this one to which no link leads; `None` if the system refuses. An empty
    /// path is this folder.
    pub(crate) fn folder(&self, path: &str) -> Option<Self> {
        use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let within = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        let path = if path.is_empty() { "." } else { path };
        let descriptor = openat2(&self.descriptor, path, flags, Mode::empty(), within).ok()?;
        Some(Self { descriptor })
    }

    /// Returns the fingerprint of the plain file of this name right in the folder; `None` if there is
    /// none. A link is none.
    pub(crate) fn fingerprint(&self, name: &str) -> Option<Fingerprint> {
        use rustix::fs::{AtFlags, FileType, statat};

        let found = statat(&self.descriptor, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
        (FileType::from_raw_mode(found.st_mode) == FileType::RegularFile)
            .then(|| super::fingerprint::of_stat(&found))
            .flatten()
    }

    /// Opens a file below the folder to read it, in one call that follows no link and doesn't wait;
    /// `None` if the system refuses. The caller knows that a plain file was there just before.
    pub(crate) fn file(&self, path: &str) -> Option<File> {
        use rustix::fs::{Mode, OFlags, ResolveFlags, openat2};

        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
        let within = ResolveFlags::NO_SYMLINKS | ResolveFlags::BENEATH;
        openat2(&self.descriptor, path, flags, Mode::empty(), within).ok().map(File::from)
    }
}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
impl FilesBelow {
    /// The system has no such calls.
    pub(crate) const fn open(_folder: &Path) -> Option<Self> {
        None
    }

    /// See [`FilesBelow::open`].
    pub(crate) const fn folder(&self, _path: &str) -> Option<Self> {
        None
    }

    /// See [`FilesBelow::open`].
    pub(crate) const fn fingerprint(&self, _name: &str) -> Option<Fingerprint> {
        None
    }

    /// See [`FilesBelow::open`].
    pub(crate) const fn file(&self, _path: &str) -> Option<File> {
        None
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::io::Read as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::platform::fingerprint;

    #[test]
    fn a_file_below_a_folder_is_the_one_at_its_whole_path() {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::fs::write(real.join("a/b.png"), "bytes").unwrap();
        let below = FilesBelow::open(&real).unwrap();
        let inner = below.folder("a").unwrap();
        assert!(inner.fingerprint("b.png").is_some());
        assert_eq!(inner.fingerprint("b.png"), fingerprint::of_file(&real.join("a/b.png")));
        assert_eq!(below.folder("").unwrap().folder("a").unwrap().fingerprint("b.png"), inner.fingerprint("b.png"));
        let mut text = String::new();
        below.file("a/b.png").unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "bytes");
        for none in ["a", "a/c.png", "c"] {
            assert_eq!(below.fingerprint(none), None, "{none}");
        }
    }

    #[test]
    fn a_link_is_neither_looked_at_nor_opened() {
        let (folder, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let real = folder.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::fs::write(real.join("a/b.png"), "bytes").unwrap();
        std::fs::write(outside.path().join("b.png"), "theirs").unwrap();
        symlink("a", real.join("link")).unwrap();
        symlink("b.png", real.join("a/link.png")).unwrap();
        symlink(outside.path(), real.join("out")).unwrap();
        let below = FilesBelow::open(&real).unwrap();
        for link in ["link/b.png", "a/link.png", "out/b.png"] {
            assert!(below.file(link).is_none(), "{link}");
        }
        assert!(below.folder("link").is_none() && below.folder("out").is_none() && below.folder("..").is_none());
        assert_eq!(below.folder("a").unwrap().fingerprint("link.png"), None);
        assert!(below.file("../b.png").is_none() && below.file("/etc/passwd").is_none());
    }
}
