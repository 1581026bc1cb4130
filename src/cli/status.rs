//! `macadam status`: what is known of each address.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::args::{Global, StatusArgs};
use super::exit::{Exit, Failure};
use super::output::{Output, Tone, paint};
use super::target;
use crate::engine::status::{AssetState, Row, status};
use crate::model::desired::Pin;

/// Shows the rows that are asked for, or all.
pub fn run(output: Output, global: &Global, args: &StatusArgs) -> Result<Exit, Failure> {
    let target = target::find(global)?;
    let mut rows = status(&target.project, &target.remote)?;
    if !args.addresses.is_empty() {
        if let Some(unknown) =
            args.addresses.iter().find(|wanted| !rows.iter().any(|row| row.address.as_str() == **wanted))
        {
            return Err(unknown_address(unknown, rows.iter().map(|row| row.address.as_str())));
        }
        rows.retain(|row| args.addresses.iter().any(|wanted| wanted == row.address.as_str()));
    }
    if output.is_json() {
        output.document(&json!({ "assets": rows.iter().map(row_json).collect::<Vec<_>>() }));
        return Ok(Exit::Success);
    }
    show(output, &rows);
    Ok(Exit::Success)
}

/// An address that nothing is known of, with the nearest that is.
pub fn unknown_address<'a>(wanted: &str, known: impl Iterator<Item = &'a str>) -> Failure {
    let failure = Failure::new(Exit::Unreconciled, format!("no asset has the address `{wanted}`"));
    let nearest = known.map(|name| (strsim::jaro_winkler(wanted, name), name)).max_by(|a, b| a.0.total_cmp(&b.0));
    match nearest {
        Some((likeness, name)) if likeness > 0.8 => failure.hint(format!("did you mean `{name}`?")),
        Some(_) | None => failure.hint("`macadam status` lists all addresses"),
    }
}

fn row_json(row: &Row) -> Value {
    let Row {
        address,
        path,
        asset_type,
        asset_id,
        revision,
        content_hash,
        state,
        moderation,
        pinned,
        error,
        hint,
        duplicates,
        censored,
    } = row;
    let pinned = pinned.map(|pin| match pin {
        Pin::Revision(revision) => revision.get(),
        Pin::Asset(asset_id) => asset_id.get(),
    });
    json!({
        "address": address.as_str(),
        "path": path.as_str(),
        "type": asset_type.map(|t| t.name()),
        "asset_id": asset_id.map(|id| id.get()),
        "revision": revision,
        "content_hash": content_hash.map(|hash| hash.to_string()),
        "state": state.name(),
        "moderation": moderation.map(|m| m.name()),
        "pinned_revision": pinned,
        "error": error,
        "hint": hint,
        "duplicates": duplicates.iter().map(|id| id.get()).collect::<Vec<_>>(),
        "stored_display_name": censored,
    })
}

fn show(output: Output, rows: &[Row]) {
    let width = rows.iter().map(|row| row.address.as_str().chars().count()).max().unwrap_or(0).clamp(7, 48);
    output.line(paint(
        Tone::Quiet,
        format!("{:<12} {:<width$} {:<10} {:>16} {:>4}", "STATE", "ADDRESS", "TYPE", "ASSET ID", "REV"),
    ));
    let mut counts: BTreeMap<AssetState, u64> = BTreeMap::new();
    for row in rows {
        *counts.entry(row.state).or_default() += 1;
        let state = paint(tone(row.state), format!("{:<12}", row.state.name()));
        let asset = row.asset_id.map_or_else(|| "-".to_owned(), |id| id.to_string());
        let revision = row.revision.map_or_else(|| "-".to_owned(), |number| number.to_string());
        let kind = row.asset_type.map_or("-", |t| t.name());
        output.line(format!("{state} {:<width$} {kind:<10} {asset:>16} {revision:>4}", row.address.as_str()));
        let remarks = [
            row.moderation.filter(|m| m.name() != "approved").map(|m| format!("moderation: {}", m.name())),
            row.error.clone(),
            row.censored.as_ref().map(|name| format!("Roblox's text filter stored the name as `{name}`")),
            (!row.duplicates.is_empty()).then(|| format!("another branch made {:?} for it too", row.duplicates)),
        ];
        for remark in remarks.into_iter().flatten() {
            output.line(format!("             {}", paint(Tone::Quiet, remark)));
        }
        if let Some(hint) = &row.hint {
            output.line(format!("             {} {hint}", paint(Tone::Change, "hint:")));
        }
    }
    let counts: Vec<String> = counts.into_iter().map(|(state, count)| format!("{count} {}", state.name())).collect();
    output.line(if counts.is_empty() { "no assets".to_owned() } else { format!("\n{}", counts.join(", ")) });
}

const fn tone(state: AssetState) -> Tone {
    match state {
        AssetState::Held | AssetState::InProgress => Tone::Warning,
        AssetState::Rejected | AssetState::Failed => Tone::Bad,
        AssetState::Archived | AssetState::Removed => Tone::Quiet,
        AssetState::Pinned | AssetState::Pending => Tone::Change,
        AssetState::Synced => Tone::Good,
    }
}
