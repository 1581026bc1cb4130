//! Known files whose folder became a link that can't be followed.
//!
//! A walk doesn't enter such a link, so the files seem to be gone. But a link to an unmounted disk,
//! or to a folder outside of the project, removes nothing: the files are still wanted, and
//! unusable.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::found::Walk;
use super::globs::matching;
use super::open::{Barred, Root};
use crate::model::address::Address;
use crate::model::desired::FileSelection;
use crate::model::file::{FileProblem, FileProblemKind};
use crate::model::path::ProjectPath;

/// Adds to `walk` the files of `known` addresses that it didn't find, that globs match, and that
/// lie behind a link that can't be followed.
pub(crate) fn keep_behind_links<'a>(
    walk: &mut Walk,
    root: &Path,
    selection: &FileSelection,
    known: impl IntoIterator<Item = &'a Address>,
) {
    let Ok(root) = Root::new(root) else { return };
    let mut links = BTreeMap::new();
    // Both come in order, nearly always, and nearly all were found.
    let mut found = walk.files.keys().peekable();
    let unseen = known.into_iter().filter(|address| {
        while found.next_if(|before| before.as_str() < address.as_str()).is_some() {}
        found.peek().is_none_or(|next| next.as_str() != address.as_str())
    });
    let absent = unseen.filter_map(|address| ProjectPath::new(address.as_str()).ok());
    let behind: Vec<(ProjectPath, FileProblem)> = absent
        .filter(|path| !walk.files.contains_key(path))
        .filter_map(|path| first_bad_link(&root, &path, &mut links).map(|problem| (path, problem)))
        .collect();
    if behind.is_empty() {
        return;
    }
    let paths: Vec<&ProjectPath> = behind.iter().map(|(path, _)| path).collect();
    let wanted = matching(selection, &paths);
    for ((path, globs), (_, problem)) in wanted.into_iter().zip(&behind).filter(|((_, globs), _)| !globs.is_empty()) {
        walk.unreachable.insert(path.clone(), problem.clone());
        walk.files.insert(path, globs);
    }
}

/// Returns the `known` addresses that are paths which globs of `selection` match, whether or not
/// the files exist.
pub(crate) fn wanted_by_globs<'a>(
    selection: &FileSelection,
    known: impl IntoIterator<Item = &'a Address>,
) -> BTreeSet<Address> {
    let paths = known.into_iter().filter_map(|address| Some((address, ProjectPath::new(address.as_str()).ok()?)));
    let (addresses, paths): (Vec<&Address>, Vec<ProjectPath>) = paths.unzip();
    let wanted = matching(selection, &paths.iter().collect::<Vec<_>>());
    let fitting = addresses.into_iter().zip(wanted).filter(|(_, (_, globs))| !globs.is_empty());
    fitting.map(|(address, _)| address.clone()).collect()
}

/// Returns the problem with the first folder on the way to `path` that is a link which can't be
/// followed. `links` caches the folders.
fn first_bad_link(
    root: &Root,
    path: &ProjectPath,
    links: &mut BTreeMap<String, Option<FileProblem>>,
) -> Option<FileProblem> {
    let text = path.as_str();
    let mut folders = text.match_indices('/').filter_map(|(end, _)| text.get(..end));
    folders.find_map(|folder| {
        if let Some(known) = links.get(folder) {
            return known.clone();
        }
        let problem = bad_link(root, folder);
        links.insert(folder.to_owned(), problem.clone());
        problem
    })
}

fn bad_link(root: &Root, folder: &str) -> Option<FileProblem> {
    let place = root.join(folder);
    if !place.symlink_metadata().is_ok_and(|metadata| metadata.is_symlink()) {
        return None;
    }
    let wrong = match root.resolve(&place) {
        Ok(Ok(_)) => return None,
        Ok(Err(Barred::Outside)) => "leads out of the manifest's folder".to_owned(),
        Ok(Err(Barred::Guarded)) => "leads into a folder of git's or Macadam's own".to_owned(),
        Err(error) => format!("can't be followed: {error}"),
    };
    let hint = "put the folder itself back, or remove the link if its assets should leave";
    let message = format!("its folder `{folder}` is a link that {wrong}");
    Some(FileProblem::new(FileProblemKind::BadLink, message, Some(hint)))
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::files::tests_support::{Folder, path};
    use crate::files::walk;
    use crate::model::desired::GlobPattern;

    #[test]
    fn known_files_behind_a_link_that_cannot_be_followed_are_kept() {
        let outside = Folder::with(&[("a.png", b"")]);
        let folder = Folder::with(&[("real/a.png", b""), ("ui/top.png", b"")]);
        let link = |target: &Path, name: &str| symlink(target, folder.path().join(name)).unwrap();
        link(outside.path(), "ui/out");
        link(Path::new("/nowhere/at/all"), "ui/dead");
        link(Path::new("../real"), "ui/in");
        link(Path::new("loop"), "ui/loop");
        let glob = GlobPattern { name: "g".into(), path: "ui/**/*.png".into(), exclude: vec!["ui/dead/x*".into()] };
        let selection = FileSelection { explicit: Vec::new(), globs: vec![glob] };
        let known: Vec<Address> = [
            "ui/out/a.png",
            "ui/out/deep/b.png",
            "ui/dead/c.png",
            "ui/dead/xd.png",
            "ui/in/a.png",
            "ui/loop/e.png",
            "ui/gone/f.png",
            "ui/top.png",
            "ui/out/g.txt",
            "sword",
        ]
        .iter()
        .map(|name| Address::new(name).unwrap())
        .collect();
        let mut walk = walk(folder.path(), &selection);
        keep_behind_links(&mut walk, folder.path(), &selection, &known);
        let kept: Vec<(&str, bool)> = walk
            .unreachable
            .iter()
            .map(|(path, problem)| (path.as_str(), problem.message.contains("leads out")))
            .collect();
        let expected =
            [("ui/dead/c.png", false), ("ui/loop/e.png", false), ("ui/out/a.png", true), ("ui/out/deep/b.png", true)];
        assert_eq!(kept, expected);
        assert!(
            walk.unreachable.keys().all(|path| walk.files[path] == [0]) && walk.files.contains_key(&path("ui/top.png"))
        );
    }
}
