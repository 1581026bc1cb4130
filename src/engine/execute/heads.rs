//! What Roblox said of assets a moment before their updates: fetched while the key is checked, so
//! that a lone update doesn't wait for one answer after the other.
//!
//! An answer is used once, whatever it says, and only while it is as good as one that is asked for
//! now. Read next: [`super::executor`], which never updates an asset whose newest revision it
//! doesn't know.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use crate::cloud::failure::Failure;
use crate::model::ids::AssetId;
use crate::model::remote::RemoteAsset;

/// How long an answer is used after it was asked for: about as long as the answers to the fetch and
/// to the key's check take, so that the window in which somebody else may change the asset unseen
/// stays that of a fetch just before the update. An update that waits for the limits asks again.
const FRESH: Duration = Duration::from_secs(1);

type Answer = Result<RemoteAsset, Failure>;

/// Answers by asset, with the time when each was asked for. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct FetchedHeads {
    answers: Arc<Mutex<BTreeMap<AssetId, (Duration, Answer)>>>,
}

impl FetchedHeads {
    /// Keeps the answer to a request that was sent at `asked`, a time of this process.
    pub(super) fn put(&self, asset_id: AssetId, answer: Answer, asked: Duration) {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        answers.insert(asset_id, (asked, answer));
    }

    /// Takes the answer about an asset, if it is fresh.
    pub(super) fn take(&self, asset_id: AssetId, now: Duration) -> Option<Answer> {
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let (asked, answer) = answers.remove(&asset_id)?;
        (now.saturating_sub(asked) < FRESH).then_some(answer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_used_once_and_while_it_is_fresh() {
        let (heads, id) = (FetchedHeads::default(), AssetId::new(7).unwrap());
        let at = Duration::from_millis;
        assert!(heads.take(id, at(0)).is_none());
        heads.put(id, Ok(RemoteAsset::unknown(id)), at(100));
        assert!(heads.take(id, at(1099)).is_some());
        assert!(heads.take(id, at(1099)).is_none(), "once");
        heads.put(id, Ok(RemoteAsset::unknown(id)), at(100));
        assert!(heads.take(id, at(1100)).is_none(), "too old");
    }
}
