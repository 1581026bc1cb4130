//! Keeps Macadam under Roblox's rate limits without any configuration.
//!
//! [`RateLimits`] holds one budget for each [`Budget`] and [`LimitOwner`], because Roblox counts
//! for the owner of a key, not for the key (creator-docs: cloud/reference/rate-limits.md). Every
//! request acquires a [`Permit`] from its budget and returns it with its outcome, so that all
//! requests learn from each. Windows are fixed and steered by the headers of every response; see
//! `meter` for the rules.
//!
//! Pure: it never sends, sleeps, reads a clock, or repeats anything. Read next: [`sample`] for the
//! headers, `meter` for one budget, `window` for its windows, `simulation` for the proof against a
//! simulated server.

mod meter;
mod recent;
pub(crate) mod sample;
#[cfg(test)]
pub(in crate::cloud) mod simulation;
mod window;

use super::moment::Moment;
use crate::model::urgency::Urgency;
use jiff::{SignedDuration, Timestamp};
use meter::{Grant, Meter, SavedBudget};
pub use sample::LimitSample;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// The endpoints, each of which Roblox limits separately.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Budget {
    /// `POST /assets`.
    CreateAsset,
    /// `GET /assets/{id}`.
    GetAsset,
    /// `PATCH /assets/{id}`.
    UpdateAsset,
    /// `POST /assets/{id}:archive`.
    Archive,
    /// `POST /assets/{id}:restore`.
    Restore,
    /// `GET /assets/{id}/versions`.
    ListVersions,
    /// `GET /assets/{id}/versions/{number}`.
    GetVersion,
    /// `POST /assets/{id}/versions:rollback`.
    Rollback,
    /// `GET /operations/{id}`.
    Operations,
}

impl Budget {
    /// Every budget.
    pub(crate) const ALL: [Self; 9] = [
        Self::CreateAsset,
        Self::GetAsset,
        Self::UpdateAsset,
        Self::Archive,
        Self::Restore,
        Self::ListVersions,
        Self::GetVersion,
        Self::Rollback,
        Self::Operations,
    ];

    /// Returns the documented limit in requests per minute (creator-docs:
    /// reference/cloud/assets/v1.json, `x-roblox-rate-limits` and `x-roblox-throttling-limit`).
    /// Operations have 300 per owner, but 100 per key.
    pub(crate) const fn documented_limit(self) -> u32 {
        match self {
            Self::CreateAsset | Self::GetAsset | Self::UpdateAsset => 120,
            Self::Archive | Self::Restore | Self::ListVersions | Self::GetVersion | Self::Rollback => 100,
            Self::Operations => 100,
        }
    }

    /// Returns the name in the state.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CreateAsset => "create_asset",
            Self::GetAsset => "get_asset",
            Self::UpdateAsset => "update_asset",
            Self::Archive => "archive",
            Self::Restore => "restore",
            Self::ListVersions => "list_versions",
            Self::GetVersion => "get_version",
            Self::Rollback => "rollback",
            Self::Operations => "operations",
        }
    }
}

/// The limit of a server that documents none: more than one machine ever sends in a minute.
const UNDOCUMENTED: u32 = 10_000_000;

/// The owner of the key, for whom Roblox counts, or a stand-in while the owner is unknown. Never
/// the key itself.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct LimitOwner(Arc<str>);

impl LimitOwner {
    /// Makes an owner from a name that is the same in every run, such as `user:123`.
    pub(crate) fn new(name: &str) -> Self {
        Self(name.into())
    }
}

impl fmt::Display for LimitOwner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The result of asking for a permit.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Acquire {
    /// The request may go, once. Return the permit afterwards.
    Go(Permit),
    /// Not yet. Ask again at `until` or after the next report on this budget, whichever comes
    /// first.
    Wait {
        /// The time until which to wait. Without one, only a report can help.
        until: Option<Moment>,
    },
}

/// The permission to send one request. A permit that never comes back keeps its place in the
/// budget.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "report what came of the request, or release the permit"]
pub(crate) struct Permit {
    budget: Budget,
    owner: LimitOwner,
    grant: Grant,
}

/// The outcome of a request as far as limits are concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LimitSignal {
    /// The service sent any response but a 429. Without headers the documented limits apply.
    Answer(LimitSample),
    /// A 429 from the gateway or the service.
    Limited(LimitSample),
    /// No response, or one that is not the service's: it is unknown whether the request counted.
    Silence,
}

/// The state's row for one budget.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct LimitRecord {
    /// [`Budget::name`].
    pub budget: String,
    /// The owner's name.
    pub owner: String,
    /// Requests per window.
    pub limit: u32,
    /// Requests left in the window.
    pub remaining: u32,
    /// The time when the window ends, or the budget opens again.
    pub window_ends_at: Timestamp,
}

/// The longest time that a remembered window can still last. A longer one was written under another
/// clock.
const LONGEST_MEMORY: Duration = Duration::from_secs(62);

/// The budgets of a remote.
#[derive(Debug, Clone, Default)]
pub(crate) struct RateLimits {
    meters: BTreeMap<(Budget, LimitOwner), Meter>,
    /// The server documents no limits.
    is_undocumented: bool,
    /// Whether a part of each budget is kept for urgent requests.
    keeps_reserve: bool,
}

impl RateLimits {
    /// Makes budgets that know only the documented limits.
    #[cfg(test)]
    pub(crate) fn new() -> Self {
        Self::default()
    }

    /// Keeps a part of each budget for urgent requests from now on.
    pub(crate) fn keep_reserve(&mut self) {
        self.keeps_reserve = true;
    }

    /// Asks for a permit to send a request now.
    pub(crate) fn acquire(&mut self, budget: Budget, owner: &LimitOwner, urgency: Urgency, now: Moment) -> Acquire {
        let leaves_reserve = self.keeps_reserve && !urgency.is_urgent();
        match self.meter(budget, owner).acquire(leaves_reserve, now) {
            Ok(grant) => Acquire::Go(Permit { budget, owner: owner.clone(), grant }),
            Err(hold) => hold,
        }
    }

    /// Takes back the permit of a request that was sent, with its outcome. `jitter` (0 to 1)
    /// spreads the requests that wake up after a 429.
    pub(crate) fn report(&mut self, permit: Permit, signal: LimitSignal, jitter: f64, now: Moment) {
        let Permit { budget, owner, grant } = permit;
        self.meter(budget, &owner).report(grant, signal, jitter, now);
    }

    /// Takes back the permit of a request of which no byte was sent.
    pub(crate) fn release_unsent(&mut self, permit: Permit) {
        let Permit { budget, owner, grant } = permit;
        self.meter(budget, &owner).release(grant);
    }

    /// Returns the rows to remember beyond this run. `wall` is the time of day at `now`.
    pub(crate) fn snapshot(&self, now: Moment, wall: Timestamp) -> Vec<LimitRecord> {
        let rows = self.meters.iter().filter_map(|((budget, owner), meter)| {
            let SavedBudget { limit, remaining, ends_at } = meter.memory(now)?;
            let window_ends_at = wall.checked_add(ends_at.since(now)).ok()?;
            Some(LimitRecord {
                budget: budget.name().to_owned(),
                owner: owner.to_string(),
                limit,
                remaining,
                window_ends_at,
            })
        });
        rows.collect()
    }

    /// Restores the budgets of an earlier run. Rows of unknown budgets are skipped.
    pub(crate) fn restore(rows: &[LimitRecord], now: Moment, wall: Timestamp) -> Self {
        let meters = rows.iter().filter_map(|row| {
            let LimitRecord { budget, owner, limit, remaining, window_ends_at } = row;
            let budget = Budget::ALL.into_iter().find(|known| known.name() == budget)?;
            let left: SignedDuration = window_ends_at.duration_since(wall);
            let left = Duration::try_from(left).unwrap_or(Duration::ZERO).min(LONGEST_MEMORY);
            let memory = SavedBudget { limit: *limit, remaining: *remaining, ends_at: now + left };
            Some(((budget, LimitOwner::new(owner)), Meter::remembered(budget.documented_limit(), memory, now)))
        });
        Self { meters: meters.collect(), ..Self::default() }
    }

    /// Returns limits that only the headers of responses set, for a server that isn't Roblox.
    pub(crate) fn without_documented() -> Self {
        Self { is_undocumented: true, ..Self::default() }
    }

    /// Returns the requests that a budget has a minute, as far as is known; `None` without a limit.
    pub(crate) fn a_minute(&self, budget: Budget, owner: &LimitOwner) -> Option<u32> {
        let reported = self.meters.get(&(budget, owner.clone())).and_then(Meter::reported_limit);
        let documented = (!self.is_undocumented).then(|| budget.documented_limit());
        reported.into_iter().chain(documented).min()
    }

    fn meter(&mut self, budget: Budget, owner: &LimitOwner) -> &mut Meter {
        let documented = if self.is_undocumented { UNDOCUMENTED } else { budget.documented_limit() };
        self.meters.entry((budget, owner.clone())).or_insert_with(|| Meter::new(documented))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::after_start(Duration::from_secs(seconds))
    }

    fn wall() -> Timestamp {
        "2026-11-20T12:00:00Z".parse().unwrap()
    }

    fn sample(limit: u32, remaining: u32, reset: u64) -> LimitSample {
        let reset = Some(Duration::from_secs(reset));
        LimitSample { limit: Some(limit), remaining: Some(remaining), reset, retry_after: None }
    }

    struct BudgetRun {
        limits: RateLimits,
        out: Vec<Permit>,
        budget: Budget,
    }

    impl BudgetRun {
        fn new(budget: Budget) -> Self {
            Self { limits: RateLimits::new(), out: Vec::new(), budget }
        }

        /// Returns how many requests may go at once, and the wait of the next one.
        fn burst(&mut self, now: Moment) -> (usize, Option<u64>) {
            let before = self.out.len();
            loop {
                match self.limits.acquire(self.budget, &LimitOwner::new("user:1"), Urgency::Live, now) {
                    Acquire::Go(permit) => self.out.push(permit),
                    Acquire::Wait { until } => {
                        let until = until.map(|until| until.since(Moment::START).as_secs());
                        return (self.out.len() - before, until);
                    }
                }
            }
        }

        /// Reports the oldest request.
        fn back(&mut self, signal: LimitSignal, now: Moment) {
            let permit = self.out.remove(0);
            self.limits.report(permit, signal, 0.0, now);
        }

        /// Reports all requests, while the remote counts down from `remaining`.
        fn all_back(&mut self, mut remaining: u32, reset: u64, now: Moment) {
            while !self.out.is_empty() {
                remaining -= 1;
                self.back(LimitSignal::Answer(sample(120, remaining, reset)), now);
            }
        }

        /// Spends the first `count` requests of the window, volley after volley.
        fn spend(&mut self, count: u32, reset: u64, now: Moment) {
            let mut left = 120;
            while left > 120 - count {
                let (burst, _) = self.burst(now);
                while self.out.len() as u32 > left + count - 120 {
                    let permit = self.out.pop().unwrap();
                    self.limits.release_unsent(permit);
                }
                assert!(burst > 0);
                let sent = self.out.len() as u32;
                self.all_back(left, reset, now);
                left -= sent;
            }
        }
    }

    #[test]
    fn the_first_goes_alone_then_volleys_grow_and_a_fresh_window_goes_at_once() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        assert_eq!(run.burst(at(0)), (1, Some(5)));
        run.all_back(120, 30, at(0));
        assert_eq!(run.burst(at(0)), (8, Some(5)));
        run.all_back(119, 30, at(0));
        assert_eq!(run.burst(at(0)), (16, Some(5)));
        run.all_back(111, 30, at(0));
        assert_eq!(run.burst(at(0)), (32, Some(5)));
        run.all_back(95, 30, at(0));
        assert_eq!(run.burst(at(0)), (63, Some(31)));
        run.all_back(63, 30, at(0));
        assert_eq!(run.burst(at(30)), (0, Some(31)));
        assert_eq!(run.burst(at(31)), (120, Some(92)));
    }

    /// Sends all that go at `now` in a window of a minute, and returns how many were sent by then,
    /// and the wait of the next one.
    fn send_all(limits: &mut RateLimits, sent: &mut u32, urgency: Urgency, now: u64) -> (u32, Option<u64>) {
        loop {
            match limits.acquire(Budget::CreateAsset, &LimitOwner::new("user:1"), urgency, at(now)) {
                Acquire::Go(permit) => {
                    *sent += 1;
                    let answer = LimitSignal::Answer(sample(120, 120 - *sent, 60 - now));
                    limits.report(permit, answer, 0.0, at(now));
                }
                Acquire::Wait { until } => return (*sent, until.map(|until| until.since(Moment::START).as_secs())),
            }
        }
    }

    #[test]
    fn a_reserve_is_kept_for_urgent_requests_until_the_end_of_the_window() {
        let (mut limits, mut sent) = (RateLimits::new(), 0);
        assert_eq!(send_all(&mut limits, &mut sent, Urgency::FirstUpload, 0), (120, Some(61)));
        for urgency in Urgency::ALL {
            let (mut limits, mut sent) = (RateLimits::new(), 0);
            limits.keep_reserve();
            assert_eq!(send_all(&mut limits, &mut sent, Urgency::FirstUpload, 0), (108, Some(57)));
            let (all, _) = send_all(&mut limits, &mut sent, urgency, 30);
            assert_eq!(all, if urgency.is_urgent() { 120 } else { 108 }, "{urgency:?}");
            assert_eq!(
                send_all(&mut limits, &mut sent, Urgency::FirstUpload, 57).0,
                all.max(118),
                "little goes to waste"
            );
        }
    }

    /// Then Macadam counts by the documented limit, from which the reserve is kept.
    #[test]
    fn a_reserve_leaves_room_also_where_headers_report_a_huge_limit() {
        let (mut limits, owner) = (RateLimits::new(), LimitOwner::new("user:1"));
        limits.keep_reserve();
        let mut sent = 0;
        while let Acquire::Go(permit) = limits.acquire(Budget::CreateAsset, &owner, Urgency::FirstUpload, at(0)) {
            sent += 1;
            let answer = LimitSignal::Answer(sample(10_000, 10_000 - sent, 60));
            limits.report(permit, answer, 0.0, at(0));
        }
        assert_eq!(sent, 108);
    }

    #[test]
    fn an_upload_without_a_response_holds_the_others_back_for_five_seconds_only() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        assert_eq!(run.burst(at(0)), (1, Some(5)));
        assert_eq!(run.burst(at(4)), (0, Some(5)));
        assert_eq!(run.burst(at(5)), (1, Some(10)));
    }

    #[test]
    fn a_429_with_a_reset_closes_the_budget_until_then_whatever_retry_after_says() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.spend(20, 50, at(0));
        assert_eq!(run.burst(at(1)).0, 27);
        let refused = LimitSample { retry_after: Some(Duration::from_secs(5)), ..sample(120, 0, 40) };
        run.back(LimitSignal::Limited(refused), at(10));
        assert_eq!(run.burst(at(11)), (0, Some(50)));
        // Earlier responses that arrive out of order don't open it.
        run.back(LimitSignal::Answer(sample(120, 70, 40)), at(10));
        assert_eq!(run.burst(at(49)), (0, Some(50)));
        run.out.drain(..).for_each(|permit| run.limits.report(permit, LimitSignal::Silence, 0.0, at(49)));
        assert_eq!(run.burst(at(52)).0, 1);
    }

    #[test]
    fn a_429_without_a_reset_waits_for_a_whole_window() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.burst(at(0));
        let retry_after = Some(Duration::from_secs(5));
        run.back(LimitSignal::Limited(LimitSample { retry_after, ..LimitSample::default() }), at(0));
        assert_eq!(run.burst(at(10)), (0, Some(61)));
        assert_eq!(run.burst(at(61)), (1, Some(66)));
    }

    #[test]
    fn a_huge_reset_is_cut() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.burst(at(0));
        run.back(LimitSignal::Limited(sample(120, 0, 999_999)), at(0));
        assert_eq!(run.burst(at(0)), (0, Some(900)));
    }

    #[test]
    fn a_service_429_backs_off_exponentially_until_a_response() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.spend(20, 50, at(0));
        // Three requests refused together count as one.
        run.burst(at(0));
        for _ in 0..3 {
            run.back(LimitSignal::Limited(sample(120, 60, 50)), at(0));
        }
        run.out.drain(..).for_each(|permit| run.limits.release_unsent(permit));
        let Acquire::Wait { until: Some(until) } =
            run.limits.acquire(Budget::CreateAsset, &LimitOwner::new("user:1"), Urgency::Live, at(0))
        else {
            panic!("not closed")
        };
        assert_eq!(until, at(0) + Duration::from_millis(500));
        let mut waits = Vec::new();
        let mut now = at(1);
        for _ in 0..8 {
            assert_eq!(run.burst(now).0, 1);
            run.back(LimitSignal::Limited(sample(120, 60, 50)), now);
            let (_, until) = run.burst(now);
            let until = at(until.unwrap());
            waits.push(until.since(now).as_secs());
            now = until + Duration::from_secs(1);
        }
        assert_eq!(waits, [1, 2, 4, 8, 16, 30, 30, 30]);
        assert_eq!(run.burst(now).0, 1);
        run.back(LimitSignal::Answer(sample(120, 119, 60)), now);
        assert!(run.burst(now).0 > 1);
    }

    #[test]
    fn requests_in_flight_count_and_out_of_order_responses_change_nothing() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.spend(110, 30, at(0));
        assert_eq!(run.burst(at(0)), (10, Some(31)));
        run.back(LimitSignal::Answer(sample(120, 0, 30)), at(0));
        run.back(LimitSignal::Answer(sample(120, 9, 30)), at(0));
        run.back(LimitSignal::Silence, at(0));
        assert_eq!(run.burst(at(0)), (0, Some(31)));
    }

    #[test]
    fn unsent_requests_are_returned_to_the_budget() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.spend(110, 30, at(0));
        assert_eq!(run.burst(at(0)).0, 10);
        run.out.drain(..4).for_each(|permit| run.limits.release_unsent(permit));
        assert_eq!(run.burst(at(0)).0, 4);
    }

    #[test]
    fn operations_keep_to_the_per_key_limit_although_headers_report_300() {
        let mut run = BudgetRun::new(Budget::Operations);
        let mut sent = 0;
        let mut left = 300;
        let mut now = at(0);
        while now < at(60) {
            sent += run.burst(now).0;
            while !run.out.is_empty() {
                left -= 1;
                run.back(LimitSignal::Answer(sample(300, left, 60 - now.since(at(0)).as_secs())), now);
            }
            now = now + Duration::from_secs(1);
        }
        assert_eq!(sent, 100);
    }

    #[test]
    fn without_headers_the_documented_limit_holds_in_any_minute() {
        let mut run = BudgetRun::new(Budget::Archive);
        let mut sent = Vec::new();
        for now in (0..180).map(at) {
            let (burst, _) = run.burst(now);
            sent.extend((0..burst).map(|_| now));
            run.out.drain(..).for_each(|permit| {
                run.limits.report(permit, LimitSignal::Answer(LimitSample::default()), 0.0, now);
            });
        }
        assert!(sent.len() >= 290, "{}", sent.len());
        assert!(sent.windows(101).all(|some| some[100].since(some[0]) > Duration::from_secs(60)));
    }

    #[test]
    fn the_first_request_after_idle_windows_goes_alone_again() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.spend(20, 50, at(0));
        assert_eq!(run.burst(at(300)), (1, Some(305)));
    }

    #[test]
    fn budgets_and_owners_are_independent() {
        let mut limits = RateLimits::new();
        for budget in Budget::ALL {
            for owner in ["user:1", "group:2"] {
                let first = limits.acquire(budget, &LimitOwner::new(owner), Urgency::Live, at(0));
                assert!(matches!(first, Acquire::Go(_)), "{budget:?} {owner}");
                let again = limits.acquire(budget, &LimitOwner::new(owner), Urgency::Live, at(0));
                assert_eq!(again, Acquire::Wait { until: Some(at(5)) }, "{budget:?} {owner}");
            }
        }
    }

    #[test]
    fn the_next_run_remembers_the_budgets() {
        let mut run = BudgetRun::new(Budget::CreateAsset);
        run.spend(120, 40, at(0));
        let rows = run.limits.snapshot(at(10), wall());
        let row = LimitRecord {
            budget: "create_asset".to_owned(),
            owner: "user:1".to_owned(),
            limit: 120,
            remaining: 0,
            window_ends_at: "2026-11-20T12:00:31Z".parse().unwrap(),
        };
        assert_eq!(rows, std::slice::from_ref(&row));
        let check = |wall: &str, begins: &[(u64, usize)]| {
            let limits = RateLimits::restore(&rows, at(0), wall.parse().unwrap());
            let mut next = BudgetRun { limits, out: Vec::new(), budget: Budget::CreateAsset };
            for (second, burst) in begins {
                assert_eq!(next.burst(at(*second)).0, *burst, "{wall} at {second}");
            }
        };
        check("2026-11-20T12:00:01Z", &[(0, 0), (29, 0), (30, 1)]);
        check("2026-11-20T12:10:00Z", &[(0, 1)]);
        // A clock set back by a year delays nothing for longer than a window.
        check("2025-11-20T12:00:00Z", &[(0, 0), (61, 0), (62, 1)]);
        let strange = LimitRecord { budget: "teleport".to_owned(), ..row };
        assert_eq!(RateLimits::restore(&[strange], at(0), wall()).snapshot(at(0), wall()), []);
    }
}
