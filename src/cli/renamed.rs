//! A name that no asset has: one that an asset had before it was renamed, a path from the current
//! folder, an asset ID, an entry of `[existing]`, or one that was forgotten. Whoever types it is told
//! the right one, whichever command it was.

use super::args::Global;
use super::asset_words;
use super::exit::CommandFailure;
use super::output::{Printer, TextStyle, paint};
use super::target::{self, ProjectTarget};
use super::unknown::from_here;
use crate::engine::commands::forget::{ForgetError, forgotten_assets};
use crate::engine::workspace::asset_ids;
use crate::engine::workspace::renamed;
use crate::engine::workspace::snapshot::{self, NamedAddresses, StateSnapshot};
use crate::model::address::Address;
use crate::model::ids::AssetId;

/// Puts the right name into the hint of a failure about a name that no asset has.
pub(super) fn explain(global: &Global, failure: CommandFailure) -> CommandFailure {
    let (Some(name), Ok(target)) = (failure.unknown.as_deref(), target::find(global)) else { return failure };
    if let Some((address, asset_id)) = existing(&target, name) {
        return CommandFailure { exit: failure.exit, ..asset_words::left_alone(&address, asset_id) };
    }
    let renamed = renamed_hint(&target, name);
    if let Some(why) = forgotten(&target, name).filter(|_| renamed.is_none()) {
        return CommandFailure::of(failure.exit, &why, why.hint());
    }
    let hint = renamed.or_else(|| path_hint(&target, name));
    match hint.or_else(|| asset_words::hint(&target, name)) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// The entry of `[existing]` with this name.
fn existing(target: &ProjectTarget, name: &str) -> Option<(Address, AssetId)> {
    asset_ids::existing(&target.project).remove_entry(&Address::new(name).ok()?)
}

/// Prints a note for each of these addresses that the manifest calls otherwise by now: no sync took
/// that over yet, and what was done is done for the asset under its old name.
pub(super) fn tell(output: Printer, target: &ProjectTarget, addresses: &[Address]) {
    let look = || renamed::becoming(&target.project, &target.remote, addresses);
    for (before, now) in tokio::task::block_in_place(look) {
        output.line(format!("{} {}", paint(TextStyle::Quiet, "note"), renamed::note(&before, &now)));
    }
}

/// Says what an address had when it was forgotten, if it was.
fn forgotten(target: &ProjectTarget, name: &str) -> Option<ForgetError> {
    let address = Address::new(name).ok()?;
    let view = StateSnapshot::open(&target.project, &target.remote).ok()?;
    let asset_ids = forgotten_assets(&view.recorded, &address);
    (!asset_ids.is_empty()).then_some(ForgetError::Already { address, asset_ids })
}

fn renamed_hint(target: &ProjectTarget, name: &str) -> Option<String> {
    let found = renamed::find(&target.project, &target.remote, &Address::new(name).ok()?).ok()?;
    found.map(|renamed| renamed.hint())
}

/// The hint for a path that begins in the folder where the program was started.
fn path_hint(target: &ProjectTarget, name: &str) -> Option<String> {
    let NamedAddresses { wanted, recorded } = snapshot::addresses(&target.project, &target.remote).ok()?;
    let is_known = |name: &str| Address::new(name).is_ok_and(|name| wanted.contains(&name) || recorded.contains(&name));
    let meant = from_here(name, &target.project.root).filter(|meant| is_known(meant) && !is_known(name))?;
    Some(format!("names begin at the folder of assets.toml: write `{meant}`"))
}
