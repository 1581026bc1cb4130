//! The decisions of the manifest's `[policy]`.

use std::time::Duration;

/// The reaction to a change of an asset made outside of Macadam.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum DriftPolicy {
    /// Say so.
    #[default]
    Report,
    /// Re-assert metadata and restore archived assets; content is never put back by itself.
    Heal,
}

/// The fate of an asset that is no longer wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LeavePolicy {
    /// Leave it.
    #[default]
    Keep,
    /// Archive it, after `archive_after`.
    Archive,
}

/// The way on for an upload without a clear answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AmbiguousCreate {
    /// Hold what has an upload quota or a fee, retry the rest.
    #[default]
    Auto,
    /// Send it again, and record the possible duplicate.
    Retry,
    /// Wait for `macadam resolve`.
    Hold,
}

/// The way on when Roblox's text filter refuses a display name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ModeratedName {
    /// Report it.
    #[default]
    Fail,
    /// Upload under a neutral name.
    Neutral,
}

/// The `[policy]` table with its defaults filled in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// See [`DriftPolicy`].
    pub drift: DriftPolicy,
    /// For an address that left the manifest.
    pub removed: LeavePolicy,
    /// For the old asset when a content is replaced.
    pub replaced: LeavePolicy,
    /// How long archiving waits: published places still use old IDs.
    pub archive_after: Duration,
    /// See [`AmbiguousCreate`].
    pub ambiguous_create: AmbiguousCreate,
    /// See [`ModeratedName`].
    pub moderated_name: ModeratedName,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            drift: DriftPolicy::default(),
            removed: LeavePolicy::default(),
            replaced: LeavePolicy::default(),
            archive_after: Duration::from_secs(14 * 24 * 60 * 60),
            ambiguous_create: AmbiguousCreate::default(),
            moderated_name: ModeratedName::default(),
        }
    }
}
