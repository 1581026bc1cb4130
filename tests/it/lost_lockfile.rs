//! A lost lockfile: Macadam makes no new asset until a person decides; everything else continues.

use std::process::Command;

use serde_json::Value;

use super::ci::{Ci, MANIFEST, push};
use super::commit_push::Clone;
use super::support::git::isolated;
use super::support::{Project, Ran, Remote, png, rbxmx, system};

const ONCE: [&str; 2] = ["sync", "--once"];
const ACCEPT: [&str; 3] = ["sync", "--once", "--accept-new-lockfile"];

/// Two pictures and a model were uploaded and pushed; a machine that knows only what is in git.
fn synced() -> (Ci, Clone) {
    let ci = Ci::new(2);
    let author = ci.machine();
    author.write("assets.toml", &format!("{MANIFEST}\n[assets.sword]\npath = \"sword.rbxmx\"\n"));
    author.write("sword.rbxmx", &rbxmx("one"));
    ci.run(&author, &ONCE).expect(0);
    push(&author, "synced");
    let machine = ci.machine();
    (ci, machine)
}

/// The addresses that are held, with a reason and a remedy that speak of `words`.
#[track_caller]
fn held(document: &Value, words: &[&str]) -> Vec<String> {
    let actions = document["actions"].as_array().unwrap();
    let held = actions.iter().filter(|action| action["action"] == "hold");
    let told = |action: &Value| format!("{} {}", action["reason"], action["hint"]);
    for action in held.clone() {
        for word in words.iter().chain(&["--accept-new-lockfile"]) {
            assert!(told(action).contains(word), "{word}: {action:#}");
        }
    }
    held.map(|action| action["address"].as_str().unwrap().to_owned()).collect()
}

fn delete(machine: &Clone) {
    std::fs::remove_file(machine.path.join("assets.lock.toml")).unwrap();
}

#[test]
fn no_pin_is_to_be_removed_because_the_lockfile_is_lost() {
    let (ci, machine) = synced();
    let manifest = std::fs::read_to_string(machine.path.join("assets.toml")).unwrap();
    machine.write("assets.toml", &format!("{manifest}\n[pins]\nsword = 1\n"));
    delete(&machine);
    let words = ["the commit that is checked out has it", "git checkout -- assets.lock.toml"];
    assert_eq!(held(&ci.json(&machine, &["plan"], 0), &words), ["sword", "ui/0.png", "ui/1.png"]);
}

#[test]
fn a_lockfile_that_head_has_holds_creates_until_it_is_back() {
    let (ci, machine) = synced();
    delete(&machine);
    let words = ["the commit that is checked out has it", "git checkout -- assets.lock.toml"];
    let all = ["sword", "ui/0.png", "ui/1.png"];
    assert_eq!(held(&ci.json(&machine, &["plan"], 0), &words), all);
    let status = ci.json(&machine, &["status"], 0);
    assert!(status["lost_lockfile"]["hint"].as_str().unwrap().contains("git checkout"), "{status:#}");
    for _ in 0..2 {
        assert_eq!(held(&ci.json(&machine, &ONCE, 1), &words), all);
        assert!(!machine.path.join("assets.lock.toml").exists(), "the next run would take it for the real one");
    }
    // Staged or not, HEAD has it.
    machine.git(&["rm", "-q", "--cached", "assets.lock.toml"]);
    let words = ["the commit that is checked out has it", "git checkout HEAD -- assets.lock.toml"];
    assert_eq!(held(&ci.json(&machine, &ONCE, 1), &words), all);
    machine.git(&["reset", "-q"]);
    assert_eq!(ci.creates(), 3);

    machine.git(&["checkout", "--", "assets.lock.toml"]);
    assert_eq!(ci.json(&machine, &ONCE, 0)["in_sync"], true);
    assert_eq!(ci.creates(), 3);
}

#[test]
fn work_without_new_assets_continues_without_the_lockfile() {
    let (ci, machine) = synced();
    ci.run(&machine, &ONCE).expect(0);
    delete(&machine);
    machine.write("sword.rbxmx", &rbxmx("two"));
    std::fs::write(machine.path.join("ui/2.png"), png(2)).unwrap();
    std::fs::write(machine.path.join("ui/0.png"), png(3)).unwrap();
    let document = ci.json(&machine, &ONCE, 1);
    assert_eq!(held(&document, &["git checkout"]), ["ui/0.png", "ui/2.png"], "{document:#}");
    assert_eq!(document["summary"]["update_content"], 1, "{document:#}");
    assert_eq!(ci.creates(), 3);
    machine.git(&["checkout", "--", "assets.lock.toml"]);
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 5);
    assert!(machine.read("assets.lock.toml").contains("revision = 2"), "{}", machine.read("assets.lock.toml"));
}

#[test]
fn accepting_a_new_lockfile_uploads_new_assets() {
    let (ci, machine) = synced();
    delete(&machine);
    ci.run(&machine, &ACCEPT).expect(0);
    assert_eq!(ci.creates(), 6);
    assert!(machine.read("assets.lock.toml").contains("ui/1.png"));
    // It is the lockfile from now on.
    std::fs::write(machine.path.join("ui/2.png"), png(2)).unwrap();
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 7);
}

/// Commits the removal of the lockfile, and something after it.
fn commit_removal(machine: &Clone) {
    machine.git(&["rm", "-q", "assets.lock.toml"]);
    machine.git(&["commit", "-q", "-m", "oops"]);
    machine.write("readme.md", "a game\n");
    push(machine, "later");
}

/// Runs the command that the hint about the missing lockfile names first.
fn follow_hint(machine: &Clone, document: &Value) {
    let held = document["actions"].as_array().unwrap().iter().find(|action| action["action"] == "hold").unwrap();
    let command = held["hint"].as_str().unwrap().split('`').nth(1).unwrap();
    let words: Vec<&str> = command.split(' ').collect();
    assert_eq!(words[..2], ["git", "checkout"], "{command}");
    machine.git(&words[1..]);
}

#[test]
fn a_lockfile_whose_removal_was_committed_holds_creates_in_a_fresh_clone() {
    let (ci, author) = synced();
    commit_removal(&author);
    let removal = author.git(&["rev-parse", "--short=10", "HEAD~1"]);
    let words = [&*format!("commit {} removed assets.lock.toml", removal.trim()), "git checkout "];
    let all = ["sword", "ui/0.png", "ui/1.png"];
    let machine = ci.machine();
    let planned = ci.json(&machine, &["plan"], 0);
    assert_eq!(held(&planned, &words), all);
    assert_eq!(planned["actions"][0]["code"], "lockfile_lost", "{planned:#}");
    let status = ci.json(&machine, &["status"], 0);
    assert!(status["lost_lockfile"]["reason"].as_str().unwrap().contains(words[0]), "{status:#}");
    let doctor = ci.run(&machine, &["doctor"]);
    assert!(doctor.stdout.contains(words[0]) && doctor.stdout.contains("error"), "{}", doctor.stdout);
    for _ in 0..2 {
        assert_eq!(held(&ci.json(&machine, &ONCE, 1), &words), all);
        assert!(!machine.path.join("assets.lock.toml").exists());
    }
    assert_eq!(ci.creates(), 3);
    follow_hint(&machine, &planned);
    assert_eq!(ci.json(&machine, &ONCE, 0)["in_sync"], true);
    assert_eq!(ci.creates(), 3);
}

#[test]
fn a_person_who_agrees_once_starts_anew_after_a_committed_removal() {
    let (ci, author) = synced();
    commit_removal(&author);
    let machine = ci.machine();
    ci.run(&machine, &ACCEPT).expect(0);
    assert_eq!(ci.creates(), 6);
    push(&machine, "a new one");
    let other = ci.machine();
    std::fs::write(other.path.join("ui/2.png"), png(2)).unwrap();
    ci.run(&other, &ONCE).expect(0);
    assert_eq!(ci.creates(), 7);
}

/// What a machine knows is not all that the removed lockfile had.
#[test]
fn a_machine_with_a_state_writes_no_new_lockfile_in_place_of_one_that_a_commit_removed() {
    let (ci, machine) = synced();
    ci.run(&machine, &ONCE).expect(0);
    commit_removal(&machine);
    std::fs::write(machine.path.join("ui/2.png"), png(2)).unwrap();
    let doctor = |machine: &Clone| ci.run(machine, &["doctor"]).stdout;
    std::fs::rename(machine.path.join("ui/2.png"), machine.path.join("away.png")).unwrap();
    assert!(doctor(&machine).contains("removed assets.lock.toml"), "{}", doctor(&machine));
    std::fs::rename(machine.path.join("away.png"), machine.path.join("ui/2.png")).unwrap();
    assert_eq!(held(&ci.json(&machine, &ONCE, 1), &["removed assets.lock.toml"]), ["ui/2.png"]);
    assert!(!machine.path.join("assets.lock.toml").exists());
    ci.run(&machine, &ACCEPT).expect(0);
    assert_eq!(ci.creates(), 4);
}

#[test]
fn a_merge_without_the_lockfile_of_one_side_holds_creates() {
    // The branch removed it, or left before it came.
    for forked in ["removed", "before"] {
        let (ci, author) = synced();
        if forked == "removed" {
            author.git(&["checkout", "-q", "-b", "feature"]);
            author.git(&["rm", "-q", "assets.lock.toml"]);
            author.git(&["commit", "-q", "-m", "without"]);
            author.git(&["checkout", "-q", "main"]);
            std::fs::write(author.path.join("ui/2.png"), png(2)).unwrap();
            ci.run(&author, &ONCE).expect(0);
            push(&author, "more");
        } else {
            author.git(&["branch", "-q", "feature", "HEAD~1"]);
        }
        let creates = ci.creates();
        author.git(&["checkout", "-q", "feature"]);
        author.write("readme.md", "a game\n");
        author.git(&["add", "readme.md"]);
        author.git(&["commit", "-q", "-m", "of the branch"]);
        author.git(&["merge", "-q", "--no-commit", "-s", "ours", "main"]);
        author.git(&["checkout", "-q", "main", "--", "ui", "assets.toml", "sword.rbxmx"]);
        author.git(&["commit", "-q", "-am", "merged"]);
        author.git(&["push", "-q", "-f", "origin", "HEAD:main"]);
        let machine = ci.machine();
        let document = ci.json(&machine, &ONCE, 1);
        assert_eq!(held(&document, &["removed assets.lock.toml"]).len(), creates, "{forked}: {document:#}");
        follow_hint(&machine, &document);
        ci.run(&machine, &ONCE).expect(0);
        assert_eq!(ci.creates(), creates, "{forked}");
    }
}

/// The earlier name of a lockfile is free for another project.
#[test]
fn a_lockfile_that_was_renamed_with_its_manifest_was_not_removed() {
    let (ci, author) = synced();
    author.git(&["mv", "assets.toml", "game.toml"]);
    author.git(&["mv", "assets.lock.toml", "game.lock.toml"]);
    push(&author, "renamed");
    author.write("assets.toml", "[creator]\nuser_id = 1\n\n[assets.logo]\npath = \"logo.png\"\n");
    std::fs::write(author.path.join("logo.png"), png(50)).unwrap();
    push(&author, "another one");
    let machine = ci.machine();
    ci.run(&machine, &["sync", "--once", "--manifest", "game.toml"]).expect(0);
    ci.run(&machine, &["sync", "--once", "--manifest", "assets.toml"]).expect(0);
    assert_eq!(ci.creates(), 4);
}

/// One of another server, and one of another owner.
#[test]
fn an_earlier_lockfile_that_says_nothing_of_these_assets_holds_nothing() {
    let (ci, author) = synced();
    let lockfile = author.read("assets.lock.toml");
    author.write("assets.lock.toml", &lockfile.replace(&ci.remote.url(), "http://127.0.0.1:1"));
    assert_ne!(author.read("assets.lock.toml"), lockfile);
    push(&author, "of another server");
    commit_removal(&author);
    let machine = ci.machine();
    assert!(ci.json(&machine, &["status"], 0)["lost_lockfile"].is_null());
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 6);

    let (ci, author) = synced();
    commit_removal(&author);
    author.write("assets.toml", &author.read("assets.toml").replace("user_id = 1", "user_id = 2"));
    push(&author, "a copy of the game");
    ci.run(&ci.machine(), &ONCE).expect(0);
    assert_eq!(ci.creates(), 6);
}

/// The assets exist, whichever branch removed their lockfile.
#[test]
fn a_lockfile_that_was_removed_inside_a_merged_branch_holds_creates() {
    // Git names the commits of a branch without the lockfile only if one of them is a merge.
    for has_merges in [true, false] {
        let ci = Ci::new(2);
        let author = ci.machine();
        author.git(&["checkout", "-q", "-b", "other"]);
        author.write("readme.md", "a game\n");
        author.git(&["add", "readme.md"]);
        author.git(&["commit", "-q", "-m", "of another branch"]);
        author.git(&["checkout", "-q", "-b", "pr", "main"]);
        ci.run(&author, &ONCE).expect(0);
        author.git(&["add", "-A"]);
        author.git(&["commit", "-q", "-m", "synced"]);
        author.git(&["rm", "-q", "assets.lock.toml"]);
        author.git(&["commit", "-q", "-m", "no generated files"]);
        author.git(&["checkout", "-q", "main"]);
        for branch in if has_merges { &["other", "pr"][..] } else { &["pr"] } {
            author.git(&["merge", "-q", "--no-ff", "-m", "merged", branch]);
        }
        author.git(&["push", "-q", "origin", "HEAD:main"]);
        let machine = ci.machine();
        let document = ci.json(&machine, &ONCE, 1);
        let held = held(&document, &[", inside a merged branch, removed assets.lock.toml"]);
        assert_eq!(held, ["ui/0.png", "ui/1.png"], "{has_merges}: {document:#}");
        assert!(!machine.path.join("assets.lock.toml").exists(), "{has_merges}");
        follow_hint(&machine, &document);
        ci.run(&machine, &ONCE).expect(0);
        assert_eq!(ci.creates(), 2, "{has_merges}");
    }
}

/// A lockfile of somebody else's, planted inside a merged branch, hides no other one.
#[test]
fn a_removed_lockfile_of_another_owner_hides_no_other_one() {
    let (ci, author) = synced();
    let lockfile = author.read("assets.lock.toml");
    commit_removal(&author);
    let foreign = lockfile.replace("user:1", "user:2");
    assert_ne!(foreign, lockfile);
    author.write("assets.lock.toml", &foreign);
    push(&author, "of another owner");
    author.git(&["rm", "-q", "assets.lock.toml"]);
    push(&author, "removed again");
    let machine = ci.machine();
    let document = ci.json(&machine, &ONCE, 1);
    assert_eq!(held(&document, &["removed assets.lock.toml"]).len(), 3);
    follow_hint(&machine, &document);
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 3);
}

#[test]
fn a_committed_removal_holds_creates_in_shallow_and_partial_clones() {
    let (ci, author) = synced();
    commit_removal(&author);
    ci.hub_git(&["config", "uploadpack.allowFilter", "true"]);
    let parts = [
        ("--depth=1", &["this is a shallow clone"][..]),
        ("--depth=3", &["removed assets.lock.toml"]),
        ("--filter=blob:none", &["removed assets.lock.toml"]),
        ("--filter=tree:0", &["whether git has it is unknown: git says: fatal: ", "`git log --full-history"]),
    ];
    for (at, (part, words)) in parts.into_iter().enumerate() {
        let machine = ci.hub.clone_partly(&format!("part-{at}"), &[part]);
        assert_eq!(held(&ci.json(&machine, &ONCE, 1), words).len(), 3, "{part}");
        assert!(!machine.path.join("assets.lock.toml").exists(), "{part}");
    }
    assert_eq!(ci.creates(), 3);
}

/// Git names every merge as a part of a file's history, whether there ever was one or not.
#[test]
fn a_new_project_is_new_in_a_partial_clone_with_many_merges() {
    let ci = Ci::new(1);
    ci.hub_git(&["config", "uploadpack.allowFilter", "true"]);
    let author = ci.machine();
    for _ in 0..70 {
        let tip = author.git(&["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-m", "of a branch"]);
        let merge = ["commit-tree", "HEAD^{tree}", "-p", "HEAD", "-p", tip.trim(), "-m", "merged"];
        author.git(&["reset", "-q", "--soft", author.git(&merge).trim()]);
    }
    author.git(&["push", "-q", "origin", "HEAD:main"]);
    let machine = ci.hub.clone_partly("part", &["--filter=blob:none"]);
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 1);
}

/// Packed objects, a worktree of its own, and a sparse checkout.
#[test]
fn head_is_read_however_git_keeps_it() {
    let (ci, machine) = synced();
    machine.git(&["gc", "-q"]);
    machine.git(&["worktree", "add", "-q", "--detach", "../tree"]);
    let tree = Clone { path: machine.path.join("../tree").canonicalize().unwrap() };
    delete(&tree);
    assert_eq!(held(&ci.json(&tree, &ONCE, 1), &["git checkout"]).len(), 3);

    machine.git(&["sparse-checkout", "set", "--no-cone", "/*", "!/assets.lock.toml"]);
    assert!(!machine.path.join("assets.lock.toml").exists());
    assert_eq!(held(&ci.json(&machine, &ONCE, 1), &["git sparse-checkout add"]).len(), 3);
    assert_eq!(ci.creates(), 3);
}

/// A person types what the hint says, where it was read.
#[test]
fn the_hint_about_a_missing_lockfile_brings_it_back() {
    let (ci, author) = synced();
    std::fs::create_dir(author.path.join("game")).unwrap();
    author.git(&["mv", "assets.toml", "assets.lock.toml", "ui", "sword.rbxmx", "game"]);
    push(&author, "in a folder");
    type Lose<'a> = &'a dyn Fn(&Clone);
    let deleted: Lose<'_> = &|machine| std::fs::remove_file(machine.path.join("game/assets.lock.toml")).unwrap();
    let removed: Lose<'_> = &|machine| drop(machine.git(&["rm", "-q", "game/assets.lock.toml"]));
    let committed: Lose<'_> = &|machine| {
        machine.git(&["rm", "-q", "game/assets.lock.toml"]);
        machine.git(&["commit", "-q", "-m", "oops"]);
    };
    let cone: Lose<'_> = &|machine| {
        machine.git(&["sparse-checkout", "set", "--cone", "game/ui"]);
        deleted(machine);
    };
    let patterns: Lose<'_> = &|machine| {
        machine.git(&["sparse-checkout", "set", "--no-cone", "/*", "!/game/assets.lock.toml"]);
    };
    let by_hand: Lose<'_> = &|machine| {
        machine.git(&["update-index", "--skip-worktree", "game/assets.lock.toml"]);
        deleted(machine);
    };
    let cases = [deleted, removed, committed, cone, patterns, by_hand];
    let folders: [(&str, &[&str]); 3] = [("", &["--manifest", "game/assets.toml"]), ("game", &[]), ("game/ui", &[])];
    for (at, lose) in cases.into_iter().enumerate() {
        for (folder, options) in folders {
            let machine = ci.machine();
            lose(&machine);
            let folder = machine.path.join(folder);
            let mut command = ci.command(&machine, &[&["plan", "--json"], options].concat());
            let ran = Ran::of(command.current_dir(&folder).output().unwrap()).expect(0);
            let document: Value = serde_json::from_str(&ran.stdout).unwrap();
            let actions = document["actions"].as_array().unwrap();
            let hint = actions.iter().find(|action| action["action"] == "hold").unwrap()["hint"].as_str().unwrap();
            let typed = hint.split('`').nth(1).unwrap();
            let words: Vec<&str> = typed.split(' ').collect();
            let done = isolated(words[0], &folder).args(&words[1..]).output().unwrap();
            let told = String::from_utf8_lossy(&done.stderr);
            assert!(done.status.success(), "{at}: in {}: {typed}: {told}", folder.display());
            assert!(machine.path.join("game/assets.lock.toml").exists(), "{at}: {typed}");
            std::fs::remove_dir_all(&machine.path).unwrap();
        }
    }
}

/// Neither its file monitor, nor its hooks, nor its transports are run; nor does a variable lead
/// elsewhere.
#[test]
fn a_strangers_repository_runs_nothing() {
    let (ci, machine) = synced();
    delete(&machine);
    let trap = ci.hub.folder.path().join("trap");
    std::fs::write(&trap, "#!/bin/sh\ntouch \"$(dirname \"$0\")/sprung\"\n").unwrap();
    system::make_executable(&trap);
    let trap = trap.to_str().unwrap();
    for key in ["core.fsmonitor", "core.pager", "core.sshCommand", "remote.origin.uploadpack", "core.editor"] {
        machine.git(&["config", key, trap]);
    }
    let mut command = ci.command(&machine, &ONCE);
    command.env("GIT_DIR", "/nowhere").env("GIT_EXTERNAL_DIFF", trap).env("CI", "true");
    let ran = Ran::of(command.output().unwrap()).expect(1);
    assert!(ran.stdout.contains("git checkout -- assets.lock.toml"), "{}", ran.stdout);
    assert!(!ci.hub.folder.path().join("sprung").exists());
}

#[test]
fn a_head_that_can_not_be_read_is_not_one_without_a_lockfile() {
    let (ci, machine) = synced();
    delete(&machine);
    // No git in the path.
    let mut command = ci.command(&machine, &ONCE);
    let ran = Ran::of(command.env("PATH", "/nowhere").output().unwrap()).expect(1);
    assert!(ran.stdout.contains("git can't be asked"), "{}", ran.stdout);
    assert_eq!(ci.creates(), 3);
}

#[test]
fn a_renamed_manifest_holds_creates_until_its_lockfile_is_renamed_too() {
    let (ci, machine) = synced();
    ci.run(&machine, &ONCE).expect(0);
    machine.git(&["mv", "assets.toml", "game.toml"]);
    machine.git(&["commit", "-q", "-m", "renamed"]);
    let game = ["sync", "--once", "--manifest", "game.toml"];
    let words = [
        "assets.lock.toml (of assets.toml, which is gone) has the same files",
        "git mv assets.lock.toml game.lock.toml",
    ];
    for _ in 0..2 {
        assert_eq!(held(&ci.json(&machine, &game, 1), &words).len(), 3);
        assert!(!machine.path.join("game.lock.toml").exists());
    }
    machine.git(&["mv", "assets.lock.toml", "game.lock.toml"]);
    ci.run(&machine, &game).expect(0);
    assert_eq!(ci.creates(), 3);
}

/// Another environment of the same owner would have everything twice, so it is asked about once;
/// one of another owner is not.
#[test]
fn a_second_environment_is_its_own_once_that_is_agreed_to() {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    project.write("assets.other.toml", MANIFEST.replace("user_id = 1", "user_id = 2"));
    project.run(&["sync", "--once", "--manifest", "assets.other.toml"]).expect(0);
    project.write("assets.staging.toml", MANIFEST);
    let staging = ["sync", "--once", "--manifest", "assets.staging.toml"];
    let (code, document) = project.json(&staging);
    assert_eq!((code, held(&document, &["assets.lock.toml"])), (1, vec!["ui/a.png".to_owned()]), "{document:#}");
    project.run(&[staging.as_slice(), &["--accept-new-lockfile"]].concat()).expect(0);
    project.write("ui/b.png", png(2));
    project.run(&staging).expect(0);
    assert_eq!(remote.assets().len(), 4);
}

/// The state knows what it uploaded, not what others did. What it knows is written down again, and
/// anything new waits for a person, however many runs there are.
#[test]
fn a_lockfile_that_only_the_state_remembers_is_written_again_and_new_assets_wait_for_a_person() {
    let remote = Remote::start();
    let project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    project.remove("assets.lock.toml");
    project.write("ui/b.png", png(2));
    let (_, planned) = project.json(&["plan"]);
    let words = ["knows 1 asset of it"];
    assert_eq!(held(&planned, &words), ["ui/b.png"]);
    let (code, document) = project.json(&ONCE);
    assert_eq!((code, held(&document, &words)), (1, vec!["ui/b.png".to_owned()]), "{document:#}");
    let lockfile = project.read("assets.lock.toml");
    assert!(lockfile.contains("ui/a.png") && !lockfile.contains("ui/b.png"), "{lockfile}");
    let words = ["written anew with the 1 asset that this machine knows"];
    for args in [&ONCE[..], &["plan"], &ONCE] {
        let (_, document) = project.json(args);
        assert_eq!(held(&document, &words), ["ui/b.png"], "{document:#}");
    }
    let (_, status) = project.json(&["status"]);
    assert!(status["lost_lockfile"]["reason"].as_str().unwrap().contains(words[0]), "{status:#}");
    assert_eq!(remote.assets().len(), 1);
    project.run(&ACCEPT).expect(0);
    project.write("ui/c.png", png(3));
    project.sync();
    assert_eq!(remote.assets().len(), 3);

    // The one from another machine that is put back has more, and is agreed to by that.
    let whole = project.read("assets.lock.toml");
    project.remove("assets.lock.toml");
    project.write("ui/d.png", png(4));
    project.run(&ONCE).expect(1);
    let more = whole.replace("[assets.\"ui/a.png\"]", "[forgotten.\"ui/z.png\"]\n77 = 1\n\n[assets.\"ui/a.png\"]");
    let more = if whole.contains("[forgotten") { whole } else { more };
    project.write("assets.lock.toml", more);
    project.sync();
    assert_eq!(remote.assets().len(), 4);
}

/// Runs a sync that is killed when it gets to `moment`.
#[track_caller]
fn dies(project: &mut Project, moment: &str) {
    project.set_env("MACADAM_FAILPOINT", format!("{moment}:1"));
    let ran = project.run(&ONCE);
    assert_eq!(ran.code, -1, "{moment}: it was killed\n{}{}", ran.stdout, ran.stderr);
    project.set_env("MACADAM_FAILPOINT", "");
}

#[test]
fn a_crash_around_the_new_lockfile_is_no_consent_to_new_assets() {
    for moment in ["lockfile", "lockfile_written"] {
        let remote = Remote::start();
        let mut project = Project::new(MANIFEST).at(&remote.url());
        for n in [0, 1] {
            project.write(&format!("ui/{n}.png"), png(n));
        }
        project.sync();
        project.remove("assets.lock.toml");
        project.write("ui/2.png", png(2));
        dies(&mut project, moment);
        let words = ["this machine"];
        let (_, planned) = project.json(&["plan"]);
        assert_eq!(held(&planned, &words), ["ui/2.png"], "{moment}: {planned:#}");
        let (code, document) = project.json(&ONCE);
        assert_eq!((code, held(&document, &words)), (1, vec!["ui/2.png".to_owned()]), "{moment}: {document:#}");
        // What the new lockfile says is known: a moved file keeps its asset.
        std::fs::rename(project.file("ui/0.png"), project.file("ui/9.png")).unwrap();
        dies(&mut project, moment);
        let (code, document) = project.json(&ONCE);
        assert_eq!((code, held(&document, &words)), (1, vec!["ui/2.png".to_owned()]), "{moment}: {document:#}");
        assert_eq!(remote.assets().len(), 2, "{moment}");
        project.run(&ACCEPT).expect(0);
        project.sync();
        assert_eq!(remote.assets().len(), 3, "{moment}");
        let lockfile = project.read("assets.lock.toml");
        let has = |name: &str| lockfile.contains(&format!("ui/{name}.png\"]"));
        assert_eq!(["0", "1", "2", "9"].map(has), [false, true, true, true], "{moment}: {lockfile}");
    }
}

/// The new lockfile has what the lost one had and this checkout still counts: a file that is absent,
/// and an asset that was removed and kept. Otherwise a machine that has only the lockfile would
/// upload them again.
#[test]
fn what_a_lost_lockfile_had_is_in_the_new_one_whenever_that_is_written() {
    let end_of_run = |project: &mut Project| {
        project.run(&ONCE).expect(0);
    };
    let crash = |project: &mut Project| dies(project, "lockfile");
    let commit = |project: &mut Project| {
        // HEAD has it, so none is written; then the person commits the removal, and agrees.
        project.run(&ONCE);
        assert!(!project.file("assets.lock.toml").exists());
        project.git(&["commit", "--quiet", "-am", "without"]);
    };
    type Meanwhile<'a> = &'a dyn Fn(&mut Project);
    let cases: [(&str, Meanwhile<'_>); 3] =
        [("at once", &end_of_run), ("after a crash", &crash), ("after a commit", &commit)];
    for (case, meanwhile) in cases {
        let remote = Remote::start();
        let named = format!("{MANIFEST}\n[assets.kept]\npath = \"kept.rbxmx\"\n");
        let mut project = Project::new(&named).at(&remote.url());
        project.git(&["init", "--quiet"]);
        for n in [0, 1] {
            project.write(&format!("ui/{n}.png"), png(n));
        }
        project.write("kept.rbxmx", rbxmx("kept"));
        project.sync();
        project.write("assets.toml", MANIFEST);
        project.sync();
        project.git(&["add", "assets.toml", "ui"]);
        if case == "after a commit" {
            project.git(&["add", "assets.lock.toml"]);
        }
        project.git(&["commit", "--quiet", "-m", "all"]);
        project.remove("assets.lock.toml");
        if case != "after a commit" {
            project.remove("ui/1.png");
        }
        meanwhile(&mut project);
        if case == "after a commit" {
            project.remove("ui/1.png");
            project.run(&ACCEPT);
        }
        project.run(&ONCE);
        let lockfile = project.read("assets.lock.toml");
        for address in ["ui/0.png", "ui/1.png", "kept"] {
            assert!(
                lockfile.contains(&format!("[assets.\"{address}\"]"))
                    || lockfile.contains(&format!("[assets.{address}]")),
                "{case}: {address}: {lockfile}"
            );
        }
        // A machine that has only the lockfile uploads nothing again.
        project.remove_state();
        project.write("assets.toml", named);
        project.write("ui/1.png", png(1));
        project.sync();
        assert_eq!(remote.assets().len(), 3, "{case}");
    }
}

/// The state remembers the lockfile that it was about to write. Somebody else's file in its place
/// still is one.
#[test]
fn another_file_in_place_of_the_one_that_was_coming_ends_the_loss() {
    let remote = Remote::start();
    let mut project = Project::new(MANIFEST).at(&remote.url());
    project.write("ui/0.png", png(0));
    project.sync();
    let whole = project.read("assets.lock.toml");
    project.remove("assets.lock.toml");
    project.write("ui/1.png", png(1));
    dies(&mut project, "lockfile");
    let more = whole.replace("[assets.\"ui/0.png\"]", "[forgotten.\"ui/z.png\"]\n77 = 1\n\n[assets.\"ui/0.png\"]");
    assert_ne!(more, whole);
    project.write("assets.lock.toml", more);
    project.sync();
    assert_eq!(remote.assets().len(), 2);
}

/// On a branch from before the lockfile it is written anew, with the very text of the other branch's.
#[test]
fn the_lockfile_of_a_commit_from_before_the_loss_ends_it() {
    let ci = Ci::new(2);
    let author = ci.machine();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "synced");
    // The clock of Macadam, beside that of the commits.
    for (case, shift) in [("committed since", "-3600"), ("committed before", "3600")] {
        let machine = ci.machine();
        let run = |args: &[&str], code: i32| {
            Ran::of(ci.command(&machine, args).env("MACADAM_CLOCK_SHIFT", shift).output().unwrap()).expect(code).stdout
        };
        run(&ONCE, 0);
        let whole = machine.read("assets.lock.toml");
        machine.git(&["checkout", "-q", "-b", "older", "HEAD~1"]);
        std::fs::write(machine.path.join("ui/2.png"), png(2)).unwrap();
        let told = run(&ONCE, 1);
        assert!(told.contains("though this machine had it"), "{case}: {told}");
        assert_eq!(machine.read("assets.lock.toml"), whole, "{case}");
        if case == "committed since" {
            // By a command of `--on-change`, say: nobody agreed to it.
            machine.git(&["add", "assets.lock.toml"]);
            machine.git(&["commit", "-q", "-m", "written anew"]);
            assert!(run(&["plan"], 0).contains("written anew with the 2 assets"), "{case}");
            run(&ONCE, 1);
            assert_eq!(ci.creates(), 2, "{case}");
        } else {
            delete(&machine);
            machine.git(&["checkout", "-q", "main"]);
            let plan = run(&["plan"], 0);
            assert!(!plan.contains("written anew"), "{case}: {plan}");
            run(&ONCE, 0);
            assert_eq!(ci.creates(), 3, "{case}");
        }
    }
}

#[test]
fn commands_by_hand_put_no_new_lockfile_in_place_of_a_lost_one() {
    let (ci, machine) = synced();
    delete(&machine);
    let asset_id = ci.remote.assets().first().unwrap().asset.id.to_string();
    let ran = ci.run(&machine, &["import", "ui/0.png", &asset_id]);
    assert!([0, 1].contains(&ran.code), "{}{}", ran.stdout, ran.stderr);
    assert!(!machine.path.join("assets.lock.toml").exists());
    assert!(!held(&ci.json(&machine, &ONCE, 1), &["git checkout"]).is_empty());
    assert_eq!(ci.creates(), 3);
}

#[test]
fn the_service_holds_creates_until_the_lockfile_is_back() {
    let (ci, machine) = synced();
    delete(&machine);
    let mut service = ci.command(&machine, &["sync"]).stderr(std::process::Stdio::null()).spawn().unwrap();
    let state = |machine: &Clone| {
        let ran = Ran::of(ci.command(machine, &["status", "--json"]).output().unwrap());
        let status: Value = serde_json::from_str(&ran.stdout).unwrap();
        status["assets"][0]["state"].as_str().unwrap_or_default().to_owned()
    };
    until("it looked at the files", || state(&machine) == "held");
    assert_eq!(ci.creates(), 3);
    machine.git(&["checkout", "--", "assets.lock.toml"]);
    until("it knows all", || state(&machine) == "synced");
    assert_eq!(ci.creates(), 3);
    system::send(&service, system::Signal::TERM);
    assert!(service.wait().unwrap().success());
}

fn until(what: &str, reached: impl Fn() -> bool) {
    let begun = std::time::Instant::now();
    while !reached() {
        assert!(begun.elapsed().as_secs() < 60, "never: {what}");
        std::thread::sleep(std::time::Duration::from_millis(50));
    }
}

/// Outside of git nothing is asked, and a first sync is a first sync.
#[test]
fn a_first_sync_needs_no_confirmation() {
    let ci = Ci::new(1);
    let machine = ci.machine();
    assert!(ci.json(&machine, &["status"], 0)["lost_lockfile"].is_null());
    ci.run(&machine, &ONCE).expect(0);
    // A repository without a commit.
    let folder = tempfile::tempdir().unwrap();
    let made: &mut Command = &mut isolated("git", folder.path());
    assert!(made.args(["init", "-q"]).status().unwrap().success());
    let fresh = Clone { path: folder.path().to_owned() };
    fresh.write("assets.toml", MANIFEST);
    std::fs::create_dir(folder.path().join("ui")).unwrap();
    std::fs::write(folder.path().join("ui/0.png"), png(7)).unwrap();
    ci.run(&fresh, &ONCE).expect(0);
    assert_eq!(ci.creates(), 2);
}

/// A person types what a hint says: git answers with an error where it doesn't know the file.
#[test]
fn a_lockfile_that_can_not_be_used_is_brought_back_only_by_what_git_has() {
    const BACK: &str = "git checkout HEAD -- assets.lock.toml";
    let project = Project::new("[creator]\nuser_id = 1\n");
    let commit = |message: &str| {
        project.git(&["add", "."]);
        project.git(&["commit", "--quiet", "--message", message]);
    };
    let check = |git: &str, wanted: &str, others: &[&str]| {
        for command in [&["check"][..], &["plan"], &ONCE, &["status"], &["doctor"]] {
            let Ran { stdout, stderr, .. } = project.run(command);
            let told = format!("{stdout}{stderr}");
            assert!(told.contains(wanted), "{git}: {command:?}: {told}");
            assert!(!others.iter().any(|other| told.contains(other)), "{git}: {command:?}: {told}");
        }
    };
    let log = "git log -- assets.lock.toml";
    let none = "git has no copy of it";
    for broken in ["version = 1\nremote = \"https", "<<<<<<< ours\n"] {
        project.write("assets.lock.toml", broken);
        check("no checkout", none, &["`git checkout", log]);
    }
    project.write(".gitignore", "/assets.lock.toml\n/state\n");
    project.git(&["init", "--quiet"]);
    check("no commit", none, &["`git checkout", log]);
    commit("manifest");
    check("never added", none, &["`git checkout", log]);
    project.write(".gitignore", "/state\n");
    project.write("assets.lock.toml", "version = 1\nremote = \"https");
    commit("broken");
    check("committed as it is", log, &[BACK, none]);
    project.write("assets.lock.toml", "version = 1\n");
    check("another one is committed", BACK, &[log, none]);
}
