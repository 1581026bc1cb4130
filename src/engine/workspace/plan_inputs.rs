//! What a plan was made from, as a digest: where it is the same again, so is the plan.
//!
//! Read next: [`super::settled`], which keeps it with a plan that had nothing to do.

use super::git;
use super::project::Project;
use crate::files::TreeDigest;
use crate::model::digest::Checksum;

/// The program that made a proof: another version may plan differently.
const PROGRAM: &str = env!("CARGO_PKG_VERSION");

/// What manifest, files and checkout were when they were gathered.
#[derive(Debug)]
pub(crate) struct PlanInputs {
    pub(super) manifest: Checksum,
    pub(super) files: TreeDigest,
}

impl PlanInputs {
    /// Creates it from the manifest's text, the files, and git's `HEAD`.
    pub(super) fn new(manifest: &[u8], files: TreeDigest, head: &str) -> Self {
        Self { manifest: checksum(manifest, head), files }
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
