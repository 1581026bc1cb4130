//! Takes over the open work of a lockfile.

use jiff::Timestamp;

use super::AddressImport;
use crate::model::change::Change;
use crate::model::desired::Pin;
use crate::model::history::{History, RevisionState};
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Intent, Phase, PhaseEvent};
use crate::model::recorded::{Attempt, AttemptId, Blocked, PossibleDuplicate};
use crate::state::lockfile::{LockfileEntry, OpenWork};

impl AddressImport<'_> {
    /// Returns whether the upload is resolved, or was abandoned for a newer one. Without its
    /// operation nothing is left to do then.
    pub(super) fn is_accounted_for(&self, work: &OpenWork) -> bool {
        let Some(upload) = work.intent.upload() else { return false };
        let ours = self.known.and_then(|known| known.possible_duplicates.get(&upload));
        let known = ours.into_iter().chain(self.entry.possible_duplicates.get(&upload));
        known.into_iter().any(|duplicate| duplicate.settled || work.operation.is_none())
    }

    /// Takes over one piece of open work. Returns whether it is open here from now on.
    pub(super) fn take_over(
        &self,
        work: &OpenWork,
        under_way: &[(AttemptId, &Attempt)],
        next: &mut u64,
        changes: &mut Vec<Change>,
    ) -> bool {
        let OpenWork { intent, operation, set_aside, doubts: _ } = work;
        if matches!(intent, Intent::UpdateMetadata { .. }) {
            return is_polled(work, under_way);
        }
        if self.is_accounted_for(work) {
            return false;
        }
        let ours = self.known.is_some_and(|known| is_settled(intent, &known.history, &known.asked));
        let theirs = is_settled(intent, &self.entry.history, &self.entry.asked);
        let same = under_way.iter().find(|(_, attempt)| attempt.intent == *intent);
        let mut events = match operation {
            Some(operation) => {
                let known = is_polled(work, under_way);
                // If the lockfile has both the content and the operation, two branches were merged,
                // and the operation makes another asset. It is polled, so that its ID is not lost.
                // If only the state has the content, the lockfile is older than the operation's
                // end.
                if known || (ours && !theirs) {
                    return known;
                }
                vec![PhaseEvent::Accept(operation.clone())]
            }
            None if same.is_some() => return true,
            None if ours || self.is_overtaken(intent) => return false,
            // Two branches were merged: one has the asset, and it is unknown whether the other's
            // upload made another one.
            None if theirs => {
                if let (Some(upload), Some(content)) = (intent.upload(), intent.content()) {
                    let duplicate = PossibleDuplicate { content, settled: false };
                    changes.push(Change::AddPossibleDuplicate { address: self.address.clone(), upload, duplicate });
                }
                return false;
            }
            None => vec![if *set_aside { PhaseEvent::Hold } else { PhaseEvent::Doubt }],
        };
        if *set_aside && operation.is_some() {
            events.push(PhaseEvent::SetAside);
        }
        let attempt = match same {
            // The same work, whose answer was lost here but not there.
            Some((attempt, known)) if matches!(known.phase, Phase::InDoubt | Phase::Held) => *attempt,
            // This process works on it.
            Some(_) => return true,
            None => {
                let attempt = AttemptId(*next);
                *next += 1;
                changes.push(Change::Begin { attempt, address: self.address.clone(), intent: intent.clone() });
                changes.push(Change::TakeOver { attempt });
                changes.push(Change::Advance { attempt, event: PhaseEvent::HandOver });
                attempt
            }
        };
        changes.extend(events.into_iter().map(|event| Change::Advance { attempt, event }));
        true
    }

    /// Returns whether either side has something later than an update or a rollback in doubt. Its
    /// outcome then no longer matters.
    fn is_overtaken(&self, intent: &Intent) -> bool {
        let ours = self.known.map(|known| (&known.history, *known.pinned));
        let mut sides = ours.into_iter().chain([(&self.entry.history, self.entry.pinned)]);
        sides.any(|(history, pinned)| match intent {
            Intent::UpdateContent { asset_id, content: _, head } => {
                history.of_asset(*asset_id).any(|(key, fact)| key.version > *head && fact.content.is_some())
            }
            Intent::Rollback { asset_id, to } => {
                pinned.is_some_and(|pinned| pinned.pin == Pin::Revision(*to) && pinned.at.asset_id == *asset_id)
            }
            Intent::Create { .. } | Intent::UpdateMetadata { .. } | Intent::Archive { .. } | Intent::Restore { .. } => {
                false
            }
        })
    }

    /// Returns whether either side shows that the work was carried out.
    pub(super) fn is_over(&self, work: &OpenWork) -> bool {
        let LockfileEntry { history, asked, .. } = self.entry;
        let ours = self.known.is_some_and(|known| is_settled(&work.intent, &known.history, &known.asked));
        ours || is_settled(&work.intent, history, asked)
    }

    /// Returns the address's new count of creates in doubt: that of the work that was abandoned
    /// most often, if it is higher than the count here.
    pub(super) fn count_in_doubt(&self, open: &[&OpenWork]) -> Option<Change> {
        // The first one in their order if several are equal, so that reading twice changes nothing
        // more.
        let most = open.iter().rev().max_by_key(|work| work.doubts)?;
        let input_digest = most.intent.input_digest();
        let blocked = self.known.and_then(|known| known.blocked.as_deref());
        let (counted, (failures, next_at, message)) = match blocked {
            Some(Blocked::Retrying { input_digest: same, failures, doubts, next_at, message })
                if *same == input_digest =>
            {
                (*doubts, (*failures, *next_at, message.clone()))
            }
            Some(Blocked::Retrying { doubts, .. }) => (*doubts, self.elsewhere(most)),
            // Losing a refusal costs one request. Losing a count can cost a duplicate asset.
            Some(Blocked::Refused { .. }) | None => (0, self.elsewhere(most)),
        };
        let blocked = Blocked::Retrying { input_digest, failures, doubts: most.doubts, next_at, message };
        (most.doubts > counted).then(|| Change::SetBlocked { address: self.address.clone(), blocked: Some(blocked) })
    }

    /// Returns the failures that another machine counted. The work is due at once, since their
    /// back-off is long over.
    fn elsewhere(&self, work: &OpenWork) -> (u32, Timestamp, String) {
        let message = format!("the outcome of its upload was unknown {} times on another machine", work.doubts);
        (work.doubts, Timestamp::UNIX_EPOCH, message)
    }
}

/// Returns whether this machine already polls the operation.
pub(super) fn is_polled(work: &OpenWork, under_way: &[(AttemptId, &Attempt)]) -> bool {
    let polls = |attempt: &Attempt| match &attempt.phase {
        Phase::Submitted(operation) | Phase::SetAside(operation) => work.operation.as_ref() == Some(operation),
        Phase::Intended | Phase::HandedOver | Phase::InDoubt | Phase::Held | Phase::Closed(_) => false,
    };
    under_way.iter().any(|(_, attempt)| polls(attempt))
}

/// Returns whether the facts show that the work was carried out.
fn is_settled(intent: &Intent, history: &History, asked: &FieldDigests) -> bool {
    match intent {
        Intent::Create { content, .. } => {
            history.iter().any(|(_, fact)| fact.content == Some(*content) && fact.state != RevisionState::Gone)
        }
        Intent::UpdateContent { asset_id, content, head } => history
            .iter()
            .any(|(key, fact)| key.asset_id == *asset_id && fact.content == Some(*content) && key.version > *head),
        Intent::UpdateMetadata { asset_id: _, fields } => {
            fields.iter().all(|(field, digest)| asked.get(field) == Some(digest))
        }
        // Roblox answers these at once, without an operation.
        Intent::Rollback { .. } | Intent::Archive { .. } | Intent::Restore { .. } => false,
    }
}
