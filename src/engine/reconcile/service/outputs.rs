//! The outputs in the service: written whenever the desired or recorded state may have changed,
//! always after the lockfile.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::{Service, ServiceError};
use crate::engine::workspace::outputs::{OutputFile, OutputProblem, OutputState};
use crate::files;
use crate::model::file::Fingerprint;
use crate::model::output::Output;
use crate::model::path::ProjectPath;
use crate::platform::clock;

/// The problems reported so far, so that none is logged twice.
#[derive(Debug, Default)]
pub(super) struct OutputReporter {
    problems: BTreeMap<ProjectPath, OutputProblem>,
    /// Written files that the command of `--on-change` doesn't know yet, with the lockfile. It gets
    /// them all at once, so that they become one commit.
    pub(super) changed: Vec<PathBuf>,
    /// What the file system said of all of them when they were last up to date, and when; `None` if
    /// they were not.
    stamps: Option<Vec<(ProjectPath, Fingerprint, i64)>>,
}

impl OutputReporter {
    /// Returns whether an output can't be made or written.
    pub(super) fn is_failing(&self) -> bool {
        !self.problems.is_empty()
    }

    /// Returns whether all outputs below `root` are certainly the files that were last up to date, and
    /// no link leads to one. Blocks: it reads the disk.
    pub(super) fn are_untouched(&self, root: &Path) -> bool {
        let is_same = |(path, state, looked_at_ns): &(ProjectPath, Fingerprint, i64)| {
            files::is_unchanged_since(state, *looked_at_ns) && files::fingerprint_of(root, path) == Some(*state)
        };
        self.stamps.as_ref().is_some_and(|stamps| stamps.iter().all(is_same))
    }

    fn report(&mut self, files: &[OutputFile]) {
        let problem = |file: &OutputFile| Some((file.path.clone(), file.state.problem()?.clone()));
        let problems: BTreeMap<ProjectPath, OutputProblem> = files.iter().filter_map(problem).collect();
        for (path, problem) in &problems {
            if self.problems.get(path) != Some(problem) {
                let hint = problem.hint.as_deref().unwrap_or_default();
                tracing::error!(hint, "couldn't write {path}: {}", problem.message);
            }
        }
        for file in files.iter().filter(|file| file.state == OutputState::Written) {
            let gone = match file.keys_gone.len() {
                0 => String::new(),
                1 => ", without 1 key that it had".to_owned(),
                count => format!(", without {count} keys that it had"),
            };
            tracing::info!("wrote the asset IDs into {}{gone}", file.path);
        }
        self.problems = problems;
    }
}

/// Returns what these files look like; `None` if one is missing, or a link leads to it.
fn stamps(root: &Path, outputs: &[Output]) -> Option<Vec<(ProjectPath, Fingerprint, i64)>> {
    let now_ns = clock::nanoseconds();
    let stamp =
        |output: &Output| files::fingerprint_of(root, &output.path).map(|state| (output.path.clone(), state, now_ns));
    outputs.iter().map(stamp).collect()
}

impl Service<'_> {
    /// Returns whether to check the outputs now. They wait for the lockfile: the game must not get
    /// an ID that no other machine can know.
    pub(super) const fn may_write_outputs(&self) -> bool {
        self.needs.outputs
            && self.needs.lockfile.is_none()
            && self.reconciler.writing.is_none()
            && self.reconciler.wanted.manifest.is_some()
            && self.unreadable.is_none()
    }

    /// Writes the outputs that differ.
    pub(super) async fn write_outputs(&mut self) -> Result<(), ServiceError> {
        self.needs.outputs = false;
        let Some((manifest, _)) = &self.reconciler.wanted.manifest else { return Ok(()) };
        self.outputs.stamps = manifest.outputs().is_empty().then(Vec::new);
        if manifest.outputs().is_empty() && !self.outputs.is_failing() {
            return Ok(());
        }
        let root = self.reconciler.session.project.outputs.clone();
        // Before they are compared: a file that changes later is another one then.
        let stamps = tokio::task::block_in_place(|| stamps(&root, manifest.outputs()));
        let files = self.reconciler.write_outputs().await?;
        let are_current = files.iter().all(|file| file.state == OutputState::UpToDate);
        self.outputs.stamps = stamps.filter(|_| are_current);
        self.outputs.report(&files);
        let written = files.iter().filter(|file| file.state == OutputState::Written);
        self.outputs.changed.extend(written.map(|file| root.join(file.path.as_str())));
        Ok(())
    }

    /// Passes the written files to the command of `--on-change`.
    pub(super) fn announce_changes(&mut self) {
        let changed = std::mem::take(&mut self.outputs.changed);
        if let Some(on_change) = self.on_change.as_ref().filter(|_| !changed.is_empty()) {
            on_change.changed(changed);
        }
    }
}
