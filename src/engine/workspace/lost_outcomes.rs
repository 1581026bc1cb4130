//! What follows from outcomes that the last process could not record.

use jiff::Timestamp;

use crate::engine::execute::effects;
use crate::model::change::Change;
use crate::model::event::EventKind;
use crate::model::phase::{Phase, PhaseEvent};
use crate::model::recorded::Recorded;

/// Returns the changes that hold handed-over uploads of new assets, if the last process could not
/// record all outcomes. Sent again, they would probably be duplicates. Changes of known assets are
/// settled by fetching the asset, as after a crash.
pub(in crate::engine) fn hold_lost(recorded: &Recorded, now: Timestamp) -> Vec<Change> {
    let open = recorded.attempts.iter().filter(|(_, attempt)| attempt.phase == Phase::HandedOver);
    open.filter(|(_, attempt)| attempt.intent.upload().is_some())
        .flat_map(|(id, attempt)| {
            let message = "the state could not be written when its answer came";
            let (record, input_digest) = (recorded.assets.get(&attempt.address), attempt.intent.input_digest());
            let blocked = effects::failed(record, input_digest, message, fastrand::f64(), now);
            let event = EventKind::InDoubt { action: attempt.intent.kind(), message: message.to_owned() };
            [
                Change::Advance { attempt: *id, event: PhaseEvent::Hold },
                Change::SetBlocked { address: attempt.address.clone(), blocked: Some(blocked) },
                Change::log(&attempt.address, event),
            ]
        })
        .collect()
}
