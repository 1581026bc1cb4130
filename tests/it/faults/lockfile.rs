//! The lockfile's disk: it can't be read, or can't be written. Neither loses or doubles anything:
//! the state has it all, and the next run writes it.

use std::process::Command;

use macadam::emulator::ApiEndpoint;
use serde_json::{Value, json};

use super::{Trial, side_by_side};
use crate::support::system::{self, NOBODY, set_mode, symlink};
use crate::support::{Ran, SECRET, copy_program};

const LOCKFILE: &str = "assets.lock.toml";

/// A run that ends with exit code 3 because of the lockfile, and says so.
#[track_caller]
fn unusable(ran: Ran) -> Value {
    let ran = ran.expect(3);
    let document: Value = serde_json::from_str(&ran.stdout).unwrap();
    assert!(document["errors"][0]["message"].as_str().unwrap().contains("the lockfile"), "{document:#}");
    assert_ne!(document["in_sync"], true, "{document:#}");
    assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
    document
}

/// The run finds out that the lockfile can't be written before it sends anything.
#[track_caller]
fn nothing_was_uploaded(trial: &Trial) {
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 0);
}

/// Report and state have the uploaded assets, so none is uploaded again.
#[track_caller]
fn nothing_is_made_again(trial: &Trial, document: &Value) {
    assert_eq!(document["summary"]["create"], 3, "what was done is told: {document:#}");
    trial.settle();
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
    assert_eq!(trial.remote.assets().len(), 3);
}

#[test]
fn a_lockfile_that_can_not_be_read_stops_the_run_before_it_begins() {
    type Break = fn(&Trial);
    let cases: [(&str, Break); 2] = [
        ("a folder", |trial| std::fs::create_dir(trial.project.file(LOCKFILE)).unwrap()),
        ("a link to itself", |trial| symlink(LOCKFILE, trial.project.file(LOCKFILE)).unwrap()),
    ];
    side_by_side(&cases, |break_it| {
        let trial = Trial::new();
        break_it(&trial);
        unusable(trial.run(10));
        assert_eq!(trial.remote.all_requests(), 0);
        trial.project.remove(LOCKFILE);
        trial.settle();
        // And on a project that had one.
        let whole = trial.project.read(LOCKFILE);
        trial.project.remove(LOCKFILE);
        break_it(&trial);
        let requests = trial.remote.all_requests();
        unusable(trial.run(10));
        assert_eq!(trial.remote.all_requests(), requests);
        trial.project.remove(LOCKFILE);
        trial.settle();
        assert_eq!(trial.project.read(LOCKFILE), whole, "the state rebuilds it");
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
    });
}

#[test]
fn a_lockfile_that_breaks_midway_loses_nothing() {
    let slow = json!({"match": {"endpoint": "create_asset"}, "action": {"kind": "delay", "before_commit_ms": 300}});
    let trial = Trial::new().fault(slow);
    std::thread::scope(|scope| {
        let run = scope.spawn(|| trial.run(60));
        while trial.remote.requests(ApiEndpoint::CreateAsset) == 0 && !run.is_finished() {
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
        std::fs::create_dir(trial.project.file(LOCKFILE)).unwrap();
        let document = unusable(run.join().unwrap());
        trial.fired();
        // The message names the assets that only the state has, and what to do.
        let told = document["errors"][0].to_string();
        for made in trial.remote.assets() {
            assert!(told.contains(&format!("asset {} (`", made.asset.id)), "{told}");
        }
        assert!(told.contains("only the state") && told.contains("run the same command again"), "{told}");
        trial.remote.control().clear_faults();
        trial.project.remove(LOCKFILE);
        nothing_is_made_again(&trial, &document);
    });
}

#[test]
fn a_link_in_place_of_the_lockfile_stops_the_run_and_loses_nothing() {
    let trial = Trial::new();
    trial.settle();
    let whole = trial.project.read(LOCKFILE);
    trial.project.write("elsewhere.toml", &whole);
    trial.project.remove(LOCKFILE);
    symlink("elsewhere.toml", trial.project.file(LOCKFILE)).unwrap();
    let requests = trial.remote.all_requests();
    let document = unusable(trial.run(10));
    assert!(document["errors"][0]["hint"].as_str().unwrap().contains("in place of the link"), "{document:#}");
    assert_eq!(trial.remote.all_requests(), requests);
    trial.project.remove(LOCKFILE);
    trial.settle();
    assert_eq!(trial.project.read(LOCKFILE), whole);
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
}

#[test]
#[cfg_attr(windows, ignore = "folders have no such permissions")]
fn a_folder_that_can_not_be_written_keeps_no_lockfile_and_uploads_nothing() {
    let trial = Trial::new();
    // The state is elsewhere, where it can be written.
    let state = tempfile::tempdir().unwrap();
    let state_file = state.path().join("assets.db");
    let arguments = ["sync", "--once", "--json", "--state", state_file.to_str().unwrap()];
    std::fs::create_dir(trial.project.state_folder()).unwrap();
    let program = trial.project.file("macadam");
    copy_program(&program);
    set_mode(trial.project.path(), 0o555);
    let inner = trial.project.command(&arguments);
    let mut command = Command::new(&program);
    command.args(inner.get_args()).current_dir(trial.project.path()).env_clear().env("ROBLOX_API_KEY", SECRET);
    if system::is_root() {
        // Nothing is read-only for root: somebody else runs it.
        set_mode(state.path(), 0o777);
        system::run_as(&mut command, NOBODY);
    }
    let document = unusable(Ran::of(command.output().unwrap()));
    assert!(document["errors"][0]["hint"].as_str().unwrap().contains("allow this user"), "{document:#}");
    nothing_was_uploaded(&trial);
    set_mode(trial.project.path(), 0o755);
    assert!(!trial.project.file(LOCKFILE).exists());
    if system::is_root() {
        // Root doesn't write in another user's state.
        for entry in std::fs::read_dir(state.path()).unwrap() {
            system::give(entry.unwrap().path(), 0, Some(0)).unwrap();
        }
    }
    let (code, document) =
        trial.project.json(&arguments[..2].iter().chain(&arguments[3..]).copied().collect::<Vec<_>>());
    assert_eq!(
        (code, &document["in_sync"], &document["lockfile_written"]),
        (0, &json!(true), &json!(true)),
        "{document:#}"
    );
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3);
    assert!(trial.project.read(LOCKFILE).contains("ui/a.png"));
}

#[test]
#[cfg_attr(windows, ignore = "nothing can be mounted")]
fn a_disk_without_room_for_the_lockfile_uploads_nothing() {
    let trial = Trial::new();
    std::fs::create_dir(trial.project.file("disk")).unwrap();
    // A small disk of its own, seen by this run alone: the project is copied to it, and something
    // else fills it. The state is elsewhere.
    let script = "mount -t tmpfs -o size=256k tmpfs disk || exit 77; cp -r assets.toml ui models disk/ || exit 77; \
                  cat /dev/zero > disk/full 2>/dev/null; exec \"$0\" \"$@\"";
    let elsewhere = ["--manifest", "disk/assets.toml", "--state", ".macadam/assets.db"];
    let inner = trial.project.command(&[&["sync", "--once", "--json"][..], &elsewhere].concat());
    let mut command = Command::new("unshare");
    command.args(["--user", "--map-root-user", "--mount", "sh", "-c", script]);
    command.arg(inner.get_program()).args(inner.get_args()).current_dir(trial.project.path());
    command.env("ROBLOX_API_KEY", SECRET);
    let ran = match command.output() {
        Ok(output) if output.status.code() == Some(77) || !output.stderr.is_empty() && output.stdout.is_empty() => {
            eprintln!("skipped: no file system can be mounted here: {}", String::from_utf8_lossy(&output.stderr));
            return;
        }
        Ok(output) => Ran::of(output),
        Err(error) => {
            eprintln!("skipped: there is no `unshare`: {error}");
            return;
        }
    };
    let document = unusable(ran);
    assert!(document["errors"][0]["hint"].as_str().unwrap().contains("free space"), "{document:#}");
    nothing_was_uploaded(&trial);
    trial.settle();
}
