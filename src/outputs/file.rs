//! A generated file on disk: its comparison with the wanted text, and its replacement.
//!
//! It must never overwrite a file that Macadam didn't make, unless the user asks for it. It must
//! never rewrite one that is up to date: git and Rojo see every write.

use std::io;
use std::path::Path;

use super::mark::{Maker, maker};
use crate::model::path::ProjectPath;
use crate::platform::atomic_file::{AtomicWriteError, write_atomic_if};
use crate::platform::own_file::{self, Access};

/// The limit of a generated file, in bytes. One with every asset that Roblox lets an account make
/// in years is smaller.
const LARGEST: u64 = 64 * 1024 * 1024;

/// The result of comparing a file with the wanted text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum FileComparison {
    /// It holds that text.
    Same,
    /// It doesn't exist.
    Absent,
    /// It differs.
    Differs {
        /// Its maker.
        maker: Maker,
        content: Vec<u8>,
    },
}

/// Why a file could not be read or written. It is unchanged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// It could not be read.
    #[error("can't read `{path}`")]
    Read { path: ProjectPath, source: io::Error },
    /// Its folder could not be created.
    #[error("can't make the folder of `{path}`")]
    Folder { path: ProjectPath, source: io::Error },
    /// It could not be replaced.
    #[error(transparent)]
    Write(#[from] AtomicWriteError),
    /// Another program wrote it at the same time.
    #[error("`{path}` was changed by something else while it was written")]
    Busy { path: ProjectPath },
}

impl FileError {
    /// Returns what to do about it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Read { source, .. } | Self::Folder { source, .. } if own_file::hint(source).is_some() => {
                own_file::hint(source)
            }
            Self::Read { .. } => Some("allow this user to read it".to_owned()),
            Self::Folder { source, .. } if source.kind() == io::ErrorKind::AlreadyExists => {
                Some("a file has the name of the folder".to_owned())
            }
            Self::Folder { .. } => Some("allow this user to write there".to_owned()),
            Self::Write(error) => error.hint(),
            Self::Busy { .. } => Some("run `macadam outputs` again".to_owned()),
        }
    }
}

/// Compares the file at `path` below `root` with the wanted text. Line ends of a checkout on
/// Windows make no difference.
///
/// # Errors
/// When it can't be read, is not a regular file, or is reached through a link.
pub(crate) fn compare(root: &Path, path: &ProjectPath, text: &str) -> Result<FileComparison, FileError> {
    match read(root, path)? {
        None => Ok(FileComparison::Absent),
        Some(content) if is_same(&content, text) => Ok(FileComparison::Same),
        Some(content) => Ok(FileComparison::Differs { maker: maker(&content), content }),
    }
}

/// Replaces the file with `text`, if it is still as `seen`. New folders get `access`. Blocks until
/// it is durable.
///
/// # Errors
/// When it can't be written, or has changed since.
pub(crate) fn replace(
    root: &Path,
    path: &ProjectPath,
    access: Access,
    text: &str,
    seen: &FileComparison,
) -> Result<(), FileError> {
    let place = root.join(path.as_str());
    if let Some(folder) = place.parent() {
        let made = match access {
            Access::Usual => own_file::create_usual_folder(folder),
            Access::Private => own_file::create_folder(folder),
        };
        made.map_err(|source| FileError::Folder { path: path.clone(), source })?;
    }
    let still = || {
        let now = read(root, path).map_err(io::Error::other)?;
        Ok(match seen {
            FileComparison::Absent => now.is_none(),
            FileComparison::Differs { content, .. } => now.as_ref() == Some(content),
            FileComparison::Same => now.is_some_and(|now| is_same(&now, text)),
        })
    };
    match write_atomic_if(&place, |out| out.write_all(text.as_bytes()), still)? {
        true => Ok(()),
        false => Err(FileError::Busy { path: path.clone() }),
    }
}

fn read(root: &Path, path: &ProjectPath) -> Result<Option<Vec<u8>>, FileError> {
    match own_file::read(&root.join(path.as_str()), LARGEST) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(source) => Err(FileError::Read { path: path.clone(), source }),
    }
}

/// Returns whether a file holds a text, apart from line ends: git may have written `\r\n`.
fn is_same(content: &[u8], text: &str) -> bool {
    let mut text = text.as_bytes();
    let mut lines = content.split_inclusive(|byte| *byte == b'\n');
    lines.all(|line| {
        let plain = line.strip_suffix(b"\r\n").map(|line| (line, b"\n".as_slice()));
        let (line, end) = plain.unwrap_or((line, b""));
        let rest = text.strip_prefix(line).and_then(|rest| rest.strip_prefix(end));
        rest.inspect(|rest| text = rest).is_some()
    }) && text.is_empty()
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;
    use crate::outputs::mark::GeneratorTool;

    const OURS: &str = "-- @generated by Macadam from assets.toml. Do not edit.\nreturn {}\n";

    fn place() -> (tempfile::TempDir, ProjectPath) {
        (tempfile::tempdir().unwrap(), ProjectPath::new("src/shared/assets.luau").unwrap())
    }

    #[test]
    fn a_file_is_compared_by_its_text() {
        let check = |content: &[u8], expected: Option<Maker>| {
            let (folder, path) = place();
            std::fs::create_dir_all(folder.path().join("src/shared")).unwrap();
            std::fs::write(folder.path().join(path.as_str()), content).unwrap();
            let seen = match compare(folder.path(), &path, OURS).unwrap() {
                FileComparison::Same => None,
                FileComparison::Differs { maker, content: seen } => {
                    assert_eq!(seen, content);
                    Some(maker)
                }
                FileComparison::Absent => panic!("it is there"),
            };
            assert_eq!(seen, expected, "{:?}", String::from_utf8_lossy(content));
        };
        check(OURS.as_bytes(), None);
        check(OURS.replace('\n', "\r\n").as_bytes(), None);
        check(OURS.trim_end().as_bytes(), Some(Maker::Macadam));
        check(format!("{OURS}\n").as_bytes(), Some(Maker::Macadam));
        check(OURS.replace("{}", "{\r}").as_bytes(), Some(Maker::Macadam));
        check(b"-- This file was @generated by Tarmac. It is\n", Some(Maker::Other(GeneratorTool::Tarmac)));
        check(b"return {}\n", Some(Maker::Unknown));
        check(b"", Some(Maker::Unknown));
        check(b"\xff\xfe", Some(Maker::Unknown));
        let (folder, path) = place();
        assert_eq!(compare(folder.path(), &path, OURS).unwrap(), FileComparison::Absent);
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_left_alone() {
        let (folder, path) = place();
        replace(folder.path(), &path, Access::Usual, OURS, &FileComparison::Absent).unwrap();
        let read = || std::fs::read_to_string(folder.path().join(path.as_str())).unwrap();
        assert_eq!(read(), OURS);
        let error = replace(folder.path(), &path, Access::Usual, "x", &FileComparison::Absent).unwrap_err();
        assert!(matches!(error, FileError::Busy { .. }), "{error:?}");
        let seen = compare(folder.path(), &path, "x").unwrap();
        std::fs::write(folder.path().join(path.as_str()), "mine").unwrap();
        assert!(replace(folder.path(), &path, Access::Usual, "x", &seen).is_err());
        assert_eq!(read(), "mine");
        assert_eq!(std::fs::read_dir(folder.path().join("src/shared")).unwrap().count(), 1, "a temporary file is left");
    }

    #[cfg(unix)]
    #[test]
    fn nothing_is_written_through_a_link() {
        let (folder, path) = place();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), folder.path().join("src")).unwrap();
        let refused = |error: &FileError| match error {
            FileError::Read { source, .. } => own_file::refusal(source).is_some(),
            _ => false,
        };
        assert!(refused(&compare(folder.path(), &path, OURS).unwrap_err()));
        assert!(replace(folder.path(), &path, Access::Usual, OURS, &FileComparison::Absent).is_err());
        std::fs::remove_file(folder.path().join("src")).unwrap();
        std::fs::create_dir_all(folder.path().join("src/shared")).unwrap();
        std::os::unix::fs::symlink(elsewhere.path().join("x"), folder.path().join(path.as_str())).unwrap();
        assert!(refused(&compare(folder.path(), &path, OURS).unwrap_err()));
        assert_eq!(std::fs::read_dir(elsewhere.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_in_its_place_is_an_error() {
        let (folder, path) = place();
        std::fs::create_dir_all(folder.path().join(path.as_str())).unwrap();
        assert!(matches!(compare(folder.path(), &path, OURS), Err(FileError::Read { .. })));
        let (folder, path) = place();
        std::fs::write(folder.path().join("src"), "").unwrap();
        assert!(
            compare(folder.path(), &path, OURS).is_err()
                || replace(folder.path(), &path, Access::Usual, OURS, &FileComparison::Absent).is_err()
        );
    }
}
