//! The result of a run: one entry per step and hold, in the plan's order.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::engine::workspace::lockfile::LockfileChanges;
use crate::engine::workspace::outputs::OutputFile;
use crate::manifest::Diagnostic;
use crate::model::address::Address;
use crate::model::desired::Unlisted;
use crate::model::ids::AssetId;
use crate::plan::{Action, Drift, HeldPart, Hold, Note, Step};

/// How a step ended. The executor reports in no other form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// It was carried out.
    Done {
        asset_id: AssetId,
        /// Roblox's revision number, or the asset's position in the address's history.
        revision: Option<u64>,
    },
    /// The run ended before the step began.
    NotBegun,
    /// Roblox is still processing it; the next run follows it.
    Running {
        /// The reason for the wait.
        reason: String,
    },
    /// Roblox refused it; it waits for a change or for `retry`.
    Refused {
        /// Roblox's message, or the problem.
        message: String,
        /// The remedy.
        hint: Option<String>,
    },
    /// It failed and will be tried again.
    TryLater {
        /// The failure.
        message: String,
    },
    /// It is unknown whether Roblox carried it out.
    InDoubt {
        /// The failure.
        message: String,
    },
    /// Something changed meanwhile; the next plan decides again.
    Superseded {
        /// The change.
        reason: String,
    },
}

impl Outcome {
    /// Returns whether the step was carried out.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// One step with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepReport {
    pub step: Step,
    pub outcome: Outcome,
}

impl StepReport {
    /// Returns whether a file was uploaded.
    pub(crate) fn uploaded_a_file(&self) -> bool {
        let action = &self.step.action;
        self.outcome.is_done()
            && matches!(action, Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. })
    }
}

/// Why a run stopped early.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Roblox refused the key, a scope, or the account.
    Credential {
        /// Roblox's message.
        message: String,
        /// The remedy.
        hint: String,
    },
    /// This machine's clock is probably wrong: Roblox's certificate isn't valid now.
    Clock {
        /// The failure, with the time.
        message: String,
    },
    /// The time limit of the run was reached.
    TimedOut,
    /// A signal, with the exit code that it implies.
    Signal(u8),
    /// State, lockfile or manifest became unusable.
    State {
        /// The failure.
        message: String,
    },
    /// The state was deleted or replaced, and another process holds it by now.
    Taken {
        /// The failure.
        message: String,
        /// The next step.
        hint: String,
    },
    /// A defect of Macadam: it panicked.
    Defect {
        /// The panic's message.
        message: String,
    },
}

/// A problem that a person should look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// The problem: lower case, no full stop.
    pub message: String,
    /// The remedy.
    pub hint: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { message, hint } = self;
        if hint.is_empty() { f.write_str(message) } else { write!(f, "{message}; {hint}") }
    }
}

/// The result of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RunReport {
    /// Every step that was tried, round after round.
    pub steps: Vec<StepReport>,
    /// The holds of the last plan.
    pub held: Vec<Hold>,
    /// Changes made by others, as of the last plan.
    pub drifts: Vec<Drift>,
    /// The notes of all plans.
    pub notes: Vec<Note>,
    /// The number of assets that are under review.
    pub under_review: u64,
    /// Assets that could not be fetched, with the reason.
    pub unasked: Vec<(AssetId, String)>,
    /// The steps of the last plan that are left.
    pub left: Vec<Step>,
    /// The number of assets in the manifest.
    pub assets: u64,
    /// Assets that the lockfile has, where the manifest has none at all.
    pub unlisted: Unlisted,
    /// Whether the lockfile was written.
    pub lockfile_written: bool,
    /// What changed in it, unless steps say so.
    pub lockfile_changes: LockfileChanges,
    /// The state of each file of `[[outputs]]`; empty if the run ended before it was known.
    pub outputs: Vec<OutputFile>,
    /// Problems that a person should look into although the run did what it could.
    pub warnings: Vec<Warning>,
    /// A person was asked, and didn't agree.
    pub is_declined: bool,
    /// Why the run ended early.
    pub stop: Option<Stop>,
}

impl RunReport {
    /// Adds what the manifest is warned of, each once: a glob that finds nothing.
    pub(crate) fn warn_of(&mut self, notes: &[Diagnostic]) {
        for note in notes {
            let warning = Warning { message: note.message.clone(), hint: note.hint.clone().unwrap_or_default() };
            if !self.warnings.contains(&warning) {
                self.warnings.push(warning);
            }
        }
    }

    /// Returns whether the remote matches the manifest, as far as Macadam may change it. An early
    /// stop doesn't matter if nothing was left to do, unless the run could not plan again or could
    /// not record its work.
    pub(crate) fn in_sync(&self) -> bool {
        let broken = matches!(self.stop, Some(Stop::State { .. } | Stop::Taken { .. } | Stop::Defect { .. }));
        self.left.is_empty() && self.held.is_empty() && !broken
    }

    /// Returns whether every output that the run knew of is up to date.
    pub(crate) fn outputs_are_current(&self) -> bool {
        self.outputs.iter().all(|output| output.state.is_current())
    }

    /// Returns the steps that are left and that no entry of [`RunReport::steps`] mentions: never
    /// tried, or superseded.
    pub(crate) fn unreported(&self) -> Vec<&Step> {
        let told =
            |report: &&StepReport| !report.outcome.is_done() && !matches!(report.outcome, Outcome::Superseded { .. });
        let told: BTreeSet<&Address> = self.steps.iter().filter(told).map(|report| &report.step.address).collect();
        self.left.iter().filter(|step| !told.contains(&step.address)).collect()
    }

    /// Ends the report of a run that broke before it could plan again: completed steps of the last
    /// plan are no longer left.
    pub(crate) fn break_off(&mut self, message: String) {
        self.forget_done();
        self.stop.get_or_insert(Stop::State { message });
    }

    /// Removes completed steps from those that are left, when no plan followed.
    pub(crate) fn forget_done(&mut self) {
        let key = |step: &Step| (step.address.clone(), step.action.name());
        let done = self.steps.iter().filter(|report| report.outcome.is_done());
        let done: BTreeSet<_> = done.map(|report| key(&report.step)).collect();
        self.left.retain(|step| !done.contains(&key(step)));
    }

    /// Returns whether a hold explains why a step was not carried out: the hold says more than the
    /// step's own failure.
    pub(crate) fn is_held(&self, step: &Step) -> bool {
        let of_it = self.held.iter().filter(|hold| hold.address == step.address);
        of_it.into_iter().any(|hold| match hold.part {
            HeldPart::Asset => true,
            HeldPart::Metadata => step.action.is_metadata(),
            HeldPart::Archiving => matches!(step.action, Action::Archive { .. }),
        })
    }

    /// Returns how often each action was carried out.
    pub(crate) fn done(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for report in self.steps.iter().filter(|report| report.outcome.is_done()) {
            *counts.entry(report.step.action.name()).or_default() += 1;
        }
        counts
    }

    /// Returns the last outcome of each address that did not succeed.
    pub(crate) fn failures(&self) -> Vec<&StepReport> {
        let mut last: BTreeMap<&Address, &StepReport> = BTreeMap::new();
        for report in &self.steps {
            last.insert(&report.step.address, report);
        }
        last.into_values().filter(|report| !report.outcome.is_done()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::AttemptId;
    use crate::plan::reason::hold::HoldReason;
    use crate::plan::reason::step::StepReason;

    fn step(address: &str) -> Step {
        Step {
            address: Address::new(address).unwrap(),
            action: Action::Wait { attempt: AttemptId(0) },
            reason: StepReason::InDoubt,
            after: Vec::new(),
            not_before: None,
        }
    }

    #[test]
    fn unreported_lists_steps_left_without_a_report() {
        let tried = |address: &str, outcome: Outcome| StepReport { step: step(address), outcome };
        let done = Outcome::Done { asset_id: AssetId::new(1).unwrap(), revision: None };
        let report = RunReport {
            steps: vec![
                tried("later", Outcome::TryLater { message: "502".to_owned() }),
                tried("half", done),
                tried("overtaken", Outcome::Superseded { reason: "changed".to_owned() }),
            ],
            left: ["later", "half", "overtaken", "untried"].map(step).to_vec(),
            ..RunReport::default()
        };
        let unreported: Vec<&str> = report.unreported().iter().map(|step| step.address.as_str()).collect();
        assert_eq!(unreported, ["half", "overtaken", "untried"]);
    }

    #[test]
    fn a_held_archiving_does_not_hide_a_failed_update() {
        let hold = |part| Hold { address: Address::new("a").unwrap(), part, reason: HoldReason::AssetGone };
        for (part, held) in [(HeldPart::Asset, true), (HeldPart::Metadata, false), (HeldPart::Archiving, false)] {
            let report = RunReport { held: vec![hold(part)], ..RunReport::default() };
            assert_eq!((report.is_held(&step("a")), report.is_held(&step("b"))), (held, false));
        }
    }

    #[test]
    fn a_signal_after_the_last_step_leaves_the_run_in_sync() {
        let report = RunReport { stop: Some(Stop::Signal(130)), ..RunReport::default() };
        assert!(report.in_sync());
    }
}
