//! Takes in the lockfile that the command merged: `macadam-commit-push` rebases onto what another
//! machine pushed meanwhile. The outputs follow from the merged lockfile, so they are written again.

use std::collections::BTreeSet;

use tokio::task::block_in_place;

use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::outputs::{self, OutputFile, OutputState};
use crate::engine::workspace::session::Session;
use crate::engine::workspace::snapshot::{self, ViewError};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;

/// What a merged lockfile changed.
#[derive(Debug)]
pub(crate) struct Merged {
    /// The outputs after it.
    pub outputs: Vec<OutputFile>,
    /// The addresses that have one more asset by it that isn't used: two machines uploaded their files.
    pub twice: BTreeSet<Address>,
}

/// Why a merged lockfile could not be taken in.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MergeError {
    /// The lockfile can't be used or written, or the state can't be written.
    #[error(transparent)]
    Lockfile(#[from] KeepError),
    /// The outputs can't be made.
    #[error(transparent)]
    View(#[from] ViewError),
}

/// Takes in the lockfile of `session`, which belongs to `remote`, if the command changed it, and writes
/// the outputs that differ: a rebase may have merged an output by its lines and left the lockfile alone.
/// `None` if all is as it was. Whatever is written is to be published too.
///
/// # Errors
/// When lockfile, manifest or state can't be used or written.
pub(crate) async fn take_in(session: &mut Session, remote: &str) -> Result<Option<Merged>, MergeError> {
    let is_changed = session.lockfile.is_changed()?;
    let before = session.state_cache.read(unused);
    if is_changed {
        session.keep(None).await?;
    }
    let after = session.state_cache.read(unused);
    let twice = after.difference(&before).map(|(address, _)| address.clone()).collect();
    let outputs = block_in_place(|| {
        let (drafts, _) = snapshot::outputs(&session.project, remote)?;
        Ok::<_, ViewError>(outputs::write(&session.project, drafts))
    })?;
    if outputs.iter().any(|output| output.state == OutputState::Written) {
        session.lockfile.mark_unreported(&session.state_cache).await.map_err(KeepError::from)?;
    } else if !is_changed {
        return Ok(None);
    }
    Ok(Some(Merged { outputs, twice }))
}

/// The assets that their addresses don't use, because another one has the same content.
fn unused(recorded: &Recorded) -> BTreeSet<(Address, AssetId)> {
    let duplicates =
        recorded.assets.iter().map(|(address, record)| (address, record.history.duplicates(record.identity.kind())));
    duplicates.flat_map(|(address, assets)| assets.into_iter().map(move |one| (address.clone(), one))).collect()
}
