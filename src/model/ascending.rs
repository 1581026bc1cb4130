//! A map whose entries come in the order of their keys, nearly always: it is made at once then,
//! where one entry after the other would be looked up and leave the map half empty.

use std::collections::BTreeMap;

/// The entries of a map that is being made.
#[derive(Debug)]
pub(crate) struct Ascending<K, V> {
    /// In the order of their keys, which are all different.
    sorted: Vec<(K, V)>,
    /// Those whose turn was over when they came.
    late: BTreeMap<K, V>,
}

impl<K: Ord, V> Ascending<K, V> {
    /// A map of nothing, with room for `count` entries.
    pub(crate) fn with_room(count: usize) -> Self {
        Self { sorted: Vec::with_capacity(count), late: BTreeMap::new() }
    }

    /// The entry of a key.
    pub(crate) fn get(&self, key: &K) -> Option<&V> {
        let found = match self.sorted.last() {
            Some((last, _)) if last >= key => self.sorted.binary_search_by(|(known, _)| known.cmp(key)).ok(),
            _ => None,
        };
        found.and_then(|at| self.sorted.get(at)).map(|(_, value)| value).or_else(|| self.late.get(key))
    }

    /// Adds an entry. If the key has one already, that stays, and this one is given back.
    ///
    /// # Errors
    /// Returns the entry if its key has another one.
    pub(crate) fn add(&mut self, key: K, value: V) -> Result<(), (K, V)> {
        if self.get(&key).is_some() {
            return Err((key, value));
        }
        if self.sorted.last().is_none_or(|(last, _)| *last < key) {
            self.sorted.push((key, value));
        } else {
            self.late.insert(key, value);
        }
        Ok(())
    }

    /// The entries, in the order of their keys if all came like that.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        self.sorted.iter().map(|(key, value)| (key, value)).chain(&self.late)
    }

    /// Makes a map of what `change` makes of each entry.
    pub(crate) fn into_map<W>(self, mut change: impl FnMut(V) -> W) -> BTreeMap<K, W> {
        let Self { sorted, late } = self;
        let mut map: BTreeMap<K, W> = sorted.into_iter().map(|(key, value)| (key, change(value))).collect();
        map.extend(late.into_iter().map(|(key, value)| (key, change(value))));
        map
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_the_map_that_is_made_one_by_one(entries in prop::collection::vec(("[a-c]{1,2}", any::<u8>()), 0..20)) {
            let (mut made, mut one_by_one) = (Ascending::with_room(0), BTreeMap::new());
            for (key, value) in entries {
                let known = one_by_one.get(&key).copied();
                prop_assert_eq!(made.get(&key).copied(), known);
                prop_assert_eq!(made.add(key.clone(), value).is_err(), known.is_some());
                one_by_one.entry(key).or_insert(value);
            }
            prop_assert_eq!(made.iter().collect::<BTreeMap<_, _>>(), one_by_one.iter().collect());
            prop_assert_eq!(made.into_map(|value| value), one_by_one);
        }
    }
}
