//! `sync --once`: drives the reconciler until a plan has nothing left to do.
//!
//! It goes in rounds: a scan, a plan, its steps, and then the same again. Read next:
//! [`super::reconciler`], then [`fetches`], [`report`] and [`end`].

mod changed;
mod end;
mod fetches;
mod options;
mod report;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

pub(crate) use self::options::{Confirm, OnceOptions, SyncError};
use self::report::{Round, report_plan};
use super::LOCKFILE_EVERY;
use super::reconciler::{Dispatch, Reconciler, Verdict};
use super::workers::End;
use crate::cloud::client::Client;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::remote::moderation::Review;
use crate::engine::remote::overdue;
use crate::engine::report::run_report::{RunReport, Stop};
use crate::engine::workspace::gather::in_progress_now;
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::neighbours::Neighbours;
use crate::outputs::AssetIds;
use crate::plan::part::{PartialPlan, Touched};
use crate::plan::{Action, Plan, PlanOptions};
use crate::platform::clock;
use crate::state::store::FileDelta;

/// The number of rounds without a single completed step that ends a run: something changes faster
/// than Macadam can follow.
const FRUITLESS_ROUNDS: u32 = 5;

/// Reconciles until the remote matches the files, or this run can do no more.
///
/// # Errors
/// When manifest, lockfile or state can't be used.
pub(crate) async fn sync_once(
    session: &mut Session,
    client: Arc<Client>,
    options: OnceOptions,
) -> Result<RunReport, SyncError> {
    let OnceOptions { listener, stop, uploads, .. } = &options;
    if options.plan_options.accept_new_lockfile {
        session.lockfile.accept_new();
    }
    let context = ExecutionContext::new(session, client, listener.clone(), stop.clone(), *uploads).await?;
    let stop = stop.clone();
    let mut run = SyncRun {
        reconciler: Reconciler::new(session, context, Duration::ZERO),
        options,
        stage: Stage::Opening,
        confirmed: None,
        refused: false,
        missing_lockfile: None,
        review_ends: None,
        lockfile_at: None,
        touched: None,
        ids_before: None,
        looking: None,
        learned: FileDelta::default(),
        round: Round::default(),
        report: RunReport::default(),
    };
    let ended = tokio::select! {
        ended = run.until_idle() => Some(ended),
        () = stop.is_cut_off() => None,
    };
    run.lockfile_settled().await;
    // Steps in progress are dropped with everything else.
    let reported = run.reconciler.workers.break_off();
    run.round.reports.extend(reported);
    run.report.steps.append(&mut run.round.reports);
    let ended = match ended {
        Some(ended) => ended,
        None => run.break_off().await,
    };
    run.end(ended).await
}

struct SyncRun<'a> {
    reconciler: Reconciler<'a>,
    options: OnceOptions,
    stage: Stage,
    /// The answer to whether the run may change anything.
    confirmed: Option<bool>,
    /// The key may do nothing.
    refused: bool,
    /// The evidence found by the first scan while the lockfile was missing. It holds for the whole
    /// run, which may write a new one.
    missing_lockfile: Option<MissingLockfile>,
    /// When the wait for moderation ends, from the first plan on.
    review_ends: Option<Duration>,
    /// When to write the lockfile, while steps are in progress.
    lockfile_at: Option<Duration>,
    /// What the next plan is about, if nothing else can have changed since the last one.
    touched: Option<Touched>,
    /// The asset IDs that the game has of the part with which the run began, if they are known.
    ids_before: Option<AssetIds>,
    /// A look at other manifests for a note about that part.
    looking: Option<JoinHandle<Neighbours>>,
    /// What was learned of the files of that part, until it is saved.
    learned: FileDelta,
    round: Round,
    report: RunReport,
}

/// What the work in progress is for.
enum Stage {
    /// The first scan, and whatever has to be known before the first plan.
    Opening,
    /// Whatever a plan needs before its steps begin.
    Planning,
    /// The steps of a plan.
    Steps,
    /// A wait for moderation on these assets.
    Reviewing { waiting: BTreeMap<AssetId, Review>, fetched: bool },
}

impl SyncRun<'_> {
    /// Drives the reconciler until nothing is in progress and nothing is left to do.
    async fn until_idle(&mut self) -> Result<(), SyncError> {
        match self.reconciler.session.part.take() {
            Some(part) => self.begin_with(part),
            None => {
                self.reconciler.poll_overdue();
                self.scan().await?;
            }
        }
        loop {
            while !self.reconciler.workers.is_empty() {
                let wait = self.lockfile_at.map(|at| at.saturating_sub(clock::elapsed()));
                let ends = tokio::select! {
                    ends = self.reconciler.next() => ends,
                    () = sleep(wait) => {
                        self.save_progress().await?;
                        continue;
                    }
                };
                for end in ends {
                    self.take_in(end).await?;
                }
            }
            if !self.go_on().await? {
                return Ok(());
            }
        }
    }

    async fn take_in(&mut self, end: End) -> Result<(), SyncError> {
        match end {
            End::Steps(ended) => {
                if let Some(message) = ended.panicked {
                    self.options.stop.trigger(Stop::Defect { message });
                }
                self.round.reports.extend(ended.reports);
            }
            End::Scan(scanned) => self.scanned(scanned).await?,
            End::Observation(answered) => self.observed(answered).await?,
            End::Overdue(results) => overdue::record(&self.reconciler.session.state_cache, &results).await?,
            End::Key { serial, may_begin } => self.refused |= !self.reconciler.key_checked(serial, may_begin),
            End::Lockfile(done) => {
                let written = self.reconciler.lockfile_ended(done);
                self.lockfile_is(written);
            }
            End::Confirmed(agreed) => self.confirmed = Some(agreed),
            End::Broken(message) => return Err(self.broken(message)),
            // A run serves no requests, and has no interval.
            End::Job(_) | End::Look(_) | End::Waited => {}
        }
        Ok(())
    }

    /// Begins what comes next, when nothing is in progress. Returns `false` at the end of the run.
    async fn go_on(&mut self) -> Result<bool, SyncError> {
        match self.stage {
            Stage::Opening => {
                self.stage = Stage::Planning;
                if self.is_urgent() {
                    self.record_marks().await?;
                    self.fetch_urgent();
                }
                Ok(true)
            }
            Stage::Planning => self.plan().await,
            Stage::Steps => {
                self.lockfile_at = None;
                let done = self.done();
                self.round.end(&mut self.report);
                match done {
                    Some(done) => self.look_again(done).await,
                    None => self.scan_again().await,
                }
            }
            Stage::Reviewing { .. } => self.review().await,
        }
    }

    /// Begins a scan of manifest and files. Nothing else is in progress.
    async fn scan(&mut self) -> Result<(), SyncError> {
        self.save_learned().await?;
        self.reconciler.session.load_everything().await?;
        self.reconciler.secure().await?;
        let in_progress = in_progress_now(&self.reconciler.session.project);
        Ok(self.reconciler.scan(in_progress, None).await?)
    }

    /// Returns the addresses of the round that ended, if the last plan had nothing to say but its
    /// steps, and all of these are done.
    fn done(&self) -> Option<BTreeSet<Address>> {
        let Round { steps, reports, has_only_steps, .. } = &self.round;
        let is_done = reports.len() == steps.len() && reports.iter().all(|report| report.outcome.is_done());
        (self.options.plan_options.is_usual() && *has_only_steps && is_done)
            .then(|| steps.iter().map(|step| step.address.clone()).collect())
    }

    /// Goes on after a round in which these addresses were `done`: without another scan and plan of
    /// everything, if nothing else changed meanwhile.
    async fn look_again(&mut self, done: BTreeSet<Address>) -> Result<bool, SyncError> {
        self.save_learned().await?;
        self.reconciler.secure().await?;
        let in_progress = in_progress_now(&self.reconciler.session.project);
        let recent = self.reconciler.look_again().await.map_err(|message| self.broken(message))?;
        let touched = match recent {
            Some(recent) => self.reconciler.rescan(&recent, &in_progress).await?,
            None => None,
        };
        let Some(mut touched) = touched else { return self.scan_again().await };
        touched.addresses.extend(done);
        self.touched = Some(touched);
        self.stage = Stage::Planning;
        Ok(true)
    }

    async fn scan_again(&mut self) -> Result<bool, SyncError> {
        self.stage = Stage::Planning;
        self.touched = None;
        self.scan().await?;
        Ok(true)
    }

    /// Ends the run because of a defect in a look or a check.
    fn broken(&self, message: String) -> SyncError {
        self.options.stop.trigger(Stop::Defect { message });
        StateCacheError::Closed.into()
    }

    fn plan_options(&self) -> PlanOptions {
        PlanOptions { missing_lockfile: self.missing_lockfile.clone(), ..self.options.plan_options.clone() }
    }

    /// Plans, and begins the steps or whatever must come before them. Returns `false` at the end of
    /// the run.
    async fn plan(&mut self) -> Result<bool, SyncError> {
        if self.refused || self.confirmed == Some(false) {
            return Ok(false);
        }
        if self.reconciler.has_waiting_plan() {
            let dispatched = self.reconciler.dispatch(|_| tracing::Span::none());
            return self.dispatched(dispatched).await;
        }
        if self.review_ends.is_none() {
            self.review_ends = self.options.wait_moderation.map(|wait| clock::elapsed().saturating_add(wait));
        }
        let (options, is_part) = (self.plan_options(), self.is_part());
        let (stop, confirmed) = (&self.options.stop, self.confirmed);
        let (report, round) = (&mut self.report, &mut self.round);
        let mut question = None;
        let mut judge = |plan: &mut Plan, reconciler: &Reconciler<'_>| {
            report_plan(report, plan, reconciler);
            // A refused step is held by the new plan, or done another way. Only operations that are
            // still processing can be left.
            let hopeless = round.hopeless.take();
            let hopeless = hopeless.is_some_and(|tried| plan.steps.iter().all(|step| tried.contains(step)));
            if plan.steps.is_empty() || hopeless || stop.is_triggered() || round.fruitless == FRUITLESS_ROUNDS {
                return Verdict::Leave;
            }
            round.steps.clone_from(&plan.steps);
            let Plan { steps: _, held, drifts, notes: _, marks } = &*plan;
            round.has_only_steps = held.is_empty() && drifts.is_empty() && marks.is_empty();
            // Waiting for operations changes nothing, so it needs no check of the key.
            let needs_key = plan.steps.iter().any(|step| !matches!(step.action, Action::Wait { .. }));
            if confirmed.is_none() {
                question = Some(plan.clone());
                return Verdict::Ask { needs_key };
            }
            Verdict::Begin { needs_key }
        };
        // A run tries again in the next round.
        self.reconciler.workers.reset_backoff();
        let span = |_: &Address| tracing::Span::none();
        let mut dispatched = None;
        if let Some(touched) = self.touched.take() {
            let judge = |part: &PartialPlan, reconciler: &Reconciler<'_>| judge(&mut part.plan.clone(), reconciler);
            dispatched = self.reconciler.plan_touched(&touched, options.clone(), judge, span).await?;
        }
        let dispatched = match dispatched {
            Some(dispatched) => dispatched,
            None if is_part => return self.scan_again().await,
            None => self.reconciler.plan_and_dispatch(options, judge, span).await?,
        };
        if let Some(plan) = question {
            self.ask(plan);
        }
        self.dispatched(dispatched).await
    }

    /// Returns `false` at the end of the run.
    async fn dispatched(&mut self, dispatched: Dispatch) -> Result<bool, SyncError> {
        match dispatched {
            Dispatch::Waits => Ok(true),
            Dispatch::Begun => {
                self.stage = Stage::Steps;
                self.lockfile_at = Some(clock::elapsed() + LOCKFILE_EVERY);
                Ok(true)
            }
            Dispatch::NoRoom(error) => Err(KeepError::from(error).into()),
            Dispatch::Left if self.needs_everything_at_the_end() => self.scan_again().await,
            Dispatch::Left => self.wait_for_reviews().await,
        }
    }

    /// Asks on another thread, so that a signal ends the run while nobody answers.
    fn ask(&mut self, plan: Plan) {
        let (confirm, stop) = (Arc::clone(&self.options.confirm), self.options.stop.clone());
        self.reconciler.workers.run(async move {
            let answer = tokio::task::spawn_blocking(move || confirm(&plan));
            End::Confirmed(stop.or(answer).await.is_some_and(|answer| answer.unwrap_or(false)))
        });
    }
}

/// Waits that long; for ever without a limit.
async fn sleep(wait: Option<Duration>) {
    match wait {
        Some(wait) => tokio::time::sleep(wait).await,
        None => std::future::pending().await,
    }
}
