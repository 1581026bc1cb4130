//! What a change under way means for its address: whether it binds it, and how often in a row a create ended without a known outcome.

use crate::model::digest::FieldDigest;
use crate::model::phase::{Intent, Phase};
use crate::model::policy::{AmbiguousCreate, Policy};
use crate::model::recorded::{Attempt, Record};

/// A create that has ended without a known outcome so many times in a row is not sent again, whatever the policy: a remote that carries out
/// and never answers would be fed copies without end.
const DOUBTS_TO_HOLD: u32 = 3;

/// Whether a change under way keeps its address from being planned further.
pub fn is_binding(attempt: &Attempt, record: Option<&Record>, policy: &Policy) -> bool {
    match (&attempt.phase, &attempt.intent) {
        (Phase::Submitted(_), _) => true,
        (Phase::HandedOver | Phase::InDoubt, Intent::Create { costly, .. }) => {
            let held = match policy.ambiguous_create {
                AmbiguousCreate::Auto => *costly,
                AmbiguousCreate::Retry => false,
                AmbiguousCreate::Hold => true,
            };
            held || doubts(record, attempt).saturating_add(1) >= DOUBTS_TO_HOLD
        }
        (Phase::HandedOver | Phase::InDoubt, _) => true,
        (Phase::Intended | Phase::Closed(_), _) => false,
    }
}

/// What a create in doubt set out to make, as its failures are counted against.
pub fn subject_of(attempt: &Attempt) -> FieldDigest {
    attempt.intent.subject()
}

/// How many creates of the same were given up before this one.
pub fn doubts(record: Option<&Record>, attempt: &Attempt) -> u32 {
    record.map_or(0, |record| record.doubts(&attempt.intent))
}
