//! A name that no asset has: one that an asset had before it was renamed, or a path from the current
//! folder. Whoever types it is told the right one, whichever command it was.

use super::args::Global;
use super::exit::CommandFailure;
use super::output::{Printer, TextStyle, paint};
use super::target::{self, ProjectTarget};
use super::unknown::from_here;
use crate::engine::workspace::renamed;
use crate::engine::workspace::snapshot::{self, NamedAddresses};
use crate::model::address::Address;

/// Puts the new name into the hint of a failure about a name that no asset has.
pub(super) fn explain(global: &Global, failure: CommandFailure) -> CommandFailure {
    let hint = failure.unknown.as_deref().and_then(|name| {
        let target = target::find(global).ok()?;
        renamed_hint(&target, name).or_else(|| path_hint(&target, name))
    });
    match hint {
        Some(hint) => failure.hint(hint),
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
