//! Nothing to do is a proof, not a plan: while manifest, lockfile, files, outputs, checkout, git's
//! index and state are what they were when a plan had nothing to do, no plan is made. Of another
//! commit or index git is asked what is different ([`since`]).
//!
//! The proof is a digest in the state, which every change of the state deletes. Checking it takes one
//! walk and the metadata of each file; no file is read but the manifest. What the clock changes is
//! planned for ahead: the plan must have had nothing to do at both ends of the proof's time. With the
//! proof come the statuses of all addresses, so that `status` plans nothing either.
//!
//! Times that are too recent to show a change (git's "racy" rule) prove nothing. Read next:
//! [`crate::files::TreeDigest`].

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

use crate::engine::report::asset_status::AssetStatus;
use crate::engine::report::run_report::RunReport;
use crate::engine::report::settled_rows::{self, SettledRow};
use crate::engine::workspace::committed;
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::git;
use crate::engine::workspace::git::since;
use crate::engine::workspace::lockfile::Stamp;
use crate::engine::workspace::outputs::{OutputFile, OutputState};
use crate::engine::workspace::plan_inputs::{CheckoutState, GitState, PlanInputs, checksum, update};
use crate::engine::workspace::project::Project;
use crate::engine::workspace::snapshot;
use crate::files::{self, DiskDigest, TreeDigest, TreeParts, is_unchanged_since};
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::digest::Checksum;
use crate::model::file::{FileCache, Fingerprint};
use crate::model::history::RevisionState;
use crate::model::path::ProjectPath;
use crate::model::recorded::{Record, Recorded};
use crate::plan::{Plan, PlanOptions, plan};
use crate::platform::own_file::Access;
use crate::platform::{clock, fingerprint};
use crate::state::lock::{self, Occupancy};
use crate::state::lockfile;
use crate::state::store::{CommitBase, EventRow, SettledProof, SettledRows, Store};

/// How long a proof holds, unless something changes.
pub(in crate::engine) const HOLDS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// What the proof depends on beside the files and git's commit and index, as it is now.
#[derive(Debug, Clone, PartialEq, Eq)]
struct OwnFiles {
    /// A digest of manifest, branch and outputs.
    rest: String,
    /// What the file system says of the lockfile.
    lockfile: Fingerprint,
}

impl OwnFiles {
    /// Adds lockfile and outputs, as they are on disk, to the digest of manifest and branch; `None`
    /// if one of them is missing, or one beside the lockfile changed too recently before `now_ns`
    /// to show a change.
    fn look(mut digest: Checksum, project: &Project, manifest: &Manifest, now_ns: i64) -> Option<Self> {
        for output in manifest.outputs() {
            let state = files::fingerprint_of(&project.outputs, &output.path);
            update(&mut digest, &state.filter(|state| is_unchanged_since(state, now_ns))?);
        }
        Some(Self { rest: digest.finish(), lockfile: fingerprint::of_file(&project.lockfile)? })
    }

    fn digest(&self) -> String {
        let mut digest = Checksum::default();
        digest.update(self.rest.as_bytes());
        update(&mut digest, &self.lockfile);
        digest.finish()
    }
}

/// A proof that holds but for the project's files, which nobody looked at yet.
pub(crate) struct OpenProof<'a> {
    project: &'a Project,
    manifest: Manifest,
    text: String,
    own: OwnFiles,
    lockfile: Stamp,
    git: ProvedGit,
    store: Store,
    proof: SettledProof,
}

/// Git's commit and index, of which it is proved that they change nothing.
#[derive(Debug)]
struct ProvedGit {
    state: GitState,
    /// What a later look compares them with.
    base: Option<CommitBase>,
}

/// What a look at the proof says.
pub(crate) enum Look {
    /// It holds.
    NothingToDo(NothingToDo),
    /// It holds for all but some files.
    Changed(Box<ChangedFiles>),
    /// There is none, or more changed.
    Unknown,
}

/// A project in which nothing but some files changed since there was nothing to do.
#[derive(Debug)]
pub(crate) struct ChangedFiles {
    /// The proof of that.
    pub(super) proof: SettledProof,
    pub(super) manifest: Manifest,
    pub(super) text: String,
    /// What the proof depends on beside them.
    own: OwnFiles,
    /// The lockfile as it was found to be the known one.
    pub(super) lockfile: Stamp,
    git: ProvedGit,
    /// What all files look like now.
    pub(super) digest: TreeDigest,
    pub(super) parts: TreeParts,
    /// Those that changed, and those whose metadata can't tell.
    pub(in crate::engine) files: BTreeSet<ProjectPath>,
}

/// The most files that count as some.
const SOME: usize = 32;

impl ChangedFiles {
    /// Returns the checkout, if everything but the files, and git's index, is as it was at the
    /// look. Blocks: it reads the disk.
    pub(super) fn still_hold(&self, project: &Project) -> Option<CheckoutState> {
        let checkout = CheckoutState::now(project)?;
        let digest = checksum(self.text.as_bytes(), &checkout.branch);
        let own = OwnFiles::look(digest, project, &self.manifest, clock::nanoseconds())?;
        (own == self.own && checkout.git.commit == self.git.state.commit).then_some(checkout)
    }

    /// Returns the commit at which there was nothing to do and the one of the look, if they differ.
    pub(super) fn moved(&self) -> Option<(&str, &str)> {
        let (base, now) = (self.proof.base.as_ref()?, &self.git.state.commit);
        (base.commit != *now).then_some((&*base.commit, now))
    }
}

/// A project in which there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NothingToDo {
    /// The number of assets in the manifest.
    pub assets: u64,
    /// Its outputs, each of which is up to date.
    pub outputs: Vec<OutputFile>,
}

/// Returns what there is to tell of the project, if it is proved that there is nothing to do.
/// Writes nothing, and takes no lock. Blocks: it reads the disk.
pub(crate) fn check(project: &Project, remote: &str) -> Option<NothingToDo> {
    open(project, remote).filter(OpenProof::covers_files).map(|open| open.nothing_to_do())
}

/// Looks whether it is proved that there is nothing to do, or what changed since. Writes nothing, and
/// takes no lock. Blocks: it reads the disk.
pub(crate) fn look(project: &Project, remote: &str) -> Look {
    let look = || {
        let open = open_for_change(project, remote)?;
        let selection = open.manifest.selection();
        let DiskDigest { digest, parts, .. } = TreeDigest::of_disk(&project.root, &selection)?;
        if open.proof.recent.is_none() && digest.to_string() == open.proof.files {
            return Some(Look::NothingToDo(open.nothing_to_do()));
        }
        let known = |folder: &str| open.store.load_files_in(folder).ok();
        let mut files = parts.changed_since(&open.proof.parts, &project.root, &selection, SOME, known)?;
        files.extend(open.proof.recent.iter().flatten().cloned());
        let OpenProof { manifest, text, own, lockfile, git, proof, .. } = open;
        let changed = ChangedFiles { proof, manifest, text, own, lockfile, git, digest, parts, files };
        Some(Look::Changed(Box::new(changed)))
    };
    look().unwrap_or(Look::Unknown)
}

/// Returns the status of every address, if it is proved that there is nothing to do. Blocks: it
/// reads the disk.
pub(crate) fn statuses(project: &Project, remote: &str) -> Option<Vec<AssetStatus>> {
    let OpenProof { manifest, store, proof, .. } = open(project, remote)?;
    // Each takes about as long as the other.
    let rows = std::thread::scope(|scope| {
        let rows = scope.spawn(|| read_rows(store, proof.assets));
        covers_files(project, &manifest, &proof).then(|| rows.join().ok().flatten()).flatten()
    })?;
    (!rows.is_empty()).then_some(rows)
}

/// The most statuses for which room is made at once, whatever the state says.
const ROOM: u64 = 1 << 20;

/// Returns the statuses that came with the proof of so many assets; `None` if they can't be read.
fn read_rows(store: Store, assets: u64) -> Option<Vec<AssetStatus>> {
    let mut all = Vec::with_capacity(usize::try_from(assets.min(ROOM)).unwrap_or_default());
    let mut is_whole = true;
    let take = |rows: &[u8]| {
        is_whole &= settled_rows::each(rows, |row| all.push(row.status)).is_some();
        is_whole
    };
    store.settled_rows(take).ok()?;
    is_whole.then_some(all)
}

/// Whether the project's files are what the proof says.
fn covers_files(project: &Project, manifest: &Manifest, proof: &SettledProof) -> bool {
    let found = TreeDigest::of_disk(&project.root, &manifest.selection());
    found.is_some_and(|found| found.digest.to_string() == proof.files)
}

/// Returns the proof, if it holds but for the project's files. Blocks: it reads the disk.
pub(crate) fn open<'a>(project: &'a Project, remote: &str) -> Option<OpenProof<'a>> {
    open_for_change(project, remote).filter(|open| open.proof.recent.is_none())
}

/// Does the same; where metadata can't tell, the lockfile must be the known one by what it holds, and
/// some files have to be read.
fn open_for_change<'a>(project: &'a Project, remote: &str) -> Option<OpenProof<'a>> {
    // In CI every file was just written.
    if project.in_ci || !matches!(lock::holder(&project.state), Ok(Occupancy::Free)) {
        return None;
    }
    let store = Store::open_read_only(&project.state, remote).ok()??;
    let proof = store.settled().ok()??;
    let now = clock::now();
    if now < proof.since || now >= proof.until {
        return None;
    }
    let (manifest, text) = read_manifest(project).ok()?;
    let CheckoutState { branch, git } = CheckoutState::now(project)?;
    let now_ns = clock::as_nanoseconds(now);
    let own = OwnFiles::look(checksum(text.as_bytes(), &branch), project, &manifest, now_ns)?;
    if own.digest() != proof.inputs {
        return None;
    }
    if proof.recent.is_some() {
        let known = store.lockfile_fingerprint().ok()??;
        (lockfile::fingerprint_at(&project.lockfile).ok()?? == known).then_some(())?;
    }
    let git = prove_git(project, &proof, git)?;
    let lockfile = Stamp::of(own.lockfile, now_ns);
    Some(OpenProof { project, manifest, text, own, lockfile, git, store, proof })
}

/// Returns git's commit and index, if they are those of the proof, or plain later ones of which git
/// says the same.
fn prove_git(project: &Project, proof: &SettledProof, state: GitState) -> Option<ProvedGit> {
    let digest = state.digest();
    if !digest.is_empty() && digest == proof.git {
        return Some(ProvedGit { state, base: proof.base.clone() });
    }
    let before = proof.base.as_ref().filter(|_| !git::may_lack_history(&project.root))?;
    let base = since::since(&project.manifest, &project.lockfile_name(), before, &state.commit)?;
    tracing::debug!("another commit or index changes nothing");
    Some(ProvedGit { state, base: Some(base) })
}

impl OpenProof<'_> {
    fn nothing_to_do(&self) -> NothingToDo {
        let up_to_date =
            |path: &ProjectPath| OutputFile { path: path.clone(), state: OutputState::UpToDate, keys_gone: Vec::new() };
        let outputs = self.manifest.outputs().iter().map(|output| up_to_date(&output.path)).collect();
        NothingToDo { assets: self.proof.assets, outputs }
    }

    fn covers_files(&self) -> bool {
        covers_files(self.project, &self.manifest, &self.proof)
    }

    /// Returns the status of an address, if its own file decides on it alone and is as it was.
    /// Blocks: it reads the disk.
    pub(crate) fn status(&self, address: &Address) -> Option<AssetStatus> {
        let rows = settled_rows::decode(&self.store.settled_rows_with(address).ok()??.rows)?;
        let SettledRow { status, shows_others } = rows.into_iter().find(|row| row.status.address == *address)?;
        let known = self.store.load_file(&status.path).ok()??;
        // A run that uploaded nothing, or only other assets, may have looked at the file since.
        let is_same = known.content.as_ref().ok().map(|facts| facts.hash) == status.file_hash
            && files::fingerprint_of(&self.project.root, &status.path) == Some(known.fingerprint)
            && is_unchanged_since(&known.fingerprint, known.looked_at_ns);
        // The file of an address that was removed may be back.
        (is_same && !shows_others && status.file_hash.is_some()).then_some(status)
    }

    fn history(&self, address: &Address) -> Option<SettledHistory> {
        let status = self.status(address)?;
        let record = self.store.load_record(address).ok()??;
        Some(SettledHistory { status, record, events: snapshot::newest_events(&self.store, address).ok()? })
    }
}

/// One address of a project in which there is nothing to do.
#[derive(Debug)]
pub(crate) struct SettledHistory {
    /// Its status.
    pub status: AssetStatus,
    /// Its record.
    pub record: Record,
    /// Its newest events, oldest first.
    pub events: Vec<EventRow>,
}

/// Returns what is known of one address, without a look at the others; `None` if that isn't enough.
/// Blocks: it reads the disk.
pub(crate) fn history(project: &Project, remote: &str, address: &Address) -> Option<SettledHistory> {
    open(project, remote)?.history(address)
}

/// The end of a run, as far as a proof needs it.
pub(crate) struct SettledRun<'a> {
    pub project: &'a Project,
    pub manifest: &'a Manifest,
    pub desired: &'a Desired,
    pub recorded: &'a Recorded,
    /// The options of its plans.
    pub options: &'a PlanOptions,
    pub report: &'a RunReport,
    /// The fingerprint of the lockfile that the state has taken in.
    pub lockfile: Option<&'a str>,
}

/// Returns the proof that a run had nothing to do and nothing to say, made from `inputs`, and the
/// status of each address; `None` if it had, or if its inputs can't show a change. Blocks: it reads
/// the disk.
pub(crate) fn prove(
    run: &SettledRun<'_>,
    inputs: PlanInputs,
    now: Timestamp,
) -> Option<(SettledProof, Vec<SettledRows>)> {
    let SettledRun { project, manifest, desired, recorded, options, report, lockfile } = *run;
    let until = now.saturating_add(HOLDS_FOR).ok()?;
    let PlanInputs { manifest: text, git, files, parts, recent } = inputs;
    let has_nothing = |at| plan(desired, recorded, options, at) == Plan::default();
    let is_settled = is_quiet(report) && options.is_usual() && recent.is_empty();
    if !is_settled || !stays_empty(recorded, now, until, has_nothing) {
        return None;
    }
    // The lockfile on disk is the one that was planned with.
    let own = OwnFiles::look(text, project, manifest, clock::as_nanoseconds(now))?;
    is_unchanged_since(&own.lockfile, clock::as_nanoseconds(now)).then_some(())?;
    let bytes = lockfile::read(&project.lockfile).ok()??;
    (lockfile == Some(&*lockfile::fingerprint(&bytes))).then_some(())?;
    let git = prove_gathered(run, &git)?;
    let proof = proof((&own, git), (&files, &parts), report.assets, (now, until), None);
    // Without statuses `status` plans.
    Some((proof, settled_rows::encode(desired, recorded, now).unwrap_or_default()))
}

/// Returns git's commit and index, of which `gathered` was a look before the plan, if git says of
/// them what it said for the plan.
fn prove_gathered(run: &SettledRun<'_>, gathered: &GitState) -> Option<ProvedGit> {
    let SettledRun { project, desired, recorded, .. } = *run;
    let now = || CheckoutState::now(project).map(|checkout| checkout.git);
    let state = now().filter(|state| state.commit == gathered.commit)?;
    if !state.is_still(gathered) && !committed::untracked(project, desired).is_empty() {
        return None;
    }
    // Whether git ever had what is absent here may be another matter for each commit.
    let is_whole = recorded.addresses().from_elsewhere.keys().all(|address| desired.assets.contains_key(address));
    let may_move = is_whole && project.lockfile_access != Access::Private && !git::may_lack_history(&project.root);
    let base = may_move.then(|| since::base(&project.manifest, &state.commit)).flatten();
    let is_same = now().is_some_and(|now| now.index == state.index);
    Some(ProvedGit { state, base: base.filter(|_| is_same) })
}

/// The end of a run that began with [`ChangedFiles`] and looked at nothing else.
pub(crate) struct ChangedRun<'a> {
    pub project: &'a Project,
    pub change: &'a ChangedFiles,
    /// What manifest and files were at the last look at all of them.
    pub inputs: &'a PlanInputs,
    /// What is known of the files that the run read.
    pub cache: &'a FileCache,
    /// What is known of the part.
    pub recorded: &'a Recorded,
    pub report: &'a RunReport,
}

/// Returns the proof that there is nothing to do any more, from that of before; `None` if there may
/// be. `has_nothing` says whether the plan of what changed is empty at a time. Blocks: it reads the
/// disk.
pub(crate) fn prove_again(
    run: &ChangedRun<'_>,
    now: Timestamp,
    has_nothing: impl Fn(Timestamp) -> bool,
) -> Option<SettledProof> {
    let ChangedRun { project, change, inputs, cache, recorded, report } = *run;
    let ChangedFiles { proof, manifest, own, git, .. } = change;
    let is_open = !report.held.is_empty()
        || !report.drifts.is_empty()
        || !report.left.is_empty()
        || report.under_review > 0
        || report.stop.is_some()
        || report.is_declined;
    if is_open || !stays_empty(recorded, now, proof.until, has_nothing) {
        return None;
    }
    let now_own = OwnFiles::look(inputs.manifest.clone(), project, manifest, clock::as_nanoseconds(now))?;
    (now_own.rest == own.rest).then_some(())?;
    let is_recent = |path: &&ProjectPath| {
        cache.get(path).is_none_or(|file| !is_unchanged_since(&file.fingerprint, file.looked_at_ns))
    };
    let recent: BTreeSet<ProjectPath> = change.files.iter().filter(is_recent).cloned().collect();
    // Only what the lockfile holds tells whether this one is the one that was written.
    let is_firm = recent.is_empty()
        && now_own.lockfile == own.lockfile
        && is_unchanged_since(&own.lockfile, clock::as_nanoseconds(now));
    let (files, recent) = ((&inputs.files, &inputs.parts), (!is_firm).then_some(recent));
    let git = ProvedGit { state: git.state.clone(), base: git.base.clone() };
    Some(self::proof((&now_own, git), files, proof.assets, (now, proof.until), recent))
}

/// A proof for this number of assets, made from the project's own files, git and all others, that
/// holds from one time until another one.
fn proof(
    (own, git): (&OwnFiles, ProvedGit),
    (files, parts): (&TreeDigest, &TreeParts),
    assets: u64,
    (since, until): (Timestamp, Timestamp),
    recent: Option<BTreeSet<ProjectPath>>,
) -> SettledProof {
    let (inputs, files, parts) = (own.digest(), files.to_string(), parts.to_bytes());
    let ProvedGit { state, base } = git;
    SettledProof { inputs, git: state.digest(), base, files, assets, since, until, parts, recent }
}

/// Whether nothing is to be done from `now` until the end of a proof, since `has_nothing` holds at
/// both ends, and no run asks anything before its plan.
pub(in crate::engine) fn stays_empty(
    recorded: &Recorded,
    now: Timestamp,
    until: Timestamp,
    has_nothing: impl Fn(Timestamp) -> bool,
) -> bool {
    is_certain(recorded) && now < until && has_nothing(now) && has_nothing(until)
}

/// Whether a run has nothing to tell but the number of its assets.
fn is_quiet(report: &RunReport) -> bool {
    let RunReport {
        steps,
        held,
        drifts,
        notes,
        under_review,
        unasked,
        left,
        assets,
        unlisted: _,
        lockfile_written,
        lockfile_changes: _,
        outputs,
        warnings,
        is_declined,
        stop,
    } = report;
    // A manifest without assets is worth a word.
    *assets > 0
        && steps.is_empty()
        && held.is_empty()
        && drifts.is_empty()
        && notes.is_empty()
        && *under_review == 0
        && unasked.is_empty()
        && left.is_empty()
        && !lockfile_written
        && outputs.iter().all(|output| output.state == OutputState::UpToDate)
        && warnings.is_empty()
        && stop.is_none()
        && !is_declined
}

/// Whether a run asks nothing before its plan.
fn is_certain(recorded: &Recorded) -> bool {
    let mut facts = recorded.assets.values().flat_map(|record| record.history.iter());
    let is_open = |state: RevisionState| matches!(state, RevisionState::Reviewing | RevisionState::Unverified);
    recorded.attempts.is_empty()
        && recorded.outdated.is_empty()
        && recorded.contradicted.is_empty()
        && recorded.not_found.is_empty()
        && !facts.any(|(_, fact)| is_open(fact.state))
}
