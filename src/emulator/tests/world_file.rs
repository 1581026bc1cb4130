//! The world file: the cost of a write, and what a kill leaves.
#![expect(clippy::disallowed_methods, reason = "tests read and spoil the file by hand")]

use std::path::Path;

use serde_json::json;

use super::files::{audio, image, model};
use super::fixture::{EmulatorFixture, new_asset};
use crate::emulator::persist::{MIN_OUTGROWN, WorldFile, WorldFileError, parse};
use crate::emulator::world::World;
use crate::emulator::{
    ForeignEdit, LatencyModel, ModerationRule, ModerationVerdict, TextAction, TextRule, VerdictStep,
};

/// Saves the world, and returns the number of bytes written for that.
fn save(file: &mut WorldFile, emulator: &EmulatorFixture) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(file.save(&emulator.control.shared)).unwrap()
}

/// Opens a file that nobody uses. A process that another test starts at that moment may have the
/// lock of the last opening for as long as its start takes.
fn open(path: &Path) -> WorldFile {
    loop {
        match WorldFile::open(path) {
            Err(WorldFileError::InUse { .. }) => std::thread::yield_now(),
            opened => return opened.unwrap(),
        }
    }
}

/// Loads the world of a file that nobody uses.
fn load(path: &Path) -> World {
    open(path).load().unwrap().unwrap()
}

/// Shows a world without its settings, and as if it had just been saved.
fn shown(mut world: World) -> String {
    world.settings = Default::default();
    world.whole();
    format!("{world:#?}")
}

fn shown_now(emulator: &EmulatorFixture) -> String {
    shown(emulator.control.shared.settled().0.world.clone())
}

/// Changes every part of the world, one after the other.
fn changes() -> Vec<fn(&EmulatorFixture)> {
    vec![
        |emulator| drop(emulator.create(&new_asset("Model", "a"), &model("a"))),
        |emulator| emulator.pass(2000),
        |emulator| assert!(emulator.made("Image", "b", &image(2, 2)) > 0),
        |emulator| drop(emulator.create(&new_asset("Audio", "c"), &audio())),
        |emulator| {
            let id = emulator.control.assets()[0].asset.id;
            emulator.update(id, "", &json!({ "assetId": id }), Some(&model("changed"))).good();
        },
        |emulator| {
            let id = emulator.control.assets()[1].asset.id;
            emulator.control.edit(id, &ForeignEdit { archived: Some(true), ..Default::default() }).unwrap();
        },
        |emulator| {
            let asset_id = Some(emulator.control.assets()[0].asset.id);
            let verdicts = vec![VerdictStep { after_ms: 1500, verdict: ModerationVerdict::Rejected }];
            emulator.control.moderate(ModerationRule { asset_id, verdicts, ..Default::default() });
        },
        |emulator| emulator.pass(2000),
        |emulator| {
            let rule = TextRule { contains: "bad".into(), field: Default::default(), action: TextAction::Censor };
            emulator.control.add_text_rule(rule);
        },
        |emulator| emulator.control.moderate_account("user:7".to_owned().try_into().unwrap(), true),
        |emulator| emulator.control.clear_text_rules(),
        |emulator| {
            emulator.set("operation_retention_ms", "1");
            emulator.pass(5);
        },
    ]
}

#[test]
fn every_change_is_read_back() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let emulator = EmulatorFixture::new();
    let mut file = open(&path);
    save(&mut file, &emulator);
    for (number, change) in changes().into_iter().enumerate() {
        change(&emulator);
        let before = shown_now(&emulator);
        let bytes = save(&mut file, &emulator);
        drop(file);
        assert_eq!(shown(load(&path)), before, "change {number}");
        file = open(&path);
        let world = file.load().unwrap().unwrap();
        assert_eq!(shown(world), before, "change {number}, a second time");
        assert!(bytes < 5000, "change {number} wrote {bytes} bytes");
        assert_eq!(save(&mut file, &emulator), 0, "change {number} was written again");
    }
    let lines = std::fs::read_to_string(&path).unwrap().lines().count();
    assert!(lines > 10, "{lines} lines: the file was written whole");
}

#[test]
fn the_bytes_written_for_a_create_do_not_grow_with_the_world() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let emulator = EmulatorFixture::new();
    let mut file = open(&path);
    let mut written = |from: u32, to: u32| {
        let mut bytes = 0;
        for number in from..to {
            emulator.create(&new_asset("Model", &number.to_string()), &model(&number.to_string())).good();
            emulator.pass(500);
            bytes += save(&mut file, &emulator);
        }
        bytes
    };
    let first = written(0, 50);
    let later = written(50, 600);
    assert!(later > 2 * MIN_OUTGROWN, "{later} bytes are too few to write the world again");
    // Each change is written once, and up to twice more when the world is written whole.
    assert!(later < 11 * first * 3, "{first} bytes for the first 50 creates, {later} for the next 550");
    drop(file);
    let length = std::fs::metadata(&path).unwrap().len();
    let whole = std::fs::read_to_string(&path).unwrap().lines().next().unwrap().len() as u64;
    assert!(whole > 100_000 && length <= 2 * whole.max(MIN_OUTGROWN) + 5000, "{length} bytes, of which {whole} first");
    assert_eq!(shown(load(&path)), shown_now(&emulator));
}

#[test]
fn a_kill_within_a_write_loses_no_answered_change() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let emulator = EmulatorFixture::new();
    let mut file = open(&path);
    emulator.made("Model", "a", &model("a"));
    save(&mut file, &emulator);
    emulator.made("Model", "b", &model("b"));
    save(&mut file, &emulator);
    let (answered, before) = (shown_now(&emulator), std::fs::metadata(&path).unwrap().len());
    emulator.made("Model", "c", &model("c"));
    save(&mut file, &emulator);
    drop(file);
    let (whole, all) = (std::fs::read(&path).unwrap(), shown_now(&emulator));
    let before = usize::try_from(before).unwrap();
    assert!(before + 1000 < whole.len(), "the third create was not appended");
    for cut in before..whole.len() {
        let (world, _) = parse(&whole[..cut]).unwrap();
        assert_eq!(shown(world), answered, "cut at {cut}");
    }
    for cut in [before + 1, whole.len() - 1] {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let mut file = open(&path);
        assert_eq!(shown(file.load().unwrap().unwrap()), answered, "cut at {cut}");
        // The next write doesn't continue the torn line.
        save(&mut file, &emulator);
        drop(file);
        assert_eq!(shown(load(&path)), all, "cut at {cut}");
    }
}

#[test]
fn a_file_that_somebody_touched_or_removed_is_written_whole() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let emulator = EmulatorFixture::new();
    let mut file = open(&path);
    save(&mut file, &emulator);
    let spoil: [fn(&Path); 3] = [
        |path| std::fs::remove_file(path).unwrap(),
        |path| std::fs::write(path, "").unwrap(),
        |path| std::fs::write(path, [std::fs::read(path).unwrap(), b"{".to_vec()].concat()).unwrap(),
    ];
    for (name, spoil) in ["a", "b", "c"].into_iter().zip(spoil) {
        spoil(&path);
        emulator.made("Model", name, &model(name));
        save(&mut file, &emulator);
        assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    }
    emulator.control.reset();
    save(&mut file, &emulator);
    assert_eq!(std::fs::read_to_string(&path).unwrap().lines().count(), 1);
    drop(file);
    assert_eq!(shown(load(&path)), shown_now(&emulator));
}

#[test]
fn a_damaged_line_is_an_error_with_its_number() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let emulator = EmulatorFixture::new();
    let mut file = open(&path);
    save(&mut file, &emulator);
    drop(file);
    let good = std::fs::read_to_string(&path).unwrap();
    for bad in ["{\"assets\":{\"1\":{}}}\n", "\n", "{\"asset\":{}}\n"] {
        std::fs::write(&path, [&good, bad].concat()).unwrap();
        let error = open(&path).load().unwrap_err();
        assert!(error.to_string().contains("line 2"), "{error}");
    }
}

#[test]
fn a_counted_poll_is_saved_before_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("world.json");
    let emulator = EmulatorFixture::with(|config| config.latency = LatencyModel::Polls(1));
    let mut file = open(&path);
    let started = emulator.create(&new_asset("Model", "a"), &model("a"));
    save(&mut file, &emulator);
    for done in [false, true] {
        let mut seen = emulator.control.shared.changes();
        assert_eq!(emulator.poll(&started).good()["done"] == true, done);
        assert!(seen.has_changed().unwrap(), "nobody was told to save the poll");
        seen.mark_unchanged();
        assert!(save(&mut file, &emulator) > 0);
    }
    drop(file);
    assert_eq!(shown(load(&path)), shown_now(&emulator));
}
