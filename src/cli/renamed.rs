//! A name that no asset has any more, because it was renamed: whoever types it is told the new one,
//! whichever command it was.

use super::args::Global;
use super::exit::CommandFailure;
use super::target;
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

fn look(global: &Global, name: &str) -> Option<Renamed> {
    let target = target::find(global).ok()?;
    renamed::find(&target.project, &target.remote, &Address::new(name).ok()?).ok()?
}
