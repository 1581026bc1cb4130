//! A name that no asset has any more, because it was renamed: whoever types it is told the new one,
//! whichever command it was.

use super::args::Global;
use super::exit::CommandFailure;
use super::output::{Printer, TextStyle, paint};
use super::target::{self, ProjectTarget};
use crate::engine::workspace::renamed::{self, Renamed};
use crate::model::address::Address;

/// Puts the new name into the hint of a failure about a name that no asset has.
pub(super) fn explain(global: &Global, failure: CommandFailure) -> CommandFailure {
    let renamed = failure.unknown.as_deref().and_then(|name| look(global, name));
    match renamed {
        Some(renamed) => failure.hint(renamed.hint()),
        None => failure,
    }
}

/// Prints a note for each of these addresses that the manifest calls otherwise by now: no sync took
/// that over yet, and what was done is done for the asset under its old name.
pub(super) fn tell(output: Printer, target: &ProjectTarget, addresses: &[Address]) {
    let look = || renamed::becoming(&target.project, &target.remote, addresses);
    for (before, now) in tokio::task::block_in_place(look) {
        output.line(format!("{} {}", paint(TextStyle::Quiet, "note"), renamed::note(&before, &now)));
    }
}

fn look(global: &Global, name: &str) -> Option<Renamed> {
    let target = target::find(global).ok()?;
    renamed::find(&target.project, &target.remote, &Address::new(name).ok()?).ok()?
}
