//! What the facts about a project mean: one small function a topic. Pure.
//!
//! Each result says what is, and where something is wrong what to do. An unknown fact is never a
//! good one: it is said to be unchecked, with the reason.

mod disks;
mod git_work;
mod in_git;
mod stoppages;
mod watching;

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};

pub(super) use self::disks::disks;
pub(super) use self::git_work::git_work;
pub(super) use self::in_git::{git, shallow_clone};
pub(super) use self::stoppages::{on_change, service, uploads};
pub(super) use self::watching::watching;
use super::check_result::{CheckResult, CheckTopic};
use super::facts::{ConvertedFiles, KeyLookup, LockfileFacts, OutputFacts, StateFacts};
use crate::cloud::client::reach::{ReachError, Reached};
use crate::cloud::failure::TransportError;
use crate::engine::remote::key::{self, KeyVerdict};
use crate::engine::remote::remote_clock::{self, ClockOffset, SET_CLOCK};
use crate::engine::report::run_report::Stop;
use crate::manifest::Diagnostic;
use crate::model::ids::Creator;
use crate::model::minute::Minute;
use crate::model::shown::{foreign, with_causes};
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
pub(super) fn files(all: usize, fileless: usize, unusable: &[String], pointers: &[String]) -> Vec<CheckResult> {
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
    if all == 0 && fileless > 0 {
        let message = format!("the manifest finds no file, and the lockfile has {}", count(fileless, "asset"));
        let hint = "if another machine has the files, add them to git there, commit and push";
        results.push(CheckResult::warning(topic, message, hint));
    }
    if results.is_empty() {
        let message = if all == 0 {
            "the manifest lists no asset".to_owned()
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
