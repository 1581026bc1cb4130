//! What a plan costs, in addresses and revisions that are looked at: a folder with thousands of
//! files may be renamed in one change.

use super::*;
use crate::model::steps::grows_with_its_input;

/// So many addresses that left, and as many new ones in their place.
fn moved(count: u64, new: impl Fn(u64) -> (Address, DesiredAsset), removed: bool) -> (Desired, Recorded) {
    let mut known = KnownBuilder::default();
    let mut desired = Desired::default();
    for number in 1..=count {
        let old = format!("old/{number}.png");
        known = known.revision(&old, number, 1, 1);
        known = if removed { known.left(&old) } else { known.locked(&old) };
        let (address, want) = new(number);
        desired.assets.insert(address, want);
    }
    (desired, known.0)
}

#[test]
fn moves_cost_what_the_addresses_cost() {
    type Make = fn(u64) -> (Desired, Recorded);
    let table: [(&str, Make); 5] = [
        ("by path", |count| {
            moved(count, |number| called(&format!("new{number}"), want(&format!("old/{number}.png"), 1)), false)
        }),
        ("renamed and edited", |count| {
            moved(count, |number| called(&format!("new{number}"), want(&format!("new/{number}.png"), 2)), false)
        }),
        ("protected", |count| {
            let protected = |number| DesiredAsset { prevent_replace: true, ..want(&format!("new/{number}.png"), 2) };
            moved(count, |number| called(&format!("new{number}"), protected(number)), false)
        }),
        ("left long ago", |count| {
            moved(count, |number| called(&format!("new{number}"), want(&format!("new/{number}.png"), 2)), true)
        }),
        ("named by icons", |count| {
            let new = |number| called(&format!("new{number}"), want(&format!("new/{number}.png"), 2));
            let (mut desired, recorded) = moved(count, new, false);
            for number in 1..=count {
                let place = StrayPlace::Icon { of: address(&format!("new{number}")) };
                desired.stray.push(Stray { to: address(&format!("old/{number}.png")), place });
            }
            (desired, recorded)
        }),
    ];
    for (what, make) in table {
        grows_with_its_input(what, |count| {
            let (desired, recorded) = make(count);
            plan(&desired, &recorded, NOW);
        });
    }
}
