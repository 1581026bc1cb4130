//! What a plan was made from, as a digest: where it is the same again, so is the plan.
//!
//! Read next: [`super::settled`], which keeps it with a plan that had nothing to do.

use std::collections::BTreeSet;

use super::git;
use super::project::Project;
use crate::files::{ScanDigest, TreeDigest, TreeParts};
use crate::model::desired::FileSelection;
use crate::model::digest::Checksum;
use crate::model::path::ProjectPath;

/// The program that made a proof: another version may plan differently.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// What manifest, files and checkout were when they were gathered.
#[derive(Debug, Clone)]
pub(crate) struct PlanInputs {
    pub(super) manifest: Checksum,
    pub(super) files: TreeDigest,
    pub(super) parts: TreeParts,
    /// The files that changed too recently for their metadata to show another change.
    pub(in crate::engine) recent: BTreeSet<ProjectPath>,
}

impl PlanInputs {
    /// Creates it from the manifest's text, the files, and git's `HEAD`.
    pub(super) fn new(manifest: &[u8], files: ScanDigest, head: &str) -> Self {
        let ScanDigest { digest, parts, recent } = files;
        Self { manifest: checksum(manifest, head), files: digest, parts, recent }
    }

    /// Whether manifest, files and checkout are what they were, but for the content of those that are
    /// [`recent`](Self::recent). Blocks: it reads the disk.
    pub(in crate::engine) fn still_hold(&self, project: &Project, selection: &FileSelection) -> bool {
        let (Ok(manifest), Some(head)) = (project.read_manifest(), head_for_proof(project)) else { return false };
        checksum(&manifest, &head).finish() == self.manifest.clone().finish()
            && TreeDigest::of_disk(&project.root, selection).is_some_and(|found| found.digest == self.files)
    }
}

/// The digest of the manifest and of what git has checked out.
pub(super) fn checksum(manifest: &[u8], head: &str) -> Checksum {
    let mut digest = Checksum::default();
    for part in [PROGRAM.as_bytes(), manifest, head.as_bytes()] {
        digest.update(&(part.len() as u64).to_le_bytes());
        digest.update(part);
    }
    digest
}

/// Returns what git has checked out, as far as plans depend on it; `None` if files are missing or
/// change.
pub(in crate::engine) fn head_for_proof(project: &Project) -> Option<String> {
    let is_whole = git::busy(&project.root).is_none() && git::partial(&project.root).is_none();
    is_whole.then(|| format!("{:?} {}", git::checkout(&project.root), git::head(&project.root)))
}
