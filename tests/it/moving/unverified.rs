//! Unverified assets: the first sync looks before it writes.

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::{blake3, empty, move_in_offline, planned, uploaded};
use crate::support::{Project, Remote, png, rbxmx};

const CONFIG: &str = "[creator]\ntype = \"user\"\nid = 1\n\n[inputs.assets]\npath = \"assets/**/*\"\noutput_path = \"src\"\nbleed = false\n";

/// A picture and a model of this owner, moved in without a key.
pub fn moved(remote: &Remote, creator: &str) -> Project {
    let files = [("assets/a.png", png(1)), ("assets/sword.rbxmx", rbxmx("one").into_bytes())];
    let ids = uploaded(remote, creator, "", &files);
    let project = empty(remote);
    let mut lockfile = "version = 2\n".to_owned();
    for (path, bytes) in &files {
        project.write(path, bytes);
        lockfile.push_str(&format!("\n[inputs.assets.{}]\nasset_id = {}\n", blake3(bytes), ids[*path]));
    }
    project.write("asphalt.lock.toml", lockfile);
    project.write("asphalt.toml", CONFIG);
    move_in_offline(&project, "asphalt.toml");
    project
}

#[test]
fn the_first_sync_looks_at_each_asset_and_the_next_one_at_none() {
    let remote = Remote::start();
    let project = moved(&remote, "user_id = 1");
    let (looks, writes) = (remote.requests(ApiEndpoint::GetAsset), remote.writes());
    project.sync();
    assert_eq!((remote.requests(ApiEndpoint::GetAsset), remote.writes()), (looks + 2, writes));
    assert!(!project.read("assets.lock.toml").contains("unverified"), "{}", project.read("assets.lock.toml"));
    project.sync();
    assert_eq!((remote.requests(ApiEndpoint::GetAsset), remote.writes()), (looks + 2, writes));
}

#[test]
fn a_change_waits_for_the_observation_and_is_then_made() {
    let remote = Remote::start();
    let project = moved(&remote, "user_id = 1");
    project.write("assets/sword.rbxmx", rbxmx("two"));
    // Offline, no asset has been compared.
    assert_eq!(planned(&project), json!({"hold": 1}));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    project.sync();
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "the model keeps its asset");
    assert_eq!(planned(&project), json!({}));
}

#[test]
fn an_asset_of_somebody_else_is_never_written_to() {
    let remote = Remote::start();
    let project = moved(&remote, "user_id = 2");
    project.write("assets/sword.rbxmx", rbxmx("two"));
    let writes = remote.writes();
    let (code, told) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{told:#}");
    assert!(told.to_string().contains("belongs to user 2"), "{told:#}");
    assert_eq!(remote.writes(), writes);
}
