//! What came of a run: one entry a step and hold, in the plan's order.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::workspace::outputs::OutputFile;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::plan::{Action, Drift, HeldPart, Hold, HoldKind, Note, Step};

/// How a step ended, the executor's only vocabulary.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// Carried out; the asset that it concerned, and its revision where it has one.
    Done {
        /// The asset.
        asset_id: AssetId,
        /// Roblox's revision number, or the asset's position in the address's history.
        revision: Option<u64>,
    },
    /// The run ended before its turn.
    NotBegun,
    /// Roblox works on it; it is followed by the next run.
    Running {
        /// What is waited for.
        reason: String,
    },
    /// Roblox said no; it waits for a change or for `retry`.
    Refused {
        /// What Roblox said, or what is wrong.
        message: String,
        /// What would mend it.
        hint: Option<String>,
    },
    /// It failed and will be tried again.
    TryLater {
        /// What happened.
        message: String,
    },
    /// Nobody knows whether it was carried out.
    InDoubt {
        /// What happened.
        message: String,
    },
    /// Something changed underneath: the next plan decides anew.
    Superseded {
        /// What changed.
        reason: String,
    },
}

impl Outcome {
    /// Whether it was carried out.
    pub(crate) const fn is_done(&self) -> bool {
        matches!(self, Self::Done { .. })
    }
}

/// One step with its outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct StepReport {
    /// The step.
    pub step: Step,
    /// How it ended.
    pub outcome: Outcome,
}

/// What stopped a run before its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Stop {
    /// Roblox refused the key, a scope, or the account.
    Credential {
        /// What Roblox said.
        message: String,
        /// What would mend it.
        hint: String,
    },
    /// The time given to the run is over.
    TimedOut,
    /// A signal; the exit code that it asks for.
    Signal(u8),
    /// State, lockfile or manifest could not be used any more.
    State {
        /// What happened.
        message: String,
    },
    /// The state was deleted or replaced, and another process holds it by now.
    Taken {
        /// What happened.
        message: String,
        /// What to do next.
        hint: String,
    },
    /// Macadam itself went wrong: it panicked.
    Defect {
        /// With what.
        message: String,
    },
}

/// Something to look into.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Warning {
    /// What: lower case, no full stop.
    pub message: String,
    /// What to do about it.
    pub hint: String,
}

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct RunReport {
    /// Every step that was tried, round after round.
    pub steps: Vec<StepReport>,
    /// What the last plan held.
    pub held: Vec<Hold>,
    /// What somebody else changed, as the last plan saw it.
    pub drifts: Vec<Drift>,
    /// What the last plan noted.
    pub notes: Vec<Note>,
    /// Assets that moderation has not decided on yet.
    pub under_review: u64,
    /// Assets that were to be looked at and could not be, with the reason.
    pub unasked: Vec<(AssetId, String)>,
    /// Steps that the last plan still wanted.
    pub left: Vec<Step>,
    /// How many assets the manifest wants.
    pub assets: u64,
    /// The lockfile was written.
    pub lockfile_written: bool,
    /// How the files of `[[outputs]]` stand; empty where the run ended before it knew.
    pub outputs: Vec<OutputFile>,
    /// What a person should look into although the run did what it could.
    pub warnings: Vec<Warning>,
    /// What ended the run early.
    pub stop: Option<Stop>,
}

impl RunReport {
    /// Whether the remote matches the manifest as far as Macadam may make it. What stopped the run
    /// doesn't matter if nothing was left to do, unless it kept the run from looking again or
    /// from writing down what it did.
    pub(crate) fn in_sync(&self) -> bool {
        let broken = matches!(self.stop, Some(Stop::State { .. } | Stop::Taken { .. } | Stop::Defect { .. }));
        self.left.is_empty() && self.held.is_empty() && !broken
    }

    /// Whether every output that the run knew of is as it should be.
    pub(crate) fn outputs_are_current(&self) -> bool {
        self.outputs.iter().all(|output| output.state.is_current())
    }

    /// Steps that the last plan still wanted and that no entry of [`RunReport::steps`] speaks of:
    /// never tried, or overtaken by a change.
    pub(crate) fn untold(&self) -> Vec<&Step> {
        let told =
            |report: &&StepReport| !report.outcome.is_done() && !matches!(report.outcome, Outcome::Superseded { .. });
        let told: BTreeSet<&Address> = self.steps.iter().filter(told).map(|report| &report.step.address).collect();
        self.left.iter().filter(|step| !told.contains(&step.address)).collect()
    }

    /// The run broke before it could plan again: what was done of the last plan is no longer
    /// wanted.
    pub(crate) fn break_off(&mut self, message: String) {
        self.forget_done();
        self.stop.get_or_insert(Stop::State { message });
    }

    /// What was done of the last plan is no longer wanted, though nothing was planned since.
    pub(crate) fn forget_done(&mut self) {
        let key = |step: &Step| (step.address.clone(), step.action.name());
        let done = self.steps.iter().filter(|report| report.outcome.is_done());
        let done: BTreeSet<_> = done.map(|report| key(&report.step)).collect();
        self.left.retain(|step| !done.contains(&key(step)));
    }

    /// Whether what is held now is why a step was not carried out: the hold says more than the
    /// step's own failure.
    pub(crate) fn is_held(&self, step: &Step) -> bool {
        let of_it = self.held.iter().filter(|hold| hold.address == step.address);
        of_it.into_iter().any(|hold| match hold.part {
            HeldPart::Asset => true,
            HeldPart::Metadata => step.action.is_metadata(),
            HeldPart::Archiving => matches!(step.action, Action::Archive { .. }),
        })
    }

    /// How often each action was carried out.
    pub(crate) fn done(&self) -> BTreeMap<&'static str, u64> {
        let mut counts = BTreeMap::new();
        for report in self.steps.iter().filter(|report| report.outcome.is_done()) {
            *counts.entry(report.step.action.name()).or_default() += 1;
        }
        counts
    }

    /// The last outcome of each address that did not end well.
    pub(crate) fn failures(&self) -> Vec<&StepReport> {
        let mut last: BTreeMap<&Address, &StepReport> = BTreeMap::new();
        for report in &self.steps {
            last.insert(&report.step.address, report);
        }
        last.into_values().filter(|report| !report.outcome.is_done()).collect()
    }

    /// Whether a hold needs a person: a rejected or failed asset does as well.
    pub(crate) fn held_by(&self, kind: HoldKind) -> usize {
        self.held.iter().filter(|hold| hold.kind == kind).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::AttemptId;

    fn step(address: &str) -> Step {
        Step {
            address: Address::new(address).unwrap(),
            action: Action::Wait { attempt: AttemptId(0) },
            reason: "test".to_owned(),
            rule: crate::plan::rule::Rule::UnderWay,
            after: Vec::new(),
            not_before: None,
        }
    }

    #[test]
    fn what_was_overtaken_or_half_done_went_unsaid() {
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
        let untold: Vec<&str> = report.untold().iter().map(|step| step.address.as_str()).collect();
        assert_eq!(untold, ["half", "overtaken", "untried"]);
    }

    #[test]
    fn a_held_archiving_hid_the_failure_of_an_update() {
        let hold = |part| Hold {
            address: Address::new("a").unwrap(),
            kind: HoldKind::Held,
            part,
            reason: "test".to_owned(),
            hint: None,
        };
        for (part, held) in [(HeldPart::Asset, true), (HeldPart::Metadata, false), (HeldPart::Archiving, false)] {
            let report = RunReport { held: vec![hold(part)], ..RunReport::default() };
            assert_eq!((report.is_held(&step("a")), report.is_held(&step("b"))), (held, false));
        }
    }

    #[test]
    fn a_signal_after_the_last_step_was_called_out_of_sync() {
        let report = RunReport { stop: Some(Stop::Signal(130)), ..RunReport::default() };
        assert!(report.in_sync());
    }
}
