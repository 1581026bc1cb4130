//! The fuzzing targets as plain tests: each over its corpus, and on request over random mutations
//! of it.

#[path = "../../fuzz/bodies.rs"]
mod bodies;

use std::path::Path;

/// How many mutated inputs each target gets: none unless `MACADAM_FUZZ` asks for some, so that a
/// test run is repeatable.
fn rounds() -> u64 {
    std::env::var("MACADAM_FUZZ").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(0)
}

fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus").join(target);
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.display().to_string(), std::fs::read(&path).unwrap())).collect();
    files.sort();
    assert!(files.len() >= 3, "{target} has hardly a corpus");
    files
}

/// One of the mutations of a fuzzer.
fn mutate(random: &mut fastrand::Rng, mut data: Vec<u8>, other: &[u8]) -> Vec<u8> {
    for _ in 0..random.usize(1..=4) {
        let at = random.usize(0..=data.len());
        match random.u8(0..6) {
            0 => data.insert(at, random.u8(..)),
            1 if at < data.len() => data[at] ^= 1 << random.u8(0..8),
            2 if at < data.len() => drop(data.drain(at..(at + random.usize(1..16)).min(data.len()))),
            3 => data.truncate(at),
            4 => {
                let from = random.usize(0..=other.len());
                let piece = &other[from..(from + random.usize(0..64)).min(other.len())];
                drop(data.splice(at..at, piece.iter().copied()));
            }
            _ => {
                let piece = data[at..(at + random.usize(0..32)).min(data.len())].to_vec();
                drop(data.splice(at..at, piece));
            }
        }
    }
    data
}

fn check(target: &str) {
    let (_, body) = bodies::TARGETS.into_iter().find(|(name, _)| *name == target).unwrap();
    let corpus = corpus(target);
    for (file, data) in &corpus {
        eprintln!("{file}");
        body(data);
    }
    let seed = std::env::var("MACADAM_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    for round in 0..rounds() {
        let mut random = fastrand::Rng::with_seed(seed.wrapping_add(round));
        let (_, data) = &corpus[random.usize(0..corpus.len())];
        let (_, other) = &corpus[random.usize(0..corpus.len())];
        eprintln!("MACADAM_SEED={} MACADAM_FUZZ=1", seed.wrapping_add(round));
        body(&mutate(&mut random, data.clone(), other));
    }
}

#[test]
fn no_manifest_breaks_its_reader() {
    check("manifest");
}

#[test]
fn no_lockfile_breaks_its_reader_or_the_merge() {
    check("lockfile");
}

#[test]
fn no_answer_breaks_its_readers() {
    check("wire");
}

#[test]
fn no_file_breaks_the_look_into_it() {
    check("file");
}

#[test]
fn no_row_of_the_state_breaks_its_reader() {
    check("state");
}
