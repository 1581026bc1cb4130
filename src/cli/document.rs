//! The JSON forms of plans and reports. IDs and revisions are numbers; what is not known is null.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use super::outputs;
use crate::engine::report::run_report::{Outcome, RunReport, StepReport, Warning};
use crate::engine::workspace::outputs::OutputFile;
use crate::engine::workspace::snapshot::PlanPreview;
use crate::manifest::Diagnostic;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::ids::{AssetId, Revision};
use crate::model::recorded::Recorded;
use crate::plan::diff::{self, Difference};
use crate::plan::reason::drift::DriftedField;
use crate::plan::reason::hold::HoldFacts;
use crate::plan::{Action, Drift, Hold, HoldKind, Note, Step};

/// A step as one entry of `actions`, with all that is known of it where that is at hand.
fn action(step: &Step, known: Option<(&Desired, &Recorded)>) -> Map<String, Value> {
    let recorded = known.map(|(_, recorded)| recorded);
    let asset_id = match known {
        Some((desired, recorded)) => diff::asset_of(step, desired, recorded),
        None => step.action.asset_id(),
    };
    let revision = match &step.action {
        Action::UpdateContent { head, .. } => head.map(Revision::get),
        Action::PointBack { to, .. } => recorded
            .and_then(|recorded| recorded.assets.get(&step.address))
            .map(|record| record.history.number(*to))
            .filter(|number| *number > 0),
        Action::Rollback { to, .. } => Some(to.get()),
        Action::Create(_)
        | Action::Share { .. }
        | Action::Replace { .. }
        | Action::UpdateMetadata { .. }
        | Action::Move { .. }
        | Action::Archive { .. }
        | Action::Restore { .. }
        | Action::Settle { .. }
        | Action::Wait { .. } => None,
    };
    let mut entry = Map::new();
    entry.insert("address".to_owned(), json!(step.address.as_str()));
    entry.insert("action".to_owned(), json!(step.action.name()));
    entry.insert("reason".to_owned(), json!(step.reason.to_string()));
    entry.insert("code".to_owned(), json!(step.reason.rule().name()));
    entry.insert("asset_id".to_owned(), json!(asset_id.map(AssetId::get)));
    entry.insert("revision".to_owned(), json!(revision));
    if step.action.restores() {
        entry.insert("restores".to_owned(), json!(true));
    }
    if let Some(recorded) = recorded {
        let changes = diff::diff(step, recorded).into_iter();
        let changes = changes.map(|Difference { what, from, to }| json!({ "what": what, "from": from, "to": to }));
        entry.insert("changes".to_owned(), changes.collect());
    }
    if let Action::UpdateMetadata { changes, .. } = &step.action {
        entry.insert("fields".to_owned(), changes.iter().map(|change| change.field().name()).collect());
    }
    if !step.after.is_empty() {
        entry.insert("after".to_owned(), step.after.iter().map(Address::as_str).collect());
    }
    if let Some(not_before) = step.not_before {
        entry.insert("not_before".to_owned(), json!(not_before.to_string()));
    }
    entry
}

fn hold(hold: &Hold) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("address".to_owned(), json!(hold.address.as_str()));
    entry.insert("action".to_owned(), json!("hold"));
    entry.insert("reason".to_owned(), json!(hold.reason.to_string()));
    entry.insert("code".to_owned(), json!(hold.reason.code()));
    entry.insert("asset_id".to_owned(), Value::Null);
    entry.insert("revision".to_owned(), Value::Null);
    entry.insert("hint".to_owned(), json!(hold.hint()));
    entry.insert("kind".to_owned(), json!(hold.kind().to_string()));
    entry.insert("part".to_owned(), json!(hold.part.name()));
    entry.insert("facts".to_owned(), facts(&hold.reason.facts()));
    entry
}

/// What the reason of a hold names.
pub(super) fn facts(facts: &HoldFacts) -> Value {
    let HoldFacts { addresses, asset_id, revision } = facts;
    json!({
        "addresses": addresses.iter().map(Address::as_str).collect::<Vec<_>>(),
        "asset_id": asset_id.map(AssetId::get),
        "revision": revision.map(Revision::get),
    })
}

fn summary(actions: &[Map<String, Value>]) -> Value {
    let mut counts: Map<String, Value> = Map::new();
    for name in actions.iter().filter_map(|entry| entry.get("action")).filter_map(Value::as_str) {
        let count = counts.get(name).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(name.to_owned(), json!(count + 1));
    }
    Value::Object(counts)
}

fn notes(notes: &[Note]) -> Value {
    let note = |Note { address, kind }: &Note| json!({ "address": address.as_ref().map(Address::as_str), "code": kind.code(), "note": kind.to_string() });
    notes.iter().map(note).collect()
}

/// Changes that were made on Roblox, outside of Macadam.
pub(super) fn drifts(drifts: &[Drift]) -> Value {
    let drift = |drift: &Drift| {
        let Drift { address, asset_id, kind } = drift;
        json!({
            "address": address.as_str(),
            "asset_id": asset_id.get(),
            "revision": kind.revision().map(Revision::get),
            "code": kind.code(),
            "what": kind.to_string(),
            "hint": drift.hint(),
            "fields": kind.fields().iter().map(drifted_field).collect::<Vec<_>>(),
        })
    };
    drifts.iter().map(drift).collect()
}

fn drifted_field(DriftedField { field, at_roblox, wanted }: &DriftedField) -> Value {
    json!({ "field": field.name(), "at_roblox": at_roblox, "wanted": wanted })
}

fn planned(preview: &PlanPreview) -> Vec<Map<String, Value>> {
    let known = (&preview.gathered.desired, &preview.recorded);
    let mut actions: Vec<_> = preview.plan.steps.iter().map(|step| action(step, Some(known))).collect();
    actions.extend(preview.plan.held.iter().map(hold));
    actions
}

/// `plan`.
pub(super) fn plan(preview: &PlanPreview) -> Value {
    let actions = planned(preview);
    json!({
        "actions": actions,
        "summary": summary(&actions),
        "lockfile_changes": preview.lockfile_changes.any,
        "outputs": outputs::planned_documents(preview),
        "drifts": drifts(&preview.plan.drifts),
        "notes": notes(&preview.plan.notes),
        "warnings": warnings(&preview.gathered.notes),
    })
}

/// `plan`, where nothing is to be done and every output is up to date.
pub(super) fn nothing_planned(outputs: &[OutputFile]) -> Value {
    json!({
        "actions": [],
        "summary": {},
        "lockfile_changes": false,
        "outputs": outputs::settled_documents(outputs),
        "drifts": [],
        "notes": [],
        "warnings": [],
    })
}

/// Findings about manifest and files that are no errors.
pub(super) fn warnings(notes: &[Diagnostic]) -> Value {
    notes.iter().map(|note| json!({ "message": note.message, "hint": note.hint })).collect()
}

/// `sync --once --locked`: the plan, in the form of a run that carried out nothing.
pub(super) fn locked(preview: &PlanPreview, violated: bool) -> Value {
    let mut document = plan(preview);
    let mut actions = planned(preview);
    let held = std::iter::repeat_n(None, preview.plan.steps.len()).chain(preview.plan.held.iter().map(Some));
    for (entry, held) in actions.iter_mut().zip(held) {
        entry.insert("outcome".to_owned(), json!(held.map_or("waiting", outcome_of)));
        entry.insert("error".to_owned(), json!(held.map(|held| held.reason.to_string())));
    }
    if let Some(fields) = document.as_object_mut() {
        fields.insert("actions".to_owned(), json!(actions));
        fields
            .insert("in_sync".to_owned(), json!(!violated && preview.plan.held.is_empty() && !preview.outputs_fail()));
        fields.insert("assets".to_owned(), json!(preview.gathered.desired.assets.len()));
        fields.insert("lockfile_written".to_owned(), json!(false));
        if violated {
            fields.insert("locked_violated".to_owned(), json!(true));
        }
    }
    document
}

fn outcome_of(hold: &Hold) -> &'static str {
    match hold.kind() {
        HoldKind::Held => "held",
        HoldKind::Waiting => "waiting",
        HoldKind::Rejected | HoldKind::Failed => "failed",
    }
}

/// `sync --once`.
pub(super) fn report(report: &RunReport) -> Value {
    // One entry for what rests: the step that was refused says what Roblox said, otherwise the hold
    // says why and what frees it.
    let is_shown = |tried: &&StepReport| match tried.outcome {
        Outcome::Superseded { .. } => false,
        Outcome::TryLater { .. } | Outcome::InDoubt { .. } => !report.is_held(&tried.step),
        Outcome::Done { .. } | Outcome::NotBegun | Outcome::Running { .. } | Outcome::Refused { .. } => true,
    };
    let mut actions: Vec<_> = report.steps.iter().filter(is_shown).map(step_report).collect();
    for step in report.unreported() {
        let mut entry = action(step, None);
        entry.insert("outcome".to_owned(), json!("waiting"));
        entry.insert("error".to_owned(), Value::Null);
        actions.push(entry);
    }
    let failed = report.steps.iter().filter(|tried| matches!(tried.outcome, Outcome::Refused { .. }));
    let failed: BTreeSet<&Address> = failed.map(|tried| &tried.step.address).collect();
    for held in &report.held {
        if held.kind() != HoldKind::Held && failed.contains(&held.address) {
            continue;
        }
        let mut entry = hold(held);
        entry.insert("outcome".to_owned(), json!(outcome_of(held)));
        entry.insert("error".to_owned(), json!(held.reason.to_string()));
        actions.push(entry);
    }
    let summary = summary(&actions);
    json!({
        "actions": actions,
        "summary": summary,
        "in_sync": report.in_sync(),
        "assets": report.assets,
        "lockfile_written": report.lockfile_written,
        "outputs": outputs::documents(&report.outputs),
        "warnings": report.warnings.iter().map(warning).collect::<Vec<_>>(),
        "under_review": report.under_review,
        "unasked": report.unasked.iter().map(unasked).collect::<Vec<_>>(),
        "drifts": drifts(&report.drifts),
        "notes": notes(&report.notes),
    })
}

fn warning(Warning { message, hint }: &Warning) -> Value {
    json!({ "message": message, "hint": hint })
}

fn unasked((asset_id, why): &(AssetId, String)) -> Value {
    json!({ "asset_id": asset_id.get(), "reason": why })
}

fn step_report(report: &StepReport) -> Map<String, Value> {
    let mut entry = action(&report.step, None);
    let (outcome, error) = match &report.outcome {
        Outcome::Done { asset_id, revision } => {
            entry.insert("asset_id".to_owned(), json!(asset_id.get()));
            entry.insert("revision".to_owned(), json!(revision));
            ("done", None)
        }
        Outcome::NotBegun => ("waiting", None),
        Outcome::Running { reason } => ("waiting", Some(reason)),
        Outcome::TryLater { message } => ("waiting", Some(message)),
        Outcome::InDoubt { message } => ("held", Some(message)),
        Outcome::Refused { message, hint } => {
            entry.insert("hint".to_owned(), json!(hint));
            ("failed", Some(message))
        }
        Outcome::Superseded { reason } => ("waiting", Some(reason)),
    };
    entry.insert("outcome".to_owned(), json!(outcome));
    entry.insert("error".to_owned(), json!(error));
    entry
}
