//! Scans manifest and files, and decides what is in force: the last valid manifest, and nothing
//! while the lockfile can't be used.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{GIT_AGAIN, Interrupts, LOCKFILE_EVERY, POLL_EVERY, Service, ServiceError};
use crate::engine::execute::executor::chain;
use crate::engine::workspace::gather::{GatherError, Gathered, look, read_manifest};
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::files::FilesInProgress;
use crate::manifest::{Diagnostic, Manifest};
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::recorded::Recorded;
use crate::platform::clock;
use crate::state::store::FileDelta;

impl Service<'_> {
    /// Scans manifest and files.
    pub(super) async fn scan(&mut self) -> Result<(), ServiceError> {
        match self.session.lockfile.read(&self.session.state_cache).await {
            Ok(()) => self.unreadable = None,
            // It was read while git was working, which began after the loop's check.
            Err(KeepError::Lockfile(_)) if self.must_wait() => {
                self.needs.scan = true;
                self.times.git = Some(clock::elapsed() + GIT_AGAIN);
                return Ok(());
            }
            Err(KeepError::Lockfile(error)) if self.is_running() => {
                let problem = chain(&error);
                if self.unreadable.as_ref() != Some(&problem) {
                    tracing::error!("nothing is done until the lockfile can be used: {problem}");
                }
                self.unreadable = Some(problem);
                self.needs.plan = false;
                self.scan_again_soon();
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        let known = self.session.state_cache.read(Recorded::addresses);
        let all = std::mem::take(&mut self.needs.all);
        let (project, listener) = (self.session.project.clone(), self.setting.listener.clone());
        let (in_progress, last) =
            (self.file_monitor.in_progress(all), self.manifest.clone().or_else(|| self.first.clone()));
        let before = std::mem::take(&mut self.session.cache);
        let scanning = tokio::task::spawn_blocking(move || {
            let manifest = read_manifest(&project);
            let scanned = |(manifest, text): (Manifest, String), in_progress: &FilesInProgress| {
                let gathered = look(&project, manifest, text.clone(), &before, &known, in_progress, &listener);
                gathered.map(|gathered| (gathered, text))
            };
            let found = manifest.and_then(|manifest| scanned(manifest, &in_progress));
            // An invalid manifest is reported, and the last valid one stays in force.
            let (found, wrong) = match (found, last) {
                (Ok(found), _) => (Ok(found), None),
                (Err(error), Some(last)) => (scanned(last, &in_progress), Some(error)),
                (Err(error), None) => (Err(error), None),
            };
            (found, wrong, before)
        });
        let mut done = Vec::new();
        let with = Interrupts { ending: &self.ending, stop: &self.context.stop, pause: self.setting.interval };
        let scanned = Self::alongside_workers(&mut self.workers, &mut done, with, self.ending.or(scanning)).await;
        self.all_ended(done)?;
        // Shutdown: the next start scans again.
        let Some(scanned) = scanned else { return Ok(()) };
        let (found, wrong, before) =
            scanned.map_err(|_| ServiceError::Defect { message: "looking at the files broke off".to_owned() })?;
        // Git began to work after the loop's check, or checked out another branch since: files and
        // lockfile may be of two branches, and a plan would archive what one of them lacks.
        if self.is_running() && (self.must_wait() || self.session.lockfile.is_changed().unwrap_or(false)) {
            self.session.cache = before;
            self.needs.all |= all;
            self.needs.scan = true;
            self.times.git = Some(clock::elapsed() + GIT_AGAIN);
            return Ok(());
        }
        self.report_invalid(wrong);
        match found {
            Ok((gathered, text)) => self.take(gathered, text, &before).await?,
            Err(error) if !self.is_running() => return Err(error.into()),
            Err(error) => {
                self.session.cache = before;
                self.needs.all |= all;
                self.scan_again_soon();
                self.report_invalid(Some(error));
            }
        }
        Ok(())
    }

    /// Returns whether the start is complete. From then on an unusable file is waited for, instead
    /// of ending the service.
    fn is_running(&self) -> bool {
        self.manifest.is_some() || self.observability.is_ready()
    }

    pub(super) fn scan_again_soon(&mut self) {
        self.times.interval = self.times.interval.min(clock::elapsed() + POLL_EVERY);
    }

    pub(super) fn report_invalid(&mut self, wrong: Option<GatherError>) {
        let problem = wrong.as_ref().map(|error| match error {
            GatherError::Manifest { diagnostics, .. } => diagnostics.iter().map(place).collect::<Vec<_>>().join("; "),
            error @ GatherError::Project(_) => chain(error),
        });
        if problem != self.invalid {
            match &problem {
                Some(problem) => {
                    tracing::error!(
                        "the manifest has an error, so Macadam is still using the last good version: {problem}"
                    )
                }
                None => tracing::info!("the manifest is valid again"),
            }
            self.invalid = problem;
        }
    }

    /// Takes over the result of a scan.
    pub(super) async fn take(
        &mut self,
        gathered: Gathered,
        text: String,
        before: &crate::model::file::FileCache,
    ) -> Result<(), ServiceError> {
        let Gathered { manifest, desired, cache, waiting, .. } = gathered;
        let delta = FileDelta::between(before, &cache);
        if !delta.is_empty() {
            self.session.state_cache.store().save_files(delta).await.map_err(StateCacheError::from)?;
        }
        self.session.cache = cache;
        self.file_monitor.wait_for(waiting);
        let changed = changed(&self.desired, &desired);
        if !changed.is_empty() {
            tracing::info!(assets = changed.len(), "files or manifest changed");
            self.observability.changed(&changed);
        }
        self.workers.supersede(&changed);
        let other = self.manifest.as_ref().is_none_or(|(known, _)| known.selection() != manifest.selection());
        if other {
            tokio::task::block_in_place(|| self.file_monitor.watch(&self.session.project, manifest.selection()));
        }
        if let (Some(on_change), Some(variable)) = (&self.on_change, manifest.webhook_env())
            && self.manifest.as_ref().is_none_or(|(known, _)| known.webhook_env() != Some(variable))
        {
            on_change.hide(variable);
        }
        self.manifest = Some((manifest, text));
        self.first = None;
        self.in_manifest = desired.assets.keys().cloned().collect();
        self.session.lockfile.wanted_by(&desired.checkout);
        if self.session.lockfile.is_behind(&self.session.state_cache) {
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        self.desired = Arc::new(desired);
        self.needs.plan = true;
        self.needs.outputs = true;
        self.observability.ready();
        Ok(())
    }
}

/// Returns an error with its place.
fn place(mistake: &Diagnostic) -> String {
    let Diagnostic { file, message, .. } = mistake;
    match (mistake.line, mistake.column) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}: {message}"),
        _ => format!("{file}: {message}"),
    }
}

/// Returns the addresses whose desired state differs.
fn changed(before: &Desired, after: &Desired) -> BTreeSet<Address> {
    let differs = |(address, want): &(&Address, _)| before.assets.get(*address) != Some(*want);
    let changed = after.assets.iter().filter(differs).map(|(address, _)| address.clone());
    let gone = before.assets.keys().filter(|address| !after.assets.contains_key(*address)).cloned();
    changed.chain(gone).collect()
}
