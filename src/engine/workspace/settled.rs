//! Nothing to do is a proof, not a plan: while manifest, lockfile, files, outputs, checkout and state
//! are what they were when a plan had nothing to do, no plan is made.
//!
//! The proof is a digest in the state, which every change of the state deletes. Checking it takes one
//! walk and the metadata of each file; no file is read but the manifest. What the clock changes is
//! planned for ahead: the plan must have had nothing to do at both ends of the proof's time.
//!
//! Times that are too recent to show a change (git's "racy" rule) prove nothing. Read next:
//! [`crate::files::TreeDigest`].

use std::path::Path;

use jiff::{SignedDuration, Timestamp};

use crate::engine::report::run_report::RunReport;
use crate::engine::workspace::gather::{head_for_proof, read_manifest};
use crate::engine::workspace::outputs::{OutputFile, OutputState};
use crate::engine::workspace::project::Project;
use crate::files::{TreeDigest, is_unchanged_since};
use crate::manifest::Manifest;
use crate::model::desired::Desired;
use crate::model::digest::Checksum;
use crate::model::file::Fingerprint;
use crate::model::history::RevisionState;
use crate::model::path::ProjectPath;
use crate::model::recorded::Recorded;
use crate::plan::{Plan, PlanOptions, plan};
use crate::platform::{clock, fingerprint};
use crate::state::lock::{self, Occupancy};
use crate::state::lockfile;
use crate::state::store::{SettledProof, Store};

/// How long a proof holds, unless something changes.
const HOLDS_FOR: SignedDuration = SignedDuration::from_hours(24);

/// The program that made a proof: another version may plan differently.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// What manifest, files and checkout were when they were gathered.
#[derive(Debug)]
pub(crate) struct PlanInputs(Checksum);

impl PlanInputs {
    /// Creates it from the manifest's text, the files, and git's `HEAD`.
    pub(super) fn new(manifest: &[u8], tree: &TreeDigest, head: &str) -> Self {
        let mut digest = Checksum::default();
        for part in [PROGRAM.as_bytes(), manifest, tree.as_bytes(), head.as_bytes()] {
            digest.update(&(part.len() as u64).to_le_bytes());
            digest.update(part);
        }
        Self(digest)
    }

    /// Adds the lockfile and the outputs as they are on disk; `None` if one of them is missing, or
    /// changed too recently before `now_ns` to show a change.
    fn finish(self, project: &Project, manifest: &Manifest, now_ns: i64) -> Option<String> {
        let Self(mut digest) = self;
        let outputs = manifest.outputs().iter().map(|output| project.outputs.join(output.path.as_str()));
        for path in std::iter::once(project.lockfile.clone()).chain(outputs) {
            let state = state_of(&path).filter(|state| is_unchanged_since(state, now_ns))?;
            update(&mut digest, &state);
        }
        Some(digest.finish())
    }
}

fn update(digest: &mut Checksum, state: &Fingerprint) {
    let Fingerprint { size, modified_ns, changed_ns, inode, device } = *state;
    for number in [size, inode, device] {
        digest.update(&number.to_le_bytes());
    }
    digest.update(&modified_ns.to_le_bytes());
    digest.update(&changed_ns.to_le_bytes());
}

fn state_of(path: &Path) -> Option<Fingerprint> {
    let metadata = std::fs::symlink_metadata(path).ok()?;
    metadata.is_file().then(|| fingerprint::of(&metadata))
}

fn now_ns(now: Timestamp) -> i64 {
    i64::try_from(now.as_nanosecond()).unwrap_or(i64::MAX)
}

/// A project in which there is nothing to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Settled {
    /// The number of assets in the manifest.
    pub assets: u64,
    /// Its outputs, each of which is up to date.
    pub outputs: Vec<OutputFile>,
}

/// Returns what there is to tell of the project, if it is proved that there is nothing to do.
/// Writes nothing, and takes no lock. Blocks: it reads the disk.
pub(crate) fn check(project: &Project, remote: &str) -> Option<Settled> {
    // In CI every file was just written.
    if project.in_ci || !matches!(lock::holder(&project.state), Ok(Occupancy::Free)) {
        return None;
    }
    let proof = Store::open_read_only(&project.state, remote).ok()??.settled().ok()??;
    let now = clock::now();
    if now < proof.since || now >= proof.until {
        return None;
    }
    let (manifest, text) = read_manifest(project).ok()?;
    let head = head_for_proof(project)?;
    let tree = TreeDigest::of_disk(&project.root, &manifest.selection())?.digest;
    let inputs = PlanInputs::new(text.as_bytes(), &tree, &head).finish(project, &manifest, now_ns(now))?;
    let up_to_date = |path: &ProjectPath| OutputFile { path: path.clone(), state: OutputState::UpToDate };
    let outputs = || manifest.outputs().iter().map(|output| up_to_date(&output.path)).collect();
    (inputs == proof.inputs).then(|| Settled { assets: proof.assets, outputs: outputs() })
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

/// Returns the proof that a run had nothing to do and nothing to say, made from `inputs`; `None` if
/// it had, or if its inputs can't show a change. Blocks: it reads the disk.
pub(crate) fn prove(run: &SettledRun<'_>, inputs: PlanInputs, now: Timestamp) -> Option<SettledProof> {
    let SettledRun { project, manifest, desired, recorded, options, report, lockfile } = *run;
    let until = now.saturating_add(HOLDS_FOR).ok()?;
    let usual = PlanOptions { lost_answer_rest: options.lost_answer_rest, ..PlanOptions::default() };
    if !is_quiet(report) || !is_certain(recorded) || *options != usual {
        return None;
    }
    if [now, until].into_iter().any(|at| plan(desired, recorded, options, at) != Plan::default()) {
        return None;
    }
    // The lockfile on disk is the one that was planned with.
    let inputs = inputs.finish(project, manifest, now_ns(now))?;
    let bytes = lockfile::read(&project.lockfile).ok()??;
    (lockfile == Some(&*lockfile::fingerprint(&bytes))).then_some(())?;
    Some(SettledProof { inputs, assets: report.assets, since: now, until })
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
        lockfile_written,
        outputs,
        warnings,
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
}

/// Whether a run asks nothing before its plan.
fn is_certain(recorded: &Recorded) -> bool {
    let mut facts = recorded.assets.values().flat_map(|record| record.history.iter());
    let is_open = |state: RevisionState| matches!(state, RevisionState::Reviewing | RevisionState::Unverified);
    recorded.attempts.is_empty()
        && recorded.outdated.is_empty()
        && recorded.not_found.is_empty()
        && !facts.any(|(_, fact)| is_open(fact.state))
}
