//! Looks at assets at the remote, by what is left of the budget: what is under review as it falls due, then drift. When: [`super::rounds`].

use std::time::Duration;

use jiff::Timestamp;

use super::{Beside, Service, ServiceError};
use crate::engine::refresh::{self, Answer};
use crate::model::change::Change;
use crate::model::recorded::Recorded;
use crate::platform::clock;

/// A look for drift that takes longer is given up: nothing else is begun meanwhile.
const LOOK_AROUND: Duration = Duration::from_secs(5);

impl Service<'_> {
    /// Uses what is left of the budget: looks at what has been due for the longest time.
    pub(super) async fn look_around(&mut self) -> Result<(), ServiceError> {
        let now = clock::elapsed();
        self.times.look = Some(now + self.rounds.pause());
        if !self.crew.is_idle() || self.refused.is_some() || self.times.git.is_some() {
            return Ok(());
        }
        let Some(question) = self.rounds.take(clock::now()) else {
            self.times.look = self.rounds.next_due().map(|at| now + until(at));
            return Ok(());
        };
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
            let follow = |recorded: &Recorded| {
                let changes = refresh::follow(recorded, asset_id, &answer, clock::now());
                self.needs.plan |= changes.iter().any(|change| is_news(recorded, change));
                changes
            };
            self.session.book.commit_with(follow).await?;
        }
        Ok(())
    }
}

/// Whether anything is otherwise than at the last look.
fn is_news(recorded: &Recorded, change: &Change) -> bool {
    match change {
        Change::See { asset } => recorded.seen.get(&asset.asset_id).is_none_or(|seen| seen.asset != *asset),
        _ => true,
    }
}

/// How long until a time of day; not at all where that is past.
pub(super) fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock::now())).unwrap_or(Duration::ZERO)
}
