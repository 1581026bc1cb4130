//! The JSON forms of plans and reports. IDs and revisions are numbers; what is not known is null.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};

use crate::engine::report::{Outcome, Report, StepReport};
use crate::model::address::Address;
use crate::model::recorded::Recorded;
use crate::plan::{Action, Hold, HoldKind, Plan, Step};

/// A step as one entry of `actions`.
fn action(step: &Step, recorded: Option<&Recorded>) -> Map<String, Value> {
    let asset_id = step.action.asset_id();
    let revision = match &step.action {
        Action::UpdateContent { head, .. } => head.map(crate::model::ids::Revision::get),
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
    entry.insert("reason".to_owned(), json!(step.reason));
    entry.insert("asset_id".to_owned(), json!(asset_id.map(crate::model::ids::AssetId::get)));
    entry.insert("revision".to_owned(), json!(revision));
    if let Some(not_before) = step.not_before {
        entry.insert("not_before".to_owned(), json!(not_before.to_string()));
    }
    entry
}

fn hold(hold: &Hold) -> Map<String, Value> {
    let mut entry = Map::new();
    entry.insert("address".to_owned(), json!(hold.address.as_str()));
    entry.insert("action".to_owned(), json!("hold"));
    entry.insert("reason".to_owned(), json!(hold.reason));
    entry.insert("asset_id".to_owned(), Value::Null);
    entry.insert("revision".to_owned(), Value::Null);
    entry.insert("hint".to_owned(), json!(hold.hint));
    entry
}

fn summary(actions: &[Map<String, Value>]) -> Value {
    let mut counts: Map<String, Value> = Map::new();
    for name in actions.iter().filter_map(|entry| entry.get("action")).filter_map(Value::as_str) {
        let count = counts.get(name).and_then(Value::as_u64).unwrap_or(0);
        counts.insert(name.to_owned(), json!(count + 1));
    }
    Value::Object(counts)
}

/// `plan`.
pub fn plan(plan: &Plan, recorded: &Recorded, lockfile_changes: bool) -> Value {
    let mut actions: Vec<_> = plan.steps.iter().map(|step| action(step, Some(recorded))).collect();
    actions.extend(plan.held.iter().map(hold));
    let summary = summary(&actions);
    let notes: Vec<Value> = plan
        .notes
        .iter()
        .map(|note| json!({ "address": note.address.as_ref().map(|a| a.as_str()), "note": note.text }))
        .collect();
    json!({ "actions": actions, "summary": summary, "lockfile_changes": lockfile_changes, "notes": notes })
}

/// `sync --once`.
pub fn report(report: &Report) -> Value {
    let holds: BTreeSet<&Address> = report.held.iter().map(|held| &held.address).collect();
    // One entry for what rests: the step that was refused says what Roblox said, otherwise the hold says why and what frees it.
    let told = |tried: &&StepReport| match tried.outcome {
        Outcome::Superseded { .. } => false,
        Outcome::TryLater { .. } | Outcome::InDoubt { .. } => !holds.contains(&tried.step.address),
        Outcome::Done { .. } | Outcome::NotBegun | Outcome::Running { .. } | Outcome::Refused { .. } => true,
    };
    let mut actions: Vec<_> = report.steps.iter().filter(told).map(step_report).collect();
    for step in report.untold() {
        let mut entry = action(step, None);
        entry.insert("outcome".to_owned(), json!("waiting"));
        entry.insert("error".to_owned(), Value::Null);
        actions.push(entry);
    }
    let failed = report.steps.iter().filter(|tried| matches!(tried.outcome, Outcome::Refused { .. }));
    let failed: BTreeSet<&Address> = failed.map(|tried| &tried.step.address).collect();
    for held in &report.held {
        if held.kind != HoldKind::Held && failed.contains(&held.address) {
            continue;
        }
        let mut entry = hold(held);
        entry.insert("outcome".to_owned(), json!(if held.kind == HoldKind::Held { "held" } else { "failed" }));
        entry.insert("error".to_owned(), json!(held.reason));
        actions.push(entry);
    }
    let summary = summary(&actions);
    json!({
        "actions": actions,
        "summary": summary,
        "in_sync": report.in_sync(),
        "assets": report.assets,
        "lockfile_written": report.lockfile_written,
    })
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
