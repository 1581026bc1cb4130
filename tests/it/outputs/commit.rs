//! `--on-change macadam-commit-push` commits the outputs too.

use super::LUAU;
use crate::ci::{Ci, MANIFEST, push};
use crate::support::png;

const ON_CHANGE: [&str; 4] = ["sync", "--once", "--on-change", "macadam-commit-push"];

#[test]
fn outputs_are_committed_with_the_lockfile_and_files_of_others_are_not() {
    let ci = Ci::new(2);
    let author = ci.machine();
    let outputs = format!("[[outputs]]\npath = \"{LUAU}\"\n[[outputs]]\npath = \"mine.json\"\n");
    author.write("assets.toml", &format!("{MANIFEST}{outputs}"));
    push(&author, "outputs");
    let machine = ci.machine();
    machine.write("mine.json", "{}\n");
    ci.run(&machine, &ON_CHANGE).expect(1);
    let pushed = ci.hub.show(LUAU);
    assert_eq!((pushed.as_str(), pushed.matches("rbxassetid://").count()), (machine.read(LUAU).as_str(), 2));
    assert_eq!(ci.hub.show("mine.json"), "");
    assert_eq!(ci.hub.log(), ["assets: sync", "outputs", "first"]);

    // The lockfile is complete, and only an output is missing.
    let other = ci.machine();
    std::fs::remove_file(other.path.join(LUAU)).unwrap();
    ci.run(&other, &ON_CHANGE).expect(0);
    assert_eq!(other.git(&["status", "--porcelain", "--untracked-files=no"]), "");
    assert!(ci.hub.show("mine.json").contains("rbxassetid://"), "a new output is committed as well");
    assert_eq!(ci.creates(), 2);
}

/// Each made a picture and an output with it; the lines of the outputs are neighbours.
#[test]
fn two_machines_that_changed_one_output_both_arrive() {
    let ci = Ci::new(1);
    let author = ci.machine();
    author.write("assets.toml", &format!("{MANIFEST}[[outputs]]\npath = \"{LUAU}\"\n"));
    ci.run(&author, &["sync", "--once"]).expect(0);
    push(&author, "outputs");
    let (one, two) = (ci.machine(), ci.machine());
    for (machine, name, shade) in [(&one, "ui/x.png", 11), (&two, "ui/y.png", 12)] {
        std::fs::write(machine.path.join(name), png(shade)).unwrap();
        ci.run(machine, &ON_CHANGE).expect(0);
    }
    assert!(ci.pushed().contains("ui/x.png") && ci.pushed().contains("ui/y.png"));
    // The next run writes what the rebase left out: by then it has the other picture's file too.
    std::fs::write(two.path.join("ui/x.png"), png(11)).unwrap();
    ci.run(&two, &ON_CHANGE).expect(0);
    let pushed = ci.hub.show(LUAU);
    assert!(pushed.contains("ui/x.png") && pushed.contains("ui/y.png"), "{pushed}");
    assert_eq!(two.git(&["status", "--porcelain", "--untracked-files=no"]), "");
}

/// The rebase merges the output by its lines and has no reason to touch the lockfile: the other machine
/// only named an asset that Macadam doesn't manage.
#[test]
fn an_output_that_a_rebase_merged_is_written_again_also_if_the_lockfile_stayed() {
    let ci = Ci::new(2);
    let author = ci.machine();
    let manifest = format!("{MANIFEST}[[outputs]]\npath = \"{LUAU}\"\n");
    author.write("assets.toml", &manifest);
    ci.run(&author, &["sync", "--once"]).expect(0);
    push(&author, "outputs");
    let machine = ci.machine();
    std::fs::write(machine.path.join("ui/00.png"), png(78)).unwrap();
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", "a new picture"]);
    let lockfile = author.read("assets.lock.toml");
    author.write("assets.toml", &format!("{manifest}[existing]\n\"ui/000\" = 5\n"));
    ci.run(&author, &["sync", "--once"]).expect(0);
    assert_eq!(author.read("assets.lock.toml"), lockfile);
    push(&author, "an existing asset");
    ci.run(&machine, &ON_CHANGE).expect(0);
    let pushed = ci.hub.show(LUAU);
    assert!(pushed.contains("00.png") && pushed.contains("ui/000"), "{pushed}");
    assert_eq!(pushed, machine.read(LUAU));
    ci.run(&ci.machine(), &["outputs", "--check"]).expect(0);
}

/// A formatter in a hook undoes every later commit of the output: that would go on without end.
#[cfg(unix)]
#[test]
fn a_hook_that_undoes_what_is_committed_is_told_and_makes_no_empty_commits() {
    let ci = Ci::new(1);
    let author = ci.machine();
    author.write("assets.toml", &format!("{MANIFEST}[[outputs]]\npath = \"{LUAU}\"\n"));
    push(&author, "outputs");
    let machine = ci.machine();
    let hook = machine.path.join(".git/hooks/pre-commit");
    std::fs::write(
        &hook,
        format!("#!/bin/sh\nsed 's/\t/  /' {LUAU} >.git/new && cat .git/new >{LUAU} && git add {LUAU}\n"),
    )
    .unwrap();
    crate::support::system::make_executable(&hook);
    for _ in 0..2 {
        let ran = ci.run(&machine, &ON_CHANGE).expect(1);
        let told = format!("a hook changed what Macadam wrote back to what was committed before ({LUAU})");
        assert!(ran.stderr.contains(&told), "{}", ran.stderr);
        assert_eq!(machine.git(&["rev-list", "--count", "HEAD"]).trim(), "3");
    }
    std::fs::remove_file(hook).unwrap();
    ci.run(&machine, &ON_CHANGE).expect(0);
    ci.run(&ci.machine(), &["outputs", "--check"]).expect(0);
}

/// Both uploaded the same pictures. The second one's rebase merges the lockfiles, and so chooses one of
/// two assets for each: its outputs must not have the other one.
#[test]
fn outputs_follow_the_lockfile_that_a_rebase_merged() {
    let ci = Ci::new(3);
    let author = ci.machine();
    author.write("assets.toml", &format!("{MANIFEST}[[outputs]]\npath = \"{LUAU}\"\n"));
    push(&author, "outputs");
    let (one, two) = (ci.machine(), ci.machine());
    // Its upload came first and its push comes last.
    ci.run(&one, &["sync", "--once"]).expect(0);
    ci.run(&two, &ON_CHANGE).expect(0);
    let ran = ci.run(&one, &ON_CHANGE).expect(0);
    assert!(ran.stderr.contains("is written again, from the merged assets.lock.toml"), "{}", ran.stderr);
    let told =
        "another machine uploaded the same files at the same time: ui/0.png, ui/1.png, ui/2.png are on Roblox twice";
    assert!(ran.stderr.contains(told), "{}", ran.stderr);
    assert_eq!(one.git(&["status", "--porcelain", "--untracked-files=no"]), "");
    let fresh = ci.machine();
    ci.run(&fresh, &["outputs", "--check"]).expect(0);
    assert_eq!((fresh.read(LUAU), ci.creates()), (one.read(LUAU), 6));
    // Nothing is left to do, and nothing to tell again.
    for machine in [&fresh, &one, &two] {
        machine.git(&["pull", "-q"]);
        let ran = ci.run(machine, &ON_CHANGE).expect(0);
        assert!(!ran.stderr.contains("another machine") && !ran.stderr.contains("pushed"), "{}", ran.stderr);
    }
    assert_eq!(ci.creates(), 6);
}
