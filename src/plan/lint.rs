//! A linter of plans: what must be true of every plan, whatever the inputs.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::ids::AssetId;

use super::step::{Action, HeldPart, Plan};

/// The rules that `plan` breaks; none for a sound plan. `in_progress` has no steps in it: what is
/// being worked on, which others may wait for.
pub(crate) fn check(plan: &Plan, in_progress: &BTreeSet<Address>) -> Vec<String> {
    let mut broken = Vec::new();
    let mut done: BTreeSet<&Address> = BTreeSet::new();
    let mut uploads: BTreeSet<&Address> = BTreeSet::new();
    let mut last: Option<&Address> = None;
    let mut metadata: BTreeSet<&Address> = BTreeSet::new();
    let mut archived: BTreeSet<AssetId> = BTreeSet::new();
    for step in &plan.steps {
        if step.action.is_metadata() && !metadata.insert(&step.address) {
            broken.push(format!("the metadata of {} is updated twice", step.address));
        }
        if let Action::Archive { asset_id, .. } = &step.action
            && !archived.insert(*asset_id)
        {
            broken.push(format!("asset {asset_id} is archived twice"));
        }
        if last != Some(&step.address) {
            if !done.insert(&step.address) {
                broken.push(format!("the steps of {} are torn apart", step.address));
            }
            last = Some(&step.address);
        }
        let uploading =
            matches!(step.action, Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. });
        if uploading && !uploads.insert(&step.address) {
            broken.push(format!("{} is uploaded twice", step.address));
        }
        if step.after.contains(&step.address) {
            broken.push(format!("{} waits for itself", step.address));
        }
        if let Action::UpdateMetadata { changes, .. } = &step.action
            && changes.is_empty()
        {
            broken.push(format!("{} updates no field", step.address));
        }
    }
    check_order(plan, in_progress, &mut broken);
    check_archiving(plan, &archived, &mut broken);
    for (at, mark) in plan.marks.iter().enumerate() {
        let tells = matches!(mark, Change::LogEvent { .. });
        if !tells && plan.marks.iter().take(at).any(|before| before == mark) {
            broken.push(format!("marked twice: {mark:?}"));
        }
    }
    for hold in &plan.held {
        if hold.part == HeldPart::Asset && uploads.contains(&hold.address) {
            broken.push(format!("{} is both held and uploaded", hold.address));
        }
    }
    broken
}

/// Metadata comes last. A step waits only for an address that acts and doesn't wait itself.
fn check_order(plan: &Plan, in_progress: &BTreeSet<Address>, broken: &mut Vec<String>) {
    let assets = || plan.steps.iter().filter(|step| !step.action.is_metadata());
    let acting: BTreeSet<&Address> = assets().map(|step| &step.address).chain(in_progress).collect();
    let waiting: BTreeSet<&Address> =
        assets().filter(|step| !step.after.is_empty()).map(|step| &step.address).collect();
    for step in &plan.steps {
        for owner in step.after.iter().filter(|owner| !acting.contains(owner)) {
            broken.push(format!("{} waits for {owner}, which does nothing", step.address));
        }
        for owner in step.after.iter().filter(|owner| waiting.contains(owner) && !step.action.is_metadata()) {
            broken.push(format!("{} waits for {owner}, which waits", step.address));
        }
    }
    for pair in plan.steps.windows(2) {
        if let [first, second] = pair
            && first.address == second.address
            && first.action.is_metadata()
        {
            broken.push(format!("the metadata of {} comes before its {}", first.address, second.action.name()));
        }
    }
}

/// No step uses what another one archives.
fn check_archiving(plan: &Plan, archived: &BTreeSet<AssetId>, broken: &mut Vec<String>) {
    for step in plan.steps.iter().filter(|step| !matches!(step.action, Action::Archive { .. } | Action::Replace { .. }))
    {
        if let Some(asset_id) = step.action.asset_id().filter(|asset_id| archived.contains(asset_id)) {
            broken.push(format!("asset {asset_id} is archived, and {} needs it", step.address));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::{AttemptId, RetireReason};
    use crate::plan::reason::step::StepReason;
    use crate::plan::step::{FieldChange, Step};

    #[test]
    fn an_unsound_plan_is_found_out() {
        let step = |address: &str, after: Option<&str>| Step {
            address: Address::new(address).unwrap(),
            action: Action::Wait { attempt: AttemptId(1) },
            reason: StepReason::New,
            after: after.map(|a| Address::new(a).unwrap()).into_iter().collect(),
            not_before: None,
        };
        let check = |steps: Vec<Step>, wanted: &[&str]| {
            assert_eq!(check(&Plan { steps, ..Plan::default() }, &BTreeSet::new()), wanted);
        };
        check(vec![step("a", None), step("b", Some("a"))], &[]);
        check(vec![step("a", None), step("b", None), step("a", None)], &["the steps of a are torn apart"]);
        check(vec![step("a", Some("a"))], &["a waits for itself", "a waits for a, which waits"]);
        check(vec![step("a", Some("b"))], &["a waits for b, which does nothing"]);
        let worked_on = BTreeSet::from([Address::new("b").unwrap()]);
        let waits = Plan { steps: vec![step("a", Some("b"))], ..Plan::default() };
        assert_eq!(super::check(&waits, &worked_on), Vec::<String>::new());
        let metadata = |address: &str| Step {
            action: Action::UpdateMetadata { asset_id: None, changes: vec![FieldChange::Icon(None)], repairs: false },
            ..step(address, None)
        };
        check(vec![step("a", None), metadata("a")], &[]);
        check(vec![metadata("a"), step("a", None)], &["the metadata of a comes before its wait"]);
        let asset_id = AssetId::new(1).unwrap();
        let of = |address: &str, action: Action| Step { action, ..step(address, None) };
        let archive = Action::Archive { asset_id, why: RetireReason::Removed };
        let restore = Action::Restore { asset_id, repairs: false };
        check(vec![of("a", archive), of("b", restore)], &["asset 1 is archived, and b needs it"]);
    }
}
