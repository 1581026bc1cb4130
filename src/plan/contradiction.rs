//! Assets of which two things are said that can't both be true: two contents of a type that can't
//! be updated, two owners, two types. One of them is wrong, a lockfile merged by hand as a rule,
//! and nobody here knows which. Such an asset is never used, and never silently made anew.

use std::collections::{BTreeMap, BTreeSet};

use super::asset::{AddressInputs, hold};
use super::current::current;
use super::step::{HoldKind, Plan};
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::history::Kind;
use crate::model::ids::{AssetId, ContentHash};
use crate::model::recorded::{Record, Recorded};

/// What the first address that has an asset says of it.
struct FirstClaim<'a> {
    address: &'a Address,
    kind: Option<Kind>,
    content: Option<ContentHash>,
}

/// Each contradictory asset, and what is said of it, for a person.
pub(super) fn contradictions(recorded: &Recorded) -> BTreeMap<AssetId, String> {
    let mut said: BTreeMap<AssetId, FirstClaim<'_>> = BTreeMap::new();
    let mut found: BTreeMap<AssetId, String> = BTreeMap::new();
    for (address, record) in &recorded.assets {
        let mut told: BTreeSet<AssetId> = BTreeSet::new();
        for (key, fact) in record.history.iter() {
            let asset_id = key.asset_id;
            if fact.disputed {
                let why = format!(
                    "state and lockfile disagree on what asset {asset_id} of `{address}` holds, or whose it is"
                );
                found.entry(asset_id).or_insert(why);
                continue;
            }
            let in_place = fact.kind.is_some_and(|kind| kind.asset_type.on_content_change() == ContentChange::InPlace);
            let content = fact.content.filter(|_| !in_place);
            let first = said.entry(asset_id).or_insert(FirstClaim { address, kind: fact.kind, content });
            let differs = match (first.kind, fact.kind) {
                (Some(one), Some(other)) if one.creator != other.creator => Some(format!(
                    "belongs to {} as `{}`, and to {} as `{address}`",
                    one.creator, first.address, other.creator
                )),
                (Some(one), Some(other)) if one.asset_type != other.asset_type => Some(format!(
                    "is {} as `{}`, and {} as `{address}`",
                    one.asset_type, first.address, other.asset_type
                )),
                _ if first.content.zip(content).is_some_and(|(one, other)| one != other) => {
                    Some(format!("holds one content as `{}`, and another as `{address}`", first.address))
                }
                _ => None,
            };
            if let Some(differs) = differs.filter(|_| told.insert(asset_id)) {
                found.entry(asset_id).or_insert(format!("asset {asset_id} {differs}: one of the two is wrong"));
            }
            first.content = first.content.or(content);
        }
    }
    found
}

/// Holds an address whose asset is contradictory. Another content of a type that can't be updated
/// gets a new asset, and needs no hold: but for an asset of which nobody knows whether it has these
/// very bytes.
pub(super) fn holds(plan: &mut Plan, case: &AddressInputs<'_>, record: &Record) -> bool {
    let in_place = record.identity.asset_type.on_content_change() == ContentChange::InPlace;
    let is_new = || case.want.content.as_ref().is_ok_and(|facts| record.find_content(facts.hash).is_none());
    let used = if !in_place && case.want.pin.is_none() && is_new() {
        record.history.iter().find(|(_, fact)| fact.disputed).map(|(key, _)| key.asset_id)
    } else {
        current(case.want, record).map(|(key, _)| key.asset_id)
    };
    let Some((asset_id, why)) = used.and_then(|asset_id| Some((asset_id, case.sharing.contradiction(asset_id)?)))
    else {
        return false;
    };
    let address = case.address;
    let hint = format!(
        "look at https://create.roblox.com/store/asset/{asset_id}, then `macadam forget` the address that is wrong; where that is `{address}` itself, \
         `macadam import {address} ASSET_ID` gives it the right asset"
    );
    hold(plan, case, HoldKind::Held, why, Some(hint));
    true
}
