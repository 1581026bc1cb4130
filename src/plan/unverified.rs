//! Assets that a list or another tool names, and that Macadam has not read at Roblox yet: their type
//! and owner are claims, and Roblox's answer decides.
//!
//! If the manifest now says what Roblox said, the address takes that over. Otherwise its asset is
//! held. Nothing is uploaded in its place either way. Read next: `src/plan/unproven.rs`.

use std::borrow::Cow;

use jiff::Timestamp;

use super::current::last;
use super::reason::hold::HoldReason;
use super::side_by_side;
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::change::Change;
use crate::model::desired::{Desired, DesiredAsset};
use crate::model::history::{Kind, RevisionFact, RevisionState};
use crate::model::observation::Mismatch;
use crate::model::recorded::{Identity, Record, Recorded};

/// Gives addresses whose type or owner was corrected in the manifest the kind that Roblox confirmed.
/// Returns what is known then, and the changes that lead there.
pub(super) fn confirm<'a>(
    desired: &Desired,
    recorded: &'a Recorded,
    now: Timestamp,
) -> (Cow<'a, Recorded>, Vec<Change>) {
    let wanted = side_by_side::wanted(desired, recorded);
    let confirmed = wanted.filter_map(|(address, want, record)| {
        let record = record?;
        corrected(want, record).and_then(|kind| confirmed(recorded, (address, record), kind))
    });
    let mut changes: Vec<Change> = confirmed.flatten().collect();
    let mut known = Cow::Borrowed(recorded);
    // They fit: each has a record.
    changes.retain(|change| known.to_mut().apply(change, now).is_ok());
    (known, changes)
}

/// Why a claimed asset whose type or owner was changed in the manifest is held; `None` for another.
pub(super) fn hold(recorded: &Recorded, want: &DesiredAsset, record: &Record) -> Option<HoldReason> {
    let kind = corrected(want, record)?;
    let (key, _) = last(record)?;
    let seen = recorded.observed(key.asset_id);
    let mismatch = seen.and_then(|seen| Mismatch::of(kind, &seen.asset));
    Some(mismatch.map_or(HoldReason::Unverified { asset_id: key.asset_id }, HoldReason::NotAsClaimed))
}

/// Whether nothing of it was read at Roblox.
pub(super) fn is_claimed(record: &Record) -> bool {
    !record.history.is_empty() && record.history.iter().all(|(_, fact)| fact.is_claim())
}

/// The kind that the manifest wants for a claimed asset, where the record has another one.
pub(super) fn corrected(want: &DesiredAsset, record: &Record) -> Option<Kind> {
    let asset_type = want.asset_type.filter(|_| want.content.is_ok()).unwrap_or(record.identity.asset_type);
    let kind = Kind { asset_type, creator: want.creator };
    // Its revisions are counted in another way.
    let counts = |asset_type: AssetType| asset_type.on_content_change();
    let is_other = kind != record.identity.kind() && counts(asset_type) == counts(record.identity.asset_type);
    (is_other && is_claimed(record)).then_some(kind)
}

/// The changes that give an address this kind, if Roblox said that its asset is of it.
fn confirmed(recorded: &Recorded, (address, record): (&Address, &Record), kind: Kind) -> Option<Vec<Change>> {
    let (key, _) = last(record)?;
    let asset = &recorded.observed(key.asset_id)?.asset;
    if asset.creator != Some(kind.creator) || asset.asset_type != Some(kind.asset_type) {
        return None;
    }
    let state = RevisionState::of_moderation(asset.moderation);
    let Kind { asset_type, creator } = kind;
    let identity = Identity { asset_type, creator, ..record.identity.clone() };
    let learn = |(key, fact): (_, &RevisionFact)| {
        let fact = RevisionFact { kind: Some(kind), ..fact.now(state) };
        Change::AddRevision { address: address.clone(), key, fact }
    };
    let set_identity = Change::SetIdentity { address: address.clone(), identity };
    Some([set_identity].into_iter().chain(record.history.of_asset(key.asset_id).map(learn)).collect())
}
