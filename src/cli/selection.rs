//! Which addresses a person means: names, and globs over the addresses that are known, by the
//! manifest's rules.
//!
//! A name that is known counts as a name, whatever characters it holds. A glob that fits nothing is
//! an error: it was meant for something.

use std::collections::BTreeSet;

use super::exit::{CommandFailure, Exit};
use super::output::plural;
use super::target;
use super::unknown::unmatched;
use crate::manifest::AddressPattern;
use crate::model::address::Address;

/// The addresses that globs may match, for one command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Candidates {
    /// The addresses that the command can do something for.
    pub eligible: BTreeSet<Address>,
    /// All known addresses.
    pub known: BTreeSet<Address>,
    /// The end of "none of the 3 assets …" or "no asset that matches …", for a person: "is pinned".
    pub what: &'static str,
}

impl From<BTreeSet<Address>> for Candidates {
    /// A command that can do something for each known address.
    fn from(known: BTreeSet<Address>) -> Self {
        Self { eligible: known.clone(), known, what: "is known" }
    }
}

/// The addresses that a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AddressSelection {
    /// Each once, in the order in which they were named; those of a glob in their own order.
    pub addresses: Vec<Address>,
    /// Those that only a glob named: where there is nothing to do for one of them, it is passed
    /// over.
    pub by_glob: BTreeSet<Address>,
    /// Exactly one name was given, and no glob: what is printed is about that address alone.
    pub is_single: bool,
}

impl AddressSelection {
    /// Returns the addresses that the arguments name, each once and in order; `None` if there are
    /// none, or one of them may be a glob or is no address.
    pub(super) fn plain(texts: &[String]) -> Option<BTreeSet<Address>> {
        if texts.is_empty() || texts.iter().any(|text| AddressPattern::is_meant(text)) {
            return None;
        }
        texts.iter().map(|text| Address::new(text).ok()).collect()
    }

    /// Reads the arguments of a command; globs fit the eligible of `candidates`, which are asked
    /// for only where there is one.
    ///
    /// # Errors
    /// When a text is not an address, or a glob is not valid or matches nothing.
    pub(super) fn read<C: Into<Candidates>>(
        texts: &[String],
        candidates: impl FnOnce() -> Result<C, CommandFailure>,
    ) -> Result<Self, CommandFailure> {
        let is_meant = texts.iter().any(|text| AddressPattern::is_meant(text));
        let candidates = if is_meant { candidates()?.into() } else { Candidates::from(BTreeSet::new()) };
        let Candidates { eligible, known, what } = &candidates;
        let (mut addresses, mut seen) = (Vec::new(), BTreeSet::new());
        let (mut named, mut by_glob) = (BTreeSet::new(), BTreeSet::new());
        let mut globs = 0;
        for text in texts {
            let plain = Address::new(text).ok().filter(|address| known.contains(address));
            if plain.is_none() && AddressPattern::is_meant(text) {
                globs += 1;
                let pattern = AddressPattern::new(text).map_err(|error| CommandFailure::new(Exit::Usage, error))?;
                let mut fitting = eligible.iter().filter(|address| pattern.fits(address)).peekable();
                if fitting.peek().is_none() {
                    let others = known.iter().filter(|address| pattern.fits(address)).count() as u64;
                    if others > 0 {
                        let of_them = match others {
                            1 => format!("no asset that matches `{text}` {what}"),
                            _ => format!("none of the {} that match `{text}` {what}", plural(others, "asset")),
                        };
                        return Err(
                            CommandFailure::new(Exit::Unreconciled, of_them).hint("`macadam status` shows them")
                        );
                    }
                    return Err(unmatched(text, known.iter()));
                }
                for address in fitting {
                    by_glob.insert(address.clone());
                    if seen.insert(address.clone()) {
                        addresses.push(address.clone());
                    }
                }
                continue;
            }
            let address = target::address(text)?;
            named.insert(address.clone());
            if seen.insert(address.clone()) {
                addresses.push(address);
            }
        }
        by_glob.retain(|address| !named.contains(address));
        Ok(Self { is_single: globs == 0 && texts.len() == 1, addresses, by_glob })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> Result<AddressSelection, String> {
        let known = ["a.png", "b.png", "ui/a.png", "ui/x/b.png", "odd[1].png", "sword@user:1"];
        let known: BTreeSet<Address> = known.into_iter().map(|text| Address::new(text).unwrap()).collect();
        let eligible = known.iter().filter(|address| address.as_str() != "ui/x/b.png").cloned().collect();
        let known = || Ok(Candidates { eligible, known, what: "is pinned" });
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        AddressSelection::read(&texts, known).map_err(|failure| failure.problems[0].message.clone())
    }

    #[track_caller]
    fn check(texts: &[&str], expected: &[&str], by_glob: &[&str], is_single: bool) {
        let AddressSelection { addresses, by_glob: found, is_single: single } = read(texts).unwrap();
        assert_eq!(addresses.iter().map(Address::as_str).collect::<Vec<_>>(), expected, "{texts:?}");
        assert_eq!(found.iter().map(Address::as_str).collect::<Vec<_>>(), by_glob, "{texts:?}");
        assert_eq!(single, is_single, "{texts:?}");
    }

    #[test]
    fn names_and_globs() {
        check(&["a.png"], &["a.png"], &[], true);
        check(&["nobody", "a.png"], &["nobody", "a.png"], &[], false);
        check(&["*.png"], &["a.png", "b.png", "odd[1].png"], &["a.png", "b.png", "odd[1].png"], false);
        check(&["ui/**"], &["ui/a.png"], &["ui/a.png"], false);
        check(&["ui/x/b.png"], &["ui/x/b.png"], &[], true);
        assert_eq!(read(&["ui/x/*"]), Err("no asset that matches `ui/x/*` is pinned".to_owned()));
        check(&["b.png", "?.png"], &["b.png", "a.png"], &["a.png"], false);
        check(&["**@user:1"], &["sword@user:1"], &["sword@user:1"], false);
        // A name that looks like a glob.
        check(&["odd[1].png"], &["odd[1].png"], &[], true);
        assert_eq!(read(&["x/*"]), Err("no asset matches the pattern `x/*`".to_owned()));
        assert_eq!(read(&["Odd[1].png"]), Err("there is no asset named `Odd[1].png`".to_owned()));
        assert!(read(&["x/[a"]).unwrap_err().contains("`x/[a` is not a valid pattern"));
    }
}
