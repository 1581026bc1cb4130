//! Uploads that this machine has open, or in doubt, and that another machine finished meanwhile.

use std::process::Stdio;
use std::time::{Duration, Instant};

use macadam::emulator::{ApiEndpoint, BodyShape, FaultAction, FaultRule, LatencyModel, Point, ScriptedReply};
use serde_json::{Value, json};

use super::ci::{Ci, push};
use super::commit_push::Clone;
use super::support::{png, rbxmx, system, wav};

const MANIFEST: &str = "\
[creator]
user_id = 1

[globs.images]
path = \"f/**/*.png\"

[globs.sounds]
path = \"f/**/*.wav\"

[globs.models]
path = \"f/**/*.rbxmx\"
";

const ON_CHANGE: [&str; 4] = ["sync", "--once", "--on-change", "macadam-commit-push"];
/// How long each operation takes.
const HOUR: Duration = Duration::from_secs(3600);

const PLAIN: [&str; 2] = ["sync", "--once"];

/// A picture, a sound and a model, committed and not uploaded, at a remote whose operations are slow.
fn project() -> (Ci, Clone) {
    let ci = Ci::new(0);
    let author = ci.machine();
    author.write("assets.toml", MANIFEST);
    author.write("f/c.rbxmx", &rbxmx("c"));
    std::fs::write(author.path.join("f/a.png"), png(1)).unwrap();
    std::fs::write(author.path.join("f/b.wav"), wav(1u32)).unwrap();
    push(&author, "files");
    slow(&ci, true);
    (ci, author)
}

fn slow(ci: &Ci, slow: bool) {
    ci.remote.control().set_latency(LatencyModel::Fixed(if slow { HOUR.as_millis() as u64 } else { 0 }));
}

/// Lets all operations end.
fn an_hour_passes(ci: &Ci) {
    ci.remote.control().advance(HOUR);
}

/// A run that is told to end once Roblox has this many operations and has been asked about each.
fn interrupted(ci: &Ci, machine: &Clone, args: &[&str], operations: usize) {
    let polls = ci.remote.requests(ApiEndpoint::GetOperation);
    let mut child = ci.command(machine, args).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begun = Instant::now();
    let is_under_way = || {
        ci.remote.control().operations().len() == operations && ci.remote.requests(ApiEndpoint::GetOperation) > polls
    };
    while !is_under_way() {
        assert!(begun.elapsed() < Duration::from_secs(60), "{:?}", ci.remote.control().operations());
        std::thread::sleep(Duration::from_millis(10));
    }
    system::send(&child, system::Signal::TERM);
    assert!(!child.wait().unwrap().success());
}

/// Roblox no longer knows any operation.
fn forget_operations(ci: &Ci) {
    let unknown = FaultAction::Reply(ScriptedReply::new(404, BodyShape::Service));
    ci.remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::GetOperation, unknown)]).unwrap();
}

fn states(ci: &Ci, machine: &Clone) -> Vec<(String, String)> {
    let status = ci.json(machine, &["status"], 0);
    let rows = status["assets"].as_array().unwrap().iter();
    rows.map(|row| (row["address"].as_str().unwrap().to_owned(), row["state"].as_str().unwrap().to_owned())).collect()
}

/// What Roblox knows of the operations that it ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Operations {
    Known,
    Forgotten,
}

/// A sync here closes them all: nothing is uploaded, and nothing is marked.
#[track_caller]
fn is_settled(ci: &Ci, machine: &Clone, operations: Operations) {
    let (pushed, writes) = (ci.pushed(), ci.remote.writes());
    if operations == Operations::Forgotten {
        forget_operations(ci);
    }
    let document = ci.json(machine, &ON_CHANGE, 0);
    assert_eq!(&document["in_sync"], &true, "{document:#}");
    assert_eq!(ci.remote.writes(), writes);
    let status = ci.json(machine, &["status"], 0);
    for row in status["assets"].as_array().unwrap() {
        assert_eq!((&row["state"], &row["error"]), (&"synced".into(), &Value::Null), "{status:#}");
        assert_eq!(row["possible_duplicates"], 0, "{status:#}");
    }
    let plan = ci.json(machine, &["plan"], 0);
    assert_eq!((&plan["actions"], &plan["notes"]), (&json!([]), &json!([])), "{plan:#}");
    assert_eq!((ci.pushed(), machine.read("assets.lock.toml")), (pushed.clone(), pushed));
    ci.remote.control().clear_faults();
}

#[test]
fn an_upload_that_another_machine_finished_is_closed_by_its_answer_or_else_by_git() {
    let (ci, first) = project();
    interrupted(&ci, &first, &ON_CHANGE, 3);
    assert_eq!(ci.pushed().matches("operation = ").count(), 3, "{}", ci.pushed());
    // One that took the uploads over and was stopped too.
    let third = ci.machine();
    interrupted(&ci, &third, &PLAIN, 3);
    an_hour_passes(&ci);
    ci.run(&ci.machine(), &ON_CHANGE).expect(0);
    assert!(!ci.pushed().contains("open = "), "{}", ci.pushed());
    for (machine, operations) in [(&first, Operations::Known), (&third, Operations::Forgotten)] {
        machine.git(&["pull", "-q"]);
        is_settled(&ci, machine, operations);
    }
    assert_eq!((ci.creates(), ci.remote.assets().len()), (3, 3));
}

/// Beside commits of its own, so that the pull is a merge, and under another name.
#[test]
fn an_upload_that_was_finished_under_another_name_and_merged_is_closed_too() {
    let (ci, first) = project();
    interrupted(&ci, &first, &ON_CHANGE, 3);
    an_hour_passes(&ci);
    let other = ci.machine();
    other.git(&["mv", "f/b.wav", "f/renamed.wav"]);
    ci.run(&other, &ON_CHANGE).expect(0);
    push(&other, "renamed");
    first.write("note.txt", "of the first machine\n");
    first.git(&["add", "--all"]);
    first.git(&["commit", "-q", "-m", "note"]);
    first.git(&["pull", "-q", "--no-rebase"]);
    first.git(&["push", "-q"]);
    is_settled(&ci, &first, Operations::Forgotten);
    assert_eq!((ci.creates(), ci.remote.assets().len()), (3, 3));
}

#[test]
fn an_update_that_another_machine_finished_is_closed() {
    let (ci, first) = project();
    slow(&ci, false);
    ci.run(&first, &ON_CHANGE).expect(0);
    slow(&ci, true);
    first.write("f/c.rbxmx", &rbxmx("a longer name"));
    push(&first, "edited");
    interrupted(&ci, &first, &ON_CHANGE, 4);
    assert!(ci.pushed().contains("action = \"update_content\""), "{}", ci.pushed());
    an_hour_passes(&ci);
    let other = ci.machine();
    ci.run(&other, &ON_CHANGE).expect(0);
    first.git(&["pull", "-q"]);
    is_settled(&ci, &first, Operations::Forgotten);
    assert_eq!(ci.remote.requests(ApiEndpoint::UpdateAsset), 1);
}

/// Both uploaded the same files, and the lockfile never had the uploads of the first one: they made
/// second copies, or may have.
#[test]
fn an_upload_that_the_lockfile_never_had_stays_a_possible_duplicate() {
    let (ci, first) = project();
    interrupted(&ci, &first, &PLAIN, 3);
    std::fs::remove_file(first.path.join("assets.lock.toml")).unwrap();
    slow(&ci, false);
    ci.run(&ci.machine(), &ON_CHANGE).expect(0);
    assert_eq!(ci.creates(), 6);
    first.git(&["pull", "-q"]);
    assert!(states(&ci, &first).iter().all(|(_, state)| state == "in_progress"), "{:?}", states(&ci, &first));
    forget_operations(&ci);
    // Each has its asset, so nothing has to wait, whatever came of the other upload.
    let ran = ci.run(&first, &["sync", "--once"]).expect(0);
    assert!(!ran.stdout.contains("uploaded again") && ran.stdout.contains("second copy"), "{}", ran.stdout);
    assert!(ran.stdout.contains("Done. 3 assets are up to date") && !ran.stdout.contains("not done"), "{}", ran.stdout);
    assert_eq!(first.read("assets.lock.toml").matches("possible_duplicates").count(), 3);
    assert_eq!(ci.creates(), 6);
    let status = ci.json(&first, &["status"], 0);
    for row in status["assets"].as_array().unwrap() {
        assert_eq!((&row["state"], &row["error"]), (&"synced".into(), &Value::Null), "{status:#}");
        assert_eq!(row["possible_duplicates"], 1, "{status:#}");
    }
    push(&first, "both");
    let history = ci.run(&ci.machine(), &["history", "f/b.wav"]).expect(0).stdout;
    assert!(history.contains("no clear answer on another machine"), "{history}");
}

/// The lockfile of a merge that took one side says nothing of the upload that it dropped.
#[test]
fn an_upload_that_a_merge_dropped_from_the_lockfile_is_still_asked_about() {
    let (ci, first) = project();
    let other = ci.machine();
    interrupted(&ci, &first, &PLAIN, 3);
    first.git(&["add", "--all"]);
    first.git(&["commit", "-q", "-m", "with open uploads"]);
    slow(&ci, false);
    ci.run(&other, &ON_CHANGE).expect(0);
    first.git(&["fetch", "-q"]);
    first.git(&["merge", "-q", "-X", "theirs", "-s", "ort", "origin/main", "-m", "merged"]);
    first.git(&["checkout", "-q", "origin/main", "--", "assets.lock.toml"]);
    first.git(&["commit", "-q", "--amend", "--no-edit"]);
    assert!(!first.read("assets.lock.toml").contains("open = "), "{}", first.read("assets.lock.toml"));
    assert!(states(&ci, &first).iter().all(|(_, state)| state == "in_progress"), "{:?}", states(&ci, &first));
    an_hour_passes(&ci);
    ci.run(&first, &["sync", "--once"]).expect(0);
    let lockfile = first.read("assets.lock.toml");
    assert_eq!((lockfile.matches("asset_id = ").count(), ci.creates()), (6, 6), "no ID is lost: {lockfile}");
}

/// Every asset at Roblox is in the lockfile, be it as a forgotten one.
#[track_caller]
fn no_id_is_lost(ci: &Ci, machine: &Clone) {
    let lockfile = machine.read("assets.lock.toml");
    for asset in ci.remote.assets().iter().map(|report| &report.asset) {
        assert!(lockfile.contains(&asset.id.to_string()), "{} is lost: {lockfile}", asset.id);
    }
}

/// An earlier asset comes back with the revert, and takes the upload out of the lockfile.
#[test]
fn a_reverted_forget_closes_no_upload() {
    let (ci, first) = project();
    slow(&ci, false);
    ci.run(&first, &ON_CHANGE).expect(0);
    ci.run(&first, &["forget", "-y", "f/a.png", "f/b.wav"]).expect(0);
    slow(&ci, true);
    interrupted(&ci, &first, &PLAIN, 5);
    push(&first, "forgotten, and uploads again");
    first.git(&["revert", "--no-edit", "HEAD"]);
    an_hour_passes(&ci);
    slow(&ci, false);
    ci.run(&first, &PLAIN).expect(0);
    assert_eq!(ci.creates(), 5, "no third one is uploaded");
    no_id_is_lost(&ci, &first);
}

/// The same with an upload whose answer is lost: it may have made an asset, and says so.
#[test]
fn a_reverted_forget_closes_no_upload_in_doubt() {
    let (ci, first) = project();
    slow(&ci, false);
    ci.run(&first, &ON_CHANGE).expect(0);
    ci.run(&first, &["forget", "-y", "f/b.wav"]).expect(0);
    let lost = FaultAction::Reset { at: Point::AfterCommit };
    ci.remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::CreateAsset, lost)]).unwrap();
    ci.run(&first, &PLAIN).expect(1);
    ci.remote.control().clear_faults();
    push(&first, "forgotten, and in doubt");
    first.git(&["revert", "--no-edit", "HEAD"]);
    let creates = ci.creates();
    let ran = ci.run(&first, &PLAIN).expect(1);
    assert!(ran.stdout.contains("macadam resolve f/b.wav"), "{}", ran.stdout);
    assert_eq!(ci.creates(), creates, "a sound is never doubled");
}

/// The asset of another branch's upload takes the place of the open one: by a squashed merge that kept
/// that branch's side, or by a checkout of its lockfile.
#[test]
fn an_upload_is_not_closed_by_another_branchs_asset_of_the_same_file() {
    for how in ["squash", "checkout"] {
        let (ci, first) = project();
        let other = ci.machine();
        interrupted(&ci, &first, &ON_CHANGE, 3);
        slow(&ci, false);
        other.git(&["switch", "-q", "-c", "feature"]);
        ci.run(&other, &PLAIN).expect(0);
        other.git(&["add", "--all"]);
        other.git(&["commit", "-q", "-m", "uploaded too"]);
        other.git(&["push", "-q", "-u", "origin", "HEAD:feature"]);
        first.git(&["fetch", "-q"]);
        if how == "squash" {
            other.git(&["fetch", "-q"]);
            other.git(&["merge", "-q", "-s", "ours", "origin/main", "-m", "keeps its side"]);
            other.git(&["push", "-q", "origin", "HEAD:feature"]);
            first.git(&["fetch", "-q"]);
            first.git(&["merge", "-q", "--squash", "origin/feature"]);
        } else {
            first.git(&["checkout", "-q", "origin/feature", "--", "assets.lock.toml"]);
        }
        first.git(&["commit", "-q", "-m", how]);
        assert!(!first.read("assets.lock.toml").contains("open = "), "{}", first.read("assets.lock.toml"));
        an_hour_passes(&ci);
        if how == "squash" {
            ci.run(&first, &PLAIN).expect(0);
            assert_eq!(ci.creates(), 6);
            no_id_is_lost(&ci, &first);
        } else {
            forget_operations(&ci);
            let said = ci.run(&first, &PLAIN).expect(0).stdout;
            assert!(said.contains("second copy"), "{said}");
            assert_eq!(first.read("assets.lock.toml").matches("possible_duplicates").count(), 3);
        }
    }
}

/// Another machine finished it, and then forgot the asset: the answer to the upload is older.
#[test]
fn an_upload_whose_asset_was_forgotten_elsewhere_does_not_bring_it_back() {
    let (ci, first) = project();
    interrupted(&ci, &first, &ON_CHANGE, 3);
    an_hour_passes(&ci);
    slow(&ci, false);
    let other = ci.machine();
    ci.run(&other, &ON_CHANGE).expect(0);
    std::fs::remove_file(other.path.join("f/b.wav")).unwrap();
    ci.run(&other, &["forget", "-y", "f/b.wav"]).expect(0);
    push(&other, "forgotten");
    first.git(&["pull", "-q"]);
    ci.run(&first, &PLAIN).expect(0);
    assert_eq!(first.read("assets.lock.toml"), other.read("assets.lock.toml"));
    assert_eq!(ci.creates(), 3);
}

/// Roblox took the answer along: the person says that it made nothing, though another upload did.
#[test]
fn resolve_does_not_promise_an_upload_that_is_not_needed() {
    let (ci, first) = project();
    slow(&ci, false);
    let lost = FaultAction::Reset { at: Point::AfterCommit };
    ci.remote.control().add_faults(vec![FaultRule::on(ApiEndpoint::CreateAsset, lost)]).unwrap();
    ci.run(&first, &["sync", "--once", "f/b.wav"]).expect(1);
    ci.remote.control().clear_faults();
    std::fs::remove_file(first.path.join("assets.lock.toml")).unwrap();
    ci.run(&ci.machine(), &ON_CHANGE).expect(0);
    first.git(&["pull", "-q"]);
    let said = ci.run(&first, &["resolve", "f/b.wav", "--recreate"]).expect(0).stdout;
    assert!(said.contains("nothing is uploaded again: f/b.wav has asset"), "{said}");
    let creates = ci.creates();
    ci.run(&first, &["sync", "--once"]).expect(0);
    assert_eq!(ci.creates(), creates);
}
