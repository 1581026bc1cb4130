//! The parts of a [`TreeDigest`](super::TreeDigest), by which it is known which files changed since
//! an earlier one, if no file came or went.
//!
//! An earlier digest is kept as a digest of the places of its parts and 16 bytes for each. Where a
//! part differs, the files that were known of its folder must give the earlier one, and the same
//! files as they are now the present one: then these are all that changed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::fingerprints::{fingerprints, folder_and_name};
use super::globs::matching;
use super::open::Root;
use crate::model::desired::FileSelection;
use crate::model::file::{CachedFile, FileCache, Fingerprint};
use crate::model::path::ProjectPath;
use crate::model::steps::step;

/// The most files of one part. A folder with more has several parts, on which all cores work.
pub(super) const PART: usize = 1024;

/// The length of what is kept of a part's digest, in bytes.
const KEPT: usize = 16;

/// A folder and the number of the part.
pub(super) type PartName = (Arc<str>, usize);

/// Some files of one folder.
#[derive(Default)]
pub(super) struct Part {
    digest: Sha256,
    pub(super) files: u64,
}

impl Part {
    /// Adds the next file by name. Always `Some`, so that a file without a state ends the digest.
    pub(super) fn add(&mut self, name: &str, globs: &[usize], state: Fingerprint) -> Option<()> {
        step();
        let Fingerprint { size, modified_ns, changed_ns, inode, device } = state;
        self.digest.update((name.len() as u64).to_le_bytes());
        self.digest.update(name.as_bytes());
        self.digest.update((globs.len() as u64).to_le_bytes());
        globs.iter().for_each(|glob| self.digest.update((*glob as u64).to_le_bytes()));
        for number in [size, inode, device, modified_ns.cast_unsigned(), changed_ns.cast_unsigned()] {
            self.digest.update(number.to_le_bytes());
        }
        self.files += 1;
        Some(())
    }

    /// Returns its digest.
    pub(super) fn finish(self) -> [u8; 32] {
        self.digest.finalize().into()
    }
}

/// The name of each file of a folder, its globs, and what it looks like.
pub(super) type InFolder<'a> = (&'a str, &'a [usize], Option<Fingerprint>);

/// Returns the parts of a folder; `None` if one of its files could not be read.
pub(super) fn parts_of(folder: &str, mut files: Vec<InFolder<'_>>) -> Option<Vec<(PartName, Part)>> {
    files.sort_unstable_by_key(|(name, ..)| *name);
    let folder: Arc<str> = Arc::from(folder);
    let parts = files.chunks(PART).enumerate().map(|(index, files)| {
        let mut part = Part::default();
        files.iter().try_for_each(|(name, globs, state)| part.add(name, globs, (*state)?))?;
        Some(((Arc::clone(&folder), index), part))
    });
    parts.collect()
}

/// Returns the part of a file that the manifest names.
pub(super) fn named_part(path: &ProjectPath, state: Fingerprint) -> Option<Part> {
    let mut part = Part::default();
    part.add(path.as_str(), &[], state)?;
    Some(part)
}

/// Where the files of a part are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum PartPlace {
    /// The files of a folder that globs find, and the number of the part.
    Folder(Arc<str>, usize),
    /// A file that the manifest names.
    Named(ProjectPath),
}

/// The parts of a digest, in its order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct TreeParts {
    places: Vec<PartPlace>,
    digests: Vec<[u8; KEPT]>,
}

fn kept(digest: &[u8]) -> [u8; KEPT] {
    let mut first = [0; KEPT];
    first.iter_mut().zip(digest).for_each(|(to, from)| *to = *from);
    first
}

impl TreeParts {
    /// Adds the next part.
    pub(super) fn push(&mut self, place: PartPlace, digest: &[u8]) {
        self.places.push(place);
        self.digests.push(kept(digest));
    }

    /// Returns what is kept of them.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let places = self.digest_of_places();
        places.iter().chain(self.digests.iter().flatten()).copied().collect()
    }

    fn digest_of_places(&self) -> [u8; KEPT] {
        let mut digest = Sha256::new();
        for place in &self.places {
            let (text, index) = match place {
                PartPlace::Folder(folder, index) => (&**folder, *index as u64),
                PartPlace::Named(path) => (path.as_str(), u64::MAX),
            };
            digest.update((text.len() as u64).to_le_bytes());
            digest.update(text.as_bytes());
            digest.update(index.to_le_bytes());
        }
        kept(&digest.finalize())
    }

    /// Returns the files that changed since the digest of which `earlier` was kept; `None` if more
    /// changed than some files, or more than `most`. `known` gives what the earlier look found in a
    /// folder. Blocks: it reads the disk.
    pub(crate) fn changed_since(
        &self,
        earlier: &[u8],
        root: &Path,
        selection: &FileSelection,
        most: usize,
        mut known: impl FnMut(&str) -> Option<FileCache>,
    ) -> Option<BTreeSet<ProjectPath>> {
        let (before, _) = earlier.as_chunks::<KEPT>();
        let (places, before) = before.split_first()?;
        if *places != self.digest_of_places() || before.len() != self.digests.len() {
            return None;
        }
        let both = || self.places.iter().zip(before.iter().zip(&self.digests));
        let differing: Vec<&PartPlace> =
            both().filter(|(_, (before, now))| before != now).map(|(place, _)| place).collect();
        if differing.len() > most {
            return None;
        }
        let root = Root::new(root).ok()?;
        let mut changed = BTreeSet::new();
        let mut seen: BTreeSet<&str> = BTreeSet::new();
        for place in differing {
            let folder = match place {
                PartPlace::Folder(folder, _) => &**folder,
                PartPlace::Named(path) => folder_and_name(path).0,
            };
            if !seen.insert(folder) {
                continue;
            }
            let files = FolderFiles::of(&root, selection, folder, known(folder)?);
            let of_folder = |place: &PartPlace| match place {
                PartPlace::Folder(of, _) => **of == *folder,
                PartPlace::Named(path) => folder_and_name(path).0 == folder,
            };
            let (was, is): (StateOf, StateOf) = (|file| Some(file.before), |file| file.now);
            let (found_before, found_now) = (files.found(folder, was), files.found(folder, is));
            let is_same = |(place, (before, now)): (&PartPlace, (&[u8; KEPT], &[u8; KEPT]))| match place {
                PartPlace::Folder(_, index) => {
                    let part = |found: &Option<Vec<_>>| found.as_ref().and_then(|parts| parts.get(*index).copied());
                    part(&found_before) == Some(*before) && part(&found_now) == Some(*now)
                }
                PartPlace::Named(path) => {
                    files.named(path, was) == Some(*before) && files.named(path, is) == Some(*now)
                }
            };
            if !both().filter(|(place, _)| of_folder(place)).all(is_same) {
                return None;
            }
            changed.extend(files.files.into_iter().filter(|file| file.now != Some(file.before)).map(|file| file.path));
            if changed.len() > most {
                return None;
            }
        }
        Some(changed)
    }
}

/// The known files of a folder, by path.
struct FolderFiles {
    files: Vec<FolderFile>,
}

/// What a file looked like, or looks like.
type StateOf = fn(&FolderFile) -> Option<Fingerprint>;

struct FolderFile {
    path: ProjectPath,
    globs: Vec<usize>,
    before: Fingerprint,
    /// `None` if it is gone.
    now: Option<Fingerprint>,
}

impl FolderFiles {
    fn of(root: &Root, selection: &FileSelection, folder: &str, known: FileCache) -> Self {
        let known: FileCache = known.into_iter().filter(|(path, _)| folder_and_name(path).0 == folder).collect();
        let paths: Vec<&ProjectPath> = known.keys().collect();
        let (found, now) = (matching(selection, &paths), fingerprints(root, &paths));
        let files = found.into_iter().zip(now).zip(known.values());
        let file = |(((path, globs), now), known): (((ProjectPath, Vec<usize>), _), &CachedFile)| FolderFile {
            path,
            globs,
            before: known.fingerprint,
            now,
        };
        Self { files: files.map(file).collect() }
    }

    /// Returns what would be kept of the parts that globs find, in their order, if the files had this
    /// `state`; `None` if one has none.
    fn found(&self, folder: &str, state: StateOf) -> Option<Vec<[u8; KEPT]>> {
        let found = self.files.iter().filter(|file| !file.globs.is_empty());
        let files: Vec<InFolder<'_>> =
            found.map(|file| (folder_and_name(&file.path).1, &*file.globs, state(file))).collect();
        Some(parts_of(folder, files)?.into_iter().map(|(_, part)| kept(&part.finish())).collect())
    }

    /// The same of a file that the manifest names.
    fn named(&self, path: &ProjectPath, state: StateOf) -> Option<[u8; KEPT]> {
        let at = self.files.binary_search_by(|file| {
            step();
            file.path.cmp(path)
        });
        let file = self.files.get(at.ok()?)?;
        Some(kept(&named_part(path, state(file)?)?.finish()))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "a test renames a file by hand")]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder as Disk, mesh, path};
    use crate::files::{FilesInProgress, ScanDigest, Scanned, TreeDigest, scan, walk};
    use crate::model::desired::GlobPattern;
    use crate::model::steps::steps_of;

    const LATER: i64 = i64::MAX / 2;

    fn selection() -> FileSelection {
        let glob = |name: &str, path: &str| GlobPattern { name: name.into(), path: path.into(), exclude: Vec::new() };
        FileSelection {
            explicit: vec![path("one.mesh"), path("ui/a.mesh")],
            globs: vec![glob("g", "ui/**/*.mesh"), glob("h", "many/*.mesh")],
        }
    }

    struct Seen {
        disk: Disk,
        selection: FileSelection,
        cache: FileCache,
        earlier: Vec<u8>,
    }

    impl Seen {
        fn new(many: usize) -> Self {
            Self::of(many, selection())
        }

        fn of(many: usize, selection: FileSelection) -> Self {
            let disk = Disk::with(&[]);
            for file in ["one.mesh", "two.mesh", "ui/a.mesh", "ui/b.mesh", "ui/in/c.mesh"] {
                disk.write(file, mesh(file).as_bytes());
            }
            for number in 0..=many {
                disk.write(&format!("many/{number}.mesh"), b"x");
            }
            let walked = walk(disk.path(), &selection);
            let Scanned { cache, .. } =
                scan(disk.path(), &walked, &FileCache::new(), &FilesInProgress::default(), LATER, &|_| {});
            let ScanDigest { parts, .. } = TreeDigest::of_scan(&selection, &walked, &cache).unwrap();
            Self { disk, selection, cache, earlier: parts.to_bytes() }
        }

        /// The files that changed since.
        fn changed(&self, most: usize) -> Option<Vec<String>> {
            let now = TreeDigest::of_disk(self.disk.path(), &self.selection)?;
            let known = |folder: &str| {
                let below = self.cache.iter().filter(|(path, _)| path.as_str().starts_with(folder));
                Some(below.map(|(path, file)| (path.clone(), file.clone())).collect())
            };
            let changed = now.parts.changed_since(&self.earlier, self.disk.path(), &self.selection, most, known)?;
            Some(changed.iter().map(ToString::to_string).collect())
        }
    }

    #[test]
    fn the_files_that_changed_are_known_and_nothing_else_is_taken_for_that() {
        let mut seen = Seen::new(1);
        assert_eq!(seen.changed(64), Some(vec![]));
        seen.disk.write("two.mesh", b"nobody wants it");
        assert_eq!(seen.changed(64), Some(vec![]));
        for file in ["ui/in/c.mesh", "ui/a.mesh", "one.mesh"] {
            seen.disk.write(file, b"changed");
        }
        assert_eq!(seen.changed(64).unwrap(), ["one.mesh", "ui/a.mesh", "ui/in/c.mesh"]);
        assert_eq!(seen.changed(2), None, "too many");
        // What is known of a file now is not what was known then.
        seen.cache.get_mut(&path("ui/in/c.mesh")).unwrap().fingerprint.size += 1;
        assert_eq!(seen.changed(64), None);
    }

    #[test]
    fn a_file_that_came_went_or_was_renamed_is_no_changed_file() {
        let change = |change: &dyn Fn(&Disk)| {
            let seen = Seen::new(1);
            change(&seen.disk);
            seen.changed(64)
        };
        assert_eq!(change(&|disk| disk.write("ui/new.mesh", b"x")), None);
        assert_eq!(change(&|disk| disk.write("ui/new/d.mesh", b"x")), None);
        assert_eq!(change(&|disk| disk.remove("ui/b.mesh")), None);
        assert_eq!(change(&|disk| disk.remove("one.mesh")), None);
        let rename = |disk: &Disk| {
            std::fs::rename(disk.path().join("ui/b.mesh"), disk.path().join("ui/x.mesh")).unwrap();
        };
        assert_eq!(change(&rename), None);
    }

    #[test]
    fn a_folder_of_several_parts_is_known_too() {
        let seen = Seen::new(1500);
        seen.disk.write("many/7.mesh", b"changed");
        seen.disk.write("many/1400.mesh", b"changed");
        assert_eq!(seen.changed(64).unwrap(), ["many/1400.mesh", "many/7.mesh"]);
    }

    #[test]
    fn an_edit_costs_no_more_than_its_folder() {
        let steps = |seen: &Seen| {
            seen.disk.write("many/7.mesh", b"changed");
            steps_of(|| assert_eq!(seen.changed(64).unwrap(), ["many/7.mesh"]))
        };
        let (two, eight) = (steps(&Seen::new(2 * PART)), steps(&Seen::new(8 * PART)));
        assert!(eight <= two * 5, "{two} steps for two parts, {eight} for eight");
        let named = |many: usize| {
            let explicit = (0..many).map(|number| path(&format!("many/{number}.mesh"))).collect();
            steps(&Seen::of(many, FileSelection { explicit, globs: Vec::new() }))
        };
        let (one, four) = (named(500), named(2000));
        assert!(four <= one * 5, "{one} steps for 500 names, {four} for 2,000");
    }
}
