//! Pins, archiving and restoring, killed at every step: whatever the death left, the next sync goes
//! on from there, and the command can be given again.

use std::time::Duration;

use macadam::emulator::ApiEndpoint;

use super::points::{IMAGES, MODELS, move_the_point};
use super::stage::{Stage, hash};
use crate::support::{png, rbxmx};

/// Kills `args` at every step, on top of what `base` sets up. After a sync that goes on from there,
/// `between` holds; after the command was given again, `after` does.
fn sweep(manifest: &str, base: fn(&mut Stage), args: &[&str], between: fn(&Stage), after: fn(&Stage)) {
    move_the_point(|_, point| {
        let mut stage = Stage::new(manifest);
        base(&mut stage);
        let ended = stage.crash_in(args, &point.to_string());
        stage.examine_the_dead();
        stage.converge();
        assert_eq!(stage.open(), [], "{args:?} at point {point}");
        between(&stage);
        let again = stage.project.run(args);
        let is_done =
            again.code == 1 && ["already archived", "is not archived"].iter().any(|t| again.stderr.contains(t));
        assert!(again.code == 0 || is_done, "{args:?} at point {point}: {}{}", again.stdout, again.stderr);
        after(&stage);
        let before = stage.remote.all_requests();
        assert_eq!(stage.project.sync()["actions"], serde_json::json!([]), "{args:?} at point {point}");
        assert_eq!(stage.remote.all_requests(), before, "{args:?} at point {point}: a second run sends something");
        ended.map(|ran| ran.expect(0)).is_some()
    });
}

/// The SHA-256 of what players get of the only asset.
fn head(stage: &Stage) -> String {
    let assets = stage.remote.assets();
    let [asset] = assets.as_slice() else { panic!("{} assets", assets.len()) };
    let asset = &asset.asset;
    assert!(asset.versions.len() <= 3, "rolled back twice");
    asset.versions.iter().find(|version| version.number == asset.head).unwrap().content.hash.clone()
}

fn two_revisions(stage: &mut Stage) {
    for name in ["one", "two"] {
        stage.write("models/a.rbxmx", rbxmx(name));
        stage.converge();
    }
}

/// Players get what the manifest says.
fn follows_the_manifest(stage: &Stage) {
    let pinned = stage.project.read("assets.toml").contains("[pins]");
    assert_eq!(head(stage), hash(rbxmx(if pinned { "one" } else { "two" }).as_bytes()));
}

fn rolled_back(stage: &Stage) {
    assert_eq!(head(stage), hash(rbxmx("one").as_bytes()));
}

#[test]
fn rolling_back_to_a_new_version() {
    let base = |stage: &mut Stage| {
        stage.remote.control().set_switch("rollback", "new_version").unwrap();
        two_revisions(stage);
    };
    sweep(MODELS, base, &["pin", "models/a.rbxmx", "1"], follows_the_manifest, rolled_back);
}

#[test]
fn rolling_back_by_moving_the_head() {
    let base = |stage: &mut Stage| {
        stage.remote.control().set_switch("rollback", "repoint").unwrap();
        two_revisions(stage);
    };
    sweep(MODELS, base, &["pin", "models/a.rbxmx", "1"], follows_the_manifest, rolled_back);
}

/// Whether the only asset is archived at Roblox; the program must know it.
fn archived(stage: &Stage) -> bool {
    let archived = stage.remote.assets()[0].asset.archived;
    let (_, status) = stage.project.json(&["status"]);
    assert_eq!(status["assets"][0]["state"], if archived { "archived" } else { "synced" }, "{status:#}");
    let lockfile = stage.project.read("assets.lock.toml");
    assert_eq!(lockfile.contains("by_hand"), archived, "{lockfile}");
    archived
}

fn a_picture(stage: &mut Stage) {
    stage.write("ui/a.png", png(1));
    stage.converge();
}

#[test]
fn archiving_by_hand() {
    let between = |stage: &Stage| {
        archived(stage);
    };
    sweep(IMAGES, a_picture, &["archive", "ui/a.png"], between, |stage| assert!(archived(stage)));
}

#[test]
fn restoring_by_hand() {
    let base = |stage: &mut Stage| {
        a_picture(stage);
        stage.project.run(&["archive", "ui/a.png"]).expect(0);
    };
    let between = |stage: &Stage| {
        archived(stage);
    };
    sweep(IMAGES, base, &["restore", "ui/a.png"], between, |stage| assert!(!archived(stage)));
}

/// After a death on the wire an asset that left by policy was taken for one that a person archived,
/// and did not come back with its file.
#[test]
fn archiving_by_policy_is_not_taken_for_archiving_by_hand() {
    let manifest = format!("[policy]\nremoved = \"archive\"\narchive_after = \"1s\"\n{IMAGES}");
    for point in ["begun:1", "handed_over:1", "answered:1", "settled:1", "lockfile:1"] {
        let mut stage = Stage::new(&manifest);
        for (name, shade) in [("ui/a.png", 1), ("ui/keep.png", 2)] {
            stage.write(name, png(shade));
        }
        stage.converge();
        let archived = |stage: &Stage| stage.remote.assets().iter().filter(|asset| asset.asset.archived).count();
        stage.project.remove("ui/a.png");
        stage.converge();
        // Since then it is on its way out; now it is due.
        std::thread::sleep(Duration::from_millis(1100));
        assert!(stage.crash(point).is_none(), "{point}");
        stage.quiet();
        stage.converge();
        assert_eq!(archived(&stage), 1, "{point}");
        let lockfile = stage.project.read("assets.lock.toml");
        assert!(!lockfile.contains("by_hand"), "{point}: {lockfile}");
        stage.write("ui/a.png", png(1));
        stage.converge();
        assert_eq!(archived(&stage), 0, "{point}");
        stage.audit();
        assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), 2, "{point}");
    }
}
