//! The same fact reads the same in `check`, `plan`, `sync` and `status`: a file that can't be used,
//! a hold, an owner, a time, an asset ID.

use super::output::asset_id;
use super::support::{GLOBS, Project, Remote, png, rbxmx};

/// What a command prints, without line breaks.
fn printed(project: &Project, args: &[&str]) -> String {
    let ran = project.run(args);
    format!("{}{}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ")
}

#[track_caller]
fn check(project: &Project, commands: &[&str], sentences: &[&str]) {
    for command in commands {
        let args: Vec<&str> = command.split(' ').collect();
        let told = printed(project, &args);
        for sentence in sentences {
            assert!(told.contains(sentence), "`{sentence}` is not in `macadam {command}`:\n{told}");
        }
    }
}

const ALL: &[&str] = &["check", "plan", "sync --once", "status"];

#[test]
#[cfg_attr(windows, ignore = "its links are of Unix")]
fn a_file_that_can_not_be_used_is_told_in_the_same_words() {
    let remote = Remote::start();
    let entries = ["missing", "near", "folder", "empty", "wrong", "dead", "outside"];
    let entries: String =
        entries.iter().map(|name| format!("\n[assets.{name}]\npath = \"models/{name}.rbxmx\"\n")).collect();
    let project = Project::new(&format!("{GLOBS}{entries}").replace("models/**", "other/**")).at(&remote.url());
    project.write("models/Near.rbxmx", rbxmx("near"));
    project.write("models/folder.rbxmx/x", "");
    project.write("models/empty.rbxmx", "");
    project.write("models/wrong.rbxmx", "no model");
    super::support::system::symlink("nowhere", project.file("models/dead.rbxmx")).unwrap();
    super::support::system::symlink("/etc/hostname", project.file("models/outside.rbxmx")).unwrap();
    project.write("ui/a.png", png(1));
    let sentences = [
        "there is no file `models/missing.rbxmx`",
        "there is no file `models/near.rbxmx` hint: `models/Near.rbxmx` is there; names must be exact",
        "`models/folder.rbxmx` is a folder, not a file hint: name a file, or a glob for the files of a folder",
        "the file is empty hint: export it again",
        "the content is not that of a .rbxmx file hint: export it again, and check that other programs can open it",
        "the link `models/dead.rbxmx` leads nowhere hint: point the link at a file, or remove it",
        "leads out of the manifest's folder through a symbolic link hint: put the file itself into the project",
    ];
    check(&project, ALL, &sentences);
    // The summary names what is left, and what to do.
    let told = printed(&project, &["sync", "--once"]);
    assert!(
        told.contains(
            "7 of 8 files can't be used. See above how to fix dead, empty, folder and 4 more, then run it again."
        ),
        "{told}"
    );
}

#[test]
fn an_owner_an_asset_and_a_removed_file_are_told_in_the_same_words() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.write("ui/b.png", png(2));
    project.write("models/m.rbxmx", rbxmx("one"));
    check(&project, &["plan"], &["Image \"a\" for user 1"]);
    project.sync();
    let uri = format!("rbxassetid://{}", asset_id(&project, "models/m.rbxmx"));
    project.write("models/m.rbxmx", rbxmx("two"));
    check(
        &project,
        &["plan", "status", "status models/m.rbxmx", "open models/m.rbxmx", "sync --once", "history models/m.rbxmx"],
        &[&uri],
    );
    project.remove("ui/b.png");
    let gone = "ui/b.png: its file is gone, so the glob `ui` no longer finds it; its asset stays on Roblox";
    check(&project, &["plan", "sync --once"], &[gone]);
    project.write("assets.toml", GLOBS.replace("user_id = 1\n", "user_id = 2\n"));
    check(&project, &["plan", "sync --once", "status"], &["its owner changed from user 1 to user 2"]);
}

#[test]
fn status_says_what_a_changed_manifest_means_as_the_plan_does() {
    let remote = Remote::start();
    let manifest = format!("{GLOBS}\n[assets.sword]\npath = \"sword.rbxmx\"\ndisplay_name = \"Sword\"\n");
    let project = Project::new(&manifest).at(&remote.url());
    project.write("sword.rbxmx", rbxmx("one"));
    project.write("ui/a.png", png(1));
    project.sync();
    // As after a `git pull`: names, files and types.
    project.write("assets.toml", manifest.replace("\"Sword\"", "\"Axe\""));
    check(&project, &["plan", "status"], &["display_name changed"]);
    check(&project, &["status"], &["pending sword", "to change: display_name changed"]);
    project.write("ui/a.png", png(2));
    project.run(&["check"]).expect(0);
    check(&project, &["status"], &["its file was written since the last sync; `macadam plan` says whether it changed"]);
    project.write("assets.toml", manifest.replace("display_name", "type = \"Animation\"\ndisplay_name"));
    let told = printed(&project, &["status"]);
    let plan = printed(&project, &["plan"]);
    let sentence = "its type changed from Model to Animation";
    assert_eq!(told.contains(sentence), plan.contains(sentence), "{told}\n{plan}");
}

#[test]
fn a_held_archiving_says_why_in_the_same_words() {
    let remote = Remote::start();
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    let project = Project::new(&format!("{GLOBS}\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n"));
    let project = project.at(&remote.url());
    for shade in 1..=6 {
        project.write(&format!("ui/{shade}.png"), png(shade));
    }
    project.sync();
    project.let_reads_catch_up();
    for shade in 1..=4 {
        project.remove(&format!("ui/{shade}.png"));
    }
    project.run(&["sync", "--once"]).expect(1);
    check(
        &project,
        &["plan", "sync --once", "status"],
        &["left the manifest and would be archived now, but 4 of 6 assets in one day is a lot", "--confirm "],
    );
}

#[test]
fn an_imported_asset_that_nobody_checked_is_not_synced() {
    let remote = Remote::start();
    let project = super::moving::unverified::moved(&remote, "user_id = 1");
    check(
        &project,
        &["status", "plan"],
        &[
            "2 unverified",
            "The 2 unverified assets are known only from another tool's files. The next `macadam sync --once` checks them on Roblox.",
        ],
    );
    project.sync();
    check(&project, &["status"], &["2 synced"]);
    check(&project, &["plan"], &["2 assets are up to date"]);
}
