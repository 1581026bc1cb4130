//! The reconciler: brings Roblox to what the files say. `sync --once` drives it until nothing is
//! left to do, the service for as long as it runs.
//!
//! Everything that takes time is work of the [`Workers`], and its end is a result. [`next`] is the
//! only place that waits for work, and [`plan_and_dispatch`] the only one that plans. A driver says
//! *when*; the plan alone says *what*. The reconciler decides nothing about the disk's events, git,
//! requests or signals: those are the driver's.
//!
//! Read next: [`super::workers`], [`super::scan`] for manifest and files, [`super::neighbours`] for
//! other manifests, [`super::looks`] for what is asked of Roblox, [`super::records`] for what is
//! written down, then the drivers [`super::once`] and [`super::service`].
//!
//! [`next`]: Reconciler::next
//! [`plan_and_dispatch`]: Reconciler::plan_and_dispatch

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::shutdown::Shutdown;
use super::wanted::WantedAssets;
use super::workers::{End, Workers};
use crate::engine::execute::context::{AbandonedCreates, ExecutionContext};
use crate::engine::report::progress::ProgressEvent;
use crate::engine::workspace::session::{Session, recover};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::phase::PhaseEvent;
use crate::model::recorded::Recorded;
use crate::plan::{Action, Plan, PlanOptions, Step, plan};
use crate::platform::clock;
use crate::state::lockfile::LockfileError;

/// Session, work in progress, and what manifest and files want.
pub(super) struct Reconciler<'a> {
    pub(super) session: &'a mut Session,
    pub(super) context: ExecutionContext,
    pub(super) workers: Workers,
    /// The result of the last scan.
    pub(super) wanted: WantedAssets,
    /// The state's generation at the last check, see
    /// [`StateCache::generation`](crate::engine::workspace::state_cache::StateCache::generation).
    generation: u64,
    /// When the scan, or the look in its place, that is in progress began.
    pub(super) scanning: Option<Duration>,
    pub(super) key: KeyCheck,
    /// Cancels the fetches in progress.
    pub(super) observing: Option<Shutdown>,
    /// Whether operations that were set aside are being polled.
    pub(super) polling_overdue: bool,
    /// When the write of the lockfile in progress began. Nothing else reads or writes it meanwhile.
    pub(super) writing: Option<Duration>,
    /// Whether an index tells what a change can touch: who looks at parts needs one.
    pub(super) finds_parts: bool,
    prepared: Option<WaitingPlan>,
    /// Moves that are recorded, and whose steps have not ended: the next plan finds nothing to move,
    /// and nobody was told of it yet.
    untold_moves: Vec<Step>,
}

/// The plan that waits for leave to begin. Its marks are recorded, so another plan would lack what
/// they did.
struct WaitingPlan {
    steps: Vec<Step>,
    abandoned_creates: AbandonedCreates,
    desired: Arc<Desired>,
    generation: u64,
    needs_key: bool,
}

/// Whether it is known what the key may do.
#[derive(Debug, Default)]
pub(super) struct KeyCheck {
    pub(super) stage: KeyStage,
    /// Counts keys, so that the check of an earlier one isn't taken for this one's.
    pub(super) serial: u64,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) enum KeyStage {
    #[default]
    Unknown,
    Asked,
    Known,
}

/// What a driver says of a plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Carry it out; if it `needs_key`, once it is known what the key may do.
    Begin { needs_key: bool },
    /// Keep it until [`Reconciler::dispatch`], and then do the same.
    Ask { needs_key: bool },
    /// Leave it.
    Leave,
}

/// What became of a plan.
#[derive(Debug)]
pub(super) enum Dispatch {
    /// Its steps are in progress, as far as no address backs off.
    Begun,
    /// It was left.
    Left,
    /// Its steps wait: call [`Reconciler::dispatch`] after the answer to [`Verdict::Ask`], and
    /// after the check of the key that is in progress.
    Waits,
    /// The lockfile has no room for the outcomes, so nothing was begun.
    NoRoom(LockfileError),
}

impl<'a> Reconciler<'a> {
    /// Creates one that has neither scanned nor planned. After a refusal, an address backs off for
    /// `pause`.
    pub(super) fn new(session: &'a mut Session, context: ExecutionContext, pause: Duration) -> Self {
        let generation = session.state_cache.generation();
        Self {
            session,
            context,
            workers: Workers::new(pause),
            wanted: WantedAssets::default(),
            generation,
            scanning: None,
            key: KeyCheck::default(),
            observing: None,
            polling_overdue: false,
            writing: None,
            finds_parts: false,
            prepared: None,
            untold_moves: Vec::new(),
        }
    }

    /// Keeps an index of what ties assets to one another, for plans of parts.
    pub(super) fn find_parts(&mut self) {
        self.finds_parts = true;
        self.session.state_cache.index_ties();
    }

    /// Waits until work ends, and returns everything that ended by then. Waits for ever while there
    /// is no work. May be cancelled at any point and called again.
    pub(super) async fn next(&mut self) -> Vec<End> {
        let ends = self.workers.next().await;
        for end in &ends {
            match end {
                End::Steps(ended) => {
                    let reported = |step: &Step| ended.reports.iter().any(|report| report.step == *step);
                    self.untold_moves.retain(|step| !reported(step));
                }
                End::Scan(_) | End::Look(_) => self.scanning = None,
                End::Observation(_) => self.observing = None,
                End::Overdue(_) => self.polling_overdue = false,
                End::Lockfile(_) => self.writing = None,
                _ => {}
            }
        }
        ends
    }

    /// Returns whether no steps, no job and no write of the lockfile are in progress.
    pub(super) fn is_idle(&self) -> bool {
        self.workers.is_idle() && self.writing.is_none()
    }

    /// Returns whether work of the disk takes longer than `limit`, as if it hung.
    pub(super) fn hangs(&self, now: Duration, limit: Duration) -> bool {
        [self.scanning, self.writing].into_iter().flatten().any(|since| now.saturating_sub(since) >= limit)
    }

    /// Checks that the state is still the one at its path. Returns whether it was written anew
    /// since the last check: then another process may have been there, and everything is to be
    /// scanned again.
    ///
    /// # Errors
    /// When the state was lost, and could not be written anew.
    pub(super) async fn secure(&mut self) -> Result<bool, StateCacheError> {
        self.session.state_cache.secure().await?;
        let generation = self.session.state_cache.generation();
        Ok(std::mem::replace(&mut self.generation, generation) != generation)
    }

    /// Plans, records the plan's marks, and begins its steps if `judge` agrees. Addresses in
    /// progress are left out.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn plan_and_dispatch(
        &mut self,
        options: PlanOptions,
        judge: impl FnOnce(&mut Plan, &Self) -> Verdict,
        span: impl Fn(&Address) -> tracing::Span,
    ) -> Result<Dispatch, StateCacheError> {
        self.prepared = None;
        let options = PlanOptions { in_progress: self.workers.in_progress(), ..options };
        let make = |reconciler: &Self| {
            let desired = &reconciler.wanted.desired;
            reconciler.session.state_cache.read(|recorded| plan(desired, recorded, &options, clock::now()))
        };
        let mut plan = make(self);
        if self.learns_of_neighbours(&plan) {
            plan = make(self);
        }
        let desired = Arc::clone(&self.wanted.desired);
        tracing::debug!(assets = desired.assets.len(), "everything was planned");
        self.carry_on(plan, desired, judge, span).await
    }

    /// Records the marks of a plan for `desired`, and begins its steps if `judge` agrees.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn carry_on(
        &mut self,
        mut plan: Plan,
        desired: Arc<Desired>,
        judge: impl FnOnce(&mut Plan, &Self) -> Verdict,
        span: impl Fn(&Address) -> tracing::Span,
    ) -> Result<Dispatch, StateCacheError> {
        let generation = self.generation;
        self.add_untold_moves(&mut plan, &desired);
        let (abandoned_creates, marks) = self.session.state_cache.read(|recorded| abandoned_creates(&plan, recorded));
        self.session.state_cache.commit(marks).await?;
        let verdict = judge(&mut plan, self);
        let (Verdict::Begin { needs_key } | Verdict::Ask { needs_key }) = verdict else { return Ok(Dispatch::Left) };
        let steps = plan.steps;
        self.prepared = Some(WaitingPlan { steps, abandoned_creates, desired, generation, needs_key });
        Ok(if matches!(verdict, Verdict::Ask { .. }) { Dispatch::Waits } else { self.dispatch(span) })
    }

    /// Adds to a plan the moves that an earlier plan recorded and did not begin, and keeps all of its
    /// moves until their steps have ended.
    fn add_untold_moves(&mut self, plan: &mut Plan, desired: &Desired) {
        let is_move = |step: &&Step| matches!(step.action, Action::Move { .. });
        let new: Vec<Step> = plan.steps.iter().filter(is_move).cloned().collect();
        let is_new = |step: &Step| new.iter().any(|other| other.address == step.address);
        self.untold_moves.retain(|step| desired.assets.contains_key(&step.address) && !is_new(step));
        let in_progress = self.workers.in_progress();
        let again: Vec<Step> =
            self.untold_moves.iter().filter(|step| !in_progress.contains(&step.address)).cloned().collect();
        if !again.is_empty() {
            plan.steps.splice(0..0, again);
            // Stable: a move comes before the other steps of its address.
            plan.steps.sort_by(|a, b| (&a.address, a.action.is_metadata()).cmp(&(&b.address, b.action.is_metadata())));
        }
        self.untold_moves.extend(new);
    }

    /// Returns whether a plan waits for leave to begin.
    pub(super) const fn has_waiting_plan(&self) -> bool {
        self.prepared.is_some()
    }

    /// Begins the steps of the last plan, after a check of the key, once per key, and with room for
    /// the outcomes.
    pub(super) fn dispatch(&mut self, span: impl Fn(&Address) -> tracing::Span) -> Dispatch {
        let Some(prepared) = self.prepared.take() else { return Dispatch::Left };
        if prepared.steps.is_empty() || self.context.stop.is_triggered() {
            return Dispatch::Left;
        }
        if prepared.needs_key && self.key.stage != KeyStage::Known {
            let heads = heads_of(&prepared.steps);
            self.prepared = Some(prepared);
            self.check_key(heads);
            return Dispatch::Waits;
        }
        let WaitingPlan { mut steps, abandoned_creates, desired, generation, .. } = prepared;
        // A request may have claimed an address since.
        let in_progress = self.workers.in_progress();
        steps.retain(|step| !in_progress.contains(&step.address));
        let uploads = uploads_of(&steps);
        if uploads > 0 {
            let in_manifest = &self.wanted.in_manifest;
            if let Err(error) = self.session.lockfile.make_room(&self.session.state_cache, in_manifest, uploads) {
                return Dispatch::NoRoom(error);
            }
        }
        self.cancel_observation();
        let (work, ends_at) = (self.context.workload(&steps), self.context.stop.ends_at());
        let addresses = steps.iter().map(|step| step.address.clone()).collect();
        (self.context.listener)(ProgressEvent::Planned { work, addresses, ends_at });
        let with = self.context.steps(&steps, &desired, abandoned_creates, generation);
        self.workers.begin(steps, with, clock::elapsed(), span);
        Dispatch::Begun
    }

    /// Recovers from the journal the open attempts of these addresses, as after a crash.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn recover(&self, of: impl Fn(&Address) -> bool) -> Result<(), StateCacheError> {
        self.session.state_cache.commit_with(|recorded| recover(recorded, of)).await.map(|_| ())
    }
}

/// The most assets that are fetched while the key is checked: so many updates begin at once.
const HEADS: usize = 8;

/// Returns the assets that the first of these steps update, and which they fetch before.
fn heads_of(steps: &[Step]) -> Vec<AssetId> {
    let updated = steps.iter().filter_map(|step| match &step.action {
        Action::UpdateContent { asset_id, .. } => Some(*asset_id),
        _ => None,
    });
    updated.take(HEADS).collect()
}

/// Returns the number of steps that upload a file.
fn uploads_of(steps: &[Step]) -> usize {
    let uploads =
        |step: &&Step| matches!(step.action, Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. });
    steps.iter().filter(uploads).count()
}

/// Splits the plan's marks. The marks that abandon a create in doubt are kept for the step that
/// replaces it; all others are returned to be recorded now. Until that step begins, the create
/// stays in doubt, also in the lockfile. A run that ends before leaves it to the next machine, with
/// its count.
fn abandoned_creates(plan: &Plan, recorded: &Recorded) -> (AbandonedCreates, Vec<Change>) {
    let address_of = |change: &Change| match change {
        Change::Advance { attempt, .. } => recorded.attempts.get(attempt).map(|attempt| attempt.address.clone()),
        Change::SetBlocked { address, .. }
        | Change::LogEvent { address: Some(address), .. }
        | Change::AddPossibleDuplicate { address, .. } => Some(address.clone()),
        _ => None,
    };
    let doubted = plan.marks.iter().filter(|mark| matches!(mark, Change::Advance { event: PhaseEvent::Abandon, .. }));
    let doubted: BTreeSet<Address> = doubted.filter_map(address_of).collect();
    let created = plan.steps.iter().filter(|step| step.action.creates_asset());
    let mut abandoned_creates: AbandonedCreates =
        created.filter(|step| doubted.contains(&step.address)).map(|step| (step.address.clone(), Vec::new())).collect();
    let mut marks = Vec::new();
    for mark in &plan.marks {
        match address_of(mark).and_then(|address| abandoned_creates.get_mut(&address)) {
            Some(later) => later.push(mark.clone()),
            None => marks.push(mark.clone()),
        }
    }
    (abandoned_creates, marks)
}
