//! Revisions by their keys, in order: compact for the few that an address usually has, and quick
//! for any number.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::{RevisionFact, RevisionKey};
use crate::model::ids::{AssetId, Revision};
use crate::model::steps::step;

/// Up to so many revisions stand in a plain list: a tree's smallest node takes the room of eleven,
/// which a project with 100,000 addresses would notice. From there on a list would cost the square
/// of its length to build.
const FEW: usize = 16;

/// The revisions of one address. Which form it has depends on their number alone, so that equal
/// facts are equal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RevisionFacts {
    Few(Vec<(RevisionKey, RevisionFact)>),
    Many(BTreeMap<RevisionKey, RevisionFact>),
}

impl Default for RevisionFacts {
    fn default() -> Self {
        Self::new()
    }
}

impl RevisionFacts {
    pub(super) const fn new() -> Self {
        Self::Few(Vec::new())
    }

    pub(super) fn len(&self) -> usize {
        match self {
            Self::Few(few) => few.len(),
            Self::Many(many) => many.len(),
        }
    }

    pub(super) fn get(&self, key: RevisionKey) -> Option<&RevisionFact> {
        match self {
            Self::Few(few) => few.iter().find(|(known, _)| *known == key).map(|(_, fact)| fact),
            Self::Many(many) => many.get(&key),
        }
    }

    /// Puts in what `make` gives, from what is known of the revision.
    pub(super) fn put(&mut self, key: RevisionKey, make: impl FnOnce(Option<RevisionFact>) -> RevisionFact) {
        match self {
            Self::Few(few) => match few.binary_search_by_key(&key, |(key, _)| *key) {
                Ok(at) => {
                    if let Some((_, known)) = few.get_mut(at) {
                        *known = make(Some(*known));
                    }
                }
                Err(at) if few.len() < FEW => {
                    few.reserve_exact(1);
                    few.insert(at, (key, make(None)));
                }
                Err(_) => {
                    let mut many: BTreeMap<_, _> = std::mem::take(few).into_iter().collect();
                    many.insert(key, make(None));
                    *self = Self::Many(many);
                }
            },
            Self::Many(many) => {
                let fact = make(many.get(&key).copied());
                many.insert(key, fact);
            }
        }
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&RevisionKey, &RevisionFact) -> bool) {
        match self {
            Self::Few(few) => few.retain(|(key, fact)| keep(key, fact)),
            Self::Many(many) => many.retain(|key, fact| keep(key, fact)),
        }
        if let Self::Many(many) = self
            && many.len() <= FEW
        {
            *self = Self::Few(std::mem::take(many).into_iter().collect());
        }
    }

    pub(super) fn iter(&self) -> impl DoubleEndedIterator<Item = (RevisionKey, &RevisionFact)> {
        let (few, many) = match self {
            Self::Few(few) => (few.as_slice(), None),
            Self::Many(many) => (&[][..], Some(many)),
        };
        let many = many.into_iter().flatten();
        few.iter().map(|(key, fact)| (*key, fact)).chain(many.map(|(key, fact)| (*key, fact))).inspect(|_| step())
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (RevisionKey, &mut RevisionFact)> {
        let (few, many) = match self {
            Self::Few(few) => (few.as_mut_slice(), None),
            Self::Many(many) => (&mut [][..], Some(many)),
        };
        let many = many.into_iter().flatten();
        few.iter_mut().map(|(key, fact)| (*key, fact)).chain(many.map(|(key, fact)| (*key, fact)))
    }

    /// The revisions of one asset, the oldest first.
    pub(super) fn of_asset(&self, asset_id: AssetId) -> impl DoubleEndedIterator<Item = (RevisionKey, &RevisionFact)> {
        let keys: RangeInclusive<RevisionKey> =
            RevisionKey { asset_id, version: None }..=RevisionKey { asset_id, version: Some(Revision::MAX) };
        let (few, many) = match self {
            Self::Few(few) => {
                let from = few.partition_point(|(key, _)| key < keys.start());
                let to = few.partition_point(|(key, _)| key <= keys.end());
                (few.get(from..to).unwrap_or_default(), None)
            }
            Self::Many(many) => (&[][..], Some(many.range(keys))),
        };
        let many = many.into_iter().flatten();
        few.iter().map(|(key, fact)| (*key, fact)).chain(many.map(|(key, fact)| (*key, fact))).inspect(|_| step())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::history::RevisionState;

    fn fact(ordinal: u32) -> RevisionFact {
        RevisionFact::new(ordinal, None, RevisionState::Live)
    }

    fn key(asset: u64, version: u64) -> RevisionKey {
        RevisionKey { asset_id: AssetId::new(asset).unwrap(), version: Revision::new(version).ok() }
    }

    #[test]
    fn few_and_many_hold_the_same_in_the_same_order() {
        for count in [0, 1, FEW as u64 - 1, FEW as u64, FEW as u64 + 1, 100] {
            let (mut up, mut down) = (RevisionFacts::new(), RevisionFacts::new());
            for number in 0..count {
                up.put(key(1 + number % 3, number), |_| fact(number as u32));
                let number = count - 1 - number;
                down.put(key(1 + number % 3, number), |_| fact(number as u32));
            }
            assert_eq!(up, down, "{count}: whatever the order");
            let mut sorted: Vec<RevisionKey> = (0..count).map(|number| key(1 + number % 3, number)).collect();
            sorted.sort();
            assert_eq!(up.iter().map(|(key, _)| key).collect::<Vec<_>>(), sorted);
            for asset in 1..=4 {
                let of_asset: Vec<RevisionKey> =
                    up.of_asset(AssetId::new(asset).unwrap()).map(|(key, _)| key).collect();
                let wanted = sorted.iter().copied().filter(|key| key.asset_id.get() == asset);
                assert_eq!(of_asset, wanted.collect::<Vec<_>>(), "{count} {asset}");
            }
            assert!(sorted.iter().all(|key| up.get(*key).is_some() && up.len() == sorted.len()));
        }
    }

    #[test]
    fn facts_that_shrink_are_equal_to_those_that_never_were_more() {
        let mut shrunk = RevisionFacts::new();
        (0..100).for_each(|number| shrunk.put(key(1, number), |_| fact(7)));
        shrunk.retain(|key, _| key.version.is_some_and(|version| version.get() == 5));
        let mut never = RevisionFacts::new();
        never.put(key(1, 5), |_| fact(7));
        assert_eq!(shrunk, never);
    }
}
