//! The assets that a person made Macadam forget: a fact like any other, so that another machine's
//! lockfile doesn't bring it back.
//!
//! Forgetting is counted, and so is knowing again: a revision remembers in
//! [`RevisionFact::era`](super::history::RevisionFact::era) how often its asset had been forgotten
//! when it became known. Only revisions of the latest era count, so an asset that was forgotten can
//! be imported again.

use std::collections::BTreeMap;

use super::ids::AssetId;

/// The assets that one address forgot, and how often. Grow-only; the union is commutative,
/// associative and idempotent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Forgotten {
    times: BTreeMap<AssetId, u32>,
}

impl Forgotten {
    /// An address that forgot nothing.
    pub const fn new() -> Self {
        Self { times: BTreeMap::new() }
    }

    /// Notes that an asset was forgotten at least so often.
    pub fn raise(&mut self, asset_id: AssetId, times: u32) {
        if times > 0 {
            self.times.entry(asset_id).and_modify(|known| *known = times.max(*known)).or_insert(times);
        }
    }

    /// Adds all that another machine forgot.
    pub fn union(&mut self, other: &Self) {
        other.iter().for_each(|(asset_id, times)| self.raise(asset_id, times));
    }

    /// How often an asset was forgotten.
    pub fn times(&self, asset_id: AssetId) -> u32 {
        self.times.get(&asset_id).copied().unwrap_or(0)
    }

    /// Whether a revision of `asset_id` that became known in `era` is forgotten.
    pub fn covers(&self, asset_id: AssetId, era: u32) -> bool {
        era < self.times(asset_id)
    }

    /// Each forgotten asset and how often it was forgotten, in the order of the IDs.
    pub fn iter(&self) -> impl Iterator<Item = (AssetId, u32)> {
        self.times.iter().map(|(asset_id, times)| (*asset_id, *times))
    }

    /// Whether nothing was forgotten.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }
}
