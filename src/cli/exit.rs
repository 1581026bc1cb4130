//! Exit codes and errors as people and scripts see them.

use crate::engine::workspace::lockfile;
use crate::model::shown::with_causes;
use crate::state::lockfile::LockfileError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Exit {
    /// Everything is up to date, or the command is done.
    Success,
    /// Something is left to do, `--locked` found changes, or a command was refused.
    Unreconciled,
    /// `plan --detailed-exitcode` with changes.
    Changes,
    /// Manifest, lockfile or state has an error: nothing was changed.
    Unusable,
    /// No key, or Roblox refused it, or the account is moderated.
    Credential,
    /// Another Macadam is running in this project.
    Busy,
    /// Wrong usage.
    Usage,
    /// A signal, as 128 and its number.
    Signal(u8),
}

impl Exit {
    /// The code.
    pub(super) const fn code(self) -> u8 {
        match self {
            Self::Success => 0,
            Self::Unreconciled => 1,
            Self::Changes => 2,
            Self::Unusable => 3,
            Self::Credential => 4,
            Self::Busy => 5,
            Self::Usage => 64,
            Self::Signal(code) => code,
        }
    }
}

/// One thing to tell a person or a script.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct ReportedProblem {
    /// The message.
    pub message: String,
    /// The next step for a person.
    pub hint: Option<String>,
    /// The file with the error.
    pub file: Option<String>,
    /// Its line, from 1.
    pub line: Option<usize>,
    /// Its column in characters, from 1.
    pub column: Option<usize>,
}

/// The end of a command that did not do what it was asked for.
#[derive(Debug)]
pub(super) struct CommandFailure {
    /// The exit code.
    pub exit: Exit,
    /// The problems, at least one.
    pub problems: Vec<ReportedProblem>,
    /// Replaces the problems in text output: the errors of a manifest with their lines.
    pub rendered: Option<String>,
    /// The name in the last problem that names no asset, or none that was uploaded: it may have
    /// been renamed, which [`super::renamed`] says.
    pub unknown: Option<String>,
}

impl CommandFailure {
    /// One problem.
    pub(super) fn new(exit: Exit, message: impl Into<String>) -> Self {
        let problem = ReportedProblem { message: without_code(&message.into()), ..ReportedProblem::default() };
        Self { exit, problems: vec![problem], rendered: None, unknown: None }
    }

    /// A bug in Macadam.
    pub(super) fn defect(message: impl Into<String>) -> Self {
        let hint = "this is a bug in Macadam: please report it, with the text above. Nothing is lost: run the same command \
                    again to continue";
        Self::new(Exit::Unreconciled, message).hint(hint)
    }

    /// Adds a hint to the last problem.
    #[must_use]
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        if let Some(problem) = self.problems.last_mut() {
            problem.hint = Some(hint.into());
        }
        self
    }

    /// Says which name it is that names no asset.
    #[must_use]
    pub(super) fn unknown(mut self, name: impl Into<String>) -> Self {
        self.unknown = Some(name.into());
        self
    }

    /// An error with everything that caused it, outermost first.
    pub(super) fn of(exit: Exit, error: &dyn std::error::Error, hint: Option<String>) -> Self {
        let mut failure = Self::new(exit, with_causes(error));
        if let Some(problem) = failure.problems.last_mut() {
            problem.hint = hint;
        }
        failure
    }
}

/// A message without the number that the standard library adds to an error of the system: it says
/// nothing to a person that the words don't.
fn without_code(message: &str) -> String {
    const CODE: &str = " (os error ";
    let mut plain = String::with_capacity(message.len());
    let mut rest = message;
    while let Some((before, after)) = rest.split_once(CODE) {
        plain.push_str(before);
        rest = after.split_once(')').map_or("", |(_, after)| after);
    }
    plain.push_str(rest);
    plain
}

/// A lockfile that can't be used, with its place.
pub(super) fn unusable_lockfile(error: &LockfileError) -> CommandFailure {
    let mut failure = CommandFailure::of(Exit::Unusable, error, lockfile::hint(error));
    if let (Some(problem), Some(place)) = (failure.problems.last_mut(), error.place()) {
        problem.file = Some(place.file.display().to_string());
        problem.line = Some(place.line);
        problem.column = Some(place.column);
    }
    failure
}
