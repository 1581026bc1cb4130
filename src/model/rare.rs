//! A part that nearly every record lacks: one word while it is empty.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::ops::{Deref, DerefMut};

/// Something that can be empty.
pub trait Empty: Default + PartialEq + 'static {
    /// The empty value.
    const EMPTY: &'static Self;
}

impl<K: Ord + PartialEq + 'static, V: PartialEq + 'static> Empty for BTreeMap<K, V> {
    const EMPTY: &'static Self = &Self::new();
}

impl<K: Ord + 'static> Empty for BTreeSet<K> {
    const EMPTY: &'static Self = &Self::new();
}

impl<T: PartialEq + 'static> Empty for Vec<T> {
    const EMPTY: &'static Self = &Self::new();
}

impl<T: PartialEq + 'static> Empty for Option<T> {
    const EMPTY: &'static Self = &None;
}

/// A collection or an option that is nearly always empty. It is used like what it holds, and takes
/// room of its own only once that was changed. A project has 100,000 records, and each of these
/// parts has a few.
#[derive(Clone)]
pub struct Rare<T>(Option<Box<T>>);

impl<T> Rare<T> {
    /// Creates an empty one.
    pub const fn new() -> Self {
        Self(None)
    }
}

impl<T> Default for Rare<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Empty> From<T> for Rare<T> {
    fn from(value: T) -> Self {
        Self((value != *T::EMPTY).then(|| Box::new(value)))
    }
}

impl<T: Empty> Deref for Rare<T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.0.as_deref().unwrap_or(T::EMPTY)
    }
}

impl<T: Empty> DerefMut for Rare<T> {
    fn deref_mut(&mut self) -> &mut T {
        self.0.get_or_insert_with(Box::default)
    }
}

impl<T: Empty> PartialEq for Rare<T> {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl<T: Empty + Eq> Eq for Rare<T> {}

impl<T: Empty + fmt::Debug> fmt::Debug for Rare<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_one_is_a_word_and_equals_one_that_was_emptied() {
        assert_eq!(size_of::<Rare<BTreeMap<u8, u8>>>(), size_of::<usize>());
        let mut map = Rare::from(BTreeMap::from([(1, 'a')]));
        assert_eq!(map.get(&1), Some(&'a'));
        map.clear();
        assert_eq!(map, Rare::new());
        assert_eq!(map, BTreeMap::new().into());
        map.insert(2, 'b');
        assert_ne!(map, Rare::new());
        assert_eq!(format!("{map:?}"), "{2: 'b'}");
    }

    #[test]
    fn a_look_at_an_empty_one_takes_no_room() {
        let none: Rare<Option<u64>> = None.into();
        assert!(none.is_none() && none.0.is_none());
        let unchanged: Rare<Vec<u8>> = Vec::new().into();
        assert!(unchanged.is_empty() && unchanged.0.is_none());
    }
}
