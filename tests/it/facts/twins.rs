//! Two asset IDs for one content: the checked-out lockfile decides which one is used, and the other
//! is never forgotten.

use macadam::emulator::ApiEndpoint;
use serde_json::json;

use super::{LOCKFILE, MANIFEST, asset_id, machine, remote, row};
use crate::support::{Project, Remote, png, rbxmx};

const PICTURE: &str = "ui/s.png";
const MODEL: &str = "models/d.rbxmx";

fn new_files() -> [(&'static str, Vec<u8>); 2] {
    [(PICTURE, png(7)), (MODEL, rbxmx("d").into_bytes())]
}

fn commit(project: &Project, message: &str) {
    project.git(&["add", "--all"]);
    project.git(&["commit", "--quiet", "--allow-empty", "--message", message]);
}

/// The assets that a project uses for the two files.
fn used(project: &Project) -> [u64; 2] {
    [PICTURE, MODEL].map(|address| asset_id(project, address))
}

/// A repository whose branches `x` and `y` both added the same two files, each on a machine that
/// didn't know of the other; with the assets of each.
fn two_branches(remote: &Remote) -> (Project, [u64; 2], [u64; 2]) {
    let here = machine(remote, &[("ui/m.png", png(1))]);
    here.write(".gitignore", ".macadam/\n");
    here.write(".gitattributes", "*.lock.toml merge=macadam\n");
    here.git(&["init", "--quiet", "--initial-branch=main"]);
    let driver = format!("'{}' lockfile merge %O %A %B", env!("CARGO_BIN_EXE_macadam"));
    here.git(&["config", "merge.macadam.driver", &driver]);
    here.sync();
    commit(&here, "main");
    let there = machine(remote, &[("ui/m.png", png(1))]);
    there.write(LOCKFILE, here.read(LOCKFILE));
    new_files().iter().for_each(|(name, content)| there.write(name, content));
    there.sync();

    here.git(&["checkout", "--quiet", "-b", "x"]);
    new_files().iter().for_each(|(name, content)| here.write(name, content));
    here.sync();
    commit(&here, "x");
    here.git(&["checkout", "--quiet", "-b", "y", "main"]);
    new_files().iter().for_each(|(name, content)| here.write(name, content));
    here.write(LOCKFILE, there.read(LOCKFILE));
    commit(&here, "y");
    here.git(&["checkout", "--quiet", "x"]);
    let (x, y) = (used(&here), used(&there));
    assert!(x.iter().all(|asset| !y.contains(asset)), "each made its own: {x:?}, {y:?}");
    (here, x, y)
}

#[test]
fn visiting_branches_in_turn_ends_on_each_ones_own_assets() {
    let remote = remote();
    let (here, x, y) = two_branches(&remote);
    let (creates, updates) = (remote.requests(ApiEndpoint::CreateAsset), remote.requests(ApiEndpoint::UpdateAsset));
    for (branch, own, others) in [("x", x, y), ("y", y, x), ("x", x, y), ("y", y, x)] {
        here.git(&["checkout", "--quiet", branch]);
        assert_eq!(here.sync()["in_sync"], true);
        assert_eq!(used(&here), own, "on {branch}");
        for (address, other) in [PICTURE, MODEL].into_iter().zip(others) {
            if branch == "x" && !here.read(LOCKFILE).contains(&other.to_string()) {
                continue; // the other branch was not visited yet
            }
            assert_eq!(row(&here, address)["duplicates"], json!([other]), "on {branch}");
        }
        commit(&here, "visited");
        // Nothing is left to do, and a fresh machine chooses the same.
        assert_eq!(here.sync()["actions"], json!([]));
        assert_eq!(here.git(&["status", "--porcelain"]), "", "on {branch}");
        let fresh = machine(&remote, &[("ui/m.png", png(1))]);
        new_files().iter().for_each(|(name, content)| fresh.write(name, content));
        fresh.write(LOCKFILE, here.read(LOCKFILE));
        fresh.sync();
        assert_eq!(used(&fresh), own, "on {branch}, on a fresh machine");
        assert_eq!(fresh.read(LOCKFILE), here.read(LOCKFILE));
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
    assert_eq!(remote.requests(ApiEndpoint::UpdateAsset), updates);
    let told = here.run(&["status", PICTURE]).expect(0).stdout;
    assert!(told.contains(&format!("these copies on Roblox aren't used: {}", x[0])), "{told}");
    let told = here.run(&["history", PICTURE]).expect(0).stdout;
    assert!(told.lines().any(|line| line.contains(&x[0].to_string()) && line.contains("duplicate")), "{told}");

    // Both branches know both, each with its own choice: merged, every machine makes the same.
    here.git(&["merge", "--quiet", "--no-edit", "x"]);
    assert_eq!(here.sync()["in_sync"], true);
    let fresh = machine(&remote, &[("ui/m.png", png(1))]);
    new_files().iter().for_each(|(name, content)| fresh.write(name, content));
    fresh.write(LOCKFILE, here.read(LOCKFILE));
    fresh.sync();
    assert_eq!(used(&fresh), used(&here));
    for (at, address) in [PICTURE, MODEL].into_iter().enumerate() {
        let mut both = vec![used(&here)[at], row(&here, address)["duplicates"][0].as_u64().unwrap()];
        both.sort_unstable();
        let mut made = vec![x[at], y[at]];
        made.sort_unstable();
        assert_eq!(both, made, "{address}");
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
}

#[test]
fn merged_before_any_visit_both_ids_stay_and_every_machine_uses_one() {
    let remote = remote();
    let (here, x, y) = two_branches(&remote);
    here.git(&["checkout", "--quiet", "y"]);
    here.git(&["merge", "--quiet", "--no-edit", "x"]);
    let lockfile = here.read(LOCKFILE);
    assert!(x.iter().chain(&y).all(|asset| lockfile.contains(&format!("asset_id = {asset},"))), "{lockfile}");
    let fresh = machine(&remote, &[("ui/m.png", png(1))]);
    new_files().iter().for_each(|(name, content)| fresh.write(name, content));
    fresh.write(LOCKFILE, &lockfile);
    let before = remote.requests(ApiEndpoint::CreateAsset);
    fresh.sync();
    here.sync();
    assert_eq!(used(&fresh), used(&here));
    assert_eq!(fresh.read(LOCKFILE), lockfile);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), before);
    assert_eq!(row(&fresh, PICTURE)["duplicates"].as_array().unwrap().len(), 1);
}

/// Once all assets of a revived CI runner became current, on every machine and silently.
#[test]
fn an_upload_that_an_old_state_resumes_does_not_displace_the_lockfiles_asset() {
    let remote = remote();
    for (address, content) in new_files() {
        let mut old = machine(&remote, &[(address, content.clone())]);
        old.set_env("MACADAM_FAILPOINT", "accepted:1");
        assert_eq!(old.run(&["sync", "--once"]).code, -1, "it was killed");
        old.set_env("MACADAM_FAILPOINT", "");
        let new = machine(&remote, &[(address, content.clone())]);
        new.sync();
        let kept = asset_id(&new, address);

        old.write(LOCKFILE, new.read(LOCKFILE));
        let made = remote.assets().len();
        assert_eq!(old.sync()["in_sync"], true);
        assert_eq!(remote.assets().len(), made, "nothing is uploaded again");
        assert_eq!(asset_id(&old, address), kept);
        let duplicates = row(&old, address)["duplicates"].clone();
        let late = duplicates[0].as_u64().unwrap();
        assert_eq!(duplicates, json!([late]));
        assert_ne!(late, kept);
        let told = old.run(&["status", address]).expect(0).stdout;
        assert!(told.contains(&format!("these copies on Roblox aren't used: {late}")), "{told}");
        let (_, history) = old.json(&["history", address]);
        for revision in history["revisions"].as_array().unwrap() {
            let is_late = revision["asset_id"] == json!(late);
            assert_eq!(
                (&revision["duplicate"], &revision["current"]),
                (&json!(is_late), &json!(!is_late)),
                "{history:#}"
            );
        }
        assert!(history["events"].to_string().contains("duplicate_asset"), "{history:#}");
        // The lockfile carries both, and the choice.
        let lockfile = old.read(LOCKFILE);
        assert!(lockfile.lines().any(|line| line.contains(&late.to_string()) && line.contains("duplicate = true")));
        new.write(LOCKFILE, lockfile);
        assert_eq!(new.sync()["actions"], json!([]));
        assert_eq!((asset_id(&new, address), asset_id(&old, address)), (kept, kept));
    }
}

/// After a change of the owner, with the old assets still in the history.
#[test]
fn visiting_an_old_branch_does_not_bring_the_old_owners_assets_back() {
    let remote = remote();
    let (here, there) = (machine(&remote, &new_files()), machine(&remote, &new_files()));
    let (by_user, by_group) = (MANIFEST.to_owned(), MANIFEST.replace("user_id = 1", "group_id = 7"));
    here.sync();
    there.write("assets.toml", &by_group);
    there.sync();
    let (of_user, of_group) = (used(&here), used(&there));
    let (mut old, mut new) = (here.read(LOCKFILE), there.read(LOCKFILE));
    for (of_group, of_user) in of_group.iter().zip(&of_user) {
        let line = |text: &str, asset: &u64| {
            text.lines().find(|line| line.contains(&format!("asset_id = {asset}"))).unwrap().to_owned()
        };
        let (current, former) = (line(&new, of_group), line(&old, of_user).replace(" },", ", creator = \"user:1\" },"));
        new = new.replace(&current, &format!("{former}\n{}", current.replace(" },", ", ordinal = 2 },")));
    }
    let creates = remote.requests(ApiEndpoint::CreateAsset);
    for _ in 0..2 {
        for (manifest, lockfile, own) in [(&by_group, &mut new, of_group), (&by_user, &mut old, of_user)] {
            here.write("assets.toml", manifest);
            here.write(LOCKFILE, &*lockfile);
            assert_eq!(here.sync()["in_sync"], true);
            assert_eq!(used(&here), own, "{manifest}");
            *lockfile = here.read(LOCKFILE);
        }
    }
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), creates);
}
