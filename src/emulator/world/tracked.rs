//! A map that knows which of its entries changed since somebody last asked. Pure.

use std::borrow::{Borrow, Cow};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Deref;

/// A map that can be read as it is, and changed only by the methods here, which note the keys.
#[derive(Clone, Debug)]
pub(super) struct Tracked<K, V> {
    entries: BTreeMap<K, V>,
    /// The keys that changed since the changes were last taken; `None` before the first time, so
    /// that a world without a file notes nothing.
    changed: Option<BTreeSet<K>>,
}

/// ChangedEntries by key; `None` for a removed one.
pub(super) type ChangedEntries<'a, K, V> = BTreeMap<K, Option<Cow<'a, V>>>;

impl<K, V> Default for Tracked<K, V> {
    fn default() -> Self {
        Tracked { entries: BTreeMap::new(), changed: None }
    }
}

impl<K, V> Deref for Tracked<K, V> {
    type Target = BTreeMap<K, V>;

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

impl<K: Ord + Clone, V: Clone> Tracked<K, V> {
    pub(super) fn insert(&mut self, key: K, value: V) {
        self.note(&key);
        self.entries.insert(key, value);
    }

    pub(super) fn remove<Q: Ord + ?Sized>(&mut self, key: &Q)
    where
        K: Borrow<Q>,
    {
        if let Some((key, _)) = self.entries.remove_entry(key) {
            self.note(&key);
        }
    }

    pub(super) fn get_mut<Q: Ord + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        let (key, _) = self.entries.get_key_value(key)?;
        let key = key.clone();
        self.note(&key);
        self.entries.get_mut(key.borrow())
    }

    fn note(&mut self, key: &K) {
        if let Some(changed) = &mut self.changed {
            changed.insert(key.clone());
        }
    }

    /// Returns all entries. From now on changes are noted.
    pub(super) fn all(&mut self) -> ChangedEntries<'_, K, V> {
        self.changed = Some(BTreeSet::new());
        self.entries.iter().map(|(key, value)| (key.clone(), Some(Cow::Borrowed(value)))).collect()
    }

    /// Returns the entries that changed since the last time, or all entries if nobody has asked yet.
    pub(super) fn changes(&mut self) -> ChangedEntries<'_, K, V> {
        match self.changed.replace(BTreeSet::new()) {
            None => self.all(),
            Some(keys) => keys
                .into_iter()
                .map(|key| {
                    let value = self.entries.get(&key).map(Cow::Borrowed);
                    (key, value)
                })
                .collect(),
        }
    }

    /// Brings the map up to date with saved entries, which count as no change.
    pub(super) fn restore(&mut self, entries: ChangedEntries<'_, K, V>) {
        for (key, value) in entries {
            match value {
                Some(value) => drop(self.entries.insert(key, value.into_owned())),
                None => drop(self.entries.remove(&key)),
            }
        }
        self.changed.get_or_insert_default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn taken(map: &mut Tracked<u8, u8>) -> Vec<(u8, Option<u8>)> {
        map.changes().into_iter().map(|(key, value)| (key, value.map(Cow::into_owned))).collect()
    }

    #[test]
    fn changes_are_told_once_and_all_entries_the_first_time() {
        let mut map = Tracked::default();
        map.insert(1, 10);
        map.insert(2, 20);
        assert_eq!(taken(&mut map), [(1, Some(10)), (2, Some(20))]);
        assert_eq!(taken(&mut map), []);
        *map.get_mut(&1).unwrap() = 11;
        map.remove(&2);
        map.insert(3, 30);
        map.insert(3, 31);
        map.remove(&4);
        assert!(map.get_mut(&4).is_none());
        assert_eq!(taken(&mut map), [(1, Some(11)), (2, None), (3, Some(31))]);
        assert_eq!(taken(&mut map), []);
    }

    #[test]
    fn restored_entries_are_no_change() {
        let mut map = Tracked::default();
        map.restore([(1, Some(Cow::Owned(10))), (2, Some(Cow::Owned(20)))].into());
        map.restore([(1, None)].into());
        assert_eq!(taken(&mut map), []);
        assert_eq!(*map, [(2, 20)].into());
        map.insert(4, 40);
        assert_eq!(taken(&mut map), [(4, Some(40))]);
        assert_eq!(map.all().len(), 2);
        assert_eq!(taken(&mut map), []);
    }
}
