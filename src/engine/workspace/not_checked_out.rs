//! Files that git has and a sparse checkout leaves out: a pin, icon or preview that names one is no
//! mistake, though nothing is known of the file yet.
//!
//! Read next: [`crate::manifest::Manifest::resolve`], which takes their addresses for known ones.

use std::borrow::Cow;
use std::collections::BTreeSet;

use crate::engine::workspace::committed;
use crate::engine::workspace::git::{self, tracked};
use crate::engine::workspace::project::Project;
use crate::manifest::Manifest;
use crate::model::address::Address;
use crate::model::path::ProjectPath;

/// Returns the `known` addresses, with those of files that the manifest names and this checkout leaves
/// out. Blocks: it runs git where the checkout isn't whole.
pub(in crate::engine) fn with_files_left_out<'k>(
    project: &Project,
    manifest: &Manifest,
    known: &'k BTreeSet<Address>,
) -> Cow<'k, BTreeSet<Address>> {
    if git::partial(&project.root).is_none() {
        return Cow::Borrowed(known);
    }
    let named = manifest.named_files().into_iter().filter(|address| !known.contains(*address));
    let named: Vec<(&Address, ProjectPath)> =
        named.filter_map(|address| Some((address, ProjectPath::new(address.as_str()).ok()?))).collect();
    if named.is_empty() {
        return Cow::Borrowed(known);
    }
    let untracked = match committed::index(project) {
        Ok(Some(index)) => tracked::lacking(&index, named.iter().map(|(_, path)| path)),
        // Not asked, or no repository: whatever isn't here is nowhere.
        Ok(None) => return Cow::Borrowed(known),
        Err(why) => {
            tracing::info!("can't tell which files this checkout leaves out: {why}");
            BTreeSet::new()
        }
    };
    let left_out = named.iter().filter(|(_, path)| !untracked.contains(path)).map(|(address, _)| (*address).clone());
    Cow::Owned(known.iter().cloned().chain(left_out).collect())
}
