//! What git does with the lockfile, and what a clone lacks.

use super::super::check_result::{CheckResult, CheckTopic};
use super::super::facts::{GitFacts, KnownToGit, Publishing};
use crate::engine::workspace::git::ask::Tracking;
use crate::engine::workspace::git::unpushed::UnpushedCommit;
use crate::engine::workspace::unfinished_merge::UnfinishedMerge;
use crate::model::proposed::quoted;
use crate::model::shown::foreign;
use crate::model::unseen_history::FETCH_ALL;
use crate::state::lockfile::driver;

/// Whether git has the lockfile `name`, as it is here.
fn tracking(known: &KnownToGit, name: &str, publishing: Publishing) -> Option<CheckResult> {
    let (topic, file) = (CheckTopic::Git, quoted(name));
    let unchecked = |why: &str| Some(CheckResult::unchecked(topic, format!("{name} {why}")));
    match publishing {
        Publishing::OfThisMachine if known.tracking == Tracking::Tracked => {
            let message = format!("{name} is in git, but belongs to a server on this machine and to no Roblox");
            let hint = format!("`git rm --cached {file}`, commit and push that; sync with Roblox writes the real one");
            return Some(CheckResult::warning(topic, message, hint));
        }
        Publishing::OfThisMachine => return unchecked("belongs to a server on this machine, and stays out of git"),
        Publishing::Unknown => return unchecked("can't be used with this server (above)"),
        Publishing::Lost => return unchecked("was lost (above); commit it once it is back"),
        Publishing::Broken if known.tracking == Tracking::Untracked => {
            return unchecked("can't be used (above); commit it once it can");
        }
        Publishing::Broken | Publishing::Usual => {}
    }
    match known.tracking {
        Tracking::Ignored => Some(CheckResult::error(
            topic,
            format!("{name} is ignored by git, so every other machine uploads everything again"),
            Some(format!(
                "`git check-ignore -v {file}` names the line that ignores it: take that out, and commit {name}"
            )),
        )),
        Tracking::Untracked if known.exists => Some(CheckResult::warning(
            topic,
            format!("{name} is not in git, so every other machine uploads everything again"),
            format!("`git add {file}`, commit and push it"),
        )),
        Tracking::Tracked if !known.exists => Some(CheckResult::warning(
            topic,
            format!("{name} is in git, but missing here"),
            format!("`git checkout -- {file}` brings it back"),
        )),
        Tracking::Tracked if known.is_modified => Some(CheckResult::warning(
            topic,
            format!("{name} has changes that are not committed"),
            "commit and push it; on a machine that syncs, `--on-change macadam-commit-push` does that",
        )),
        Tracking::Tracked | Tracking::Untracked => None,
    }
}

/// Whether the branch that other machines get has the lockfile `name`.
fn unpushed(known: &KnownToGit, name: &str) -> Option<CheckResult> {
    let UnpushedCommit { commit, upstream } = known.unpushed.as_ref()?;
    Some(CheckResult::warning(
        CheckTopic::Git,
        format!("the commit {commit} with {name} is not on {}", foreign(upstream)),
        "`git push`: a machine that gets the branch without it uploads the same files again",
    ))
}

/// Git's part in the lockfile `name`.
pub(in crate::engine::doctor) fn git(found: &GitFacts, name: &str, publishing: Publishing) -> Vec<CheckResult> {
    let topic = CheckTopic::Git;
    let known = match found {
        GitFacts::NoCheckout => {
            let hint = "put the project into git: the lockfile has to reach every machine that syncs";
            let message = "this project isn't in a git checkout";
            return vec![CheckResult { hint: Some(hint.to_owned()), ..CheckResult::unchecked(topic, message) }];
        }
        GitFacts::Unknown { why } => return vec![CheckResult::unchecked(topic, foreign(why))],
        GitFacts::Known(known) => known,
    };
    let mut results = Vec::new();
    match known.unfinished_merge {
        // The lockfile's own result says what is wrong with it.
        Some(UnfinishedMerge::Unreadable) => {
            let message = format!("git has several versions of {name} from a merge that isn't finished");
            results.push(CheckResult::unchecked(topic, message));
        }
        Some(merge) => results.push(CheckResult::error(topic, merge.message(name), Some(merge.hint(name)))),
        None => {
            let unpushed = || unpushed(known, name).filter(|_| publishing == Publishing::Usual);
            results.extend(tracking(known, name, publishing).or_else(unpushed));
        }
    }
    if known.merge.as_deref() == Some("union") {
        results.push(CheckResult::error(
            topic,
            format!("git joins the lines of both branches where it merges {name} (`merge=union`), which damages it"),
            Some(format!("write `{}` below that line of .gitattributes, and commit it", driver::attribute(name))),
        ));
    } else if known.merge.as_deref() != Some("macadam") {
        results.push(CheckResult::warning(
            topic,
            format!("git doesn't merge {name} with Macadam's merge driver, so branches conflict in it"),
            format!("write `{}` into .gitattributes, and commit it", driver::attribute(name)),
        ));
    } else if known.driver.is_none() {
        results.push(CheckResult::warning(
            topic,
            format!(".gitattributes names a merge driver for {name} that this clone doesn't have"),
            format!("`{}` sets it up", driver::SET_UP),
        ));
    }
    if results.is_empty() {
        let message = if known.exists {
            format!("{name} is in git, and merged by Macadam's merge driver")
        } else {
            format!("there is no {name} yet; git will merge it by Macadam's merge driver")
        };
        results.push(CheckResult::fine(topic, message));
    }
    results
}

/// A clone without its whole history. `archives` says whether assets are archived that left the
/// manifest: these need to know that a file was there once.
pub(in crate::engine::doctor) fn shallow_clone(found: &GitFacts, archives: bool) -> Option<CheckResult> {
    let GitFacts::Known(KnownToGit { is_shallow: true, .. }) = found else { return None };
    let also = if archives {
        ". Nor can it tell a file that was removed from one that was never committed, so Macadam archives nothing here \
         that it isn't sure of"
    } else {
        ""
    };
    Some(CheckResult::warning(
        CheckTopic::Git,
        format!(
            "this is a shallow clone: assets that the lockfile lost in an earlier commit can't be found in it, so \
             Macadam uploads only what its commits show to be new{also}"
        ),
        FETCH_ALL,
    ))
}
