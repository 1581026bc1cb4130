//! What a person is asked before it is done: many uploads, a fee, what can't be undone.

use std::collections::BTreeSet;

use super::invocation::destination;
use super::output::Printer;
use super::question::ask;
use super::tally::{Tally, Tense, tally};
use crate::model::asset::Privacy;
use crate::plan::{Action, Plan};

/// Macadam asks at a terminal before it uploads more new assets than this.
const UPLOADS_WITHOUT_ASKING: usize = 50;

/// Whether nothing has to be asked before this plan, or the person at the terminal agrees to it.
pub(super) fn agreed(output: Printer, plan: &Plan) -> bool {
    let questions = questions(plan);
    if questions.is_empty() {
        return true;
    }
    output.say(format!("Plan: {}.", Tally::list(&tally(&plan.steps, Tense::ToDo), None)));
    ask(output, &questions)
}

fn questions(plan: &Plan) -> Vec<String> {
    let new: Vec<_> = plan
        .steps
        .iter()
        .filter_map(|step| match &step.action {
            Action::Create(new) | Action::Replace { new, .. } => Some((step, new)),
            Action::Share { .. }
            | Action::UpdateContent { .. }
            | Action::PointBack { .. }
            | Action::UpdateMetadata { .. }
            | Action::Rollback { .. }
            | Action::Move { .. }
            | Action::Archive { .. }
            | Action::Restore { .. }
            | Action::Settle { .. }
            | Action::Wait { .. } => None,
        })
        .collect();
    let mut questions = Vec::new();
    if new.len() > UPLOADS_WITHOUT_ASKING {
        let owners: BTreeSet<String> = new.iter().map(|(_, new)| new.identity.creator.in_words()).collect();
        let owners = owners.into_iter().collect::<Vec<_>>().join(" and ");
        questions.push(format!(
            "This uploads {} new assets to {} as {owners}. They can be archived later, but not deleted.",
            new.len(),
            destination()
        ));
    }
    let fees = total(new.iter().filter_map(|(_, new)| new.expected_price));
    if fees > 0 {
        questions.push(format!("This may cost up to {fees} Robux."));
    }
    for (step, new) in new {
        if new.identity.privacy == Privacy::OpenUse {
            questions.push(format!(
                "Everybody will be able to use \"{}\" in their own games. This can't be undone.",
                step.address
            ));
        }
    }
    questions
}

/// A manifest may expect any price.
fn total(prices: impl Iterator<Item = u64>) -> u64 {
    prices.fold(0, u64::saturating_add)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_of_the_largest_prices_is_the_largest_number() {
        assert_eq!(total([2000, 20].into_iter()), 2020);
        assert_eq!(total([u64::MAX / 2; 3].into_iter()), u64::MAX);
    }
}
