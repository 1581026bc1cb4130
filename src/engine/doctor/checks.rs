//! What the facts about a project mean: one small function a topic. Pure.
//!
//! Each result says what is, and where something is wrong what to do. An unknown fact is never a
//! good one: it is said to be unchecked, with the reason.

mod disks;
mod git_work;
mod stoppages;
mod watching;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

pub(super) use self::disks::disks;
pub(super) use self::git_work::git_work;
pub(super) use self::stoppages::{on_change, service, uploads};
pub(super) use self::watching::watching;
use super::check_result::{CheckResult, CheckTopic};
use super::facts::{
    ConvertedFiles, GitFacts, KeyLookup, KnownToGit, LockfileFacts, OutputFacts, Publishing, StateFacts,
};
use crate::cloud::client::reach::{ReachError, Reached};
use crate::cloud::failure::TransportError;
use crate::engine::remote::key::{self, KeyVerdict};
use crate::engine::remote::remote_clock::{self, ClockOffset, SET_CLOCK};
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::git::ask::Tracking;
use crate::engine::workspace::git::unpushed::UnpushedCommit;
use crate::engine::workspace::unfinished_merge::UnfinishedMerge;
use crate::manifest::Diagnostic;
use crate::model::ids::Creator;
use crate::model::minute::Minute;
use crate::model::proposed::quoted;
use crate::model::shown::{foreign, with_causes};
use crate::model::unseen_history::FETCH_ALL;
use crate::plan::Hold;
use crate::plan::reason::hold::HoldKind;
use crate::state::lockfile::driver;

/// A clock that is off by more than this is worth a word: certificates, expiry of keys and the
/// times in a lockfile go by it.
const CLOCK_WARNING: SignedDuration = SignedDuration::from_mins(2);

/// A clock that is off by more than this makes TLS and the lockfile's times useless.
const CLOCK_ERROR: SignedDuration = SignedDuration::from_hours(12);

/// The names of files or folders that a message lists.
const LISTED: usize = 5;

/// The first names of a list, and how many more there are.
fn list(names: &[String]) -> String {
    let shown: Vec<_> = names.iter().take(LISTED).map(|name| foreign(name)).collect();
    let more = names.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", shown.join(", "))
}

/// `1 file`, `2 files`.
fn count(number: usize, noun: &str) -> String {
    if number == 1 { format!("1 {noun}") } else { format!("{number} {noun}s") }
}

/// The asset files: `unusable` ones, and those of them that are Git LFS `pointers`, of `all`.
pub(super) fn files(all: usize, unusable: &[String], pointers: &[String]) -> Vec<CheckResult> {
    let topic = CheckTopic::Files;
    let mut results = Vec::new();
    if !pointers.is_empty() {
        let message = format!("{} in place of files: {}", count(pointers.len(), "Git LFS pointer"), list(pointers));
        let hint = "install Git LFS, then run `git lfs install` and `git lfs pull`; on CI, check out with LFS";
        results.push(CheckResult::error(topic, message, Some(hint.to_owned())));
    }
    let others: Vec<String> = unusable.iter().filter(|path| !pointers.contains(path)).cloned().collect();
    if !others.is_empty() {
        let message = format!("{} can't be used: {}", count(others.len(), "file"), list(&others));
        results.push(CheckResult::error(topic, message, Some("`macadam check` says why".to_owned())));
    }
    if results.is_empty() {
        let message = if all == 0 {
            "the manifest has no assets yet".to_owned()
        } else {
            format!("{} can be used", count(all, "file"))
        };
        results.push(CheckResult::fine(topic, message));
    }
    results
}

/// Assets that no sync brings up to date before a person does something. Files that can't be used
/// have a check of their own.
pub(super) fn assets(held: &[Hold]) -> Option<CheckResult> {
    let of = |is_meant: fn(&Hold) -> bool| {
        let found = held.iter().filter(|hold| is_meant(hold)).map(|hold| &hold.address);
        found.collect::<BTreeSet<_>>().len()
    };
    let counts = [
        (of(|hold| hold.kind() == HoldKind::Held), "on hold"),
        (of(|hold| hold.kind() == HoldKind::Rejected), "rejected by moderation"),
        (of(|hold| hold.reason.is_refusal()), "refused by Roblox"),
    ];
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let counts: Vec<String> = counts.map(|(number, word)| format!("{number} {word}")).collect();
    let message = format!("not every asset can be brought up to date: {}", counts.join(", "));
    let hint = "`macadam status` says which and why";
    (!counts.is_empty()).then(|| CheckResult::warning(CheckTopic::Assets, message, hint))
}

/// Likely mistakes that are no errors.
pub(super) fn notes(topic: CheckTopic, found: &[&Diagnostic]) -> Vec<CheckResult> {
    let hint = |note: &Diagnostic| note.hint.clone().unwrap_or_else(|| "`macadam check` lists all of these".to_owned());
    found.iter().map(|note| CheckResult::warning(topic, &note.message, hint(note))).collect()
}

/// Asset files that git converted here: another machine has other bytes, and uploads them again.
pub(super) fn line_endings(found: &ConvertedFiles) -> CheckResult {
    let topic = CheckTopic::LineEndings;
    match found {
        ConvertedFiles::NoCheckout => CheckResult::unchecked(topic, "this project isn't in a git checkout"),
        ConvertedFiles::Unknown { why } => CheckResult::unchecked(topic, why),
        ConvertedFiles::Known(files) if files.is_empty() => {
            CheckResult::fine(topic, "asset files have the same line endings here and in git")
        }
        ConvertedFiles::Known(files) => {
            let mut endings: Vec<&str> =
                files.iter().filter_map(|file| file.rsplit_once('.').map(|(_, extension)| extension)).collect();
            endings.sort_unstable();
            endings.dedup();
            let lines: Vec<String> = endings.iter().map(|ending| format!("`*.{} -text`", foreign(ending))).collect();
            CheckResult::warning(
                topic,
                format!(
                    "git changed the line endings of {} here, so machines differ and upload them in turns: {}",
                    count(files.len(), "asset file"),
                    list(files)
                ),
                format!(
                    "write {} into .gitattributes and commit it; then delete these files here, and bring them back \
                     with `git restore`",
                    lines.join(" and ")
                ),
            )
        }
    }
}

/// Whether `remote` answers.
pub(super) fn network(reached: &Result<Reached, ReachError>, remote: &str) -> CheckResult {
    let topic = CheckTopic::Network;
    match reached {
        Ok(Reached { status, .. }) if *status >= 500 => CheckResult::warning(
            topic,
            format!("{remote} answers, but with the error {status}"),
            "Roblox may be down: see status.roblox.com. Macadam tries again by itself",
        ),
        Ok(_) => CheckResult::fine(topic, format!("{remote} answers")),
        Err(ReachError::Transport(TransportError::Certificate { .. })) => {
            CheckResult::unchecked(topic, "nothing can be asked before the clock is right")
        }
        Err(error) => CheckResult::error(
            topic,
            foreign(&with_causes(error)).into_owned(),
            Some(
                "check the connection of this machine, and whether a firewall or a proxy is in the way (Macadam \
                 respects HTTPS_PROXY)"
                    .to_owned(),
            ),
        ),
    }
}

/// This machine's clock against the remote's.
pub(super) fn clock(date: Option<Timestamp>, now: Timestamp) -> CheckResult {
    let topic = CheckTopic::Clock;
    let Some(date) = date else { return CheckResult::unchecked(topic, "no server said what time it is") };
    let offset = ClockOffset::between(date, now);
    if offset.apart() > CLOCK_ERROR {
        CheckResult::error(topic, offset.to_string(), Some(SET_CLOCK.to_owned()))
    } else if offset.apart() > CLOCK_WARNING {
        CheckResult::warning(topic, offset.to_string(), SET_CLOCK)
    } else {
        CheckResult::fine(topic, "this machine's clock is right")
    }
}

/// The certificate of the remote isn't valid at this machine's time, as `message` says.
pub(super) fn untimely(message: &str, now: Timestamp) -> CheckResult {
    CheckResult::error(CheckTopic::Clock, remote_clock::untimely(message, now), Some(SET_CLOCK.to_owned()))
}

/// The API key, and whether it may change the assets of these creators.
pub(super) fn key(found: &KeyLookup, creators: &BTreeSet<Creator>, now: Timestamp) -> Vec<CheckResult> {
    let topic = CheckTopic::Key;
    let unchecked = |why: &str| creators_unchecked(creators, why);
    match found {
        KeyLookup::Missing { near: Some((fault, remedy)) } => {
            let none = CheckResult::warning(topic, format!("there is no API key here: {}", foreign(fault)), remedy);
            std::iter::once(none).chain(unchecked("there is no API key")).collect()
        }
        KeyLookup::Missing { near: None } => {
            let hint = "only commands that talk to Roblox need one: set ROBLOX_API_KEY, or name a file with \
                        --api-key-file";
            let none = CheckResult {
                hint: Some(hint.to_owned()),
                ..CheckResult::unchecked(topic, "there is no API key here")
            };
            std::iter::once(none).chain(unchecked("there is no API key")).collect()
        }
        KeyLookup::Unusable { message, hint } => {
            let unusable = CheckResult::error(topic, message, hint.clone());
            std::iter::once(unusable).chain(unchecked("the API key can't be used")).collect()
        }
        KeyLookup::Token => {
            let token = CheckResult::unchecked(topic, "an OAuth token is used, and Roblox says nothing about those");
            std::iter::once(token).chain(unchecked("Roblox says nothing about OAuth tokens")).collect()
        }
        KeyLookup::Unasked { why } => {
            let unknown = CheckResult::unchecked(topic, foreign(why));
            std::iter::once(unknown).chain(unchecked("nothing is known about the key")).collect()
        }
        KeyLookup::Refused { message, hint } => {
            let refused = CheckResult::error(topic, foreign(message), hint.clone());
            std::iter::once(refused).chain(unchecked("Roblox refused the key")).collect()
        }
        KeyLookup::Known(facts) => {
            let KeyVerdict { stop, forbidden, warning, .. } = key::judge(facts, creators, now);
            if let Some(Stop::Credential { message, hint }) = stop {
                let useless = CheckResult::error(topic, foreign(&message), Some(hint));
                return std::iter::once(useless).chain(unchecked("the key can't be used")).collect();
            }
            let name =
                facts.name.as_ref().map_or_else(|| "the key".to_owned(), |name| format!("the key `{}`", foreign(name)));
            let owner = facts.owner.map(|owner| format!(" of user {owner}")).unwrap_or_default();
            let expiry = match facts.expires_at {
                Some(at) => format!("expires at {}", Minute(at)),
                None => "doesn't say when it expires".to_owned(),
            };
            let mut scopes: Vec<String> = facts
                .scopes
                .iter()
                .flat_map(|scope| scope.operations.iter().map(|what| format!("{}:{what}", scope.name)))
                .collect();
            scopes.sort_unstable();
            scopes.dedup();
            let scopes =
                if scopes.is_empty() { String::new() } else { format!("; it has {}", foreign(&scopes.join(" and "))) };
            let good = CheckResult::fine(topic, format!("{name}{owner} {expiry}{scopes}"));
            let soon = warning.map(|message| {
                CheckResult::warning(
                    topic,
                    foreign(&message),
                    "make a new key in time, and give it to every machine that syncs",
                )
            });
            let of_creators = creators.iter().map(|creator| match forbidden.get(creator) {
                Some(message) => CheckResult::error(
                    CheckTopic::Creator,
                    foreign(message),
                    Some(format!(
                        "give the key access to {} at https://create.roblox.com/dashboard/credentials, or correct the \
                         creator in the manifest",
                        creator.in_words()
                    )),
                ),
                None if facts.may("write", *creator) == Some(true) => CheckResult::fine(
                    CheckTopic::Creator,
                    format!("the key may change the assets of {}", creator.in_words()),
                ),
                None => CheckResult::unchecked(
                    CheckTopic::Creator,
                    format!("Roblox doesn't say whether the key may change the assets of {}", creator.in_words()),
                ),
            });
            soon.into_iter().chain([good]).chain(of_creators).collect()
        }
    }
}

fn creators_unchecked(creators: &BTreeSet<Creator>, why: &str) -> Vec<CheckResult> {
    let of_creator = |creator: &Creator| {
        CheckResult::unchecked(
            CheckTopic::Creator,
            format!("access to the assets of {} wasn't checked: {why}", creator.in_words()),
        )
    };
    creators.iter().map(of_creator).collect()
}

/// The state.
pub(super) fn state(found: &StateFacts) -> Vec<CheckResult> {
    let topic = CheckTopic::State;
    let StateFacts { opened, holder, has_lost_outcomes } = found;
    let mut results = Vec::new();
    match opened {
        Err((message, hint)) => results.push(CheckResult::error(topic, message, hint.clone())),
        Ok(false) => {
            results.push(CheckResult::fine(topic, "there is none yet: the next sync makes it from the lockfile"))
        }
        Ok(true) => results.push(CheckResult::fine(topic, "it is whole")),
    }
    if *has_lost_outcomes {
        results.push(CheckResult::warning(
            topic,
            "a full disk kept an earlier run from writing down how uploads ended",
            "free some space, run `macadam sync --once`, and see `macadam status`",
        ));
    }
    if let Some(holder) = holder {
        results.push(CheckResult::fine(topic, format!("{} uses it now", foreign(holder))));
    }
    results
}

/// The lockfile against the state.
pub(super) fn lockfile(found: &LockfileFacts) -> Vec<CheckResult> {
    let topic = CheckTopic::Lockfile;
    let LockfileFacts { name, read, lost, taken_back, would_change, has_state, has_crlf } = found;
    let mut results = Vec::new();
    match (read, lost) {
        (Err((message, hint)), _) => results.push(CheckResult::error(topic, message, hint.clone())),
        (Ok(_), Some((message, hint))) => results.push(CheckResult::error(topic, foreign(message), hint.clone())),
        (Ok(false), None) => {
            results.push(CheckResult::fine(topic, format!("there is no {name} yet: the first sync makes it")))
        }
        (Ok(true), None) if !taken_back.is_empty() => results.push(CheckResult::warning(
            topic,
            format!(
                "{name} lost {}, which an earlier one in git's history has: {}",
                if taken_back.len() == 1 { "an entry" } else { "entries" },
                list(taken_back)
            ),
            format!("run `macadam sync --once`, which takes that back, and commit {name}"),
        )),
        (Ok(true), None) if *would_change == Some(true) => results.push(CheckResult::warning(
            topic,
            match has_state {
                true => format!("{name} lacks what the state of this machine knows"),
                false => format!("{name} is behind the manifest and its files"),
            },
            format!("run `macadam sync --once`, and commit {name}"),
        )),
        (Ok(true), None) => results.push(CheckResult::fine(topic, format!("{name} can be used"))),
    }
    if *has_crlf {
        results.push(CheckResult::warning(
            topic,
            format!("{name} has Windows line endings here, which git takes for a change of every line"),
            format!("write `{}` into .gitattributes", driver::attribute(name)),
        ));
    }
    results
}

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
pub(super) fn git(found: &GitFacts, name: &str, publishing: Publishing) -> Vec<CheckResult> {
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
    if known.merge.as_deref() != Some("macadam") {
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
pub(super) fn shallow_clone(found: &GitFacts, archives: bool) -> Option<CheckResult> {
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

/// The outputs.
pub(super) fn outputs(found: &OutputFacts) -> Vec<CheckResult> {
    let topic = CheckTopic::Outputs;
    let OutputFacts { all, due, broken } = found;
    let mut results: Vec<CheckResult> = broken
        .iter()
        .map(|(path, message, hint)| {
            CheckResult::error(topic, format!("{}: {}", foreign(path), foreign(message)), hint.clone())
        })
        .collect();
    if !due.is_empty() {
        let message = format!("{} out of date: {}", count(due.len(), "output"), list(due));
        results.push(CheckResult::warning(topic, message, "run `macadam outputs`, and commit what it writes"));
    }
    if results.is_empty() {
        let message = if *all == 0 {
            "the manifest has none".to_owned()
        } else {
            format!("{} up to date", count(*all, "output"))
        };
        results.push(CheckResult::fine(topic, message));
    }
    results
}
