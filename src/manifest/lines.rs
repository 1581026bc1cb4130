//! The line of a manifest that an address comes from, for messages about its file or its upload.

use std::collections::BTreeMap;

use globset::GlobSet;

use super::diagnostic::ManifestSource;
use super::document::ManifestDocument;
use super::pattern;
use crate::model::address::Address;

/// The lines of a manifest's entries, from 1.
#[derive(Debug)]
pub(crate) struct EntryLines {
    /// By the keys under `[assets]`.
    entries: BTreeMap<Address, usize>,
    /// The globs with the lines of their patterns, in the manifest's order.
    globs: Vec<(GlobSet, usize)>,
}

impl EntryLines {
    pub(super) fn of(source: &ManifestSource, document: &ManifestDocument) -> Self {
        let entries = document.assets.iter().map(|entry| (entry.address.clone(), source.line_of(entry.key.start)));
        // A pattern that can't be compiled was an error of the manifest.
        let globs = document.globs.iter().filter_map(|glob| {
            let set = pattern::set([glob.pattern.get_ref().as_str()]).ok()?;
            Some((set, source.line_of(glob.pattern.span().start)))
        });
        Self { entries: entries.collect(), globs: globs.collect() }
    }

    /// The line of the entry that gives this address: its key under `[assets]`, or the pattern that
    /// finds its file.
    pub(crate) fn of_address(&self, address: &Address) -> Option<usize> {
        let by_glob = || self.globs.iter().find(|(set, _)| set.is_match(address.as_str())).map(|(_, line)| *line);
        self.entries.get(address).copied().or_else(by_glob)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_has_the_line_of_its_key_or_of_the_pattern_that_finds_it() {
        let text = "[creator]\nuser_id = 1\n\n[globs.ui]\npath = \"ui/**/*.png\"\n\n[assets]\nsword.path = \"a.png\"\n\n\
                    [assets.\"ui/b.png\"]\npath = \"ui/b.png\"\n";
        let lines = super::super::parse(text.as_bytes(), "assets.toml").unwrap().lines();
        let check =
            |address: &str, line| assert_eq!(lines.of_address(&Address::new(address).unwrap()), line, "{address}");
        check("sword", Some(8));
        check("ui/b.png", Some(10));
        check("ui/close.png", Some(5));
        check("ui/close.wav", None);
        check("gone", None);
    }
}
