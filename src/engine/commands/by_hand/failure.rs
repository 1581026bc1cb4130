//! Why an archiving or a restoring by hand is not possible, and what to do. It does nothing itself.
//! Read next: [`super`].

use crate::engine::commands::error::CommandError;
use crate::engine::commands::obstacle::Obstacle;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::neighbours::OtherUse;
use crate::model::observation::Mismatch;

/// Why an asset is not archived or restored. Nothing was changed at Roblox.
#[derive(Debug, thiserror::Error)]
pub enum ByHandError {
    /// The address is unknown.
    #[error("there is no asset named `{address}`")]
    Unknown {
        /// The address as given.
        address: Address,
        /// The known addresses, for suggestions.
        known: Vec<Address>,
    },
    /// The address has no asset.
    #[error("`{address}` has no asset yet{}", Obstacle::ending(.obstacle.as_ref()))]
    NoAsset {
        /// The address.
        address: Address,
        /// What keeps the next sync from uploading it.
        obstacle: Option<Obstacle>,
    },
    /// A change of the address is open.
    #[error("Macadam is still changing `{address}`{}", Obstacle::ending(.obstacle.as_ref()))]
    UnderWay {
        /// The address.
        address: Address,
        /// What keeps the next sync from ending that.
        obstacle: Option<Obstacle>,
    },
    /// Another entry of the manifest needs the asset.
    #[error("asset {asset_id} of `{address}` is also used by {by}")]
    InUse {
        /// The address.
        address: Address,
        /// Its asset.
        asset_id: AssetId,
        /// The user of the asset, for a person.
        by: String,
    },
    /// Another manifest of the repository uses the asset, or may use it.
    #[error("asset {asset_id} of `{address}` can't be archived: {by}")]
    InUseElsewhere {
        /// The address.
        address: Address,
        /// Its asset.
        asset_id: AssetId,
        /// By whom.
        by: OtherUse,
    },
    /// It is archived already.
    #[error("asset {asset_id} of `{address}` is already archived")]
    Archived {
        /// The address.
        address: Address,
        /// Its asset.
        asset_id: AssetId,
    },
    /// It is not archived.
    #[error("asset {asset_id} of `{address}` is not archived")]
    NotArchived {
        /// The address.
        address: Address,
        /// Its asset.
        asset_id: AssetId,
    },
    /// It left the manifest, whose policy archives it again.
    #[error(
        "`{address}` left the manifest, so a sync would archive asset {asset_id} again (`policy.removed = \"archive\"`)"
    )]
    Removed {
        /// The address.
        address: Address,
        /// Its asset.
        asset_id: AssetId,
    },
    /// It is a different asset from the one recorded.
    #[error("{mismatch}")]
    Foreign {
        /// The difference.
        mismatch: Mismatch,
    },
    /// Roblox responded that it doesn't have the asset, which a single time proves nothing.
    #[error("Roblox says that there is no asset {asset_id} (`{address}`)")]
    NotFound {
        /// The address.
        address: Address,
        /// Its asset.
        asset_id: AssetId,
    },
    /// Roblox doesn't have it.
    #[error("Roblox no longer has asset {asset_id} of `{address}`")]
    Gone {
        /// The address.
        address: Address,
        /// Its asset.
        asset_id: AssetId,
    },
    /// What any command may fail of.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StateCacheError> for ByHandError {
    fn from(error: StateCacheError) -> Self {
        Self::Command(error.into())
    }
}

impl ByHandError {
    /// Returns how to fix it.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::NoAsset { obstacle, .. } | Self::UnderWay { obstacle, .. } => Obstacle::hint_or(
                obstacle.as_ref(),
                "run `macadam sync --once` first; `macadam status` shows what is left to do",
            ),
            Self::InUse { .. } => Some("remove that from the manifest first".to_owned()),
            Self::InUseElsewhere { address, by: OtherUse::Manifest { manifest, .. }, .. } => Some(format!(
                "remove it from {manifest} first, and sync that; `macadam forget {address:#}` drops it from this lockfile alone"
            )),
            Self::InUseElsewhere { by: OtherUse::Lockfile { lockfile }, .. } => {
                Some(format!("remove {lockfile} if nothing needs its assets"))
            }
            Self::InUseElsewhere { by: OtherUse::Unread { file }, .. } => {
                Some(format!("make {file} readable, and try again"))
            }
            Self::InUseElsewhere { by: OtherUse::Unasked { .. }, .. } => {
                Some("install git, or fix what it complains of, and try again".to_owned())
            }
            Self::Archived { address, .. } => Some(format!("undo with `macadam restore {address:#}`")),
            Self::NotArchived { .. } => Some("`macadam status` shows what is archived".to_owned()),
            Self::Removed { address, asset_id } => Some(format!(
                "put its file and its place in the manifest back, as with git revert, and the next sync restores it; or write `\"{address}\" = {asset_id}` under [existing], which keeps the asset without a file, and `macadam restore {address:#}`"
            )),
            Self::Foreign { mismatch } => Some(mismatch.hint().to_owned()),
            Self::NotFound { .. } => Some("try again in a few minutes: Roblox may have a short outage".to_owned()),
            Self::Gone { address, .. } => Some(format!(
                "`macadam retry {address:#}` asks Roblox again with the next sync; after `macadam forget {address:#}` the next sync uploads the file as a new asset"
            )),
            Self::Command(error) => error.hint(),
            Self::Unknown { .. } => None,
        }
    }

    /// Returns the part that all commands share.
    pub(crate) const fn shared(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the address that was asked for and names no asset, or none that was uploaded.
    pub(crate) const fn unknown(&self) -> Option<&Address> {
        match self {
            Self::Unknown { address, .. } | Self::NoAsset { address, .. } => Some(address),
            _ => None,
        }
    }
}
