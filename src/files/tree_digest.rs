//! A digest of the files that a manifest names and of their fingerprints. While it stays the same,
//! no file came, went or changed, and nothing needs to be read.

use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::open::Root;
use super::scan::{fingerprints, is_unchanged_since};
use super::walk::Walk;
use crate::model::file::{FileCache, Fingerprint};
use crate::model::path::ProjectPath;

/// The digest of a walk and of the fingerprint of each file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TreeDigest([u8; 32]);

impl TreeDigest {
    /// Returns the digest of what a scan saw; `None` if it proves nothing: something could not be
    /// read, or a file changed so recently that it may change again without a trace.
    pub(crate) fn of_scan(walk: &Walk, cache: &FileCache) -> Option<Self> {
        let state = |path: &ProjectPath| {
            let cached = cache.get(path)?;
            is_unchanged_since(&cached.fingerprint, cached.looked_at_ns).then_some(cached.fingerprint)
        };
        Self::of(walk, walk.files.keys().map(state))
    }

    /// Returns the digest of the files as they are now, from their names and metadata alone; `None`
    /// if something can't be read. Blocks: it reads the disk.
    pub(crate) fn of_disk(root: &Path, walk: &Walk) -> Option<Self> {
        let root = Root::new(root).ok()?;
        let paths: Vec<&ProjectPath> = walk.files.keys().collect();
        Self::of(walk, fingerprints(&root, &paths))
    }

    /// Its bytes.
    pub(crate) const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    fn of(walk: &Walk, states: impl IntoIterator<Item = Option<Fingerprint>>) -> Option<Self> {
        let Walk { files, unreachable, problems, missing } = walk;
        if !unreachable.is_empty() || !problems.is_empty() || !missing.is_empty() {
            return None;
        }
        let mut digest = Sha256::new();
        for ((path, globs), state) in files.iter().zip(states) {
            let Fingerprint { size, modified_ns, changed_ns, inode, device } = state?;
            digest.update(path.as_str());
            // No path has this byte.
            digest.update([0]);
            globs.iter().for_each(|glob| digest.update(glob.to_le_bytes()));
            digest.update(usize::MAX.to_le_bytes());
            for number in [size, inode, device] {
                digest.update(number.to_le_bytes());
            }
            digest.update(modified_ns.to_le_bytes());
            digest.update(changed_ns.to_le_bytes());
        }
        Some(Self(digest.finalize().into()))
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;
    use crate::files::tests_support::{Folder, mesh, path};
    use crate::files::{FilesInProgress, Scanned, scan};

    /// A time later than any change of a test's files, by more than the granularity.
    const LATER: i64 = i64::MAX / 2;

    fn of(paths: &[&str]) -> Walk {
        Walk { files: paths.iter().map(|text| (path(text), vec![0])).collect(), ..Walk::default() }
    }

    /// The digest of a scan that began at `now_ns`, and that of the disk after it.
    fn both(folder: &Folder, paths: &[&str], now_ns: i64) -> (Option<TreeDigest>, Option<TreeDigest>) {
        let walk = of(paths);
        let Scanned { cache, .. } =
            scan(folder.path(), &walk, &FileCache::new(), &FilesInProgress::default(), now_ns, &|_| {});
        (TreeDigest::of_scan(&walk, &cache), TreeDigest::of_disk(folder.path(), &walk))
    }

    #[test]
    fn it_is_the_same_until_a_file_comes_goes_or_changes() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes()), ("b.mesh", mesh("b").as_bytes())]);
        let (scanned, disk) = both(&folder, &["a.mesh", "b.mesh"], LATER);
        assert!(scanned.is_some());
        assert_eq!(scanned, disk);
        assert_eq!(disk, TreeDigest::of_disk(folder.path(), &of(&["a.mesh", "b.mesh"])));
        assert_ne!(disk, TreeDigest::of_disk(folder.path(), &of(&["a.mesh"])));
        let other_glob =
            Walk { files: [(path("a.mesh"), vec![0]), (path("b.mesh"), vec![1])].into(), ..Walk::default() };
        assert_ne!(disk, TreeDigest::of_disk(folder.path(), &other_glob));
        // The same bytes and the same time, in another file.
        let modified = std::fs::metadata(folder.path().join("b.mesh")).unwrap().modified().unwrap();
        folder.write("c.mesh", mesh("b").as_bytes());
        std::fs::File::options()
            .write(true)
            .open(folder.path().join("c.mesh"))
            .unwrap()
            .set_modified(modified)
            .unwrap();
        std::fs::rename(folder.path().join("c.mesh"), folder.path().join("b.mesh")).unwrap();
        assert_ne!(disk, TreeDigest::of_disk(folder.path(), &of(&["a.mesh", "b.mesh"])));
    }

    #[test]
    fn it_proves_nothing_of_what_could_change_without_a_trace() {
        let folder = Folder::with(&[("a.mesh", mesh("a").as_bytes())]);
        let changed = std::fs::metadata(folder.path().join("a.mesh")).unwrap();
        let now = crate::platform::fingerprint::of(&changed).changed_ns;
        assert_eq!(both(&folder, &["a.mesh"], now).0, None, "it may change again at the same time");
        assert_eq!(both(&folder, &["a.mesh", "missing.mesh"], LATER), (None, None));
        let missing = crate::files::MissingFolder { glob: "ui".to_owned(), folder: "ui".to_owned() };
        let walk = Walk { missing: vec![missing], ..of(&["a.mesh"]) };
        assert_eq!(TreeDigest::of_disk(folder.path(), &walk), None);
    }
}
