//! Which asset the service looks at next, and when: what is under review as it falls due, and in between all assets, one after another, for drift.
//!
//! Made anew with every plan, which is when what it depends on changes. Pure: time is an argument. Read next: [`super::around`], which carries it out.

use std::cmp::Reverse;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::engine::refresh::{self, Question};
use crate::engine::review::{self, Review};
use crate::model::desired::Desired;
use crate::model::recorded::Recorded;
use crate::plan::shelf;

/// The whole of the assets is looked at for drift within this time, as far as the budget allows.
const DRIFT_ROUND: SignedDuration = SignedDuration::from_hours(6);

/// What is under review takes at most half of the budget of 120 a minute, so that no update waits for it.
const LEAST: Duration = Duration::from_secs(1);

/// Where assets are many, those of this time are looked at together, so that the service wakes as rarely as it does for nothing.
const TOGETHER: Duration = Duration::from_secs(15);

/// So many at most, which is half of the budget again: of more assets a round takes longer.
const MOST_AT_ONCE: u128 = 15;

/// Where they are few, those that are overdue, as after a start, are looked at in this step.
const OVERDUE: Duration = Duration::from_secs(5);

/// A look that is to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Look {
    at: Timestamp,
    question: Question,
    /// Where moderation has not decided, since when.
    review: Option<Review>,
}

impl Look {
    /// At a question that was asked last at `seen`, if ever.
    fn after(seen: Option<Timestamp>, question: Question, review: Option<Review>) -> Self {
        let drift = seen.map_or(Timestamp::MIN, |at| at.saturating_add(DRIFT_ROUND).unwrap_or(Timestamp::MAX));
        let review = review.map(|review| Review { looked: seen, ..review });
        Self { at: review.map_or(drift, |review| review.due().min(drift)), question, review }
    }

    fn place(&self) -> impl Ord + use<> {
        (self.at, self.question)
    }
}

/// What is to be looked at, and when.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Rounds {
    /// By when it is due, the latest first, so that the next one is popped.
    looks: Vec<Look>,
    /// When the first asset that is on its way out may be archived.
    archiving: Option<Timestamp>,
}

impl Rounds {
    /// The looks that follow from what is wanted and known.
    pub(super) fn new(desired: &Desired, recorded: &Recorded, now: Timestamp) -> Self {
        let reviews = review::under_review(desired, recorded);
        let look = |question: Question| {
            // What was seen in a future that a clock dreamt of counts as never seen.
            let seen = recorded.seen.get(&question.asset_id).map(|seen| seen.at).filter(|at| *at <= now);
            Look::after(seen, question, reviews.get(&question.asset_id).copied())
        };
        let mut looks: Vec<Look> = refresh::questions(desired, recorded).into_iter().map(look).collect();
        looks.sort_unstable_by_key(|look| Reverse(look.place()));
        let coming = recorded.assets.iter().flat_map(|(address, record)| shelf::coming(address, record, desired));
        let archiving = coming.map(|coming| coming.at).filter(|at| *at > now).min();
        Self { looks, archiving }
    }

    /// The least time between two looks: what is under review is asked for as it falls due, and a round for drift takes as long as it may.
    pub(super) fn pause(&self) -> Duration {
        if self.is_reviewing() {
            LEAST
        } else if self.share() < TOGETHER {
            TOGETHER
        } else {
            OVERDUE
        }
    }

    /// The part of a round that one asset has.
    fn share(&self) -> Duration {
        let assets = u32::try_from(self.looks.len().max(1)).unwrap_or(u32::MAX);
        DRIFT_ROUND.unsigned_abs().checked_div(assets).unwrap_or_default()
    }

    fn is_reviewing(&self) -> bool {
        self.looks.last().is_some_and(|look| look.review.is_some())
    }

    /// When there is something to look at; `None` where there is no asset.
    pub(super) fn next_due(&self) -> Option<Timestamp> {
        self.looks.last().map(|look| look.at)
    }

    /// What is due, as much of it as one look may be about.
    pub(super) fn take_some(&mut self, now: Timestamp) -> Vec<Question> {
        let share = self.share().as_millis().max(1);
        let most = if self.is_reviewing() { 1 } else { TOGETHER.as_millis().div_ceil(share).min(MOST_AT_ONCE) };
        (0..most).map_while(|_| self.take(now)).collect()
    }

    /// What is due; it comes again when it is due again, or as the next plan says.
    fn take(&mut self, now: Timestamp) -> Option<Question> {
        let Look { question, review, .. } = self.looks.pop_if(|look| look.at <= now)?;
        let again = Look::after(Some(now), question, review);
        let place = self.looks.partition_point(|look| look.place() > again.place());
        self.looks.insert(place, again);
        Some(question)
    }

    /// Whether an asset may be archived that could not before; told once.
    pub(super) fn take_archiving(&mut self, now: Timestamp) -> bool {
        self.archiving.take_if(|at| *at <= now).is_some()
    }

    /// When that is.
    pub(super) const fn archiving(&self) -> Option<Timestamp> {
        self.archiving
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ids::AssetId;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_second(seconds).unwrap()
    }

    fn look(seconds: i64, asset_id: u64) -> Look {
        let question = Question { asset_id: AssetId::new(asset_id).unwrap(), extras: false };
        Look { at: at(seconds), question, review: None }
    }

    #[test]
    fn what_is_due_longest_comes_first_and_again_after_a_round() {
        let mut rounds = Rounds { looks: vec![look(300, 3), look(200, 2), look(100, 1)], archiving: None };
        assert_eq!((rounds.next_due(), rounds.take(at(99))), (Some(at(100)), None));
        let mut seen = Vec::new();
        while let Some(question) = rounds.take(at(250)) {
            seen.push(question.asset_id.get());
        }
        assert_eq!(seen, [1, 2]);
        assert_eq!(rounds.next_due(), Some(at(300)));
        assert_eq!(rounds.take(at(400)).map(|question| question.asset_id.get()), Some(3));
        assert_eq!(rounds.next_due(), Some(at(250 + 6 * 3600)));
        assert_eq!(rounds.looks.len(), 3, "nothing is lost");
    }

    #[test]
    fn many_are_looked_at_together_within_half_of_the_budget() {
        let rounds = |assets: u64| Rounds { looks: (1..=assets).map(|id| look(0, id)).collect(), archiving: None };
        for (assets, pause, together) in [(1, 5, 1), (1_000, 5, 1), (10_000, 15, 7), (100_000, 15, 15)] {
            let mut rounds = rounds(assets);
            assert_eq!(rounds.pause(), Duration::from_secs(pause), "{assets}");
            assert_eq!(rounds.take_some(at(1)).len(), together, "{assets}");
        }
    }

    #[test]
    fn what_is_under_review_comes_again_soon_then_ever_more_rarely() {
        let review = Some(Review { begun: Some(at(0)), looked: None });
        let mut rounds = Rounds { looks: vec![look(500, 2), Look { review, ..look(0, 1) }], archiving: None };
        let mut looked = Vec::new();
        for now in 0..500 {
            looked.extend(rounds.take(at(now)).map(|_| now));
        }
        assert_eq!(looked[..4], [0, 2, 4, 6]);
        assert!(looked.windows(3).all(|w| w[2] - w[1] >= w[1] - w[0]), "{looked:?}");
        assert!(looked.len() < 25, "{looked:?}");
        assert_eq!(rounds.take(at(500)).map(|question| question.asset_id.get()), Some(2), "it keeps nobody waiting");
    }

    #[test]
    fn an_archiving_falls_due_once() {
        let mut rounds = Rounds { looks: Vec::new(), archiving: Some(at(100)) };
        assert!(!rounds.take_archiving(at(99)));
        assert!(rounds.take_archiving(at(100)));
        assert!(!rounds.take_archiving(at(101)));
        assert_eq!(rounds.archiving(), None);
    }
}
