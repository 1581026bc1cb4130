//! Evidence that a missing lockfile was lost: git's commit, and other lockfiles beside it.

use std::collections::BTreeMap;
use std::path::Path;

use crate::engine::workspace::git;
use crate::engine::workspace::project::Project;
use crate::model::missing_lockfile::{InHead, MissingLockfile, OtherLockfile};
use crate::state::lockfile;

/// The end of a lockfile's name.
const SUFFIX: &str = ".lock.toml";

/// Returns the evidence found in place of the lockfile of `project`; `None` if something is at its
/// path, even a dangling link. Blocks: it reads the disk and runs git.
pub(crate) fn find(project: &Project, remote: &str, was_known: bool) -> Option<MissingLockfile> {
    // The lockfile of the embedded emulator lies elsewhere, unknown to git and other manifests.
    let is_real = project.lockfile.parent() == Some(&*project.root);
    if !is_real || std::fs::symlink_metadata(&project.lockfile).is_ok() {
        return None;
    }
    let name = project.lockfile_name();
    let in_head = match git::ask::head_has(&project.lockfile) {
        Ok(false) => InHead::No,
        Ok(true) => InHead::Yes { sparse: git::partial(&project.root).is_some() },
        Err(why) => InHead::Unknown { why },
    };
    let others = others(&project.root, &name, remote);
    Some(MissingLockfile { name, in_head, others, was_known, is_written_anew: false })
}

/// Returns the evidence for a lockfile that was lost and that this machine has written anew.
pub(crate) fn written_anew(project: &Project) -> MissingLockfile {
    let name = project.lockfile_name();
    MissingLockfile { name, in_head: InHead::No, others: Vec::new(), was_known: true, is_written_anew: true }
}

/// Returns the other lockfiles of the same remote in a folder. An unreadable one says nothing about
/// this manifest.
fn others(folder: &Path, name: &str, remote: &str) -> Vec<OtherLockfile> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|other| other.ends_with(SUFFIX) && other != name).collect();
    names.sort();
    names.into_iter().filter_map(|name| other(folder, name, remote)).collect()
}

fn other(folder: &Path, name: String, remote: &str) -> Option<OtherLockfile> {
    let path = folder.join(&name);
    let ledger = lockfile::parse(&lockfile::read(&path).ok()??, &path).ok()?;
    ledger.require_remote(remote, &path).ok()?;
    let manifest = format!("{}.toml", name.strip_suffix(SUFFIX)?);
    let has_manifest = folder.join(&manifest).exists();
    let files = ledger.entries.into_values().map(|entry| (entry.identity.path, entry.identity.creator));
    let files: BTreeMap<_, _> = files.collect();
    Some(OtherLockfile { name, manifest, has_manifest, files })
}
