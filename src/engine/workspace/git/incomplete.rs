//! Whether a clone may lack a part of git's history, by git's own files.
//!
//! A shallow clone has no commit before some. A partial clone has all commits, and of the files those
//! that it was asked for; so has a clone that borrows from one or was copied from one, whatever its own
//! configuration says. Read next: `workspace/unseen_history.rs`, which asks what may be missed by that.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::Path;

use super::{MAX_REFS, Unread, private_folder, read, read_at_most, shared_folder};

/// How far git follows repositories that borrow from each other.
const BORROWERS: usize = 5;

/// Returns the commits at which the history of a shallow clone around `folder` ends; none of another
/// one.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn last_commits(folder: &Path) -> Result<BTreeSet<String>, String> {
    let read = || {
        let Some(private) = private_folder(folder)? else { return Ok(None) };
        read_at_most(&shared_folder(&private)?.join("shallow"), MAX_REFS)
    };
    let ends: Option<String> = read().map_err(|unread: Unread| unread.to_string())?;
    Ok(ends.unwrap_or_default().lines().map(str::to_owned).collect())
}

/// Returns whether the clone around `folder` may lack contents of earlier commits, which git would
/// fetch when they are needed.
///
/// # Errors
/// Returns why it is unknown: lower case, no full stop.
pub(crate) fn is_partial_clone(folder: &Path) -> Result<bool, String> {
    let look = || {
        let Some(private) = private_folder(folder)? else { return Ok(false) };
        let shared = shared_folder(&private)?;
        let config = read(&shared.join("config"))?.unwrap_or_default();
        // `extensions.partialClone`, or `partialCloneFilter` of a remote, by git's version. The configuration
        // forgets both with the remote, and the packs stay.
        Ok(config.to_ascii_lowercase().contains("partialclone") || has_promised(&shared.join("objects"), BORROWERS)?)
    };
    look().map_err(|unread: Unread| unread.to_string())
}

/// Returns whether a folder of objects, or one that it borrows from, has a pack for which git would
/// fetch more: a file beside it says so.
fn has_promised(objects: &Path, borrowers: usize) -> Result<bool, Unread> {
    let packs = objects.join("pack");
    let unread = |source| Unread { path: packs.clone(), source };
    match fs::read_dir(&packs) {
        Ok(entries) => {
            for entry in entries {
                if Path::new(&entry.map_err(unread)?.file_name()).extension().is_some_and(|end| end == "promisor") {
                    return Ok(true);
                }
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(unread(error)),
    }
    let lenders = read_at_most(&objects.join("info").join("alternates"), MAX_REFS)?.unwrap_or_default();
    let lenders = lenders.lines().filter(|line| !line.is_empty() && !line.starts_with('#'));
    let Some(borrowers) = borrowers.checked_sub(1) else { return Ok(lenders.count() > 0) };
    for lender in lenders {
        // Git quotes a path with unusual characters, which is not undone here.
        if lender.starts_with('"') || has_promised(&objects.join(lender), borrowers)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Returns whether the clone around `folder` may lack a part of its history.
pub(in super::super) fn may_lack_history(folder: &Path) -> bool {
    last_commits(folder).map_or(true, |last| !last.is_empty()) || is_partial_clone(folder).unwrap_or(true)
}
