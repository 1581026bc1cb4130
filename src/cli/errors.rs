//! Turns the errors of the engine into exit codes and messages.

use super::exit::{CommandFailure, Exit, ReportedProblem, unusable_lockfile};
use crate::cloud;
use crate::engine::commands::error::CommandError;
use crate::engine::reconcile::once::SyncError;
use crate::engine::workspace::gather::GatherError;
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::project::ProjectError;
use crate::engine::workspace::session::{OthersState, SessionError};
use crate::engine::workspace::snapshot::ViewError;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::manifest::{self, Diagnostic};
use crate::model::request::ProblemKind;
use crate::model::shown::with_causes;
use crate::state::StateError;
use crate::state::lock::LockError;

impl From<CommandError> for CommandFailure {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::StateCache(error) => error.into(),
            CommandError::Lockfile(error) => error.into(),
            error if error.kind() == ProblemKind::Credential => Self::of(Exit::Credential, &error, error.hint()),
            error => Self::of(Exit::Unreconciled, &error, error.hint()),
        }
    }
}

impl From<ProjectError> for CommandFailure {
    fn from(error: ProjectError) -> Self {
        Self::of(Exit::Unusable, &error, error.hint())
    }
}

impl From<GatherError> for CommandFailure {
    fn from(error: GatherError) -> Self {
        match error {
            GatherError::Project(error) => error.into(),
            GatherError::Manifest { diagnostics, text } => manifest_mistakes(&diagnostics, &text),
        }
    }
}

/// The mistakes of a manifest, with their lines for a person and their places for a script.
fn manifest_mistakes(diagnostics: &[Diagnostic], source: &str) -> CommandFailure {
    let mut rendered = manifest::render(diagnostics, source, true, super::output::stderr_columns());
    let count = super::output::plural(diagnostics.len() as u64, "mistake");
    rendered.push_str(&format!("\n{count} in the manifest\n"));
    CommandFailure {
        exit: Exit::Unusable,
        problems: diagnostics.iter().map(problem).collect(),
        rendered: Some(rendered),
        unknown: None,
    }
}

/// One mistake with its place.
pub(super) fn problem(diagnostic: &Diagnostic) -> ReportedProblem {
    ReportedProblem {
        message: diagnostic.message.clone(),
        hint: diagnostic.hint.clone(),
        file: Some(diagnostic.file.clone()),
        line: diagnostic.line,
        column: diagnostic.column,
    }
}

impl From<StateError> for CommandFailure {
    fn from(error: StateError) -> Self {
        let exit = if matches!(error, StateError::InUse { .. }) { Exit::Busy } else { Exit::Unusable };
        Self::of(exit, &error, error.hint())
    }
}

impl From<StateCacheError> for CommandFailure {
    fn from(error: StateCacheError) -> Self {
        match error {
            StateCacheError::State(error) => error.into(),
            StateCacheError::Lost(error) => {
                let exit = if error.is_taken() { Exit::Busy } else { Exit::Unusable };
                Self::of(exit, &error, error.hint())
            }
            StateCacheError::Apply(_) | StateCacheError::Closed => Self::of(Exit::Unusable, &error, None),
        }
    }
}

impl From<KeepError> for CommandFailure {
    fn from(error: KeepError) -> Self {
        match error {
            KeepError::Lockfile(error) => unusable_lockfile(&error),
            KeepError::StateCache(error) => error.into(),
        }
    }
}

impl From<OthersState> for CommandFailure {
    fn from(error: OthersState) -> Self {
        Self::of(Exit::Unusable, &error, Some(error.hint()))
    }
}

impl From<SessionError> for CommandFailure {
    fn from(error: SessionError) -> Self {
        match error {
            SessionError::Lock(error @ LockError::Held { .. }) => Self::of(Exit::Busy, &error, error.hint()),
            SessionError::Lock(error) => Self::of(Exit::Unusable, &error, error.hint()),
            SessionError::Others(error) => error.into(),
            SessionError::State(error) => error.into(),
            SessionError::Recover(error) => {
                let cause = with_causes(&error);
                let mut failure = Self::from(error);
                if let Some(problem) = failure.problems.last_mut() {
                    problem.message = format!("can't recover from an earlier run: {cause}");
                }
                failure
            }
            SessionError::Lockfile(error) => error.into(),
            SessionError::Thread(_) => Self::of(Exit::Unusable, &error, None),
        }
    }
}

impl From<SyncError> for CommandFailure {
    fn from(error: SyncError) -> Self {
        match error {
            SyncError::Gather(source) => source.into(),
            SyncError::Midway { source, .. } => (*source).into(),
            SyncError::StateCache(error) => error.into(),
            SyncError::Lockfile(error) => error.into(),
        }
    }
}

impl From<cloud::failure::Failure> for CommandFailure {
    /// The failure of a command that only reads from Roblox.
    fn from(error: cloud::failure::Failure) -> Self {
        let exit = if error.is_credential() { Exit::Credential } else { Exit::Unreconciled };
        Self::of(exit, &error, error.hint().map(str::to_owned))
    }
}

impl From<ViewError> for CommandFailure {
    fn from(error: ViewError) -> Self {
        match error {
            ViewError::State(error) => error.into(),
            ViewError::Lockfile(error) => unusable_lockfile(&error),
            ViewError::Gather(error) => error.into(),
            ViewError::Apply(_) => Self::of(Exit::Unusable, &error, None),
        }
    }
}
