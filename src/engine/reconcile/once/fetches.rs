//! What a run asks of Roblox beside the steps of its plans: assets before the first plan, and
//! reviews after the last.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use jiff::Timestamp;

use super::{Stage, SyncError, SyncRun};
use crate::engine::reconcile::workers::{AnsweredQueries, End};
use crate::engine::remote::fetch::AssetQuery;
use crate::engine::remote::moderation::{self, Review};
use crate::engine::remote::observe::{self, QueryResult};
use crate::engine::report::progress::ProgressEvent;
use crate::model::history::RevisionState;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::platform::clock;

/// Returns queries for the reviews that are due.
fn due(reviews: &BTreeMap<AssetId, Review>, now: Timestamp) -> Vec<AssetQuery> {
    let due = reviews.iter().filter(|(_, review)| review.due() <= now);
    due.map(|(asset_id, _)| AssetQuery::plain(*asset_id)).collect()
}

impl SyncRun<'_> {
    /// Returns whether assets are to be fetched before the first plan.
    pub(super) fn is_urgent(&self) -> bool {
        let undecided = |recorded: &Recorded| {
            let mut facts = recorded.assets.values().flat_map(|record| record.history.iter());
            facts.any(|(_, fact)| matches!(fact.state, RevisionState::Reviewing | RevisionState::Unverified))
        };
        let lost = |recorded: &Recorded| !recorded.outdated.is_empty() || !recorded.not_found.is_empty();
        let any = |recorded: &Recorded| undecided(recorded) || lost(recorded);
        self.options.refresh || self.reconciler.session.state_cache.read(any)
    }

    /// Fetches assets before the first plan: all of them with `refresh`, otherwise those that are
    /// outdated, those that Roblox didn't find, and the reviews that are due.
    pub(super) fn fetch_urgent(&mut self) {
        let desired = &self.reconciler.wanted.desired;
        let queries = self.reconciler.session.state_cache.read(|recorded| {
            if self.options.refresh {
                return observe::queries(desired, recorded);
            }
            let now = clock::now();
            let mut queries = observe::urgent(observe::queries(desired, recorded), recorded, now);
            let reviews = due(&moderation::under_review(desired, recorded), now);
            let asked: BTreeSet<AssetId> = queries.iter().map(|query| query.asset_id).collect();
            queries.extend(reviews.into_iter().filter(|review| !asked.contains(&review.asset_id)));
            queries
        });
        self.reconciler.observe(queries, None);
    }

    /// Records what was fetched, and what follows.
    pub(super) async fn observed(&mut self, answered: AnsweredQueries) -> Result<(), SyncError> {
        for (asset_id, answer) in &answered.answers {
            if let QueryResult::Unknown { why } = answer {
                self.report.unasked.push((*asset_id, why.clone()));
            }
        }
        Ok(self.reconciler.record_observations(&answered.answers, |_, _| {}).await?)
    }

    /// Returns the assets under review.
    fn under_review(&self) -> BTreeMap<AssetId, Review> {
        let desired = &self.reconciler.wanted.desired;
        self.reconciler.session.state_cache.read(|recorded| moderation::under_review(desired, recorded))
    }

    /// Waits for reviews, if the run is to and there are any. Returns `false` at its end.
    pub(super) async fn wait_for_reviews(&mut self) -> Result<bool, SyncError> {
        if self.review_ends.is_none() {
            return Ok(false);
        }
        let waiting = self.under_review();
        if !self.wait_for_review(waiting, Duration::ZERO) {
            return Ok(false);
        }
        // The wait may be long, and a CI machine may disappear meanwhile.
        self.begin_lockfile().await;
        Ok(true)
    }

    /// Fetches the reviews that are due, and then scans again if one is over. Returns `false` at
    /// the end of the run.
    pub(super) async fn review(&mut self) -> Result<bool, SyncError> {
        let Stage::Reviewing { waiting, fetched } = &mut self.stage else { return Ok(false) };
        if self.options.stop.is_triggered() {
            return Ok(false);
        }
        if !std::mem::replace(fetched, true) {
            let due = due(waiting, clock::now());
            self.reconciler.secure().await?;
            self.reconciler.observe(due, None);
            return Ok(true);
        }
        let before = std::mem::take(waiting);
        // A query without a result is not repeated at once.
        let still = self.under_review();
        if still.keys().eq(before.keys()) {
            Ok(self.wait_for_review(still, moderation::SOONEST.unsigned_abs()))
        } else {
            self.scan_again().await
        }
    }

    /// Waits until the next of these reviews is due, but at least for `least`. Returns `false` if
    /// there is nothing to wait for, or no time left.
    fn wait_for_review(&mut self, waiting: BTreeMap<AssetId, Review>, least: Duration) -> bool {
        let left = self.review_ends.unwrap_or_default().saturating_sub(clock::elapsed());
        if waiting.is_empty() || left.is_zero() {
            return false;
        }
        let wait = moderation::wait(waiting.values(), clock::now()).max(least).min(left);
        let assets = waiting.len() as u64;
        (self.options.listener)(ProgressEvent::Reviewing { assets, left });
        let stop = self.options.stop.clone();
        self.reconciler.workers.run(async move {
            stop.or(tokio::time::sleep(wait)).await;
            End::Waited
        });
        self.stage = Stage::Reviewing { waiting, fetched: false };
        true
    }
}
