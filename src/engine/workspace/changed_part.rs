//! The part of a project that a change of some files can touch: what is wanted and known of these
//! addresses and of all that are tied to them, loaded without the others.
//!
//! It is enough for a plan of what changed ([`crate::plan::part`]), and for nothing else: the others
//! are as they were when there was nothing to do ([`super::settled`]). Whatever needs more loads
//! everything ([`super::session::Session::load_everything`]).

use std::collections::{BTreeMap, BTreeSet};
use std::thread::{self, JoinHandle};

use super::gather::in_progress_now;
use super::git;
use super::lockfile::Stamp;
use super::neighbours;
use super::plan_inputs::{PlanInputs, checksum};
use super::project::Project;
use super::settled::ChangedFiles;
use crate::files::{RescannedFile, is_unchanged_since, rescan};
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::file::{FileCache, FileFacts, FileProblem};
use crate::model::neighbours::Neighbours;
use crate::model::path::ProjectPath;
use crate::model::policy::LeavePolicy;
use crate::model::recorded::{Record, Recorded};
use crate::platform::clock;
use crate::state::StateError;
use crate::state::store::{FileDelta, Store, TiedBy, TiedNames};

/// The most addresses that are loaded.
const MOST: usize = 64;

/// What is wanted and known of a part.
#[derive(Debug)]
pub(super) struct LoadedPart {
    pub(super) recorded: Recorded,
    pub(super) wanted: WantedPart,
}

/// What manifest and files want of a part.
#[derive(Debug)]
pub(crate) struct WantedPart {
    /// What changed since there was nothing to do.
    pub change: Box<ChangedFiles>,
    /// What is wanted of these addresses, but for the other manifests.
    pub desired: Desired,
    /// The look at those, if a change here may concern them.
    pub neighbours: Option<JoinHandle<Neighbours>>,
    /// What all of this was gathered from.
    pub inputs: PlanInputs,
    /// The addresses of the files that changed.
    pub touched: BTreeSet<Address>,
    /// What these files had when there was nothing to do; `None` if that isn't certain.
    pub earlier: Option<BTreeMap<Address, FileContent>>,
    /// What was learned of them.
    pub delta: FileDelta,
}

/// The facts of a file, or why it can't be used.
pub(crate) type FileContent = Result<FileFacts, FileProblem>;

impl WantedPart {
    /// The manifest's text.
    pub(crate) fn text(&self) -> &str {
        &self.change.text
    }

    /// The manifest.
    pub(crate) fn manifest(&self) -> &Manifest {
        &self.change.manifest
    }

    /// Returns the commit at which there was nothing to do and the one of now, if they differ.
    pub(super) fn moved(&self) -> Option<(&str, &str)> {
        self.change.moved()
    }

    /// What the file system says of the lockfile that the state knows.
    pub(super) const fn lockfile(&self) -> Stamp {
        self.change.lockfile
    }

    /// The number of assets in the manifest.
    pub(crate) fn assets(&self) -> u64 {
        self.change.proof.assets
    }
}

/// Loads the part that a `change` can touch; `None` if everything has to be loaded. The caller holds
/// the state. Blocks: it reads the disk.
///
/// # Errors
/// When the state can't be read.
pub(super) fn load(
    store: &Store,
    project: &Project,
    change: Box<ChangedFiles>,
) -> Result<Option<LoadedPart>, StateError> {
    // Another process may have been there since the look.
    let checkout = if store.is_settled_by(&change.proof)? { change.still_hold(project) } else { None };
    let Some(checkout) = checkout.filter(|_| change.manifest.wants_each_alone()) else { return Ok(None) };
    // What an edit may upload there depends on what the earliest commit had (`unseen_history`).
    if git::may_lack_history(&project.root) {
        return Ok(None);
    }
    let mut loading = Loading {
        store,
        project,
        change: &change,
        assets: BTreeMap::new(),
        records: BTreeMap::new(),
        cache: FileCache::new(),
        delta: FileDelta::default(),
    };
    let Some(earlier) = loading.add_files(&change.files)? else { return Ok(None) };
    // The asset that a changed file had may be in use elsewhere, and a Model keeps it. Git is asked
    // while the rest is loaded.
    let is_in_place = |kind: AssetType| matches!(kind.on_content_change(), ContentChange::InPlace);
    let concerns_others = change.manifest.policy().replaced == LeavePolicy::Archive
        || loading.assets.values().any(|want| want.asset_type.is_some_and(is_in_place));
    let neighbours = concerns_others.then(|| {
        let project = project.clone();
        thread::spawn(move || neighbours::look(&project, project.remote.as_deref()))
    });
    let Some(tied_by) = loading.follow()? else { return Ok(None) };
    let Loading { assets, cache, delta, records, .. } = loading;
    let is_same =
        |(address, want): (&Address, &DesiredAsset)| records.get(address).is_some_and(|record| is_like(want, record));
    if !assets.iter().all(is_same) {
        return Ok(None);
    }
    let addresses: BTreeSet<Address> = assets.keys().cloned().collect();
    let Some(recorded) = store.load_part(&addresses, &tied_by.assets)? else { return Ok(None) };
    tracing::debug!(assets = addresses.len(), "only what changed was loaded");
    let is_recent = |path: &&ProjectPath| {
        cache.get(path).is_none_or(|file| !is_unchanged_since(&file.fingerprint, file.looked_at_ns))
    };
    let recent = change.files.iter().filter(is_recent).cloned().collect();
    let manifest = checksum(change.text.as_bytes(), &checkout.branch);
    let inputs = PlanInputs { manifest, git: checkout.git, files: change.digest, parts: change.parts.clone(), recent };
    let desired = change.manifest.desired_of(assets, git::checkout(&project.root));
    let touched = earlier.keys().cloned().collect();
    // Of a file that was recent then, another command may have seen something else since.
    let is_certain = change.proof.recent.iter().all(BTreeSet::is_empty);
    let earlier = is_certain.then_some(earlier);
    let wanted = WantedPart { change, desired, neighbours, inputs, touched, earlier, delta };
    Ok(Some(LoadedPart { recorded, wanted }))
}

/// Whether an address is wanted as what it is.
fn is_like(want: &DesiredAsset, record: &Record) -> bool {
    want.content.is_ok()
        && want.asset_type == Some(record.identity.asset_type)
        && want.creator == record.identity.creator
        && want.path == record.identity.path
}

struct Loading<'a> {
    store: &'a Store,
    project: &'a Project,
    change: &'a ChangedFiles,
    assets: BTreeMap<Address, DesiredAsset>,
    records: BTreeMap<Address, Record>,
    cache: FileCache,
    delta: FileDelta,
}

impl Loading<'_> {
    /// Reads these files again as far as they changed, and adds what is wanted of them. Returns their
    /// addresses with what was known of the files; `None` if that isn't enough.
    fn add_files(
        &mut self,
        paths: &BTreeSet<ProjectPath>,
    ) -> Result<Option<BTreeMap<Address, FileContent>>, StateError> {
        let mut known = FileCache::new();
        for path in paths {
            let Some(file) = self.store.load_file(path)? else { return Ok(None) };
            known.insert(path.clone(), file);
        }
        let Project { root, .. } = self.project;
        let (selection, in_progress) = (self.change.manifest.selection(), in_progress_now(self.project));
        let now_ns = clock::nanoseconds();
        let Some(found) = rescan(root, &selection, &known, paths, &in_progress, now_ns) else { return Ok(None) };
        let mut earlier = BTreeMap::new();
        for RescannedFile { path, found, cached } in found {
            let resolved = self.change.manifest.resolve_file(&path, &found.globs, found.content);
            let Some((address, want)) = resolved else { return Ok(None) };
            let Some(before) = known.remove(&path) else { return Ok(None) };
            if before != cached {
                self.delta.changed.push((path.clone(), cached.clone()));
            }
            self.cache.insert(path, cached);
            if self.assets.insert(address.clone(), want).is_some() {
                return Ok(None);
            }
            earlier.insert(address, before.content);
        }
        Ok(Some(earlier))
    }

    /// Adds everything that is tied to what was added. Returns what ties them; `None` if that isn't
    /// enough.
    fn follow(&mut self) -> Result<Option<TiedBy>, StateError> {
        let mut by = TiedBy::default();
        loop {
            let before = by.clone();
            for (address, want) in &self.assets {
                if self.records.contains_key(address) {
                    continue;
                }
                let Some(record) = self.store.load_record(address)? else { return Ok(None) };
                by.add(&record);
                by.contents.extend(want.content.iter().map(|facts| facts.hash));
                self.records.insert(address.clone(), record);
            }
            if by == before {
                return Ok(Some(by));
            }
            let TiedNames { addresses, files } = self.store.tied(&by)?;
            let mut paths: BTreeSet<ProjectPath> = files;
            for address in addresses.iter().filter(|address| !self.records.contains_key(*address)) {
                let Some(record) = self.store.load_record(address)? else { return Ok(None) };
                paths.insert(record.identity.path);
            }
            paths.retain(|path| !self.cache.contains_key(path));
            if self.cache.len() + paths.len() > MOST || self.add_files(&paths)?.is_none() {
                return Ok(None);
            }
            // One that is known and not wanted may have moved.
            if !addresses.iter().all(|address| self.assets.contains_key(address)) {
                return Ok(None);
            }
        }
    }
}
