//! The disk: a state that is gone, damaged, foreign, newer, read-only or full; a damaged lockfile;
//! files that change under the upload.

use std::collections::BTreeSet;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::{Trial, hex, side_by_side};
use crate::support::system::{self, NOBODY, set_mode};
use crate::support::{Ran, copy_program, rbxmx};

#[test]
fn a_state_that_is_gone_is_rebuilt_from_the_lockfile() {
    let trial = Trial::new();
    trial.project.sync();
    trial.project.remove_state();
    trial.settle();
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
}

#[test]
fn a_state_that_can_not_be_used_is_left_alone() {
    type Damage = fn(&Trial);
    let cases: [(&str, Damage); 6] = [
        ("cut in half", |trial| edit(trial, |bytes| bytes.truncate(bytes.len() / 2))),
        ("cut to nothing", |trial| edit(trial, Vec::clear)),
        ("flipped bits", |trial| edit(trial, |bytes| bytes[4096..8192].iter_mut().for_each(|byte| *byte ^= 0x55))),
        ("another file", |trial| edit(trial, |bytes| *bytes = b"Dear diary, today I was a text file. ".repeat(200))),
        ("another database", |trial| {
            std::fs::remove_file(trial.project.state()).unwrap();
            let other = rusqlite::Connection::open(trial.project.state()).unwrap();
            other.execute_batch("PRAGMA application_id = 7; CREATE TABLE songs (title TEXT)").unwrap();
        }),
        ("a newer schema", |trial| {
            let state = rusqlite::Connection::open(trial.project.state()).unwrap();
            state.execute_batch("PRAGMA journal_mode = DELETE; PRAGMA user_version = 99").unwrap();
        }),
    ];
    side_by_side(&cases, |damage| {
        let trial = Trial::new();
        trial.project.sync();
        damage(&trial);
        trial.project.write("ui/a.png", crate::support::png(9));
        let before = std::fs::read(trial.project.state()).unwrap();
        let requests = trial.remote.all_requests();
        let ran = trial.run(10);
        // An empty file is a new state, which the lockfile fills.
        if !before.is_empty() {
            let document: Value = serde_json::from_str(&ran.expect(3).stdout).unwrap();
            assert!(document["errors"][0]["hint"].is_string(), "{document:#}");
            assert_eq!(std::fs::read(trial.project.state()).unwrap(), before, "overwritten");
            assert_eq!(trial.remote.all_requests(), requests);
            std::fs::rename(trial.project.state_folder(), trial.project.file(".aside")).unwrap();
        }
        trial.settle();
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 4);
    });
}

fn edit(trial: &Trial, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = std::fs::read(trial.project.state()).unwrap();
    change(&mut bytes);
    std::fs::write(trial.project.state(), bytes).unwrap();
}

#[test]
fn a_lockfile_that_can_not_be_used_is_left_alone() {
    type Damage = fn(&str) -> String;
    let cases: [(&str, Damage); 3] = [
        ("conflict markers", |text| format!("<<<<<<< ours\n{text}=======\n{text}>>>>>>> theirs\n")),
        ("cut off", |text| text[..text.len() * 2 / 3].to_owned()),
        ("a newer version", |text| text.replacen("version = 1", "version = 99", 1)),
    ];
    side_by_side(&cases, |damage| {
        let trial = Trial::new();
        trial.project.sync();
        let whole = trial.project.read("assets.lock.toml");
        let damaged = damage(&whole);
        assert_ne!(damaged, whole);
        trial.project.write("assets.lock.toml", &damaged);
        trial.project.write("ui/a.png", crate::support::png(9));
        let requests = trial.remote.all_requests();
        let document: Value = serde_json::from_str(&trial.run(10).expect(3).stdout).unwrap();
        assert!(document["errors"][0]["message"].is_string(), "{document:#}");
        assert_eq!(trial.project.read("assets.lock.toml"), damaged, "overwritten");
        assert_eq!(trial.remote.all_requests(), requests);
        trial.project.write("assets.lock.toml", whole);
        trial.settle();
    });
}

#[test]
#[cfg_attr(windows, ignore = "folders have no such permissions")]
fn a_state_folder_that_can_not_be_written_is_named() {
    let trial = Trial::new();
    trial.project.sync();
    trial.project.write("ui/a.png", crate::support::png(9));
    let folder = trial.project.state_folder();
    let owner = system::owner_of(&std::fs::metadata(&folder).unwrap());
    set_mode(&folder, 0o555);
    let mut command = trial.project.command(&["sync", "--once", "--json"]);
    if owner == 0 {
        // Nothing is read-only for root: somebody else looks, with a copy of the program that they
        // can reach.
        let program = trial.project.file("macadam");
        copy_program(&program);
        set_mode(trial.project.path(), 0o755);
        set_mode(trial.project.state(), 0o444);
        let mut other = Command::new(&program);
        other.args(command.get_args()).current_dir(trial.project.path()).env_clear();
        system::run_as(&mut other, NOBODY).env("ROBLOX_API_KEY", crate::support::SECRET);
        command = other;
    }
    let ran = Ran::of(command.output().unwrap()).expect(3);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(document["errors"][0]["message"].as_str().unwrap().contains(".macadam"), "{document:#}");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    set_mode(&folder, 0o755);
    set_mode(trial.project.state(), 0o600);
    trial.settle();
}

#[test]
#[cfg_attr(windows, ignore = "no limit of the size of files")]
fn a_disk_that_is_full_stops_the_run_and_loses_nothing() {
    // The size of files is limited in blocks of 512 bytes, and the signal for that is ignored:
    // writes past it fail, as on a full disk.
    for blocks in [0, 40, 120, 200, 400] {
        let trial = Trial::new();
        trial.project.write("ui/a.png", crate::support::png(9));
        let limited = format!("trap '' XFSZ; ulimit -f {blocks}; exec \"$0\" \"$@\"");
        let inner = trial.project.command(&["sync", "--once", "--json", "--timeout", "20s"]);
        let mut command = Command::new("sh");
        command.arg("-c").arg(limited).arg(inner.get_program()).args(inner.get_args());
        command.current_dir(trial.project.path()).env("ROBLOX_API_KEY", crate::support::SECRET);
        let ran = Ran::of(command.output().unwrap());
        assert!(!ran.stderr.contains("panicked"), "{blocks} blocks: {}", ran.stderr);
        assert!(matches!(ran.code, 0 | 3), "{blocks} blocks: {} {}", ran.code, ran.stdout);
        assert!(blocks > 0 || ran.code == 3, "the limit had no effect");
        trial.settle();
    }
}

#[test]
fn the_hashed_bytes_are_sent_though_the_file_keeps_changing() {
    let trial = Trial::new();
    // Large enough that a writer meets its upload.
    let text = |letter: &str| rbxmx(&letter.repeat(3_000_000));
    trial.project.write("models/sword.rbxmx", text("a"));
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for letter in ["b", "c", "d", "e"].iter().cycle() {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                trial.project.write("models/sword.rbxmx", text(letter));
                std::thread::sleep(Duration::from_millis(25));
            }
        });
        let ran = trial.run(10);
        done.store(true, Ordering::Relaxed);
        assert!(matches!(ran.code, 0 | 1), "{} {}", ran.stdout, ran.stderr);
    });
    trial.settle();
    // Each asset is known by exactly its bytes.
    let (_, history) = trial.project.json(&["history", "sword"]);
    let known: BTreeSet<_> = history["revisions"]
        .as_array()
        .unwrap()
        .iter()
        .map(|revision| (revision["asset_id"].as_u64().unwrap(), revision["content_hash"].as_str().unwrap().to_owned()))
        .collect();
    for asset in trial.remote.assets().iter().filter(|report| report.asset.metadata.display_name == "Sword") {
        for version in &asset.asset.versions {
            assert!(
                known.contains(&(asset.asset.id, version.content.hash.clone())),
                "{version:?} is in none of {known:?}"
            );
        }
    }
}

#[test]
fn a_file_that_changes_or_vanishes_before_its_turn_is_looked_at_again() {
    let slow = json!({"match": {"endpoint": "create_asset", "nth": [1]}, "action": {"kind": "delay", "before_commit_ms": 1500}});
    let trial = Trial::new().fault(slow);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| trial.project.json(&["sync", "--once", "--uploads", "1", "--timeout", "60s"]));
        // Its whole body has arrived: a file that changes before that makes an upload that never
        // was.
        while !trial.has_fired() && !run.is_finished() {
            std::thread::sleep(Duration::from_millis(5));
        }
        trial.project.write("models/sword.rbxmx", rbxmx("two"));
        trial.project.remove("ui/b.png");
        let (code, document) = run.join().unwrap();
        assert_eq!(code, 0, "{document:#}");
        let commits = trial.remote.control().counters().commits;
        assert!(commits.contains_key(&hex(rbxmx("two").as_bytes())), "{document:#}");
        assert!(commits.len() <= 3, "only the first upload was under way: {commits:?}");
        assert!(!commits.contains_key(&hex(&crate::support::png(2))), "what vanished was not sent");
    });
    trial.project.write("ui/b.png", crate::support::png(2));
    trial.converge();
}
