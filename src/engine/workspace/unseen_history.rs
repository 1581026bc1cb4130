//! Looks which part of the lockfile's history this clone lacks, and of which files that may tell
//! something.
//!
//! Where the known history begins, the lockfile may already have lost an entry. A file that wasn't
//! there then, nor its content under another name, can't be meant: it is new. Of all others nothing is
//! known. Read next:
//! [`crate::engine::workspace::lost_entries`], which takes entries back as far as the history is here.

use crate::engine::workspace::git::{self, ask, at_commit};
use crate::engine::workspace::lost_entries::{self, HistoryEnd};
use crate::engine::workspace::project::Project;
use crate::manifest;
use crate::model::desired::Desired;
use crate::model::unseen_history::{HistoryGap, OpenFiles, UnseenHistory};
use crate::platform::own_file::Access;
use crate::state::lockfile;

/// Returns the part of the lockfile's history that this clone lacks; `None` if it has all of it, or
/// git has no lockfile of this project. Blocks: it runs git, except in a whole clone.
pub(crate) fn look(project: &Project, desired: &Desired) -> Option<UnseenHistory> {
    // A rehearsal's lockfile is unknown to git.
    if project.lockfile_access == Access::Private || desired.assets.is_empty() {
        return None;
    }
    ask_git(project, desired).unwrap_or_else(|why| {
        let is_partial = git::is_partial_clone(&project.root) == Ok(true);
        let partial = is_partial.then(|| project.lockfile_name());
        Some(UnseenHistory { gap: HistoryGap::Unread { why, partial }, files: OpenFiles::All })
    })
}

fn ask_git(project: &Project, desired: &Desired) -> Result<Option<UnseenHistory>, String> {
    let last = git::last_commits(&project.root)?;
    if last.is_empty() && !git::is_partial_clone(&project.root)? {
        return Ok(None);
    }
    let Some(commit) = ask::versions(&project.lockfile)?.commit else { return Ok(None) };
    let history = ask::history(&project.lockfile, &[&commit], |all| lost_entries::needed(all, usize::MAX))?;
    let has = |commit: &str| at_commit::has(&project.lockfile, commit);
    let here = lockfile::read(&project.lockfile).ok().flatten();
    let (gap, from) = match lost_entries::history_end(&history, here.as_deref(), &last, has)? {
        Some(HistoryEnd::NoEarlierCommit(from)) => (HistoryGap::Shallow, from),
        Some(HistoryEnd::NoContent(from)) => (HistoryGap::Partial { lockfile: project.lockfile_name() }, from),
        None => return Ok(None),
    };
    Ok(Some(UnseenHistory { gap, files: open_files(project, desired, &from)? }))
}

/// Returns the files that were there at the commit `from`, by name or by content, and those whose
/// address the manifest had then.
fn open_files(project: &Project, desired: &Desired, from: &str) -> Result<OpenFiles, String> {
    // One that can't be used is not uploaded, whatever it holds.
    let files = desired.assets.values().map(|want| (&want.path, want.content.as_ref().ok()));
    let files = at_commit::files_at(&project.manifest, from, files)?;
    let at_commit::EarlierFiles { mut existed, known_content } = files;
    // A key keeps its entry in the lockfile, whatever its file is called.
    let mut keys = desired.assets.iter().filter(|(address, want)| address.as_str() != want.path.as_str()).peekable();
    if keys.peek().is_some() && at_commit::has(&project.manifest, from)? {
        let text = at_commit::content(&project.manifest, from)?;
        let earlier = text.and_then(|text| manifest::parse(&text, &project.manifest_name()).ok());
        let lines = earlier.map(|manifest| manifest.lines());
        let had = |address| lines.as_ref().is_none_or(|lines| lines.of_address(address).is_some());
        existed.extend(keys.filter(|(address, _)| had(address)).map(|(_, want)| want.path.clone()));
    }
    Ok(OpenFiles::Of { existed, known_content })
}
