//! Merges, rebases and reverts that take one side's lockfile whole: what git's history of the
//! lockfile still has is not uploaded again, with and without a state.

use super::ci::{Ci, push};
use super::commit_push::Clone;
use super::support::png;

const ONCE: [&str; 2] = ["sync", "--once"];
const LOCKFILE: &str = "assets.lock.toml";

/// Two machines, of which one has added and pushed `ui/theirs.png`, and the other one `ui/ours.png`
/// in a commit of its own. Four assets are made.
fn diverged() -> (Ci, Clone) {
    let ci = Ci::new(2);
    let author = ci.machine();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "synced");
    let machine = ci.machine();
    add(&ci, &author, "theirs", 10);
    push(&author, "theirs");
    add(&ci, &machine, "ours", 11);
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", "ours"]);
    machine.git(&["fetch", "-q"]);
    assert_eq!(ci.creates(), 4);
    (ci, machine)
}

fn add(ci: &Ci, machine: &Clone, name: &str, shade: u8) {
    std::fs::write(machine.path.join(format!("ui/{name}.png")), png(shade)).unwrap();
    ci.run(machine, &ONCE).expect(0);
}

fn has(machine: &Clone, name: &str) -> bool {
    machine.read(LOCKFILE).contains(&format!("[assets.\"ui/{name}.png\"]"))
}

/// Git fails on a conflict, and the lockfile is taken from one side.
fn resolve(machine: &Clone, command: &[&str], side: &str) {
    let ran = super::support::git::isolated("git", &machine.path).args(command).output().unwrap();
    assert!(!ran.status.success(), "no conflict");
    machine.git(&["checkout", "-q", side, "--", LOCKFILE]);
    machine.git(&["add", "--all"]);
}

/// Neither the machine as it is nor a fresh clone makes anything, and both lockfiles have it all.
#[track_caller]
fn makes_nothing_more(ci: &Ci, machine: &Clone, names: &[&str]) {
    let made = ci.creates();
    machine.git(&["push", "-q", "--force", "origin", "HEAD:main"]);
    let fresh = ci.machine();
    for machine in [&fresh, machine] {
        let plan = ci.json(machine, &["plan"], 0);
        assert_eq!(plan["actions"].as_array().map(Vec::len), Some(0), "{plan:#}");
        ci.run(machine, &ONCE).expect(0);
        assert_eq!(ci.creates(), made);
        assert!(names.iter().all(|name| has(machine, name)), "{}", machine.read(LOCKFILE));
        let again = machine.read(LOCKFILE);
        ci.run(machine, &ONCE).expect(0);
        assert_eq!(machine.read(LOCKFILE), again, "it is settled");
    }
}

#[test]
fn a_merge_that_keeps_our_lockfile_uploads_nothing_again() {
    let (ci, machine) = diverged();
    resolve(&machine, &["merge", "--no-edit", "origin/main"], "--ours");
    machine.git(&["commit", "-q", "-m", "merged"]);
    assert!(!has(&machine, "theirs"), "the lockfile is the one that this machine knows");
    makes_nothing_more(&ci, &machine, &["0", "1", "ours", "theirs"]);
}

#[test]
fn a_merge_that_keeps_their_lockfile_uploads_nothing_again() {
    let (ci, machine) = diverged();
    std::fs::remove_dir_all(machine.path.join(".git/macadam")).unwrap();
    resolve(&machine, &["merge", "--no-edit", "origin/main"], "--theirs");
    machine.git(&["commit", "-q", "-m", "merged"]);
    assert!(!has(&machine, "ours"));
    makes_nothing_more(&ci, &machine, &["0", "1", "ours", "theirs"]);
}

/// No commit is a merge here: the upstream's lockfile is an earlier one of the same branch.
#[test]
fn a_rebase_that_keeps_our_lockfile_uploads_nothing_again() {
    let (ci, machine) = diverged();
    resolve(&machine, &["rebase", "-q", "origin/main"], "--theirs");
    machine.git(&["-c", "core.editor=true", "rebase", "--continue"]);
    assert!(has(&machine, "ours") && !has(&machine, "theirs"), "{}", machine.read(LOCKFILE));
    makes_nothing_more(&ci, &machine, &["0", "1", "ours", "theirs"]);
}

/// Long after: more commits, of the lockfile and of other files.
#[test]
fn what_an_earlier_merge_dropped_is_found_under_later_commits() {
    let (ci, machine) = diverged();
    machine.git(&["merge", "-q", "--no-edit", "-X", "ours", "origin/main"]);
    machine.git(&["rm", "-q", "ui/theirs.png"]);
    machine.git(&["commit", "-q", "-m", "not needed just now"]);
    add(&ci, &machine, "later", 12);
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", "later"]);
    machine.git(&["checkout", "-q", "origin/main", "--", "ui/theirs.png"]);
    machine.git(&["commit", "-q", "-m", "needed again"]);
    makes_nothing_more(&ci, &machine, &["ours", "theirs", "later"]);
}

/// The lockfile goes back with the file, and comes back as removed.
#[test]
fn a_revert_of_the_commit_that_added_an_asset_forgets_nothing() {
    let (ci, machine) = diverged();
    machine.git(&["revert", "--no-edit", "HEAD"]);
    assert!(!has(&machine, "ours"));
    makes_nothing_more(&ci, &machine, &["0", "1", "ours"]);
    assert_eq!(machine.read(LOCKFILE).matches("removed = true").count(), 1);
    machine.git(&["checkout", "-q", "HEAD~1", "--", "ui/ours.png"]);
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", "back"]);
    makes_nothing_more(&ci, &machine, &["0", "1", "ours"]);
    assert!(!machine.read(LOCKFILE).contains("removed = true"));
}

#[test]
fn what_was_forgotten_is_not_found_again_in_the_history() {
    let (ci, machine) = diverged();
    ci.run(&machine, &["forget", "--yes", "ui/ours.png"]).expect(0);
    machine.git(&["rm", "-q", "ui/ours.png"]);
    machine.git(&["add", "--all"]);
    machine.git(&["commit", "-q", "-m", "forgotten"]);
    machine.git(&["push", "-q", "--force", "origin", "HEAD:main"]);
    for machine in [&ci.machine(), &machine] {
        ci.run(machine, &ONCE).expect(0);
        assert!(!has(machine, "ours"), "{}", machine.read(LOCKFILE));
        assert!(machine.read(LOCKFILE).contains("[forgotten.\"ui/ours.png\"]"), "{}", machine.read(LOCKFILE));
    }
    // Who reverts a mistaken `forget` has the asset again.
    machine.git(&["revert", "--no-edit", "HEAD"]);
    machine.git(&["push", "-q", "--force", "origin", "HEAD:main"]);
    let fresh = ci.machine();
    ci.run(&fresh, &ONCE).expect(0);
    assert!(has(&fresh, "ours"), "{}", fresh.read(LOCKFILE));
    assert_eq!(ci.creates(), 4);
}

/// A pull request planted an entry and took it out again, so that no review shows a line of it.
#[test]
fn what_a_merged_branch_added_and_took_out_again_is_not_found() {
    let (ci, machine) = diverged();
    machine.git(&["reset", "-q", "--hard", "origin/main"]);
    machine.git(&["switch", "-q", "-c", "request"]);
    let (clean, planted) =
        (machine.read(LOCKFILE), "[assets.\"ui/theirs2.png\"]\ntype = \"Image\"\ncreator = \"user:1\"\n");
    let planted =
        format!("{planted}revisions = [\n  {{ asset_id = 4242, content_hash = \"{}\" }},\n]\n\n# end", "ab".repeat(32));
    let tombstone = format!("[forgotten.\"ui/0.png\"]\n1 = 1\n\n{planted}");
    for (text, message) in [(clean.replacen("# end", &tombstone, 1), "plant"), (clean, "clean")] {
        machine.write(LOCKFILE, &text);
        machine.git(&["commit", "-q", "-a", "-m", message]);
    }
    machine.git(&["switch", "-q", "main"]);
    machine.git(&["reset", "-q", "--hard", "origin/main"]);
    machine.git(&["merge", "-q", "--no-ff", "-m", "merged", "request"]);
    machine.git(&["push", "-q", "--force", "origin", "HEAD:main"]);
    for machine in [&ci.machine(), &machine] {
        ci.run(machine, &ONCE).expect(0);
        let lockfile = machine.read(LOCKFILE);
        assert!(!lockfile.contains("4242") && !lockfile.contains("forgotten"), "{lockfile}");
    }
}

/// A copy of a project that starts with assets of its own.
#[test]
fn a_new_lockfile_that_a_person_agreed_to_stays_new() {
    let (ci, machine) = diverged();
    std::fs::remove_dir_all(machine.path.join(".git/macadam")).unwrap();
    let old = machine.read(LOCKFILE);
    std::fs::remove_file(machine.path.join(LOCKFILE)).unwrap();
    ci.run(&machine, &["sync", "--once", "--accept-new-lockfile"]).expect(0);
    assert_eq!(ci.creates(), 7);
    machine.git(&["commit", "-q", "--all", "-m", "a new one"]);
    machine.git(&["commit", "-q", "--allow-empty", "-m", "more"]);
    makes_nothing_more(&ci, &machine, &["0", "1", "ours"]);
    let id = old.split("asset_id = ").nth(1).and_then(|rest| rest.split(',').next()).unwrap();
    assert!(!machine.read(LOCKFILE).contains(id), "{}", machine.read(LOCKFILE));
}

/// What an older lockfile in a person's commit lacks is known to the state and to git, whether its
/// file is there or not.
#[test]
fn an_older_lockfile_that_somebody_commits_loses_no_address() {
    let (ci, machine) = diverged();
    machine.git(&["rm", "-q", "ui/ours.png"]);
    machine.git(&["checkout", "-q", "HEAD~1", "--", LOCKFILE]);
    machine.git(&["commit", "-q", "-m", "an older one"]);
    assert!(!has(&machine, "ours"));
    makes_nothing_more(&ci, &machine, &["0", "1", "ours"]);
}
