//! Urgent work overtakes a bulk of first uploads: a service uploads many new files, and somebody
//! saves a file that players have.

use std::collections::BTreeMap;

use macadam::emulator::{ApiEndpoint, Config, EndpointLimits, FaultRule, Limit};
use serde_json::json;

use super::service::Service;
use super::support::{GLOBS, Project, Remote, png, rbxmx};

/// The windows of Roblox's limits.
const WINDOW_MS: u64 = 60_000;

fn bulk(project: &Project, count: u8) {
    (0..count).for_each(|n| project.write(&format!("ui/new-{n}.png"), png(100 + n)));
}

/// One upload at a time, each of which takes a while.
#[test]
fn a_change_of_a_live_asset_overtakes_first_uploads() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("models/live.rbxmx", rbxmx("one"));
    project.sync();
    let slow = json!([{
        "match": {"endpoint": "create_asset"},
        "action": {"kind": "delay", "before_reply_ms": 150},
    }]);
    remote.control().add_faults(serde_json::from_value::<Vec<FaultRule>>(slow).unwrap()).unwrap();
    let service = Service::start(&project, &["--uploads", "1"]);
    bulk(&project, 40);
    service.until("the bulk has begun", || remote.requests(ApiEndpoint::CreateAsset) > 3);
    project.write("models/live.rbxmx", rbxmx("two"));
    service.until("the change is sent", || remote.requests(ApiEndpoint::UpdateAsset) > 0);
    let sent: Vec<_> = remote.control().requests().iter().filter_map(|request| request.endpoint).collect();
    let before = sent.iter().take_while(|endpoint| **endpoint != ApiEndpoint::UpdateAsset);
    let creates = before.filter(|endpoint| **endpoint == ApiEndpoint::CreateAsset).count();
    assert!(creates < 30, "the change came after {creates} of 40 new files");
    service.end();
}

/// The limit of the minute is spent but for what is kept, and the first uploads that wait for the
/// next minute fill every slot.
#[test]
fn a_new_asset_in_place_of_a_live_one_uses_what_is_kept_of_the_limit() {
    let twenty = Limit { per_ip: 20, per_owner: 20, per_key: 20 };
    let endpoints = BTreeMap::from([(ApiEndpoint::CreateAsset, twenty)]);
    // A window begins now: in its last seconds nothing is kept.
    let now = u64::try_from(jiff::Timestamp::now().as_millisecond()).unwrap();
    let limits = EndpointLimits { window_ms: WINDOW_MS, window_offset_ms: now % WINDOW_MS, endpoints };
    let remote = Remote::with(Config { limits, ..Config::default() });
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/live.png", png(1));
    project.sync();
    let service = Service::start(&project, &[]);
    bulk(&project, 30);
    service.until("all but the reserve is spent", || remote.requests(ApiEndpoint::CreateAsset) >= 18);
    project.write("ui/live.png", png(2));
    service.until("the change is sent", || remote.requests(ApiEndpoint::CreateAsset) >= 19);
    service.until_synced("ui/live.png");
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 19, "one is kept still");
    let refused = remote.control().requests().iter().filter(|request| request.status == Some(429)).count();
    assert_eq!(refused, 0);
}
