//! Answers with a foreign body: cases that the status alone settles, and cases that it doesn't.

use macadam::emulator::{Config, EndpointLimits};
use serde_json::{Value, json};

use super::{MANIFEST, Trial, generous, side_by_side};

/// Answers the first uploads of one picture with `status` and each body that says nothing.
fn bodies(status: u16, times: u64) -> Vec<(&'static str, Value)> {
    let reply = |body: &str| {
        let action = json!({"kind": "reply", "status": status, "body": body, "headers": {"x-ratelimit-reset": "1", "x-ratelimit-remaining": "0", "x-ratelimit-limit": "60"}});
        json!({"match": {"endpoint": "create_asset", "name": "a"}, "times": times, "action": action})
    };
    vec![
        ("empty", reply("")),
        ("a page", reply("<html><body>go away</body></html>")),
        ("no errors", reply("{\"errors\":[]}")),
        ("cut off", reply("{\"errors\":[{\"co")),
    ]
}

#[test]
fn too_many_requests_make_no_copy_whatever_the_body() {
    side_by_side(&bodies(429, 1), |script| {
        let limits = EndpointLimits { window_ms: 4_000, ..generous() };
        let trial = Trial::with(MANIFEST, Config { limits, ..Config::default() }).fault(script.clone());
        assert_eq!(trial.document(100, 0)["in_sync"], true);
        trial.converge();
        assert_eq!(trial.events("in_doubt"), 0);
        assert_eq!(trial.remote.assets().len(), 3);
    });
}

#[test]
fn a_request_that_was_turned_away_is_sent_by_the_next_run() {
    for status in [403, 410] {
        side_by_side(&bodies(status, 100), |script| {
            let trial = Trial::new().fault(script.clone());
            let document = trial.document(30, 1);
            assert_eq!(Trial::outcome(&document, "ui/a.png"), "failed", "{document:#}");
            assert_eq!(Trial::outcome(&document, "ui/b.png"), "done", "{status} stops nothing else: {document:#}");
            assert_eq!(trial.events("in_doubt"), 0);
            // Nothing of the file was judged: neither a change nor `retry` is needed.
            trial.converge();
            assert_eq!(trial.remote.assets().len(), 3);
        });
    }
}
