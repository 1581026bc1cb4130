//! Scans manifest and files, and decides what is in force: the last valid manifest, and nothing
//! while the lockfile can't be used.

use super::{GIT_AGAIN, POLL_EVERY, Service, ServiceError};
use crate::engine::reconcile::LOCKFILE_EVERY;
use crate::engine::reconcile::wanted::{ScannedProject, WantedChanges};
use crate::engine::workspace::gather::{GatherError, Gathered};
use crate::engine::workspace::lockfile::KeepError;
use crate::manifest::Diagnostic;
use crate::model::file::FileCache;
use crate::model::shown::with_causes;
use crate::platform::clock;

impl Service<'_> {
    /// Takes in what the file system said.
    pub(super) fn hinted(&mut self, hints: Vec<crate::files::Hint>) {
        let wake = self.file_monitor.take(hints);
        self.needs.scan |= wake.scan;
        self.needs.lockfile_hint |= wake.lockfile;
        if wake.overflow {
            self.observability.metrics.overflow();
        }
        if let Some(reason) = wake.rescan {
            self.observability.metrics.rescan(reason);
            self.needs.all = true;
        }
    }

    /// Reads the lockfile, and begins to scan manifest and files.
    pub(super) async fn scan(&mut self) -> Result<(), ServiceError> {
        let in_progress = self.file_monitor.in_progress(self.needs.all);
        let last = self.reconciler.wanted.manifest.clone().or_else(|| self.first.clone());
        match self.reconciler.scan(in_progress, last).await {
            Ok(()) => self.unreadable = None,
            // It was read while git was working, which began after the loop's check.
            Err(KeepError::Lockfile(_)) if self.must_wait() => {
                self.needs.scan = true;
                self.times.git = Some(clock::elapsed() + GIT_AGAIN);
                return Ok(());
            }
            Err(KeepError::Lockfile(error)) if self.is_running() => {
                let problem = with_causes(&error);
                if self.unreadable.as_ref() != Some(&problem) {
                    tracing::error!("waiting until the lockfile can be used: {problem}");
                }
                self.unreadable = Some(problem);
                self.needs.plan = false;
                self.scan_again_soon();
                self.requests_scan_began();
                self.requests_scan_ended(true);
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        }
        self.scanned_all = std::mem::take(&mut self.needs.all);
        self.requests_scan_began();
        Ok(())
    }

    /// Scans the files that settled, if nothing else can have changed; else everything is to be scanned.
    pub(super) async fn scan_settled(&mut self) -> Result<(), ServiceError> {
        if self.needs.files.is_empty() || self.needs.scan {
            return Ok(());
        }
        let files = std::mem::take(&mut self.needs.files);
        self.observability.metrics.scanned(files.len());
        let lockfile = &mut self.reconciler.session.lockfile;
        let mut is_other = || !lockfile.is_untouched() || lockfile.is_of_another_commit();
        let is_usual = self.request.is_none() && self.invalid.is_none() && self.unreadable.is_none() && !self.needs.all;
        if !is_usual || is_other() {
            self.needs.scan = true;
            return Ok(());
        }
        let in_progress = self.file_monitor.in_progress(false);
        match self.reconciler.rescan(&files, &in_progress).await? {
            None => self.needs.scan = true,
            // Git began to work after the loop's check: the files may be of another branch.
            Some(_) if self.must_wait() || self.reconciler.session.lockfile.is_of_another_commit() => {
                self.needs.scan = true;
                self.times.git = Some(clock::elapsed() + GIT_AGAIN);
            }
            Some(touched) if touched.is_empty() => {}
            Some(touched) => {
                tracing::info!(assets = touched.addresses.len(), "files changed");
                self.observability.changed(&touched.addresses);
                self.needs.outputs = true;
                self.needs.touched.addresses.extend(touched.addresses);
                self.needs.touched.earlier.extend(touched.earlier);
            }
        }
        Ok(())
    }

    /// Takes over the result of a scan, unless git made it worthless.
    pub(super) async fn scan_ended(
        &mut self,
        scanned: Result<Box<ScannedProject>, String>,
    ) -> Result<(), ServiceError> {
        let ScannedProject { found, invalid, before } = *scanned.map_err(|message| ServiceError::Defect { message })?;
        // Git began to work after the loop's check, or checked out another branch since: files and
        // lockfile may be of two branches, and a plan would archive what one of them lacks.
        let lockfile = &self.reconciler.session.lockfile;
        let is_other = lockfile.is_changed().unwrap_or(false) || lockfile.is_of_another_commit();
        if self.is_running() && (is_other || self.must_wait()) {
            self.needs.all |= self.scanned_all;
            self.needs.scan = true;
            self.times.git = Some(clock::elapsed() + GIT_AGAIN);
            self.requests_scan_ended(false);
            return Ok(());
        }
        self.requests_scan_ended(true);
        self.scanned = true;
        self.report_invalid(invalid);
        match found {
            Ok(found) => self.take(found, &before).await?,
            Err(error) if !self.is_running() => return Err(error.into()),
            Err(error) => {
                self.needs.all |= self.scanned_all;
                self.scan_again_soon();
                self.report_invalid(Some(error));
            }
        }
        Ok(())
    }

    /// Returns whether the start is complete. From then on an unusable file is waited for, instead
    /// of ending the service.
    fn is_running(&self) -> bool {
        self.reconciler.wanted.manifest.is_some() || self.observability.is_ready()
    }

    pub(super) fn scan_again_soon(&mut self) {
        self.times.interval = self.times.interval.min(clock::elapsed() + POLL_EVERY);
    }

    pub(super) fn report_invalid(&mut self, wrong: Option<GatherError>) {
        let problem = wrong.as_ref().map(|error| match error {
            GatherError::Manifest { diagnostics, .. } => diagnostics.iter().map(place).collect::<Vec<_>>().join("; "),
            error @ GatherError::Project(_) => with_causes(error),
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

    async fn take(&mut self, found: (Gathered, String), before: &FileCache) -> Result<(), ServiceError> {
        let notes = found.0.notes.clone();
        for note in notes.iter().filter(|note| !self.warned.iter().any(|told| told.is_like(note))) {
            tracing::warn!("{}", note.message);
        }
        self.warned = notes;
        self.observability.metrics.scanned(found.0.cache.len());
        let manifest = found.0.manifest.clone();
        let known = self
            .reconciler
            .wanted
            .manifest
            .as_ref()
            .map(|(known, _)| (known.selection(), known.webhook_env().map(str::to_owned)));
        let WantedChanges { changed, waiting } = self.reconciler.take_over(found, before).await?;
        self.file_monitor.wait_for(waiting);
        if known.is_none() {
            tracing::info!(assets = self.reconciler.wanted.desired.assets.len(), "read the manifest and all files");
        } else if !changed.is_empty() {
            tracing::info!(assets = changed.len(), "files or manifest changed");
        }
        if !changed.is_empty() {
            self.observability.changed(&changed);
        }
        if known.as_ref().is_none_or(|(selection, _)| *selection != manifest.selection()) {
            tokio::task::block_in_place(|| {
                self.file_monitor.watch(&self.reconciler.session.project, manifest.selection())
            });
        }
        if let (Some(on_change), Some(variable)) = (&self.on_change, manifest.webhook_env())
            && known.is_none_or(|(_, known)| known.as_deref() != Some(variable))
        {
            on_change.hide(variable);
        }
        let session = &*self.reconciler.session;
        // The first write finds what the file was made from, so that a save has no need to.
        if self.first.is_some() || session.lockfile.is_behind(&session.state_cache) {
            self.needs.lockfile.get_or_insert(clock::elapsed() + LOCKFILE_EVERY);
        }
        self.first = None;
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
