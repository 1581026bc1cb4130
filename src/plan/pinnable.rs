//! Which revisions an address can be pinned to, and how people speak of a pin.

use std::fmt;

use crate::model::asset::ContentChange;
use crate::model::desired::Pin;
use crate::model::history::{RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::{AssetId, Revision};
use crate::model::recorded::Record;

/// A pin as people speak of it.
pub(crate) fn shown(pin: Pin) -> String {
    match pin {
        Pin::Revision(revision) => format!("revision {revision}"),
        Pin::Asset(asset_id) => format!("asset {asset_id}"),
    }
}

/// Why an address can't go back to a revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Unusable {
    /// The address never had it.
    NeverHad,
    /// Moderation rejected it.
    Rejected,
    /// Roblox no longer has its asset.
    Gone,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NeverHad => "which it never had",
            Self::Rejected => "which moderation rejected",
            Self::Gone => "which Roblox no longer has",
        })
    }
}

/// The revision that a pin means, if it can be gone back to.
///
/// # Errors
/// Why it can't.
pub(crate) fn find(record: &Record, pin: Pin) -> Result<(RevisionKey, RevisionFact), Unusable> {
    let in_place = record.identity.asset_type.on_content_change() == ContentChange::InPlace;
    let found = match pin {
        Pin::Revision(revision) if in_place => record.newest().and_then(|(head, _)| {
            let key = RevisionKey { asset_id: head.asset_id, version: Some(revision) };
            record.history.get(key).map(|fact| (key, *fact))
        }),
        Pin::Asset(asset_id) if !in_place => {
            record.history.of_asset(asset_id).next_back().map(|(key, fact)| (key, *fact))
        }
        Pin::Revision(_) | Pin::Asset(_) => None,
    };
    match found {
        None => Err(Unusable::NeverHad),
        Some((_, fact)) if fact.state == RevisionState::Rejected => Err(Unusable::Rejected),
        Some((_, fact)) if fact.state == RevisionState::Gone => Err(Unusable::Gone),
        Some(found) => Ok(found),
    }
}

/// The pin to the revision that people see as `number`; `None` when the address never had one of
/// that number.
pub(crate) fn numbered(record: &Record, number: u64) -> Option<Pin> {
    match record.identity.asset_type.on_content_change() {
        ContentChange::InPlace => Revision::new(number).ok().map(Pin::Revision),
        ContentChange::NewAsset => {
            let numbers = record.history.numbers();
            let found = record.history.iter().find(|(key, _)| numbers.of(*key) == number);
            found.map(|(key, _)| Pin::Asset(key.asset_id))
        }
    }
}

/// The revisions that an address can be pinned to, each with its number and, where every revision
/// is an asset of its own, the asset.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct UsableRevisions(Vec<(u64, Option<AssetId>)>);

impl UsableRevisions {
    /// The usable revisions of `record`.
    pub(crate) fn of(record: &Record) -> Self {
        let (numbers, numbered) = (record.history.numbers(), record.numbered());
        let has_number = |key: &RevisionKey| numbered.is_none_or(|asset_id| asset_id == key.asset_id);
        let all = record.history.in_order().into_iter();
        let usable = all.filter(|(key, fact)| fact.state.is_usable() && has_number(key));
        let named = usable.map(|(key, _)| match key.version {
            Some(version) => (version.get(), None),
            None => (numbers.of(key), Some(key.asset_id)),
        });
        Self(named.collect())
    }
}

impl fmt::Display for UsableRevisions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("it has no revision that can be used");
        }
        f.write_str("it has ")?;
        for (at, (number, asset_id)) in self.0.iter().enumerate() {
            write!(f, "{}{number}", if at == 0 { "" } else { ", " })?;
            asset_id.map_or(Ok(()), |asset_id| write!(f, " (asset {asset_id})"))?;
        }
        Ok(())
    }
}
