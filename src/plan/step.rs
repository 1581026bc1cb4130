//! What a plan consists of.

use std::collections::BTreeMap;
use std::fmt;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::asset::FileFormat;
use crate::model::change::Change;
use crate::model::history::RevisionKey;
use crate::model::ids::{AssetId, ContentHash, Revision};
use crate::model::metadata::{Description, DisplayName, Field, FieldDigests};
use crate::model::recorded::{AttemptId, Identity};

/// What to do, what not to do, and why.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// What to do, by address; the steps of one address follow one another.
    pub steps: Vec<Step>,
    /// What is not done, and what would free it.
    pub held: Vec<Hold>,
    /// What a person should know although nothing is done about it.
    pub notes: Vec<Note>,
    /// What becomes known without any request: written to the state before the steps.
    pub marks: Vec<Change>,
}

impl Plan {
    /// Whether carrying it out would change the remote, or is already changing it.
    pub fn changes_remote(&self) -> bool {
        !self.steps.is_empty()
    }
}

/// One thing to do for one address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// For which address.
    pub address: Address,
    /// What to do.
    pub action: Action,
    /// Why, for a person: lower case, no full stop.
    pub reason: String,
    /// Another address whose steps must be done before.
    pub after: Option<Address>,
    /// Not before this time: an earlier try failed.
    pub not_before: Option<Timestamp>,
}

/// Everything that an upload of a new asset needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAsset {
    /// What it will be.
    pub identity: Identity,
    /// The bytes.
    pub content: ContentHash,
    /// Their number.
    pub size: u64,
    /// Their format.
    pub format: FileFormat,
    /// The name: the managed one, or the file's stem.
    pub display_name: DisplayName,
    /// The description, where managed.
    pub description: Option<Description>,
    /// The most Robux that it may cost.
    pub expected_price: Option<u64>,
    /// The managed fields that go along.
    pub fields: FieldDigests,
}

/// A new value of a metadata field that can be sent today.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FieldChange {
    /// Another display name.
    DisplayName(DisplayName),
    /// Another description; an empty one clears it.
    Description(Description),
}

impl FieldChange {
    /// Which field.
    pub const fn field(&self) -> Field {
        match self {
            Self::DisplayName(_) => Field::DisplayName,
            Self::Description(_) => Field::Description,
        }
    }
}

/// What to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Upload a new asset.
    Create(Box<NewAsset>),
    /// Use the asset that another address has, or will have when its own steps are done: the bytes are the same.
    Share {
        /// The other address.
        owner: Address,
        /// Its revision with these bytes; `None` while its steps are still to be done.
        key: Option<RevisionKey>,
        /// What this address is.
        identity: Identity,
        /// The bytes.
        content: ContentHash,
        /// The asset that the address is now.
        from: Option<AssetId>,
    },
    /// Give a Model new content.
    UpdateContent {
        /// The asset.
        asset_id: AssetId,
        /// The newest version that is known.
        head: Option<Revision>,
        /// What the address is.
        identity: Identity,
        /// The bytes.
        content: ContentHash,
        /// Their number.
        size: u64,
        /// Their format.
        format: FileFormat,
    },
    /// Upload a new asset in place of an older one.
    Replace {
        /// The older asset.
        old: AssetId,
        /// The new one.
        new: Box<NewAsset>,
    },
    /// Go back to an asset that the address had before, after looking that it still lives.
    PointBack {
        /// The revision with the wanted bytes.
        to: RevisionKey,
        /// The asset that the address is now.
        from: AssetId,
    },
    /// Change metadata fields.
    UpdateMetadata {
        /// The asset.
        asset_id: AssetId,
        /// Exactly the fields that changed.
        changes: Vec<FieldChange>,
        /// All managed fields once that is done.
        fields: FieldDigests,
    },
    /// Look at the remote to learn what came of a change whose outcome is unknown.
    Settle {
        /// The change.
        attempt: AttemptId,
    },
    /// Follow an operation that Roblox already works on.
    Wait {
        /// The change under way.
        attempt: AttemptId,
    },
}

impl Action {
    /// The name in output.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Create(_) | Self::Share { from: None, .. } => "create",
            Self::UpdateContent { .. } => "update_content",
            Self::Replace { .. } | Self::PointBack { .. } | Self::Share { from: Some(_), .. } => "replace",
            Self::UpdateMetadata { .. } => "update_metadata",
            Self::Settle { .. } | Self::Wait { .. } => "wait",
        }
    }

    /// The asset that it concerns, where known.
    pub fn asset_id(&self) -> Option<AssetId> {
        match self {
            Self::UpdateContent { asset_id, .. } | Self::UpdateMetadata { asset_id, .. } => Some(*asset_id),
            Self::Replace { old, .. } => Some(*old),
            Self::PointBack { to, .. } => Some(to.asset_id),
            Self::Share { key: Some(key), .. } => Some(key.asset_id),
            Self::Create(_) | Self::Share { key: None, .. } | Self::Settle { .. } | Self::Wait { .. } => None,
        }
    }
}

/// Something that is not done, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// Which address.
    pub address: Address,
    /// What kind of obstacle.
    pub kind: HoldKind,
    /// Why: lower case, no full stop.
    pub reason: String,
    /// What would free it.
    pub hint: Option<String>,
}

/// What kind of obstacle holds an address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HoldKind {
    /// A person has to decide.
    Held,
    /// Moderation rejected this content.
    Rejected,
    /// The file can't be used, or Roblox refused it.
    Failed,
}

impl fmt::Display for HoldKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Held => "held",
            Self::Rejected => "rejected",
            Self::Failed => "failed",
        })
    }
}

/// Something to know, about which nothing is done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Which address, if one.
    pub address: Option<Address>,
    /// What: lower case, no full stop.
    pub text: String,
}

/// How often each action occurs in a plan.
pub fn count(plan: &Plan) -> BTreeMap<&'static str, u64> {
    let mut counts = BTreeMap::new();
    for step in &plan.steps {
        *counts.entry(step.action.name()).or_default() += 1;
    }
    if !plan.held.is_empty() {
        counts.insert("hold", plan.held.len() as u64);
    }
    counts
}
