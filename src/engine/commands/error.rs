//! Why any command may fail, and the one way in which a command fetches an asset.

use crate::cloud::failure::Failure;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::remote::fetch::{self, AssetQuery};
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::ids::AssetId;
use crate::model::remote::RemoteAsset;
use crate::model::request::ProblemKind;

/// What the errors of all commands share.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// An asset could not be fetched.
    #[error("can't check asset {asset_id}")]
    Fetch {
        /// The asset.
        asset_id: AssetId,
        /// The cause.
        source: Box<Failure>,
    },
    /// A signal came before Roblox's response.
    #[error("interrupted: nothing was changed")]
    Interrupted,
    /// The state could not be written.
    #[error(transparent)]
    StateCache(#[from] StateCacheError),
    /// The lockfile could not be written.
    #[error(transparent)]
    Lockfile(#[from] KeepError),
}

impl CommandError {
    /// Returns how to fix it.
    pub(crate) fn hint(&self) -> Option<String> {
        match self {
            Self::Fetch { source, .. } => source.hint().map(str::to_owned),
            Self::Interrupted | Self::StateCache(_) | Self::Lockfile(_) => None,
        }
    }

    /// Returns the kind of the problem, for a request to the service.
    pub(crate) fn kind(&self) -> ProblemKind {
        match self {
            Self::Fetch { source, .. } if source.is_credential() => ProblemKind::Credential,
            Self::Fetch { .. } | Self::Interrupted => ProblemKind::Refused,
            Self::StateCache(_) | Self::Lockfile(_) => ProblemKind::Unusable,
        }
    }

    /// Returns whether Roblox has no such asset.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Fetch { source, .. } if source.is_not_found())
    }
}

/// Fetches an asset for a command.
///
/// # Errors
/// When Roblox doesn't have it, it can't be fetched, or the command is interrupted.
pub(super) async fn fetch(context: &ExecutionContext, query: AssetQuery) -> Result<RemoteAsset, CommandError> {
    let fetching = fetch::fetch(&context.client, &context.throttle, query);
    let fetched = context.stop.or(fetching).await.ok_or(CommandError::Interrupted)?;
    fetched.map_err(|source| CommandError::Fetch { asset_id: query.asset_id, source: Box::new(source) })
}
