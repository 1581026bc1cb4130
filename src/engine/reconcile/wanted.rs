//! What manifest and files want, and the result of a scan of them.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::engine::workspace::gather::{GatherError, Gathered};
use crate::engine::workspace::plan_inputs::PlanInputs;
use crate::engine::workspace::settled::ChangedFiles;
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::file::FileCache;
use crate::model::path::ProjectPath;
use crate::model::ties::TieIndex;

/// What manifest and files want, by the last scan.
#[derive(Debug, Default)]
pub(super) struct WantedAssets {
    /// The manifest with its text; `None` before the first scan.
    pub(super) manifest: Option<(Manifest, String)>,
    pub(super) desired: Arc<Desired>,
    /// What ties them to one another.
    pub(super) ties: TieIndex,
    /// The addresses of `desired`.
    pub(super) in_manifest: Arc<BTreeSet<Address>>,
    /// What all of this was gathered from, if that is known.
    pub(super) inputs: Option<PlanInputs>,
    /// What changed since there was nothing to do, if all of this is about that alone.
    pub(super) change: Option<Box<ChangedFiles>>,
    /// Other manifests were looked at for the next plan.
    pub(super) knows_neighbours: bool,
}

/// The result of a scan, which is in force once it is taken over.
#[derive(Debug)]
pub(super) struct ScannedProject {
    /// With the manifest's text.
    pub(super) found: Result<(Gathered, String), GatherError>,
    /// Why the manifest on the disk is not the one in force.
    pub(super) invalid: Option<GatherError>,
    /// The facts about files before the scan.
    pub(super) before: FileCache,
}

/// What changed with a scan.
#[derive(Debug)]
pub(super) struct WantedChanges {
    /// The addresses whose desired state differs.
    pub(super) changed: BTreeSet<Address>,
    /// The files that were not read because they are still being written.
    pub(super) waiting: BTreeSet<ProjectPath>,
}
