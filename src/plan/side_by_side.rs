//! What is wanted and what is known, side by side. Both are in the order of their addresses, so a
//! plan of everything goes along both and looks no address up.

use crate::model::address::Address;
use crate::model::along::along;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::recorded::{Record, Recorded};

/// Returns each wanted address in order, with what is known of it.
pub(super) fn wanted<'d, 'r>(
    desired: &'d Desired,
    recorded: &'r Recorded,
) -> impl Iterator<Item = (&'d Address, &'d DesiredAsset, Option<&'r Record>)> {
    along(&desired.assets, &recorded.assets)
}

/// Returns each known address in order, with what is wanted of it.
pub(super) fn known<'d, 'r>(
    desired: &'d Desired,
    recorded: &'r Recorded,
) -> impl Iterator<Item = (&'r Address, &'r Record, Option<&'d DesiredAsset>)> {
    along(&recorded.assets, &desired.assets)
}
