//! Clocks: the time of day jumps between runs, and files have impossible times.

use std::fs::File;
use std::time::{Duration, SystemTime};

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::{Trial, hex, side_by_side};
use crate::support::{png, rbxmx};

const HOUR: i64 = 60 * 60;
const YEAR: i64 = 365 * 24 * HOUR;

/// How far the clock is ahead in the first run, and in those after it.
const JUMPS: [(&str, (i64, i64)); 8] = [
    ("an hour forwards", (0, HOUR)),
    ("an hour backwards", (0, -HOUR)),
    ("a year forwards", (0, YEAR)),
    ("a year backwards", (0, -YEAR)),
    ("from an hour ahead", (HOUR, 0)),
    ("from an hour behind", (-HOUR, 0)),
    ("from a year ahead", (YEAR, 0)),
    ("from a year behind", (-YEAR, 0)),
];

fn set_clock(trial: &mut Trial, ahead: i64) {
    trial.project.set_env("MACADAM_CLOCK_SHIFT", ahead.to_string());
}

#[test]
fn waiting_and_polling_continue_when_the_clock_jumps() {
    side_by_side(&JUMPS, |(before, after)| {
        let mut trial = Trial::new().fault(json!([
            {"match": {"endpoint": "create_asset", "name": "a"}, "action": {"kind": "reply", "status": 409, "shape": "service"}},
            {"match": {"endpoint": "create_asset", "name": "b"}, "action": {"kind": "operation", "outcome": "stuck"}},
        ]));
        set_clock(&mut trial, *before);
        let document = trial.document(6, 1);
        assert_eq!(Trial::outcome(&document, "ui/a.png"), "waiting", "{document:#}");
        assert_eq!(Trial::outcome(&document, "ui/b.png"), "waiting", "{document:#}");
        assert_eq!(Trial::outcome(&document, "sword"), "done", "{document:#}");
        set_clock(&mut trial, *after);
        trial.converge();
        assert_eq!(trial.remote.assets().len(), 3, "an operation is polled to its end, however old it seems");
        assert_eq!(trial.events("in_doubt"), 0);
    });
}

#[test]
fn an_update_in_doubt_is_settled_when_the_clock_jumps() {
    side_by_side(&JUMPS, |(before, after)| {
        let mut trial = Trial::new();
        trial.project.sync();
        trial.project.write("models/sword.rbxmx", rbxmx("two"));
        set_clock(&mut trial, *before);
        trial.project.set_env("MACADAM_FAILPOINT", "answered:1");
        assert_eq!(trial.run(60).code, -1, "it was killed");
        trial.project.set_env("MACADAM_FAILPOINT", "");
        // The remote carries out the requests that were sent.
        while trial.remote.control().counters().in_flight > 0
            || trial.remote.control().operations().iter().any(|one| !one.done)
        {
            std::thread::sleep(Duration::from_millis(5));
        }
        set_clock(&mut trial, *after);
        // By a clock that was behind, its own revision was made long after the request.
        if *before < 0 {
            let document = trial.document(60, 1);
            assert_eq!(Trial::outcome(&document, "sword"), "held", "{document:#}");
            assert_eq!(trial.remote.requests(ApiEndpoint::UpdateAsset), 1, "it may be somebody else's");
            return;
        }
        trial.settle();
        assert_eq!(trial.events("made_elsewhere"), 0, "it is its own revision");
    });
}

#[test]
fn an_edit_shows_whatever_the_times_of_its_file_say() {
    let now = SystemTime::now();
    let second =
        SystemTime::UNIX_EPOCH + Duration::from_secs(now.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs());
    let cases = [
        ("in the future", now + Duration::from_secs(YEAR.unsigned_abs() * 10)),
        ("at the epoch", SystemTime::UNIX_EPOCH),
        ("before the epoch", SystemTime::UNIX_EPOCH - Duration::from_secs(1)),
        ("of whole seconds", second),
        ("now", now),
    ];
    side_by_side(&cases, |time| {
        let trial = Trial::new();
        let write = |name: &str, content: &[u8]| {
            trial.project.write(name, content);
            let file = File::options().write(true).open(trial.project.file(name)).unwrap();
            file.set_modified(*time).unwrap();
            let metadata = file.metadata().unwrap();
            (metadata.len(), metadata.modified().unwrap())
        };
        let texts = ["one", "two", "six"].map(rbxmx);
        let mut seen = vec![write("models/sword.rbxmx", texts[0].as_bytes()), write("ui/a.png", &png(1))];
        trial.settle();
        for (shade, text) in (11..).zip(&texts[1..]) {
            // Another content of the same size with the same time: only the inode's own time tells.
            let edited = vec![write("models/sword.rbxmx", text.as_bytes()), write("ui/a.png", &png(shade))];
            assert_eq!(std::mem::replace(&mut seen, edited.clone()), edited, "the fault did not fire");
            trial.settle();
            let commits = trial.remote.control().counters().commits;
            assert_eq!(commits.get(&hex(text.as_bytes())), Some(&1), "{commits:?}");
        }
        assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 3 + 2);
    });
}
