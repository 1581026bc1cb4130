//! Many uploads: Macadam stays under the limits, and quiet while Roblox is down.

use macadam::emulator::{ApiEndpoint, Config, EndpointLimits, Limit};
use serde_json::json;

use super::{Trial, generous};
use crate::support::rbxmx;

const MODELS: &str = "[creator]\nuser_id = 1\n\n[globs.models]\npath = \"models/*.rbxmx\"\n";

fn with_models(count: usize, limits: EndpointLimits) -> Trial {
    let trial = Trial::with(MODELS, Config { limits, ..Config::default() });
    trial.project.remove("ui");
    (1..count).for_each(|number| trial.project.write(&format!("models/{number}.rbxmx"), rbxmx(&format!("n{number}"))));
    trial
}

#[test]
fn three_hundred_uploads_stay_within_every_window() {
    let mut limits = EndpointLimits { window_ms: 4_000, ..EndpointLimits::documented() };
    limits.endpoints.insert(ApiEndpoint::CreateAsset, Limit::of(100));
    limits.endpoints.insert(ApiEndpoint::GetOperation, Limit { per_ip: 300, per_owner: 300, per_key: 100 });
    let trial = with_models(300, limits);
    assert_eq!(trial.document(300, 0)["summary"]["create"], 300);
    let counters = trial.remote.control().counters();
    assert_eq!(counters.windows_exceeded, Default::default());
    assert_eq!(counters.statuses.get(&429), None, "no request too many");
    assert_eq!(counters.endpoints[&ApiEndpoint::CreateAsset], 300);
    let polls = counters.endpoints[&ApiEndpoint::GetOperation];
    assert!(polls <= 450, "at most 1.5 polls an asset, cold: {polls}");
    trial.settle();
}

#[test]
fn while_roblox_is_down_a_probe_goes_out_now_and_then() {
    let down = json!({"action": {"kind": "reply", "status": 503, "shape": "service"}});
    let trial = with_models(40, generous()).fault(down);
    trial.document(8, 1);
    let requests = trial.remote.all_requests();
    assert!((5..=20).contains(&requests), "not the whole queue: {requests}");
    trial.converge();
    assert_eq!(trial.remote.assets().len(), 40);
    assert_eq!(trial.events("in_doubt"), 0);
}

#[test]
fn the_queue_goes_on_within_the_run_in_which_roblox_recovers() {
    let down = json!({"times": 14, "action": {"kind": "reply", "status": 503, "shape": "service"}});
    let trial = with_models(20, generous()).fault(down);
    assert_eq!(trial.document(120, 0)["in_sync"], true);
    trial.converge();
    // One of the fourteen met the introspection of the key, which is not repeated.
    assert_eq!(trial.remote.requests(ApiEndpoint::CreateAsset), 20 + 13);
}

#[test]
#[cfg_attr(windows, ignore = "no limit of open files")]
fn files_that_wait_for_their_turn_are_not_open() {
    // Few polls at once: a connection is an open file too.
    let mut limits = EndpointLimits { window_ms: 4_000, ..generous() };
    limits.endpoints.insert(ApiEndpoint::GetOperation, Limit::of(60));
    let trial = with_models(110, limits);
    let inner = trial.project.command(&["sync", "--once", "--json"]);
    let mut command = std::process::Command::new("sh");
    command.arg("-c").arg("ulimit -n 100; exec \"$0\" \"$@\"").arg(inner.get_program()).args(inner.get_args());
    command.current_dir(trial.project.path()).env("ROBLOX_API_KEY", crate::support::SECRET);
    crate::support::Ran::of(command.output().unwrap()).expect(0);
    trial.settle();
    assert_eq!(trial.remote.assets().len(), 110);
}
