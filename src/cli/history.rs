//! `macadam history`: every revision of an address.

use serde_json::{Value, json};

use super::args::{Global, HistoryArgs};
use super::exit::{Exit, Failure};
use super::output::{Output, Tone, paint};
use super::status::unknown_address;
use super::target;
use crate::engine::status::status;
use crate::engine::view::View;
use crate::model::history::{History, RevisionFact, RevisionKey, Standing};
use crate::model::ids::AssetId;

/// Shows them, oldest first.
pub fn run(output: Output, global: &Global, args: &HistoryArgs) -> Result<Exit, Failure> {
    let target = target::find(global)?;
    let view = View::open(&target.project, &target.remote)?;
    let record = view.recorded.assets.iter().find(|(address, _)| address.as_str() == args.address);
    let Some((address, record)) = record else {
        return Err(unknown_address(&args.address, view.recorded.assets.keys().map(|address| address.as_str())));
    };
    // What the manifest wants decides what is current; without a usable manifest the last known asset does.
    let rows = status(&target.project, &target.remote).unwrap_or_default();
    let row = rows.iter().find(|row| row.address == *address);
    let current = row.and_then(|row| row.asset_id.zip(row.revision));
    let revisions = record.history.in_order();
    let is_current = |key: RevisionKey| current == Some((key.asset_id, record.history.number(key)));
    if output.is_json() {
        let entries: Vec<Value> =
            revisions.iter().map(|(key, fact)| entry(&record.history, *key, fact, is_current(*key))).collect();
        output.document(&json!({ "address": address.as_str(), "revisions": entries }));
        return Ok(Exit::Success);
    }
    output.line(paint(
        Tone::Quiet,
        format!("  {:>4} {:>16}  {:<12}  {:<20}  {}", "REV", "ASSET ID", "CONTENT", "WHEN", "BY"),
    ));
    for (key, fact) in &revisions {
        output.line(line(&record.history, *key, fact, is_current(*key)));
    }
    Ok(Exit::Success)
}

fn entry(history: &History, key: RevisionKey, fact: &RevisionFact, current: bool) -> Value {
    json!({
        "revision": history.number(key),
        "asset_id": key.asset_id.get(),
        "content_hash": fact.content.map(|hash| hash.to_string()),
        "created_at": fact.made.map(|(at, _)| at.to_string()),
        "action": fact.made.map(|(_, origin)| origin.name()),
        "current": current,
        "standing": fact.standing.name(),
        "shared": fact.shared,
        "duplicate": fact.duplicate,
    })
}

fn line(history: &History, key: RevisionKey, fact: &RevisionFact, current: bool) -> String {
    let asset: AssetId = key.asset_id;
    let content: String =
        fact.content.map_or_else(|| "unknown".to_owned(), |hash| hash.to_string().chars().take(12).collect());
    let (when, by) = match fact.made {
        Some((at, origin)) => (at.strftime("%Y-%m-%d %H:%M:%S").to_string(), origin.name()),
        None => ("-".to_owned(), "-"),
    };
    let mut marks = Vec::new();
    marks.extend(current.then(|| paint(Tone::Good, "current")));
    marks.extend((fact.standing != Standing::Live).then(|| paint(Tone::Bad, fact.standing.name())));
    marks.extend(fact.shared.then(|| "shared".to_owned()));
    marks.extend(fact.duplicate.then(|| paint(Tone::Warning, "another branch's")));
    let mark = if current { "*" } else { " " };
    format!("{mark} {:>4} {asset:>16}  {content:<12}  {when:<20}  {by}  {}", history.number(key), marks.join(", "))
        .trim_end()
        .to_owned()
}
