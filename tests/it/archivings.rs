//! Archivings and restores that came by git: a machine that only read of them in a lockfile asks
//! Roblox where lockfiles contradict each other, and all machines agree afterwards.

use serde_json::{Value, json};

use super::clones::{MANIFEST, Shared, asset_id, pull, push};
use super::support::git::git;
use super::support::{Project, png};

const FILE: &str = "ui/y.png";
const ARCHIVES: &str = "\n[policy]\nreplaced = \"archive\"\nremoved = \"archive\"\narchive_after = \"0d\"\n";

/// A project that archives at once what nothing uses any more.
fn archiving() -> (Shared, Project) {
    let (shared, author) = Shared::new();
    author.write("assets.toml", format!("{MANIFEST}{ARCHIVES}"));
    // So that no archiving is one of suspiciously many.
    (100..110).for_each(|shade| author.write(&format!("ui/{shade}.png"), png(shade)));
    author.sync();
    push(&author, "more pictures");
    (shared, author)
}

fn is_archived(shared: &Shared, asset_id: u64) -> bool {
    shared.remote.control().asset(asset_id).unwrap().asset.archived
}

/// The lockfile is as it was committed.
#[track_caller]
fn has_nothing_to_say(machine: &Project, when: &str) {
    assert_eq!(git(machine.path(), &["diff", "--", "assets.lock.toml"]), "", "{when}");
}

/// A service in a container has no state: each run is a fresh clone.
#[test]
fn a_reverted_archiving_is_undone_where_the_asset_is_used_again() {
    type Change = fn(&Project);
    let changes: [(&str, Change); 2] = [
        ("replaced", |machine| machine.write(FILE, png(3))),
        ("removed", |machine| drop(git(machine.path(), &["rm", "--quiet", FILE]))),
    ];
    for (how, change) in changes {
        let (shared, author) = archiving();
        let first = asset_id(&author, FILE);
        let machine = shared.clone_alone();
        change(&machine);
        machine.sync();
        push(&machine, how);
        assert!(is_archived(&shared, first), "{how}");
        git(machine.path(), &["revert", "--no-edit", "HEAD"]);
        git(machine.path(), &["push", "--quiet", "origin", "HEAD"]);
        assert!(!machine.read("assets.lock.toml").contains("archived_at"), "{how}");
        let after = shared.clone_alone();
        // Without a look it is unknown, and with one the plan is what the sync does.
        let (_, plan) = after.json(&["plan"]);
        let is_told = |note: &Value| note["code"] == "may_be_archived" && note["address"] == FILE;
        assert!(plan["notes"].as_array().unwrap().iter().any(is_told), "{how}: {plan:#}");
        let (_, plan) = after.json(&["plan", "--refresh"]);
        let restores = |action: &Value| action["action"] == "restore" && action["address"] == FILE;
        assert!(plan["actions"].as_array().unwrap().iter().any(restores), "{how}: {plan:#}");
        assert!(!plan["notes"].as_array().unwrap().iter().any(is_told), "{how}: {plan:#}");
        after.sync();
        assert_eq!((asset_id(&after, FILE), is_archived(&shared, first)), (first, false), "{how}");
        git(after.path(), &["commit", "--quiet", "--allow-empty", "--all", "--message", "after the revert"]);
        git(after.path(), &["push", "--quiet", "origin", "HEAD"]);
        // Later there is nothing more to do.
        let (later, writes) = (shared.clone_alone(), shared.remote.writes());
        later.let_reads_catch_up();
        later.sync();
        assert_eq!(shared.remote.writes(), writes, "{how}");
        has_nothing_to_say(&later, how);
    }
}

#[test]
fn what_a_person_archived_is_still_archived_by_hand_after_a_revert_of_the_lockfile() {
    let (shared, author) = Shared::new();
    author.run(&["archive", FILE]).expect(0);
    push(&author, "archived");
    git(author.path(), &["revert", "--no-edit", "HEAD"]);
    git(author.path(), &["push", "--quiet", "origin", "HEAD"]);
    let fresh = shared.clone_alone();
    fresh.sync();
    let (_, status) = fresh.json(&["status", FILE]);
    let row = &status["assets"][0];
    assert_eq!((&row["state"], &row["archived_by"]), (&json!("archived"), &json!("hand")), "{row:#}");
}

/// It never read the asset itself: that it was archived, and restored, it knows from lockfiles.
#[test]
fn a_machine_that_read_of_an_archiving_takes_the_restore_of_another_one() {
    type Spoil = fn(&Project);
    let ways: [(&str, Spoil, i32); 4] = [
        ("whole", |_| {}, 0),
        (
            "not checked out",
            |machine| drop(git(machine.path(), &["sparse-checkout", "set", "--no-cone", "/*", &format!("!/{FILE}")])),
            0,
        ),
        ("empty", |machine| machine.write(FILE, ""), 1),
        ("changed", |machine| machine.write(FILE, png(9)), 0),
    ];
    for (how, spoil, code) in ways {
        let (shared, author) = Shared::new();
        author.run(&["archive", FILE]).expect(0);
        push(&author, "archived");
        let other = shared.clone();
        spoil(&other);
        author.let_reads_catch_up();
        other.let_reads_catch_up();
        author.run(&["restore", FILE]).expect(0);
        push(&author, "restored");
        pull(&other);
        let (ended, report) = other.json(&["sync", "--once"]);
        assert_eq!(ended, code, "{how}: {report:#}");
        assert!(!other.read("assets.lock.toml").contains("by_hand"), "{how}");
        if how == "changed" {
            assert_eq!(report["summary"], json!({ "replace": 1 }), "{report:#}");
        } else {
            has_nothing_to_say(&other, how);
        }
    }
}

#[test]
fn a_restore_that_was_refused_here_and_done_elsewhere_is_no_failure_any_more() {
    let (shared, author) = archiving();
    let first = asset_id(&author, FILE);
    author.write(FILE, png(3));
    author.sync();
    push(&author, "the second picture");
    let refused = json!({"kind": "reply", "status": 400, "body": r#"{"code":"INVALID_ARGUMENT","message":"no"}"#});
    let rule = serde_json::from_value(json!({"match": {"endpoint": "restore_asset"}, "action": refused})).unwrap();
    shared.remote.control().add_faults(vec![rule]).unwrap();
    author.write(FILE, png(2));
    author.run(&["sync", "--once"]).expect(1);
    push(&author, "the first picture again");
    // One of them looks at the asset after the refusal.
    let others = [("unread", shared.clone_alone(), &[][..]), ("read", shared.clone_alone(), &["--refresh"][..])];
    for (_, other, refresh) in &others {
        other.run(&[&["sync", "--once"][..], *refresh].concat()).expect(1);
        git(other.path(), &["checkout", "--", "assets.lock.toml"]);
    }
    shared.remote.control().clear_faults();
    author.let_reads_catch_up();
    author.run(&["retry", FILE]).expect(0);
    author.sync();
    push(&author, "restored");
    let writes = shared.remote.writes();
    for (how, other, _) in &others {
        other.let_reads_catch_up();
        pull(other);
        other.sync();
        has_nothing_to_say(other, how);
        let (_, status) = other.json(&["status", FILE]);
        assert_eq!((&status["assets"][0]["state"], asset_id(other, FILE)), (&json!("synced"), first), "{how}");
    }
    assert_eq!(shared.remote.writes(), writes);
}

/// Nothing in the manifest wants it: only its lockfile tells of it.
#[test]
fn a_removed_asset_that_was_archived_and_restored_is_written_back_as_archived_by_no_machine() {
    let (shared, author) = Shared::new();
    git(author.path(), &["rm", "--quiet", FILE]);
    author.sync();
    push(&author, "removed");
    author.run(&["archive", FILE]).expect(0);
    push(&author, "archived");
    let other = shared.clone();
    author.let_reads_catch_up();
    author.run(&["restore", FILE]).expect(0);
    push(&author, "restored");
    pull(&other);
    for (how, machine) in [("a state", other), ("a fresh clone", shared.clone_alone())] {
        machine.let_reads_catch_up();
        machine.sync();
        has_nothing_to_say(&machine, how);
    }
}

/// A command that writes the lockfile asks nothing about other assets.
#[test]
fn a_command_writes_no_archiving_that_the_lockfile_lost_before_a_sync_asked_about_it() {
    let (shared, author) = Shared::new();
    let other = shared.clone();
    other.run(&["sync", "--once", "--refresh"]).expect(0);
    author.run(&["archive", FILE]).expect(0);
    push(&author, "archived");
    pull(&other);
    other.sync();
    author.let_reads_catch_up();
    author.run(&["restore", FILE]).expect(0);
    push(&author, "restored");
    pull(&other);
    other.run(&["forget", "--yes", "ui/x.png"]).expect(0);
    assert!(!other.read("assets.lock.toml").contains("by_hand"), "{}", other.read("assets.lock.toml"));
}
