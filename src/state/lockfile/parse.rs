//! Parses a lockfile to a ledger. Strict: anything unknown is an error with its place, and no
//! lockfile is read in part.
//!
//! The text is parsed table by table, since the tree of a whole document with 100,000 addresses
//! takes 260 MB. A line that starts with `[` counts as the start of a table. If it is inside a
//! multi-line string, the part before it is invalid TOML, so nothing is misread. An entry as Macadam
//! writes it needs no TOML (`as_written`).

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::Spanned;

use super::as_written;
use super::error::{LockfileError, LockfilePosition};
use super::forms::{EntryText, ForgottenText};
use super::write::{LAST_LINE, VERSION};
use super::{Ledger, LockfileEntry};
use crate::model::address::Address;
use crate::model::ascending::Ascending;
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
    parse_by(as_written::read, bytes, file)
}

/// Does what [`parse`] does. `usual` reads a table in a quicker way, if it can.
pub(super) fn parse_by(
    usual: fn(&str) -> Option<(Address, LockfileEntry)>,
    bytes: &[u8],
    file: &Path,
) -> Result<Ledger, LockfileError> {
    let text = LockfileSource { text: utf8(bytes, file)?, file };
    let starts = text.table_starts()?;
    let header = text.read_header(0..starts.first().copied().unwrap_or(text.text.len()))?;
    let mut tables = Tables::with_room(starts.len());
    let ends = starts.iter().skip(1).copied().chain([text.text.len()]);
    for (start, end) in starts.iter().copied().zip(ends) {
        match text.text.get(start..end).and_then(usual) {
            Some((address, entry)) => text.add_entry(address, entry, || text.key_at(start), &mut tables)?,
            None => text.read_table(start..end, &mut tables)?,
        }
    }
    let Tables { entries, forgotten } = tables;
    let mut ledger = Ledger { remote: header.remote, entries: entries.into_map(|entry| entry), forgotten };
    complete_forgotten(&mut ledger);
    Ok(ledger)
}

/// What the tables had so far.
struct Tables {
    entries: Ascending<Address, LockfileEntry>,
    forgotten: BTreeMap<Address, Forgotten>,
}

impl Tables {
    fn with_room(count: usize) -> Self {
        Self { entries: Ascending::with_room(count), forgotten: BTreeMap::new() }
    }
}

/// Parses the entry of one address from its part of a text of [`super::write()`]; `None` if there is
/// another one, or none.
pub(super) fn parse_entry(part: &str, address: &Address) -> Option<LockfileEntry> {
    let text = LockfileSource { text: part, file: Path::new("") };
    let mut tables = Tables::with_room(1);
    match as_written::read(part) {
        Some((address, entry)) => text.add_entry(address, entry, || 0, &mut tables).ok()?,
        None => text.read_table(0..part.len(), &mut tables).ok()?,
    }
    let mut entries = tables.entries.into_map(|entry| entry);
    entries.remove(address).filter(|_| entries.is_empty())
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
        LockfileSource { text: &good, file }.damaged("this isn't UTF-8".to_owned(), good.len())
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

    /// Returns where each table starts. Refuses files that are unusable although they may be valid
    /// TOML.
    fn table_starts(self) -> Result<Vec<usize>, LockfileError> {
        if self.text.trim().is_empty() {
            return Err(LockfileError::Empty { place: self.place(0) });
        }
        let mut starts = Vec::new();
        for (start, line) in self.lines() {
            match line.as_bytes().first() {
                Some(b'[') => starts.push(start),
                // Git's markers; `=======` alone is the middle one.
                Some(b'<' | b'>' | b'|' | b'=') => {
                    let opens = ["<<<<<<<", ">>>>>>>", "|||||||"].iter().any(|marker| line.starts_with(marker));
                    if opens || line.trim_end() == "=======" {
                        return Err(LockfileError::ConflictMarkers { place: self.place(start) });
                    }
                }
                _ => {}
            }
        }
        if self.text.trim_end().lines().next_back().map(str::trim) == Some(LAST_LINE) {
            return Ok(starts);
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

    fn read<T: Deserialize<'a>>(self, part: Range<usize>) -> Result<T, LockfileError> {
        let start = part.start;
        let text = self.text.get(part).unwrap_or_default();
        toml::from_str(text).map_err(|error| {
            let at = error.span().map_or(start, |span| start + span.start);
            self.damaged(error.message().to_owned(), at)
        })
    }

    /// Returns where the name is in the first line of an entry as Macadam writes it.
    fn key_at(self, start: usize) -> usize {
        start + self.text.get(start..).and_then(|text| text.find('"')).unwrap_or_default()
    }

    /// Adds an entry, whose name is at `at`.
    fn add_entry(
        self,
        address: Address,
        entry: LockfileEntry,
        at: impl FnOnce() -> usize,
        tables: &mut Tables,
    ) -> Result<(), LockfileError> {
        tables
            .entries
            .add(address, entry)
            .map_err(|(address, _)| self.damaged(format!("`{address}` is here twice"), at()))
    }

    /// Adds one table.
    fn read_table(self, part: Range<usize>, tables: &mut Tables) -> Result<(), LockfileError> {
        let LockfileTable { assets, forgotten } = self.read(part.clone())?;
        let address = |key: &Spanned<Cow<'_, str>>| {
            let span = part.start + key.span().start;
            let address = Address::new(key.get_ref()).map_err(|error| self.damaged(error.to_string(), span))?;
            Ok::<_, LockfileError>((address, span))
        };
        for (key, entry) in assets {
            let (address, span) = address(&key)?;
            let entry = entry
                .read(address.as_str())
                .map_err(|(message, at)| self.damaged(message, at.map_or(span, |at| part.start + at)))?;
            self.add_entry(address, entry, || span, tables)?;
        }
        for (key, forgotten) in forgotten {
            let (address, span) = address(&key)?;
            let forgotten = forgotten.read().map_err(|message| self.damaged(message, span))?;
            tables.forgotten.entry(address).or_default().union(&forgotten);
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
