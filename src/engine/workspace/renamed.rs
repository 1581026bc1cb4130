//! What an asset is called that a person names by a name it no longer has, or doesn't have yet.
//! Reads state, manifest and files; asks and writes nothing.
//!
//! Read next: [`crate::plan::moves`], which decides what is a rename.

use super::project::Project;
use super::snapshot::{self, ViewError};
use crate::engine::report::progress::silent;
use crate::model::address::Address;
use crate::plan::{Action, PlanOptions};
use crate::state::store::Store;

/// What became of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Renamed {
    /// Its asset has this name now.
    To(Address),
    /// The manifest calls its asset so, and the next sync takes that over.
    Becoming(Address),
    /// It is the new name of an asset that the state still has under this one.
    From(Address),
}

impl Renamed {
    /// Returns what a person should do, who typed the name.
    pub(crate) fn hint(&self) -> String {
        match self {
            Self::To(now) => format!("it is called `{now}` now"),
            Self::Becoming(now) => {
                format!("the manifest calls it `{now}` now: run `macadam sync --once` first, then use that name")
            }
            Self::From(before) => {
                format!(
                    "it was called `{before}` until now: run `macadam sync --once` first, which takes its asset over"
                )
            }
        }
    }
}

/// Looks for what became of a name; `None` if nothing says that an asset was renamed, or if the
/// manifest has the name for another asset since. Blocks: it reads the disk.
///
/// # Errors
/// When the state can't be used.
pub(crate) fn find(project: &Project, remote: &str, name: &Address) -> Result<Option<Renamed>, ViewError> {
    let store = Store::open_read_only(&project.state, remote)?;
    let stored = store.map(|store| store.renamed_to(name)).transpose()?.flatten();
    // A manifest with a mistake doesn't say whose name it is now.
    let Ok(preview) = snapshot::preview(project, remote, &silent(), &PlanOptions::default()) else { return Ok(None) };
    let moves = || {
        preview.plan.steps.iter().filter_map(|step| match &step.action {
            Action::Move { from } => Some((from, &step.address)),
            _ => None,
        })
    };
    if preview.gathered.desired.assets.contains_key(name) {
        let before = moves().find(|(_, to)| *to == name);
        return Ok(before.map(|(from, _)| Renamed::From(from.clone())));
    }
    let last = stored.as_ref().unwrap_or(name);
    let next = moves().find(|(from, _)| *from == last);
    Ok(next.map(|(_, to)| Renamed::Becoming(to.clone())).or(stored.map(Renamed::To)))
}
