//! Several Macadams with one key: each has a project and a state of its own, and Roblox counts them
//! together.
//!
//! How evenly they share is proven in simulated time (`src/cloud/limits/simulation.rs`): windows of
//! a minute are too long for a test, and in shorter ones the guards of a second weigh too much.

use std::collections::{BTreeMap, BTreeSet};

use macadam::emulator::{ApiEndpoint, Config, EndpointLimits, Limit};
use serde_json::json;

use super::generous;
use crate::support::{Project, Remote, rbxmx};

const MODELS: &str = "[creator]\nuser_id = 1\n\n[globs.models]\npath = \"models/*.rbxmx\"\n";
const PROJECTS: usize = 3;
const FILES: usize = 12;
const LIMIT: u32 = 12;
const WINDOW_MS: u64 = 4_000;

#[test]
fn processes_with_one_key_converge_and_share_its_windows() {
    let mut limits = EndpointLimits { window_ms: WINDOW_MS, ..generous() };
    limits.endpoints.insert(ApiEndpoint::CreateAsset, Limit::of(LIMIT));
    let remote = Remote::with(Config { limits, ..Config::default() });
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    let projects: Vec<Project> = (0..PROJECTS)
        .map(|number| {
            let project = Project::new(MODELS).at(&remote.url());
            let name = |file: usize| format!("p{number}f{file}");
            (0..FILES).for_each(|file| project.write(&format!("models/{}.rbxmx", name(file)), rbxmx(&name(file))));
            project
        })
        .collect();
    std::thread::scope(|scope| {
        for project in &projects {
            scope.spawn(|| {
                let (code, document) = project.json(&["sync", "--once", "--timeout", "180s"]);
                assert_eq!((code, &document["in_sync"]), (0, &json!(true)), "{document:#}");
            });
        }
    });

    let assets = remote.assets();
    assert_eq!(assets.len(), PROJECTS * FILES, "nothing is doubled");
    let log = remote.control().requests();
    let creates: Vec<_> = log.iter().filter(|request| request.endpoint == Some(ApiEndpoint::CreateAsset)).collect();
    let mut refused: BTreeMap<u64, usize> = BTreeMap::new();
    for request in creates.iter().filter(|request| request.status == Some(429)) {
        *refused.entry(request.at_ms / WINDOW_MS).or_default() += 1;
    }
    // Processes that start at the same moment can't know of each other: the first request of each,
    // and the volley after its answer.
    assert!(refused.values().all(|count| *count <= PROJECTS * 9), "{refused:?}");
    let windows: BTreeSet<u64> = creates.iter().map(|request| request.at_ms / WINDOW_MS).collect();
    let exceeded = remote.control().counters().windows_exceeded.values().sum::<u64>();
    assert!(exceeded <= 1 + windows.len() as u64 / 2, "a 429 teaches: {exceeded} of {} windows", windows.len());
    let needed = (PROJECTS * FILES).div_ceil(LIMIT as usize);
    assert!(windows.len() <= 2 * needed + 2, "{} windows for the work of {needed}", windows.len());
    for project in &projects {
        let before = remote.all_requests();
        project.sync();
        assert_eq!(remote.all_requests(), before, "a second run sends nothing");
    }
}
