//! Opens one file of the project, and never one outside it.
//!
//! Links are followed as long as they stay inside the project's folder. They are resolved first,
//! and the resolved place is opened without following any link. A file that is swapped for a link
//! in between is an error, and nothing outside is read. Anything but a plain file is refused
//! without waiting for it. `.git` and `.macadam` are never read, however they are named.
//!
//! Read next: `scan` and `upload`, the callers.

use std::fs::File;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

use super::similar::{Listings, folded};
use crate::model::file::{FileProblem, FileProblemKind, Fingerprint};
use crate::model::path::{ProjectPath, is_guarded};
use crate::platform::below::FilesBelow;
use crate::platform::fingerprint;
use crate::platform::own_file::{self, How, PathRefusal};

/// Why a file of the project could not be opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum OpenError {
    /// Nothing is there.
    #[error("there is no file `{path}`")]
    Missing {
        /// The path that was tried.
        path: ProjectPath,
        /// A file whose name differs only in case or in the form of its accents.
        similar: Option<String>,
    },
    /// A link whose target is missing, or that leads in a circle.
    #[error("the link `{path}` leads nowhere")]
    DeadLink {
        /// The path that was tried.
        path: ProjectPath,
    },
    /// A link leads out of the manifest's folder.
    #[error("`{path}` leads out of the manifest's folder through a symbolic link")]
    LeadsOut {
        /// The path that was tried.
        path: ProjectPath,
    },
    /// The file lies in `.git` or `.macadam`.
    #[error("`{path}` lies in a folder of git's or Macadam's own")]
    Guarded {
        /// The path that was tried.
        path: ProjectPath,
    },
    /// The file system ignores case, and the name on disk has another case: other machines would
    /// not find the file.
    #[error("`{path}` is named `{actual}` on disk; upper and lower case differ")]
    Case {
        /// The path that was tried.
        path: ProjectPath,
        /// The path as the file system spells it.
        actual: String,
    },
    /// A folder, a fifo, a socket or a device.
    #[error("`{path}` is {kind}, not a file")]
    NotAFile {
        /// The path that was tried.
        path: ProjectPath,
        /// The kind of the place, with its article.
        kind: &'static str,
    },
    /// The operating system refused.
    #[error("cannot read `{path}`")]
    Read {
        /// The path that was tried.
        path: ProjectPath,
        /// The system's error.
        source: io::Error,
    },
    /// The file is not the one that was hashed.
    #[error("`{path}` changed after it was hashed")]
    Changed {
        /// The path that was tried.
        path: ProjectPath,
    },
}

impl OpenError {
    /// Returns what a person can do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Missing { path, similar: Some(similar) } if folded(path.as_str()) == folded(similar) => {
                Some(format!("`{similar}` is there; names must be exact"))
            }
            Self::Missing { similar: Some(similar), .. } => Some(format!("did you mean `{similar}`?")),
            Self::Missing { path, similar: None } if path.as_str().contains(['*', '?', '[', '{']) => {
                Some(format!("for a pattern write a glob: [globs.NAME] with path = \"{path}\""))
            }
            Self::Missing { similar: None, .. } => Some("put the file back, or correct the manifest".to_owned()),
            Self::Read { source, .. } => remedy(source).map(str::to_owned),
            Self::DeadLink { .. } => Some("point the link at a file, or remove it".to_owned()),
            Self::LeadsOut { .. } => Some("put the file itself into the project".to_owned()),
            Self::Guarded { .. } => Some("move the file out of that folder".to_owned()),
            Self::Case { actual, .. } => Some(format!("write `{actual}` in the manifest, or rename the file")),
            Self::NotAFile { .. } => Some("name a file, or a glob for the files of a folder".to_owned()),
            Self::Changed { .. } => Some("nothing was uploaded; the next run takes the new content".to_owned()),
        }
    }

    /// Converts the error into a problem of that file.
    pub(super) fn into_problem(self) -> FileProblem {
        let hint = self.hint();
        let message = match &self {
            Self::Read { source, .. } => format!("{self}: {source}"),
            _ => self.to_string(),
        };
        let kind = match &self {
            Self::Missing { .. } | Self::Case { .. } => FileProblemKind::Missing,
            Self::DeadLink { .. } | Self::LeadsOut { .. } | Self::Guarded { .. } => FileProblemKind::BadLink,
            Self::NotAFile { .. } => FileProblemKind::NotAFile,
            Self::Read { .. } => FileProblemKind::Unreadable,
            Self::Changed { .. } => FileProblemKind::Changing,
        };
        FileProblem { kind, message, hint }
    }
}

/// What a person can do about a place that the system refused to read.
pub(super) fn remedy(error: &io::Error) -> Option<&'static str> {
    (error.kind() == io::ErrorKind::PermissionDenied).then_some("let the user that runs Macadam read it")
}

/// Why a place must not be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Barred {
    /// The place is outside the project's folder.
    Outside,
    /// The place is in a folder of git's or Macadam's own.
    Guarded,
}

/// The project's folder, its own links resolved once.
#[derive(Debug, Clone)]
pub(super) struct Root {
    real: PathBuf,
    /// Folder listings that were read to suggest the file that was meant.
    listings: Arc<Listings>,
}

impl Root {
    /// Resolves the project's folder.
    ///
    /// # Errors
    /// When the folder is missing or can't be reached.
    pub(super) fn new(root: &Path) -> io::Result<Self> {
        Ok(Self { real: root.canonicalize()?, listings: Arc::default() })
    }

    /// Returns where a path lies, its links not resolved.
    pub(super) fn join(&self, path: &str) -> PathBuf {
        let mut joined = self.real.clone();
        joined.extend(path.split('/'));
        joined
    }

    /// Opens the folder for its files; `None` where the system has no calls for that.
    pub(super) fn below(&self) -> Option<FilesBelow> {
        FilesBelow::open(&self.real)
    }

    /// Resolves the links of a path that exists, and returns its real place if it may be read.
    pub(super) fn resolve(&self, path: &Path) -> io::Result<Result<PathBuf, Barred>> {
        let real = path.canonicalize()?;
        let Ok(below) = real.strip_prefix(&self.real) else { return Ok(Err(Barred::Outside)) };
        let guarded = below.components().any(|component| match component {
            Component::Normal(name) => is_guarded(&name.to_string_lossy()),
            _ => false,
        });
        Ok(if guarded { Err(Barred::Guarded) } else { Ok(real) })
    }

    /// Returns the path below the root as the file system spells it, if it has no links and differs
    /// from `path` only in case.
    pub(super) fn other_case(&self, path: &str, real: &Path) -> Option<String> {
        let below = real.strip_prefix(&self.real).ok()?;
        let names: Vec<&str> = below.components().filter_map(|component| component.as_os_str().to_str()).collect();
        let actual = names.join("/");
        // A link may have the same name as its target.
        let mut place = self.real.clone();
        let mut links = path.split('/').map(|part| {
            place.push(part);
            place.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink())
        });
        let other = folded(&actual) == folded(path) && !actual.nfc().eq(path.nfc());
        (other && !links.any(|link| link)).then_some(actual)
    }
}

/// Says why files of a project can't be read, in the words of a scan, without reading them.
#[derive(Debug)]
pub(crate) struct Obstacles(io::Result<Root>);

impl Obstacles {
    /// For the files below `root`, the manifest's folder.
    pub(crate) fn below(root: &Path) -> Self {
        Self(Root::new(root))
    }

    /// Returns what keeps the file at `path` from being opened; `None` if nothing does.
    pub(crate) fn of(&self, path: &ProjectPath) -> Option<FileProblem> {
        match &self.0 {
            Ok(root) => open(root, path).err().map(OpenError::into_problem),
            Err(error) => Some(unreadable_folder(error)),
        }
    }
}

/// The manifest's folder itself can't be read.
pub(super) fn unreadable_folder(error: &io::Error) -> FileProblem {
    let message = format!("cannot read the manifest's folder: {error}");
    FileProblem::new(FileProblemKind::Unreadable, message, remedy(error))
}

/// An open file of the project, with its fingerprint at that moment.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) fingerprint: Fingerprint,
}

/// Opens the file at `path`.
pub(super) fn open(root: &Root, path: &ProjectPath) -> Result<Opened, OpenError> {
    if path.as_str().split('/').any(is_guarded) {
        return Err(OpenError::Guarded { path: path.clone() });
    }
    let place = root.join(path.as_str());
    // Without a link on the way the place is the real one, and the system spells it as it is
    // written.
    if let Some((file, metadata)) = own_file::open_at_once(&place) {
        return Ok(Opened { file, fingerprint: fingerprint::at(&place, &metadata) });
    }
    let real = match root.resolve(&place) {
        Ok(Ok(real)) => real,
        Ok(Err(Barred::Outside)) => return Err(OpenError::LeadsOut { path: path.clone() }),
        Ok(Err(Barred::Guarded)) => return Err(OpenError::Guarded { path: path.clone() }),
        Err(error) => return Err(not_resolved(root, path, &place, error)),
    };
    if let Some(actual) = root.other_case(path.as_str(), &real) {
        return Err(OpenError::Case { path: path.clone(), actual });
    }
    open_real(path, &real)
}

/// Opens the file at `path`, a plain file a moment before; `None` if a link leads there, or nothing
/// does: [`open`] says why. Whoever reads it compares its fingerprint with that of before.
pub(super) fn open_seen(below: &FilesBelow, path: &ProjectPath) -> Option<File> {
    if path.as_str().split('/').any(is_guarded) {
        return None;
    }
    below.file(path.as_str())
}

/// Opens a resolved place, and follows no link that has appeared since.
fn open_real(path: &ProjectPath, real: &Path) -> Result<Opened, OpenError> {
    let read = |source| OpenError::Read { path: path.clone(), source };
    let refused = |error: io::Error| match own_file::refusal(&error) {
        Some(PathRefusal::NotAFile { kind }) => OpenError::NotAFile { path: path.clone(), kind },
        _ => read(error),
    };
    let file = own_file::open(real, How::Read).map_err(refused)?;
    let fingerprint = fingerprint::of(&file).map_err(read)?;
    Ok(Opened { file, fingerprint })
}

/// Explains why a place could not be resolved.
fn not_resolved(root: &Root, path: &ProjectPath, place: &Path, error: io::Error) -> OpenError {
    let is_link = place.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink());
    match error.kind() {
        _ if is_link => OpenError::DeadLink { path: path.clone() },
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => {
            OpenError::Missing { path: path.clone(), similar: root.listings.similar(&root.real, path.as_str()) }
        }
        _ => OpenError::Read { path: path.clone(), source: error },
    }
}

#[cfg(unix)]
#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::files::tests_support::{Folder, path};

    fn check(folder: &Folder, file: &str, message: &str, hint: &str) {
        let root = Root::new(folder.path()).unwrap();
        let problem = open(&root, &path(file)).map(|_| ()).unwrap_err().into_problem();
        assert!(problem.message.contains(message), "{file}: {}", problem.message);
        assert!(problem.hint.clone().unwrap_or_default().contains(hint), "{file}: {:?}", problem.hint);
    }

    #[test]
    fn only_plain_files_inside_the_project_are_opened() {
        let outside = Folder::with(&[("secret.png", b"x")]);
        let folder = Folder::with(&[
            ("ui/close.png", b"x"),
            (".git/config", b"x"),
            ("sub/.macadam/x.db", b"x"),
            ("UI2/Open.png", b"x"),
        ]);
        let at = |name: &str| folder.path().join(name);
        symlink("close.png", at("ui/link.png")).unwrap();
        symlink("close.png", at("ui/CLOSE.png")).unwrap();
        symlink(at("ui"), at("absolute")).unwrap();
        symlink(outside.path().join("secret.png"), at("out.png")).unwrap();
        symlink(outside.path(), at("out")).unwrap();
        symlink("nowhere", at("dead.png")).unwrap();
        symlink("circle.png", at("circle.png")).unwrap();
        symlink(".git", at("git")).unwrap();
        std::os::unix::net::UnixListener::bind(at("socket.png")).unwrap();
        #[cfg(target_os = "linux")]
        rustix::fs::mknodat(
            rustix::fs::CWD,
            at("pipe.png"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR,
            0,
        )
        .unwrap();

        let root = Root::new(folder.path()).unwrap();
        for good in ["ui/close.png", "ui/link.png", "ui/CLOSE.png", "absolute/close.png"] {
            assert_eq!(open(&root, &path(good)).unwrap().fingerprint.size, 1, "{good}");
        }
        check(&folder, "out.png", "leads out", "itself");
        check(&folder, "out/secret.png", "leads out", "itself");
        check(&folder, "dead.png", "leads nowhere", "point");
        check(&folder, "circle.png", "leads nowhere", "point");
        check(&folder, ".git/config", "own", "move");
        check(&folder, "sub/.MACADAM/x.db", "own", "move");
        check(&folder, "git/config", "own", "move");
        check(&folder, "socket.png", "a socket", "name a file");
        if cfg!(target_os = "linux") {
            check(&folder, "pipe.png", "a pipe", "name a file");
        }
        check(&folder, "ui", "a folder", "glob");
        check(&folder, "ui/close.png/x", "no file", "");
        check(&folder, "ui/open.png", "no file", "");
        check(&folder, "ui2/open.png", "no file", "`UI2/Open.png` is there");
    }

    #[test]
    fn a_folder_swapped_for_a_link_after_resolving_is_not_followed() {
        let outside = Folder::with(&[("a.png", b"secret")]);
        let folder = Folder::with(&[("ui/a.png", b"x"), ("ui/deep/a.png", b"x")]);
        let root = Root::new(folder.path()).unwrap();
        for name in ["ui/deep/a.png", "ui/a.png"] {
            let real = root.resolve(&root.join(name)).unwrap().unwrap();
            open_real(&path(name), &real).unwrap();
            let parent = real.parent().unwrap();
            std::fs::remove_dir_all(parent).unwrap();
            symlink(outside.path(), parent).unwrap();
            let error = open_real(&path(name), &real).unwrap_err();
            assert!(matches!(error, OpenError::Read { .. }), "{error:?}");
            std::fs::remove_file(parent).unwrap();
        }
        // The file without its folder.
        let folder = Folder::with(&[("b.png", b"x")]);
        let real = Root::new(folder.path()).unwrap().join("b.png");
        folder.remove("b.png");
        symlink(outside.path().join("a.png"), &real).unwrap();
        assert!(open_real(&path("b.png"), &real).is_err());
    }

    #[test]
    fn names_that_differ_in_case_or_in_accent_form_are_distinguished() {
        let root = Root { real: "/p".into(), listings: Arc::default() };
        assert_eq!(root.other_case("ui/a.png", Path::new("/p/UI/a.png")).as_deref(), Some("UI/a.png"));
        assert_eq!(root.other_case("é.png", Path::new("/p/e\u{301}.png")), None);
        assert_eq!(root.other_case("link.png", Path::new("/p/a.png")), None);
    }
}
