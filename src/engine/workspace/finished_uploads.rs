//! Finds in git's history of the lockfile which uploads another machine finished.
//!
//! Only rare uploads are looked for: those in doubt, and those of which Roblox no longer knows the
//! operation, while an asset with their content is known. Read next:
//! [`crate::state::lockfile::finished`], for what proves it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::engine::workspace::git;
use crate::engine::workspace::git::ask::{self, FileCommit, FileHistory};
use crate::engine::workspace::lockfile::parse;
use crate::engine::workspace::project::Project;
use crate::model::ids::AssetId;
use crate::model::phase::Intent;
use crate::state::lockfile::finished::{UploadInQuestion, names, results};

/// Git's history of one project's lockfile. Clones share it.
#[derive(Debug, Clone)]
pub(crate) struct FinishedUploads {
    project: Arc<Project>,
    remote: Arc<str>,
}

impl FinishedUploads {
    pub(super) fn new(project: &Project, remote: &str) -> Self {
        Self { project: Arc::new(project.clone()), remote: remote.into() }
    }

    /// Returns those of the uploads that [`find`] finds, on another thread.
    pub(in crate::engine) async fn find(&self, in_question: Vec<UploadInQuestion>) -> Vec<Intent> {
        if in_question.is_empty() {
            return Vec::new();
        }
        let Self { project, remote } = self.clone();
        let looked = tokio::task::spawn_blocking(move || find(&project, &remote, &in_question)).await;
        looked.unwrap_or_else(|panic| std::panic::resume_unwind(panic.into_panic()))
    }
}

/// Returns those of the uploads that certainly ended: one of their possible results never came into
/// the lockfile otherwise than by a plain commit that took the open upload out. Blocks: it runs git.
///
/// All branches count that this clone has: an asset that came without the upload on one of them is
/// that of another upload, whatever a squashed merge, a checkout or a revert made of it later. So it
/// is if an earlier lockfile had it, also as a forgotten one. A merge proves nothing, since it may
/// have taken the lockfile of one side. Where a part of the history is not here, nothing is certain,
/// and the upload stays open.
pub(crate) fn find(project: &Project, remote: &str, in_question: &[UploadInQuestion]) -> Vec<Intent> {
    // The lockfile of the embedded emulator lies elsewhere, unknown to git.
    if in_question.is_empty() || project.lockfile.parent() != Some(&*project.root) {
        return Vec::new();
    }
    let history = || {
        let Some(commit) = ask::versions(&project.lockfile)?.commit else { return Ok(None) };
        ask::history(&project.lockfile, &[&commit, "--branches", "--remotes"], every_content).map(Some)
    };
    let history = match history() {
        Ok(Some(history)) => history,
        Ok(None) => return Vec::new(),
        Err(why) => {
            tracing::debug!("can't tell whether another machine finished an upload: {why}");
            return Vec::new();
        }
    };
    // A commit without a lockfile, or with one that the clone lacks.
    let lacks = history.commits.iter().any(|commit| commit.blob.is_none());
    if lacks && git::is_partial_clone(&project.root) != Ok(false) {
        return Vec::new();
    }
    let Some(versions) = LockfileVersions::of(&history) else { return Vec::new() };
    let ended = in_question.iter().filter(|question| {
        let is_result = |asset_id: &AssetId| versions.shows(project, remote, &question.intent, *asset_id);
        question.results.iter().any(is_result)
    });
    ended.map(|question| question.intent.clone()).collect()
}

/// Returns the names of the contents of all commits, those inside merged branches included.
fn every_content(history: &FileHistory) -> BTreeSet<String> {
    history.commits.iter().filter_map(|commit| commit.blob.clone()).collect()
}

/// Every version of a lockfile.
struct LockfileVersions<'a> {
    history: &'a FileHistory,
    /// The text of each commit's lockfile; empty if the commit has none.
    texts: BTreeMap<&'a str, &'a [u8]>,
}

impl<'a> LockfileVersions<'a> {
    /// `None` if one of them is not here.
    fn of(history: &'a FileHistory) -> Option<Self> {
        let text = |commit: &'a FileCommit| match &commit.blob {
            Some(blob) => Some((commit.commit.as_str(), history.contents.get(blob)?.as_slice())),
            None => Some((commit.commit.as_str(), [].as_slice())),
        };
        Some(Self { history, texts: history.commits.iter().map(text).collect::<Option<_>>()? })
    }

    /// Returns whether every commit that brought the asset shows it as the result of the upload.
    fn shows(&self, project: &Project, remote: &str, intent: &Intent, asset_id: AssetId) -> bool {
        let names_it = |commit: &str| self.texts.get(commit).map(|text| names(text, asset_id));
        let mut brought = self.history.commits.iter().filter(|after| {
            let is_new = |parent: &String| names_it(parent) != Some(true);
            names_it(&after.commit) == Some(true) && after.parents.iter().all(is_new)
        });
        let is_result = |after: &FileCommit| {
            let [parent] = after.parents.as_slice() else { return false };
            let text = |commit: &str| self.texts.get(commit).copied();
            let (Some(before), Some(after)) = (text(parent), text(&after.commit)) else { return false };
            // Somebody may have committed one with the marks of a conflict.
            let (Ok(before), Ok(after)) = (parse(project, remote, Some(before)), parse(project, remote, Some(after)))
            else {
                return false;
            };
            results(intent, &before, &after).contains(&asset_id)
        };
        let first = brought.next();
        first.is_some_and(|first| is_result(first) && brought.all(is_result))
    }
}
