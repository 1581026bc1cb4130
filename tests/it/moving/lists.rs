//! Lists that somebody kept by hand: what they leave open, and what they get wrong.

use serde_json::json;

use super::{empty, move_in, planned, uploaded, without_key};
use crate::support::{Project, Remote, png};

/// Two pictures at the remote, and a project with their files and a list of them.
fn listed(remote: &Remote, creator: &str, keys: &str) -> (Project, u64) {
    let files = [("assets/a.png", png(1)), ("assets/b.png", png(2))];
    let ids = uploaded(remote, creator, keys, &files);
    let project = empty(remote);
    files.iter().for_each(|(path, bytes)| project.write(path, bytes));
    project.write(
        "ids.csv",
        format!("path,asset_id\nassets/a.png,{}\nassets/b.png,{}\n", ids["assets/a.png"], ids["assets/b.png"]),
    );
    (project, ids["assets/a.png"])
}

fn move_in_without_key(project: &Project) {
    without_key(project, &["import", "--from", "ids.csv", "--creator", "user:1"]).expect(0);
}

/// Each hint ended in `forget`, which uploads the file as a second asset.
#[test]
fn a_decal_of_a_list_keeps_its_asset_once_the_manifest_says_decal() {
    let remote = Remote::start();
    let (project, a) = listed(&remote, "user_id = 1", "type = \"Decal\"\n");
    move_in_without_key(&project);
    let (manifest, lockfile) = (project.read("assets.toml"), project.read("assets.lock.toml"));
    let writes = remote.writes();
    let (code, told) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{told:#}");
    let told = told.to_string();
    assert!(told.contains("is a Decal, not an Image") && told.contains("write `type = \\\"Decal\\\"`"), "{told}");
    let decals = manifest.replace("\n[assets.", "\ntype = \"Decal\"\n\n[assets.").replacen("type = \"Decal\"\n", "", 1);
    project.write("assets.toml", format!("{decals}type = \"Decal\"\n"));
    // Roblox was asked already, so the plan needs no key.
    assert_eq!(planned(&project), json!({}));
    project.sync();
    assert_eq!(remote.writes(), writes);
    let written = project.read("assets.lock.toml");
    assert!(written.contains(&a.to_string()) && !written.contains("unverified"), "{written}");
    let clone = empty(&remote);
    for path in ["assets.toml", "assets.lock.toml"] {
        clone.write(path, project.read(path));
    }
    [("assets/a.png", 1), ("assets/b.png", 2)].iter().for_each(|(path, seed)| clone.write(path, png(*seed)));
    assert_eq!(planned(&clone), json!({}));

    // A branch of before claims that they are Images: the state knows better.
    project.write("assets.toml", manifest);
    project.write("assets.lock.toml", lockfile);
    assert_eq!(planned(&project), json!({"hold": 2}));
    let (code, told) = project.json(&["sync", "--once"]);
    assert_eq!((code, remote.writes()), (1, writes), "{told:#}");
}

#[test]
fn an_asset_of_another_owner_in_a_list_is_kept_once_the_manifest_names_that_owner() {
    let remote = Remote::start();
    let (project, _) = listed(&remote, "user_id = 5", "");
    move_in_without_key(&project);
    let writes = remote.writes();
    let (code, told) = project.json(&["sync", "--once"]);
    assert_eq!(code, 1, "{told:#}");
    assert!(told.to_string().contains("`creator = { user_id = 5 }`"), "{told:#}");
    project.write("assets.toml", project.read("assets.toml").replace("user_id = 1", "user_id = 5"));
    project.sync();
    assert_eq!((planned(&project), remote.writes()), (json!({}), writes));
}

/// A wrong correction uploads nothing either.
#[test]
fn a_claimed_asset_waits_while_the_manifest_says_something_else_than_roblox() {
    let remote = Remote::start();
    let (project, _) = listed(&remote, "user_id = 1", "");
    move_in_without_key(&project);
    project.write("assets.toml", project.read("assets.toml").replace("user_id = 1", "group_id = 7"));
    let writes = remote.writes();
    // Nobody asked Roblox yet.
    assert_eq!(planned(&project), json!({"hold": 2}));
    let (code, told) = project.json(&["sync", "--once"]);
    assert_eq!((code, remote.writes()), (1, writes), "{told:#}");
    // Roblox says that the list was right.
    assert!(told.to_string().contains("its owner changed from user 1 to group 7"), "{told:#}");
    project.write("assets.toml", project.read("assets.toml").replace("group_id = 7", "user_id = 1"));
    project.sync();
    assert_eq!((planned(&project), remote.writes()), (json!({}), writes));
}

#[test]
fn an_import_of_the_same_asset_asks_roblox_again() {
    let remote = Remote::start();
    let (project, a) = listed(&remote, "user_id = 1", "");
    move_in_without_key(&project);
    project.run(&["import", "assets/a.png", &a.to_string(), "--content-matches"]).expect(0);
    assert_eq!(project.read("assets.lock.toml").matches("unverified").count(), 1);
}

#[test]
fn a_list_with_decals_moves_in_with_a_key_and_manages_them() {
    let remote = Remote::start();
    let (project, _) = listed(&remote, "user_id = 1", "type = \"Decal\"\n");
    let told = move_in(&project, &["ids.csv", "--creator", "user:1"]);
    assert_eq!(told["assets"].as_array().unwrap().len(), 2, "{told:#}");
    assert_eq!(project.read("assets.toml").matches("type = \"Decal\"").count(), 2);
    let writes = remote.writes();
    project.sync();
    assert_eq!((planned(&project), remote.writes()), (json!({}), writes));
}

/// Whoever then lists the files in the manifest would upload all of them again.
#[test]
fn a_list_whose_files_are_elsewhere_is_refused() {
    let remote = Remote::start();
    let (project, _) = listed(&remote, "user_id = 1", "");
    let refused = |list: &str, wanted: &str| {
        project.write("sub/ids.csv", list);
        let ran = without_key(&project, &["import", "--from", "sub/ids.csv", "--creator", "user:1"]).expect(3);
        assert!(ran.stderr.contains(wanted) && ran.stderr.contains("nothing was written"), "{}", ran.stderr);
        assert!(!project.file("sub/assets.toml").exists());
    };
    refused("path,asset_id\nui/a.png,7\nui/b.png,8\n", "none of the 2 files of the list is there, such as ui/a.png");
    project.write("sub/ui/B.png", png(2));
    project.write("sub/ui/c.png", png(3));
    refused("path,asset_id\nui/c.png,6\nui/b.png,8\n", "ui/b.png is ui/B.png");
}

/// As Excel saves "Unicode text", and "CSV" on a German Windows.
#[test]
fn a_list_in_utf_16_is_read_and_another_encoding_is_named() {
    let remote = Remote::start();
    let (project, _) = listed(&remote, "user_id = 1", "");
    project.write("ui/ü.png", png(3));
    let from = ["import", "--from", "ids.csv", "--creator", "user:1"];
    project.write("ids.csv", b"path;asset_id\nui/\xfc.png;9\n");
    let said = without_key(&project, &from).expect(3).stderr;
    assert!(said.contains("ids.csv is not UTF-8") && said.contains("CSV UTF-8"), "{said}");
    let text = "\u{feff}path\tasset_id\r\nui/ü.png\t9\r\n";
    project.write("ids.csv", text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>());
    without_key(&project, &from).expect(0);
    assert!(project.read("assets.toml").contains("ui/ü.png"));
}
