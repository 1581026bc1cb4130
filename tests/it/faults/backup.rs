//! A state that is restored from an old backup: what it forgot, the lockfile knows.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::json;

use super::{MANIFEST, Trial, side_by_side};
use crate::support::{png, rbxmx};
use macadam::emulator::ApiEndpoint;

/// Copies the state with all that belongs to it.
fn copy(from: &Path, to: &Path) {
    let _ = std::fs::remove_dir_all(to);
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn back_up(trial: &Trial) -> tempfile::TempDir {
    let backup = tempfile::tempdir().unwrap();
    copy(&trial.project.state_folder(), backup.path());
    backup
}

/// How many changes of the remote are open, by the journal.
fn open(trial: &Trial) -> u32 {
    let state = rusqlite::Connection::open(trial.project.state()).unwrap();
    state.query_row("SELECT count(*) FROM attempts WHERE ending IS NULL", [], |row| row.get(0)).unwrap()
}

/// Puts the old state back: nothing is uploaded for it, then or ever.
#[track_caller]
fn restore(trial: &Trial, backup: &tempfile::TempDir) {
    let before = come_back(trial, backup);
    trial.settle();
    assert_eq!(uploads(trial), before, "uploaded again");
}

/// Puts the old state back, and returns what had been uploaded until then.
fn come_back(trial: &Trial, backup: &tempfile::TempDir) -> Uploads {
    let before = uploads(trial);
    copy(backup.path(), &trial.project.state_folder());
    trial.project.let_reads_catch_up();
    before
}

/// Requests for uploads, assets, and changes that were carried out, by kind.
type Uploads = (usize, usize, BTreeMap<String, u64>);

/// As it is now.
fn uploads(trial: &Trial) -> Uploads {
    let counters = trial.remote.control().counters();
    (trial.remote.requests(ApiEndpoint::CreateAsset), trial.remote.assets().len(), counters.commits)
}

/// Everything happens that a project can go through.
fn go_on(trial: &Trial) {
    trial.project.write("ui/a.png", png(11));
    trial.project.write("ui/c.png", png(3));
    trial.project.write("models/sword.rbxmx", rbxmx("two"));
    trial.project.write("assets.toml", MANIFEST.replace("description = \"\"", "description = \"Sharp\""));
    trial.settle();
    trial.project.write("models/sword.rbxmx", rbxmx("three"));
    trial.settle();
}

#[test]
fn the_lockfile_restores_facts_that_an_old_state_lacks() {
    let trial = Trial::new();
    trial.project.sync();
    let backup = back_up(&trial);
    go_on(&trial);
    restore(&trial, &backup);
    // Also when it is the old content that is wanted, or more has happened since.
    trial.project.write("ui/a.png", png(1));
    trial.settle();
    restore(&trial, &backup);
    assert_eq!(trial.remote.assets().len(), 5);
}

#[test]
fn open_work_of_an_old_state_is_settled_by_the_newer_lockfile() {
    let cases = [
        ("an operation", "accepted:1"),
        ("a create in doubt that was carried out", "answered:1"),
        ("a create in doubt that was not", "handed_over:1"),
    ];
    side_by_side(&cases, |step| {
        let mut trial = Trial::new();
        trial.project.set_env("MACADAM_FAILPOINT", *step);
        assert_eq!(trial.run(60).code, -1, "it was killed");
        trial.project.set_env("MACADAM_FAILPOINT", "");
        while trial.remote.control().counters().in_flight > 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let backup = back_up(&trial);
        assert_ne!(open(&trial), 0, "nothing was left open");
        trial.settle();
        restore(&trial, &backup);
        go_on(&trial);
        restore(&trial, &backup);
    });
}

#[test]
fn an_operation_that_an_old_state_follows_is_older_than_the_lockfile() {
    let mut trial = Trial::new();
    trial.project.remove("ui/a.png");
    trial.project.remove("ui/b.png");
    trial.project.set_env("MACADAM_FAILPOINT", "accepted:1");
    assert_eq!(trial.run(60).code, -1, "it was killed");
    trial.project.set_env("MACADAM_FAILPOINT", "");
    let backup = back_up(&trial);
    trial.settle();
    trial.project.write("models/sword.rbxmx", rbxmx("two"));
    trial.settle();
    // The first revision was not made current again: the answer is about the day on which it was.
    // The asset is looked at until reads can't be older than that.
    let before = come_back(&trial, &backup);
    trial.project.sync();
    trial.project.let_reads_catch_up();
    trial.project.sync();
    trial.settle();
    assert_eq!(uploads(&trial), before, "uploaded again");
}

#[test]
fn an_update_that_an_old_state_has_in_doubt_was_overtaken() {
    let cases = [("it was not carried out", "handed_over:1"), ("it was, and the lockfile has it", "answered:1")];
    side_by_side(&cases, |step| {
        let mut trial = Trial::new();
        trial.project.sync();
        let before = back_up(&trial);
        trial.project.write("models/sword.rbxmx", rbxmx("two"));
        trial.project.set_env("MACADAM_FAILPOINT", *step);
        assert_eq!(trial.run(60).code, -1, "it was killed");
        trial.project.set_env("MACADAM_FAILPOINT", "");
        while trial.remote.control().counters().in_flight > 0 {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        let in_doubt = back_up(&trial);
        assert_eq!(open(&trial), 1);
        match *step {
            // Another machine went on.
            "handed_over:1" => copy(before.path(), &trial.project.state_folder()),
            _ => trial.settle(),
        }
        trial.project.write("models/sword.rbxmx", rbxmx("three"));
        trial.settle();
        let made = come_back(&trial, &in_doubt);
        trial.project.sync();
        trial.settle();
        assert_eq!(open(&trial), 0);
        assert_eq!(uploads(&trial), made, "uploaded again");
    });
}

/// The lockfile tells of an update in doubt, so that neither an older state nor a machine without
/// one takes its revisions for another person's.
#[test]
fn an_update_in_doubt_is_known_to_an_older_state_and_to_a_new_machine() {
    let cases = [
        ("an older state", (true, "two")),
        ("an older state, and another file", (true, "three")),
        ("a new machine", (false, "two")),
        ("a new machine, and another file", (false, "three")),
    ];
    side_by_side(&cases, |(has_state, content)| {
        let trial = Trial::new();
        trial.project.sync();
        let backup = back_up(&trial);
        trial.project.write("models/sword.rbxmx", rbxmx("two"));
        // The answer is lost, and then nothing can be looked at.
        let trial = trial.fault(json!([
            {"match": {"endpoint": "update_asset"}, "times": 1, "action": {"kind": "reset", "at": "after_commit"}},
            {"match": {"endpoint": "get_asset", "nth": [2, 3, 4, 5, 6, 7, 8, 9]}, "action": {"kind": "reply", "status": 503, "shape": "html"}},
        ]));
        trial.document(2, 1);
        trial.fired();
        trial.remote.control().clear_faults();
        let lockfile = trial.project.read("assets.lock.toml");
        assert!(lockfile.contains("action = \"update_content\""), "{lockfile}");
        trial.project.remove_state();
        if *has_state {
            copy(backup.path(), &trial.project.state_folder());
        }
        trial.project.write("models/sword.rbxmx", rbxmx(content));
        trial.settle();
        let (_, history) = trial.project.json(&["history", "sword"]);
        let events = history["events"].to_string();
        assert!(!events.contains("made_elsewhere"), "{history:#}");
        let revisions = history["revisions"].as_array().unwrap();
        assert!(revisions.iter().all(|revision| revision["content_hash"].is_string()), "{history:#}");
        assert_eq!(revisions.len(), if *content == "two" { 2 } else { 3 }, "{history:#}");
        assert_eq!(open(&trial), 0);
    });
}

#[test]
fn an_upload_in_doubt_in_an_old_state_keeps_the_history_of_its_later_repetition() {
    let lost = json!({"match": {"endpoint": "create_asset", "name": "a"}, "times": 1, "action": {"kind": "reset", "at": "after_commit"}});
    let mut trial = Trial::new().fault(lost);
    trial.project.set_env("MACADAM_REST", "60");
    trial.document(3, 1);
    trial.fired();
    let backup = back_up(&trial);
    trial.project.set_env("MACADAM_CLOCK_SHIFT", "61");
    trial.converge();
    restore(&trial, &backup);
    let (_, status) = trial.project.json(&["status", "ui/a.png"]);
    assert_eq!(status["assets"][0]["possible_duplicates"], 1, "{status:#}");
    let (_, history) = trial.project.json(&["history", "ui/a.png"]);
    let events = history["events"].as_array().unwrap();
    let told: Vec<_> = events.iter().filter(|event| event["kind"] == "possible_duplicate").collect();
    assert_eq!(told.len(), 1, "{history:#}");
    // Once a person has found the other copy, an older state that comes back has nothing more to
    // say.
    let used = status["assets"][0]["asset_id"].as_u64().unwrap();
    let assets = trial.remote.assets();
    let is_copy = |name: &str, id: u64| name == "a" && id != used;
    let copy = assets.iter().find(|report| is_copy(&report.asset.metadata.display_name, report.asset.id)).unwrap();
    trial.project.run(&["resolve", "ui/a.png", "--asset-id", &copy.asset.id.to_string()]).expect(0);
    let before = come_back(&trial, &backup);
    trial.project.sync();
    assert_eq!(uploads(&trial), before, "uploaded again");
    let (_, history) = trial.project.json(&["history", "ui/a.png"]);
    assert!(!history["events"].to_string().contains("possible_duplicate"), "{history:#}");
}
