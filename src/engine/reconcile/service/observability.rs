//! The operators' view of the service: logs, metrics, health, and the status for systemd. It
//! follows the loop's progress, never a timer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use crate::engine::report::run_report::{Outcome, StepReport};
use crate::engine::workspace::state_cache::StateCache;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::phase::{Intent, Phase};
use crate::plan::reason::drift::DriftKind;
use crate::plan::reason::hold::HoldReason;
use crate::plan::{Drift, Hold, HoldKind, Plan};
use crate::platform::clock;
use crate::telemetry::change::{ChangeId, ChangeIds};
use crate::telemetry::health::Health;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::systemd::{Notifier, Watchdog};

/// The time without progress after which the loop counts as stuck: longer than a scan of many files
/// takes.
pub(crate) const DEADLINE: Duration = Duration::from_mins(3);

/// The status of the loop.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct LoopStatus {
    pub(super) assets: usize,
    pub(super) in_progress: usize,
    pub(super) degraded: Vec<String>,
}

/// What the loop waits for before it does anything.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LoopWait {
    pub(super) why: String,
    /// It takes so long that nobody may know of it.
    pub(super) is_long: bool,
}

/// Reports the loop's progress to operators.
pub(crate) struct Observability {
    /// The metrics.
    pub metrics: Arc<Metrics>,
    health: watch::Sender<Health>,
    notifier: Notifier,
    watchdog: Option<Watchdog>,
    notified_at: Option<Duration>,
    status: String,
    ready: bool,
    waits_for: Option<LoopWait>,
    ids: ChangeIds,
    /// The last change of each address, until it is synced.
    changed_at: BTreeMap<Address, FollowedChange>,
    held: BTreeMap<Address, HoldReason>,
    /// Addresses whose first file is not whole yet.
    being_written: BTreeSet<Address>,
    drifts: BTreeMap<Address, DriftKind>,
    /// There was nothing to do at the last plan, and the log says so.
    is_up_to_date: bool,
}

/// A change of an address whose way is followed.
struct FollowedChange {
    /// When it was seen.
    since: Duration,
    /// Its ID in the log.
    id: ChangeId,
    /// A plan had something to do for it, or held it.
    has_effect: bool,
}

impl Observability {
    /// Creates one that reports to `health` and `notifier`.
    pub(crate) fn new(metrics: Arc<Metrics>, health: watch::Sender<Health>, notifier: Notifier) -> Self {
        let watchdog = notifier.watchdog(DEADLINE);
        Self {
            metrics,
            health,
            notifier,
            watchdog,
            notified_at: None,
            status: String::new(),
            ready: false,
            waits_for: None,
            ids: ChangeIds::new(u64::from(clock::now().subsec_nanosecond().unsigned_abs())),
            changed_at: BTreeMap::new(),
            held: BTreeMap::new(),
            being_written: BTreeSet::new(),
            drifts: BTreeMap::new(),
            is_up_to_date: false,
        }
    }

    /// Reports readiness, once: locked, recovered, watching, and either scanned or waiting for git.
    pub(super) fn ready(&mut self) {
        if std::mem::replace(&mut self.ready, true) {
            return;
        }
        warn_of(self.notifier.ready());
        tracing::info!("ready");
    }

    pub(super) const fn is_ready(&self) -> bool {
        self.ready
    }

    pub(super) fn reloading(&self) {
        warn_of(self.notifier.reloading());
    }

    pub(super) fn reloaded(&self) {
        warn_of(self.notifier.ready());
    }

    pub(super) fn stopping(&mut self) {
        self.ready = false;
        warn_of(self.notifier.stopping());
        self.health.send_modify(|health| {
            health.ready = false;
            health.detail = "stopping".to_owned();
        });
    }

    /// Reports progress of the loop.
    pub(super) fn progress(&mut self, loop_status: &LoopStatus) {
        let now = clock::elapsed();
        let LoopStatus { assets, in_progress, degraded } = loop_status;
        let detail = match &self.waits_for {
            Some(_) => "waiting for git".to_owned(),
            None if *in_progress > 0 => format!("{assets} assets, {in_progress} in progress"),
            None => format!("{assets} assets, watching"),
        };
        self.health.send_replace(Health {
            ready: self.ready,
            last_progress: now,
            deadline: DEADLINE,
            detail: detail.clone(),
            degraded: degraded.clone(),
        });
        let status = if degraded.is_empty() { detail } else { format!("{detail}; {}", degraded.join("; ")) };
        if status != self.status {
            warn_of(self.notifier.status(&status));
            self.status = status;
        }
        if let Some(watchdog) = &self.watchdog
            && self.notified_at.is_none_or(|at| now.saturating_sub(at) >= watchdog.interval())
            && watchdog.beat(Duration::ZERO)
        {
            warn_of(self.notifier.notify_watchdog());
            self.notified_at = Some(now);
        }
    }

    /// Reports why the loop may do nothing now. Logs changes only.
    pub(super) fn waits_for(&mut self, waiting: Option<LoopWait>) {
        if waiting != self.waits_for {
            match &waiting {
                Some(LoopWait { why, is_long: false }) => tracing::info!("waiting: {why}"),
                Some(LoopWait { why, is_long: true }) => tracing::warn!("nothing is uploaded meanwhile: {why}"),
                None => tracing::info!("continuing"),
            }
            self.waits_for = waiting;
        }
    }

    /// Returns whether the loop waits for something that takes so long that a person should look.
    pub(super) fn waits_long(&self) -> bool {
        self.waits_for.as_ref().is_some_and(|waiting| waiting.is_long)
    }

    /// Records that the desired state of these addresses changed.
    pub(super) fn changed(&mut self, addresses: &BTreeSet<Address>) {
        let now = clock::elapsed();
        for address in addresses {
            let change = self.changed_at.entry(address.clone()).or_insert_with(|| {
                let id = self.ids.next_id();
                FollowedChange { since: now, id, has_effect: false }
            });
            let _following = change.id.span().entered();
            tracing::debug!(%address, "changed");
        }
    }

    /// Returns the span that puts the change's id on log lines.
    pub(super) fn span(&self, address: &Address) -> tracing::Span {
        self.changed_at.get(address).map_or_else(tracing::Span::none, |change| change.id.span())
    }

    /// Logs and counts the outcome of a step; one that a refused key stopped is told as that.
    pub(super) fn step_ended(&mut self, report: &StepReport, key_is_refused: bool) {
        let (address, action) = (&report.step.address, report.step.action.name());
        let _following = self.span(address).entered();
        let result = match &report.outcome {
            // The executor logged it.
            Outcome::Done { .. } => "done",
            Outcome::Refused { message, hint } => {
                tracing::error!(%address, action, hint, "{message}");
                "refused"
            }
            Outcome::InDoubt { message } => {
                tracing::warn!(%address, action, "outcome unknown: {message}");
                "in_doubt"
            }
            Outcome::TryLater { message } if key_is_refused => {
                tracing::debug!(%address, action, "waits for another API key: {message}");
                "later"
            }
            Outcome::TryLater { message } => {
                tracing::warn!(%address, action, "trying again later: {message}");
                "later"
            }
            Outcome::Running { reason } => {
                tracing::info!(%address, action, "{reason}");
                "running"
            }
            Outcome::Superseded { reason } => {
                tracing::debug!(%address, action, "superseded: {reason}");
                "superseded"
            }
            Outcome::NotBegun => return,
        };
        self.metrics.action(action, result);
    }

    /// Reports that everything is what it was when a plan had nothing to do.
    pub(super) fn still_up_to_date(&self) {
        self.metrics.set_last_success(clock::now().as_second().unsigned_abs());
    }

    /// Logs new holds and drifts; a plan without steps and holds counts as a success. A plan of a
    /// `part` says nothing of other addresses.
    pub(super) fn planned(
        &mut self,
        plan: &Plan,
        part: Option<&Desired>,
        in_progress: &BTreeSet<Address>,
        state_cache: &StateCache,
        desired: &Desired,
    ) {
        let acting: BTreeSet<&Address> = plan.steps.iter().map(|step| &step.address).chain(in_progress).collect();
        let is_planned = |address: &Address| part.is_none_or(|part| part.assets.contains_key(address));
        let now = clock::elapsed();
        let is_open =
            |address: &Address| acting.contains(address) || plan.held.iter().any(|hold| hold.address == *address);
        let metrics = &self.metrics;
        self.changed_at.retain(|address, change| {
            change.has_effect |= is_open(address);
            let is_synced = is_planned(address) && !is_open(address);
            // At the start everything counts as changed, and nearly all of it is up to date.
            if is_synced && change.has_effect {
                metrics.synced_after(now.saturating_sub(change.since));
            }
            !is_synced
        });
        // A file that is still being written settles in a moment; nothing to report.
        let early = |hold: &&Hold| matches!(&hold.reason, HoldReason::File(problem) if problem.is_being_written());
        let holds: Vec<&Hold> = plan.held.iter().filter(|hold| !early(hold)).collect();
        self.being_written.retain(|address| !is_planned(address));
        self.being_written.extend(plan.held.iter().filter(early).map(|hold| hold.address.clone()));
        let held: BTreeMap<Address, HoldReason> =
            holds.iter().map(|hold| (hold.address.clone(), hold.reason.clone())).collect();
        for hold in holds.iter().filter(|hold| self.held.get(&hold.address) != Some(&hold.reason)) {
            let kind = match hold.kind() {
                HoldKind::Held => "on hold".to_owned(),
                kind @ (HoldKind::Rejected | HoldKind::Failed | HoldKind::Waiting) => kind.to_string(),
            };
            tracing::warn!(address = %hold.address, hint = hold.hint(), "{kind}: {}", hold.reason);
        }
        self.held.retain(|address, _| !is_planned(address));
        self.held.extend(held);
        let drifts: BTreeMap<Address, DriftKind> =
            plan.drifts.iter().map(|drift| (drift.address.clone(), drift.kind.clone())).collect();
        for drift in plan.drifts.iter().filter(|drift| self.drifts.get(&drift.address) != Some(&drift.kind)) {
            let Drift { address, asset_id, kind } = drift;
            tracing::warn!(%address, %asset_id, "changed on Roblox: {kind}");
        }
        self.drifts.retain(|address, _| !is_planned(address));
        self.drifts.extend(drifts);
        let in_doubt_creates = state_cache.read(|recorded| {
            let in_doubt = |intent: &Intent, phase: &Phase| {
                matches!((intent, phase), (Intent::Create { .. }, Phase::InDoubt | Phase::Held))
            };
            recorded.attempts.values().filter(|attempt| in_doubt(&attempt.intent, &attempt.phase)).count()
        });
        self.metrics.set_in_doubt(in_doubt_creates as u64);
        self.metrics.set_drifted(self.drifts.len() as u64);
        let (held, pending) = (self.held.len() as u64, acting.len() as u64);
        let all = desired.assets.len() as u64;
        let synced = all.saturating_sub(held).saturating_sub(pending);
        self.metrics.set_assets(&[("synced", synced), ("pending", pending), ("held", held)]);
        let is_held = !self.held.is_empty() || !self.being_written.is_empty() || !self.drifts.is_empty();
        let is_up_to_date = acting.is_empty() && !is_held;
        if is_up_to_date && !self.is_up_to_date && all > 0 {
            match all {
                1 => tracing::info!("the one asset is up to date"),
                all => tracing::info!("all {all} assets are up to date"),
            }
        }
        self.is_up_to_date = is_up_to_date;
        if acting.is_empty() && self.held.is_empty() {
            self.metrics.set_last_success(clock::now().as_second().unsigned_abs());
        }
    }
}

/// A failed notification of systemd is no reason to stop.
fn warn_of(sent: std::io::Result<()>) {
    if let Err(error) = sent {
        tracing::debug!("systemd could not be told: {error}");
    }
}
