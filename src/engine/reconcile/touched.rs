//! What a change of a few files touches: only these are read, and only what depends on them is
//! planned.
//!
//! It is the same as a scan and a plan of everything, as far as it goes. Where that isn't certain it
//! does nothing, and the caller does everything. Read next: [`crate::plan::part`].

use std::collections::BTreeSet;
use std::sync::Arc;

use super::reconciler::{Dispatch, Reconciler, Verdict};
use super::shutdown::ended_message;
use super::wanted::WantedAssets;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::files::{FilesInProgress, RescannedFile, rescan};
use crate::model::address::Address;
use crate::model::file::FileCache;
use crate::model::path::ProjectPath;
use crate::model::recorded::Recorded;
use crate::plan::part::{PartialPlan, Touched, plan_part, tie, ties_of};
use crate::plan::{Plan, PlanOptions};
use crate::platform::{clock, failpoint};
use crate::state::store::FileDelta;

impl Reconciler<'_> {
    /// Reads these files again, none of which is `in_progress`, and takes over what they want.
    /// Returns what that touched, or `None` if only a scan of everything tells; then nothing was
    /// taken over. Blocks: it reads the files.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn rescan(
        &mut self,
        paths: &BTreeSet<ProjectPath>,
        in_progress: &FilesInProgress,
    ) -> Result<Option<Touched>, StateCacheError> {
        // What an edit may upload then depends on what the earliest commit had of it.
        if self.wanted.desired.unseen_history.is_some() {
            return Ok(None);
        }
        let known = self.session.state_cache.store().load_files_at(paths.clone()).await?;
        let read = tokio::task::block_in_place(|| self.read_again(&known, paths, in_progress));
        let Some(files) = read else { return Ok(None) };
        let Some((manifest, _)) = &self.wanted.manifest else { return Ok(None) };
        let mut changed = Vec::new();
        for RescannedFile { path, found, .. } in &files {
            let resolved = manifest.resolve_file(path, &found.globs, found.content.clone());
            let Some((address, want)) = resolved else { return Ok(None) };
            // Another type, or a file that can't be used, is a matter of the whole manifest.
            match self.wanted.desired.assets.get(&address) {
                Some(before) if *before == want => {}
                Some(before)
                    if before.path == want.path && before.asset_type == want.asset_type && want.content.is_ok() =>
                {
                    changed.push((address, before.content.as_ref().ok().map(|facts| facts.hash), want));
                }
                Some(_) | None => return Ok(None),
            }
        }
        let is_known = |file: &RescannedFile| {
            known.get(&file.path).is_some_and(|known| known.fingerprint == file.cached.fingerprint)
        };
        if !changed.is_empty() || !files.iter().all(is_known) {
            self.wanted.inputs = None;
        }
        let mut delta = FileDelta::default();
        for RescannedFile { path, cached, .. } in files {
            if known.get(&path) != Some(&cached) {
                delta.changed.push((path, cached));
            }
        }
        if !delta.is_empty() {
            self.session.state_cache.store().save_files(delta).await?;
        }
        let mut touched = Touched::default();
        for (address, earlier, want) in changed {
            tie(&mut self.wanted.ties, &address, &want);
            Arc::make_mut(&mut self.wanted.desired).assets.insert(address.clone(), want);
            touched.addresses.insert(address);
            touched.earlier.extend(earlier);
        }
        self.session.lockfile.wanted_by(&self.wanted.desired);
        self.workers.supersede(&touched.addresses);
        Ok(Some(touched))
    }

    fn read_again(
        &self,
        known: &FileCache,
        paths: &BTreeSet<ProjectPath>,
        in_progress: &FilesInProgress,
    ) -> Option<Vec<RescannedFile>> {
        let (manifest, text) = self.wanted.manifest.as_ref()?;
        let project = &self.session.project;
        if project.read_manifest().ok()? != text.as_bytes() {
            return None;
        }
        let now_ns = clock::nanoseconds();
        rescan(&project.root, &manifest.selection(), known, paths, in_progress, now_ns)
    }

    /// Returns the files that changed just before the last scan, if nothing else can have changed
    /// since; `None` if only another scan tells. It takes one walk, and no list of all files.
    ///
    /// # Errors
    /// The message of a panic.
    pub(super) async fn look_again(&mut self) -> Result<Option<BTreeSet<ProjectPath>>, String> {
        let (Some(inputs), Some((manifest, _))) = (self.wanted.inputs.clone(), &self.wanted.manifest) else {
            return Ok(None);
        };
        let lockfile = &mut self.session.lockfile;
        if !lockfile.is_untouched() || lockfile.is_of_another_commit() {
            return Ok(None);
        }
        let (project, selection) = (self.session.project.clone(), manifest.selection());
        let looking = tokio::task::spawn_blocking(move || {
            failpoint::trip("gather");
            inputs.still_hold(&project, &selection).then_some(inputs.recent)
        });
        looking.await.map_err(ended_message)
    }

    /// Does what [`Reconciler::plan_and_dispatch`] does, for what `touched` can touch; `None` if only
    /// a plan of everything tells. Then nothing was done.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn plan_touched(
        &mut self,
        touched: &Touched,
        options: PlanOptions,
        judge: impl FnOnce(&PartialPlan, &Self) -> Verdict,
        span: impl Fn(&Address) -> tracing::Span,
    ) -> Result<Option<Dispatch>, StateCacheError> {
        // The steps of a plan that waits would be lost.
        if self.has_waiting_plan() {
            return Ok(None);
        }
        if !self.finds_parts {
            self.find_parts();
            self.wanted.ties = ties_of(&self.wanted.desired);
        }
        let options = PlanOptions { in_progress: self.workers.in_progress(), ..options };
        let make = |reconciler: &Self| {
            let WantedAssets { desired, ties, .. } = &reconciler.wanted;
            let plan_part = |recorded: &Recorded| plan_part(desired, ties, recorded, touched, &options, clock::now());
            reconciler.session.state_cache.read(plan_part)
        };
        let Some(mut part) = make(self) else { return Ok(None) };
        if self.learns_of_neighbours(&part.plan) {
            let Some(again) = make(self) else { return Ok(None) };
            part = again;
        }
        let desired = Arc::clone(&self.wanted.desired);
        tracing::debug!(assets = part.desired.assets.len(), "a part was planned");
        let judge = |_: &mut Plan, reconciler: &Self| judge(&part, reconciler);
        self.carry_on(part.plan.clone(), desired, judge, span).await.map(Some)
    }
}
