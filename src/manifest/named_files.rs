//! The files of globs that a manifest names by their addresses, in pins, icons and previews.

use std::collections::BTreeSet;

use super::document::ManifestDocument;
use super::paths::normalized;
use super::pattern;
use super::references;
use crate::model::address::Address;

/// See [`Manifest::named_files`](super::Manifest::named_files).
pub(super) fn of(document: &ManifestDocument) -> BTreeSet<&Address> {
    let ManifestDocument { assets, globs, existing, pins, .. } = document;
    let named = assets.iter().flat_map(|entry| references::named(&entry.keys)).chain(pins.keys());
    let named: BTreeSet<&Address> = named.filter(|address| !existing.contains_key(*address)).collect();
    // A set that can't be built is told where the walk builds it.
    let set = pattern::set(globs.iter().map(|glob| glob.pattern.get_ref().as_str()));
    let Some(set) = set.ok().filter(|_| !named.is_empty()) else { return BTreeSet::new() };
    let own: BTreeSet<&Address> = assets.iter().map(|entry| &entry.address).collect();
    let paths: BTreeSet<String> = assets.iter().map(|entry| normalized(entry.path.get_ref())).collect();
    let is_of_glob = |address: &Address| {
        !own.contains(address) && !paths.contains(address.as_str()) && set.is_match(address.as_str())
    };
    named.into_iter().filter(|address| is_of_glob(address)).collect()
}
