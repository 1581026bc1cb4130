//! The text form of values that have none of their own, for both the database and the lockfile.

use crate::model::desired::Pin;

/// Formats a pin as `revision:3` or `asset:123`.
pub(super) fn pin(pin: Pin) -> String {
    match pin {
        Pin::Revision(revision) => format!("revision:{revision}"),
        Pin::Asset(asset_id) => format!("asset:{asset_id}"),
    }
}

/// Parses the result of [`pin`].
pub(super) fn parse_pin(text: &str) -> Option<Pin> {
    match text.split_once(':')? {
        ("revision", number) => number.parse().ok().map(Pin::Revision),
        ("asset", number) => number.parse().ok().map(Pin::Asset),
        _ => None,
    }
}
