//! Moving in from another tool: reads its files and the project's, compares the assets with Roblox,
//! and writes manifest and lockfile.
//!
//! It changes nothing at Roblox, overwrites nothing, and writes nothing that would upload existing
//! assets again: it first plans, in memory, for what it would write. [`crate::moving`] makes the
//! decisions. Read next: `src/moving/claims.rs`.

mod beside;
mod error;
mod listed;
mod reading;

use std::collections::{BTreeMap, BTreeSet};

use crate::cloud::client::Client;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe::{self, QueryResult};
use crate::engine::remote::throttle::{self, Throttle};
use crate::engine::report::progress::Listener;
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::gather::{GatherError, Gathered, LastScan, gather_manifest};
use crate::engine::workspace::project::Project;
use crate::engine::workspace::saved_answer::SavedAnswer;
use crate::files::{self, FilesInProgress};
use crate::manifest;
use crate::model::address::Address;
use crate::model::asset::{AssetType, ContentChange};
use crate::model::file::FileCache;
use crate::model::history::{Kind, Listing, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, Creator, Revision};
use crate::model::observation::Mismatch;
use crate::model::path::ProjectPath;
use crate::model::recorded::KnownAddresses;
use crate::model::recorded::{Identity, Recorded};
use crate::model::remote::RemoteAsset;
use crate::moving::{
    Claim, Claims, FileSet, FindingKind, Findings, ManifestDraft, Proof, Source, TheirFile, Tool, claims, is_theirs,
};
use crate::plan::{Action, PlanOptions, plan};
use crate::platform::atomic_file::write_atomic_if;
use crate::platform::clock;
use crate::state::lockfile::{self, Ledger, LockfileEntry};

pub(crate) use beside::files_of_tools;
pub(crate) use error::MoveError;
pub(crate) use listed::check_paths;
pub(crate) use reading::read;

/// The number of times that unusable files are removed from the manifest before it must be right.
const ROUNDS: usize = 8;
/// The version of every asset that these tools upload. They make new assets, which Roblox counts
/// from 1, and never update one in place.
const FIRST_VERSION: u64 = 1;

/// A project of another tool, read and matched; nothing is written yet.
#[derive(Debug)]
pub(crate) struct ToolProject {
    project: Project,
    remote: String,
    source: Source,
    creator: Creator,
    claims: Claims,
    /// The moderation states that Roblox reported.
    states: BTreeMap<AssetId, RevisionState>,
    /// The types that Roblox reported and no file shows, by path.
    types: BTreeMap<String, AssetType>,
    /// Files that only the tool's pattern finds.
    own_entries: BTreeMap<String, usize>,
    /// Files that only the manifest's pattern finds.
    excluded: BTreeSet<String>,
    /// Cached facts about files, so that each is read once.
    cache: FileCache,
    /// Assets that could not be fetched, with the reason.
    pub unasked: Vec<(AssetId, String)>,
}

/// A manifest and lockfile that are ready to be written.
#[derive(Debug)]
pub(crate) struct PreparedImport {
    project: Project,
    manifest: String,
    ledger: Ledger,
    /// The assets that are moved: address, asset, and whether Roblox confirmed it.
    pub assets: Vec<(Address, AssetId, bool)>,
    /// The number of assets that are used but not managed.
    pub existing: usize,
    /// Findings for a person.
    pub findings: Findings,
    pub creator: Creator,
    /// Assets that could not be fetched, with the reason.
    pub unasked: Vec<(AssetId, String)>,
}

/// Returns the owner of the assets: from the tool's files, or as `given`.
///
/// # Errors
/// When neither names one, or they differ.
pub(crate) fn creator(source: &Source, given: Option<Creator>) -> Result<Creator, MoveError> {
    match (source.creator, given) {
        (Some(found), Some(given)) if found != given => {
            Err(MoveError::OtherCreator { tool: source.tool, given, found })
        }
        (Some(creator), _) | (None, Some(creator)) => Ok(creator),
        (None, None) => Err(MoveError::NoCreator { tool: source.tool }),
    }
}

/// Checks that neither manifest nor lockfile exists.
///
/// # Errors
/// When one of them does.
pub(crate) fn refuse_existing(project: &Project) -> Result<(), MoveError> {
    match [&project.manifest, &project.lockfile].into_iter().find(|path| path.symlink_metadata().is_ok()) {
        Some(path) => Err(MoveError::Exists { path: path.clone() }),
        None => Ok(()),
    }
}

impl ToolProject {
    /// Finds and hashes the files, and matches them with the tool's records. Blocks: it reads the
    /// disk.
    pub(crate) fn new(project: &Project, remote: &str, source: Source, creator: Creator) -> Self {
        let mut unread = Vec::new();
        let paths: Vec<Vec<ProjectPath>> = source
            .inputs
            .iter()
            .map(|input| match &input.files {
                FileSet::Glob { glob, .. } => {
                    let files::Listed { files, unread: more } = files::list(&project.root, &glob.prefix());
                    unread.extend(more);
                    files.into_iter().filter(|path| is_theirs(&input.files, path.as_str())).collect()
                }
                FileSet::Paths => {
                    let named = input.rows.iter().filter_map(|row| ProjectPath::new(row.path.as_deref()?).ok());
                    let there: BTreeSet<_> = named.filter(|path| project.root.join(path.as_str()).is_file()).collect();
                    there.into_iter().collect()
                }
            })
            .collect();
        let all: BTreeSet<ProjectPath> = paths.iter().flatten().cloned().collect();
        let all: Vec<ProjectPath> = all.into_iter().collect();
        let hashes = files::foreign_hashes(&project.root, &all, source.tool.hash());
        let file = |path: &ProjectPath| TheirFile {
            path: path.as_str().to_owned(),
            hashes: hashes.get(path).and_then(|hashes| hashes.as_ref().ok()).cloned(),
        };
        let theirs: Vec<Vec<TheirFile>> = paths.iter().map(|paths| paths.iter().map(file).collect()).collect();
        let mut claims = claims(&source, &theirs);
        for what in unread {
            claims.findings.add(FindingKind::GlobDiffers, format!("{what} (can't be read)"));
        }
        let own_entries = claims
            .files
            .iter()
            .filter(|(_, input)| matches!(source.inputs.get(**input).map(|input| &input.files), Some(FileSet::Paths)));
        Self {
            own_entries: own_entries.map(|(path, input)| (path.clone(), *input)).collect(),
            project: project.clone(),
            remote: remote.to_owned(),
            source,
            creator,
            claims,
            states: BTreeMap::new(),
            types: BTreeMap::new(),
            excluded: BTreeSet::new(),
            cache: FileCache::new(),
            unasked: Vec::new(),
        }
    }

    /// Corrects the manifest until its patterns find the tool's files and Macadam can upload all of
    /// them.
    fn settle(&mut self, listener: &Listener) -> Result<(String, Gathered), MoveError> {
        for _ in 0..ROUNDS {
            let text = self.draft().text();
            let parsed = manifest::parse(text.as_bytes(), &self.project.manifest_name());
            let parsed = parsed.map_err(|diagnostics| GatherError::Manifest { diagnostics, text: text.clone() })?;
            if self.compare(&files::walk(&self.project.root, &parsed.selection())) {
                continue;
            }
            let nobody = KnownAddresses::default();
            let settled = FilesInProgress::default();
            let last = LastScan { cache: &self.cache, history: &SavedAnswer::default() };
            let gathered = gather_manifest(&self.project, parsed, text.clone(), last, &nobody, &settled, listener)?;
            self.cache.clone_from(&gathered.cache);
            if !self.drop_unusable(&gathered) {
                return Ok((text, gathered));
            }
        }
        Err(MoveError::WouldUpload { addresses: vec!["the files keep changing".to_owned()] })
    }

    fn draft(&mut self) -> ManifestDraft {
        let mut findings = std::mem::take(&mut self.claims.findings);
        let mut draft = ManifestDraft::new(&self.source, self.creator, &self.claims, &mut findings);
        self.claims.findings = findings;
        self.excluded.iter().for_each(|path| draft.exclude(path));
        for (path, input) in self.own_entries.iter().filter(|(path, _)| self.claims.files.contains_key(*path)) {
            let creator = self.claims.assets.get(path).and_then(|claim| claim.creator);
            let creator = creator.filter(|creator| *creator != self.creator);
            draft.own_entry(path, *input, &self.source, creator, self.types.get(path).copied());
        }
        draft
    }

    /// Compares the files that the manifest's patterns find with the tool's. Returns whether they
    /// differ.
    fn compare(&mut self, walk: &files::Walk) -> bool {
        let ours: BTreeSet<&str> = walk.files.keys().map(ProjectPath::as_str).collect();
        let mut differ = false;
        for path in ours.iter().filter(|path| !self.claims.files.contains_key(**path)) {
            differ |= self.excluded.insert((*path).to_owned());
            self.claims
                .findings
                .add(FindingKind::GlobDiffers, format!("{path} (only Macadam's pattern finds it; excluded)"));
        }
        let theirs: Vec<(String, usize)> = self
            .claims
            .files
            .iter()
            .filter(|(path, _)| !ours.contains(path.as_str()))
            .map(|(path, input)| (path.clone(), *input))
            .collect();
        for (path, input) in theirs {
            let tool = self.source.tool.name();
            if self.claims.assets.contains_key(&path) {
                self.claims.findings.add(
                    FindingKind::GlobDiffers,
                    format!("{path} (only {tool}'s pattern finds it; an entry of its own)"),
                );
                differ |= self.own_entries.insert(path, input).is_none();
            } else {
                self.claims
                    .findings
                    .add(FindingKind::GlobDiffers, format!("{path} (only {tool}'s pattern finds it; not taken over)"));
                differ |= self.claims.files.remove(&path).is_some();
            }
        }
        differ
    }

    /// Removes files that Macadam can't use. Returns whether there were any.
    fn drop_unusable(&mut self, gathered: &Gathered) -> bool {
        let mut dropped = Vec::new();
        for (path, claim) in &mut self.claims.assets {
            let want = address(path).and_then(|address| gathered.desired.assets.get(&address));
            match want.map(|want| (&want.content, want.asset_type)) {
                // It changed during the move: its asset holds the earlier bytes.
                Some((Ok(facts), Some(_))) if facts.hash != claim.content => {
                    (claim.proof, claim.content) = (Proof::Outdated, facts.hash);
                    self.claims.findings.add(FindingKind::Changed, format!("{path} (asset {})", claim.asset_id));
                }
                Some((Ok(_), Some(_))) => {}
                Some((Err(problem), _)) => dropped.push((path.clone(), format!("{path} ({})", problem.message))),
                Some((Ok(_), None)) | None => dropped.push((path.clone(), format!("{path} (nothing tells its type)"))),
            }
        }
        for (path, subject) in &dropped {
            self.claims.claim_existing(path, FindingKind::Unusable, subject);
        }
        !dropped.is_empty()
    }

    /// Fetches each asset once, and compares its owner and type.
    ///
    /// # Errors
    /// When Roblox refuses the key, or the manifest would not be valid.
    pub(crate) async fn verify(
        &mut self,
        client: &Client,
        stop: &Shutdown,
        listener: &Listener,
    ) -> Result<(), MoveError> {
        let (_, gathered) = tokio::task::block_in_place(|| self.settle(listener))?;
        let asked: BTreeSet<AssetId> = self.claims.assets.values().map(|claim| claim.asset_id).collect();
        let queries = asked.into_iter().map(AssetQuery::plain).collect();
        let throttle = Throttle::new(&[], throttle::OWNER, listener.clone());
        let answers: BTreeMap<AssetId, QueryResult> =
            observe::fetch_assets(client, &throttle, stop, queries).await.into_iter().collect();
        if let Some(Stop::Credential { message, hint }) = stop.why() {
            return Err(MoveError::Credential { message, hint });
        }
        let mut foreign = Vec::new();
        let (mut owners, mut others) = (BTreeSet::new(), 0_usize);
        for (path, claim) in &self.claims.assets {
            let want = address(path).and_then(|address| gathered.desired.assets.get(&address));
            let Some(asset_type) = want.and_then(|want| want.asset_type) else { continue };
            let kind = Kind { asset_type, creator: claim.creator.unwrap_or(self.creator) };
            match answers.get(&claim.asset_id) {
                Some(QueryResult::Present(asset)) => match Mismatch::of(kind, asset) {
                    // A list says nothing of types, and a picture may be either.
                    Some(Mismatch::Type { meant: AssetType::Image, found: found @ AssetType::Decal, .. })
                        if self.source.tool == Tool::List =>
                    {
                        self.types.insert(path.clone(), found);
                        record_state(&mut self.claims.findings, &mut self.states, path, claim, asset);
                    }
                    Some(mismatch) => {
                        match mismatch {
                            Mismatch::Creator { found, .. } if claim.creator.is_none() => _ = owners.insert(found),
                            _ => others += 1,
                        }
                        foreign.push((path.clone(), format!("{path} ({})", said(mismatch))));
                    }
                    None => record_state(&mut self.claims.findings, &mut self.states, path, claim, asset),
                },
                Some(QueryResult::Gone) => {
                    self.claims.findings.add(FindingKind::NotFound, format!("{path} (asset {})", claim.asset_id))
                }
                Some(QueryResult::Unknown { .. }) | None => {}
            }
        }
        // A wrong owner would freeze every asset.
        if let (Some(found), 1, 0) = (owners.first(), owners.len(), others)
            && self.source.creator.is_none()
            && self.claims.assets.len() == foreign.len()
        {
            return Err(MoveError::AllOfAnother { given: self.creator, found: *found, count: foreign.len() });
        }
        for (path, subject) in &foreign {
            self.claims.claim_existing(path, FindingKind::Mismatch, subject);
        }
        let unknown = |(asset_id, answer): (&AssetId, &QueryResult)| match answer {
            QueryResult::Unknown { why } => Some((*asset_id, why.clone())),
            QueryResult::Present(_) | QueryResult::Gone => None,
        };
        self.unasked = answers.iter().filter_map(unknown).collect();
        Ok(())
    }

    /// Decides what to write, and checks that it uploads no asset again. Blocks: it reads the disk.
    ///
    /// # Errors
    /// When the manifest would not be valid, or an asset would be uploaded again.
    pub(crate) fn finish(mut self, listener: &Listener) -> Result<PreparedImport, MoveError> {
        let (manifest, gathered) = self.settle(listener)?;
        let ledger = self.ledger(&gathered);
        let mut recorded = Recorded::default();
        let now = clock::now();
        for change in lockfile::import(&recorded, &ledger, now) {
            // It always fits: nothing was recorded before.
            let _ = recorded.apply(&change, now);
        }
        let planned = plan(&gathered.desired, &recorded, &PlanOptions::default(), now);
        let uploads: Vec<&Address> = planned
            .steps
            .iter()
            .filter(|step| {
                matches!(
                    step.action,
                    Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. } | Action::Share { .. }
                )
            })
            .map(|step| &step.address)
            .collect();
        let is_up = |address: &&&Address| {
            self.claims.assets.get(address.as_str()).is_some_and(|claim| claim.proof != Proof::Outdated)
        };
        let again: Vec<String> = uploads.iter().filter(is_up).map(|address| (**address).to_string()).collect();
        if !again.is_empty() {
            return Err(MoveError::WouldUpload { addresses: again });
        }
        let assets = self.claims.assets.iter().filter_map(|(path, claim)| {
            Some((address(path)?, claim.asset_id, self.states.contains_key(&claim.asset_id)))
        });
        Ok(PreparedImport {
            assets: assets.collect(),
            existing: gathered.desired.existing.len(),
            manifest,
            ledger,
            findings: self.claims.findings,
            creator: self.creator,
            project: self.project,
            unasked: self.unasked,
        })
    }

    /// Returns the lockfile of the assets that are moved.
    fn ledger(&self, gathered: &Gathered) -> Ledger {
        let mut ledger = Ledger::new(self.remote.clone());
        let mut owned = BTreeSet::new();
        for (path, claim) in &self.claims.assets {
            let want = address(path).and_then(|address| Some((gathered.desired.assets.get(&address)?, address)));
            let Some((want, address)) = want else { continue };
            let Some(asset_type) = want.asset_type else { continue };
            let identity =
                Identity { asset_type, creator: want.creator, privacy: want.privacy, path: want.path.clone() };
            let version = match asset_type.on_content_change() {
                ContentChange::InPlace => Revision::new(FIRST_VERSION).ok(),
                ContentChange::NewAsset => None,
            };
            let key = RevisionKey { asset_id: claim.asset_id, version };
            let fact = RevisionFact {
                // Equal files share one asset, with the metadata of the first.
                shared: !owned.insert(claim.asset_id),
                kind: Some(identity.kind()),
                ..RevisionFact::new(
                    1,
                    (claim.proof != Proof::Outdated).then_some(claim.content),
                    self.states.get(&claim.asset_id).copied().unwrap_or(RevisionState::Unverified),
                )
            };
            let mut entry = LockfileEntry::new(identity);
            entry.history.add(key, fact);
            entry.history.list(claim.asset_id, Some(Listing::Listed));
            ledger.entries.insert(address, entry);
        }
        ledger
    }
}

impl PreparedImport {
    /// Writes the lockfile, then the manifest: a manifest without its lockfile would upload
    /// everything again. Blocks.
    ///
    /// # Errors
    /// When one exists by now, or can't be written.
    pub(crate) fn write(&self) -> Result<(), MoveError> {
        let Self { project, manifest, ledger, .. } = self;
        refuse_existing(project)?;
        lockfile::save(&project.lockfile, project.lockfile_access, &ledger.remote, &ledger.entries, &ledger.forgotten)?;
        let path = &project.manifest;
        let still = || Ok(path.symlink_metadata().is_err());
        let written = write_atomic_if(path, |out| out.write_all(manifest.as_bytes()), still);
        match written.map_err(|source| MoveError::Write { path: path.clone(), source })? {
            true => Ok(()),
            false => Err(MoveError::Exists { path: path.clone() }),
        }
    }
}

/// Returns the address of a file that a glob finds.
fn address(path: &str) -> Option<Address> {
    Address::new(path).ok()
}

/// Records Roblox's state of an asset that matches the tool's records.
fn record_state(
    findings: &mut Findings,
    states: &mut BTreeMap<AssetId, RevisionState>,
    path: &str,
    claim: &Claim,
    asset: &RemoteAsset,
) {
    let state = RevisionState::of_moderation(asset.moderation);
    if state == RevisionState::Rejected {
        findings.add(FindingKind::Rejected, format!("{path} (asset {})", claim.asset_id));
    }
    if asset.revision.is_some_and(|revision| revision.get() > FIRST_VERSION) {
        findings.add(FindingKind::ChangedOnRoblox, format!("{path} (asset {})", claim.asset_id));
    }
    states.insert(claim.asset_id, state);
}

/// Describes the mismatch, without mentioning the lockfile, which is not written yet.
fn said(mismatch: Mismatch) -> String {
    match mismatch {
        Mismatch::Asset { meant, found } => format!("asked about asset {meant}, Roblox answered about asset {found}"),
        Mismatch::Creator { asset_id, meant, found } => {
            format!("asset {asset_id} belongs to {}, not to {}", found.in_words(), meant.in_words())
        }
        Mismatch::Type { asset_id, meant, found } => format!("asset {asset_id} is of the type {found}, not {meant}"),
    }
}
