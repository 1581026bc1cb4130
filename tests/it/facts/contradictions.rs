//! One asset of which two things are said: it is held and explained, never used.

use serde_json::Value;

use super::{LOCKFILE, asset_id, machine, remote};
use crate::support::{Project, Remote, png};

fn two(remote: &Remote) -> (Project, u64, u64) {
    let project = machine(remote, &[("ui/a.png", png(1)), ("ui/b.png", png(2))]);
    project.sync();
    let (a, b) = (asset_id(&project, "ui/a.png"), asset_id(&project, "ui/b.png"));
    (project, a, b)
}

/// That nothing is sent for these addresses, and why.
#[track_caller]
fn is_held(remote: &Remote, project: &Project, addresses: &[&str], why: &str) {
    // A lockfile with news has its assets looked at, which changes nothing.
    let before = remote.writes();
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{document:#}");
    let of = |address: &str| -> Value {
        let all = document["actions"].as_array().unwrap();
        all.iter().find(|action| action["address"] == address).cloned().unwrap_or_default()
    };
    for address in addresses {
        let held = of(address);
        assert_eq!(held["outcome"], "held", "{address}: {document:#}");
        let told = held.to_string();
        assert!(told.contains(why), "{address}: {why}: {held:#}");
    }
    let hint = project.run(&["status", addresses[0]]).expect(0).stdout;
    assert!(hint.contains("macadam forget"), "{hint}");
    assert_eq!(remote.writes(), before, "something was changed");
}

#[test]
fn an_asset_of_two_addresses_with_other_bytes_is_held() {
    let remote = remote();
    let (project, a, b) = two(&remote);
    project.write(LOCKFILE, project.read(LOCKFILE).replace(&b.to_string(), &a.to_string()));
    project.remove(".macadam");
    is_held(&remote, &project, &["ui/a.png", "ui/b.png"], &format!("asset {a} has one content"));
    // The way out.
    project.run(&["forget", "--yes", "ui/b.png"]).expect(0);
    project.run(&["import", "ui/b.png", &b.to_string(), "--content-matches"]).expect(0);
    assert_eq!(project.sync()["in_sync"], true);
    assert_eq!((asset_id(&project, "ui/a.png"), asset_id(&project, "ui/b.png")), (a, b));
    assert_eq!(remote.assets().len(), 2);
}

#[test]
fn an_asset_of_two_owners_is_held() {
    let remote = remote();
    let (project, a, _) = two(&remote);
    let with_owner = format!("asset_id = {a}, creator = \"group:7\"");
    project.write(LOCKFILE, project.read(LOCKFILE).replace(&format!("asset_id = {a}"), &with_owner));
    is_held(&remote, &project, &["ui/a.png"], &format!("the owner of asset {a}"));
}

#[test]
fn an_asset_with_two_contents_in_state_and_lockfile_is_held() {
    let remote = remote();
    let (project, a, _) = two(&remote);
    let text = project.read(LOCKFILE);
    let line = text.lines().find(|line| line.contains(&a.to_string())).unwrap();
    let hash = line.split('"').nth(1).unwrap();
    project.write(LOCKFILE, text.replace(hash, &"7".repeat(64)));
    is_held(&remote, &project, &["ui/a.png"], &format!("the owner of asset {a}"));
}
