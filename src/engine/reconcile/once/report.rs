//! What a run reports: of scans, of plans, and of the steps of each round.

use std::collections::BTreeSet;

use super::{SyncError, SyncRun};
use crate::engine::reconcile::reconciler::{Reconciler, Verdict};
use crate::engine::reconcile::wanted::ScannedProject;
use crate::engine::remote::moderation;
use crate::engine::report::asset_status::stored_otherwise;
use crate::engine::report::run_report::{Outcome, RunReport, StepReport, Warning};
use crate::engine::workspace::session::Session;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::metadata::Field;
use crate::model::phase::Phase;
use crate::model::recorded::Recorded;
use crate::model::shown::foreign;
use crate::plan::current::current;
use crate::plan::reason::note::NoteKind;
use crate::plan::{Action, Note, Plan, Step};

/// One plan that is carried out.
#[derive(Default)]
pub(super) struct Round {
    pub(super) steps: Vec<Step>,
    pub(super) reports: Vec<StepReport>,
    /// The plan left nothing as it is that it speaks of, and learned nothing.
    pub(super) has_only_steps: bool,
    /// The steps of the last plan, if none of them can go better soon.
    pub(super) hopeless: Option<Vec<Step>>,
    /// The number of rounds in a row without a completed step.
    pub(super) fruitless: u32,
}

impl Round {
    /// Reports the steps of the round that ended, and judges whether another one may help.
    pub(super) fn end(&mut self, report: &mut RunReport) {
        let (steps, mut reports) = (std::mem::take(&mut self.steps), std::mem::take(&mut self.reports));
        let is_useful = reports.iter().any(|report| report.outcome.is_done());
        let is_hopeless =
            |report: &StepReport| matches!(report.outcome, Outcome::Running { .. } | Outcome::Refused { .. });
        self.fruitless = if is_useful { 0 } else { self.fruitless + 1 };
        self.hopeless = reports.iter().all(is_hopeless).then_some(steps);
        reports.sort_by_cached_key(|report| (report.step.address.clone(), report.step.action.is_metadata()));
        report.steps.extend(reports);
    }
}

impl SyncRun<'_> {
    /// Takes over the result of a scan.
    pub(super) async fn scanned(&mut self, scanned: Result<Box<ScannedProject>, String>) -> Result<(), SyncError> {
        let ScannedProject { found, before, .. } = *scanned.map_err(|message| self.broken(message))?;
        let found = found?;
        self.report.warn_of(&found.0.notes);
        self.reconciler.take_over(found, &before).await?;
        let desired = &self.reconciler.wanted.desired;
        let twins = desired.twins().into_iter().map(|twins| Note {
            address: None,
            kind: NoteKind::DifferOnlyByCase { first: twins.first.clone(), second: twins.second.clone() },
        });
        note(&mut self.report, twins.collect());
        self.report.assets = desired.assets.len() as u64;
        let Session { state_cache, lockfile, .. } = &mut *self.reconciler.session;
        lockfile.read(state_cache).await?;
        if self.report.assets == 0 {
            self.report.unlisted = state_cache.read(|recorded| desired.unlisted(recorded.used()));
        }
        if self.missing_lockfile.is_none() {
            self.missing_lockfile = lockfile.missing().cloned();
        }
        Ok(())
    }

    /// Records the marks of a plan that is not carried out. What moved has to be known before an
    /// asset is fetched, or a revision of its earlier address looks like somebody else's.
    pub(super) async fn record_marks(&mut self) -> Result<(), SyncError> {
        let options = self.plan_options();
        let report = &mut self.report;
        let judge = |plan: &mut Plan, reconciler: &Reconciler<'_>| {
            report_plan(report, plan, reconciler);
            Verdict::Leave
        };
        self.reconciler.plan_and_dispatch(options, judge, |_| tracing::Span::none()).await?;
        Ok(())
    }

    /// Ends a run that has no time left: it doesn't wait for requests in flight. They are recorded
    /// as after a crash, in state and lockfile.
    pub(super) async fn break_off(&mut self) -> Result<(), SyncError> {
        self.reconciler.recover(|_| true).await?;
        self.report.forget_done();
        let unanswered: Vec<Step> = self.reconciler.session.state_cache.read(|recorded| {
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
}

/// Reports a plan.
pub(super) fn report_plan(report: &mut RunReport, plan: &Plan, reconciler: &Reconciler<'_>) {
    let desired = &reconciler.wanted.desired;
    report.left = plan.steps.clone();
    report.held = plan.held.clone();
    report.drifts = plan.drifts.clone();
    // A note that was true before a step is kept after it.
    note(report, plan.notes.clone());
    let reviewed = reconciler.session.state_cache.read(|recorded| moderation::under_review(desired, recorded));
    report.under_review = reviewed.len() as u64;
}

/// Warns of each text that this run sent and that Roblox stored otherwise.
pub(super) fn warn_of_filtered(report: &mut RunReport, desired: &Desired, recorded: &Recorded) {
    let stored = |address: &Address, field: Field| {
        let (want, record) = (desired.assets.get(address)?, recorded.assets.get(address)?);
        let seen = recorded.observed(current(want, record)?.0.asset_id)?;
        stored_otherwise(want, record, &seen.asset, field)
    };
    let mut filtered: BTreeSet<(&Address, &str, String)> = BTreeSet::new();
    for StepReport { step, .. } in report.steps.iter().filter(|step| step.outcome.is_done()) {
        for (what, field) in [("name", Field::DisplayName), ("description", Field::Description)] {
            let is_sent = match &step.action {
                Action::Create(_) | Action::Replace { .. } => true,
                Action::UpdateMetadata { changes, .. } => changes.iter().any(|change| change.field() == field),
                _ => false,
            };
            let text = is_sent.then(|| stored(&step.address, field)).flatten();
            filtered.extend(text.map(|text| (&step.address, what, text)));
        }
    }
    let warning = |(address, what, text): (&Address, &str, String)| Warning {
        message: format!("{address}: because of Roblox's text filter, the {what} there is `{}`", foreign(&text)),
        hint: format!("write another {what}, or leave it so"),
    };
    let warnings: Vec<Warning> = filtered.into_iter().map(warning).collect();
    report.warnings.extend(warnings);
}

/// Adds notes that the report doesn't have yet.
pub(super) fn note(report: &mut RunReport, notes: Vec<Note>) {
    let new: Vec<Note> = notes.into_iter().filter(|note| !report.notes.contains(note)).collect();
    report.notes.extend(new);
}
