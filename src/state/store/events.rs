//! The events that a person may want to read later.

use jiff::Timestamp;
use rusqlite::{Connection, Result};

use super::{Store, rows};
use crate::model::address::Address;
use crate::model::event::EventKind;
use crate::state::error::StateError;

/// How many of the newest events are kept, a few megabytes: a year of service must not fill the
/// disk.
const KEPT: i64 = 20_000;

/// One event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EventRow {
    /// The time of the event.
    pub at: Timestamp,
    /// Its address, if it has one.
    pub address: Option<Address>,
    /// A stable name in `snake_case`.
    pub kind: String,
    /// One line.
    pub message: String,
}

impl Store {
    /// Returns the newest events, of one address or of all, the newest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn events(&self, address: Option<&Address>, limit: u32) -> Result<Vec<EventRow>, StateError> {
        let sql = match address {
            Some(_) => "SELECT at, address, kind, message FROM events WHERE address = ?1 ORDER BY id DESC LIMIT ?2",
            None => "SELECT at, address, kind, message FROM events WHERE ?1 IS NULL ORDER BY id DESC LIMIT ?2",
        };
        let read = || -> Result<Vec<_>> {
            let mut newest = self.connection.prepare_cached(sql)?;
            newest
                .query_map((address.map(Address::as_str), limit), |row| {
                    let address = rows::text_or_null(row, 1)?.map(Address::new).transpose();
                    Ok(EventRow {
                        at: rows::time(row, 0)?,
                        address: address.map_err(|error| rows::wrong(1, error))?,
                        kind: row.get(2)?,
                        message: row.get(3)?,
                    })
                })?
                .collect()
        };
        read().map_err(|error| self.failed("read the events", error))
    }
}

pub(super) fn write(connection: &Connection, address: Option<&Address>, event: &EventKind, now: &str) -> Result<()> {
    connection.prepare_cached("INSERT INTO events (at, address, kind, message) VALUES (?1, ?2, ?3, ?4)")?.execute((
        now,
        address.map(Address::as_str),
        event.code(),
        event.to_string(),
    ))?;
    connection.prepare_cached("DELETE FROM events WHERE id <= ?1")?.execute([connection.last_insert_rowid() - KEPT])?;
    Ok(())
}
