//! Suggests the file that was probably meant by a path that doesn't exist: one whose name differs
//! only in case or in the form of its accents, or else by a few letters or in its extension.
//!
//! Each folder is listed once, however many paths are missing in it. With as many missing paths as
//! files, a listing for each would cost their product.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use unicode_normalization::UnicodeNormalization;

/// Returns a name without its case and without the form of its accents.
pub(super) fn folded(name: &str) -> String {
    name.nfc().flat_map(char::to_lowercase).collect()
}

/// The names of one folder by their folded form.
type Names = BTreeMap<String, Vec<String>>;

/// The folders that were listed, for the lifetime of one [`Root`](super::open::Root).
#[derive(Debug, Default)]
pub(super) struct Listings {
    folders: Mutex<BTreeMap<String, Arc<Names>>>,
}

impl Listings {
    /// Returns the existing path below `root` that was probably meant by `path`.
    pub(super) fn similar(&self, root: &Path, path: &str) -> Option<String> {
        let mut found = String::new();
        for part in path.split('/') {
            let names = self.names(root, &found);
            let Some(candidates) = names.get(&folded(part)) else {
                // Only a file's own name is guessed.
                let is_last = path.ends_with(part) && found.split('/').count() + 1 >= path.split('/').count();
                let name = nearest(part, &names).filter(|_| is_last)?;
                return Some(if found.is_empty() { name.to_owned() } else { format!("{found}/{name}") });
            };
            let name = candidates.iter().find(|name| *name == part).or_else(|| candidates.first())?;
            if !found.is_empty() {
                found.push('/');
            }
            found.push_str(name);
        }
        Some(found)
    }

    /// Returns the names in a folder; empty when it can't be listed.
    fn names(&self, root: &Path, folder: &str) -> Arc<Names> {
        let mut folders = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        let names = folders.entry(folder.to_owned()).or_insert_with(|| Arc::new(list(&root.join(folder))));
        Arc::clone(names)
    }

    /// Returns how many names were read in all.
    #[cfg(test)]
    fn cost(&self) -> usize {
        let folders = self.folders.lock().unwrap();
        folders.values().map(|names| names.values().map(Vec::len).sum::<usize>()).sum()
    }
}

/// The most names that one is compared with: more would take long where many files are missing.
const MOST_COMPARED: usize = 500;

/// The name that somebody probably mistyped: few letters away, or with another extension.
fn nearest<'n>(wanted: &str, names: &'n Names) -> Option<&'n str> {
    if names.len() > MOST_COMPARED || wanted.len() > 100 {
        return None;
    }
    let wanted = folded(wanted);
    let stem = |name: &str| name.rsplit_once('.').map_or(name, |(stem, _)| stem).to_owned();
    let allowed = (wanted.chars().count() / 4).max(1);
    let distance = |name: &str| if stem(name) == stem(&wanted) { 1 } else { strsim::osa_distance(name, &wanted) };
    let near = names.iter().map(|(folded, names)| (distance(folded), names)).filter(|(steps, _)| *steps <= allowed);
    near.min_by_key(|(steps, _)| *steps).and_then(|(_, names)| names.first()).map(String::as_str)
}

fn list(folder: &Path) -> Names {
    let mut names = Names::new();
    for name in folder.read_dir().into_iter().flatten().filter_map(|entry| entry.ok()?.file_name().into_string().ok()) {
        names.entry(folded(&name)).or_default().push(name);
    }
    names.values_mut().for_each(|names| names.sort());
    names
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "tests write files by hand")]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_listed_once_for_any_number_of_missing_paths() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("Ui")).unwrap();
        for number in 0..200 {
            std::fs::write(folder.path().join(format!("Ui/There{number}.png")), "").unwrap();
        }
        let listings = Listings::default();
        for number in 0..200 {
            assert_eq!(listings.similar(folder.path(), &format!("ui/missing{number}.png")), None);
            let there = listings.similar(folder.path(), &format!("ui/there{number}.png"));
            assert_eq!(there.as_deref(), Some(format!("Ui/There{number}.png").as_str()));
        }
        assert_eq!(listings.cost(), 201, "each name is read once");
    }

    // Windows and macOS have one folder of both names.
    #[cfg(target_os = "linux")]
    #[test]
    fn an_exact_name_wins_over_a_similar_one() {
        let folder = tempfile::tempdir().unwrap();
        for name in ["B", "b"] {
            std::fs::create_dir(folder.path().join(name)).unwrap();
        }
        std::fs::write(folder.path().join("b/X.png"), "").unwrap();
        assert_eq!(Listings::default().similar(folder.path(), "b/x.png").as_deref(), Some("b/X.png"));
        assert_eq!(Listings::default().similar(folder.path(), "c/x.png"), None);
        assert_eq!(Listings::default().similar(&folder.path().join("gone"), "x.png"), None);
    }
}
