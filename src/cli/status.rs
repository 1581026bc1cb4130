//! `macadam status`: the state of each asset.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::args::{Global, StatusArgs};
use super::asset_words::NamedWords;
use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint, stdout_columns};
use super::plan_text::unverified_text;
use super::second_copies;
use super::selection::AddressSelection;
use super::service_client::is_served;
use super::table::{Column, TextTable};
use super::unknown::unknown_address;
use super::{document, target, warnings};
use crate::engine::commands::retry;
use crate::engine::report::asset_state::AssetState;
use crate::engine::report::asset_status::{ArchivedBy, AssetStatus};
use crate::engine::report::status::{LostLockfile, Status, status, status_of};
use crate::model::address::Address;
use crate::model::asset::Moderation;
use crate::model::desired::Pin;
use crate::model::ids::AssetId;
use crate::model::minute::Minute;
use crate::model::shown;
use crate::plan::Drift;
use crate::plan::reason::why_text;
use crate::plan::retirement::ScheduledArchiving;
use crate::platform::clock;
use crate::state::stoppage::{self, Stoppage, StoppedWork};

/// Stands under an address.
const INDENT: &str = "    ";

/// Shows the named assets, or all.
pub(super) fn run(output: Printer, global: &Global, args: &StatusArgs) -> Result<Exit, CommandFailure> {
    let target = target::find(global)?;
    let asked = NamedWords::read(&target, &args.addresses)?.without_existing()?;
    let named = AddressSelection::plain(&asked.words);
    let named = named.and_then(|addresses| status_of(&target.project, &target.remote, &addresses));
    let is_named = named.is_some();
    let Status { mut rows, lost_lockfile, notes } = match named {
        Some(rows) => Status { rows, lost_lockfile: None, notes: Vec::new() },
        None => status(&target.project, &target.remote)?,
    };
    if !asked.words.is_empty() && !is_named {
        let known: BTreeSet<Address> = rows.iter().map(|row| row.address.clone()).collect();
        let AddressSelection { addresses, .. } = AddressSelection::read(&asked.words, || Ok(known.clone()))?;
        if let Some(unknown) = addresses.iter().find(|wanted| !known.contains(*wanted)) {
            return Err(unknown_address(unknown.as_str(), known.iter().map(Address::as_str)));
        }
        rows.retain(|row| addresses.contains(&row.address));
    }
    let stopped = |work| stoppage::read(&target.project.state, work);
    let waiting = stopped(StoppedWork::Service);
    let (mut uploads, publishing) = (stopped(StoppedWork::Uploads), stopped(StoppedWork::Publishing));
    if let Some(stoppage) = &mut uploads {
        stoppage.hint = retry::way_on(stoppage, is_served(&target)?);
    }
    if output.is_json() {
        let lost = lost_lockfile.map(|LostLockfile { reason, hint }| json!({ "reason": reason, "hint": hint }));
        let rows: Vec<Value> = rows.iter().map(row_json).collect();
        output.document(&json!({
            "assets": rows,
            "lost_lockfile": lost,
            "stopped": uploads.as_ref().map(stoppage_json),
            "unpublished": publishing.as_ref().map(stoppage_json),
            "waiting": waiting.as_ref().map(stoppage_json),
            "warnings": document::warnings(&notes),
        }));
        return Ok(Exit::Success);
    }
    warnings::warn(output, &notes);
    asked.tell(output);
    show(output, &rows, global.emulator);
    if let Some(LostLockfile { reason, hint }) = lost_lockfile {
        output.warning_with_hint(format!("Macadam uploads nothing new, because {reason}"), hint);
    }
    if let Some(Stoppage { since, message, hint, .. }) = waiting {
        let message = format!("the running `macadam sync` does nothing: {message} (since {})", Minute(since));
        output.warning_with_hint(message, hint);
    }
    for Stoppage { since, message, hint, .. } in uploads.into_iter().chain(publishing) {
        output.warning_with_hint(format!("{message} (since {})", Minute(since)), hint);
    }
    warnings::warn_of_untracked(output, &notes);
    Ok(Exit::Success)
}

fn stoppage_json(Stoppage { since, message, hint, .. }: &Stoppage) -> Value {
    json!({ "since": since.to_string(), "message": message, "hint": hint })
}

/// A command about an asset that isn't uploaded, with what is in the way where a sync alone doesn't
/// get past it.
pub(super) fn not_uploaded(row: &AssetStatus, message: String) -> CommandFailure {
    let address = row.address.as_str();
    let (Some(error), Some(hint)) = (&row.error, &row.hint) else {
        return CommandFailure::new(Exit::Unreconciled, message)
            .unknown(address)
            .hint("`macadam sync --once` uploads it; `macadam plan` shows what is in the way");
    };
    CommandFailure::new(Exit::Unreconciled, format!("{message}: {error}")).unknown(address).hint(hint.clone())
}

fn row_json(row: &AssetStatus) -> Value {
    let AssetStatus {
        address,
        path,
        asset_type,
        asset_id,
        revision,
        content_hash,
        file_hash,
        state,
        moderation,
        under_review_since,
        pin,
        pinned_revision,
        archived_by,
        coming,
        drifts,
        waits,
        error,
        code,
        facts,
        hint,
        duplicates,
        possible_duplicates,
        stored_display_name,
        stored_description,
    } = row;
    let pinned_asset = pin.and_then(|pin| match pin {
        Pin::Revision(_) => None,
        Pin::Asset(asset_id) => Some(asset_id.get()),
    });
    let coming = coming.iter().map(
        |ScheduledArchiving { asset_id, why, at }| json!({ "asset_id": asset_id.get(), "why": why.name(), "at": at.to_string() }),
    );
    json!({
        "address": address.as_str(),
        "path": path.as_str(),
        "type": asset_type.map(|t| t.name()),
        "asset_id": asset_id.map(|id| id.get()),
        "revision": revision,
        "content_hash": content_hash.map(|hash| hash.to_string()),
        "file_hash": file_hash.map(|hash| hash.to_string()),
        "state": state.name(),
        "moderation": moderation.map(|m| m.name()),
        "under_review_since": under_review_since.map(|at| at.to_string()),
        "pinned_revision": pinned_revision,
        "pinned_asset_id": pinned_asset,
        "archived_by": archived_by.map(ArchivedBy::name),
        "archives": coming.collect::<Vec<_>>(),
        "drifts": document::drifts(drifts),
        "waits": waits,
        "error": error,
        "code": code,
        "facts": facts.as_ref().map(document::facts),
        "hint": hint,
        "duplicates": duplicates.iter().map(|id| id.get()).collect::<Vec<_>>(),
        "possible_duplicates": possible_duplicates,
        "stored_display_name": stored_display_name,
        "stored_description": stored_description,
    })
}

/// The widest address that widens its column.
const WIDEST: usize = 48;

/// The states that rows have, in their colours.
type PaintedStates = BTreeMap<AssetState, String>;

/// The rows with an asset ID each, in this form.
fn table<'a>(rows: &'a [AssetStatus], states: &'a PaintedStates, form: fn(AssetId) -> String) -> TextTable<'a, 5> {
    let columns = [
        Column::left("STATE"),
        Column::left("ADDRESS").at_most(WIDEST),
        Column::left("TYPE"),
        Column::left("ASSET ID"),
        Column::right("REV"),
    ];
    let none = || Cow::Borrowed("-");
    let cells = rows.iter().map(|row| {
        [
            Cow::Borrowed(states.get(&row.state).map_or("", String::as_str)),
            shown::foreign(row.address.as_str()),
            row.asset_type.map_or_else(none, |t| Cow::Borrowed(t.name())),
            row.asset_id.map_or_else(none, |asset_id| Cow::Owned(form(asset_id))),
            row.revision.map_or_else(none, |number| Cow::Owned(number.to_string())),
        ]
    });
    TextTable::new(columns, cells.collect())
}

fn show(output: Printer, rows: &[AssetStatus], rehearsal: bool) {
    let columns = stdout_columns();
    let mut states = PaintedStates::new();
    for AssetStatus { state, .. } in rows {
        states.entry(*state).or_insert_with(|| paint(tone(*state), label(*state)));
    }
    let as_in_code = table(rows, &states, AssetId::uri);
    let plain = |asset_id: AssetId| asset_id.to_string();
    let table = if as_in_code.fits(columns) { as_in_code } else { table(rows, &states, plain) };
    let mut page = output.page();
    page.line(table.head(columns));
    let mut counts: BTreeMap<AssetState, u64> = BTreeMap::new();
    for (row, text) in rows.iter().zip(table.rows(columns)) {
        *counts.entry(row.state).or_default() += 1;
        page.line(text);
        for remark in remarks(row) {
            page.line(format!("{INDENT}{}", paint(TextStyle::Quiet, remark)));
        }
        let hints = row.hint.iter().cloned().chain(row.drifts.iter().map(Drift::hint));
        for hint in hints {
            page.line(format!("{INDENT}{} {hint}", paint(TextStyle::Change, "hint:")));
        }
    }
    drop(page);
    let counts = counts.into_iter().map(|(state, count)| {
        let kept = if state == AssetState::Removed { " (still on Roblox)" } else { "" };
        format!("{count} {}{kept}", label(state))
    });
    let counts: Vec<String> = counts.collect();
    let counts = if counts.is_empty() { "no assets".to_owned() } else { counts.join(", ") };
    let rehearsal = if rehearsal { "Rehearsal (nothing was sent to Roblox): " } else { "" };
    output.line(format!("\n{rehearsal}{counts}"));
    let unverified = rows.iter().filter(|row| row.state == AssetState::Unverified).count();
    unverified_text(unverified as u64).iter().for_each(|text| output.line(text));
    let twice = rows.iter().filter(|row| row.possible_duplicates > 0).map(|row| &row.address).collect::<Vec<_>>();
    second_copies::of_several(&twice).iter().for_each(|what| output.line(paint(TextStyle::Warning, what)));
}

/// The remarks under a row.
fn remarks(row: &AssetStatus) -> Vec<String> {
    let mut remarks = Vec::new();
    // A rejection is an error, which says so itself.
    let is_told = |moderation: &Moderation| *moderation == Moderation::Rejected && row.error.is_some();
    let shown = row.moderation.filter(|moderation| *moderation != Moderation::Approved && !is_told(moderation));
    if let Some(moderation) = shown {
        let since = row.under_review_since.map(|at| format!(" since {}", Minute(at))).unwrap_or_default();
        remarks.push(format!("moderation: {}{since}", moderation.name()));
    }
    // A drift says so itself.
    remarks.extend(row.archived_by.filter(|_| row.drifts.is_empty()).map(|by| {
        let by = match by {
            ArchivedBy::Policy => "by Macadam, as [policy] says",
            ArchivedBy::Hand => "by hand, with Macadam",
            ArchivedBy::Elsewhere => "on Roblox, outside of Macadam",
        };
        format!("archived {by}")
    }));
    // What waits for a pin says so itself.
    let pin = row.pinned_revision.filter(|_| row.waits.is_none());
    remarks.extend(pin.map(|number| format!("it is pinned to revision {number}")));
    remarks.extend(row.error.clone());
    remarks.extend(row.drifts.iter().map(|drift| drift.kind.to_string()));
    // Without an asset it is plain that the next sync uploads the file.
    let told = row.asset_id.is_some() || row.state == AssetState::InProgress;
    // One line says it for all.
    let told = told && row.state != AssetState::Unverified;
    remarks.extend(row.waits.clone().filter(|_| told));
    remarks.extend(row.coming.iter().map(|ScheduledArchiving { asset_id, why, at }| {
        let when = if *at <= clock::now() { "with the next sync".to_owned() } else { format!("after {}", Minute(*at)) };
        format!("asset {asset_id} {}; Macadam archives it {when}", why_text(*why))
    }));
    for (what, stored) in [("name", &row.stored_display_name), ("description", &row.stored_description)] {
        remarks.extend(stored.as_ref().map(|text| format!("Roblox changed the {what} to `{}`", shown::foreign(text))));
    }
    if !row.duplicates.is_empty() {
        let ids: Vec<String> = row.duplicates.iter().map(ToString::to_string).collect();
        remarks.push(format!("uploaded more than once; these copies on Roblox aren't used: {}", ids.join(", ")));
    }
    remarks
}

/// The word of a state for a person; `--json` has [`AssetState::name`].
const fn label(state: AssetState) -> &'static str {
    match state {
        AssetState::Held => "on hold",
        AssetState::InProgress => "processing",
        AssetState::Drifted => "differs",
        AssetState::Rejected
        | AssetState::Failed
        | AssetState::Archived
        | AssetState::Removed
        | AssetState::Pinned
        | AssetState::Pending
        | AssetState::Unverified
        | AssetState::Synced => state.name(),
    }
}

const fn tone(state: AssetState) -> TextStyle {
    match state {
        AssetState::Held | AssetState::InProgress | AssetState::Drifted => TextStyle::Warning,
        AssetState::Rejected | AssetState::Failed => TextStyle::Bad,
        AssetState::Archived | AssetState::Removed => TextStyle::Quiet,
        AssetState::Pinned | AssetState::Pending | AssetState::Unverified => TextStyle::Change,
        AssetState::Synced => TextStyle::Good,
    }
}
