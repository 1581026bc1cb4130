//! Checks that the schema of a state is exactly that of the migrations.
//!
//! A state may have been planted: by a pull request, a restored backup, another user. A view in
//! place of a table, or a trigger, would run its author's SQL in our connection. A changed table
//! would accept values that Macadam never writes. So the text of each part is summed up and compared
//! with what the migrations create. Only to name what differs, they create it once more, in memory.

use std::path::Path;

use rusqlite::Connection;
use rusqlite_migration::{M, Migrations};

use crate::model::digest::Checksum;
use crate::state::error::{Alteration, StateError};

/// The schema, step by step; append only. A second step must also decide how
/// [`Store::open_read_only`](super::Store::open_read_only) reads a state with only the first.
pub(super) const MIGRATIONS: &[M<'static>] = &[M::up(include_str!("../../../migrations/0001_state.sql"))];

/// The newest schema that this program knows.
pub(super) const KNOWN: i64 = MIGRATIONS.len().cast_signed() as i64;

/// The checksum of the newest schema, which a test makes from the migrations: to create it for each
/// command takes longer than all else that opening a state needs.
const NEWEST: &str = "17124-96bf6c26c5b1c435be44bc106d6fda04";

/// The tables of `ANALYZE`, which a person may run; they only guide SQLite's choice of an index.
const STATISTICS: [(&str, &str); 2] = [
    ("sqlite_stat1", "CREATE TABLE sqlite_stat1(tbl,idx,stat)"),
    ("sqlite_stat4", "CREATE TABLE sqlite_stat4(tbl,idx,neq,nlt,ndlt,sample)"),
];

/// The most characters of a name or kind in a message.
const MAX_SHOWN: usize = 60;

/// A part of a schema. In a planted one two have the same name.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct SchemaPart {
    name: String,
    kind: String,
    table: String,
    /// The index of a UNIQUE or a PRIMARY KEY has none.
    sql: Option<String>,
}

/// Refuses a state of `version` whose schema isn't exactly that of the migrations up to there.
///
/// # Errors
/// [`StateError::Altered`] with the first difference, or when the schema can't be read.
pub(super) fn require(connection: &Connection, path: &Path, version: i64) -> Result<(), StateError> {
    let fail = |error| StateError::from_sql(path, "read the schema", error);
    let altered = |what| Err(StateError::Altered { path: path.to_owned(), what });
    let mut found = read(connection).map_err(fail)?;
    found.retain(|part| !is_statistics(part));
    if version == KNOWN && checksum(&found) == NEWEST {
        return Ok(());
    }
    let mut missing = expected(version).map_err(|error| match error {
        rusqlite_migration::Error::RusqliteError { err, .. } => fail(err),
        other => StateError::Damaged { path: path.to_owned(), detail: other.to_string() },
    })?;
    for part in &found {
        let (kind, name) = (short(&part.kind), short(&part.name));
        match missing.iter().position(|wanted| (&wanted.name, &wanted.kind) == (&part.name, &part.kind)) {
            Some(at) if missing.swap_remove(at) == *part => {}
            Some(_) => return altered(Alteration::Changed { kind, name }),
            None => return altered(Alteration::Added { kind, name }),
        }
    }
    match missing.into_iter().min() {
        Some(SchemaPart { name, kind, .. }) => altered(Alteration::Missing { kind, name }),
        None => Ok(()),
    }
}

fn is_statistics(part: &SchemaPart) -> bool {
    let is_known = |(known, text): &(&str, &str)| *known == part.name && part.sql.as_deref() == Some(text);
    part.kind == "table" && STATISTICS.iter().any(is_known)
}

fn short(text: &str) -> String {
    text.chars().take(MAX_SHOWN).collect()
}

/// Returns all parts, sorted.
fn read(connection: &Connection) -> rusqlite::Result<Vec<SchemaPart>> {
    let mut statement = connection.prepare("SELECT name, type, tbl_name, sql FROM sqlite_schema")?;
    let parts = statement.query_map([], |row| {
        Ok(SchemaPart { name: row.get(0)?, kind: row.get(1)?, table: row.get(2)?, sql: row.get(3)? })
    })?;
    let mut parts: Vec<SchemaPart> = parts.collect::<Result<_, _>>()?;
    parts.sort();
    Ok(parts)
}

/// Sums up each part, with its end.
fn checksum(schema: &[SchemaPart]) -> String {
    let mut sum = Checksum::default();
    for SchemaPart { name, kind, table, sql } in schema {
        for text in [Some(name), Some(kind), Some(table), sql.as_ref()] {
            // No text has a zero byte, or this one.
            sum.update(text.map_or(b"\xff".as_slice(), |text| text.as_bytes()));
            sum.update(b"\0");
        }
    }
    sum.finish()
}

/// Returns the schema that the migrations create.
fn expected(version: i64) -> Result<Vec<SchemaPart>, rusqlite_migration::Error> {
    let mut fresh = Connection::open_in_memory()?;
    Migrations::from_slice(MIGRATIONS).to_version(&mut fresh, usize::try_from(version).unwrap_or_default())?;
    Ok(read(&fresh)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_checksum_is_that_of_the_migrations() {
        assert_eq!(NEWEST, checksum(&expected(KNOWN).unwrap()), "after a change of the migrations, write the new one");
    }
}
