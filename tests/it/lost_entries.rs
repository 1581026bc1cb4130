//! A lockfile that lost single entries: Macadam restores them from git or the state, and uploads no
//! asset twice.

use super::ci::{Ci, push};
use super::commit_push::Clone;
use super::support::{Project, Remote, png};

const ONCE: [&str; 2] = ["sync", "--once"];
const LOCKFILE: &str = "assets.lock.toml";

/// A lockfile without the entry of an address.
pub fn without(lockfile: &str, address: &str) -> String {
    let start = lockfile.find(&format!("[assets.\"{address}\"]")).unwrap();
    let rest = &lockfile[start + 1..];
    // The last line stays.
    let end = rest.find("\n[").or_else(|| rest.find("\n#")).map_or(lockfile.len(), |at| start + 1 + at + 1);
    format!("{}{}", &lockfile[..start], &lockfile[end..])
}

/// Two pictures were uploaded and pushed; a machine that knows only what is in git.
fn synced() -> (Ci, Clone) {
    let ci = Ci::new(2);
    let author = ci.machine();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "synced");
    let machine = ci.machine();
    (ci, machine)
}

#[test]
fn an_entry_that_an_edit_dropped_is_taken_from_git() {
    let (ci, machine) = synced();
    let whole = machine.read(LOCKFILE);
    let edited = without(&whole, "ui/0.png");
    assert!(edited.contains("ui/1.png") && edited.len() < whole.len(), "{edited}");
    machine.write(LOCKFILE, &edited);
    // Nothing is written yet, and nothing is to be done.
    let plan = ci.json(&machine, &["plan"], 0);
    assert_eq!(plan["actions"].as_array().map(Vec::len), Some(0), "{plan:#}");
    let told = ci.run(&machine, &["plan"]).expect(0).stdout;
    assert!(told.contains("assets.lock.toml would change: it lost what git still has of 1 asset: ui/0.png."), "{told}");
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!((ci.creates(), machine.read(LOCKFILE)), (2, whole));
}

#[test]
fn an_entry_that_a_merge_dropped_is_taken_from_what_was_merged() {
    let (ci, machine) = synced();
    // Two branches add a picture each; the merge takes one side's lockfile.
    for (branch, shade) in [("left", 10), ("right", 11)] {
        machine.git(&["checkout", "-q", "-B", branch, "origin/main"]);
        std::fs::write(machine.path.join(format!("ui/{branch}.png")), png(shade)).unwrap();
        let other = ci.machine();
        std::fs::write(other.path.join(format!("ui/{branch}.png")), png(shade)).unwrap();
        ci.run(&other, &ONCE).expect(0);
        machine.write(LOCKFILE, &other.read(LOCKFILE));
        machine.git(&["add", "--all"]);
        machine.git(&["commit", "-q", "-m", branch]);
    }
    machine.git(&["merge", "-q", "--no-edit", "-X", "ours", "left"]);
    let merged = machine.read(LOCKFILE);
    if merged.contains("ui/left.png") {
        machine.write(LOCKFILE, &without(&merged, "ui/left.png"));
        machine.git(&["commit", "-q", "--all", "--amend", "--no-edit"]);
    }
    assert_eq!(ci.creates(), 4);
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 4);
    let lockfile = machine.read(LOCKFILE);
    assert!(["ui/left.png", "ui/right.png", "ui/0.png"].iter().all(|name| lockfile.contains(name)), "{lockfile}");
}

/// Also with a state that knows them: nothing of another branch comes back, and nothing is held.
#[test]
fn an_entry_that_an_older_branch_never_had_is_not_taken_back() {
    let (ci, machine) = synced();
    ci.run(&machine, &ONCE).expect(0);
    machine.git(&["branch", "older"]);
    let older = machine.read(LOCKFILE);
    for (name, shade) in [("new", 20), ("kept", 21)] {
        std::fs::write(machine.path.join(format!("ui/{name}.png")), png(shade)).unwrap();
    }
    ci.run(&machine, &ONCE).expect(0);
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", "two more"]);
    machine.git(&["checkout", "-q", "older"]);
    assert_eq!(ci.json(&machine, &ONCE, 0)["actions"].as_array().map(Vec::len), Some(0));
    assert_eq!(machine.read(LOCKFILE), older);
    // A file that is there with the same bytes is the asset that is known.
    std::fs::write(machine.path.join("ui/kept.png"), png(21)).unwrap();
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 4);
    let lockfile = machine.read(LOCKFILE);
    assert!(lockfile.contains("ui/kept.png") && !lockfile.contains("ui/new.png"), "{lockfile}");
}

#[test]
fn a_renamed_entry_is_not_taken_back_under_its_old_name() {
    let (ci, machine) = synced();
    ci.run(&machine, &ONCE).expect(0);
    std::fs::rename(machine.path.join("ui/0.png"), machine.path.join("ui/moved.png")).unwrap();
    ci.run(&machine, &ONCE).expect(0);
    let renamed = machine.read(LOCKFILE);
    std::fs::remove_dir_all(machine.path.join(".git/macadam")).unwrap();
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!((ci.creates(), machine.read(LOCKFILE)), (2, renamed.clone()));
    assert!(!renamed.contains("ui/0.png\"]"), "{renamed}");
}

/// The rename was never committed by itself, so only the tombstone of the new name tells of it.
#[test]
fn what_was_renamed_and_then_forgotten_is_not_taken_back_under_its_old_name() {
    let (ci, machine) = synced();
    ci.run(&machine, &ONCE).expect(0);
    std::fs::rename(machine.path.join("ui/0.png"), machine.path.join("ui/moved.png")).unwrap();
    ci.run(&machine, &ONCE).expect(0);
    std::fs::remove_file(machine.path.join("ui/moved.png")).unwrap();
    ci.run(&machine, &["forget", "ui/moved.png"]).expect(0);
    push(&machine, "forgotten");
    let forgotten = machine.read(LOCKFILE);
    assert!(forgotten.contains("[forgotten.\"ui/moved.png\"]"), "{forgotten}");
    let fresh = ci.machine();
    ci.run(&fresh, &ONCE).expect(0);
    assert_eq!((ci.creates(), fresh.read(LOCKFILE)), (2, forgotten));
}

/// Without git the state alone remembers.
#[test]
fn an_entry_that_only_the_state_has_comes_back() {
    let remote = Remote::start();
    let project = Project::new(super::ci::MANIFEST).at(&remote.url());
    for shade in 0..2 {
        project.write(&format!("ui/{shade}.png"), png(shade));
    }
    project.sync();
    let whole = project.read(LOCKFILE);
    let edited = without(&whole, "ui/0.png");
    project.write(LOCKFILE, &edited);
    project.sync();
    assert_eq!((remote.assets().len(), project.read(LOCKFILE)), (2, whole));
    // Its file changed as well: the new asset takes the place of the one that is known.
    project.write(LOCKFILE, &edited);
    project.write("ui/0.png", png(9));
    assert_eq!(project.sync()["actions"][0]["action"], "replace");
    let (_, history) = project.json(&["history", "ui/0.png"]);
    assert_eq!(history["revisions"].as_array().map(Vec::len), Some(2), "{history:#}");
}

#[test]
fn an_earlier_lockfile_that_was_put_in_place_of_the_one_in_git_uploads_nothing_again() {
    let (ci, author) = synced();
    std::fs::write(author.path.join("ui/0.png"), png(77)).unwrap();
    std::fs::write(author.path.join("ui/2.png"), png(78)).unwrap();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "edited");
    let (whole, made) = (author.read(LOCKFILE), ci.creates());
    for by_git in [true, false] {
        let machine = ci.machine();
        let earlier = machine.git(&["show", &format!("HEAD~1:{LOCKFILE}")]);
        match by_git {
            true => drop(machine.git(&["checkout", "-q", "HEAD~1", "--", LOCKFILE])),
            false => machine.write(LOCKFILE, &earlier),
        }
        assert_ne!(machine.read(LOCKFILE), whole);
        let plan = ci.json(&machine, &["plan"], 0);
        assert_eq!(plan["actions"].as_array().map(Vec::len), Some(0), "by git: {by_git}: {plan:#}");
        ci.run(&machine, &ONCE).expect(0);
        assert_eq!((ci.creates(), machine.read(LOCKFILE)), (made, whole.clone()), "by git: {by_git}");
        std::fs::remove_dir_all(&machine.path).unwrap();
    }
}

/// As after the advice about a deleted lockfile, with the version before the deletion or an older one.
#[test]
fn an_entry_is_taken_back_from_before_a_deletion_that_was_undone() {
    let (ci, author) = synced();
    std::fs::write(author.path.join("ui/2.png"), png(78)).unwrap();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "more");
    author.git(&["rm", "-q", LOCKFILE]);
    push(&author, "deleted");
    for is_committed in [false, true] {
        let machine = ci.machine();
        machine.git(&["checkout", "-q", "HEAD~2", "--", LOCKFILE]);
        assert!(!machine.read(LOCKFILE).contains("ui/2.png"));
        if is_committed {
            machine.git(&["commit", "-q", "-m", "back"]);
        }
        ci.run(&machine, &ONCE).expect(0);
        assert_eq!(ci.creates(), 3, "committed: {is_committed}");
        assert!(machine.read(LOCKFILE).contains("ui/2.png"), "committed: {is_committed}");
        std::fs::remove_dir_all(&machine.path).unwrap();
    }
}

#[test]
fn a_lost_lockfile_that_is_written_anew_has_what_is_absent_just_then() {
    let (ci, machine) = synced();
    ci.run(&machine, &ONCE).expect(0);
    machine.git(&["rm", "-q", LOCKFILE]);
    machine.git(&["commit", "-q", "-m", "lost"]);
    std::fs::rename(machine.path.join("ui/1.png"), machine.path.join("away.png")).unwrap();
    ci.run(&machine, &["sync", "--once", "--accept-new-lockfile"]);
    let lockfile = machine.read(LOCKFILE);
    assert!(lockfile.contains("ui/0.png") && lockfile.contains("ui/1.png"), "{lockfile}");
    // A machine that has nothing but this one.
    std::fs::remove_dir_all(machine.path.join(".git/macadam")).unwrap();
    std::fs::rename(machine.path.join("away.png"), machine.path.join("ui/1.png")).unwrap();
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", "anew"]);
    ci.run(&machine, &ONCE).expect(0);
    assert_eq!(ci.creates(), 2);
}
