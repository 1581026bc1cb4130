//! The next text of a lockfile from the previous one: only the entries that changed are parsed and
//! rendered, all others are copied.
//!
//! The result is what [`write()`](super::write()) makes of all entries, byte for byte; a property
//! compares the two (`tests/next.rs`). The caller knows that the previous text is one of `write`,
//! and of which entries; here it is only checked that nothing contradicts that.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::ops::Range;

use memchr::memchr;

use super::LockfileEntry;
use super::parse::parse_entry;
use super::write::{foot, head, push_entry};
use crate::model::address::Address;
use crate::model::digest::Checksum;
use crate::model::forgotten::Forgotten;
use crate::model::steps::step;

/// The begin and the end of an entry's first line.
const OPENS: &[u8] = b"[assets.\"";
const CLOSES: &[u8] = b"\"]\n";

/// The begin of a table of forgotten assets.
const FORGOTTEN: &[u8] = b"[forgotten.\"";

/// A text of [`write()`](super::write()), in which the entry of an address is found without a look
/// at the others.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LockfileText<'a> {
    text: &'a [u8],
    /// Where the entries begin and end.
    entries: (usize, usize),
}

/// A text in pieces of the previous one and new entries.
#[derive(Debug)]
pub(crate) struct NextText {
    previous: Vec<u8>,
    pieces: Vec<Piece>,
}

/// A piece of a text.
#[derive(Debug)]
pub(crate) enum Piece {
    /// This part of the previous text.
    Kept(Range<usize>),
    /// A new entry.
    New(Vec<u8>),
}

impl NextText {
    /// Returns a text of which nothing is kept.
    pub(crate) fn whole(text: Vec<u8>) -> Self {
        Self { previous: Vec::new(), pieces: vec![Piece::New(text)] }
    }

    /// Returns a text of these pieces of [`LockfileText::with`] and the text that they are of.
    pub(crate) const fn of(previous: Vec<u8>, pieces: Vec<Piece>) -> Self {
        Self { previous, pieces }
    }

    /// Returns whether it is the previous text.
    pub(crate) fn is_unchanged(&self) -> bool {
        matches!(self.pieces.as_slice(), [Piece::Kept(all)] if *all == (0..self.previous.len()))
    }

    /// Returns the text, part by part.
    pub(crate) fn parts(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().map(|piece| match piece {
            Piece::Kept(part) => self.previous.get(part.clone()).unwrap_or_default(),
            Piece::New(text) => text,
        })
    }

    /// Returns the length in bytes.
    pub(crate) fn length(&self) -> u64 {
        self.parts().map(|part| part.len() as u64).sum()
    }

    /// Returns what [`fingerprint`](super::fingerprint) returns for it.
    pub(crate) fn fingerprint(&self) -> String {
        let mut checksum = Checksum::default();
        self.parts().for_each(|part| checksum.update(part));
        checksum.finish()
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of `out`.
    pub(super) fn write_to(&self, out: &mut dyn Write) -> io::Result<()> {
        self.parts().try_for_each(|part| out.write_all(part))
    }
}

impl<'a> LockfileText<'a> {
    /// Takes a text that was written for `remote` and with these forgotten assets; `None` if it
    /// wasn't, or if its line ends were changed.
    pub(crate) fn of(text: &'a [u8], remote: &str, forgotten: &BTreeMap<Address, Forgotten>) -> Option<Self> {
        let (head, foot) = (head(remote), foot(forgotten));
        let entries = text.strip_prefix(head.as_bytes())?.strip_suffix(foot.as_bytes())?;
        let found = Self { text, entries: (head.len(), head.len() + entries.len()) };
        // Git's other line ends may be in some lines only.
        if memchr(b'\r', entries).is_some() {
            return None;
        }
        let Some(last) = entries.len().checked_sub(1) else { return Some(found) };
        let last = found.start_before(head.len(), head.len() + last)?;
        // More was forgotten when it was written.
        let is_more = found.lines(last).any(|line| line.starts_with(FORGOTTEN));
        (entries.starts_with(OPENS) && !is_more).then_some(found)
    }

    /// Returns the entry of an address, if it has one; `None` if the text is no text of `write`.
    pub(crate) fn entry(&self, address: &Address) -> Option<Option<LockfileEntry>> {
        let Ok(part) = self.find(address)? else { return Some(None) };
        parse_entry(std::str::from_utf8(self.text.get(part)?).ok()?, address).map(Some)
    }

    /// Returns the text with these entries in place of those of their addresses, in pieces; `None`
    /// for one that leaves. Returns `None` if the text is no text of `write`.
    pub(crate) fn with(&self, changed: &BTreeMap<Address, Option<LockfileEntry>>) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let mut kept = 0;
        for (address, entry) in changed {
            let replaced = self.find(address)?.unwrap_or_else(|at| at..at);
            let mut text = String::new();
            if let Some(entry) = entry {
                push_entry(&mut text, address, entry);
            }
            if self.text.get(replaced.clone())? == text.as_bytes() {
                continue;
            }
            // The addresses come in order, and so would their entries.
            if replaced.start < kept {
                return None;
            }
            pieces.push(Piece::Kept(kept..replaced.start));
            pieces.push(Piece::New(text.into_bytes()));
            kept = replaced.end;
        }
        pieces.push(Piece::Kept(kept..self.text.len()));
        Some(pieces)
    }

    /// Finds the entry of an address, or the place where it would be; `None` if the text is no text
    /// of `write`.
    pub(super) fn find(&self, address: &Address) -> Option<Result<Range<usize>, usize>> {
        // The entries before `from` come before the address, those from `to` come after it. Both are
        // starts of entries, or the end.
        let (mut from, mut to) = self.entries;
        while from < to {
            step();
            let start = self.start_before(from, from + (to - from) / 2)?;
            let lengths = self.lines(start).skip(1).take_while(|line| !line.starts_with(OPENS)).map(<[u8]>::len);
            let end = start + self.lines(start).next()?.len() + lengths.sum::<usize>();
            match self.compare(start, address)? {
                Ordering::Less => from = end,
                Ordering::Greater => to = start,
                Ordering::Equal => return Some(Ok(start..end)),
            }
        }
        Some(Err(from))
    }

    /// Returns the lines of the entries from this one on, each with its end.
    fn lines(&self, from: usize) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.text.get(from..self.entries.1).unwrap_or_default().split_inclusive(|byte| *byte == b'\n')
    }

    /// Returns the start of the entry that the byte at `at` belongs to. At `from` one starts.
    fn start_before(&self, from: usize, at: usize) -> Option<usize> {
        let is_line = |at: &usize| *at == from || self.text.get(at - 1) == Some(&b'\n');
        let is_entry = |at: &usize| self.text.get(*at..).is_some_and(|rest| rest.starts_with(OPENS));
        (from..=at).rev().filter(is_line).find(is_entry)
    }

    /// Compares the address of the entry that starts at `start` with another one.
    fn compare(&self, start: usize, address: &Address) -> Option<Ordering> {
        let line = self.lines(start).next()?.strip_prefix(OPENS)?.strip_suffix(CLOSES)?;
        let mut characters = std::str::from_utf8(line).ok()?.chars();
        // An address has no control characters, so a backslash is before a quote or another one.
        let mut found = String::new();
        while let Some(character) = characters.next() {
            found.push(if character == '\\' { characters.next()? } else { character });
        }
        Some(found.as_str().cmp(address.as_str()))
    }
}
