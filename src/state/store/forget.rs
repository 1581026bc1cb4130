//! Forgetting in rows: the same as [`Recorded`](crate::model::recorded::Recorded) does in memory.

use rusqlite::{Connection, Result};

use super::records::update;
use super::{proof, rows};
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::state::error::StoreFault;

/// Deletes an address, and records which assets it had. Its history, open attempts and blocked
/// state are deleted too, by the foreign keys.
pub(super) fn forget(connection: &Connection, address: &Address) -> Result<(), StoreFault> {
    connection
        .prepare_cached(
            "INSERT INTO forgotten (address, asset_id, times)
             SELECT address, asset_id, max(era) + 1 FROM revisions WHERE address = ?1 GROUP BY asset_id
             ON CONFLICT (address, asset_id) DO UPDATE SET times = max(times, excluded.times)",
        )?
        .execute([address.as_str()])?;
    proof::toggle(connection, proof::of_address(connection, address, None)?)?;
    update(connection, address, "DELETE FROM assets WHERE address = ?1", [address.as_str()])
}

/// Forgets an asset of an address, since another machine did.
pub(super) fn forget_asset(connection: &Connection, address: &Address, asset_id: AssetId, times: u32) -> Result<()> {
    let of_asset = (address.as_str(), rows::number(asset_id.get()));
    connection
        .prepare_cached(
            "INSERT INTO forgotten (address, asset_id, times) VALUES (?1, ?2, ?3)
             ON CONFLICT (address, asset_id) DO UPDATE SET times = max(times, excluded.times)",
        )?
        .execute((of_asset.0, of_asset.1, times))?;
    let before = proof::of_address(connection, address, None)?;
    let dropped = connection
        .prepare_cached(
            "DELETE FROM revisions WHERE address = ?1 AND asset_id = ?2
                AND era < (SELECT times FROM forgotten WHERE address = ?1 AND asset_id = ?2)",
        )?
        .execute(of_asset)?;
    if dropped == 0 {
        return Ok(());
    }
    proof::toggle(connection, before ^ proof::of_address(connection, address, None)?)?;
    let emptied = connection
        .prepare_cached(
            "DELETE FROM assets WHERE address = ?1 AND NOT EXISTS (SELECT 1 FROM revisions WHERE address = ?1)
                AND NOT EXISTS (SELECT 1 FROM attempts WHERE address = ?1 AND ending IS NULL)",
        )?
        .execute([address.as_str()])?;
    let left = "SELECT EXISTS (SELECT 1 FROM revisions WHERE address = ?1 AND asset_id = ?2)";
    let left: bool = connection.prepare_cached(left)?.query_row(of_asset, |row| row.get(0))?;
    if emptied == 0 && !left {
        leave_asset(connection, address, asset_id)?;
    }
    Ok(())
}

/// Drops what is known of an asset of an address beside its revisions.
pub(super) fn leave_asset(connection: &Connection, address: &Address, asset_id: AssetId) -> Result<()> {
    let of_asset = (address.as_str(), rows::number(asset_id.get()));
    for left in [
        "DELETE FROM listed WHERE address = ?1 AND asset_id = ?2",
        "DELETE FROM retirements WHERE address = ?1 AND asset_id = ?2",
        "UPDATE assets SET points_to = NULL WHERE address = ?1 AND points_to = ?2",
        "UPDATE assets SET pin = NULL, pinned_asset = NULL, pinned_version = NULL, pinned_newest = NULL
         WHERE address = ?1 AND pinned_asset = ?2",
    ] {
        connection.prepare_cached(left)?.execute(of_asset)?;
    }
    Ok(())
}

/// Sets the eras of the revisions that `to` takes over from `from`, so that they count in spite
/// of what `to` forgot earlier.
pub(super) fn renew(connection: &Connection, from: &Address, to: &Address) -> Result<()> {
    connection
        .prepare_cached(
            "UPDATE revisions SET era = coalesce(
                (SELECT times FROM forgotten WHERE address = ?2 AND asset_id = revisions.asset_id), 0)
             WHERE address = ?1",
        )?
        .execute((from.as_str(), to.as_str()))
        .map(drop)
}
