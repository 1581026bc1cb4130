//! A project that people on Windows and macOS share with others: line ends that git converts, names
//! that Windows can't have, and accents that macOS writes apart.

use serde_json::json;

use super::support::git::git;
use super::support::{GLOBS, Project, Remote, png, rbxmx};

fn remote() -> Remote {
    let remote = Remote::start();
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    remote
}

fn with_crlf(project: &Project, name: &str) {
    let text = project.read(name).replace("\r\n", "\n").replace('\n', "\r\n");
    project.write(name, text);
}

/// With `core.autocrlf` and no `.gitattributes`, git writes every text file with `\r\n`.
#[test]
fn windows_line_ends_of_manifest_and_lockfile_are_no_change() {
    let remote = remote();
    let project = Project::new(&format!("{GLOBS}\n[assets.sword]\npath = \"sword.png\"\n")).at(&remote.url());
    git(project.path(), &["init", "--quiet"]);
    git(project.path(), &["config", "core.autocrlf", "true"]);
    project.write("sword.png", png(1));
    project.write("models/a.rbxmx", rbxmx("a"));
    project.sync();
    git(project.path(), &["add", "."]);
    git(project.path(), &["commit", "--quiet", "-m", "first"]);
    for name in ["assets.toml", "assets.lock.toml"] {
        project.remove(name);
    }
    git(project.path(), &["checkout", "--", "."]);
    let (manifest, lockfile) = (project.read("assets.toml"), project.read("assets.lock.toml"));
    assert!(manifest.contains("\r\n") && lockfile.contains("\r\n"), "git did not convert them");
    // With and without a state, and where nothing may change.
    for forget in [false, true] {
        if forget {
            project.remove_state();
        }
        let requests = remote.writes();
        let (code, document) = project.json(&["sync", "--once", "--locked"]);
        assert_eq!((code, &document["actions"]), (0, &json!([])), "{document:#}");
        project.sync();
        assert_eq!((project.read("assets.lock.toml"), remote.writes()), (lockfile.clone(), requests));
    }
    assert_eq!(git(project.path(), &["status", "--porcelain"]), "");
    // An edit of the manifest keeps its line ends.
    project.run(&["pin", "sword", "1", "--no-sync"]).expect(0);
    let pinned = project.read("assets.toml");
    assert!(pinned.contains("[pins]\r\nsword = "), "{pinned:?}");
    assert_eq!(pinned.matches('\n').count(), pinned.matches("\r\n").count(), "{pinned:?}");
    // A real change is written, and what was known stays known.
    project.write("ui/new.png", png(2));
    assert_eq!(project.sync()["summary"]["create"], 1);
    with_crlf(&project, "assets.lock.toml");
    project.remove_state();
    let creates = remote.writes();
    project.sync();
    assert_eq!(remote.writes(), creates, "uploaded again");
}

/// Windows' own limit is 260 characters, for programs that don't ask for more.
#[test]
fn a_file_with_a_long_path_is_synced() {
    let remote = remote();
    let project = Project::new(GLOBS).at(&remote.url());
    let long = format!("ui/{}/deep.png", ["a-folder-with-a-name-of-more-than-forty-letters"; 7].join("/"));
    assert!(long.len() > 300);
    project.write(&long, png(1));
    assert_eq!(project.sync()["summary"]["create"], 1);
    project.write(&long, png(2));
    let writes = remote.writes();
    project.sync();
    assert!(remote.writes() > writes, "the change is not seen");
    assert!(project.read("assets.lock.toml").contains(&long));
}

/// Another system has such files, and works with them; Windows would lack them in each clone.
#[test]
#[cfg_attr(windows, ignore = "no such files can be made")]
fn a_name_that_windows_can_not_have_is_a_warning() {
    let project = Project::new(&format!("{GLOBS}\n[assets.console]\npath = \"con.png\"\n"));
    project.write("con.png", png(1));
    project.write("ui/aux/a.png", png(2));
    project.write("ui/icon.png", png(3));
    for args in [&["check"][..], &["sync", "--once", "--emulator"]] {
        let ran = project.run(args).expect(0);
        let said = ran.stdout + &ran.stderr;
        for part in ["`con.png`", "`aux`"] {
            assert!(said.contains(&format!("Windows can't have the name {part}")), "{args:?}: {said}");
        }
        assert!(!said.contains("`icon.png`") && said.contains("the asset keeps its ID"), "{args:?}: {said}");
    }
}

/// On macOS a name may come with its accents apart from their letters; git and other systems keep it
/// as it comes.
#[test]
fn a_name_with_its_accents_apart_is_the_same_asset() {
    let remote = remote();
    let project = Project::new(GLOBS).at(&remote.url());
    let (apart, composed) = ("ui/cafe\u{301}.png", "ui/caf\u{e9}.png");
    project.write(apart, png(1));
    assert_eq!(project.sync()["summary"]["create"], 1);
    let (lockfile, writes) = (project.read("assets.lock.toml"), remote.writes());
    assert!(lockfile.contains(&format!("[assets.\"{composed}\"]")), "{lockfile}");
    // As another machine has it, with and without the state.
    project.remove(apart);
    project.write(composed, png(1));
    for forget in [false, true] {
        if forget {
            project.remove_state();
        }
        project.sync();
        assert_eq!((remote.writes(), project.read("assets.lock.toml")), (writes, lockfile.clone()));
    }
}
