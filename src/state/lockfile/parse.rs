//! Parses a lockfile to a ledger. Strict: anything unknown is an error with its place, and no
//! lockfile is read in part.
//!
//! The text is parsed table by table, since the tree of a whole document with 100,000 addresses
//! takes 260 MB. A line that starts with `[` counts as the start of a table. If it is inside a
//! multi-line string, the part before it is invalid TOML, so nothing is misread.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::error::{LockfileError, LockfilePosition};
use super::forms::{EntryText, ForgottenText};
use super::write::{LAST_LINE, VERSION};
use super::{Ledger, LockfileEntry};
use crate::model::address::Address;
use crate::model::forgotten::Forgotten;

/// The keys before the first table that every version has.
#[derive(Deserialize)]
struct AnyHeader {
    version: Option<Spanned<i64>>,
}

/// The keys before the first table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockfileHeader {
    #[serde(rename = "version")]
    _version: i64,
    remote: String,
}

/// One table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct LockfileTable<'a> {
    #[serde(borrow, default)]
    assets: BTreeMap<Spanned<Cow<'a, str>>, EntryText>,
    #[serde(borrow, default)]
    forgotten: BTreeMap<Spanned<Cow<'a, str>>, ForgottenText>,
}

/// Parses a lockfile; `file` is its name in errors.
///
/// # Errors
/// When it is empty, cut off, has conflict markers, has a newer version, or is no lockfile.
pub fn parse(bytes: &[u8], file: &Path) -> Result<Ledger, LockfileError> {
    let text = LockfileSource { text: utf8(bytes, file)?, file };
    text.refuse_broken()?;
    let mut parts = text.parts();
    let header = text.read_header(parts.next().unwrap_or(0..0))?;
    let mut ledger = Ledger::new(header.remote);
    for part in parts {
        text.read_table(part, &mut ledger)?;
    }
    complete_forgotten(&mut ledger);
    Ok(ledger)
}

/// Parses the entry of one address from its part of a text of [`super::write()`]; `None` if there is
/// another one, or none.
pub(super) fn parse_entry(part: &str, address: &Address) -> Option<LockfileEntry> {
    let text = LockfileSource { text: part, file: Path::new("") };
    let mut ledger = Ledger::new(String::new());
    text.read_table(0..part.len(), &mut ledger).ok()?;
    ledger.entries.remove(address).filter(|_| ledger.entries.is_empty())
}

/// Adds the forgotten assets that a revision's era implies, since a manual merge may have lost
/// their line.
fn complete_forgotten(ledger: &mut Ledger) {
    for (address, entry) in &ledger.entries {
        let mut forgotten = Forgotten::new();
        entry.history.iter().for_each(|(key, fact)| forgotten.raise(key.asset_id, fact.era));
        if !forgotten.is_empty() {
            ledger.forgotten.entry(address.clone()).or_default().union(&forgotten);
        }
    }
}

fn utf8<'a>(bytes: &'a [u8], file: &Path) -> Result<&'a str, LockfileError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (good, _) = bytes.split_at(error.valid_up_to());
        let good = String::from_utf8_lossy(good);
        LockfileSource { text: &good, file }.damaged("this is no UTF-8".to_owned(), good.len())
    })
}

#[derive(Clone, Copy)]
struct LockfileSource<'a> {
    text: &'a str,
    file: &'a Path,
}

impl<'a> LockfileSource<'a> {
    fn place(self, at: usize) -> LockfilePosition {
        let before = self.text.get(..at).unwrap_or(self.text);
        let start = before.rfind('\n').map_or(0, |newline| newline + 1);
        let column = before.get(start..).unwrap_or_default().chars().count() + 1;
        LockfilePosition { file: self.file.to_owned(), line: before.matches('\n').count() + 1, column }
    }

    fn damaged(self, message: String, at: usize) -> LockfileError {
        LockfileError::Damaged { message, place: self.place(at) }
    }

    /// Refuses files that are unusable although they may be valid TOML.
    fn refuse_broken(self) -> Result<(), LockfileError> {
        if self.text.trim().is_empty() {
            return Err(LockfileError::Empty { place: self.place(0) });
        }
        for (start, line) in self.lines() {
            // Git's markers; `=======` alone is the middle one.
            let opens = ["<<<<<<<", ">>>>>>>", "|||||||"].iter().any(|marker| line.starts_with(marker));
            if opens || line.trim_end() == "=======" {
                return Err(LockfileError::ConflictMarkers { place: self.place(start) });
            }
        }
        if self.text.trim_end().lines().next_back().map(str::trim) == Some(LAST_LINE) {
            return Ok(());
        }
        let mut after = self.lines().skip_while(|(_, line)| line.trim() != LAST_LINE).skip(1);
        match after.find(|(_, line)| !line.trim().is_empty()) {
            Some((start, _)) => Err(LockfileError::GoesOn { place: self.place(start) }),
            None => Err(LockfileError::CutOff { place: self.place(self.text.len()) }),
        }
    }

    fn lines(self) -> impl Iterator<Item = (usize, &'a str)> {
        self.text.split_inclusive('\n').scan(0, |end, line| {
            let start = *end;
            *end += line.len();
            Some((start, line))
        })
    }

    /// Returns the part before the first table, then each table.
    fn parts(self) -> impl Iterator<Item = Range<usize>> {
        let starts = self.lines().filter(|(_, line)| line.starts_with('[')).map(|(start, _)| start);
        starts.chain([self.text.len()]).scan(0, |from, to| {
            let part = *from..to;
            *from = to;
            Some(part)
        })
    }

    fn read<T: Deserialize<'a>>(self, part: Range<usize>) -> Result<T, LockfileError> {
        let start = part.start;
        let text = self.text.get(part).unwrap_or_default();
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(start, |span| start + span.start);
            self.damaged(error.message().to_owned(), at)
        })
    }

    /// Adds one table to `ledger`.
    fn read_table(self, part: Range<usize>, ledger: &mut Ledger) -> Result<(), LockfileError> {
        let LockfileTable { assets, forgotten } = self.read(part.clone())?;
        let address = |key: &Spanned<Cow<'_, str>>| {
            let span = part.start + key.span().start;
            let address = Address::new(key.get_ref()).map_err(|error| self.damaged(error.to_string(), span))?;
            Ok::<_, LockfileError>((address, span))
        };
        for (key, entry) in assets {
            let (address, span) = address(&key)?;
            let damaged = |message| self.damaged(message, span);
            let entry = entry
                .read(address.as_str())
                .map_err(|(message, at)| self.damaged(message, at.map_or(span, |at| part.start + at)))?;
            match ledger.entries.entry(address) {
                btree_map::Entry::Vacant(free) => {
                    free.insert(entry);
                }
                btree_map::Entry::Occupied(taken) => return Err(damaged(format!("`{}` is here twice", taken.key()))),
            }
        }
        for (key, forgotten) in forgotten {
            let (address, span) = address(&key)?;
            let forgotten = forgotten.read().map_err(|message| self.damaged(message, span))?;
            ledger.forgotten.entry(address).or_default().union(&forgotten);
        }
        Ok(())
    }

    /// Reads the version first, since a newer format may have unknown keys.
    fn read_header(self, part: Range<usize>) -> Result<LockfileHeader, LockfileError> {
        let AnyHeader { version } = self.read(part.clone())?;
        let version = version.ok_or_else(|| self.damaged("it has no `version`".to_owned(), 0))?;
        let at = part.start + version.span().start;
        match version.into_inner() {
            VERSION => self.read(part),
            found if found > VERSION => Err(LockfileError::Newer { found, known: VERSION, place: self.place(at) }),
            other => Err(self.damaged(format!("there is no version {other}"), at)),
        }
    }
}
