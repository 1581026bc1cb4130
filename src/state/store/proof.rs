//! A digest of all revisions, kept beside them: it shows whether the state still has every fact
//! that was ever written.
//!
//! A misdirected page or another program's `DELETE` leaves a database that is sound for SQLite. The
//! missing assets would be uploaded again, so such a state is damaged. The digest is the exclusive
//! or of one digest per row, so the cost of an update depends only on the change.

use std::fmt::Write as _;

use rusqlite::{Connection, Result, Row};

use super::rows;
use crate::model::address::Address;
use crate::model::digest::FieldDigest;

/// The length of two numbers and a hash in hex, at most.
const TEXT: usize = 20 + 20 + 64;

/// Returns the digest of one revision: the address, the asset, its version and its content.
pub(super) fn of(address: &str, asset_id: i64, version: i64, content: Option<&[u8]>) -> u64 {
    // One piece of memory for all: each row of the state comes here.
    let mut text = String::with_capacity(TEXT);
    let mut end_of = |number: i64| {
        let _ = write!(text, "{number}");
        text.len()
    };
    let (id_end, version_end) = (end_of(asset_id), end_of(version));
    let digits = content.into_iter().flatten().flat_map(|byte| [byte >> 4, byte & 0xf]);
    text.extend(digits.filter_map(|digit| char::from_digit(digit.into(), 16)));
    let (numbers, content) = text.split_at(version_end);
    let (asset_id, version) = numbers.split_at(id_end);
    FieldDigest::of_parts([address, asset_id, version, content]).bits()
}

/// Returns the digest of a row with address, asset, version and content, under `address` if that is
/// given.
pub(super) fn of_row(row: &Row<'_>, address: Option<&Address>) -> Result<u64> {
    let stored = rows::text(row, 0)?;
    let content: Option<Vec<u8>> = row.get(3)?;
    let address = address.map_or(stored, Address::as_str);
    Ok(of(address, row.get(1)?, row.get(2)?, content.as_deref()))
}

/// Returns the digest of all revisions of an address, as if its address were `known_as` if that is
/// given.
pub(super) fn of_address(connection: &Connection, address: &Address, known_as: Option<&Address>) -> Result<u64> {
    let mut all =
        connection.prepare_cached("SELECT address, asset_id, version, content FROM revisions WHERE address = ?1")?;
    let digests = all.query_map([address.as_str()], |row| of_row(row, known_as))?;
    digests.into_iter().try_fold(0, |sum, digest| Ok(sum ^ digest?))
}

/// Updates the digest for rows that were added or removed.
pub(super) fn toggle(connection: &Connection, digest: u64) -> Result<()> {
    if digest == 0 {
        return Ok(());
    }
    // SQLite has no exclusive or.
    connection
        .prepare_cached("UPDATE meta SET revisions_digest = (revisions_digest | ?1) - (revisions_digest & ?1)")?
        .execute([rows::number(digest)])
        .map(drop)
}

/// The revisions that a state has.
#[derive(Debug, Default)]
pub(super) struct FoundRevisions {
    count: u64,
    digest: u64,
}

impl FoundRevisions {
    /// Counts a row with address, asset, version and content in these columns.
    pub(super) fn count(&mut self, row: &Row<'_>, [address, asset_id, version, content]: [usize; 4]) -> Result<()> {
        let bytes = row.get_ref(content)?.as_blob_or_null().map_err(|error| rows::wrong(content, error))?;
        self.digest ^= of(rows::text(row, address)?, row.get(asset_id)?, row.get(version)?, bytes);
        self.count += 1;
        Ok(())
    }

    /// Refuses a state whose revisions are not those that were written.
    pub(super) fn verify(self, connection: &Connection) -> Result<()> {
        let wanted: i64 = connection.query_row("SELECT revisions_digest FROM meta", [], |row| row.get(0))?;
        if rows::number(self.digest) == wanted {
            return Ok(());
        }
        let count = self.count;
        Err(rows::wrong(0, format_args!("it has {count} revisions, and they aren't the ones that were written down")))
    }
}
