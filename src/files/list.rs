//! Lists every file below a folder, hidden ones too, as another tool would find them. For the
//! manifest's own globs see [`super::walk()`].

use std::fs::ReadDir;
use std::path::Path;

use super::open::Root;
use crate::model::path::{ProjectPath, is_guarded};

/// The files below a folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Listed {
    /// Paths of the files, in byte order.
    pub files: Vec<ProjectPath>,
    /// Folders and names that could not be read, each with its reason.
    pub unread: Vec<String>,
}

/// Lists the files below `folder`, a path relative to `root`; an empty path lists all of `root`.
/// Links to folders are not followed, and folders of git's or Macadam's own are not entered.
pub(crate) fn list(root: &Path, folder: &str) -> Listed {
    let mut listed = Listed::default();
    let root = match Root::new(root) {
        Ok(root) => root,
        Err(error) => {
            listed.unread.push(format!("the project's folder: {error}"));
            return listed;
        }
    };
    let folder = folder.trim_matches('/');
    // Neither `..` nor a link leads out of the project, or into a folder of git's or Macadam's own.
    let is_path = folder.is_empty() || ProjectPath::new(folder).is_ok();
    if !is_path || !matches!(root.resolve(&root.join(folder)), Ok(Ok(_))) {
        return listed;
    }
    let mut open = vec![folder.to_owned()];
    while let Some(folder) = open.pop() {
        let place = if folder.is_empty() { root.join("") } else { root.join(&folder) };
        match place.read_dir() {
            Ok(entries) => read(entries, &folder, &mut open, &mut listed),
            // A folder that a glob names and that doesn't exist contains nothing.
            Err(error) if matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory) => {}
            Err(error) => listed.unread.push(format!("{folder}: {error}")),
        }
    }
    listed.files.sort();
    listed
}

fn read(entries: ReadDir, folder: &str, open: &mut Vec<String>, listed: &mut Listed) {
    for entry in entries {
        let entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                listed.unread.push(format!("{folder}: {error}"));
                continue;
            }
        };
        let name = entry.file_name();
        let Some(name) = name.to_str() else {
            listed.unread.push(format!("{folder}: `{}` is not UTF-8", name.to_string_lossy()));
            continue;
        };
        if is_guarded(name) {
            continue;
        }
        let path = if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") };
        let kind = entry.file_type();
        if kind.as_ref().is_ok_and(std::fs::FileType::is_dir) {
            open.push(path);
        } else if kind.is_ok_and(|kind| kind.is_file()) || entry.path().is_file() {
            match ProjectPath::new(&path) {
                Ok(path) => listed.files.push(path),
                Err(error) => listed.unread.push(error.to_string()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::tests_support::Folder;

    #[test]
    fn hidden_files_are_listed_and_folders_of_our_own_are_not() {
        let files = ["a/b.png", "a/.c/d.png", "a/.git/e.png", "a/.macadam/f.png", "g.png"];
        let folder = Folder::with(&files.map(|file| (file, b"x".as_slice())));
        let names = |below: &str| {
            let listed = list(folder.path(), below);
            assert_eq!(listed.unread, [""; 0]);
            listed.files.iter().map(|path| path.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names("a"), ["a/.c/d.png", "a/b.png"]);
        assert_eq!(names(""), ["a/.c/d.png", "a/b.png", "g.png"]);
        assert_eq!(names("a/.git"), [""; 0]);
        assert_eq!(names("nowhere"), [""; 0]);
        assert_eq!(names("g.png"), [""; 0]);
    }

    #[test]
    fn nothing_outside_of_the_project_is_listed() {
        let folder = Folder::with(&[("game/a.png", b"x".as_slice()), ("secret/b.png", b"x")]);
        let game = folder.path().join("game");
        let names = |below: &str| list(&game, below).files.into_iter().map(|path| path.as_str().to_owned());
        assert_eq!(names("../secret").collect::<Vec<_>>(), [""; 0]);
        assert_eq!(names("..").collect::<Vec<_>>(), [""; 0]);
        assert_eq!(names("").collect::<Vec<_>>(), ["a.png"]);
        #[cfg(unix)]
        {
            std::os::unix::fs::symlink(folder.path().join("secret"), game.join("link")).unwrap();
            assert_eq!(names("link").collect::<Vec<_>>(), [""; 0]);
        }
    }
}
