//! `macadam lockfile merge`: the merge driver.

use std::path::Path;

use serde_json::json;

use super::args::LockfileCommand;
use super::exit::{CommandFailure, Exit, unusable_lockfile as unusable};
use super::output::Printer;
use crate::platform::own_file::{self, Access};
use crate::state::lockfile::{self, Ledger};

/// Merges the three sides that git names; the result replaces OURS.
pub(super) fn run(output: Printer, command: &LockfileCommand) -> Result<Exit, CommandFailure> {
    let LockfileCommand::Merge { base, ours, theirs } = command;
    let base = read(base)?;
    let merged = match (read(ours)?, read(theirs)?) {
        (Some(our_side), Some(their_side)) => lockfile::merge(base.as_ref(), &our_side, &their_side)
            .map_err(|error| CommandFailure::of(Exit::Unreconciled, &error, None))?,
        (Some(side), None) | (None, Some(side)) => side,
        (None, None) => return Err(CommandFailure::new(Exit::Unusable, "both sides of the merge are empty")),
    };
    let replaced = own_file::named(ours);
    lockfile::save(&replaced, Access::Usual, &merged.remote, &merged.entries, &merged.forgotten)
        .map_err(|error| unusable(&error))?;
    if output.is_json() {
        output.document(&json!({ "merged": ours, "assets": merged.entries.len() }));
    }
    Ok(Exit::Success)
}

/// A side of the merge; git gives an empty file for a side that did not have it.
fn read(path: &Path) -> Result<Option<Ledger>, CommandFailure> {
    match lockfile::read(&own_file::named(path)).map_err(|error| unusable(&error))? {
        Some(bytes) if bytes.is_empty() => Ok(None),
        Some(bytes) => lockfile::parse(&bytes, path).map(Some).map_err(|error| unusable(&error)),
        None => Err(CommandFailure::new(Exit::Unusable, format!("there is no file {}", path.display()))
            .hint("name the three files of a merge: `macadam lockfile merge BASE OURS THEIRS`")),
    }
}
