//! What an asset is called that a person names by a name it no longer has, or doesn't have yet.
//! Reads state, manifest and files; asks and writes nothing.
//!
//! Read next: [`crate::plan::moves`], which decides what is a rename.

use super::project::Project;
use super::snapshot::{self, ViewError};
use crate::engine::report::progress::silent;
use crate::model::address::Address;
use crate::plan::{Action, Plan, PlanOptions};
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

/// Looks for what became of a name; `None` if nothing says that an asset was renamed. Blocks: it
/// reads the disk.
///
/// # Errors
/// When the state can't be used.
pub(crate) fn find(project: &Project, remote: &str, name: &Address) -> Result<Option<Renamed>, ViewError> {
    let store = Store::open_read_only(&project.state, remote)?;
    let stored = store.map(|store| store.renamed_to(name)).transpose()?.flatten();
    // A manifest with a mistake says nothing of names.
    let preview = snapshot::preview(project, remote, &silent(), &PlanOptions::default()).ok();
    Ok(preview.and_then(|preview| in_plan(&preview.plan, stored.as_ref().unwrap_or(name))).or(stored.map(Renamed::To)))
}

/// Returns what a plan is about to do with a name.
fn in_plan(plan: &Plan, name: &Address) -> Option<Renamed> {
    plan.steps.iter().find_map(|step| match &step.action {
        Action::Move { from } if from == name => Some(Renamed::Becoming(step.address.clone())),
        Action::Move { from } if step.address == *name => Some(Renamed::From(from.clone())),
        _ => None,
    })
}
