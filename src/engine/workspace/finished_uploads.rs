//! Finds in git's history of the lockfile which open uploads another machine finished.
//!
//! Only rare uploads are looked for: those that are open in this machine's state while the lockfile
//! has their content. Read next: [`crate::state::lockfile::finished`], for what proves it.

use std::collections::{BTreeMap, BTreeSet};

use crate::engine::workspace::git::ask::{self, FileCommit};
use crate::engine::workspace::lockfile::parse;
use crate::engine::workspace::project::Project;
use crate::model::phase::Intent;
use crate::state::lockfile::finished::{is_finished, may_have, open_lines};

/// Returns those of the uploads that a commit of the checked-out history took out of the lockfile as
/// done. Blocks: it runs git.
///
/// A merge proves nothing, since it may have taken the lockfile of one side. A rebase in which a
/// person took one side can't be told from a commit that finished the upload. An upload of which git
/// tells nothing stays open, and Roblox is asked about it.
pub(crate) fn find(project: &Project, remote: &str, in_question: &[Intent]) -> Vec<Intent> {
    // The lockfile of the embedded emulator lies elsewhere, unknown to git.
    if in_question.is_empty() || project.lockfile.parent() != Some(&*project.root) {
        return Vec::new();
    }
    let history = || {
        let Some(commit) = ask::versions(&project.lockfile)?.commit else { return Ok(None) };
        ask::history(&project.lockfile, &commit, every_content).map(Some)
    };
    let history = match history() {
        Ok(Some(history)) => history,
        Ok(None) => return Vec::new(),
        Err(why) => {
            tracing::debug!("can't tell whether another machine finished an upload: {why}");
            return Vec::new();
        }
    };
    let text_of = |commit: &FileCommit| history.contents.get(commit.blob.as_ref()?).map(Vec::as_slice);
    let by_name: BTreeMap<&str, &FileCommit> =
        history.commits.iter().map(|commit| (commit.commit.as_str(), commit)).collect();
    let mut finished = Vec::new();
    let mut open: Vec<&Intent> = in_question.iter().collect();
    for after in &history.commits {
        let [parent] = after.parents.as_slice() else { continue };
        let texts = by_name.get(parent.as_str()).and_then(|before| Some((text_of(before)?, text_of(after)?)));
        let Some((before, after)) = texts else { continue };
        let (lines_before, lines_after) = (open_lines(before), open_lines(after));
        let may_be_over = |intent: &&Intent| may_have(&lines_before, intent) && !may_have(&lines_after, intent);
        if !open.iter().any(may_be_over) {
            continue;
        }
        // Somebody may have committed one with the marks of a conflict.
        let (Ok(before), Ok(after)) = (parse(project, remote, Some(before)), parse(project, remote, Some(after)))
        else {
            continue;
        };
        let (over, rest): (Vec<_>, Vec<_>) = open.into_iter().partition(|intent| is_finished(intent, &before, &after));
        finished.extend(over.into_iter().cloned());
        open = rest;
    }
    finished
}

/// Returns the names of the contents of all commits, those inside merged branches included.
fn every_content(history: &[FileCommit], _: &str) -> BTreeSet<String> {
    history.iter().filter_map(|commit| commit.blob.clone()).collect()
}
