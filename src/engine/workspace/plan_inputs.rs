//! What a plan was made from, as a digest: where it is the same again, so is the plan.
//!
//! Read next: [`super::settled`], which keeps it with a plan that had nothing to do.

use std::collections::BTreeSet;

use super::git;
use super::project::Project;
use crate::files::{ScanDigest, TreeDigest, TreeParts, is_unchanged_since};
use crate::model::desired::FileSelection;
use crate::model::digest::Checksum;
use crate::model::file::Fingerprint;
use crate::model::path::ProjectPath;
use crate::platform::own_file::Access;
use crate::platform::{clock, fingerprint};

/// The program that made a proof: another version may plan differently.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// What manifest, files and checkout were when they were gathered.
#[derive(Debug, Clone)]
pub(crate) struct PlanInputs {
    /// A digest of the manifest and of the branch.
    pub(super) manifest: Checksum,
    pub(super) git: GitState,
    pub(super) files: TreeDigest,
    pub(super) parts: TreeParts,
    /// The files that changed too recently for their metadata to show another change.
    pub(in crate::engine) recent: BTreeSet<ProjectPath>,
}

impl PlanInputs {
    /// Creates it from the manifest's text, the files, and what git has checked out.
    pub(super) fn new(manifest: &[u8], files: ScanDigest, checkout: CheckoutState) -> Self {
        let ScanDigest { digest, parts, recent } = files;
        let CheckoutState { branch, git } = checkout;
        Self { manifest: checksum(manifest, &branch), git, files: digest, parts, recent }
    }

    /// Whether manifest, files and checkout are what they were, but for the content of those that are
    /// [`recent`](Self::recent). Blocks: it reads the disk.
    pub(in crate::engine) fn still_hold(&self, project: &Project, selection: &FileSelection) -> bool {
        let (Ok(manifest), Some(checkout)) = (project.read_manifest(), CheckoutState::now(project)) else {
            return false;
        };
        checksum(&manifest, &checkout.branch).finish() == self.manifest.clone().finish()
            && checkout.git.commit == self.git.commit
            && TreeDigest::of_disk(&project.root, selection).is_some_and(|found| found.digest == self.files)
    }

    /// Whether all of this is certainly what it was, git's index included. Blocks: it reads the
    /// disk.
    pub(in crate::engine) fn certainly_hold(&self, project: &Project, selection: &FileSelection) -> bool {
        let is_still = || CheckoutState::now(project).is_some_and(|now| now.git.is_still(&self.git));
        self.recent.is_empty() && is_still() && self.still_hold(project, selection) && is_still()
    }
}

/// The digest of the manifest and of the checked-out branch.
pub(super) fn checksum(manifest: &[u8], branch: &str) -> Checksum {
    let mut digest = Checksum::default();
    for part in [PROGRAM.as_bytes(), manifest, branch.as_bytes()] {
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest
}

/// What git has checked out, as far as plans depend on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct CheckoutState {
    pub(super) branch: String,
    pub(super) git: GitState,
}

/// Git's commit and index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct GitState {
    /// The commit, as [`git::head`] gives it.
    pub(super) commit: String,
    /// What the file system says of the index; `None` if there is none, or it doesn't count.
    pub(super) index: Option<Fingerprint>,
    /// The index changed long enough ago to show another change.
    is_firm: bool,
}

impl CheckoutState {
    /// Returns it; `None` if files are missing or change.
    pub(super) fn now(project: &Project) -> Option<Self> {
        let root = &project.root;
        let now_ns = clock::nanoseconds();
        // `git rm --cached` is worth a word about the file. A rehearsal's files are nobody else's.
        let index = (project.lockfile_access != Access::Private).then(|| git::index(root)).flatten();
        let index = index.as_deref().and_then(fingerprint::of_file);
        let is_firm = index.is_none_or(|state| is_unchanged_since(&state, now_ns));
        let is_whole = git::busy(root).is_none() && git::partial(root).is_none();
        let branch = format!("{:?}", git::checkout(root));
        is_whole.then(|| Self { branch, git: GitState { commit: git::head(root), index, is_firm } })
    }
}

impl GitState {
    /// Returns whether it is certainly still what it was: `earlier`, of which this is a later look.
    pub(super) fn is_still(&self, earlier: &Self) -> bool {
        earlier.is_firm && self.commit == earlier.commit && self.index == earlier.index
    }

    /// Returns a digest; empty if the index changed too recently to show another change.
    pub(super) fn digest(&self) -> String {
        if !self.is_firm {
            return String::new();
        }
        let mut digest = Checksum::default();
        digest.update(self.commit.as_bytes());
        self.index.iter().for_each(|state| update(&mut digest, state));
        digest.finish()
    }
}

/// Adds a fingerprint to a digest.
pub(super) fn update(digest: &mut Checksum, state: &Fingerprint) {
    let Fingerprint { size, modified_ns, changed_ns, inode, device } = *state;
    for number in [size, inode, device] {
        digest.update(&number.to_le_bytes());
    }
    digest.update(&modified_ns.to_le_bytes());
    digest.update(&changed_ns.to_le_bytes());
}
