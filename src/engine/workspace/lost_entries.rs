//! Restores lockfile entries and revisions that git still has: an edit dropped them, an earlier
//! lockfile replaced them, or a merge went wrong.
//!
//! A lockfile as git checked it out is complete by definition, so an older branch's lockfile
//! rightly lacks entries. A file that was edited since, or that a merge made, may have lost some:
//! their assets would be uploaded again. Read next: [`crate::engine::workspace::missing_lockfile`],
//! for a lockfile that is missing as a whole.

use std::collections::{BTreeSet, btree_map};
use std::path::Path;
use std::time::Duration;

use crate::engine::workspace::git::{self, ask::Versions};
use crate::engine::workspace::lockfile::parse;
use crate::engine::workspace::project::Project;
use crate::model::address::Address;
use crate::model::forgotten::Forgotten;
use crate::model::history::{RevisionFact, RevisionKey};
use crate::state::lockfile::{self, Ledger, LockfileEntry};

/// The longest time between the new index and the new `HEAD` during a switch of branches: one
/// rename of a file.
const SWITCH: Duration = Duration::from_millis(200);

/// Adds to `ledger`, which the lockfile on disk holds as `bytes`, the entries and revisions that it
/// lost. Returns their addresses. Blocks: it runs git.
///
/// A version that git can't return or that can't be used adds nothing.
pub(crate) fn take_back(project: &Project, remote: &str, bytes: &[u8], ledger: &mut Ledger) -> Vec<Address> {
    // The lockfile of the embedded emulator lies elsewhere, unknown to git. While git is busy, the
    // file on disk is ahead of git's versions.
    if project.lockfile.parent() != Some(&*project.root) || git::busy(&project.root).is_some() {
        return Vec::new();
    }
    let Versions { index, head, merged } = settled_versions(&project.lockfile).unwrap_or_else(|why| {
        tracing::debug!("whether the lockfile lost entries is unknown: {why}");
        Versions::default()
    });
    // Git began to work meanwhile.
    if lockfile::read(&project.lockfile).ok().flatten().as_deref() != Some(bytes) {
        return Vec::new();
    }
    let others = index.iter().chain(&head).chain(&merged).filter(|version| version.as_slice() != bytes);
    let others: BTreeSet<&Vec<u8>> = others.collect();
    let parsed = others.into_iter().filter_map(|version| parse(project, remote, Some(version)).ok());
    let mut lost = BTreeSet::new();
    for version in parsed {
        let here: BTreeSet<RevisionKey> =
            ledger.entries.values().flat_map(|entry| entry.history.iter().map(|(key, _)| key)).collect();
        for (address, entry) in version.entries {
            let forgotten = ledger.forgotten.get(&address);
            if take_back_entry(ledger.entries.entry(address.clone()), entry, forgotten, &here) {
                lost.insert(address);
            }
        }
    }
    lost.into_iter().collect()
}

/// Returns git's versions of the file outside a switch of branches. If `HEAD` and the index differ,
/// either someone took an earlier lockfile from git, or a switch is about to end.
fn settled_versions(file: &Path) -> Result<Versions, String> {
    let versions = git::ask::versions(file)?;
    if versions.index == versions.head || versions.head.is_none() {
        return Ok(versions);
    }
    std::thread::sleep(SWITCH);
    let again = git::ask::versions(file)?;
    // A version that still changes belongs to a switch of branches; the next scan looks again.
    Ok(if again == versions { again } else { Versions { index: again.index, ..Versions::default() } })
}

/// Adds to an entry the revisions of `theirs` that it lost: those that were neither forgotten nor
/// moved to another address, as after a rename.
fn take_back_entry(
    ours: btree_map::Entry<'_, Address, LockfileEntry>,
    theirs: LockfileEntry,
    forgotten: Option<&Forgotten>,
    here: &BTreeSet<RevisionKey>,
) -> bool {
    let is_forgotten = |asset_id, era| forgotten.is_some_and(|forgotten| forgotten.covers(asset_id, era));
    let is_lost = |key: RevisionKey, fact: &RevisionFact| !here.contains(&key) && !is_forgotten(key.asset_id, fact.era);
    let lost: Vec<(RevisionKey, RevisionFact)> =
        theirs.history.iter().filter(|(key, fact)| is_lost(*key, fact)).map(|(key, fact)| (key, *fact)).collect();
    if lost.is_empty() {
        return false;
    }
    match ours {
        btree_map::Entry::Vacant(place) => {
            place.insert(theirs);
        }
        btree_map::Entry::Occupied(mut place) => {
            let history = &mut place.get_mut().history;
            for (key, fact) in lost {
                history.add(key, fact);
                if history.listing(key.asset_id).is_none() {
                    history.list(key.asset_id, theirs.history.listing(key.asset_id));
                }
            }
        }
    }
    true
}
