//! Scans manifest and files as work of its own: the rest goes on meanwhile.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::reconciler::Reconciler;
use super::shutdown::ended_message;
use super::wanted::{ScannedProject, WantedAssets, WantedChanges};
use super::workers::End;
use crate::engine::workspace::gather::{Gathered, LastScan, gather_manifest, read_manifest};
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::files::FilesInProgress;
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::file::FileCache;
use crate::model::recorded::Recorded;
use crate::plan::part::ties_of;
use crate::platform::{clock, failpoint};
use crate::state::store::FileDelta;

impl Reconciler<'_> {
    /// Reads the lockfile, and begins a scan. If the manifest is not valid, the files are scanned for
    /// `otherwise`, if there is one. For files that are `in_progress`, the known content counts.
    ///
    /// # Errors
    /// When the lockfile can't be used, or the state can't be written. Nothing was begun then.
    pub(super) async fn scan(
        &mut self,
        in_progress: FilesInProgress,
        otherwise: Option<(Manifest, String)>,
    ) -> Result<(), KeepError> {
        // Before the manifest: a pull may bring both, and the manifest must not seem to name
        // unknown assets.
        self.session.lockfile.read(&self.session.state_cache).await?;
        let known = self.session.state_cache.read(Recorded::addresses);
        let (project, listener) = (self.session.project.clone(), self.context.listener.clone());
        let before = self.session.state_cache.store().load_files().await.map_err(StateCacheError::from)?;
        let history = Arc::clone(&self.session.history);
        self.scanning = Some(clock::elapsed());
        let scanning = tokio::task::spawn_blocking(move || {
            failpoint::trip("gather");
            let scan = |(manifest, text): (Manifest, String)| {
                let last = LastScan { cache: &before, history: &history };
                let gathered =
                    gather_manifest(&project, manifest, text.clone(), last, &known, &in_progress, &listener)?;
                Ok((gathered, text))
            };
            // An invalid manifest is reported, and the last valid one stays in force.
            let (found, invalid) = match (read_manifest(&project).and_then(scan), otherwise) {
                (Err(error), Some(otherwise)) => (scan(otherwise), Some(error)),
                (found, _) => (found, None),
            };
            ScannedProject { found, invalid, before }
        });
        self.workers.run(async {
            let scanned = scanning.await.map_err(ended_message);
            End::Scan(scanned.map(Box::new))
        });
        Ok(())
    }

    /// Begins to look whether manifest, files and checkout are certainly what they were at the last
    /// scan, which takes one walk, and no list of all files. Returns `false` if that can't tell.
    pub(super) fn look(&mut self) -> bool {
        let (Some(inputs), Some((manifest, _))) = (self.wanted.inputs.clone(), &self.wanted.manifest) else {
            return false;
        };
        let (project, selection) = (self.session.project.clone(), manifest.selection());
        self.scanning = Some(clock::elapsed());
        let looking = tokio::task::spawn_blocking(move || {
            failpoint::trip("gather");
            inputs.certainly_hold(&project, &selection)
        });
        self.workers.run(async { End::Look(looking.await.map_err(ended_message)) });
        true
    }

    /// Takes over the result of a scan.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn take_over(
        &mut self,
        (gathered, text): (Gathered, String),
        before: &FileCache,
    ) -> Result<WantedChanges, StateCacheError> {
        let Gathered { manifest, desired, cache, waiting, inputs, history, notes: _ } = gathered;
        self.session.history = Arc::new(history);
        tracing::debug!(files = cache.len(), "everything was scanned");
        let delta = FileDelta::between(before, &cache);
        if !delta.is_empty() {
            self.session.state_cache.store().save_files(delta).await?;
        }
        let changed = changed(&self.wanted.desired, &desired);
        self.workers.supersede(&changed);
        // The same ones stay the same for the lockfile, which then is made anew only where it changed.
        let is_same = self.wanted.in_manifest.iter().eq(desired.assets.keys());
        let in_manifest = if is_same {
            Arc::clone(&self.wanted.in_manifest)
        } else {
            Arc::new(desired.assets.keys().cloned().collect())
        };
        let is_tied = !self.finds_parts || (changed.is_empty() && self.wanted.manifest.is_some());
        let ties = if is_tied { std::mem::take(&mut self.wanted.ties) } else { ties_of(&desired) };
        let (manifest, desired) = (Some((manifest, text)), Arc::new(desired));
        self.session.lockfile.wanted_by(&desired);
        let knows_neighbours = true;
        self.wanted = WantedAssets { manifest, desired, ties, in_manifest, inputs, change: None, knows_neighbours };
        Ok(WantedChanges { changed, waiting })
    }
}

/// Returns the addresses whose desired state differs.
fn changed(before: &Desired, after: &Desired) -> BTreeSet<Address> {
    let differs = |(address, want): &(&Address, _)| before.assets.get(*address) != Some(*want);
    let changed = after.assets.iter().filter(differs).map(|(address, _)| address.clone());
    let gone = before.assets.keys().filter(|address| !after.assets.contains_key(*address)).cloned();
    changed.chain(gone).collect()
}
