//! Looks at assets at the remote, by what is left of the budget: what is under review as it falls
//! due, then drift. When: [`super::scan_schedule`].

use std::time::Duration;

use jiff::Timestamp;

use super::scan_schedule::Rounds;
use super::{Beside, Service, ServiceError};
use crate::engine::remote::observe::{self, AssetQuery, QueryResult};
use crate::engine::remote::set_aside;
use crate::model::change::Change;
use crate::model::ids::AssetId;
use crate::model::recorded::Recorded;
use crate::platform::clock;

/// A look at an asset that takes longer is given up: nothing else is begun meanwhile.
const LOOK_AROUND: Duration = Duration::from_secs(5);

/// What first looks tell is planned for after so long, together: on a new machine a round of them
/// takes hours.
const FIRST_LOOKS: Duration = Duration::from_secs(60);

impl Service<'_> {
    /// Uses what is left of the budget: looks at what has been due for the longest time.
    pub(super) async fn scan_drift(&mut self) -> Result<(), ServiceError> {
        let now = clock::elapsed();
        let again = |rounds: &Rounds| rounds.wait(clock::now()).map(|wait| now + wait);
        self.times.look = again(&self.rounds);
        if !self.workers.is_idle() || self.refused.is_some() || self.times.git.is_some() {
            return Ok(());
        }
        let queries = self.rounds.take(clock::now());
        self.times.look = again(&self.rounds);
        if queries.is_empty() {
            return Ok(());
        }
        let mut done = Vec::new();
        let with = Beside { ending: &self.ending, stop: &self.context.stop, pause: self.setting.interval };
        let (client, throttle, stop) = (&self.client, &self.context.throttle, &self.context.stop);
        let ask = async |query: AssetQuery| {
            // It has time; a change of a file has not.
            tokio::time::timeout(LOOK_AROUND, observe::fetch_assets(client, throttle, stop, vec![query]))
                .await
                .unwrap_or_default()
        };
        let asked = futures_util::future::join_all(queries.iter().copied().map(ask));
        let answers = Self::beside(&mut self.workers, &mut done, with, asked).await;
        let answers: Vec<(AssetId, QueryResult)> = answers.into_iter().flatten().collect();
        self.all_ended(done)?;
        for query in queries {
            let heard = |(asset_id, answer): &(AssetId, QueryResult)| {
                *asset_id == query.asset_id && !matches!(answer, QueryResult::Unknown { .. })
            };
            // An answer that may be older than Macadam's own last write decided nothing.
            let lags = self.session.state_cache.read(|recorded| recorded.may_lag(query.asset_id, clock::now()));
            if lags || !answers.iter().any(heard) {
                self.rounds.put_off(query.asset_id, clock::now());
            }
        }
        let mut news = News::None;
        for (asset_id, answer) in &answers {
            if let QueryResult::Unknown { why } = &answer {
                tracing::debug!(%asset_id, "could not be looked at: {why}");
            }
        }
        let follow = |recorded: &Recorded| {
            let follow = |(asset_id, answer)| observe::apply_observation(recorded, asset_id, answer, clock::now());
            let changes: Vec<Change> = answers.iter().map(|(id, answer)| (*id, answer)).flat_map(follow).collect();
            news = changes.iter().map(|change| News::of(recorded, change)).max().unwrap_or(News::None);
            changes
        };
        self.session.state_cache.commit_with(follow).await?;
        match news {
            News::None => {}
            News::First => {
                self.times.plan.get_or_insert(now + FIRST_LOOKS);
            }
            News::Other => self.needs.plan = true,
        }
        Ok(())
    }

    /// Asks about operations that nobody waits for any more.
    pub(super) async fn ask_set_aside(&mut self) -> Result<(), ServiceError> {
        if self.refused.is_some() {
            return Ok(());
        }
        let mut done = Vec::new();
        let with = Beside { ending: &self.ending, stop: &self.context.stop, pause: self.setting.interval };
        let asking = tokio::time::timeout(LOOK_AROUND, set_aside::ask(&self.context));
        let said = Self::beside(&mut self.workers, &mut done, with, asking).await;
        self.all_ended(done)?;
        let said = said.unwrap_or_default();
        if !said.is_empty() {
            set_aside::record(&self.session.state_cache, &said).await?;
            self.needs.lockfile.get_or_insert(clock::elapsed());
        }
        Ok(())
    }
}

/// What a look tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum News {
    /// All is as it was.
    None,
    /// How an asset is that nobody had looked at.
    First,
    /// Something is otherwise than at the last look.
    Other,
}

impl News {
    fn of(recorded: &Recorded, change: &Change) -> Self {
        match change {
            Change::RecordObservation { asset } => match recorded.seen.get(&asset.asset_id) {
                None => Self::First,
                Some(seen) if seen.asset == *asset => Self::None,
                Some(_) => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// How long until a time of day; not at all where that is past.
pub(super) fn until(at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(clock::now())).unwrap_or(Duration::ZERO)
}
