//! Each check over facts that a machine rarely has.

use std::collections::BTreeSet;

use super::check_result::{CheckOutcome, CheckResult};
use super::checks;
use super::facts::{
    ConvertedFiles, FreeSpace, GitFacts, KeyLookup, KnownToGit, LockfileFacts, OutputFacts, Publishing, StateFacts,
};
use crate::cloud::client::reach::{ReachError, Reached};
use crate::cloud::failure::TransportError;
use crate::cloud::wire::key::{KeyFacts, read_key};
use crate::engine::workspace::git::ask::Tracking;
use crate::engine::workspace::unfinished_merge::UnfinishedMerge;
use crate::model::address::Address;
use crate::model::ids::Creator;
use crate::plan::reason::hold::HoldReason;
use crate::plan::{HeldPart, Hold};

/// The outcomes in one line; everything that is wrong says what to do.
fn outcomes(results: &[CheckResult]) -> String {
    for result in results {
        let is_wrong = result.outcome >= CheckOutcome::Warning;
        assert!(!is_wrong || result.hint.as_ref().is_some_and(|hint| !hint.is_empty()), "{result:?} has no hint");
        assert!(!result.message.ends_with('.'), "{result:?}");
    }
    results
        .iter()
        .map(|result| format!("{} {}", result.topic.name(), result.outcome.name()))
        .collect::<Vec<_>>()
        .join(", ")
}

#[track_caller]
fn check(results: &[CheckResult], wanted: &str, words: &str) {
    assert_eq!(outcomes(results), wanted, "{results:?}");
    let told = results.iter().map(|result| format!("{} {}", result.message, result.hint.clone().unwrap_or_default()));
    let told = told.collect::<Vec<_>>().join("; ");
    assert!(told.contains(words), "{told}");
}

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn pointers_are_told_apart_from_other_unusable_files() {
    check(&checks::files(3, 0, &[], &[]), "files ok", "3 files can be used");
    let (a, b) = (names(&["a.png", "b.png"]), names(&["b.png"]));
    check(
        &checks::files(3, 0, &a, &b),
        "files error, files error",
        "1 Git LFS pointer in place of files: b.png install Git LFS",
    );
    check(&checks::files(3, 0, &a, &[]), "files error", "2 files can't be used: a.png, b.png");
    let many: Vec<String> = (0..8).map(|n| format!("{n}.png")).collect();
    check(&checks::files(8, 0, &many, &[]), "files error", "4.png and 3 more");
    check(&checks::files(1, 0, &names(&["::error::\u{1b}[2J"]), &[]), "files error", "\\u{3a}:error::\\u{1b}");
}

#[test]
fn converted_line_endings_name_the_attribute_that_ends_them() {
    let known = |files: &[&str]| vec![checks::line_endings(&ConvertedFiles::Known(names(files)))];
    check(&known(&[]), "line_endings ok", "same line endings");
    check(&known(&["a.rbxmx", "b.rbxmx", "c.gltf"]), "line_endings warning", "`*.gltf -text` and `*.rbxmx -text`");
    check(&[checks::line_endings(&ConvertedFiles::NoCheckout)], "line_endings unchecked", "git checkout");
}

#[test]
fn a_server_that_fails_is_not_a_network_that_fails() {
    let reached = |status| Ok(Reached { status, date: None });
    let check_network = |reached: Result<Reached, TransportError>, wanted: &str, words: &str| {
        check(&[checks::network(&reached.map_err(ReachError::Transport), "https://x")], wanted, words);
    };
    check_network(reached(404), "network ok", "https://x answers");
    check_network(reached(503), "network warning", "status.roblox.com");
    check_network(
        Err(TransportError::Connect { remote: "https://x".to_owned(), why: "it was reset".to_owned() }),
        "network error",
        "HTTPS_PROXY",
    );
}

#[test]
fn a_clock_that_is_off_is_told_with_its_way() {
    let now = "2026-11-29T04:00:00Z";
    let against =
        |date: Option<&str>| vec![checks::clock(date.map(|date| date.parse().unwrap()), now.parse().unwrap())];
    check(&against(None), "clock unchecked", "no server");
    check(&against(Some("2026-11-29T04:01:59Z")), "clock ok", "right");
    check(&against(Some("2026-11-29T03:50:00Z")), "clock warning", "10 minutes ahead");
    check(&against(Some("2026-11-30T06:00:00Z")), "clock error", "26 hours behind");
}

fn key(found: &KeyLookup) -> Vec<CheckResult> {
    let creators: BTreeSet<Creator> = ["user:1", "group:7"].iter().map(|text| text.parse().unwrap()).collect();
    checks::key(found, &creators, "2026-11-29T04:00:00Z".parse().unwrap())
}

fn facts(json: &str) -> KeyFacts {
    read_key(json.as_bytes()).unwrap()
}

#[test]
fn a_key_is_told_with_owner_scopes_and_expiry() {
    let scopes = r#""scopes":[{"name":"asset","operations":["write","read"],"userIds":["1"],"groupIds":["*"]}],"enabled":true,"expired":false"#;
    let good = facts(&format!(
        r#"{{"name":"ci","authorizedUserId":156,{scopes},"expirationTimeUtc":"2027-12-31T23:59:59Z"}}"#
    ));
    check(
        &key(&KeyLookup::Known(good)),
        "key ok, creator ok, creator ok",
        "the key `ci` of user 156 expires at 2027-12-31 23:59 UTC; it has asset:read and asset:write",
    );
    let soon = facts(&format!(r#"{{"name":"ci",{scopes},"expirationTimeUtc":"2026-12-01T00:00:00Z"}}"#));
    check(&key(&KeyLookup::Known(soon)), "key warning, key ok, creator ok, creator ok", "make a new key in time");
    let narrow = facts(&scopes_of(r#"["1"]"#, "[]"));
    check(&key(&KeyLookup::Known(narrow)), "key ok, creator ok, creator error", "access to group 7");
    let read_only =
        facts(r#"{"name":"ci","scopes":[{"name":"asset","operations":["read"],"userIds":["*"],"groupIds":["*"]}]}"#);
    check(&key(&KeyLookup::Known(read_only)), "key error, creator unchecked, creator unchecked", "lacks asset:write");
    check(
        &key(&KeyLookup::Known(facts(r#"{"name":"ci"}"#))),
        "key ok, creator unchecked, creator unchecked",
        "doesn't say",
    );
}

fn scopes_of(users: &str, groups: &str) -> String {
    format!(
        r#"{{"name":"ci","scopes":[{{"name":"asset","operations":["read","write"],"userIds":{users},"groupIds":{groups}}}]}}"#
    )
}

#[test]
fn without_a_key_that_is_said_and_nothing_is_wrong() {
    let rest = "creator unchecked, creator unchecked";
    check(&key(&KeyLookup::Missing { near: None }), &format!("key unchecked, {rest}"), "ROBLOX_API_KEY");
    let near = Some(("it is called `ROBLOX_KEY`".to_owned(), "write ROBLOX_API_KEY".to_owned()));
    check(&key(&KeyLookup::Missing { near }), &format!("key warning, {rest}"), "it is called `ROBLOX_KEY`");
    check(&key(&KeyLookup::Token), &format!("key unchecked, {rest}"), "OAuth");
    check(&key(&KeyLookup::Unasked { why: "x".to_owned() }), &format!("key unchecked, {rest}"), "x");
    let hint = Some("make another".to_owned());
    check(
        &key(&KeyLookup::Refused { message: "no".to_owned(), hint: hint.clone() }),
        &format!("key error, {rest}"),
        "make another",
    );
    check(&key(&KeyLookup::Unusable { message: "no".to_owned(), hint }), &format!("key error, {rest}"), "no");
}

#[test]
fn a_state_is_whole_missing_in_use_or_broken() {
    let state = |opened, holder: Option<&str>, has_lost_outcomes| {
        checks::state(&StateFacts { opened, holder: holder.map(str::to_owned), has_lost_outcomes })
    };
    check(&state(Ok(true), None, false), "state ok", "whole");
    check(&state(Ok(false), None, false), "state ok", "none yet");
    check(&state(Ok(true), Some("`macadam sync` (process 7)"), true), "state ok, state warning, state ok", "process 7");
    let broken = Err(("damaged".to_owned(), Some("move it away".to_owned())));
    check(&state(broken, None, false), "state error", "move it away");
}

#[test]
fn a_lockfile_that_is_lost_stale_or_broken_is_told() {
    let facts = |read, lost, would_change| LockfileFacts {
        name: "assets.lock.toml".to_owned(),
        read,
        lost,
        taken_back: Vec::new(),
        would_change,
        has_state: true,
        has_crlf: false,
    };
    check(&checks::lockfile(&facts(Ok(true), None, Some(false))), "lockfile ok", "can be used");
    check(&checks::lockfile(&facts(Ok(true), None, None)), "lockfile ok", "can be used");
    check(&checks::lockfile(&facts(Ok(false), None, Some(false))), "lockfile ok", "first sync");
    check(&checks::lockfile(&facts(Ok(true), None, Some(true))), "lockfile warning", "commit assets.lock.toml");
    let fresh = LockfileFacts { has_state: false, ..facts(Ok(true), None, Some(true)) };
    check(&checks::lockfile(&fresh), "lockfile warning", "behind the manifest");
    let dropped = LockfileFacts { taken_back: vec!["ui/a.png".to_owned()], ..facts(Ok(true), None, Some(true)) };
    check(
        &checks::lockfile(&dropped),
        "lockfile warning",
        "lost an entry, which an earlier one in git's history has: ui/a.png",
    );
    let told = || ("gone".to_owned(), Some("git checkout".to_owned()));
    check(&checks::lockfile(&facts(Ok(false), Some(told()), None)), "lockfile error", "git checkout");
    check(&checks::lockfile(&facts(Err(told()), None, None)), "lockfile error", "gone");
    let windows = LockfileFacts { has_crlf: true, ..facts(Ok(true), None, None) };
    check(&checks::lockfile(&windows), "lockfile ok, lockfile warning", "eol=lf");
}

#[test]
fn git_must_track_and_merge_the_lockfile() {
    let known = |tracking, is_modified, merge: Option<&str>, driver: Option<&str>| {
        let (merge, driver) = (merge.map(str::to_owned), driver.map(str::to_owned));
        checks::git(
            &GitFacts::Known(KnownToGit {
                tracking,
                exists: true,
                is_modified,
                unpushed: None,
                unfinished_merge: None,
                is_shallow: false,
                merge,
                driver,
            }),
            "a.lock.toml",
            Publishing::Usual,
        )
    };
    let (merge, driver) = (Some("macadam"), Some("macadam lockfile merge"));
    check(&known(Tracking::Tracked, false, merge, driver), "git ok", "in git");
    check(&known(Tracking::Tracked, true, merge, driver), "git warning", "commit and push");
    check(&known(Tracking::Ignored, true, merge, driver), "git error", "git check-ignore -v a.lock.toml");
    check(&known(Tracking::Untracked, true, merge, driver), "git warning", "git add a.lock.toml");
    check(&known(Tracking::Tracked, false, None, driver), "git warning", "a.lock.toml merge=macadam");
    check(&known(Tracking::Tracked, false, merge, None), "git warning", "git config merge.macadam.driver");
    check(&known(Tracking::Tracked, false, Some("union"), driver), "git error", "write `a.lock.toml merge=macadam");
    let of_merge = |exists, unfinished_merge| {
        let (merge, driver) = (merge.map(str::to_owned), driver.map(str::to_owned));
        let (tracking, is_modified) = (Tracking::Tracked, true);
        let unpushed = None;
        let known =
            KnownToGit { tracking, exists, is_modified, unpushed, unfinished_merge, is_shallow: false, merge, driver };
        checks::git(&GitFacts::Known(known), "a.lock.toml", Publishing::Usual)
    };
    let clone = |is_shallow, archives| {
        let (tracking, is_modified, merge, driver) = (Tracking::Tracked, false, None, None);
        let known = KnownToGit {
            tracking,
            exists: true,
            is_modified,
            unpushed: None,
            unfinished_merge: None,
            is_shallow,
            merge,
            driver,
        };
        Vec::from_iter(checks::shallow_clone(&GitFacts::Known(known), archives))
    };
    check(&clone(true, true), "git warning", "git fetch --unshallow");
    check(&clone(true, false), "git warning", "only what its commits show to be new");
    check(&clone(false, true), "", "");
    check(&of_merge(true, Some(UnfinishedMerge::Incomplete)), "git error", "`git checkout --merge -- a.lock.toml`");
    check(&of_merge(true, Some(UnfinishedMerge::Complete)), "git error", "`git add a.lock.toml`");
    check(&of_merge(true, Some(UnfinishedMerge::Unreadable)), "git unchecked", "isn't finished");
    let as_tracked = |tracking, publishing| {
        let known = KnownToGit {
            tracking,
            exists: true,
            is_modified: true,
            unpushed: None,
            unfinished_merge: None,
            is_shallow: false,
            merge: merge.map(str::to_owned),
            driver: driver.map(str::to_owned),
        };
        checks::git(&GitFacts::Known(known), "a.lock.toml", publishing)
    };
    let untracked = |publishing| as_tracked(Tracking::Untracked, publishing);
    check(&untracked(Publishing::OfThisMachine), "git unchecked", "stays out of git");
    check(&as_tracked(Tracking::Tracked, Publishing::OfThisMachine), "git warning", "`git rm --cached a.lock.toml`");
    check(&as_tracked(Tracking::Tracked, Publishing::Unknown), "git unchecked", "can't be used with this server");
    check(&untracked(Publishing::Lost), "git unchecked", "once it is back");
    check(&of_merge(false, None), "git warning", "git checkout -- a.lock.toml");
    check(&checks::git(&GitFacts::NoCheckout, "a", Publishing::Usual), "git unchecked", "put the project into git");
    check(
        &checks::git(&GitFacts::Unknown { why: "no git".to_owned() }, "a", Publishing::Usual),
        "git unchecked",
        "no git",
    );
}

#[test]
fn assets_that_wait_for_a_person_are_counted() {
    let hold = |name: &str, part| Hold { address: Address::new(name).unwrap(), part, reason: HoldReason::AssetGone };
    let file = Hold { reason: HoldReason::TypeUnknown, ..hold("b", HeldPart::Asset) };
    assert_eq!(checks::assets(std::slice::from_ref(&file)), None, "that is a check of files");
    let held = [hold("a", HeldPart::Asset), hold("a", HeldPart::Metadata), file, hold("c", HeldPart::Asset)];
    check(&[checks::assets(&held).unwrap()], "assets warning", "2 on hold");
}

#[test]
fn outputs_watches_and_disks_have_their_remedies() {
    let outputs = |all, due: &[&str], broken| checks::outputs(&OutputFacts { all, due: names(due), broken });
    check(&outputs(0, &[], Vec::new()), "outputs ok", "none");
    check(&outputs(2, &[], Vec::new()), "outputs ok", "2 outputs up to date");
    let broken = vec![("b".to_owned(), "not ours".to_owned(), Some("--adopt".to_owned()))];
    check(&outputs(2, &["a"], broken), "outputs error, outputs warning", "macadam outputs");
    check(&[checks::watching(10, None)], "watching unchecked", "no limit");
    check(&[checks::watching(10, Some(8192))], "watching ok", "10 folders");
    check(&[checks::watching(5000, Some(8192))], "watching warning", "fs.inotify.max_user_watches");
    check(&checks::disks(None, None, &[]), "disk ok", "this machine");
    check(&checks::disks(Some("NFS"), Some("SMB"), &[]), "disk warning, disk warning", "--state PATH");
    let free = |bytes| [FreeSpace { folder: "/game".into(), bytes }];
    check(&checks::disks(None, None, &free(12_000_000_000)), "disk ok", "this machine");
    check(&checks::disks(None, None, &free(9_999_999)), "disk error", "9 MB free at `/game`");
    check(&checks::disks(None, Some("NFS"), &free(0)), "disk error, disk warning", "the disk is full: 0 bytes free");
}
