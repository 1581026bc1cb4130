//! The ties of what is recorded: kept with the records once they were asked for, so that a change of
//! one asset needs no look at all others.

use super::{Record, Recorded};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::ids::AssetId;
use crate::model::ties::{TieIndex, TieKey};

/// The ties of all records, if there is an index of them. It follows from the records, so it makes
/// no difference between two of them.
#[derive(Debug, Clone, Default)]
pub struct RecordedTies(Option<TieIndex>);

impl PartialEq for RecordedTies {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for RecordedTies {}

/// Returns what ties a record to others: the assets and the bytes that it knows.
fn keys(record: &Record) -> impl Iterator<Item = TieKey> {
    let facts = record.history.iter().flat_map(|(key, fact)| {
        [Some(TieKey::asset(key.asset_id)), fact.content.map(TieKey::content)].into_iter().flatten()
    });
    let assets = record.points_to.iter().chain(record.retirements.keys());
    facts.chain(assets.map(|asset_id| TieKey::asset(*asset_id)))
}

impl Recorded {
    /// Keeps an index of the ties from now on.
    pub(crate) fn index_ties(&mut self) {
        let all = self.assets.iter().flat_map(|(address, record)| keys(record).map(|key| (key, address.clone())));
        self.ties = RecordedTies(Some(all.collect()));
    }

    /// Returns the records that may have this tie: all, without an index.
    pub(crate) fn tied(&self, key: TieKey) -> impl Iterator<Item = (&Address, &Record)> {
        let (index, all) = match &self.ties.0 {
            Some(index) => (Some(index.of(key)), None),
            None => (None, Some(self.assets.iter())),
        };
        let found = index.into_iter().flatten().filter_map(|address| self.assets.get_key_value(address));
        found.chain(all.into_iter().flatten())
    }

    /// Returns the records that know of an asset: by a revision, a retirement, or because the address
    /// is it.
    pub(crate) fn owners(&self, asset_id: AssetId) -> impl Iterator<Item = (&Address, &Record)> {
        self.tied(TieKey::asset(asset_id)).filter(move |(_, record)| {
            record.history.of_asset(asset_id).next().is_some()
                || record.points_to == Some(asset_id)
                || record.retirements.contains_key(&asset_id)
        })
    }

    /// Adds the ties that an applied change makes.
    pub(super) fn tie(&mut self, change: &Change) {
        let Self { ties: RecordedTies(Some(index)), assets, .. } = self else { return };
        match change {
            Change::AddRevision { address, key, fact } => {
                index.add(TieKey::asset(key.asset_id), address);
                fact.content.iter().for_each(|content| index.add(TieKey::content(*content), address));
            }
            Change::SetCurrentAsset { address, asset_id } | Change::SetRetirement { address, asset_id, .. } => {
                index.add(TieKey::asset(*asset_id), address);
            }
            Change::Move { to, .. } | Change::MoveAsset { to, .. } => {
                assets.get(to).into_iter().flat_map(keys).for_each(|key| index.add(key, to));
            }
            Change::Begin { .. }
            | Change::Advance { .. }
            | Change::SetIdentity { .. }
            | Change::TakeOver { .. }
            | Change::SetMetadata { .. }
            | Change::Overrule { .. }
            | Change::SetRefusedArchiving { .. }
            | Change::RecordRepair { .. }
            | Change::AddPossibleDuplicate { .. }
            | Change::Unpoint { .. }
            | Change::SetPinnedAt { .. }
            | Change::SetRemoved { .. }
            | Change::SetInLockfile { .. }
            | Change::SetListing { .. }
            | Change::SetBlocked { .. }
            | Change::Forget { .. }
            | Change::ForgetAsset { .. }
            | Change::SetSpentQuota { .. }
            | Change::RecordObservation { .. }
            | Change::RecordNotFound { .. }
            | Change::RecordWrite { .. }
            | Change::MarkOutdated { .. }
            | Change::SetContradicted { .. }
            | Change::LogEvent { .. } => {}
        }
    }

    /// Returns a tie of a record that the index lacks.
    #[cfg(test)]
    pub(crate) fn missing_tie(&self) -> Option<(&Address, TieKey)> {
        let index = self.ties.0.as_ref()?;
        let all = self.assets.iter().flat_map(|(address, record)| keys(record).map(move |key| (address, key)));
        all.into_iter().find(|(address, key)| !index.of(*key).any(|tied| tied == *address))
    }
}
