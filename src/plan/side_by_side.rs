//! What is wanted and what is known, side by side. Both are in the order of their addresses, so a
//! plan of everything goes along both and looks no address up.

use std::collections::BTreeMap;

use crate::model::address::Address;
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

/// Returns the entries of one map in order, each with that of the `other` map.
fn along<'a, 'b, T, U>(
    one: &'a BTreeMap<Address, T>,
    other: &'b BTreeMap<Address, U>,
) -> impl Iterator<Item = (&'a Address, &'a T, Option<&'b U>)> {
    let mut others = other.iter().peekable();
    one.iter().map(move |(address, entry)| {
        while others.next_if(|(before, _)| *before < address).is_some() {}
        let beside = others.next_if(|(at, _)| *at == address).map(|(_, beside)| beside);
        (address, entry, beside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_look_up_finds(
            one in prop::collection::btree_map("[a-c]{1,3}", 0_u8.., 0..20),
            other in prop::collection::btree_map("[a-c]{1,3}", 0_u8.., 0..20),
        ) {
            let named = |map: BTreeMap<String, u8>| -> BTreeMap<Address, u8> {
                map.into_iter().map(|(name, value)| (Address::new(&name).unwrap(), value)).collect()
            };
            let (one, other) = (named(one), named(other));
            let looked_up: Vec<_> = one.iter().map(|(address, value)| (address, value, other.get(address))).collect();
            prop_assert_eq!(along(&one, &other).collect::<Vec<_>>(), looked_up);
        }
    }
}
