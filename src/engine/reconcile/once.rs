//! `sync --once`: gathers, plans, executes and records until a plan has nothing left to do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::MissedTickBehavior;

use crate::cloud::client::Client;
use crate::engine::execute::context::{AbandonedCreates, ExecutionContext};
use crate::engine::execute::executor::{Executor, stop_for};
use crate::engine::execute::schedule::{Runner, execute};
use crate::engine::reconcile::reconciler::{abandoned_creates, uploads_of};
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::moderation::{self, Review};
use crate::engine::remote::observe::{self, AssetQuery, QueryResult};
use crate::engine::remote::set_aside;
use crate::engine::report::progress::{Listener, ProgressEvent};
use crate::engine::report::run_report::{Outcome, RunReport, StepReport, Stop};
use crate::engine::workspace::gather::{GatherError, gather, in_progress_now};
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::outputs::{self, RenderedOutput};
use crate::engine::workspace::session::{Session, recover};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::file::FileCache;
use crate::model::history::RevisionState;
use crate::model::ids::{AssetId, Creator};
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::phase::Phase;
use crate::model::recorded::Recorded;
use crate::plan::reason::note::NoteKind;
use crate::plan::{Action, Note, Plan, PlanOptions, Step, plan};
use crate::platform::{clock, failpoint};
use crate::state::lockfile::LockfileError;
use crate::state::store::FileDelta;

/// The interval at which the lockfile is written during a plan: a CI machine may disappear at any
/// time.
const LOCKFILE_EVERY: Duration = Duration::from_secs(5);

/// The number of rounds without a single completed step that ends a run: something changes faster
/// than Macadam can follow.
const FRUITLESS_ROUNDS: u32 = 5;

/// Decides whether a plan may be carried out.
pub(crate) type Confirm = Arc<dyn Fn(&Plan) -> bool + Send + Sync>;

/// The options of a run.
pub(crate) struct OnceOptions {
    /// The number of files uploaded at once.
    pub uploads: usize,
    /// Called once, before the first plan is carried out; `false` ends the run with every step
    /// left. May block: it may ask a person.
    pub confirm: Confirm,
    /// Receives the run's events.
    pub listener: Listener,
    /// The options of the plan.
    pub plan_options: PlanOptions,
    /// The addresses to sync; `None` for all.
    pub only: Option<BTreeSet<Address>>,
    /// Whether to fetch every asset first.
    pub refresh: bool,
    /// How long to wait for moderation; `None` for not at all.
    pub wait_moderation: Option<Duration>,
    /// Ends the run.
    pub stop: Shutdown,
}

/// Why a run could not start or continue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The desired state is unknown.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// Manifest, state or lockfile became unusable during the run.
    #[error("the run had to stop")]
    Midway {
        source: Box<SyncError>,
        /// The work done before it.
        report: Box<RunReport>,
    },
    /// The state could not be written.
    #[error(transparent)]
    StateCache(#[from] StateCacheError),
    /// The lockfile could not be kept.
    #[error(transparent)]
    Lockfile(#[from] KeepError),
}

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
    let (stop, reported) = (stop.clone(), Mutex::default());
    let mut run = SyncRun {
        session,
        context,
        options,
        in_manifest: BTreeSet::new(),
        wanted: None,
        missing_lockfile: None,
        report: RunReport::default(),
        generation: 0,
        reported,
    };
    let ended = tokio::select! {
        ended = run.rounds() => Some(ended),
        () = stop.is_cut_off() => None,
    };
    let ended = match ended {
        Some(ended) => ended,
        None => run.break_off().await,
    };
    let report = run.end(ended).await?;
    Ok(report)
}

/// Returns queries for the reviews that are due.
fn due(reviews: &BTreeMap<AssetId, Review>, now: Timestamp) -> Vec<AssetQuery> {
    let due = reviews.iter().filter(|(_, review)| review.due() <= now);
    due.map(|(asset_id, _)| AssetQuery { asset_id: *asset_id, extras: false }).collect()
}

struct SyncRun<'a> {
    session: &'a mut Session,
    context: ExecutionContext,
    options: OnceOptions,
    in_manifest: BTreeSet<Address>,
    /// The last manifest and desired state, for the outputs.
    wanted: Option<(Manifest, Arc<Desired>)>,
    /// The evidence found by the first plan while the lockfile was missing. It holds for the whole
    /// run, which may write a new one.
    missing_lockfile: Option<MissingLockfile>,
    report: RunReport,
    /// The state's generation at the last plan, see
    /// [`StateCache::generation`](crate::engine::workspace::state_cache::StateCache::generation).
    generation: u64,
    /// The reports of the current plan so far.
    reported: Mutex<Vec<StepReport>>,
}

/// Carries out steps, and keeps their reports where they survive a cancelled plan.
struct Reporting<'a> {
    steps: Executor,
    reported: &'a Mutex<Vec<StepReport>>,
}

impl Runner for Reporting<'_> {
    async fn run(&self, step: &Step) -> Outcome {
        let outcome = self.steps.run(step).await;
        let report = StepReport { step: step.clone(), outcome: outcome.clone() };
        self.reported.lock().unwrap_or_else(PoisonError::into_inner).push(report);
        outcome
    }
}

impl SyncRun<'_> {
    async fn rounds(&mut self) -> Result<(), SyncError> {
        let mut fruitless = 0;
        let (mut confirmed, mut looked_at_key) = (false, false);
        let mut tried: Option<Vec<Step>> = None;
        self.fetch_urgent().await?;
        let said = set_aside::ask(&self.context).await;
        set_aside::record(&self.session.state_cache, &said).await?;
        let review_ends = self.options.wait_moderation.map(|wait| clock::elapsed().saturating_add(wait));
        loop {
            let (desired, plan, abandoned_creates) = self.plan().await?;
            // A refused step is held by the new plan, or done another way. Only operations that are
            // still processing can be left.
            let hopeless = tried.take().is_some_and(|tried| plan.steps.iter().all(|step| tried.contains(step)));
            if plan.steps.is_empty() || hopeless || self.options.stop.is_triggered() || fruitless == FRUITLESS_ROUNDS {
                match review_ends {
                    Some(until) if self.wait_for_review(&desired, until).await? => continue,
                    Some(_) | None => return Ok(()),
                }
            }
            if !std::mem::replace(&mut confirmed, true) && !self.confirm(&plan).await {
                return Ok(());
            }
            // Waiting for operations changes nothing, so it needs no check of the key.
            let writes = plan.steps.iter().any(|step| !matches!(step.action, Action::Wait { .. }));
            if writes && !std::mem::replace(&mut looked_at_key, true) && !self.may_begin(&desired).await {
                return Ok(());
            }
            let uploads = uploads_of(&plan.steps);
            if uploads > 0 {
                let made = self.session.lockfile.make_room(&self.session.state_cache, &self.in_manifest, uploads);
                made.map_err(KeepError::from)?;
            }
            let steps = plan.steps.clone();
            let reports = self.carry_out(&desired, plan, abandoned_creates).await?;
            let useful = reports.iter().any(|report| report.outcome.is_done());
            let hopeless = reports
                .iter()
                .all(|report| matches!(report.outcome, Outcome::Running { .. } | Outcome::Refused { .. }));
            self.report.steps.extend(reports);
            fruitless = if useful { 0 } else { fruitless + 1 };
            tried = hopeless.then_some(steps);
        }
    }

    /// Ends a run that has no time left: it doesn't wait for requests in flight. They are recorded
    /// as after a crash, in state and lockfile.
    async fn break_off(&mut self) -> Result<(), SyncError> {
        let reported = std::mem::take(&mut *self.reported.lock().unwrap_or_else(PoisonError::into_inner));
        self.report.steps.extend(reported);
        self.session.state_cache.commit_with(|recorded| recover(recorded, |_| true)).await?;
        self.report.forget_done();
        let unanswered: Vec<Step> = self.session.state_cache.read(|recorded| {
            let open = |address: &Address| {
                recorded.attempts.values().any(|attempt| attempt.address == *address && attempt.phase == Phase::InDoubt)
            };
            self.report.left.iter().filter(|step| open(&step.address)).cloned().collect()
        });
        self.report.steps.extend(unanswered.into_iter().map(|step| {
            let message = "interrupted before Roblox answered; the next run checks the result".to_owned();
            StepReport { step, outcome: Outcome::InDoubt { message } }
        }));
        Ok(())
    }

    /// Fetches assets before the first plan: all of them with `refresh`, otherwise those that are
    /// outdated, those that Roblox didn't find, and the reviews that are due.
    async fn fetch_urgent(&mut self) -> Result<(), SyncError> {
        let undecided = |recorded: &Recorded| {
            let mut facts = recorded.assets.values().flat_map(|record| record.history.iter());
            facts.any(|(_, fact)| matches!(fact.state, RevisionState::Reviewing | RevisionState::Unverified))
        };
        let lost = |recorded: &Recorded| !recorded.outdated.is_empty() || !recorded.not_found.is_empty();
        let any = |recorded: &Recorded| undecided(recorded) || lost(recorded);
        if !self.options.refresh && !self.session.state_cache.read(any) {
            return Ok(());
        }
        let (desired, ..) = self.plan().await?;
        let queries = self.session.state_cache.read(|recorded| {
            if self.options.refresh {
                return observe::queries(&desired, recorded);
            }
            let now = clock::now();
            let mut queries = observe::urgent(observe::queries(&desired, recorded), recorded, now);
            let reviews = due(&moderation::under_review(&desired, recorded), now);
            let asked: BTreeSet<AssetId> = queries.iter().map(|query| query.asset_id).collect();
            queries.extend(reviews.into_iter().filter(|review| !asked.contains(&review.asset_id)));
            queries
        });
        self.look(queries).await
    }

    /// Fetches assets and records what follows.
    async fn look(&mut self, queries: Vec<AssetQuery>) -> Result<(), SyncError> {
        let answers =
            observe::fetch_assets(&self.context.client, &self.context.throttle, &self.options.stop, queries).await;
        for (asset_id, answer) in answers {
            if let QueryResult::Unknown { why } = &answer {
                self.report.unasked.push((asset_id, why.clone()));
            }
            let follow = |recorded: &Recorded| observe::apply_observation(recorded, asset_id, &answer, clock::now());
            self.session.state_cache.commit_with(follow).await?;
        }
        Ok(())
    }

    /// Waits until moderation has decided on an asset, at most until `until`. Returns whether it
    /// has.
    async fn wait_for_review(&mut self, desired: &Desired, until: Duration) -> Result<bool, SyncError> {
        // The wait may be long, and a CI machine may disappear meanwhile.
        self.write_lockfile().await?;
        let mut least = Duration::ZERO;
        loop {
            let waiting = self.session.state_cache.read(|recorded| moderation::under_review(desired, recorded));
            let left = until.saturating_sub(clock::elapsed());
            if waiting.is_empty() || left.is_zero() {
                return Ok(false);
            }
            let wait = moderation::wait(waiting.values(), clock::now()).max(least);
            // A query without a result is not repeated at once.
            least = moderation::SOONEST.unsigned_abs();
            if self.options.stop.or(tokio::time::sleep(wait.min(left))).await.is_none() {
                return Ok(false);
            }
            self.session.state_cache.secure().await?;
            self.look(due(&waiting, clock::now())).await?;
            let still = self.session.state_cache.read(|recorded| moderation::under_review(desired, recorded));
            if !still.keys().eq(waiting.keys()) {
                return Ok(true);
            }
        }
    }

    /// Asks on another thread, so that a signal ends the run while nobody answers.
    async fn confirm(&self, plan: &Plan) -> bool {
        let (confirm, plan) = (Arc::clone(&self.options.confirm), plan.clone());
        let answer = tokio::task::spawn_blocking(move || confirm(&plan));
        self.options.stop.or(answer).await.is_some_and(|answer| answer.unwrap_or(false))
    }

    /// Checks what the key may do; `false` ends the run.
    async fn may_begin(&self, desired: &Desired) -> bool {
        let known = |recorded: &Recorded| recorded.assets.values().map(|record| record.identity.creator).collect();
        let mut creators: BTreeSet<Creator> = self.session.state_cache.read(known);
        creators.extend(desired.assets.values().map(|want| want.creator));
        self.context.may_begin(&creators).await
    }

    /// Gathers, plans, and records the plan's marks. The marks of abandoned creates are returned
    /// with the plan.
    async fn plan(&mut self) -> Result<(Arc<Desired>, Plan, AbandonedCreates), SyncError> {
        self.session.state_cache.secure().await?;
        self.generation = self.session.state_cache.generation();
        let (project, listener) = (self.session.project.clone(), self.options.listener.clone());
        // The lockfile is read before the manifest: a pull may bring both, and the manifest must
        // not seem to name unknown assets.
        self.session.lockfile.read(&self.session.state_cache).await?;
        let known = self.session.state_cache.read(Recorded::addresses);
        let cache = std::mem::take(&mut self.session.cache);
        let looked = tokio::task::spawn_blocking(move || {
            failpoint::trip("gather");
            let gathered = gather(&project, &cache, &known, &in_progress_now(&project), &listener);
            (gathered, cache)
        });
        let (gathered, before) = looked.await.map_err(|error| {
            if let Ok(panic) = error.try_into_panic() {
                self.options.stop.trigger_defect(panic.as_ref());
            }
            StateCacheError::Closed
        })?;
        let gathered = gathered?;
        self.remember_files(&before, &gathered.cache).await?;
        self.session.cache = gathered.cache;
        let desired = Arc::new(gathered.desired);
        self.wanted = Some((gathered.manifest, Arc::clone(&desired)));
        let twins = desired.twins().into_iter().map(|twins| Note {
            address: None,
            kind: NoteKind::DifferOnlyByCase { first: twins.first.clone(), second: twins.second.clone() },
        });
        let new: Vec<Note> = twins.filter(|note| !self.report.notes.contains(note)).collect();
        self.report.notes.extend(new);
        self.report.assets = desired.assets.len() as u64;
        self.in_manifest = desired.assets.keys().cloned().collect();
        self.session.lockfile.wanted_by(&desired.checkout);
        self.session.lockfile.read(&self.session.state_cache).await?;
        if self.missing_lockfile.is_none() {
            self.missing_lockfile = self.session.lockfile.missing().cloned();
        }
        let options =
            PlanOptions { missing_lockfile: self.missing_lockfile.clone(), ..self.options.plan_options.clone() };
        let (mut plan, abandoned_creates, marks) = self.session.state_cache.read(|recorded| {
            let plan = plan(&desired, recorded, &options, clock::now());
            let (abandoned_creates, marks) = abandoned_creates(&plan, recorded);
            (plan, abandoned_creates, marks)
        });
        self.session.state_cache.commit(marks).await?;
        if let Some(only) = &self.options.only {
            plan.restrict(only, &desired);
        }
        self.report.left = plan.steps.clone();
        self.report.held = plan.held.clone();
        self.report.drifts = plan.drifts.clone();
        // A note that was true before a step is kept after it.
        let new = plan.notes.iter().filter(|note| !self.report.notes.contains(note));
        let new: Vec<Note> = new.cloned().collect();
        self.report.notes.extend(new);
        let reviewed = self.session.state_cache.read(|recorded| moderation::under_review(&desired, recorded));
        self.report.under_review = reviewed.len() as u64;
        Ok((desired, plan, abandoned_creates))
    }

    async fn remember_files(&self, before: &FileCache, after: &FileCache) -> Result<(), StateCacheError> {
        let delta = FileDelta::between(before, after);
        if delta.is_empty() {
            return Ok(());
        }
        Ok(self.session.state_cache.store().save_files(delta).await?)
    }

    /// Executes a plan, and writes the lockfile at intervals.
    async fn carry_out(
        &mut self,
        desired: &Desired,
        plan: Plan,
        abandoned_creates: AbandonedCreates,
    ) -> Result<Vec<StepReport>, SyncError> {
        (self.options.listener)(ProgressEvent::Planned { steps: plan.steps.len() as u64 });
        let steps = self.context.steps(desired, abandoned_creates, self.generation);
        let reporting = Reporting { steps, reported: &self.reported };
        let mut executing = std::pin::pin!(execute(&reporting, plan.steps));
        let mut ticks = tokio::time::interval(LOCKFILE_EVERY);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            tokio::select! {
                reports = &mut executing => {
                    self.reported.lock().unwrap_or_else(PoisonError::into_inner).clear();
                    return Ok(reports);
                }
                _ = ticks.tick() => {
                    // Requests in flight are awaited in any case: their outcome belongs in the
                    // lockfile.
                    if let Err(error) = self.session.state_cache.secure().await {
                        self.options.stop.trigger(stop_for(&error));
                    }
                    // Learned limits are saved as often, for the same reason.
                    self.context.save_limits().await?;
                    match self.session.lockfile.write(&self.session.state_cache, &self.in_manifest).await {
                        Ok(written) => self.report.lockfile_written |= written,
                        // Steps that are not sent yet wait for another run.
                        Err(KeepError::Lockfile(error @ LockfileError::NoRoom(_))) => {
                            let hint = error.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
                            let message = format!("{}{hint}", crate::engine::execute::executor::chain(&error));
                            self.options.stop.trigger(Stop::State { message });
                        }
                        // The end of the run tries again, and reports a failure.
                        Err(error) => tracing::warn!("the lockfile can't be written yet: {}", crate::engine::execute::executor::chain(&error)),
                    }
                }
            }
        }
    }

    /// Writes the lockfile, the learned limits and the latencies, however the rounds ended.
    async fn end(mut self, ended: Result<(), SyncError>) -> Result<RunReport, SyncError> {
        let written = self.session.lockfile.write_last(&self.session.state_cache, &self.in_manifest).await;
        let learned = self.context.save_limits().await;
        self.report.stop = self.options.stop.why();
        if let Some(Stop::Defect { .. }) = self.report.stop {
            // Other errors followed from the defect.
            return Ok(self.report);
        }
        self.report.lockfile_written |= matches!(written, Ok(true));
        let written = match written {
            Ok(_) => self.write_outputs().await.map_err(KeepError::from),
            // The game must not get an ID that no other machine can know.
            Err(error) => Err(error),
        };
        let written = written.map_err(SyncError::from);
        // A lockfile that lacks entries is reported before any other error.
        let ended = match written {
            Err(SyncError::Lockfile(KeepError::Lockfile(LockfileError::Behind { .. }))) => written,
            Ok(()) | Err(_) => ended.and(written),
        };
        let ended = ended.and(learned.map_err(SyncError::from));
        match ended {
            Ok(()) => Ok(self.report),
            // The report of completed steps is never dropped.
            Err(source) if !self.report.steps.is_empty() => {
                self.report.break_off(crate::engine::execute::executor::chain(&source));
                Err(SyncError::Midway { source: Box::new(source), report: Box::new(self.report) })
            }
            Err(error) => Err(error),
        }
    }

    /// Writes the outputs that differ, if the desired state is known.
    async fn write_outputs(&mut self) -> Result<(), StateCacheError> {
        let Some((manifest, desired)) = self.wanted.take() else { return Ok(()) };
        let asset_ids = self.session.state_cache.read(|recorded| outputs::asset_ids(&desired, recorded));
        let drafts = tokio::task::block_in_place(|| outputs::draft(&self.session.project, &manifest, &asset_ids));
        if drafts.iter().any(RenderedOutput::is_due) {
            self.session.lockfile.will_be_told(&self.session.state_cache).await?;
        }
        self.report.outputs = tokio::task::block_in_place(|| outputs::write(&self.session.project, drafts));
        Ok(())
    }

    async fn write_lockfile(&mut self) -> Result<(), KeepError> {
        let written = self.session.lockfile.write(&self.session.state_cache, &self.in_manifest).await?;
        self.report.lockfile_written |= written;
        Ok(())
    }
}
