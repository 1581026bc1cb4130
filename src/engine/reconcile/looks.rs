//! What is asked of Roblox beside the steps of a plan: assets, operations that were set aside, and
//! what the key may do. Each is work of its own, and changes nothing at Roblox.

use std::collections::BTreeSet;
use std::time::Duration;

use futures_util::future::{Either, join_all, select};

use super::reconciler::{KeyStage, Reconciler};
use super::shutdown::Shutdown;
use super::workers::{AnsweredQueries, End};
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::observe;
use crate::engine::remote::overdue;
use crate::model::ids::{AssetId, Creator};
use crate::model::recorded::Recorded;

/// The longest wait, after the check of the key, for assets that are fetched beside it. They only
/// save time.
const HEADS_PATIENCE: Duration = Duration::from_millis(500);

impl Reconciler<'_> {
    /// Begins to fetch assets, each for at most `limit`. Steps that begin meanwhile cancel it: an
    /// answer that comes later might show what they wrote as somebody else's change.
    pub(super) fn observe(&mut self, queries: Vec<AssetQuery>, limit: Option<Duration>) {
        let (context, cancelled) = (self.context.clone(), Shutdown::default());
        self.observing = Some(cancelled.clone());
        self.workers.run(async move {
            let fetch = async |queries| {
                let fetching = observe::fetch_assets(&context.client, &context.throttle, &context.stop, queries);
                cancelled.or(fetching).await.unwrap_or_default()
            };
            let answers = match limit {
                Some(limit) => {
                    let each = queries.iter().map(|query| tokio::time::timeout(limit, fetch(vec![*query])));
                    join_all(each).await.into_iter().flatten().flatten().collect()
                }
                None => fetch(queries.clone()).await,
            };
            End::Observation(AnsweredQueries { queries, answers })
        });
    }

    /// Cancels fetches in progress: their assets are about to change.
    pub(super) fn cancel_observation(&mut self) {
        if let Some(observing) = &self.observing {
            observing.trigger_quietly();
        }
    }

    /// Begins to poll the operations that were set aside, unless that is in progress.
    pub(super) fn poll_overdue(&mut self) {
        if std::mem::replace(&mut self.polling_overdue, true) {
            return;
        }
        let context = self.context.clone();
        self.workers.run(async move { End::Overdue(overdue::poll(&context).await) });
    }

    /// Begins to check what the key may do, unless that is in progress, and does meanwhile what the
    /// steps behind it need: fetches the assets that are updated next, and makes room for outcomes.
    pub(super) fn check_key(&mut self, heads: Vec<AssetId>) {
        if self.key.stage == KeyStage::Asked {
            return;
        }
        self.key.stage = KeyStage::Asked;
        // Steps follow: the room for their outcomes is made meanwhile. A failure is told to the first
        // step, which needs it too.
        drop(self.session.state_cache.store().make_room());
        let known = |recorded: &Recorded| recorded.assets.values().map(|record| record.identity.creator).collect();
        let mut creators: BTreeSet<Creator> = self.session.state_cache.read(known);
        creators.extend(self.wanted.desired.assets.values().map(|want| want.creator));
        let (context, serial) = (self.context.clone(), self.key.serial);
        self.workers.run(async move {
            let fetching = context.fetch_heads(heads);
            let mut fetching = std::pin::pin!(fetching);
            let checking = context.may_begin(&creators);
            let may_begin = match select(std::pin::pin!(checking), fetching.as_mut()).await {
                Either::Left((may_begin, _)) => {
                    let _ = tokio::time::timeout(HEADS_PATIENCE, fetching).await; // see HEADS_PATIENCE
                    may_begin
                }
                Either::Right(((), checking)) => checking.await,
            };
            End::Key { serial, may_begin }
        });
    }

    /// Records the end of a check of the key. Returns whether a plan may begin now.
    pub(super) fn key_checked(&mut self, serial: u64, may_begin: bool) -> bool {
        if serial != self.key.serial {
            return false;
        }
        self.key.stage = KeyStage::Known;
        may_begin
    }

    /// Forgets what the key may do: there may be another one.
    pub(super) fn forget_key(&mut self) {
        self.key.stage = KeyStage::Unknown;
        self.key.serial += 1;
    }
}
