//! A linter of plans: what must be true of every plan, whatever the inputs.

use std::collections::BTreeSet;

use crate::model::address::Address;
use crate::model::ids::AssetId;

use super::step::{Action, Part, Plan};

/// The rules that `plan` breaks; none for a sound plan.
pub fn check(plan: &Plan) -> Vec<String> {
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
    for hold in &plan.held {
        if hold.reason.is_empty() {
            broken.push(format!("{} is held without a reason", hold.address));
        }
        if hold.part == Part::Asset && uploads.contains(&hold.address) {
            broken.push(format!("{} is both held and uploaded", hold.address));
        }
    }
    broken
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::recorded::AttemptId;
    use crate::plan::rule::Rule;
    use crate::plan::step::Step;

    #[test]
    fn an_unsound_plan_is_found_out() {
        let step = |address: &str, after: Option<&str>| Step {
            address: Address::new(address).unwrap(),
            action: Action::Wait { attempt: AttemptId(1) },
            reason: "test".to_owned(),
            rule: Rule::UnderWay,
            after: after.map(|a| Address::new(a).unwrap()).into_iter().collect(),
            not_before: None,
        };
        let check = |steps: Vec<Step>, wanted: &[&str]| {
            assert_eq!(check(&Plan { steps, ..Plan::default() }), wanted);
        };
        check(vec![step("a", None), step("b", Some("a"))], &[]);
        check(vec![step("a", None), step("b", None), step("a", None)], &["the steps of a are torn apart"]);
        check(vec![step("a", Some("a"))], &["a waits for itself"]);
    }
}
