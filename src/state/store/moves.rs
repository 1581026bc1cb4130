//! What an address takes over from another, in rows: the same as
//! [`Recorded`](crate::model::recorded::Recorded) does in memory.

use rusqlite::{Connection, OptionalExtension as _};

use super::records::{add_revision, require_record, times_forgotten, update};
use super::{Store, forget, load, proof, rows};
use crate::model::address::Address;
use crate::model::history::{RevisionFact, RevisionKey};
use crate::model::ids::AssetId;
use crate::model::recorded::ApplyError;
use crate::state::error::{StateError, StoreFault};

/// How many of the newest former names are kept, a few megabytes.
const KEPT: i64 = 20_000;

impl Store {
    /// Returns what the asset is called that had this name before it was renamed; `None` if no
    /// asset had it, as far as this machine saw, or if another asset has had it since.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn renamed_to(&self, former: &Address) -> Result<Option<Address>, StateError> {
        let failed = |error| self.failed("read the former names", error);
        let sql = "SELECT address FROM former_names WHERE former = ?1";
        let found = self.connection.query_row(sql, [former.as_str()], |row| row.get::<_, String>(0)).optional();
        Ok(found.map_err(failed)?.and_then(|address| Address::new(&address).ok()))
    }
}

/// Moves everything that belongs to `from` to `to`, by the foreign keys. `to` loses its own record,
/// which must have no revisions and no open attempts.
pub(super) fn move_record(connection: &Connection, from: &Address, to: &Address) -> Result<(), StoreFault> {
    require_record(connection, from)?;
    let occupied: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM revisions WHERE address = ?1)
                 OR EXISTS (SELECT 1 FROM attempts WHERE address = ?1 AND ending IS NULL)",
        )?
        .query_row([to.as_str()], |row| row.get(0))?;
    if occupied || from == to {
        return Err(ApplyError::Occupied { address: to.clone() }.into());
    }
    connection.prepare_cached("DELETE FROM assets WHERE address = ?1")?.execute([to.as_str()])?;
    forget::renew(connection, from, to)?;
    let (before, after) = (proof::of_address(connection, from, None)?, proof::of_address(connection, from, Some(to))?);
    proof::toggle(connection, before ^ after)?;
    update(
        connection,
        from,
        "UPDATE assets SET address = ?2, removed_at = NULL WHERE address = ?1",
        (from.as_str(), to.as_str()),
    )?;
    remember_name(connection, from, to)
}

/// Records that `to` was called `from`. Names that `from` had before it follow by the foreign key.
fn remember_name(connection: &Connection, from: &Address, to: &Address) -> Result<(), StoreFault> {
    connection
        .prepare_cached("DELETE FROM former_names WHERE former IN (?1, ?2)")?
        .execute([from.as_str(), to.as_str()])?;
    connection
        .prepare_cached("INSERT INTO former_names (former, address) VALUES (?1, ?2)")?
        .execute([from.as_str(), to.as_str()])?;
    let oldest = connection.last_insert_rowid() - KEPT;
    connection.prepare_cached("DELETE FROM former_names WHERE id <= ?1")?.execute([oldest])?;
    Ok(())
}

/// Records that an asset has this name, whichever one had it before.
pub(super) fn reuse_name(connection: &Connection, name: &Address) -> Result<(), StoreFault> {
    connection.prepare_cached("DELETE FROM former_names WHERE former = ?1")?.execute([name.as_str()])?;
    Ok(())
}

/// Gives one asset of `from` to `to`, with all that belongs to it.
pub(super) fn move_asset(
    connection: &Connection,
    from: &Address,
    to: &Address,
    asset_id: AssetId,
) -> Result<(), StoreFault> {
    if from == to {
        return Err(ApplyError::Occupied { address: to.clone() }.into());
    }
    require_record(connection, to)?;
    require_record(connection, from)?;
    let of_asset = (from.as_str(), rows::number(asset_id.get()));
    let both = (of_asset.0, of_asset.1, to.as_str());
    let era = times_forgotten(connection, to, asset_id)?;
    let facts = facts_of(connection, from, asset_id)?;
    let before = proof::of_address(connection, from, None)?;
    connection.prepare_cached("DELETE FROM revisions WHERE address = ?1 AND asset_id = ?2")?.execute(of_asset)?;
    proof::toggle(connection, before ^ proof::of_address(connection, from, None)?)?;
    for (key, fact) in facts {
        add_revision(connection, to, key, RevisionFact { era, ..fact })?;
    }
    for taken_over in [
        "INSERT OR REPLACE INTO listed (address, asset_id, duplicate)
             SELECT ?3, asset_id, duplicate FROM listed WHERE address = ?1 AND asset_id = ?2",
        // An asset that was archived under either name is archived.
        "DELETE FROM retirements WHERE address = ?3 AND asset_id = ?2 AND archived_at IS NULL
             AND EXISTS (SELECT 1 FROM retirements WHERE address = ?1 AND asset_id = ?2 AND archived_at IS NOT NULL)",
        "INSERT OR IGNORE INTO retirements (address, asset_id, why, since, archived_at)
             SELECT ?3, asset_id, why, since, archived_at FROM retirements WHERE address = ?1 AND asset_id = ?2",
        "UPDATE assets SET points_to = ?2
             WHERE address = ?3 AND EXISTS (SELECT 1 FROM assets WHERE address = ?1 AND points_to = ?2)",
        "UPDATE assets SET (pin, pinned_asset, pinned_version, pinned_newest) =
             (SELECT pin, pinned_asset, pinned_version, pinned_newest FROM assets WHERE address = ?1)
             WHERE address = ?3 AND EXISTS (SELECT 1 FROM assets WHERE address = ?1 AND pinned_asset = ?2)",
    ] {
        connection.prepare_cached(taken_over)?.execute(both)?;
    }
    forget::leave_asset(connection, from, asset_id)?;
    connection
        .prepare_cached(
            "DELETE FROM possible_duplicates WHERE address = ?1
                AND upload IN (SELECT upload FROM possible_duplicates WHERE address = ?2)",
        )?
        .execute((from.as_str(), to.as_str()))?;
    // Earlier names of one that left the manifest are names of what was taken over from it.
    connection
        .prepare_cached(
            "UPDATE former_names SET address = ?2 WHERE address = ?1
                AND EXISTS (SELECT 1 FROM assets WHERE address = ?1 AND removed_at IS NOT NULL)",
        )?
        .execute((from.as_str(), to.as_str()))?;
    let is_left: bool = connection
        .prepare_cached(
            "SELECT EXISTS (SELECT 1 FROM revisions WHERE address = ?1)
                 OR EXISTS (SELECT 1 FROM attempts WHERE address = ?1 AND ending IS NULL)",
        )?
        .query_row([from.as_str()], |row| row.get(0))?;
    if is_left {
        return Ok(());
    }
    // What was tried for it stays readable.
    connection
        .prepare_cached("UPDATE attempts SET address = ?2 WHERE address = ?1")?
        .execute((from.as_str(), to.as_str()))?;
    connection.prepare_cached("DELETE FROM assets WHERE address = ?1")?.execute([from.as_str()])?;
    remember_name(connection, from, to)
}

fn facts_of(
    connection: &Connection,
    address: &Address,
    asset_id: AssetId,
) -> rusqlite::Result<Vec<(RevisionKey, RevisionFact)>> {
    let mut all = connection.prepare_cached(
        "SELECT version, ordinal, content, state, round, shared, asset_type, creator, disputed, era, made_at, origin
         FROM revisions WHERE address = ?1 AND asset_id = ?2",
    )?;
    let fact = |row: &rusqlite::Row<'_>| {
        let key = RevisionKey { asset_id, version: rows::revision(row, 0)? };
        Ok((key, load::fact(row, 1)?))
    };
    all.query_map((address.as_str(), rows::number(asset_id.get())), fact)?.collect()
}
