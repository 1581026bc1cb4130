//! How values without a text form of their own are spelled, in the database and in the lockfile
//! alike.

use crate::model::desired::Pin;

/// `revision:3` or `asset:123`.
pub(super) fn pin(pin: Pin) -> String {
    match pin {
        Pin::Revision(revision) => format!("revision:{revision}"),
        Pin::Asset(asset_id) => format!("asset:{asset_id}"),
    }
}

/// Reads what [`pin`] wrote.
pub(super) fn parse_pin(text: &str) -> Option<Pin> {
    match text.split_once(':')? {
        ("revision", number) => number.parse().ok().map(Pin::Revision),
        ("asset", number) => number.parse().ok().map(Pin::Asset),
        _ => None,
    }
}
