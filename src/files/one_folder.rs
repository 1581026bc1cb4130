//! Lists what globs find in one folder, for a shell's completion: it must be quick however many
//! files a project has. For all files see [`super::walk()`].

use std::path::Path;

use super::globs::Globs;
use super::open::Root;
use super::pattern::PatternPart;
use crate::model::desired::FileSelection;
use crate::model::path::{ProjectPath, is_guarded};

/// What globs find in one folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct FolderContents {
    /// The files that they match, in no particular order.
    pub files: Vec<ProjectPath>,
    /// The folders below which they can match something, each with a `/` at its end.
    pub folders: Vec<String>,
}

/// Lists what the globs of `selection` find in `folder`, a path below `root`; an empty path is
/// `root` itself. A folder that can't be read has nothing.
pub(crate) fn one_folder(root: &Path, selection: &FileSelection, folder: &str) -> FolderContents {
    read(root, selection, folder).unwrap_or_default()
}

fn read(root: &Path, selection: &FileSelection, folder: &str) -> Option<FolderContents> {
    let root = Root::new(root).ok()?;
    let globs = Globs::new(&selection.globs, &mut Vec::new());
    let (mut parts, mut place) = (Vec::new(), root.join(""));
    for name in folder.split('/').filter(|_| !folder.is_empty()) {
        place.push(name);
        let part = PatternPart::new(name);
        parts.push(if place.is_symlink() { part.into_link() } else { part });
    }
    if !parts.is_empty() && globs.reaching(&parts).is_empty() {
        return None;
    }
    let states = globs.within(&parts);
    let mut contents = FolderContents::default();
    for entry in root.resolve(&place).ok()?.ok()?.read_dir().ok()?.flatten() {
        let (Ok(kind), Ok(name)) = (entry.file_type(), entry.file_name().into_string()) else { continue };
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        let part = PatternPart::new(&name);
        let is_link = kind.is_symlink() && entry.path().is_dir();
        if kind.is_dir() || is_link {
            let part = if is_link { part.into_link() } else { part };
            let below: Vec<PatternPart> = parts.iter().cloned().chain([part]).collect();
            if !is_guarded(&name) && !globs.reaching(&below).is_empty() {
                contents.folders.push(format!("{path}/"));
            }
        } else if !globs.matching_in(&states, &part).is_empty() {
            contents.files.extend(ProjectPath::new(&path));
        }
    }
    Some(contents)
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "the test writes a project")]
mod tests {
    use super::*;
    use crate::model::desired::GlobPattern;

    #[test]
    fn only_the_one_folder_is_listed_and_what_globs_find_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["ui/a.png", "ui/a.txt", "ui/.b.png", "ui/deep/c.png", "ui/wip/d.png", "doc/e.png", ".git/f.png"] {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let glob = GlobPattern {
            name: "ui".to_owned(),
            path: "ui/**/*.png".to_owned(),
            exclude: vec!["ui/wip/**".to_owned()],
        };
        let selection = FileSelection { explicit: Vec::new(), globs: vec![glob] };
        let check = |of: &str, expected: &[&str]| {
            let FolderContents { files, folders } = one_folder(folder.path(), &selection, of);
            let mut all: Vec<String> = files.iter().map(ToString::to_string).chain(folders).collect();
            all.sort();
            assert_eq!(all, expected, "{of}");
        };
        check("", &["ui/"]);
        check("ui", &["ui/a.png", "ui/deep/"]);
        check("ui/deep", &["ui/deep/c.png"]);
        for nothing in ["ui/wip", "doc", ".git", "nowhere", "..", "ui/../..", "/", "ui/a.png"] {
            check(nothing, &[]);
        }
    }
}
