//! Files and addresses that move: the asset ID stays, and nothing is uploaded.

use macadam::emulator::ApiEndpoint;

use super::{actions, asset_id, check, check_converged, prompt};
use crate::support::{GLOBS, Project, png, rbxmx};

const EXPLICIT: &str = "[creator]\nuser_id = 1\n\n[assets.sword]\npath = \"models/sword.rbxmx\"\n";

#[test]
fn a_glob_file_that_is_promoted_and_edited_at_once_keeps_its_id() {
    let remote = prompt();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("models/sword.rbxmx", rbxmx("one"));
    project.write("ui/a.png", png(1));
    project.sync();
    let before = asset_id(&project, "models/sword.rbxmx");
    project.write("assets.toml", format!("{GLOBS}\n[assets.sword]\npath = \"models/sword.rbxmx\"\n"));
    project.write("models/sword.rbxmx", rbxmx("two"));
    check("promoted", &project, &remote, &["move sword", "update_content sword"]);
    assert_eq!(asset_id(&project, "sword"), before);
    assert_eq!(remote.requests(ApiEndpoint::CreateAsset), 2);
    // Another machine knows only the new name.
    project.remove_state();
    check_converged("promoted", &project, &remote);
    assert!(!project.read("assets.lock.toml").contains("[assets.\"models/sword.rbxmx\"]"));
}

#[test]
fn a_branch_that_has_the_old_name_and_one_that_has_the_new_share_the_asset() {
    let remote = prompt();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    let (before, old_lockfile) = (asset_id(&project, "ui/a.png"), project.read("assets.lock.toml"));
    std::fs::rename(project.file("ui/a.png"), project.file("ui/b.png")).unwrap();
    check("moved", &project, &remote, &["move ui/b.png"]);
    let new_lockfile = project.read("assets.lock.toml");
    // Within a while of a write nothing that is read is believed, and what a lockfile made out of
    // date is read again.
    project.let_reads_catch_up();
    for (name, lockfile) in [("ui/a.png", &old_lockfile), ("ui/b.png", &new_lockfile), ("ui/a.png", &old_lockfile)] {
        project.remove("ui");
        project.write(name, png(1));
        project.write("assets.lock.toml", lockfile);
        project.sync();
        check_converged(name, &project, &remote);
        assert_eq!(asset_id(&project, name), before);
        assert_eq!(&project.read("assets.lock.toml"), lockfile, "{name}: a branch's lockfile is left as it is");
    }
    assert_eq!(remote.assets().len(), 1);
}

#[test]
fn two_that_may_have_moved_are_held_until_a_person_says_which() {
    let remote = prompt();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("models/a.rbxmx", rbxmx("same"));
    project.write("models/b.rbxmx", rbxmx("same"));
    project.sync();
    project.remove("models");
    project.write("models/c.rbxmx", rbxmx("same"));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, actions(&document)), (1, vec!["hold models/c.rbxmx".to_owned()]), "{document:#}");
    let hint = document["actions"][0]["hint"].as_str().unwrap();
    assert!(hint.contains("macadam import models/c.rbxmx "), "{hint}");
    assert_eq!(remote.assets().len(), 2, "nothing was guessed");
}

#[test]
fn a_pin_that_names_the_old_address_holds_the_new_one() {
    let remote = prompt();
    let old = "[creator]\nuser_id = 1\n\n[assets.blade]\npath = \"models/sword.rbxmx\"\n\n[pins]\nblade = 1\n";
    let project = Project::new(&old.replace("\n[pins]\nblade = 1\n", "")).at(&remote.url());
    project.write("models/sword.rbxmx", rbxmx("one"));
    project.sync();
    project.write("assets.toml", format!("{EXPLICIT}\n[pins]\nblade = 1\n"));
    let (code, document) = project.json(&["sync", "--once"]);
    assert_eq!((code, actions(&document)), (1, vec!["hold sword".to_owned()]), "{document:#}");
    let entry = &document["actions"][0];
    assert!(entry["reason"].as_str().unwrap().contains("[pins] still names `blade`"), "{entry:#}");
    assert!(entry["hint"].as_str().unwrap().contains("write `sword`"), "{entry:#}");
    // A typing error is still an error.
    project.write("assets.toml", format!("{EXPLICIT}\n[pins]\nblode = 1\n"));
    assert_eq!(project.json(&["sync", "--once"]).0, 3);
    project.write("assets.toml", format!("{EXPLICIT}\n[pins]\nsword = 1\n"));
    check("mended", &project, &remote, &["move sword"]);
}

/// The bytes and the path tell whose file it is, in this checkout and in one that has the lockfile
/// alone.
#[test]
fn a_wrong_path_of_an_entry_does_not_upload_its_file_a_second_time() {
    let remote = prompt();
    let manifest = |path: &str| format!("{GLOBS}\n[assets.bastion]\npath = \"{path}\"\n");
    let project = Project::new(&manifest("models/fort.rbxmx")).at(&remote.url());
    project.write("models/fort.rbxmx", rbxmx("fort"));
    project.sync();
    let (before, lockfile) = (asset_id(&project, "bastion"), project.read("assets.lock.toml"));
    project.write("assets.toml", manifest("models/fortt.rbxmx"));
    for fresh in [false, true] {
        if fresh {
            project.remove_state();
        }
        let (code, document) = project.json(&["sync", "--once"]);
        assert_eq!(
            (code, actions(&document)),
            (1, vec!["hold bastion".to_owned(), "hold models/fort.rbxmx".to_owned()])
        );
        let said = project.run(&["plan"]).expect(1).stdout;
        let whose = "this is the file of `bastion`, whose path `models/fortt.rbxmx` doesn't exist";
        assert!(said.contains(whose) && said.contains("did you mean `models/fort.rbxmx`?"), "{said}");
        assert!(!said.contains("its file is models/fortt.rbxmx now"), "{said}");
        assert_eq!(project.json(&["sync", "--once", "--locked"]).0, 1);
        assert_eq!(project.read("assets.lock.toml"), lockfile, "the file stays its own");
    }
    project.write("assets.toml", manifest("models/fort.rbxmx"));
    check("corrected", &project, &remote, &[]);
    assert_eq!((asset_id(&project, "bastion"), remote.assets().len()), (before, 1));
    // The other way round: the entry is what nobody meant.
    project.write("assets.toml", manifest("models/fortt.rbxmx"));
    project.run(&["sync", "--once"]).expect(1);
    project.write("assets.toml", GLOBS);
    check("removed", &project, &remote, &["move models/fort.rbxmx"]);
    assert_eq!(asset_id(&project, "models/fort.rbxmx"), before);
}

#[test]
fn an_entry_that_takes_the_file_of_a_glob_is_named() {
    let remote = prompt();
    let manifest = |path: &str| format!("{GLOBS}\n[assets.bastion]\npath = \"{path}\"\n");
    let project = Project::new(&manifest("models/fort.rbxmx")).at(&remote.url());
    project.write("models/fort.rbxmx", rbxmx("fort"));
    project.write("models/keep.rbxmx", rbxmx("keep"));
    project.sync();
    project.write("assets.toml", manifest("models/keep.rbxmx"));
    project.remove("models/fort.rbxmx");
    let said = project.run(&["plan"]).expect(0).stdout;
    let whose = "its file belongs to `bastion` now, so the glob `models` no longer finds it";
    assert!(said.contains(whose) && !said.contains("its file is gone"), "{said}");
}

/// With `--refresh`, or while moderation checks an asset, a plan is made before the assets are
/// fetched, and records what moved.
#[test]
fn a_move_is_told_where_assets_are_fetched_before_the_plan() {
    let remote = prompt();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    std::fs::rename(project.file("ui/a.png"), project.file("ui/b.png")).unwrap();
    let (code, document) = project.json(&["sync", "--once", "--refresh"]);
    assert_eq!((code, actions(&document)), (0, vec!["move ui/b.png".to_owned()]), "{document:#}");
    std::fs::rename(project.file("ui/b.png"), project.file("ui/c.png")).unwrap();
    let ran = project.run(&["sync", "--once", "--refresh"]).expect(0);
    assert!(ran.stdout.contains("ui/c.png (rbxassetid://") && ran.stdout.contains("from ui/b.png"), "{}", ran.stdout);
}
