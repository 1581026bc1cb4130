//! Opens and creates the project's own files: the manifest, the lockfile, the state and its side
//! files, and asset files. Nothing else may open them.
//!
//! The folder that a person named or stands in is theirs, links and all: [`named`] resolves it
//! once. From then on no component of a path may be a link. So nothing that a pull request brings,
//! or that appears meanwhile, can lead a read or a write elsewhere. On Linux the kernel checks that
//! in one call (`openat2` with `RESOLVE_NO_SYMLINKS`); where it can't, it is checked folder by
//! folder (see [`super::folder`]).
//!
//! Only plain files are opened, without waiting: a FIFO, a socket or a device is refused at once. A
//! file is read up to a limit, and a longer one is refused before its first byte is kept. Macadam's
//! private files have mode 0600, and their folders 0700, whatever the umask.
//!
//! For other programs' files, and files that a person names to read once, see
//! [`super::plain_file`].

use std::fs::{self, File, Metadata};
use std::io::{self, Read as _, Write};
use std::path::{Path, PathBuf};

use super::access::FOLDER;
pub(crate) use super::access::{Access, How, PathRefusal};
use super::folder::{self, Folder, split};
use super::owner;
use super::space;

/// Returns the refusal that an error of this module carries.
pub(crate) fn refusal(error: &io::Error) -> Option<&PathRefusal> {
    error.get_ref()?.downcast_ref()
}

/// Returns what a person can do about an error of this module, if there is something.
pub(crate) fn hint(error: &io::Error) -> Option<String> {
    match refusal(error) {
        Some(refusal) => refusal.hint(),
        None => space::is_full(error).then(|| "free space on this disk".to_owned()),
    }
}

/// Returns whose the file is and what to do about it, if it is another user's.
pub(crate) fn owner_hint(path: &Path) -> Option<String> {
    let (owner, me) = owner::another(path)?;
    let refusal = PathRefusal::Others { at: path.to_owned(), is_folder: false, owner, me };
    Some(format!("it belongs to {}: {}", owner.in_words(), refusal.hint()?))
}

/// Returns the error of opening `path` with whose it is, where that is why the system didn't allow it.
fn with_owner(path: &Path, error: io::Error) -> io::Error {
    if error.kind() != io::ErrorKind::PermissionDenied {
        return error;
    }
    let is_folder = fs::symlink_metadata(path).is_err();
    let at = if is_folder { path.parent().unwrap_or(path) } else { path };
    match owner::another(at) {
        Some((owner, me)) => PathRefusal::Others { at: at.to_owned(), is_folder, owner, me }.into(),
        None => error,
    }
}

/// Returns the kind of anything but a plain file, with its article.
pub(crate) fn kind_of(metadata: &Metadata) -> Option<&'static str> {
    if metadata.is_file() {
        None
    } else if metadata.is_dir() {
        Some(FOLDER)
    } else if metadata.is_symlink() {
        Some("a link")
    } else {
        Some("a device, a socket or a pipe")
    }
}

fn require_plain(metadata: &Metadata) -> io::Result<()> {
    match kind_of(metadata) {
        None => Ok(()),
        Some(kind) => Err(PathRefusal::NotAFile { kind }.into()),
    }
}

/// Returns the path with `ending` added to its name.
pub(crate) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(ending);
    path.into()
}

/// Resolves the links of the folder of a path that a person named, since those links are theirs.
/// The last component is not resolved.
///
/// Missing folders stay as they are written.
pub(crate) fn named(path: &Path) -> PathBuf {
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else { return path.to_owned() };
    for existing in folder.ancestors() {
        // A relative path begins at the working folder.
        let at = if existing.as_os_str().is_empty() { Path::new(".") } else { existing };
        if let (Ok(real), Ok(missing)) = (resolved(at), folder.strip_prefix(existing)) {
            return real.join(missing).join(name);
        }
    }
    path.to_owned()
}

/// Resolves the links of a path that exists. On Windows the result is spelt as people and git spell
/// it (`C:\game`), and only where that is too long with the prefix that lifts the limit.
pub(crate) fn resolved(path: &Path) -> io::Result<PathBuf> {
    #[cfg(windows)]
    let real = dunce::canonicalize(path);
    #[cfg(not(windows))]
    let real = fs::canonicalize(path);
    real
}

/// Returns the path as code needs it that calls Windows itself: Windows refuses paths of more than
/// 260 characters without a prefix, which std adds by itself. `None` where the path can be used as it
/// is, together with names that are longer by a suffix.
#[cfg(not(windows))]
pub(crate) const fn of_any_length(_path: &Path) -> Option<PathBuf> {
    None
}

/// Returns the path as code needs it that calls Windows itself: Windows refuses paths of more than
/// 260 characters without a prefix, which std adds by itself. `None` where the path can be used as it
/// is, together with names that are longer by a suffix.
#[cfg(windows)]
pub(crate) fn of_any_length(path: &Path) -> Option<PathBuf> {
    use std::os::windows::ffi::OsStrExt as _;
    use std::path::{Component, Prefix};

    const LIMIT: usize = 260;
    // The longest is `.aside-1764437000-journal`, and the limit counts an end of its own.
    const SUFFIX: usize = 32;
    let whole = std::path::absolute(path).ok()?;
    if whole.as_os_str().encode_wide().count() + SUFFIX <= LIMIT {
        return None;
    }
    let mut components = whole.components();
    let Component::Prefix(prefix) = components.next()? else { return None };
    let mut prefixed = match prefix.kind() {
        Prefix::Disk(letter) => PathBuf::from(format!(r"\\?\{}:\", char::from(letter))),
        Prefix::UNC(server, share) => Path::new(r"\\?\UNC\").join(server).join(share),
        // It has a prefix already.
        _ => return Some(whole),
    };
    prefixed.extend(components.filter(|part| !matches!(part, Component::RootDir)));
    Some(prefixed)
}

/// Opens a plain file without following a link.
///
/// # Errors
/// The system's error, or a [`PathRefusal`].
pub(crate) fn open(path: &Path, how: How) -> io::Result<File> {
    // Checked before it is opened, since opening a device may have an effect.
    match fs::symlink_metadata(path) {
        Ok(found) if found.is_symlink() => return Err(PathRefusal::Link { at: path.to_owned() }.into()),
        Ok(found) if !how.is_new() => require_plain(&found)?,
        _ => {}
    }
    let (folder, name) = split(path)?;
    let file = Folder::open(folder)?.file(name, how).map_err(|error| with_owner(path, error))?;
    require_plain(&file.metadata()?)?;
    if how.is_private() {
        keep_private(&file)?;
    }
    Ok(file)
}

/// Opens a plain file to read it, in one call that follows no link; `None` where the system has no
/// such call, or refuses: [`open`] says why.
pub(crate) fn open_at_once(path: &Path) -> Option<(File, Metadata)> {
    // Checked before it is opened, as in `open`.
    let is_plain = || fs::symlink_metadata(path).is_ok_and(|found| found.is_file());
    let file = folder::HAS_OPENAT2.then(is_plain)?.then(|| folder::file_at_once(path))??;
    let metadata = file.metadata().ok().filter(Metadata::is_file)?;
    Some((file, metadata))
}

/// Reads a plain file's metadata without following a link and without opening the file: closing a
/// file frees every POSIX lock of this process on it, and SQLite holds such locks.
///
/// # Errors
/// The system's error, or a [`PathRefusal`].
pub(crate) fn metadata(path: &Path) -> io::Result<Metadata> {
    let (folder, _) = split(path)?;
    Folder::open(folder)?;
    let found = fs::symlink_metadata(path)?;
    if found.is_symlink() {
        return Err(PathRefusal::Link { at: path.to_owned() }.into());
    }
    require_plain(&found)?;
    Ok(found)
}

/// Reads the plain file at `path`, without following a link.
///
/// # Errors
/// The system's error, or a [`PathRefusal`].
pub(crate) fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    limited(open(path, How::Read)?, limit)
}

/// Reads an open file, up to `limit` bytes.
pub(super) fn limited(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    require_plain(&metadata)?;
    if metadata.len() > limit {
        return Err(PathRefusal::TooLong { limit }.into());
    }
    let length = usize::try_from(metadata.len()).unwrap_or_default();
    let mut content = Vec::with_capacity(length.saturating_add(1));
    // The file may grow meanwhile, and some file systems report 0.
    file.take(limit.saturating_add(1)).read_to_end(&mut content)?;
    if content.len() as u64 > limit {
        return Err(PathRefusal::TooLong { limit }.into());
    }
    Ok(content)
}

/// Creates a folder of the project and any missing one above it, with the umask's permissions.
///
/// # Errors
/// The system's error, or a [`PathRefusal`] where a component is a link.
pub(crate) fn create_usual_folder(path: &Path) -> io::Result<()> {
    Folder::create(path, Access::Usual).map(drop)
}

/// Creates a folder and any missing one above it, for this user alone. An existing folder is
/// unchanged.
///
/// # Errors
/// The system's error, or a [`PathRefusal`] where a component is a link.
pub(crate) fn create_folder(path: &Path) -> io::Result<()> {
    Folder::create(path, Access::Private).map(drop)
}

/// Creates a folder like [`create_folder`], and removes other users' rights to an existing one.
///
/// # Errors
/// The system's error, or a [`PathRefusal`] where a component is a link.
pub(crate) fn create_private_folder(path: &Path) -> io::Result<()> {
    Folder::create(path, Access::Private)?.keep_private()
}

/// Replaces a file with one for this user alone, without waiting for the disk. A link in its place
/// is replaced and not followed. For content that is worth nothing after a power loss.
///
/// # Errors
/// The system's error; the old file is unchanged then.
pub(crate) fn replace_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (folder, name) = split(path)?;
    let folder = Folder::open(folder)?;
    let mut temporary = folder.temporary(name, How::NewPrivate)?;
    keep_private(temporary.file())?;
    temporary.file().write_all(bytes)?;
    temporary.persist(name)
}

/// Removes a file, or a link; a missing one is no error.
///
/// # Errors
/// The system's error, or a [`PathRefusal`] where a folder on the way is a link.
pub(crate) fn remove(path: &Path) -> io::Result<()> {
    let (folder, name) = split(path)?;
    match Folder::open(folder).and_then(|folder| folder.remove(name)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        result => result,
    }
}

/// Renames a file within its folder, durably, and replaces any file of the new name.
///
/// # Errors
/// The system's error, or a [`PathRefusal`] where a folder on the way is a link.
pub(crate) fn rename(from: &Path, to: &Path) -> io::Result<()> {
    let ((folder, from), (other, to)) = (split(from)?, split(to)?);
    if folder != other {
        return Err(io::ErrorKind::CrossesDevices.into());
    }
    let folder = Folder::open(folder)?;
    folder.rename(from, to)?;
    folder.sync()
}

/// Removes other users' rights to a file, and adds none.
pub(super) fn keep_private(file: &File) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        const OTHERS: u32 = 0o177;
        let mode = file.metadata()?.permissions().mode();
        if mode & OTHERS != 0 {
            let changed = file.set_permissions(fs::Permissions::from_mode(mode & !OTHERS & 0o7777));
            // Another user's file, which this one may write: its owner decides who else may.
            return match changed {
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
                changed => changed,
            };
        }
    }
    #[cfg(not(unix))]
    let _ = file;
    Ok(())
}

#[cfg(unix)]
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[track_caller]
    fn refused(error: &io::Error) -> PathRefusal {
        refusal(error).cloned().unwrap_or_else(|| panic!("{error:?}"))
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    /// Creates a folder `in` with a file `a`, and beside it a folder `out` with a file `b`, which
    /// must never be touched.
    fn fixture() -> (tempfile::TempDir, PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let real = folder.path().canonicalize().unwrap();
        for (name, file) in [("in", "a"), ("out", "b")] {
            fs::create_dir(real.join(name)).unwrap();
            fs::write(real.join(name).join(file), file).unwrap();
        }
        (folder, real)
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_a_plain_file_behind_no_link_is_opened_at_once() {
        let (_folder, real) = fixture();
        symlink(real.join("out/b"), real.join("in/file")).unwrap();
        symlink(real.join("out"), real.join("in/folder")).unwrap();
        let (file, metadata) = open_at_once(&real.join("in/a")).unwrap();
        assert_eq!((limited(file, 9).unwrap(), metadata.len()), (b"a".to_vec(), 1));
        for bad in ["in/file", "in/folder/b", "in", "in/none"] {
            assert!(open_at_once(&real.join(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_link_in_any_component_is_refused_and_named() {
        let (_folder, real) = fixture();
        symlink(real.join("out/b"), real.join("in/file")).unwrap();
        symlink(real.join("out"), real.join("in/folder")).unwrap();
        symlink("nowhere", real.join("in/dead")).unwrap();
        assert_eq!(read(&real.join("in/a"), 9).unwrap(), b"a");
        for (path, at) in [("in/file", "in/file"), ("in/folder/b", "in/folder"), ("in/dead", "in/dead")] {
            let (path, link) = (real.join(path), PathRefusal::Link { at: real.join(at) });
            assert_eq!(refused(&read(&path, 9).unwrap_err()), link);
            for how in [How::Write, How::Append, How::Private, How::New, How::NewPrivate] {
                assert_eq!(refused(&open(&path, how).unwrap_err()), link, "{how:?}");
            }
        }
        let below = real.join("in/folder/new/x");
        let link = PathRefusal::Link { at: real.join("in/folder") };
        assert_eq!(refused(&create_folder(&below).unwrap_err()), link);
        assert_eq!(refused(&replace_private(&real.join("in/folder/b"), b"x").unwrap_err()), link);
        assert_eq!(refused(&remove(&real.join("in/folder/b")).unwrap_err()), link);
        let (from, to) = (real.join("in/folder/b"), real.join("in/folder/c"));
        assert_eq!(refused(&rename(&from, &to).unwrap_err()), link);
        assert_eq!(fs::read_dir(real.join("out")).unwrap().count(), 1);
        assert_eq!(fs::read(real.join("out/b")).unwrap(), b"b");
    }

    #[test]
    fn a_link_in_the_place_of_a_private_file_is_replaced_and_not_followed() {
        let (_folder, real) = fixture();
        symlink(real.join("out/b"), real.join("in/x")).unwrap();
        replace_private(&real.join("in/x"), b"ours").unwrap();
        assert_eq!(fs::read(real.join("out/b")).unwrap(), b"b");
        assert_eq!(read(&real.join("in/x"), 9).unwrap(), b"ours");
        assert_eq!(mode(&real.join("in/x")), 0o600);
    }

    #[test]
    fn the_folder_that_a_person_names_may_be_a_link() {
        let (_folder, real) = fixture();
        symlink("in", real.join("link")).unwrap();
        let path = named(&real.join("link/../link/a"));
        assert_eq!(path, real.join("in/a"));
        assert_eq!(read(&path, 9).unwrap(), b"a");
        assert_eq!(named(&real.join("link/new/x")), real.join("in/new/x"));
        for relative in ["x", "new/x", "new/er/x"] {
            assert_eq!(named(Path::new(relative)), std::env::current_dir().unwrap().join(relative));
        }
    }

    #[test]
    fn only_a_plain_file_within_the_limit_is_read() {
        let (_folder, real) = fixture();
        let path = real.join("in/a");
        assert_eq!(read(&real.join("none"), 4).unwrap_err().kind(), io::ErrorKind::NotFound);
        fs::write(&path, "abcd").unwrap();
        assert_eq!(read(&path, 4).unwrap(), b"abcd");
        assert_eq!(refused(&read(&path, 3).unwrap_err()), PathRefusal::TooLong { limit: 3 });
        assert_eq!(read(&real, 4).unwrap_err().kind(), io::ErrorKind::IsADirectory);
        let _socket = std::os::unix::net::UnixListener::bind(real.join("socket")).unwrap();
        for how in [How::Read, How::Write, How::Append, How::Private] {
            let error = open(&real.join("socket"), how).unwrap_err();
            assert!(matches!(refused(&error), PathRefusal::NotAFile { .. }), "{how:?} {error:?}");
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_fifo_is_refused_at_once_however_it_is_opened() {
        let (_folder, real) = fixture();
        let fifo = real.join("fifo");
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0).unwrap();
        for how in [How::Read, How::Write, How::Append, How::Private] {
            let error = open(&fifo, how).unwrap_err();
            assert!(matches!(refused(&error), PathRefusal::NotAFile { .. }), "{how:?} {error:?}");
        }
    }

    #[test]
    fn private_files_and_folders_are_this_users_alone() {
        let (_folder, real) = fixture();
        let path = real.join("in/a");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        drop(open(&path, How::Private).unwrap());
        assert_eq!((mode(&path), fs::read(&path).unwrap()), (0o600, b"a".to_vec()));
        create_folder(&real.join("in/x/y")).unwrap();
        assert_eq!((mode(&real.join("in/x")), mode(&real.join("in/x/y"))), (0o700, 0o700));
        for (before, after) in [(0o755, 0o700), (0o555, 0o500), (0o700, 0o700)] {
            fs::set_permissions(real.join("in/x"), fs::Permissions::from_mode(before)).unwrap();
            create_folder(&real.join("in/x")).unwrap();
            assert_eq!(mode(&real.join("in/x")), before);
            create_private_folder(&real.join("in/x")).unwrap();
            assert_eq!(mode(&real.join("in/x")), after);
        }
    }
}
