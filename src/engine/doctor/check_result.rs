//! What a check of the surroundings found.

/// What a check is about. Its name is stable in `--json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CheckTopic {
    /// The manifest.
    Manifest,
    /// The asset files.
    Files,
    /// The assets that wait for a person.
    Assets,
    /// Their line endings.
    LineEndings,
    /// The way to Roblox.
    Network,
    /// This machine's clock.
    Clock,
    /// The API key.
    Key,
    /// The owners in the manifest.
    Creator,
    /// The state.
    State,
    /// The lockfile.
    Lockfile,
    /// Git's part in the lockfile.
    Git,
    /// The outputs.
    Outputs,
    /// What the service needs to watch files.
    Watching,
    /// The disks of project and state.
    Disk,
}

impl CheckTopic {
    /// The name.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Manifest => "manifest",
            Self::Files => "files",
            Self::Assets => "assets",
            Self::LineEndings => "line_endings",
            Self::Network => "network",
            Self::Clock => "clock",
            Self::Key => "key",
            Self::Creator => "creator",
            Self::State => "state",
            Self::Lockfile => "lockfile",
            Self::Git => "git",
            Self::Outputs => "outputs",
            Self::Watching => "watching",
            Self::Disk => "disk",
        }
    }
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum CheckOutcome {
    /// Nothing is wrong.
    Fine,
    /// It could not be checked.
    Unchecked,
    /// Something may go wrong.
    Warning,
    /// Something doesn't work.
    Error,
}

impl CheckOutcome {
    /// The stable name in `--json`.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Fine => "ok",
            Self::Unchecked => "unchecked",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CheckResult {
    /// What it is about.
    pub topic: CheckTopic,
    /// How it ended.
    pub outcome: CheckOutcome,
    /// What was found: lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

impl CheckResult {
    fn new(topic: CheckTopic, outcome: CheckOutcome, message: impl Into<String>) -> Self {
        Self { topic, outcome, message: message.into(), hint: None }
    }

    pub(super) fn fine(topic: CheckTopic, message: impl Into<String>) -> Self {
        Self::new(topic, CheckOutcome::Fine, message)
    }

    pub(super) fn unchecked(topic: CheckTopic, message: impl Into<String>) -> Self {
        Self::new(topic, CheckOutcome::Unchecked, message)
    }

    pub(crate) fn warning(topic: CheckTopic, message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..Self::new(topic, CheckOutcome::Warning, message) }
    }

    pub(super) fn error(topic: CheckTopic, message: impl Into<String>, hint: Option<String>) -> Self {
        Self { hint, ..Self::new(topic, CheckOutcome::Error, message) }
    }
}
