//! The files of `examples/quickstart/`: the drawn pictures and the sound, and a test that all of
//! them pass inspection.
//!
//! `MACADAM_DRAW=1 cargo test --lib quickstart` draws the files again. The model and the animation
//! are written by hand.
#![expect(clippy::disallowed_methods, reason = "the test reads and writes the example's own files")]

use std::collections::BTreeMap;
use std::path::PathBuf;

use super::inspect::samples;
use super::tests_support::path;
use super::{FilesInProgress, scan, walk};
use crate::model::asset::AssetType;
use crate::model::desired::{FileSelection, GlobPattern};
use crate::model::file::FileCache;

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("examples/quickstart")
}

fn drawn() -> [(&'static str, Vec<u8>); 4] {
    [
        ("ui/close.png", picture(close)),
        ("ui/coin.png", picture(coin)),
        ("ui/sword.png", picture(sword)),
        ("sounds/pickup.wav", pickup()),
    ]
}

/// Pixels in each direction.
const SIZE: u32 = 64;
/// Samples in each direction within a pixel, for smooth edges.
const FINE: u32 = 4;

type Colour = Option<[u8; 3]>;

/// Draws a picture from the colour that `draw` returns for each point of the square from -1 to 1, x
/// to the right and y down. Uses only sums and products, which give the same bytes on every
/// machine.
fn picture(draw: fn(f64, f64) -> Colour) -> Vec<u8> {
    let place = |step: u32| (f64::from(step) + 0.5) / f64::from(SIZE * FINE) * 2.0 - 1.0;
    let (mut palette, mut pixels): (Vec<[u8; 4]>, Vec<u8>) = (Vec::new(), Vec::new());
    for (y, x) in (0..SIZE).flat_map(|y| (0..SIZE).map(move |x| (y, x))) {
        let points = (0..FINE).flat_map(|row| (0..FINE).map(move |column| (row, column)));
        let hits: Vec<[u8; 3]> =
            points.filter_map(|(row, column)| draw(place(x * FINE + column), place(y * FINE + row))).collect();
        let count = u32::try_from(hits.len()).unwrap();
        let mean = |channel: usize| {
            let sum: u32 = hits.iter().map(|colour| u32::from(colour[channel])).sum();
            u8::try_from(sum.checked_div(count).unwrap_or(0)).unwrap()
        };
        let alpha = u8::try_from(count * 255 / (FINE * FINE)).unwrap();
        let colour = [mean(0) & 0xf8, mean(1) & 0xf8, mean(2) & 0xf8, alpha];
        let index = palette.iter().position(|known| *known == colour).unwrap_or_else(|| {
            palette.push(colour);
            palette.len() - 1
        });
        pixels.push(u8::try_from(index).expect("an icon has at most 256 colours"));
    }
    samples::png(SIZE, SIZE, &palette, &pixels)
}

/// A white cross on a red disc.
fn close(x: f64, y: f64) -> Colour {
    let (along, across) = ((x + y) * 0.5, (x - y) * 0.5);
    let bar = |a: f64, b: f64| a.abs() < 0.36 && b.abs() < 0.085;
    match x * x + y * y {
        _ if bar(along, across) || bar(across, along) => Some([248, 248, 248]),
        square if square < 0.8 * 0.8 => Some([216, 56, 56]),
        square if square < 0.9 * 0.9 => Some([152, 32, 40]),
        _ => None,
    }
}

/// A golden disc with a rim, a square hole and a gleam.
fn coin(x: f64, y: f64) -> Colour {
    let gleam = (x + y + 0.55).abs() < 0.12;
    match x * x + y * y {
        _ if x.abs() < 0.22 && y.abs() < 0.22 => None,
        _ if x.abs() < 0.3 && y.abs() < 0.3 => Some([176, 120, 24]),
        square if square < 0.72 * 0.72 => Some(if gleam { [255, 240, 168] } else { [248, 200, 64] }),
        square if square < 0.9 * 0.9 => Some([208, 144, 32]),
        _ => None,
    }
}

/// A sword from the lower left to the upper right.
fn sword(x: f64, y: f64) -> Colour {
    // Along the blade from hilt to point, and across it.
    let (along, across) = ((x - y) * 0.5, (x + y) * 0.5);
    let tip = if along > 0.7 { (0.86 - along) * 0.6 } else { 0.096 };
    match (along, across.abs()) {
        (along, across) if (-0.42..-0.3).contains(&along) && across < 0.32 => Some([216, 168, 48]),
        (along, width) if (-0.3..0.86).contains(&along) && width < tip => {
            Some(if across < 0.0 { [232, 240, 248] } else { [152, 168, 192] })
        }
        (along, across) if (-0.74..-0.42).contains(&along) && across < 0.065 => Some([112, 64, 40]),
        (along, across) if (along + 0.78) * (along + 0.78) + across * across < 0.11 * 0.11 => Some([216, 168, 48]),
        _ => None,
    }
}

/// Two rising notes that fade: triangle waves in integers, the same on every machine.
fn pickup() -> Vec<u8> {
    const RATE: u32 = 16_000;
    let note = |period: i32, length: i32| {
        (0..length).map(move |time| {
            let phase = time % period * 4 * 100 / period;
            let wave = if phase < 200 { phase - 100 } else { 300 - phase };
            u8::try_from(128 + wave * (length - time) / length).unwrap()
        })
    };
    // 800 Hz, then 1,143 Hz.
    samples::wav(RATE, &note(20, 1600).chain(note(14, 4000)).collect::<Vec<u8>>())
}

#[test]
fn quickstart_files_are_as_drawn() {
    let draws = std::env::var_os("MACADAM_DRAW").is_some();
    for (path, bytes) in drawn() {
        if draws {
            std::fs::write(folder().join(path), &bytes).unwrap();
        }
        assert!(std::fs::read(folder().join(path)).unwrap() == bytes, "{path} is not what the code draws");
        assert!(bytes.len() < 10_000, "{path} has {} bytes", bytes.len());
    }
}

#[test]
fn quickstart_files_pass_with_the_right_types() {
    let everything = GlobPattern { name: "all".into(), path: "*/**".into(), exclude: vec!["assets.lock.toml".into()] };
    let walk = walk(&folder(), &FileSelection { explicit: vec![path("models/crate.rbxmx")], globs: vec![everything] });
    assert_eq!(walk.problems, []);
    let findings = scan(&folder(), &walk, &FileCache::new(), &FilesInProgress::default(), 0, &|_| {}).findings;
    let types: BTreeMap<&str, AssetType> = findings
        .iter()
        .map(|(path, finding)| match &finding.content {
            Ok(facts) => (path.as_str(), facts.inferred_type().unwrap()),
            Err(problem) => panic!("{path}: {}", problem.message),
        })
        .collect();
    let expected = [
        ("animations/wave.rbxmx", AssetType::Animation),
        ("models/crate.rbxmx", AssetType::Model),
        ("sounds/pickup.wav", AssetType::Audio),
        ("ui/close.png", AssetType::Image),
        ("ui/coin.png", AssetType::Image),
        ("ui/sword.png", AssetType::Image),
    ];
    assert_eq!(types, BTreeMap::from(expected));
}
