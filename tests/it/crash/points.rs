//! A moving crash point: the program dies at its first step, its second, and so on, until a run
//! gets to its end.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use macadam::emulator::ForeignEdit;

use super::stage::Stage;
use crate::support::{animation, png, rbxmx};

pub(super) const IMAGES: &str = "[creator]\nuser_id = 1\n[globs.ui]\npath = \"ui/*.png\"\n";
pub(super) const MODELS: &str = "[creator]\nuser_id = 1\n[globs.models]\npath = \"models/*.rbxmx\"\n";

/// The number of stages that move the crash point together: most of a run is waiting.
const STAGES: usize = 4;

/// Kills runs at every step: each begins the work that `edit` of the point's number makes
/// necessary, on top of the project that `base` set up and earlier points left.
pub(super) fn sweep(manifest: &str, base: fn(&mut Stage), edit: fn(&mut Stage, usize)) {
    let start = || {
        let mut stage = Stage::new(manifest);
        base(&mut stage);
        stage.converge();
        // Once without a death: now the program knows how long such an operation takes.
        edit(&mut stage, 0);
        stage.converge();
        stage.audit();
        stage
    };
    move_the_point(|stage, point| {
        let stage = stage.get_or_insert_with(start);
        edit(stage, point);
        die_and_recover(stage, point)
    });
}

/// Hands out the points 1, 2, … until `run` returns that a run completed.
pub(super) fn move_the_point(run: impl Fn(&mut Option<Stage>, usize) -> bool + Sync) {
    let (next, over) = (AtomicUsize::new(1), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..STAGES {
            scope.spawn(|| {
                let mut stage = None;
                while !over.load(Ordering::SeqCst) {
                    let ended = run(&mut stage, next.fetch_add(1, Ordering::SeqCst));
                    over.fetch_or(ended, Ordering::SeqCst);
                }
            });
        }
    });
    // Even what sends nothing takes three transactions of two steps each, and a lockfile of four:
    // fewer points mean that no process died.
    let points = next.into_inner();
    assert!(points > 9, "only {points} points");
}

/// Kills a run at a point and checks the state after it; true if the run ended before it reached
/// the point.
pub(super) fn die_and_recover(stage: &mut Stage, point: usize) -> bool {
    let ended = stage.crash(&point.to_string());
    let open = stage.examine_the_dead();
    stage.recover(&open);
    ended.map(|ran| ran.expect(0)).is_some()
}

/// A shade that no other point of the sweep has.
pub(super) fn shade(point: usize) -> u8 {
    u8::try_from(point).expect("fewer points than shades")
}

#[test]
fn creating_an_image() {
    let base = |stage: &mut Stage| stage.write("ui/0.png", png(0));
    sweep(IMAGES, base, |stage, point| stage.write(&format!("ui/{point}.png"), png(shade(point))));
}

#[test]
fn creating_a_model_in_a_new_project() {
    // State and lockfile are made under the crash as well.
    move_the_point(|_, point| {
        let mut stage = Stage::new(MODELS);
        stage.write("models/a.rbxmx", rbxmx("a"));
        die_and_recover(&mut stage, point)
    });
}

#[test]
fn updating_a_models_content() {
    let base = |stage: &mut Stage| stage.write("models/a.rbxmx", rbxmx("base"));
    sweep(MODELS, base, |stage, point| stage.write("models/a.rbxmx", rbxmx(&format!("m{point}"))));
}

/// The run begins with what changed: it loads and plans nothing else.
#[test]
fn an_edit_after_nothing_was_to_do() {
    let base = |stage: &mut Stage| {
        stage.write("models/a.rbxmx", rbxmx("base"));
        stage.write("ui/a.png", png(0));
    };
    sweep(&format!("{IMAGES}[globs.models]\npath = \"models/*.rbxmx\"\n"), base, |stage, point| {
        // Times that are too recent prove nothing.
        let is_proved = |_| {
            stage.project.sync();
            let state = rusqlite::Connection::open(stage.project.state()).unwrap();
            state.query_row("SELECT count(*) FROM settled WHERE recent IS NULL", [], |row| row.get(0)) == Ok(1)
        };
        assert!((0..100).any(is_proved), "point {point}");
        stage.write("models/a.rbxmx", rbxmx(&format!("e{point}")));
        stage.write("ui/a.png", png(shade(point)));
    });
}

#[test]
fn replacing_an_image() {
    let base = |stage: &mut Stage| stage.write("ui/a.png", png(0));
    sweep(IMAGES, base, |stage, point| stage.write("ui/a.png", png(shade(point))));
}

#[test]
fn replacing_an_animation() {
    let base = |stage: &mut Stage| stage.write("models/a.rbxmx", animation("base"));
    sweep(MODELS, base, |stage, point| stage.write("models/a.rbxmx", animation(&format!("a{point}"))));
}

#[test]
fn changing_metadata() {
    let base = |stage: &mut Stage| stage.write("ui/a.png", png(0));
    sweep(&format!("{IMAGES}display_name = \"base\"\n"), base, |stage, point| {
        stage
            .project
            .write("assets.toml", format!("{IMAGES}display_name = \"n{point}\"\ndescription = \"d{point}\"\n"));
    });
}

#[test]
fn sharing_an_asset() {
    let base = |stage: &mut Stage| stage.write("ui/a.png", png(0));
    sweep(IMAGES, base, |stage, point| stage.write(&format!("ui/b{point}.png"), png(0)));
}

#[test]
fn pointing_back_to_an_archived_asset() {
    let base = |stage: &mut Stage| {
        stage.write("ui/a.png", png(0));
        stage.converge();
        stage.write("ui/a.png", png(1));
    };
    sweep(IMAGES, base, |stage, _| {
        // Somebody archives the asset that the address left, and the address wants it again.
        let current = std::fs::read(stage.project.file("ui/a.png")).unwrap();
        let other = if current == png(0) { png(1) } else { png(0) };
        let wanted = super::stage::hash(&other);
        let assets = stage.remote.assets();
        let old = assets.iter().find(|asset| asset.asset.versions[0].content.hash == wanted).unwrap();
        let archive = ForeignEdit { archived: Some(true), ..ForeignEdit::default() };
        stage.remote.control().edit(old.asset.id, &archive).unwrap();
        stage.write("ui/a.png", other);
    });
}

#[test]
fn an_asset_restored_by_pointing_back_is_not_called_archived() {
    let mut stage = Stage::new(IMAGES);
    for shade in [0, 1] {
        stage.write("ui/a.png", png(shade));
        stage.converge();
    }
    let first = stage.remote.assets()[0].asset.id;
    stage.remote.control().edit(first, &ForeignEdit { archived: Some(true), ..ForeignEdit::default() }).unwrap();
    stage.write("ui/a.png", png(0));
    stage.converge();
    let (_, status) = stage.project.json(&["status"]);
    assert_eq!(status["assets"][0]["state"], "synced");
    assert_eq!(status["assets"][0]["asset_id"], first);
}
