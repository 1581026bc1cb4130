//! Looks at assets at the remote, by what is left of the budget: moderation that is due first, then drift.

use std::time::Duration;

use super::{Beside, PULSE, Service, ServiceError};
use crate::engine::refresh::{self, Answer, Question};
use crate::engine::review;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::platform::clock;

/// The whole of the assets is looked at for drift within this time, as far as the budget allows.
const DRIFT_ROUND: Duration = Duration::from_hours(6);

/// Looks for drift take at most half of the budget of 120 a minute, so that no update waits for them.
const DRIFT_LEAST: Duration = Duration::from_secs(1);

/// A look for drift that takes longer is given up: nothing else is begun meanwhile.
const LOOK_AROUND: Duration = Duration::from_secs(5);

impl Service<'_> {
    /// Uses what is left of the budget: looks at what is under review and due, else at the asset that nobody looked at for the longest time.
    pub(super) async fn look_around(&mut self) -> Result<(), ServiceError> {
        let now = clock::elapsed();
        let assets = self.session.book.read(|recorded| refresh::questions(&self.desired, recorded));
        let pause = DRIFT_ROUND.checked_div(u32::try_from(assets.len().max(1)).unwrap_or(u32::MAX));
        self.times.drift = now + pause.unwrap_or(DRIFT_LEAST).clamp(DRIFT_LEAST, PULSE);
        if !self.crew.is_idle() || self.refused.is_some() || self.times.git.is_some() {
            return Ok(());
        }
        let question = self.session.book.read(|recorded| next_question(recorded, &self.desired, &assets));
        let Some(question) = question else { return Ok(()) };
        let mut done = Vec::new();
        let with = Beside { ending: &self.ending, stop: &self.hands.stop, pause: self.setting.interval };
        let asking = refresh::ask(&self.client, &self.hands.gate, &self.hands.stop, vec![question]);
        // It has time; a change of a file has not.
        let asked = tokio::time::timeout(LOOK_AROUND, asking);
        let answers = Self::beside(&mut self.crew, &mut done, with, asked).await.unwrap_or_default();
        self.all_ended(done)?;
        for (asset_id, answer) in answers {
            if let Answer::Unknown { why } = &answer {
                tracing::debug!(%asset_id, "could not be looked at: {why}");
            }
            let follow = |recorded: &Recorded| refresh::follow(recorded, asset_id, &answer, clock::now());
            let changes = self.session.book.commit_with(follow).await?;
            // Its description alone is no news.
            self.needs.plan |= !changes.is_empty();
        }
        Ok(())
    }
}

/// What to look at next: what is under review and due, else what was not looked at for the longest time and at least a round.
fn next_question(recorded: &Recorded, desired: &Desired, assets: &[Question]) -> Option<Question> {
    let now = clock::now();
    let reviewed = refresh::under_review(desired, recorded);
    if let Some(asset_id) = reviewed.into_iter().find(|asset_id| review::due(recorded, *asset_id) <= now) {
        return Some(Question { asset_id, extras: false });
    }
    let looked = |asset_id: AssetId| recorded.seen.get(&asset_id).map(|seen| seen.at);
    let oldest = assets.iter().min_by_key(|question| looked(question.asset_id))?;
    let old = looked(oldest.asset_id).is_none_or(|at| now.duration_since(at).unsigned_abs() >= DRIFT_ROUND);
    old.then_some(*oldest)
}
