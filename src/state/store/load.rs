//! Loads everything that is recorded.

use std::collections::{BTreeMap, btree_map};

use rusqlite::{Connection, Result, Row, params_from_iter};

use super::proof::FoundRevisions;
use super::{Store, attempts, observations, rows};
use crate::model::address::Address;
use crate::model::asset::{AssetType, Privacy};
use crate::model::forgotten::Forgotten;
use crate::model::history::{Kind, Listing, Origin, RevisionFact, RevisionKey, RevisionState};
use crate::model::ids::Creator;
use crate::model::path::ProjectPath;
use crate::model::phase::IntentKind;
use crate::model::recorded::{
    Blocked, DriftRepair, Identity, PinnedAt, PossibleDuplicate, Record, Recorded, RecordedTies, RefusalKind,
    RetireReason, Retirement, SpentQuota,
};
use crate::state::error::StateError;
use crate::state::spelling;

impl Store {
    /// Loads everything that is recorded, and replays the journal of each open attempt.
    ///
    /// # Errors
    /// When the database can't be read, or has values that Macadam never writes.
    pub fn load(&self) -> Result<Recorded, StateError> {
        let load = || {
            // One snapshot, even beside a writer.
            let snapshot = self.connection.unchecked_transaction()?;
            let (assets, revisions) = load_records(&RecordQuery { connection: &snapshot, address: None })?;
            revisions.verify(&snapshot)?;
            Ok(Recorded {
                assets,
                attempts: attempts::load(&snapshot)?.into_iter().collect(),
                forgotten: load_forgotten(&snapshot)?,
                seen: observations::load(&snapshot)?,
                not_found: observations::load_not_found(&snapshot)?,
                written: observations::load_written(&snapshot)?,
                restored: observations::load_restored(&snapshot)?,
                outdated: observations::load_outdated(&snapshot)?,
                contradicted: observations::load_contradicted(&snapshot)?,
                quotas: load_quotas(&snapshot)?,
                next_attempt: load_next_attempt(&snapshot)?,
                ties: RecordedTies::default(),
            })
        };
        let loaded = load();
        self.release_pages();
        loaded.map_err(|error| self.failed("read what is known", error))
    }

    /// Gives back the memory of the pages that a look at everything read.
    pub(super) fn release_pages(&self) {
        // They are read again where they are needed, so it is no matter whether this works.
        let _ = self.connection.execute_batch("PRAGMA shrink_memory");
    }

    /// Loads the record of one address, and nothing else; `None` if there is none.
    ///
    /// # Errors
    /// As for [`Store::load`].
    pub fn load_record(&self, address: &Address) -> Result<Option<Record>, StateError> {
        load_record(&self.connection, address).map_err(|error| self.failed("read what is known", error))
    }
}

/// Loads the record of one address.
pub(super) fn load_record(connection: &Connection, address: &Address) -> Result<Option<Record>> {
    let (mut records, _) = load_records(&RecordQuery { connection, address: Some(address) })?;
    Ok(records.remove(address))
}

/// Loads the number that the next attempt gets.
pub(super) fn load_next_attempt(connection: &Connection) -> Result<u64> {
    connection.query_row("SELECT next_attempt FROM meta", [], |row| {
        u64::try_from(row.get::<_, i64>(0)?).map_err(|error| rows::wrong(0, error))
    })
}

/// Whose rows are read: those of one address, or all.
struct RecordQuery<'a> {
    connection: &'a Connection,
    address: Option<&'a Address>,
}

impl RecordQuery<'_> {
    /// Passes each of these rows of the query `select` to `take`.
    fn each(&self, select: &str, order: &str, mut take: impl FnMut(&Row<'_>) -> Result<()>) -> Result<()> {
        let only = if self.address.is_some() { "WHERE address = ?1" } else { "" };
        let mut all = self.connection.prepare_cached(&format!("{select} {only} {order}"))?;
        let mut found = all.query(params_from_iter(self.address.map(Address::as_str)))?;
        while let Some(row) = found.next()? {
            take(row)?;
        }
        Ok(())
    }
}

fn load_records(query: &RecordQuery<'_>) -> Result<(BTreeMap<Address, Record>, FoundRevisions)> {
    let mut assets = load_assets(query)?;
    let revisions = load_revisions(query, &mut assets)?;
    load_listed(query, &mut assets)?;
    load_blocked(query, &mut assets)?;
    load_retirements(query, &mut assets)?;
    load_possible_duplicates(query, &mut assets)?;
    load_repairs(query, &mut assets)?;
    load_asked_before(query, &mut assets)?;
    Ok((assets, revisions))
}

fn address(row: &Row<'_>, column: usize) -> Result<Address> {
    Address::new(rows::text(row, column)?).map_err(|error| rows::wrong(column, error))
}

fn load_assets(query: &RecordQuery<'_>) -> Result<BTreeMap<Address, Record>> {
    let mut records = Vec::new();
    query.each(
        "SELECT address, asset_type, creator, privacy, path, asked, points_to, pin, pinned_asset, pinned_version,
                removed_at IS NOT NULL, in_lockfile, stored, pinned_newest, overruled, begun_in
         FROM assets",
        "ORDER BY address",
        |row| {
            let address = address(row, 0)?;
            let record = record(row, &address)?;
            records.push((address, record));
            Ok(())
        },
    )?;
    // A tree that is made of a sorted list has full nodes, which are large.
    Ok(records.into_iter().collect())
}

fn record(row: &Row<'_>, address: &Address) -> Result<Record> {
    let identity = Identity {
        asset_type: rows::parsed(row, 1)?,
        creator: rows::parsed(row, 2)?,
        privacy: rows::named(row, 3, "privacy", Privacy::from_name)?,
        path: address.shared(ProjectPath::new(rows::text(row, 4)?).map_err(|error| rows::wrong(4, error))?),
    };
    let mut record = Record::new(identity);
    record.asked = rows::fields(row, 5)?;
    record.points_to = rows::asset_id_or_null(row, 6)?;
    if rows::text_or_null(row, 7)?.is_some() {
        let pin = rows::named(row, 7, "pin", spelling::parse_pin)?;
        let at = RevisionKey { asset_id: rows::asset_id(row, 8)?, version: rows::revision(row, 9)? };
        record.pinned = Some(PinnedAt { pin, at, newest: rows::revision(row, 13)? }).into();
    }
    record.removed = row.get(10)?;
    record.in_lockfile = rows::in_lockfile(row, 11, 15)?;
    record.stored = rows::fields(row, 12)?.into();
    record.overruled = rows::fields(row, 14)?.into();
    Ok(record)
}

/// Reads a fact from eleven columns.
pub(super) fn fact(row: &Row<'_>, first: usize) -> Result<RevisionFact> {
    let made = match rows::parsed_or_null(row, first + 9)? {
        None => None,
        Some(at) => Some((at, rows::named(row, first + 10, "origin", Origin::from_name)?)),
    };
    Ok(RevisionFact {
        ordinal: row.get(first)?,
        content: rows::content_or_null(row, first + 1)?,
        state: rows::named(row, first + 2, "state", RevisionState::from_name)?,
        round: row.get(first + 3)?,
        shared: row.get(first + 4)?,
        kind: Some(Kind { asset_type: rows::parsed(row, first + 5)?, creator: rows::parsed(row, first + 6)? }),
        disputed: row.get(first + 7)?,
        era: row.get(first + 8)?,
        made,
    })
}

fn load_revisions(query: &RecordQuery<'_>, assets: &mut BTreeMap<Address, Record>) -> Result<FoundRevisions> {
    let mut revisions = FoundRevisions::default();
    let mut records = InOrder::new(assets);
    query.each(
        "SELECT address, asset_id, version, ordinal, content, state, round, shared, asset_type, creator, disputed, era, made_at,
                origin
         FROM revisions",
        "ORDER BY address, asset_id, version",
        |row| {
            revisions.count(row, [0, 1, 2, 4])?;
            let record = records.of(row, "a revision")?;
            let key = RevisionKey { asset_id: rows::asset_id(row, 1)?, version: rows::revision(row, 2)? };
            record.history.add(key, fact(row, 3)?);
            Ok(())
        },
    )?;
    Ok(revisions)
}

fn load_listed(query: &RecordQuery<'_>, assets: &mut BTreeMap<Address, Record>) -> Result<()> {
    let mut records = InOrder::new(assets);
    query.each("SELECT address, asset_id, duplicate FROM listed", "ORDER BY address", |row| {
        let listing = if row.get(2)? { Listing::Duplicate } else { Listing::Listed };
        records.of(row, "a listed asset")?.history.list(rows::asset_id(row, 1)?, Some(listing));
        Ok(())
    })
}

pub(super) fn load_forgotten(connection: &Connection) -> Result<BTreeMap<Address, Forgotten>> {
    let mut all = connection.prepare_cached("SELECT address, asset_id, times FROM forgotten")?;
    let mut found = all.query([])?;
    let mut forgotten: BTreeMap<Address, Forgotten> = BTreeMap::new();
    while let Some(row) = found.next()? {
        forgotten.entry(address(row, 0)?).or_default().raise(rows::asset_id(row, 1)?, row.get(2)?);
    }
    Ok(forgotten)
}

fn load_blocked(query: &RecordQuery<'_>, assets: &mut BTreeMap<Address, Record>) -> Result<()> {
    let select = "SELECT address, input_digest, message, at, action, failures, in_doubt, refusal_kind FROM blocked";
    query.each(select, "", |row| {
        let record = record_of(row, assets, "a blocked address")?;
        let (input_digest, message, at) = (rows::parsed(row, 1)?, row.get(2)?, rows::time(row, 3)?);
        record.blocked = Some(Box::new(match rows::text_or_null(row, 4)? {
            Some(_) => {
                let action = rows::named(row, 4, "change", IntentKind::from_name)?;
                let refusal_kind = rows::named(row, 7, "refusal kind", RefusalKind::from_name)?;
                Blocked::Refused { input_digest, action, refusal_kind, message, at }
            }
            None => {
                let (failures, doubts) = (row.get(5)?, row.get(6)?);
                Blocked::Retrying { input_digest, failures, doubts, next_at: at, message }
            }
        }));
        Ok(())
    })
}

fn load_retirements(query: &RecordQuery<'_>, assets: &mut BTreeMap<Address, Record>) -> Result<()> {
    query.each("SELECT address, asset_id, why, since, archived_at, refused FROM retirements", "", |row| {
        let retirement = Retirement {
            why: rows::named(row, 2, "reason to leave", RetireReason::from_name)?,
            since: rows::time(row, 3)?,
            archived_at: rows::parsed_or_null(row, 4)?,
        };
        let (asset_id, refused) = (rows::asset_id(row, 1)?, row.get::<_, Option<String>>(5)?);
        let record = record_of(row, assets, "a retirement")?;
        record.retirements.insert(asset_id, retirement);
        if let Some(said) = refused {
            record.refused_archivings.insert(asset_id, said);
        }
        Ok(())
    })
}

/// Reads a possible duplicate from two columns.
pub(super) fn possible_duplicate(row: &Row<'_>, first: usize) -> Result<PossibleDuplicate> {
    Ok(PossibleDuplicate { content: rows::content(row, first)?, settled: row.get(first + 1)? })
}

fn load_possible_duplicates(query: &RecordQuery<'_>, assets: &mut BTreeMap<Address, Record>) -> Result<()> {
    query.each("SELECT address, upload, content, settled FROM possible_duplicates", "", |row| {
        let (upload, duplicate) = (rows::parsed(row, 1)?, possible_duplicate(row, 2)?);
        record_of(row, assets, "a possible duplicate")?.possible_duplicates.insert(upload, duplicate);
        Ok(())
    })
}

fn load_asked_before(query: &RecordQuery<'_>, assets: &mut BTreeMap<Address, Record>) -> Result<()> {
    let mut records = InOrder::new(assets);
    query.each("SELECT address, field, digest FROM asked_before", "ORDER BY address", |row| {
        let asked = (rows::parsed(row, 1)?, rows::parsed(row, 2)?);
        records.of(row, "metadata that was asked for")?.asked_before.insert(asked);
        Ok(())
    })
}

pub(super) fn load_quotas(connection: &Connection) -> Result<BTreeMap<(Creator, AssetType), SpentQuota>> {
    let mut all = connection.prepare_cached("SELECT creator, asset_type, until, message FROM quotas")?;
    all.query_map([], |row| {
        let spent = SpentQuota { until: rows::time(row, 2)?, message: row.get(3)? };
        Ok(((rows::parsed(row, 0)?, rows::parsed(row, 1)?), spent))
    })?
    .collect()
}

fn load_repairs(query: &RecordQuery<'_>, assets: &mut BTreeMap<Address, Record>) -> Result<()> {
    query.each("SELECT address, repair, at FROM repairs", "ORDER BY rowid", |row| {
        let done = (rows::named(row, 1, "repair", DriftRepair::from_name)?, rows::time(row, 2)?);
        record_of(row, assets, "a repair")?.repairs.push(done);
        Ok(())
    })
}

/// The records beside rows that come in the order of their addresses too, so that none is looked up.
struct InOrder<'a> {
    rest: btree_map::IterMut<'a, Address, Record>,
    current: Option<(&'a Address, &'a mut Record)>,
}

impl<'a> InOrder<'a> {
    fn new(assets: &'a mut BTreeMap<Address, Record>) -> Self {
        let mut rest = assets.iter_mut();
        let current = rest.next();
        Self { rest, current }
    }

    /// Returns the record of the address in the first column, which is no earlier one than the last.
    fn of(&mut self, row: &Row<'_>, what: &str) -> Result<&mut Record> {
        let address = rows::text(row, 0)?;
        while self.current.as_ref().is_some_and(|(at, _)| at.as_str() < address) {
            self.current = self.rest.next();
        }
        match self.current.as_mut().filter(|(at, _)| at.as_str() == address) {
            Some((_, record)) => Ok(record),
            None => Err(rows::wrong(0, format_args!("`{address}` has {what} but no record"))),
        }
    }
}

/// Returns the record of the address in the first column.
fn record_of<'a>(row: &Row<'_>, assets: &'a mut BTreeMap<Address, Record>, what: &str) -> Result<&'a mut Record> {
    let address = address(row, 0)?;
    assets.get_mut(&address).ok_or_else(|| rows::wrong(0, format_args!("`{address}` has {what} but no record")))
}
