//! `forget` is a fact in the lockfile, which no other machine undoes.

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::{LOCKFILE, asset_id, machine, remote};
use crate::support::{Project, Remote, png};

fn pictures(remote: &Remote) -> Project {
    machine(remote, &[("ui/a.png", png(1)), ("ui/b.png", png(2))])
}

#[test]
fn a_forgotten_asset_is_not_brought_back_by_another_machine() {
    let remote = remote();
    let (here, there) = (pictures(&remote), pictures(&remote));
    here.sync();
    let forgotten = asset_id(&here, "ui/a.png");
    there.write(LOCKFILE, here.read(LOCKFILE));
    there.sync();
    let base = here.read(LOCKFILE);

    here.remove("ui/a.png");
    here.run(&["forget", "ui/a.png"]).expect(0);
    let lockfile = here.read(LOCKFILE);
    assert!(lockfile.contains(&format!("[forgotten.\"ui/a.png\"]\n{forgotten} = 1\n")), "{lockfile}");
    assert!(!lockfile.contains(&format!("asset_id = {forgotten}")), "{lockfile}");

    // The other machine, whose state has the asset, made another one meanwhile; git merges.
    there.write("ui/c.png", png(3));
    there.sync();
    for (name, text) in [("base", base), ("ours", there.read(LOCKFILE)), ("theirs", lockfile)] {
        there.write(name, text);
    }
    there.run(&["lockfile", "merge", "base", "ours", "theirs"]).expect(0);
    there.write(LOCKFILE, there.read("ours"));
    there.remove("ui/a.png");
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    assert_eq!(there.sync()["actions"], json!([]));
    let lockfile = there.read(LOCKFILE);
    assert!(!lockfile.contains("[assets.\"ui/a.png\"]") && lockfile.contains("ui/c.png"), "{lockfile}");
    assert!(lockfile.contains(&format!("{forgotten} = 1\n")), "the ID stays visible: {lockfile}");
    assert_eq!(there.json(&["history", "ui/a.png"]).0, 1);

    // An older copy of the lockfile doesn't bring it back either, and a file of that name is a new
    // asset.
    here.write(LOCKFILE, there.read("base"));
    here.write("ui/a.png", png(1));
    here.sync();
    assert_ne!(asset_id(&here, "ui/a.png"), forgotten);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates + 1);
    assert!(here.read(LOCKFILE).contains(&format!("{forgotten} = 1\n")));
}

#[test]
fn a_forgotten_asset_that_is_imported_again_is_known_everywhere() {
    let remote = remote();
    let (here, there) = (pictures(&remote), pictures(&remote));
    here.sync();
    let id = asset_id(&here, "ui/a.png");
    let old = here.read(LOCKFILE);
    there.write(LOCKFILE, &old);
    there.sync();
    here.run(&["forget", "--yes", "ui/a.png"]).expect(0);
    there.write(LOCKFILE, here.read(LOCKFILE));
    assert_eq!(there.json(&["status", "ui/a.png"]).1["assets"][0]["asset_id"], json!(null));
    here.run(&["import", "ui/a.png", &id.to_string(), "--content-matches"]).expect(0);
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    there.write(LOCKFILE, here.read(LOCKFILE));
    there.sync();
    here.write(LOCKFILE, old);
    here.sync();
    assert_eq!((asset_id(&here, "ui/a.png"), asset_id(&there, "ui/a.png")), (id, id));
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
    // A second `forget` forgets it again.
    here.run(&["forget", "--yes", "ui/a.png"]).expect(0);
    there.write(LOCKFILE, here.read(LOCKFILE));
    assert_eq!(there.json(&["status", "ui/a.png"]).1["assets"][0]["asset_id"], json!(null));
}

/// Another copy may be at Roblox: `forget` says so, and no machine counts it any more.
#[test]
fn forgetting_an_address_forgets_its_possible_duplicates_on_every_machine() {
    let remote = remote();
    let lost = json!({"match": {"endpoint": "create_asset", "name": "a"}, "times": 1, "action": {"kind": "reset", "at": "after_commit"}});
    remote.control().add_faults(vec![serde_json::from_value(lost).unwrap()]).unwrap();
    let (here, there) = (pictures(&remote), pictures(&remote));
    here.sync();
    let possible =
        |project: &Project| project.json(&["status", "ui/a.png"]).1["assets"][0]["possible_duplicates"].clone();
    assert_eq!((possible(&here), remote.assets().len()), (json!(1), 3));
    there.write(LOCKFILE, here.read(LOCKFILE));
    there.sync();
    assert_eq!(possible(&there), json!(1));
    let told = here.run(&["forget", "--yes", "ui/a.png"]).expect(0).stdout;
    assert!(told.contains("there may be 1 more copy of it on Roblox"), "{told}");
    assert!(!here.read(LOCKFILE).contains("possible_duplicates"), "{}", here.read(LOCKFILE));
    here.sync();
    // The other machine's state knew of it, and its lockfile has the address again.
    there.write(LOCKFILE, here.read(LOCKFILE));
    there.sync();
    assert_eq!((possible(&there), asset_id(&there, "ui/a.png")), (json!(0), asset_id(&here, "ui/a.png")));
    here.write(LOCKFILE, there.read(LOCKFILE));
    here.sync();
    assert_eq!(possible(&here), json!(0));
}
