//! Writes changes to rows: one list of changes is one transaction.
//!
//! Each change gets the same checks as in
//! [`Recorded::apply`](crate::model::recorded::Recorded::apply). The engine applied it there first,
//! so a change that does not fit is a defect, and its whole list is not written.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, TransactionBehavior, named_params};

use super::records::{add_revision, require_record, update};
use super::{Store, attempts, events, forget, moves, observations, rows, settled};
use crate::model::address::Address;
use crate::model::asset::AssetType;
use crate::model::change::Change;
use crate::model::digest::FieldDigest;
use crate::model::history::Listing;
use crate::model::ids::{AssetId, Creator, UploadId};
use crate::model::metadata::FieldDigests;
use crate::model::recorded::{
    Blocked, DriftRepair, HEALINGS_COUNT_FOR, Identity, PinnedAt, PossibleDuplicate, Retirement, SpentQuota,
};
use crate::platform::failpoint;
use crate::state::error::{StateError, StoreFault};
use crate::state::spelling;

/// Changes that belong together, and their time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The changes, in order.
    pub changes: Vec<Change>,
    /// When they became known.
    pub now: Timestamp,
}

impl Store {
    /// Writes changes in one transaction. When this returns they survive a power loss.
    ///
    /// # Errors
    /// When a change does not fit the stored data, or the database can't be written. The whole list
    /// is not stored then.
    pub fn commit(&mut self, changes: &[Change], now: Timestamp) -> Result<(), StateError> {
        let result = (|| {
            let transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            apply_all(&transaction, changes, now)?;
            failpoint::hit("written");
            transaction.commit()?;
            failpoint::hit("committed");
            Ok(())
        })();
        result.map_err(|fault: StoreFault| {
            if matches!(&fault, StoreFault::Sql(error) if !is_refused_value(error)) {
                self.note_lost_outcomes();
            }
            fault.at(&self.path, "write the changes")
        })
    }

    /// Writes several lists in one transaction, which costs one wait for the disk. Each has its own
    /// result, in order. A list that does not fit doesn't affect the others. If the database can't
    /// be written, none is stored.
    pub fn commit_group(&mut self, batches: &[Batch]) -> Vec<Result<(), StateError>> {
        let doing = "write the changes";
        let group = (|| -> rusqlite::Result<_> {
            let mut transaction = self.connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let mut results = Vec::with_capacity(batches.len());
            for batch in batches {
                let savepoint = transaction.savepoint()?; // rolls back when it is dropped
                match apply_all(&savepoint, &batch.changes, batch.now) {
                    Ok(()) => {
                        savepoint.commit()?;
                        results.push(Ok(()));
                    }
                    // A full or failing disk affects every list: SQLite may have rolled back the
                    // whole transaction.
                    Err(StoreFault::Sql(error)) if !is_refused_value(&error) => return Err(error),
                    Err(fault) => {
                        savepoint.finish()?;
                        results.push(Err(fault.at(&self.path, doing)));
                    }
                }
            }
            failpoint::hit("written");
            transaction.commit()?;
            failpoint::hit("committed");
            Ok(results)
        })();
        group.unwrap_or_else(|error| {
            self.note_lost_outcomes();
            let error = StateError::from_sql(&self.path, doing, error);
            batches.iter().map(|_| Err(error.clone())).collect()
        })
    }
}

/// Returns whether SQLite refused a value, and has no error of its own.
fn is_refused_value(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code().is_none_or(|code| code == rusqlite::ErrorCode::ConstraintViolation)
}

fn apply_all(connection: &Connection, changes: &[Change], now: Timestamp) -> Result<(), StoreFault> {
    let text = now.to_string();
    if !changes.is_empty() {
        settled::clear(connection)?;
    }
    changes.iter().try_for_each(|change| apply(connection, change, now, &text))
}

fn apply(connection: &Connection, change: &Change, at: Timestamp, now: &str) -> Result<(), StoreFault> {
    match change {
        Change::Begin { attempt, address, intent } => {
            require_record(connection, address)?;
            attempts::begin(connection, *attempt, address, intent, now)
        }
        Change::TakeOver { attempt } => attempts::take_over(connection, *attempt),
        Change::Advance { attempt, event } => attempts::advance(connection, *attempt, event, now),
        Change::SetIdentity { address, identity } => set_identity(connection, address, identity),
        Change::AddRevision { address, key, fact } => add_revision(connection, address, *key, *fact),
        Change::SetMetadata { address, fields, stored } => set_metadata(connection, address, fields, stored),
        Change::Overrule { address, asked } => update(
            connection,
            address,
            "UPDATE assets SET overruled = ?2 WHERE address = ?1",
            (address.as_str(), rows::fields_text(asked)),
        ),
        Change::Unpoint { address } => {
            let sql = "UPDATE assets SET points_to = NULL WHERE address = ?1";
            update(connection, address, sql, [address.as_str()])
        }
        Change::Move { from, to } => moves::move_record(connection, from, to),
        Change::MoveAsset { from, to, asset_id } => moves::move_asset(connection, from, to, *asset_id),
        Change::SetRetirement { address, asset_id, retirement } => retire(connection, address, *asset_id, *retirement),
        Change::SetRefusedArchiving { address, asset_id, said } => {
            require_record(connection, address)?;
            connection
                .prepare_cached("UPDATE retirements SET refused = ?3 WHERE address = ?1 AND asset_id = ?2")?
                .execute((address.as_str(), rows::number(asset_id.get()), said))?;
            Ok(())
        }
        Change::RecordRepair { address, repair } => record_repair(connection, address, *repair, at),
        Change::AddPossibleDuplicate { address, upload, duplicate } => {
            add_possible_duplicate(connection, address, *upload, *duplicate)
        }
        Change::SetCurrentAsset { address, asset_id } => update(
            connection,
            address,
            "UPDATE assets SET points_to = ?2 WHERE address = ?1",
            (address.as_str(), rows::number(asset_id.get())),
        ),
        Change::SetPinnedAt { address, pinned } => pin_at(connection, address, *pinned),
        // A second removal keeps the time of the first: archiving waits from then on.
        Change::SetRemoved { address, removed } => update(
            connection,
            address,
            "UPDATE assets SET removed_at = iif(?2, coalesce(removed_at, ?3), NULL) WHERE address = ?1",
            (address.as_str(), removed, now),
        ),
        Change::SetInLockfile { address, in_lockfile } => {
            let (in_lockfile, begun_in) = rows::in_lockfile_columns(in_lockfile);
            let sql = "UPDATE assets SET in_lockfile = ?2, begun_in = ?3 WHERE address = ?1";
            update(connection, address, sql, (address.as_str(), in_lockfile, begun_in))
        }
        Change::SetListing { address, asset_id, listing } => list(connection, address, *asset_id, *listing),
        Change::SetBlocked { address, blocked } => set_blocked(connection, address, blocked.as_ref()),
        Change::Forget { address } => forget::forget(connection, address),
        Change::ForgetAsset { address, asset_id, times } => {
            Ok(forget::forget_asset(connection, address, *asset_id, *times)?)
        }
        Change::SetSpentQuota { creator, asset_type, spent } => {
            set_spent_quota(connection, *creator, *asset_type, spent.as_ref())
        }
        Change::RecordObservation { asset } => Ok(observations::write(connection, asset, now)?),
        Change::RecordNotFound { asset_id } => Ok(observations::not_found(connection, *asset_id, at)?),
        Change::RecordWrite { asset_id, restores } => Ok(observations::wrote(connection, *asset_id, *restores, now)?),
        Change::MarkOutdated { asset_id } => Ok(observations::outdate(connection, *asset_id)?),
        Change::SetContradicted { asset_id, contradicted } => {
            Ok(observations::set_contradicted(connection, *asset_id, *contradicted)?)
        }
        Change::LogEvent { address, event } => Ok(events::write(connection, address.as_ref(), event, now)?),
    }
}

fn set_metadata(
    connection: &Connection,
    address: &Address,
    fields: &FieldDigests,
    stored: &FieldDigests,
) -> Result<(), StoreFault> {
    update(
        connection,
        address,
        "UPDATE assets SET asked = ?2, stored = ?3, overruled = '{}' WHERE address = ?1",
        (address.as_str(), rows::fields_text(fields), rows::fields_text(stored)),
    )?;
    let known = fields.iter().filter(|(_, digest)| **digest != FieldDigest::UNKNOWN);
    for (field, digest) in known {
        connection
            .prepare_cached("INSERT OR IGNORE INTO asked_before (address, field, digest) VALUES (?1, ?2, ?3)")?
            .execute((address.as_str(), field.name(), digest.to_string()))?;
    }
    Ok(())
}

fn set_identity(connection: &Connection, address: &Address, identity: &Identity) -> Result<(), StoreFault> {
    let Identity { asset_type, creator, privacy, path } = identity;
    connection
        .prepare_cached(
            "INSERT INTO assets (address, asset_type, creator, privacy, path)
             VALUES (:address, :asset_type, :creator, :privacy, :path)
             ON CONFLICT (address) DO UPDATE SET
                asset_type = excluded.asset_type, creator = excluded.creator,
                privacy = excluded.privacy, path = excluded.path",
        )?
        .execute(named_params! {
            ":address": address.as_str(),
            ":asset_type": asset_type.name(),
            ":creator": creator.to_string(),
            ":privacy": privacy.name(),
            ":path": path.as_str(),
        })?;
    moves::reuse_name(connection, address)
}

fn list(
    connection: &Connection,
    address: &Address,
    asset_id: AssetId,
    listing: Option<Listing>,
) -> Result<(), StoreFault> {
    require_record(connection, address)?;
    let of_asset = (address.as_str(), rows::number(asset_id.get()));
    match listing {
        None => {
            connection.prepare_cached("DELETE FROM listed WHERE address = ?1 AND asset_id = ?2")?.execute(of_asset)?
        }
        Some(listing) => connection
            .prepare_cached("INSERT OR REPLACE INTO listed (address, asset_id, duplicate) VALUES (?1, ?2, ?3)")?
            .execute((of_asset.0, of_asset.1, listing == Listing::Duplicate))?,
    };
    Ok(())
}

fn pin_at(connection: &Connection, address: &Address, pinned: Option<PinnedAt>) -> Result<(), StoreFault> {
    let pin = pinned.map(|PinnedAt { pin, at: _, newest: _ }| spelling::pin(pin));
    let asset = pinned.map(|pinned| rows::number(pinned.at.asset_id.get()));
    let version = pinned.map(|pinned| rows::version_or_zero(pinned.at.version));
    let newest = pinned.map(|pinned| rows::version_or_zero(pinned.newest));
    let sql =
        "UPDATE assets SET pin = ?2, pinned_asset = ?3, pinned_version = ?4, pinned_newest = ?5 WHERE address = ?1";
    update(connection, address, sql, (address.as_str(), pin, asset, version, newest))
}

fn set_blocked(connection: &Connection, address: &Address, blocked: Option<&Blocked>) -> Result<(), StoreFault> {
    require_record(connection, address)?;
    let (input_digest, message, at, refused, failures, doubts) = match blocked {
        None => {
            connection.prepare_cached("DELETE FROM blocked WHERE address = ?1")?.execute([address.as_str()])?;
            return Ok(());
        }
        Some(Blocked::Refused { input_digest, action, refusal_kind, message, at }) => {
            (input_digest, message, at, Some((action.name(), refusal_kind.name())), None, None)
        }
        Some(Blocked::Retrying { input_digest, failures, doubts, next_at, message }) => {
            (input_digest, message, next_at, None, Some(failures), Some(doubts))
        }
    };
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO blocked (address, input_digest, message, at, action, refusal_kind, failures, in_doubt)
             VALUES (:address, :input_digest, :message, :at, :action, :refusal_kind, :failures, :in_doubt)",
        )?
        .execute(named_params! {
            ":address": address.as_str(),
            ":input_digest": input_digest.to_string(),
            ":message": message,
            ":at": at.to_string(),
            ":action": refused.as_ref().map(|(action, _)| action),
            ":refusal_kind": refused.as_ref().map(|(_, refusal_kind)| refusal_kind),
            ":failures": failures,
            ":in_doubt": doubts,
        })?;
    Ok(())
}

fn retire(
    connection: &Connection,
    address: &Address,
    asset_id: AssetId,
    retirement: Option<Retirement>,
) -> Result<(), StoreFault> {
    require_record(connection, address)?;
    let asset = rows::number(asset_id.get());
    match retirement {
        None => connection
            .prepare_cached("DELETE FROM retirements WHERE address = ?1 AND asset_id = ?2")?
            .execute((address.as_str(), asset))?,
        Some(Retirement { why, since, archived_at }) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO retirements (address, asset_id, why, since, archived_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?
            .execute((address.as_str(), asset, why.name(), since.to_string(), archived_at.map(|at| at.to_string())))?,
    };
    Ok(())
}

/// Adds a fact about an upload, by the model's own union.
fn add_possible_duplicate(
    connection: &Connection,
    address: &Address,
    upload: UploadId,
    duplicate: PossibleDuplicate,
) -> Result<(), StoreFault> {
    require_record(connection, address)?;
    let upload = upload.to_string();
    let known = connection
        .prepare_cached("SELECT content, settled FROM possible_duplicates WHERE address = ?1 AND upload = ?2")?
        .query_row((address.as_str(), &upload), |row| super::load::possible_duplicate(row, 0))
        .optional()?;
    let PossibleDuplicate { content, settled } = known.map_or(duplicate, |known| known.union(duplicate));
    connection
        .prepare_cached(
            "INSERT OR REPLACE INTO possible_duplicates (address, upload, content, settled) VALUES (?1, ?2, ?3, ?4)",
        )?
        .execute((address.as_str(), upload, content.as_bytes(), settled))?;
    Ok(())
}

fn set_spent_quota(
    connection: &Connection,
    creator: Creator,
    asset_type: AssetType,
    spent: Option<&SpentQuota>,
) -> Result<(), StoreFault> {
    let (creator, asset_type) = (creator.to_string(), asset_type.name());
    match spent {
        None => connection
            .prepare_cached("DELETE FROM quotas WHERE creator = ?1 AND asset_type = ?2")?
            .execute((creator, asset_type))?,
        Some(SpentQuota { until, message }) => connection
            .prepare_cached(
                "INSERT OR REPLACE INTO quotas (creator, asset_type, until, message) VALUES (?1, ?2, ?3, ?4)",
            )?
            .execute((creator, asset_type, until.to_string(), message))?,
    };
    Ok(())
}

/// Records a repair, and deletes those that no longer count.
fn record_repair(
    connection: &Connection,
    address: &Address,
    repair: DriftRepair,
    now: Timestamp,
) -> Result<(), StoreFault> {
    require_record(connection, address)?;
    let mut known = connection.prepare_cached("SELECT rowid, at FROM repairs WHERE address = ?1")?;
    let known: Vec<(i64, Timestamp)> =
        known.query_map([address.as_str()], |row| Ok((row.get(0)?, rows::time(row, 1)?)))?.collect::<Result<_, _>>()?;
    for (row, _) in known.into_iter().filter(|(_, at)| now.duration_since(*at) >= HEALINGS_COUNT_FOR) {
        connection.prepare_cached("DELETE FROM repairs WHERE rowid = ?1")?.execute([row])?;
    }
    connection.prepare_cached("INSERT INTO repairs (address, at, repair) VALUES (?1, ?2, ?3)")?.execute((
        address.as_str(),
        now.to_string(),
        repair.name(),
    ))?;
    Ok(())
}
