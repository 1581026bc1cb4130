//! What an asset is called that a person names by a name it no longer has, or doesn't have yet.
//! Reads state, manifest and files; asks and writes nothing.
//!
//! Read next: [`crate::plan::moves`], which decides what is a rename.

use std::collections::BTreeSet;

use super::gather::read_manifest;
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

/// Looks for what became of a name; `None` if nothing says that an asset was renamed, or if the
/// manifest has the name for another asset since. Blocks: it reads the disk.
///
/// # Errors
/// When the state can't be used.
pub(crate) fn find(project: &Project, remote: &str, name: &Address) -> Result<Option<Renamed>, ViewError> {
    let store = Store::open_read_only(&project.state, remote)?;
    let stored = store.map(|store| store.renamed_to(name)).transpose()?.flatten();
    let last = stored.as_ref().unwrap_or(name);
    // A manifest with a mistake doesn't say whose name it is now.
    let Ok(known) = snapshot::addresses(project, remote) else { return Ok(None) };
    // A plan moves only what is known.
    if !known.wanted.contains(name) && !known.recorded.contains(last) {
        return Ok(stored.map(Renamed::To));
    }
    let Ok(preview) = snapshot::preview(project, remote, &silent(), &PlanOptions::default()) else { return Ok(None) };
    if preview.gathered.desired.assets.contains_key(name) {
        let before = moves(&preview.plan).find(|(_, to)| *to == name);
        return Ok(before.map(|(from, _)| Renamed::From(from.clone())));
    }
    let next = moves(&preview.plan).find(|(from, _)| *from == last);
    Ok(next.map(|(_, to)| Renamed::Becoming(to.clone())).or(stored.map(Renamed::To)))
}

/// Returns those of these addresses that the manifest calls otherwise by now, with their new names.
/// One whose entry or file is there has no other name. Blocks: it reads the disk.
pub(crate) fn becoming(project: &Project, remote: &str, addresses: &[Address]) -> Vec<(Address, Address)> {
    let Ok((manifest, _)) = read_manifest(project) else { return Vec::new() };
    let named: BTreeSet<&Address> = manifest.named().collect();
    let may_be_old = |address: &&Address| !named.contains(*address) && !project.root.join(address.as_str()).exists();
    let addresses: Vec<&Address> = addresses.iter().filter(may_be_old).collect();
    if addresses.is_empty() {
        return Vec::new();
    }
    let Ok(preview) = snapshot::preview(project, remote, &silent(), &PlanOptions::default()) else {
        return Vec::new();
    };
    let renamed = moves(&preview.plan).filter(|(from, _)| addresses.contains(from));
    renamed.map(|(from, to)| (from.clone(), to.clone())).collect()
}

/// Returns the note about an address that the manifest calls `now`.
pub(crate) fn note(address: &Address, now: &Address) -> String {
    format!("the manifest calls {address} `{now}` now; the next `macadam sync --once` takes that over")
}

/// Returns the renames that a plan takes over: the old name and the new one.
fn moves(plan: &Plan) -> impl Iterator<Item = (&Address, &Address)> {
    plan.steps.iter().filter_map(|step| match &step.action {
        Action::Move { from } => Some((from, &step.address)),
        _ => None,
    })
}
