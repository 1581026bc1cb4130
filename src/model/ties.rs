//! Which addresses know or want the same, found without a look at all of them.
//!
//! Keys are cut to 64 bits and nothing is ever taken out, so an answer may have an address too many,
//! and never one too few: who asks looks at the ones that it gets. Read next:
//! [`super::recorded::Recorded::owners`], `plan/part.rs`.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::address::Address;
use super::ids::{AssetId, ContentHash};
use super::steps::step;

/// Something by which addresses are tied to one another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TieKey(u64);

impl TieKey {
    /// Bytes that addresses want or know.
    pub(crate) fn content(content: ContentHash) -> Self {
        let mut first = [0; 8];
        first.iter_mut().zip(content.as_bytes()).for_each(|(to, from)| *to = *from);
        Self(u64::from_be_bytes(first))
    }

    /// An asset that addresses know or name.
    pub(crate) fn asset(asset_id: AssetId) -> Self {
        Self(asset_id.get())
    }

    /// An address that others show.
    pub(crate) fn shown(address: &Address) -> Self {
        let mut hasher = DefaultHasher::new();
        address.hash(&mut hasher);
        Self(hasher.finish())
    }
}

/// The addresses of one key. Nearly always it is one.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Tied {
    One(Address),
    #[expect(clippy::box_collection, reason = "the rare case must not make the usual one larger")]
    More(Box<BTreeSet<Address>>),
}

/// The addresses by what ties them.
#[derive(Debug, Clone, Default)]
pub(crate) struct TieIndex {
    tied: BTreeMap<TieKey, Tied>,
}

impl FromIterator<(TieKey, Address)> for TieIndex {
    fn from_iter<T: IntoIterator<Item = (TieKey, Address)>>(ties: T) -> Self {
        let mut ties: Vec<(TieKey, Address)> = ties.into_iter().collect();
        ties.sort_unstable();
        ties.dedup();
        // A tree that is made of a sorted list has full nodes.
        let of_a_key = ties.chunk_by(|(one, _), (other, _)| one == other).filter_map(|same| match same {
            [] => None,
            [(key, address)] => Some((*key, Tied::One(address.clone()))),
            [(key, _), ..] => {
                let all = same.iter().map(|(_, address)| address.clone()).collect();
                Some((*key, Tied::More(Box::new(all))))
            }
        });
        Self { tied: of_a_key.collect() }
    }
}

impl TieIndex {
    /// Adds a tie of an address.
    pub(crate) fn add(&mut self, key: TieKey, address: &Address) {
        match self.tied.get_mut(&key) {
            None => {
                self.tied.insert(key, Tied::One(address.clone()));
            }
            Some(Tied::One(one)) if one == address => {}
            Some(tied @ Tied::One(_)) => {
                let Tied::One(one) = tied else { return };
                *tied = Tied::More(Box::new(BTreeSet::from([one.clone(), address.clone()])));
            }
            Some(Tied::More(all)) => {
                all.insert(address.clone());
            }
        }
    }

    /// Returns the addresses that may have this tie.
    pub(crate) fn of(&self, key: TieKey) -> impl Iterator<Item = &Address> {
        let (one, more) = match self.tied.get(&key) {
            None => (None, None),
            Some(Tied::One(one)) => (Some(one), None),
            Some(Tied::More(all)) => (None, Some(all.iter())),
        };
        one.into_iter().chain(more.into_iter().flatten()).inspect(|_| step())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_address_of_a_key_is_found() {
        let address = |text: &str| Address::new(text).unwrap();
        let key = |number| TieKey::asset(AssetId::new(number).unwrap());
        let ties = [(1, "b"), (1, "a"), (2, "c"), (1, "a"), (2, "c"), (1, "d")];
        let ties = ties.map(|(number, text)| (key(number), address(text)));
        let mut one_by_one = TieIndex::default();
        ties.iter().for_each(|(key, address)| one_by_one.add(*key, address));
        for index in [one_by_one, ties.into_iter().collect()] {
            let of = |number| index.of(key(number)).map(Address::as_str).collect::<Vec<_>>();
            assert_eq!((of(1), of(2), of(3)), (vec!["a", "b", "d"], vec!["c"], vec![]));
        }
    }
}
