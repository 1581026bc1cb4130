//! The addresses that a lost lockfile had, until there is a lockfile again.

use std::collections::BTreeSet;

use rusqlite::{Connection, Result};

use super::{Store, rows, settled};
use crate::model::address::Address;
use crate::state::error::StateError;

impl Store {
    /// Returns the addresses that the lockfile had when it was found missing; none once there is one
    /// again.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn lockfile_had(&self) -> std::result::Result<BTreeSet<Address>, StateError> {
        load(&self.connection).map_err(|error| self.failed("read what the lost lockfile had", error))
    }

    /// Adds addresses that the missing lockfile had.
    ///
    /// # Errors
    /// When the database can't be written.
    pub fn add_lockfile_had(&mut self, addresses: &BTreeSet<Address>) -> std::result::Result<(), StateError> {
        let add = || -> Result<()> {
            let transaction = self.connection.unchecked_transaction()?;
            settled::clear(&transaction)?;
            let mut add = transaction.prepare_cached("INSERT OR IGNORE INTO lockfile_had (address) VALUES (?1)")?;
            for address in addresses {
                add.execute([address.as_str()])?;
            }
            drop(add);
            transaction.commit()
        };
        add().map_err(|error| self.failed("write what the lost lockfile had", error))
    }
}

/// Removes them all.
pub(super) fn clear(connection: &Connection) -> Result<()> {
    connection.prepare_cached("DELETE FROM lockfile_had")?.execute([]).map(drop)
}

fn load(connection: &Connection) -> Result<BTreeSet<Address>> {
    let mut all = connection.prepare_cached("SELECT address FROM lockfile_had ORDER BY address")?;
    all.query_map([], |row| Address::new(rows::text(row, 0)?).map_err(|error| rows::wrong(0, error)))?.collect()
}
