//! `sync --once ADDRESS…` and `plan ADDRESS…`: a part of the project, and what the part leaves out.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use tokio::task::block_in_place;

use super::exit::CommandFailure;
use super::output::{Printer, plural};
use super::selection::{AddressSelection, Candidates};
use super::tally::{Tally, Tense, tally};
use super::target::ProjectTarget;
use super::unknown::unknown_address;
use crate::engine::report::progress::silent;
use crate::engine::report::run_report::RunReport;
use crate::engine::workspace::snapshot::{self, NamedAddresses, PlanPreview};
use crate::model::address::Address;
use crate::plan::{PlanOptions, Restriction, Step};

/// Plans for the whole project, from the files and what is known.
fn plan_whole(target: &ProjectTarget) -> Result<PlanPreview, CommandFailure> {
    let whole = || snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
    Ok(block_in_place(whole)?)
}

/// Reads the addresses of a command line; `None` without any, which means the whole project.
///
/// # Errors
/// When one names no asset, or a pattern matches none.
pub(super) fn read(target: &ProjectTarget, texts: &[String]) -> Result<Option<Restriction>, CommandFailure> {
    if texts.is_empty() {
        return Ok(None);
    }
    // A mistake is found before the files are read, which may take minutes the first time.
    let NamedAddresses { wanted, recorded } = block_in_place(|| snapshot::addresses(&target.project, &target.remote))?;
    let selection = select(texts, &(&wanted | &recorded))?;
    let is_plain = AddressSelection::plain(texts).is_some();
    let selection = if is_plain && selection.addresses.iter().all(|address| wanted.contains(address)) {
        selection
    } else {
        // What is recorded may have another name by now.
        let whole = plan_whole(target)?;
        let known = whole.gathered.desired.assets.keys().chain(whole.recorded.assets.keys());
        select(texts, &known.cloned().collect())?
    };
    Ok(Some(Restriction { addresses: selection.addresses.into_iter().collect(), brings_needed: true }))
}

/// The addresses that the texts mean, all of which are known.
fn select(texts: &[String], known: &BTreeSet<Address>) -> Result<AddressSelection, CommandFailure> {
    let selection = AddressSelection::read(texts, || Ok(Candidates::from(known.clone())))?;
    match selection.addresses.iter().find(|address| !known.contains(*address)) {
        Some(unknown) => Err(unknown_address(unknown.as_str(), known.iter().map(Address::as_str))),
        None => Ok(selection),
    }
}

/// What a part leaves to be done.
#[derive(Debug)]
pub(super) struct LeftOut {
    addresses: BTreeSet<Address>,
    steps: Vec<Step>,
    /// The assets that are on hold, whether or not they have steps too.
    on_hold: BTreeSet<Address>,
}

impl LeftOut {
    /// Looks at what is left once the part is done, or would be with these `planned` steps.
    ///
    /// # Errors
    /// When manifest, lockfile or state can't be used any more.
    pub(super) fn look(target: &ProjectTarget, part: &Restriction, planned: &[Step]) -> Result<Self, CommandFailure> {
        let of_part = |step: &Step| {
            part.addresses.contains(&step.address) || planned.iter().any(|other| other.address == step.address)
        };
        let plan = plan_whole(target)?.plan;
        let held = plan.held.into_iter().map(|hold| hold.address);
        let on_hold = held.filter(|address| !part.addresses.contains(address)).collect();
        let steps = plan.steps.into_iter().filter(|step| !of_part(step)).collect();
        Ok(Self { addresses: part.addresses.clone(), steps, on_hold })
    }

    /// How many assets the part has, with those that a run brought along.
    pub(super) fn assets_of_part(&self, report: &RunReport) -> u64 {
        let touched = report.steps.iter().map(|entry| &entry.step.address);
        self.addresses.iter().chain(touched).collect::<BTreeSet<_>>().len() as u64
    }

    /// Says it to a person.
    pub(super) fn print(&self, output: Printer) {
        let counts = Tally::list(&tally(&self.steps, Tense::ToDo), None);
        let mut text = "This was a part of the project".to_owned();
        if counts.is_empty() && self.on_hold.is_empty() {
            text.push_str("; nothing else is to do");
        }
        if !counts.is_empty() {
            text.push_str(&format!(". Still to do: {counts}. `macadam sync --once` does it"));
        }
        if !self.on_hold.is_empty() {
            let others = plural(self.on_hold.len() as u64, "other asset");
            let are = if self.on_hold.len() == 1 { "is" } else { "are" };
            text.push_str(&format!(". {others} {are} on hold: `macadam plan` says why"));
        }
        output.line(format!("{text}."));
    }

    /// The value of the key `part`.
    pub(super) fn document(&self) -> Value {
        json!({
            "addresses": self.addresses.iter().map(Address::as_str).collect::<Vec<_>>(),
            "left_out": self.steps.iter().map(|step| json!({
                "address": step.address.as_str(),
                "action": step.action.name(),
            })).collect::<Vec<_>>(),
            "on_hold": self.on_hold.iter().map(Address::as_str).collect::<Vec<_>>(),
        })
    }
}
