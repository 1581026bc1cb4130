//! A defect of the program itself: a panic in one of its tasks ends the run with a reason, and
//! loses nothing.

use serde_json::Value;

use super::{Trial, side_by_side};

/// The place of the panic, and the exit code: 3 if the run loses its state.
const PLACES: [(&str, (&str, i32)); 12] = [
    ("looking at files", ("gather:1", 1)),
    ("looking at files again", ("gather:2", 1)),
    ("before the first byte", ("begun:1", 1)),
    ("before the last byte", ("handed_over:2", 1)),
    ("with an answer", ("answered:1", 1)),
    ("with an operation", ("accepted:2", 1)),
    ("the poller", ("poller:1", 1)),
    ("with an answer to a poll", ("polled:1", 1)),
    ("with a result", ("operation_done:1", 1)),
    ("with all done", ("settled:3", 1)),
    ("before the lockfile is written", ("lockfile:1", 1)),
    ("the thread of the state", ("state:6", 3)),
];

#[test]
fn a_panic_in_a_task_ends_the_run_with_a_reason() {
    side_by_side(&PLACES, |(place, code)| {
        let mut trial = Trial::new();
        trial.project.set_env("MACADAM_PANIC", *place);
        let ran = trial.run(60).expect(*code);
        let told = format!("scripted at `{}`", place.split(':').next().unwrap());
        assert!(ran.stderr.contains(&told), "never fired: {}", ran.stderr);
        let document: Value = serde_json::from_str(&ran.stdout).unwrap();
        let message = document["errors"][0]["message"].as_str().unwrap();
        // Whether the first write or a later one tells of it depends on who came first.
        let wanted = if *code == 3 { "the state " } else { told.as_str() };
        assert!(message.contains(wanted), "{document:#}");
        assert_ne!(document["in_sync"], true, "{document:#}");
        trial.project.set_env("MACADAM_PANIC", "");
        trial.settle();
    });
}
