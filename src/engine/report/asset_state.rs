//! The state of an address in one word.

/// The state of an address. If several apply, the first counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum AssetState {
    /// A person has to decide.
    Held,
    /// Moderation rejected its content.
    Rejected,
    /// Its file can't be used, or Roblox refused it.
    Failed,
    /// A request of it was sent and is not finished.
    InProgress,
    /// Its asset is archived.
    Archived,
    /// It left the manifest.
    Removed,
    /// Someone else changed its asset.
    Drifted,
    /// It is pinned to a revision.
    Pinned,
    /// The next sync has something to do for it.
    Pending,
    /// It is known only from another tool's files; the next sync checks it.
    Unverified,
    /// The remote matches.
    Synced,
}

impl AssetState {
    const ALL: [Self; 11] = [
        Self::Held,
        Self::Rejected,
        Self::Failed,
        Self::InProgress,
        Self::Archived,
        Self::Removed,
        Self::Drifted,
        Self::Pinned,
        Self::Pending,
        Self::Unverified,
        Self::Synced,
    ];

    /// Reads the name that [`AssetState::name`] gives.
    pub(in crate::engine) fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.name() == name)
    }

    /// Returns the name in output.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
            Self::InProgress => "in_progress",
            Self::Archived => "archived",
            Self::Removed => "removed",
            Self::Drifted => "drifted",
            Self::Pinned => "pinned",
            Self::Pending => "pending",
            Self::Unverified => "unverified",
            Self::Synced => "synced",
        }
    }
}

/// Why the content of a file is unknown without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::engine) enum Unknown {
    /// This machine has not read it yet.
    NeverLooked,
    /// Its size or times changed since it was read, and perhaps its bytes.
    Changed,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_schema_of_documents_has_every_state() {
        let schema: serde_json::Value = serde_json::from_str(include_str!("../../../docs/json.schema.json")).unwrap();
        let known = &schema["$defs"]["assetStatus"]["properties"]["state"]["enum"];
        assert_eq!(*known, serde_json::json!(AssetState::ALL.map(AssetState::name)));
    }
}
