//! New addresses that have the file of another one, whose own file is missing: a letter wrong in an
//! entry's `path`, or a file that was renamed without its entry, and a glob finds the file.
//!
//! Nothing is uploaded for them, or an asset would be made a second time. The hold ends when the
//! other address has a file again, or leaves the manifest; then the new one takes its asset over.
//! Read next: [`super::moves`], for addresses that left.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::moves::{Left, Likeness, Moves, OnTheWay, every_likeness, wanted_likeness};
use super::reason::MoveEvidence;
use super::reason::hold::HoldReason;
use super::side_by_side;
use crate::model::address::Address;
use crate::model::asset::ContentChange;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::recorded::Recorded;

/// Returns why nothing is done for `want`, which has the file of `owner`: there is none where that
/// one wants it.
pub(super) fn reason(
    want: &DesiredAsset,
    (owner, owner_want): (&Address, &DesiredAsset),
    evidence: MoveEvidence,
) -> HoldReason {
    let (path, missing) = (want.path.clone(), owner_want.path.clone());
    HoldReason::FileOfAnother { path, owner: owner.clone(), missing, evidence }
}

impl Moves {
    /// Holds those of the `new` addresses that have the file of one whose own is missing, or, of a
    /// type that is updated in place, its bytes. Others with these bytes share its asset.
    pub(super) fn hold_files_of_others(
        &mut self,
        new: &BTreeMap<&Address, &DesiredAsset>,
        desired: &Desired,
        recorded: &Recorded,
        on_the_way: &OnTheWay<'_>,
    ) {
        let missing: Vec<_> = side_by_side::wanted(desired, recorded)
            .filter(|(_, want, _)| want.is_missing())
            .filter_map(|(address, want, record)| Some((address, want, record?)))
            .filter(|(address, _, record)| !record.history.is_empty() || on_the_way.contains_key(*address))
            .collect();
        if missing.is_empty() {
            return;
        }
        let mut files: BTreeMap<Cow<'_, str>, (&Address, &DesiredAsset)> = BTreeMap::new();
        let mut contents: BTreeMap<Likeness, (&Address, &DesiredAsset)> = BTreeMap::new();
        for (address, want, record) in missing {
            files.entry(record.identity.path.composed()).or_insert((address, want));
            if record.identity.asset_type.on_content_change() == ContentChange::InPlace {
                let left: Left<'_> = (address, record);
                for likeness in every_likeness(left, on_the_way) {
                    contents.entry(likeness).or_insert((address, want));
                }
            }
        }
        for (address, want) in new {
            let by_file = files.get(&want.path.composed()).map(|owner| (owner, MoveEvidence::File));
            let by_content = || {
                let owner = contents.get(&wanted_likeness(want)?)?;
                Some((owner, MoveEvidence::Content))
            };
            if let Some((owner, evidence)) = by_file.or_else(by_content) {
                self.hold(address, reason(want, *owner, evidence));
            }
        }
    }
}
