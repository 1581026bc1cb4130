//! The journal: attempts, and the events from which their phases are replayed.

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, Result, Row, named_params};

use super::rows;
use crate::model::address::Address;
use crate::model::history::Kind;
use crate::model::ids::{AssetId, OperationId};
use crate::model::metadata::FieldDigests;
use crate::model::phase::{Ending, Intent, Phase, PhaseEvent};
use crate::model::recorded::{ApplyError, Attempt, AttemptId};
use crate::state::error::StoreFault;

/// How many of the newest attempts stay readable after they are closed: about a month of a busy
/// project, a few megabytes.
const KEPT: u64 = 20_000;

/// Inserts a new attempt; its number must be the next or a later one.
pub(super) fn begin(
    connection: &Connection,
    attempt: AttemptId,
    address: &Address,
    intent: &Intent,
    now: &str,
) -> Result<(), StoreFault> {
    let number = rows::number(attempt.0);
    let mut next = connection.prepare_cached("UPDATE meta SET next_attempt = ?1 + 1 WHERE next_attempt <= ?1")?;
    if next.execute([number])? == 0 {
        return Err(ApplyError::AttemptReused { attempt }.into());
    }
    let (mut fields, mut costly, mut version, mut named) = (None, None, None, None);
    let mut concerns = intent.asset_id();
    match intent {
        Intent::Create { upload, content: _, fields: sent, costly: counts, replaces } => {
            concerns = *replaces;
            named = Some(upload.to_string());
            fields = Some(rows::fields_text(sent));
            costly = Some(*counts);
        }
        Intent::UpdateContent { asset_id: _, content: _, head } => version = *head,
        Intent::UpdateMetadata { asset_id: _, fields: sent } => fields = Some(rows::fields_text(sent)),
        Intent::Rollback { asset_id: _, to } => version = Some(*to),
        Intent::Archive { asset_id: _ } | Intent::Restore { asset_id: _ } => {}
    }
    connection
        .prepare_cached(
            "INSERT INTO attempts
                (id, address, asset_type, creator, action, asset_id, content, fields, costly, upload, version, begun_at)
             SELECT :id, address, asset_type, creator, :action, :asset_id, :content, :fields, :costly, :upload, :version,
                :begun_at
             FROM assets WHERE address = :address",
        )?
        .execute(named_params! {
            ":id": number,
            ":address": address.as_str(),
            ":action": intent.name(),
            ":asset_id": concerns.map(|id| rows::number(id.get())),
            ":content": intent.content().as_ref().map(|content| content.as_bytes()),
            ":fields": fields,
            ":costly": costly,
            ":upload": named,
            ":version": version.map(|version| rows::number(version.get())),
            ":begun_at": now,
        })?;
    Ok(())
}

/// Appends an event to an open attempt's journal.
pub(super) fn advance(
    connection: &Connection,
    attempt: AttemptId,
    event: &PhaseEvent,
    now: &str,
) -> Result<(), StoreFault> {
    let number = rows::number(attempt.0);
    let open = connection
        .prepare_cached("SELECT 1 FROM attempts WHERE id = ?1 AND ending IS NULL")?
        .query_row([number], |_| Ok(()))
        .optional()?;
    open.ok_or(ApplyError::NoAttempt { attempt })?;
    let Replayed { steps, phase, .. } = replay(connection, number)?;
    let phase = phase.next(event).map_err(ApplyError::from)?;
    let operation = match event {
        PhaseEvent::Accept(operation) => Some(operation.as_str()),
        _ => None,
    };
    connection
        .prepare_cached("INSERT INTO journal (attempt, step, event, operation, at) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute((number, steps, event_name(event), operation, now))?;
    if let Phase::Closed(ending) = phase {
        connection
            .prepare_cached("UPDATE attempts SET ending = ?2 WHERE id = ?1")?
            .execute((number, ending_name(ending)))?;
        if let Some(oldest) = attempt.0.checked_sub(KEPT) {
            connection
                .prepare_cached("DELETE FROM attempts WHERE id <= ?1 AND ending IS NOT NULL")?
                .execute([rows::number(oldest)])?;
        }
    }
    Ok(())
}

/// Marks an attempt as taken over from a lockfile.
pub(super) fn take_over(connection: &Connection, attempt: AttemptId) -> Result<(), StoreFault> {
    let sql = "UPDATE attempts SET taken_over = 1 WHERE id = ?1 AND ending IS NULL";
    match connection.prepare_cached(sql)?.execute([rows::number(attempt.0)])? {
        0 => Err(ApplyError::NoAttempt { attempt }.into()),
        _ => Ok(()),
    }
}

/// The journal of an attempt.
struct Replayed {
    /// The number of its events.
    steps: i64,
    /// The phase after them.
    phase: Phase,
    /// Since when it is in that phase.
    since: Option<Timestamp>,
    /// When it was last handed over.
    handed_over_at: Option<Timestamp>,
}

/// Reads the journal of an attempt.
fn replay(connection: &Connection, attempt: i64) -> Result<Replayed> {
    let mut journal =
        connection.prepare_cached("SELECT event, operation, at FROM journal WHERE attempt = ?1 ORDER BY step")?;
    let mut events = journal.query([attempt])?;
    let mut known = Replayed { steps: 0, phase: Phase::Intended, since: None, handed_over_at: None };
    while let Some(row) = events.next()? {
        let (event, at) = (event(row)?, Some(rows::time(row, 2)?));
        let next = known.phase.next(&event);
        known.phase = next.map_err(|error| rows::wrong(0, format_args!("attempt {attempt}: {error}")))?;
        known.since = at;
        if event == PhaseEvent::HandOver {
            known.handed_over_at = at;
        }
        known.steps += 1;
    }
    Ok(known)
}

/// Loads every open attempt, with its phase by the journal.
pub(super) fn load(connection: &Connection) -> Result<Vec<(AttemptId, Attempt)>> {
    let mut open = connection.prepare_cached(
        "SELECT id, address, begun_at, action, asset_id, content, fields, costly, version, upload, taken_over,
                asset_type, creator
         FROM attempts WHERE ending IS NULL ORDER BY id",
    )?;
    let mut found = open.query([])?;
    let mut attempts = Vec::new();
    while let Some(row) = found.next()? {
        let number: i64 = row.get(0)?;
        let id = AttemptId(u64::try_from(number).map_err(|error| rows::wrong(0, error))?);
        let Replayed { phase, since, handed_over_at, .. } = replay(connection, number)?;
        if phase.is_closed() {
            return Err(rows::wrong(0, format_args!("attempt {number} is closed, but has no ending")));
        }
        let address = Address::new(rows::text(row, 1)?).map_err(|error| rows::wrong(1, error))?;
        let begun_at = rows::time(row, 2)?;
        let kind = Kind { asset_type: rows::parsed(row, 11)?, creator: rows::parsed(row, 12)? };
        let (since, handed_over_at) = (since.unwrap_or(begun_at), handed_over_at.unwrap_or(begun_at));
        let (intent, taken_over) = (intent(row)?, row.get(10)?);
        attempts.push((id, Attempt { address, intent, kind, phase, begun_at, handed_over_at, taken_over, since }));
    }
    Ok(attempts)
}

fn intent(row: &Row<'_>) -> Result<Intent> {
    let asset_id = || -> Result<AssetId> { rows::asset_id(row, 4) };
    let content = || rows::content(row, 5);
    let fields = || -> Result<FieldDigests> { rows::fields(row, 6) };
    let create = |replaces| {
        let (upload, content, fields) = (rows::parsed(row, 9)?, content()?, fields()?);
        Ok(Intent::Create { upload, content, fields, costly: row.get(7)?, replaces })
    };
    match rows::text(row, 3)? {
        "create" => create(None),
        "replace" => create(Some(asset_id()?)),
        "update_content" => {
            Ok(Intent::UpdateContent { asset_id: asset_id()?, content: content()?, head: rows::revision(row, 8)? })
        }
        "update_metadata" => Ok(Intent::UpdateMetadata { asset_id: asset_id()?, fields: fields()? }),
        "rollback" => {
            let to = rows::revision(row, 8)?.ok_or_else(|| rows::wrong(8, "a rollback has no revision"))?;
            Ok(Intent::Rollback { asset_id: asset_id()?, to })
        }
        "archive" => Ok(Intent::Archive { asset_id: asset_id()? }),
        "restore" => Ok(Intent::Restore { asset_id: asset_id()? }),
        other => Err(rows::wrong(3, format_args!("`{other}` isn't an action"))),
    }
}

const fn event_name(event: &PhaseEvent) -> &'static str {
    match event {
        PhaseEvent::HandOver => "hand_over",
        PhaseEvent::Accept(_) => "accept",
        PhaseEvent::Complete => "complete",
        PhaseEvent::Refuse => "refuse",
        PhaseEvent::NotCarriedOut => "not_carried_out",
        PhaseEvent::SetAside => "set_aside",
        PhaseEvent::Doubt => "doubt",
        PhaseEvent::Hold => "hold",
        PhaseEvent::Abandon => "abandon",
        PhaseEvent::Recover => "recover",
    }
}

fn event(row: &Row<'_>) -> Result<PhaseEvent> {
    Ok(match rows::text(row, 0)? {
        "hand_over" => PhaseEvent::HandOver,
        "accept" => PhaseEvent::Accept(OperationId::new(rows::text(row, 1)?).map_err(|error| rows::wrong(1, error))?),
        "complete" => PhaseEvent::Complete,
        "refuse" => PhaseEvent::Refuse,
        "not_carried_out" => PhaseEvent::NotCarriedOut,
        "set_aside" => PhaseEvent::SetAside,
        "doubt" => PhaseEvent::Doubt,
        "hold" => PhaseEvent::Hold,
        "abandon" => PhaseEvent::Abandon,
        "recover" => PhaseEvent::Recover,
        other => return Err(rows::wrong(0, format_args!("`{other}` isn't an event of the journal"))),
    })
}

const fn ending_name(ending: Ending) -> &'static str {
    match ending {
        Ending::Done => "done",
        Ending::Refused => "refused",
        Ending::NotCarriedOut => "not_carried_out",
        Ending::Abandoned => "abandoned",
    }
}
