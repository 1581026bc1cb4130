//! The rows of one address: changing them, and adding a fact to a revision.

use rusqlite::{Connection, OptionalExtension as _, Params, named_params};

use super::{proof, rows};
use crate::model::address::Address;
use crate::model::history::{History, Kind, RevisionFact, RevisionKey};
use crate::model::ids::AssetId;
use crate::model::recorded::ApplyError;
use crate::state::error::StoreFault;

/// Changes the one row of an address.
pub(super) fn update(
    connection: &Connection,
    address: &Address,
    sql: &str,
    parameters: impl Params,
) -> Result<(), StoreFault> {
    match connection.prepare_cached(sql)?.execute(parameters)? {
        0 => Err(ApplyError::NoRecord { address: address.clone() }.into()),
        _ => Ok(()),
    }
}

pub(super) fn require_record(connection: &Connection, address: &Address) -> Result<(), StoreFault> {
    let found = connection
        .prepare_cached("SELECT 1 FROM assets WHERE address = ?1")?
        .query_row([address.as_str()], |_| Ok(()))
        .optional()?;
    found.ok_or_else(|| ApplyError::NoRecord { address: address.clone() }.into())
}

/// Adds a fact to a revision, by the model's own union.
pub(super) fn add_revision(
    connection: &Connection,
    address: &Address,
    key: RevisionKey,
    fact: RevisionFact,
) -> Result<(), StoreFault> {
    require_record(connection, address)?;
    let (asset_id, version) = (rows::number(key.asset_id.get()), rows::version_or_zero(key.version));
    let known = connection
        .prepare_cached(
            "SELECT ordinal, content, state, round, shared, asset_type, creator, disputed, era, made_at, origin FROM revisions
             WHERE address = ?1 AND asset_id = ?2 AND version = ?3",
        )?
        .query_row((address.as_str(), asset_id, version), |row| super::load::fact(row, 0))
        .optional()?;
    let digest = |fact: &RevisionFact| {
        proof::of(
            address.as_str(),
            asset_id,
            version,
            fact.content.as_ref().map(|content| content.as_bytes().as_slice()),
        )
    };
    let before = known.as_ref().map_or(0, digest);
    let mut history = History::new();
    if let Some(known) = known {
        history.add(key, known);
    }
    let times = times_forgotten(connection, address, key.asset_id)?;
    let kind = match fact.kind {
        Some(kind) => kind,
        None => connection
            .prepare_cached("SELECT asset_type, creator FROM assets WHERE address = ?1")?
            .query_row([address.as_str()], |row| {
                Ok(Kind { asset_type: rows::parsed(row, 0)?, creator: rows::parsed(row, 1)? })
            })?,
    };
    history.add(key, RevisionFact { era: fact.era.max(times), kind: Some(kind), ..fact });
    let Some(fact) = history.get(key) else { return Ok(()) };
    proof::toggle(connection, before ^ digest(fact))?;
    let RevisionFact { ordinal, content, state, round, shared, kind, disputed, era, made } = fact;
    let kind = kind.as_ref();
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO revisions
                (address, asset_id, version, ordinal, content, state, round, shared, asset_type, creator, disputed, era, made_at,
                 origin)
             VALUES (:address, :asset_id, :version, :ordinal, :content, :state, :round, :shared, :asset_type, :creator,
                 :disputed, :era, :made_at, :origin)",
        )?
        .execute(named_params! {
            ":address": address.as_str(),
            ":asset_id": asset_id,
            ":version": version,
            ":ordinal": ordinal,
            ":content": content.as_ref().map(|content| content.as_bytes()),
            ":state": state.name(),
            ":round": round,
            ":shared": shared,
            ":asset_type": kind.map(|kind| kind.asset_type.name()),
            ":creator": kind.map(|kind| kind.creator.to_string()),
            ":disputed": disputed,
            ":era": era,
            ":made_at": made.map(|(at, _)| at.to_string()),
            ":origin": made.map(|(_, origin)| origin.name()),
        })?;
    Ok(())
}

/// Returns how often an address forgot an asset.
pub(super) fn times_forgotten(connection: &Connection, address: &Address, asset_id: AssetId) -> rusqlite::Result<u32> {
    let times = connection
        .prepare_cached("SELECT times FROM forgotten WHERE address = ?1 AND asset_id = ?2")?
        .query_row((address.as_str(), rows::number(asset_id.get())), |row| row.get(0))
        .optional()?;
    Ok(times.unwrap_or(0))
}
