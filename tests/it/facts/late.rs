//! An upload that ends late, when the lockfile has an asset for its content already.

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::{LOCKFILE, asset_id, machine, remote, row};
use crate::support::png;

/// Once the late asset silently displaced the lockfile's asset, which belonged to another address.
#[test]
fn a_late_replacement_does_not_displace_an_asset_that_is_shared_by_now() {
    let remote = remote();
    let (address, owner) = ("ui/a.png", "ui/b.png");
    let mut old = machine(&remote, &[(address, png(1)), (owner, png(2))]);
    old.sync();
    let synced = old.read(LOCKFILE);
    old.write(address, png(3));
    old.set_env("MACADAM_FAILPOINT", "accepted:1");
    assert_eq!(old.run(&["sync", "--once"]).code, -1, "it was killed");
    old.set_env("MACADAM_FAILPOINT", "");

    // Another machine has the same lockfile, and the owner's file had these bytes first.
    let new = machine(&remote, &[(address, png(1)), (owner, png(3))]);
    new.write(LOCKFILE, synced);
    new.sync();
    new.write(address, png(3));
    new.sync();
    let kept = asset_id(&new, address);
    assert_eq!(kept, asset_id(&new, owner), "they share it");

    old.write(owner, png(3));
    old.write(LOCKFILE, new.read(LOCKFILE));
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    assert_eq!(old.sync()["in_sync"], true);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates, "nothing is uploaded again");
    assert_eq!(asset_id(&old, address), kept);
    let duplicates = row(&old, address)["duplicates"].clone();
    let late = duplicates[0].as_u64().unwrap();
    assert_eq!(duplicates, json!([late]));
    let told = old.run(&["status", address]).expect(0).stdout;
    assert!(told.contains(&format!("these copies on Roblox aren't used: {late}")), "{told}");
    let (_, history) = old.json(&["history", address]);
    assert!(history["events"].to_string().contains("duplicate_asset"), "{history:#}");
    new.write(LOCKFILE, old.read(LOCKFILE));
    assert_eq!(new.sync()["actions"], json!([]));
    assert_eq!(asset_id(&new, address), kept);
}

/// An address with metadata of its own gets an asset of its own, also if its upload ends in a later
/// run.
#[test]
fn an_asset_of_ones_own_takes_the_place_of_the_shared_one_after_a_crash() {
    let remote = remote();
    let (address, owner) = ("ui/b.png", "ui/a.png");
    let mut here = machine(&remote, &[(address, png(1)), (owner, png(1))]);
    here.sync();
    let shared = asset_id(&here, owner);
    assert_eq!(asset_id(&here, address), shared);
    let own = "\n[assets.\"ui/b.png\"]\npath = \"ui/b.png\"\ndisplay_name = \"Mine\"\n";
    here.write("assets.toml", format!("{}{own}", super::MANIFEST));
    here.set_env("MACADAM_FAILPOINT", "accepted:1");
    assert_eq!(here.run(&["sync", "--once"]).code, -1, "it was killed");
    here.set_env("MACADAM_FAILPOINT", "");
    here.sync();
    assert_ne!(asset_id(&here, address), shared);
    assert_eq!(asset_id(&here, owner), shared);
    assert_eq!(remote.assets().len(), 2);
}
