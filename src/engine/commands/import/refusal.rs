//! Why an import ends without a change.

use crate::cloud::failure::Failure;
use crate::engine::commands::error::CommandError;
use crate::engine::commands::obstacle::Obstacle;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::ids::AssetId;

/// Why an asset was not imported. Nothing was changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ImportError {
    /// The manifest doesn't have the address.
    #[error("`{address}` is not in the manifest")]
    NotInManifest {
        /// The address as given.
        address: Address,
        /// The manifest's addresses, for suggestions.
        known: Vec<Address>,
    },
    /// The file can't be used, so the asset's type is unknown.
    #[error("the file of `{address}` can't be used: {why}")]
    File {
        /// The address.
        address: Address,
        /// The problem.
        why: String,
    },
    /// A change of the address is open.
    #[error("Macadam is still changing `{address}`{}", Obstacle::ending(.obstacle.as_ref()))]
    UnderWay {
        /// The address.
        address: Address,
        /// What keeps the next sync from ending that.
        obstacle: Option<Obstacle>,
    },
    /// The asset is this address's already.
    #[error("asset {asset_id} already belongs to `{address}`, and nothing is left to do")]
    Already {
        /// The asset as given.
        asset_id: AssetId,
        /// Its address.
        address: Address,
    },
    /// The asset is another address's already.
    #[error("asset {asset_id} already belongs to `{owner}`")]
    Taken {
        /// The asset as given.
        asset_id: AssetId,
        /// Its address.
        owner: Address,
    },
    /// The asset differs from the manifest.
    #[error("asset {asset_id} can't be `{address}`: {why}")]
    NotTheSame {
        /// The address.
        address: Address,
        /// The asset as given.
        asset_id: AssetId,
        /// The difference.
        why: String,
    },
    /// Roblox doesn't have it.
    #[error("can't check asset {asset_id}")]
    NotFound {
        /// The asset as given.
        asset_id: AssetId,
        /// Roblox's answer.
        source: Box<Failure>,
    },
    /// What any command may fail of.
    #[error(transparent)]
    Command(#[from] CommandError),
}

impl From<StateCacheError> for ImportError {
    fn from(error: StateCacheError) -> Self {
        Self::Command(error.into())
    }
}

impl ImportError {
    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::NotInManifest { .. } => Some("add it to the manifest first".to_owned()),
            Self::File { .. } => Some("`macadam check` shows what is wrong with it".to_owned()),
            Self::UnderWay { obstacle, .. } => Obstacle::hint_or(
                obstacle.as_ref(),
                "run `macadam sync --once` first; `macadam status` shows what is left to do",
            ),
            Self::Already { address, .. } => Some(format!("`macadam history {address:#}` shows it")),
            Self::Taken { owner, .. } => {
                Some(format!("`macadam history {owner:#}` shows it; one asset can't have two names"))
            }
            Self::NotTheSame { .. } => {
                Some("correct the manifest, or look for the right asset at create.roblox.com".to_owned())
            }
            Self::NotFound { .. } => Some("its ID is in the address of its page at create.roblox.com".to_owned()),
            Self::Command(error) => error.hint(),
        }
    }

    /// Returns the part that all commands share.
    pub(crate) const fn shared(&self) -> Option<&CommandError> {
        match self {
            Self::Command(error) => Some(error),
            _ => None,
        }
    }

    /// Returns the address that was asked for and the manifest doesn't have.
    pub(crate) const fn unknown(&self) -> Option<&Address> {
        match self {
            Self::NotInManifest { address, .. } => Some(address),
            _ => None,
        }
    }
}
