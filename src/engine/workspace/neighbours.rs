//! Finds the other manifests of the repository by their lockfiles, and reads what they have.
//!
//! It walks no tree. A lockfile is known if it is beside the manifest or in a folder above it within
//! the repository, if git's index has it, or if this clone has a state for its manifest. Without git
//! only those beside the manifest are known. It changes nothing. Read next:
//! [`crate::model::neighbours`] for what follows from it.

use std::collections::BTreeSet;
use std::path::Path;

use memchr::memmem;

use super::git::tracked::{self, IndexedKind};
use super::project::Project;
use super::state_folder;
use crate::manifest::{self, Diagnostic};
use crate::model::asset::ContentChange;
use crate::model::ids::AssetId;
use crate::model::neighbours::{Neighbour, NeighbourFile, Neighbours};
use crate::model::path::ProjectPath;
use crate::platform::own_file::{self, Access};
use crate::state::lockfile::{self, Ledger, LockfileEntry};

/// The end of a lockfile's name.
const SUFFIX: &str = ".lock.toml";

/// The end of a manifest's name, and so of its lockfile's.
const MANIFEST: &str = ".toml";

/// Begins the line of a lockfile that names its server. A file without it is another program's.
const OURS: &[u8] = b"remote = ";

/// Returns the other manifests whose lockfiles belong to the server `remote`; `None`: to any. Blocks:
/// it reads the disk and runs git.
pub(crate) fn look(project: &Project, remote: Option<&str>) -> Neighbours {
    let mut found = Neighbours::default();
    // A rehearsal's assets are nobody else's.
    if project.lockfile_access == Access::Private {
        return found;
    }
    let indexed = tracked::of_kind(&project.lockfile, MANIFEST).unwrap_or_else(|why| {
        found.unasked = Some(why);
        None
    });
    let places = Places::of(project, indexed);
    for lockfile in places.lockfiles() {
        match places.read(&lockfile, remote) {
            Ok(neighbour) => found.manifests.extend(neighbour),
            Err(file) => found.unread.push(file),
        }
    }
    found
}

/// Returns a note if git can't tell which other manifests there are.
pub(crate) fn unasked(found: &Neighbours, project: &Project) -> Option<Diagnostic> {
    let why = found.unasked.as_ref()?;
    let message = format!("can't tell which other manifests the repository has, so nothing is archived: {why}");
    let hint = "install git, or fix what it complains of".to_owned();
    Some(Diagnostic::of_project(message, hint, project.manifest_name()))
}

/// Where the lockfiles may be. All paths are those from the top folder, with `/`.
struct Places<'a> {
    /// The manifest's folder, which is the top one without git.
    root: &'a Path,
    /// The path of this project's folder.
    folder: String,
    /// This project's lockfile.
    own: String,
    /// Git's index: the lockfiles, and the manifests, which have the same ending.
    indexed: Option<IndexedKind>,
}

impl<'a> Places<'a> {
    fn of(project: &'a Project, indexed: Option<IndexedKind>) -> Places<'a> {
        let own = indexed.as_ref().map_or_else(|| project.lockfile_name(), |indexed| indexed.inside().to_owned());
        Places { root: &project.root, folder: folder_of(&own).to_owned(), own, indexed }
    }

    fn top(&self) -> &Path {
        self.indexed.as_ref().map_or(self.root, IndexedKind::top)
    }

    fn lockfiles(&self) -> BTreeSet<String> {
        let mut found: BTreeSet<String> = BTreeSet::new();
        let mut folder = self.folder.as_str();
        loop {
            let entries = std::fs::read_dir(self.top().join(folder)).into_iter().flatten().flatten();
            let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
            found.extend(names.filter(|name| name.ends_with(SUFFIX)).map(|name| joined(folder, &name)));
            if folder.is_empty() {
                break;
            }
            folder = folder_of(folder);
        }
        if let Some(indexed) = &self.indexed {
            found.extend(indexed.names().filter(|name| name.ends_with(SUFFIX)).map(str::to_owned));
            let manifests = state_folder::manifests(indexed.git_folder());
            found.extend(manifests.iter().filter_map(|name| Some(format!("{}{SUFFIX}", name.strip_suffix(MANIFEST)?))));
        }
        found.remove(&self.own);
        found
    }

    /// Reads a lockfile; `None` if there is none, or it is another program's or another server's.
    ///
    /// # Errors
    /// Returns the path of the file that can't be read, as a message names it.
    fn read(&self, name: &str, remote: Option<&str>) -> Result<Option<Neighbour>, String> {
        let path = self.top().join(name);
        let shown = || self.shown_here(name);
        let bytes = match lockfile::read(&path).map_err(|_| shown())? {
            Some(bytes) => Some(bytes),
            None => self.in_index(name)?,
        };
        let Some(bytes) = bytes else { return Ok(None) };
        if memmem::find(&bytes, OURS).is_none() {
            return Ok(None);
        }
        let ledger = lockfile::parse(&bytes, &path).map_err(|_| shown())?;
        if remote.is_some_and(|remote| ledger.require_remote(remote, &path).is_err()) {
            return Ok(None);
        }
        let Some(stem) = name.strip_suffix(SUFFIX) else { return Ok(None) };
        let manifest = format!("{stem}{MANIFEST}");
        let text = self.manifest(&manifest)?;
        let is_left_out = self.indexed.as_ref().is_some_and(|indexed| indexed.is_skipped(&manifest));
        let has_manifest = text.as_ref().is_some_and(|text| text.is_on_disk || is_left_out);
        let existing = text.map(|text| self.existing(&manifest, &text.bytes)).transpose()?;
        let mut neighbour = Neighbour {
            lockfile: shown(),
            manifest: self.shown_here(&manifest),
            has_manifest,
            is_near: is_in(folder_of(name), &self.folder) || is_in(&self.folder, folder_of(name)),
            ..Neighbour::default()
        };
        self.add_entries(&mut neighbour, folder_of(name), ledger);
        for asset_id in existing.into_iter().flatten() {
            neighbour.kept.insert(asset_id);
            neighbour.in_use.insert(asset_id);
        }
        Ok(Some(neighbour))
    }

    /// Returns what git's index has of a file that isn't on the disk: a sparse checkout leaves it out, or
    /// somebody removed it, which isn't committed yet.
    fn in_index(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        let found = self.indexed.as_ref().map_or(Ok(None), |indexed| indexed.content(name));
        found.map_err(|_| self.shown_here(name))
    }

    /// Returns the text of a manifest; `None` if there is no such manifest.
    fn manifest(&self, name: &str) -> Result<Option<ManifestText>, String> {
        match own_file::read(&self.top().join(name), manifest::MAX_BYTES as u64) {
            Ok(bytes) => Ok(Some(ManifestText { bytes, is_on_disk: true })),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                Ok(self.in_index(name)?.map(|bytes| ManifestText { bytes, is_on_disk: false }))
            }
            Err(_) => Err(self.shown_here(name)),
        }
    }

    /// Returns the assets of a manifest's `[existing]`.
    fn existing(&self, name: &str, text: &[u8]) -> Result<Vec<AssetId>, String> {
        let manifest = manifest::parse(text, name).map_err(|_| self.shown_here(name))?;
        Ok(manifest.existing().into_values().collect())
    }

    fn add_entries(&self, neighbour: &mut Neighbour, folder: &str, ledger: Ledger) {
        for entry in ledger.entries.into_values() {
            let assets = entry.history.assets();
            let is_kept = |asset_id: &AssetId| !entry.retirements.contains_key(asset_id);
            let kept: BTreeSet<AssetId> = assets.iter().copied().filter(is_kept).collect();
            neighbour.in_use.extend(in_use(&entry).intersection(&kept));
            neighbour.kept.extend(kept);
            neighbour.assets.extend(assets.iter().copied());
            if !neighbour.is_near {
                continue;
            }
            let kind = entry.identity.kind();
            let by_content = entry.history.by_content(kind).into_iter();
            let contents = by_content.map(|(content, key)| ((content, kind), key.asset_id));
            neighbour.contents.extend(contents);
            if let Some(path) = self.in_project(&joined(folder, entry.identity.path.as_str())) {
                neighbour.files.insert(path, NeighbourFile { kind, assets });
            }
        }
    }

    /// Returns the path of a file from this project's folder, if it is in there.
    fn in_project(&self, path: &str) -> Option<ProjectPath> {
        let inside = if self.folder.is_empty() { path } else { path.strip_prefix(&self.folder)?.strip_prefix('/')? };
        ProjectPath::new(inside).ok()
    }

    /// Returns a path as it is from this project's folder, for messages.
    fn shown_here(&self, path: &str) -> String {
        let mut folder = self.folder.as_str();
        let mut up = String::new();
        loop {
            if is_in(path, folder) {
                let below = if folder.is_empty() { path } else { path.get(folder.len() + 1..).unwrap_or(path) };
                return format!("{up}{below}");
            }
            up.push_str("../");
            folder = folder_of(folder);
        }
    }
}

/// A manifest as it was found.
struct ManifestText {
    bytes: Vec<u8>,
    is_on_disk: bool,
}

/// The assets that the game is given for an entry.
fn in_use(entry: &LockfileEntry) -> BTreeSet<AssetId> {
    if entry.removed {
        return BTreeSet::new();
    }
    match entry.identity.kind().asset_type.on_content_change() {
        ContentChange::InPlace => entry.history.assets(),
        ContentChange::NewAsset => entry.in_use().into_iter().collect(),
    }
}

fn folder_of(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// Whether a path is a folder or in it.
fn is_in(path: &str, folder: &str) -> bool {
    folder.is_empty() || path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}
