//! Uploads in doubt that are not sent again: costly ones, and all of them if the policy says
//! `hold`. A person settles them.

use macadam::emulator::ApiEndpoint;

use super::points::{IMAGES, move_the_point, shade, sweep};
use super::stage::{Open, Stage, action};
use crate::support::{png, wav};

const SOUNDS: &str = "[creator]\nuser_id = 1\n[globs.sounds]\npath = \"sounds/*.wav\"\n";

/// Returns the outcome of a sync for an address whose upload is in doubt; the sync must not send it
/// again.
#[track_caller]
fn expect_held(stage: &Stage, address: &str) {
    let creates = stage.remote.requests(ApiEndpoint::CreateAsset);
    for _ in 0..2 {
        let (code, document) = stage.project.json(&["sync", "--once"]);
        assert_eq!(code, 1, "{document:#}");
        let held = action(&document, address);
        assert_eq!((held["action"].as_str(), held["outcome"].as_str()), (Some("hold"), Some("held")), "{held:#}");
        assert!(held["hint"].as_str().unwrap().contains(&format!("macadam resolve {address}")), "{held:#}");
    }
    assert_eq!(stage.remote.requests(ApiEndpoint::CreateAsset), creates, "nothing is sent again");
    let lockfile = stage.lockfile();
    assert!(lockfile["assets"][address]["open"].as_array().is_some_and(|open| open.len() == 1), "{lockfile}");
}

/// Settles an upload in doubt like a person who looked for the asset.
fn settle(stage: &Stage, address: &str, content: &[u8]) {
    let hash = super::stage::hash(content);
    let assets = stage.remote.assets();
    let made = assets.iter().find(|asset| asset.asset.versions[0].content.hash == hash);
    match made {
        Some(made) => {
            let other = assets.iter().find(|asset| asset.asset.id != made.asset.id).unwrap().asset.id;
            for wrong in [other, 1] {
                stage.project.run(&["resolve", address, "--asset-id", &wrong.to_string()]).expect(1);
            }
            expect_held(stage, address);
            stage.project.run(&["resolve", address, "--asset-id", &made.asset.id.to_string()]).expect(0);
        }
        None => {
            stage.project.run(&["resolve", address, "--recreate"]).expect(0);
        }
    }
}

/// Moves the crash point over creates that are held when in doubt.
fn sweep_held(manifest: &str, file: fn(usize) -> (String, Vec<u8>)) {
    move_the_point(|stage, point| {
        let stage = stage.get_or_insert_with(|| {
            let mut stage = Stage::new(manifest);
            let (address, content) = file(0);
            stage.write(&address, content);
            stage.converge();
            stage.audit();
            stage
        });
        let (address, content) = file(point);
        stage.write(&address, &content);
        let ended = stage.crash(&point.to_string());
        let open = stage.examine_the_dead();
        assert!(stage.copies(&content) <= 1);
        if open.iter().any(Open::is_create_in_doubt) {
            expect_held(stage, &address);
            settle(stage, &address, &content);
        }
        // There is no double, and none is recorded.
        stage.recover(&[]);
        assert_eq!(stage.copies(&content), 1, "{address}");
        ended.map(|ran| ran.expect(0)).is_some()
    });
}

#[test]
fn a_sound_is_never_doubled() {
    sweep_held(SOUNDS, |point| (format!("sounds/{point}.wav"), wav(point)));
}

#[test]
fn with_hold_nothing_is_ever_doubled() {
    let manifest = format!("{IMAGES}[policy]\nambiguous_create = \"hold\"\n");
    sweep_held(&manifest, |point| (format!("ui/{point}.png"), png(shade(point))));
}

#[test]
fn with_retry_a_sound_may_be_doubled_and_the_state_says_so() {
    let manifest = format!("{SOUNDS}[policy]\nambiguous_create = \"retry\"\n");
    let base = |stage: &mut Stage| stage.write("sounds/0.wav", wav(0));
    sweep(&manifest, base, |stage, point| stage.write(&format!("sounds/{point}.wav"), wav(point)));
}

#[test]
fn recreating_what_was_made_is_a_persons_word_and_recorded() {
    let mut stage = Stage::new(SOUNDS);
    stage.write("sounds/a.wav", wav(1));
    assert!(stage.crash("answered:1").is_none());
    stage.quiet();
    assert_eq!(stage.copies(&wav(1)), 1);
    expect_held(&stage, "sounds/a.wav");
    stage.project.run(&["resolve", "sounds/a.wav", "--recreate"]).expect(0);
    stage.project.run(&["resolve", "sounds/a.wav", "--recreate"]).expect(1);
    stage.converge();
    stage.audit();
    assert_eq!(stage.copies(&wav(1)), 2);
    assert_eq!(stage.events("recreated").get("sounds/a.wav"), Some(&1));
}
