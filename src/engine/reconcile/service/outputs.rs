//! The outputs in the service: written whenever what is wanted or known may have changed, always
//! after the lockfile.

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::{Service, ServiceError};
use crate::engine::workspace::outputs::{OutputDraft, OutputFile, OutputProblem, OutputState, asset_ids, draft, write};
use crate::model::path::ProjectPath;

/// What was told of the outputs, so that nothing is told twice.
#[derive(Debug, Default)]
pub(super) struct TellOutputs {
    problems: BTreeMap<ProjectPath, OutputProblem>,
    /// Files that were written, the lockfile among them, and of which the command of `--on-change`
    /// wasn't told yet: it is told of all at once, so that they become one commit.
    pub(super) changed: Vec<PathBuf>,
}

impl TellOutputs {
    /// Whether an output can't be made or written.
    pub(super) fn is_failing(&self) -> bool {
        !self.problems.is_empty()
    }

    fn tell(&mut self, files: &[OutputFile]) {
        let problem = |file: &OutputFile| Some((file.path.clone(), file.state.problem()?.clone()));
        let problems: BTreeMap<ProjectPath, OutputProblem> = files.iter().filter_map(problem).collect();
        for (path, problem) in &problems {
            if self.problems.get(path) != Some(problem) {
                let hint = problem.hint.as_deref().unwrap_or_default();
                tracing::error!(output = %path, hint, "an output is not written: {}", problem.message);
            }
        }
        for file in files.iter().filter(|file| file.state == OutputState::Written) {
            tracing::info!(output = %file.path, "an output was written");
        }
        self.problems = problems;
    }
}

impl Service<'_> {
    /// Whether the outputs are to be looked at and nothing is in the way. What the lockfile doesn't
    /// say yet waits for it: the game must not get an ID that no other machine can know.
    pub(super) const fn may_write_outputs(&self) -> bool {
        self.needs.outputs && self.needs.lockfile.is_none() && self.manifest.is_some() && self.unreadable.is_none()
    }

    /// Writes the outputs that differ.
    pub(super) async fn write_outputs(&mut self) -> Result<(), ServiceError> {
        self.needs.outputs = false;
        let Some((manifest, _)) = &self.manifest else { return Ok(()) };
        let (project, desired) = (&self.session.project, &self.desired);
        let asset_ids = self.session.state_cache.read(|recorded| asset_ids(desired, recorded));
        let drafts = tokio::task::block_in_place(|| draft(project, manifest, &asset_ids));
        if drafts.iter().any(OutputDraft::is_due) {
            self.session.lockfile.will_be_told(&self.session.state_cache).await?;
        }
        let files = tokio::task::block_in_place(|| write(&self.session.project, drafts));
        self.outputs.tell(&files);
        let written = files.iter().filter(|file| file.state == OutputState::Written);
        let root = &self.session.project.outputs;
        self.outputs.changed.extend(written.map(|file| root.join(file.path.as_str())));
        Ok(())
    }

    /// Tells the command of `--on-change` what was written.
    pub(super) fn tell_changed(&mut self) {
        let changed = std::mem::take(&mut self.outputs.changed);
        if let Some(on_change) = self.on_change.as_ref().filter(|_| !changed.is_empty()) {
            on_change.changed(changed);
        }
    }
}
