//! Takes back what a lockfile lost though git has it: an entry that an edit dropped, or a merge that went wrong.
//!
//! What git put on disk says by itself what it has, so that an older branch's lockfile rightly lacks entries. A file that was edited since, or that came of a
//! merge, may lack some that were in it: without them their assets would be uploaded again. Read next: [`super::missing_lockfile`], for a lockfile that is lost as a whole.

use std::collections::BTreeSet;

use super::git::{self, ask::Versions};
use super::lockfile::parse;
use super::project::Project;
use crate::model::address::Address;
use crate::model::ids::AssetId;
use crate::state::lockfile::{self, Entry, Ledger};

/// Adds to `ledger`, which the lockfile on disk says in `bytes`, the entries that it lost. Returns their addresses. Blocks: it asks git.
///
/// What git can't tell, and a version that can't be used, adds nothing.
pub fn take_back(project: &Project, remote: &str, bytes: &[u8], ledger: &mut Ledger) -> Vec<Address> {
    // A rehearsal's lies elsewhere, and git knows nothing of it. And while git works the file on disk is ahead of what git has.
    if project.lockfile.parent() != Some(&*project.root) || git::busy(&project.root).is_some() {
        return Vec::new();
    }
    let Versions { index, merged } = git::ask::versions(&project.lockfile).unwrap_or_else(|why| {
        tracing::debug!("whether the lockfile lost entries is unknown: {why}");
        Versions::default()
    });
    // It began to work meanwhile.
    if lockfile::read(&project.lockfile).ok().flatten().as_deref() != Some(bytes) {
        return Vec::new();
    }
    let others = index.iter().chain(&merged).filter(|version| version.as_slice() != bytes);
    let parsed = others.filter_map(|version| parse(project, remote, Some(version)).ok());
    let mut lost = Vec::new();
    for version in parsed {
        let here: BTreeSet<AssetId> = ledger.entries.values().flat_map(|entry| entry.history.assets()).collect();
        for (address, entry) in version.entries {
            if !ledger.entries.contains_key(&address) && is_lost(&address, &entry, ledger, &here) {
                lost.push(address.clone());
                ledger.entries.insert(address, entry);
            }
        }
    }
    lost
}

/// Whether an entry that is not there was lost: some asset of it was neither forgotten nor is it there under another address, as after a rename.
fn is_lost(address: &Address, entry: &Entry, ledger: &Ledger, here: &BTreeSet<AssetId>) -> bool {
    let forgotten = ledger.forgotten.get(address);
    let is_forgotten = |asset_id, era| forgotten.is_some_and(|forgotten| forgotten.covers(asset_id, era));
    entry.history.iter().any(|(key, fact)| !here.contains(&key.asset_id) && !is_forgotten(key.asset_id, fact.era))
}
