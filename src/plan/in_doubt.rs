//! The effect of a change under way on its address: whether it binds the address, how many uploads
//! in a row got no clear answer, and when Macadam stops waiting for an operation.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use crate::model::history::{RevisionFact, RevisionKey};
use crate::model::ids::ContentHash;
use crate::model::phase::{Intent, Phase};
use crate::model::policy::{AmbiguousCreate, Policy};
use crate::model::recorded::{Attempt, Record};

/// After so many uploads in a row without a clear answer Macadam asks a person, whatever the
/// policy. Otherwise a remote that carries out and never answers would get copies without end.
const DOUBTS_TO_HOLD: u32 = 3;

/// An operation that takes longer than this is waited for no longer than something newer is wanted,
/// or a person says what came of it. The slowest that were reported (a heavy mesh) took 30 minutes;
/// Roblox never ends those of sounds that it can't encode.
pub(crate) const OPERATION_PATIENCE: SignedDuration = SignedDuration::from_mins(30);

/// Whether an operation has taken longer than any that ended.
pub(crate) fn is_overdue(attempt: &Attempt, now: Timestamp) -> bool {
    matches!(attempt.phase, Phase::Submitted(_)) && now.duration_since(attempt.since) >= OPERATION_PATIENCE
}

/// How long an operation keeps its address for itself from `now` on.
pub(crate) fn patience_left(attempt: &Attempt, now: Timestamp) -> Duration {
    Duration::try_from(OPERATION_PATIENCE - now.duration_since(attempt.since)).unwrap_or(Duration::ZERO)
}

/// Whether the file of an address has other bytes by now than an operation that is overdue: the
/// newer ones needn't wait for it.
pub(crate) fn is_overtaken(attempt: &Attempt, wanted: Option<ContentHash>, now: Timestamp) -> bool {
    let uploads = attempt.intent.content();
    is_overdue(attempt, now) && uploads.is_some() && wanted.is_some() && uploads != wanted
}

/// Whether nothing waits for the outcome of an upload: its answer was lost, but the address has an
/// asset of its own with the same bytes by now, from another machine. Only whether there are two is
/// open then.
pub(crate) fn is_needless(attempt: &Attempt, record: Option<&Record>) -> bool {
    let Intent::Create { content, replaces, .. } = &attempt.intent else { return false };
    let is_lost = matches!(attempt.phase, Phase::HandedOver | Phase::InDoubt | Phase::Held);
    let is_it = |(key, fact): (RevisionKey, &RevisionFact)| {
        let is_alike = fact.content == Some(*content) && fact.kind == Some(attempt.kind) && fact.state.is_usable();
        is_alike && !fact.shared && Some(key.asset_id) != *replaces
    };
    is_lost && record.is_some_and(|record| record.history.iter().any(is_it))
}

/// Whether a change under way keeps its address from being planned further.
pub(crate) fn is_binding(attempt: &Attempt, record: Option<&Record>, policy: &Policy) -> bool {
    if is_needless(attempt, record) {
        return false;
    }
    match (&attempt.phase, &attempt.intent) {
        (Phase::Submitted(_) | Phase::Held, _) => true,
        (Phase::SetAside(_), _) => false,
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

/// How many creates of the same were given up before this one.
pub(crate) fn doubts(record: Option<&Record>, attempt: &Attempt) -> u32 {
    record.map_or(0, |record| record.doubts(&attempt.intent))
}
