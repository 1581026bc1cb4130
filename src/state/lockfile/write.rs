//! Writes a ledger as text: the same facts give the same bytes, on every machine.
//!
//! Each address is one table, and each revision one line, all sorted, so two branches that add
//! different assets change different lines. The last line is always the same; without it the file
//! is cut off. Only values that differ from their default are written.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Write};

use super::{LockfileEntry, OpenWork};
use crate::model::address::Address;
use crate::model::asset::Privacy;
use crate::model::forgotten::Forgotten;
use crate::model::history::{Kind, Listing, RevisionFact, RevisionKey, RevisionState};
use crate::model::metadata::FieldDigests;
use crate::model::phase::Intent;
use crate::model::recorded::{Identity, PinnedAt, PossibleDuplicate, Retirement};
use crate::model::toml_text::TomlText;
use crate::state::spelling;

/// The newest version that this program knows.
pub(super) const VERSION: i64 = 1;

/// The last line.
pub(super) const LAST_LINE: &str = "# end of lockfile";

const HEADER: &str = "# Written by macadam: commit it, don't edit it. It says which asset ID each content became, so that nothing is uploaded twice.\n";

/// Writes a lockfile from entries in the order of their addresses, one at a time, and the forgotten
/// assets.
///
/// # Errors
/// Those of `out`.
pub fn write<A, E>(
    remote: &str,
    entries: impl IntoIterator<Item = (A, E)>,
    forgotten: &BTreeMap<Address, Forgotten>,
    out: &mut dyn Write,
) -> io::Result<()>
where
    A: Borrow<Address>,
    E: Borrow<LockfileEntry>,
{
    let mut text = head(remote);
    for (address, entry) in entries {
        push_entry(&mut text, address.borrow(), entry.borrow());
        out.write_all(text.as_bytes())?;
        text.clear();
    }
    text.push_str(&foot(forgotten));
    out.write_all(text.as_bytes())
}

/// Returns the text before the entries.
pub(super) fn head(remote: &str) -> String {
    format!("{HEADER}version = {VERSION}\nremote = {}\n\n", TomlText(remote))
}

/// Returns the text after the entries.
pub(super) fn foot(forgotten: &BTreeMap<Address, Forgotten>) -> String {
    let mut text = String::new();
    for (address, forgotten) in forgotten.iter().filter(|(_, forgotten)| !forgotten.is_empty()) {
        let _ = writeln!(text, "[forgotten.{}]", TomlText(address.as_str())); // writing to a String can't fail
        for (asset_id, times) in forgotten.iter() {
            let _ = writeln!(text, "{asset_id} = {times}");
        }
        text.push('\n');
    }
    text.push_str(LAST_LINE);
    text.push('\n');
    text
}

/// Adds the text of one entry, which begins with the line `[assets."…"]`.
pub(super) fn push_entry(text: &mut String, address: &Address, entry: &LockfileEntry) {
    let LockfileEntry { identity, history, asked, stored, current, pinned, retirements, removed, .. } = entry;
    let LockfileEntry { possible_duplicates, open, .. } = entry;
    let Identity { asset_type, creator, privacy, path } = identity;
    let _ = writeln!(text, "[assets.{}]\ntype = \"{asset_type}\"\ncreator = \"{creator}\"", TomlText(address.as_str()));
    if *privacy != Privacy::Default {
        let _ = writeln!(text, "privacy = \"{}\"", privacy.name());
    }
    // The same on every machine.
    let path = path.composed();
    if path != address.as_str() {
        let _ = writeln!(text, "path = {}", TomlText(&path));
    }
    if *removed {
        text.push_str("removed = true\n");
    }
    if let Some(current) = current {
        let _ = writeln!(text, "current = {current}");
    }
    if let Some(PinnedAt { pin, at, newest }) = pinned {
        let newest = newest.map(|newest| format!(", newest = {newest}")).unwrap_or_default();
        let _ = writeln!(text, "pinned = {{ pin = \"{}\", {}{newest} }}", spelling::pin(*pin), key(*at));
    }
    if !asked.is_empty() {
        let _ = writeln!(text, "asked = {}", fields(asked));
    }
    if !stored.is_empty() {
        let _ = writeln!(text, "stored = {}", fields(stored));
    }
    if !history.is_empty() {
        text.push_str("revisions = [\n");
        for (at, fact) in history.iter() {
            push_revision(text, at, fact, identity.kind(), history.listing(at.asset_id));
        }
        text.push_str("]\n");
    }
    if !retirements.is_empty() {
        text.push_str("retirements = [\n");
        for (asset_id, retirement) in retirements {
            let Retirement { why, since, archived_at } = retirement.in_seconds();
            let archived_at = archived_at.map(|at| format!(", archived_at = \"{at}\"")).unwrap_or_default();
            let why = why.name();
            let _ = writeln!(text, "  {{ asset_id = {asset_id}, why = \"{why}\", since = \"{since}\"{archived_at} }},");
        }
        text.push_str("]\n");
    }
    if !possible_duplicates.is_empty() {
        text.push_str("possible_duplicates = [\n");
        for (upload, PossibleDuplicate { content, settled }) in possible_duplicates {
            let settled = if *settled { ", settled = true" } else { "" };
            let _ = writeln!(text, "  {{ upload = \"{upload}\", content_hash = \"{content}\"{settled} }},");
        }
        text.push_str("]\n");
    }
    if !open.is_empty() {
        text.push_str("open = [\n");
        for work in open {
            let _ = writeln!(text, "  {},", open_line(work));
        }
        text.push_str("]\n");
    }
    text.push('\n');
}

fn push_revision(text: &mut String, at: RevisionKey, fact: &RevisionFact, of: Kind, listing: Option<Listing>) {
    let RevisionFact { ordinal, content, state, round, shared, kind, disputed, era, made: _ } = fact;
    let _ = write!(text, "  {{ {}", key(at));
    if *ordinal != 1 {
        let _ = write!(text, ", ordinal = {ordinal}");
    }
    if let Some(content) = content {
        let _ = write!(text, ", content_hash = \"{content}\"");
    }
    if *state != RevisionState::Live {
        let _ = write!(text, ", state = \"{}\"", state.name());
    }
    if *round != 0 {
        let _ = write!(text, ", round = {round}");
    }
    if let Some(kind) = kind {
        if kind.asset_type != of.asset_type {
            let _ = write!(text, ", type = \"{}\"", kind.asset_type);
        }
        if kind.creator != of.creator {
            let _ = write!(text, ", creator = \"{}\"", kind.creator);
        }
    }
    let duplicate = listing == Some(Listing::Duplicate);
    for (flag, name) in [(*shared, "shared"), (duplicate, "duplicate"), (*disputed, "disputed")] {
        if flag {
            let _ = write!(text, ", {name} = true");
        }
    }
    if *era != 0 {
        let _ = write!(text, ", era = {era}");
    }
    text.push_str(" },\n");
}

/// Returns the line of one piece of open work.
pub(super) fn open_line(work: &OpenWork) -> String {
    let OpenWork { intent, operation, set_aside, doubts } = work;
    let mut line = format!("{{ action = \"{}\"", intent.name());
    let replaces = if let Intent::Create { replaces, .. } = intent { *replaces } else { None };
    if let Some(asset_id) = intent.asset_id().or(replaces) {
        let _ = write!(line, ", asset_id = {asset_id}");
    }
    if let Some(content) = intent.content() {
        let _ = write!(line, ", content_hash = \"{content}\"");
    }
    match intent {
        Intent::Create { upload, content: _, fields: sent, costly, replaces: _ } => {
            let _ = write!(line, ", upload = \"{upload}\"");
            if !sent.is_empty() {
                let _ = write!(line, ", asked = {}", fields(sent));
            }
            if *costly {
                line.push_str(", costly = true");
            }
        }
        Intent::UpdateContent { asset_id: _, content: _, head: Some(head) } => {
            let _ = write!(line, ", head = {head}");
        }
        Intent::UpdateMetadata { asset_id: _, fields: sent } => {
            let _ = write!(line, ", asked = {}", fields(sent));
        }
        Intent::Rollback { asset_id: _, to } => {
            let _ = write!(line, ", to = {to}");
        }
        Intent::UpdateContent { asset_id: _, content: _, head: None }
        | Intent::Archive { asset_id: _ }
        | Intent::Restore { asset_id: _ } => {}
    }
    if let Some(operation) = operation {
        let _ = write!(line, ", operation = \"{operation}\"");
    }
    if *set_aside {
        line.push_str(", set_aside = true");
    }
    if *doubts > 0 {
        let _ = write!(line, ", doubts = {doubts}");
    }
    line.push_str(" }");
    line
}

fn key(RevisionKey { asset_id, version }: RevisionKey) -> String {
    match version {
        None => format!("asset_id = {asset_id}"),
        Some(version) => format!("asset_id = {asset_id}, revision = {version}"),
    }
}

fn fields(fields: &FieldDigests) -> String {
    let pairs: Vec<String> = fields
        .iter()
        .map(|(field, digest)| {
            let name = field.name();
            // A social link's name has a dot, and a bare key with a dot would be a table.
            if name.contains('.') { format!("\"{name}\" = \"{digest}\"") } else { format!("{name} = \"{digest}\"") }
        })
        .collect();
    if pairs.is_empty() { "{}".to_owned() } else { format!("{{ {} }}", pairs.join(", ")) }
}
