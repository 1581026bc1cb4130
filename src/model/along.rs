//! Two maps side by side: both are in the order of their keys, so that going along both looks no key
//! up. In a large project a look-up costs more than whatever is done with the entry.

use std::collections::BTreeMap;

/// Returns the entries of one map in order, each with that of the `other` map.
pub(crate) fn along<'a, 'b, K: Ord, T, U>(
    one: &'a BTreeMap<K, T>,
    other: &'b BTreeMap<K, U>,
) -> impl Iterator<Item = (&'a K, &'a T, Option<&'b U>)> {
    let mut others = other.iter().peekable();
    one.iter().map(move |(key, entry)| {
        while others.next_if(|(before, _)| *before < key).is_some() {}
        let beside = others.next_if(|(at, _)| *at == key).map(|(_, beside)| beside);
        (key, entry, beside)
    })
}

/// Returns those of `keys`, which come in order, that `map` hasn't.
pub(crate) fn absent_from<'a, K: Ord, T>(
    keys: impl IntoIterator<Item = &'a K>,
    map: &'a BTreeMap<K, T>,
) -> impl Iterator<Item = &'a K> {
    let mut others = map.keys().peekable();
    keys.into_iter().filter(move |key| {
        while others.next_if(|before| before < key).is_some() {}
        others.next_if(|next| next == key).is_none()
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_a_look_up_finds(
            one in prop::collection::btree_map("[a-c]{1,3}", 0_u8.., 0..20),
            other in prop::collection::btree_map("[a-c]{1,3}", 0_u8.., 0..20),
        ) {
            let looked_up: Vec<_> = one.iter().map(|(key, value)| (key, value, other.get(key))).collect();
            prop_assert_eq!(along(&one, &other).collect::<Vec<_>>(), looked_up);
            let absent: Vec<_> = one.keys().filter(|key| !other.contains_key(*key)).collect();
            prop_assert_eq!(absent_from(one.keys(), &other).collect::<Vec<_>>(), absent);
        }
    }
}
