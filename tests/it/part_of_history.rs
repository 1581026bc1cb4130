//! Clones with a part of git's history: an asset whose entry an earlier merge or edit dropped from the
//! lockfile is not uploaded a second time there, and what is certainly new is uploaded.

use serde_json::{Value, json};

use super::ci::{Ci, push};
use super::commit_push::Clone;
use super::lost_entries::without;
use super::service::Service;
use super::support::{Project, Ran, png};

const ONCE: [&str; 2] = ["sync", "--once"];
const LOCKFILE: &str = "assets.lock.toml";

/// Two pictures were uploaded; a later commit dropped the entry of the first one, and another one
/// follows it.
fn dropped() -> Ci {
    without_entry("ui/0.png")
}

/// The same for the entry of this one.
fn without_entry(address: &str) -> Ci {
    let ci = Ci::new(2);
    let author = ci.machine();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "synced");
    author.write(LOCKFILE, &without(&author.read(LOCKFILE), address));
    push(&author, "dropped");
    author.write("readme.md", "a game\n");
    push(&author, "later");
    ci.hub_git(&["config", "uploadpack.allowFilter", "true"]);
    ci
}

/// The addresses on hold, with the code of the reason.
fn held(document: &Value) -> Vec<(&str, &str)> {
    let actions = document["actions"].as_array().unwrap().iter();
    let held = actions.filter(|action| action["action"] == "hold");
    held.map(|action| (action["address"].as_str().unwrap(), action["code"].as_str().unwrap())).collect()
}

fn add(machine: &Clone, name: &str, shade: u8) {
    std::fs::write(machine.path.join(name), png(shade)).unwrap();
}

#[test]
fn a_shallow_clone_uploads_nothing_that_an_earlier_lockfile_may_have() {
    let ci = dropped();
    let machine = ci.hub.clone_partly("pipeline", &["--depth=1"]);
    let plan = ci.json(&machine, &["plan"], 0);
    assert_eq!(held(&plan), [("ui/0.png", "history_unseen")], "{plan:#}");
    let ran = ci.run(&machine, &ONCE).expect(1);
    for word in ["ui/0.png", "this is a shallow clone", "`fetch-depth: 0`", "`git fetch --unshallow`"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    let status = ci.run(&machine, &["status"]).stdout;
    assert!(status.contains("shallow"), "{status}");
    assert_eq!(ci.creates(), 2);
    // The whole history has it.
    machine.git(&["fetch", "-q", "--unshallow"]);
    ci.run(&machine, &ONCE).expect(0);
    assert!(machine.read(LOCKFILE).contains("ui/0.png"));
    assert_eq!(ci.creates(), 2);
}

#[test]
fn a_renamed_file_in_a_shallow_clone_says_what_to_fetch() {
    let ci = Ci::new(2);
    let author = ci.machine();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "synced");
    author.git(&["mv", "ui/0.png", "ui/two.png"]);
    push(&author, "renamed");
    let machine = ci.hub.clone_partly("pipeline", &["--depth=1"]);
    let plan = ci.json(&machine, &["plan"], 0);
    assert!(held(&plan).contains(&("ui/two.png", "may_have_moved")), "{plan:#}");
    let holds = plan["actions"].as_array().unwrap().iter().filter(|action| action["action"] == "hold");
    for hold in holds {
        assert!(hold["hint"].as_str().unwrap().contains("`git fetch --unshallow`"), "{hold:#}");
    }
}

#[test]
fn a_shallow_clone_uploads_what_its_commits_show_to_be_new() {
    let ci = dropped();
    let author = ci.machine();
    ci.run(&author, &ONCE).expect(0);
    add(&author, "ui/new.png", 20);
    // A key of the manifest is new if it was not there, whatever its file is called.
    add(&author, "sword.png", 21);
    let manifest = author.read("assets.toml");
    author.write("assets.toml", &format!("{manifest}\n[assets.sword]\npath = \"sword.png\"\n"));
    push(&author, "new files");
    // Nothing tells there whether it is new.
    let pipeline = ci.hub.clone_partly("pipeline", &["--depth=1"]);
    assert_eq!(held(&ci.json(&pipeline, &ONCE, 1)).len(), 2);
    assert_eq!(ci.creates(), 2);
    let deeper = ci.hub.clone_partly("deeper", &["--depth=2"]);
    // Nobody has committed this one.
    add(&deeper, "ui/newer.png", 22);
    assert_eq!(held(&ci.json(&deeper, &ONCE, 0)), []);
    assert_eq!(ci.creates(), 5);
    // An edit is new as well, a build that git ignores may not be.
    deeper.write(".gitignore", "built/\n");
    deeper.write(
        "assets.toml",
        &format!("{manifest}\n[assets.sword]\npath = \"sword.png\"\n\n[globs.built]\npath = \"built/*.png\"\n"),
    );
    add(&deeper, "ui/1.png", 23);
    std::fs::create_dir(deeper.path.join("built")).unwrap();
    add(&deeper, "built/x.png", 24);
    assert_eq!(held(&ci.json(&deeper, &ONCE, 1)), [("built/x.png", "history_unseen")]);
    assert_eq!(ci.creates(), 6);
}

#[test]
fn known_bytes_are_not_uploaded_again_under_another_name() {
    let ci = dropped();
    for (name, part) in [("shallow", "--depth=1"), ("partial", "--filter=blob:none")] {
        let machine = ci.hub.clone_partly(name, &[part]);
        machine.git(&["mv", "ui/0.png", "ui/moved.png"]);
        machine.git(&["commit", "-q", "-m", "moved"]);
        // The same without git.
        std::fs::copy(machine.path.join("ui/moved.png"), machine.path.join("ui/copy.png")).unwrap();
        let document = ci.json(&machine, &ONCE, 1);
        let addresses: Vec<&str> = held(&document).into_iter().map(|(address, _)| address).collect();
        assert_eq!(addresses, ["ui/copy.png", "ui/moved.png"], "{name}: {document:#}");
        assert_eq!(ci.creates(), 2, "{name}");
    }
    let whole = ci.hub.clone("whole");
    whole.git(&["mv", "ui/0.png", "ui/moved.png"]);
    ci.run(&whole, &ONCE).expect(0);
    assert!(whole.read(LOCKFILE).contains("ui/moved.png"));
    assert_eq!(ci.creates(), 2);
}

#[test]
fn a_copy_over_another_file_does_not_upload_known_bytes_again() {
    let ci = without_entry("ui/1.png");
    let machine = ci.hub.clone_partly("pipeline", &["--depth=1"]);
    std::fs::copy(machine.path.join("ui/1.png"), machine.path.join("ui/0.png")).unwrap();
    let document = ci.json(&machine, &ONCE, 1);
    let addresses: Vec<&str> = held(&document).into_iter().map(|(address, _)| address).collect();
    assert_eq!(addresses, ["ui/0.png", "ui/1.png"], "{document:#}");
    assert_eq!(ci.creates(), 2);
}

#[test]
fn a_person_who_vouches_for_the_lockfile_uploads_from_a_shallow_clone() {
    let ci = dropped();
    let machine = ci.hub.clone_partly("pipeline", &["--depth=1"]);
    ci.run(&machine, &["sync", "--once", "--trust-lockfile"]).expect(0);
    assert_eq!(ci.creates(), 3);
}

/// A picture whose first asset the lockfile lost, and its first content, which the last commit but one
/// has again.
fn lost_revision() -> (Ci, Vec<u8>) {
    lost_revision_of(Ci::new(2), |_| {})
}

/// The same after some preparation of the checkout.
fn lost_revision_of(ci: Ci, prepare: impl FnOnce(&Clone)) -> (Ci, Vec<u8>) {
    let author = ci.machine();
    prepare(&author);
    let picture = std::fs::read(author.path.join("ui/1.png")).unwrap();
    ci.run(&author, &ONCE).expect(0);
    let first = author.read(LOCKFILE);
    add(&author, "ui/1.png", 30);
    ci.run(&author, &ONCE).expect(0);
    let is_first = |line: &&str| {
        first.contains(line) && line.contains("content_hash") && first.find(line) > first.find("ui/1.png")
    };
    let edited = author.read(LOCKFILE);
    let lost = edited.lines().find(is_first).unwrap();
    author.write(LOCKFILE, &edited.replace(&format!("{lost}\n"), ""));
    std::fs::write(author.path.join("ui/1.png"), &picture).unwrap();
    push(&author, "the revision is lost");
    add(&author, "ui/1.png", 30);
    push(&author, "edited again");
    assert_eq!(ci.creates(), 3);
    (ci, picture)
}

/// A picture is what it was at the earliest commit of the clone again: an earlier lockfile may have an
/// asset for that.
#[test]
fn an_edit_back_to_what_the_earliest_commit_has_waits_in_a_shallow_clone() {
    let (ci, picture) = lost_revision();
    check_edit_back(&ci, &picture, &["--depth=2"]);
}

/// Git keeps such a file as something else than its bytes, as with Git LFS.
#[cfg(unix)]
#[test]
fn an_edit_back_waits_in_a_shallow_clone_whatever_a_filter_makes_of_the_file() {
    const CLEAN: &str = "filter.text.clean=base64";
    const SMUDGE: &str = "filter.text.smudge=base64 -d";
    let (ci, picture) = lost_revision_of(Ci::new(2), |author| {
        for (key, value) in [CLEAN, SMUDGE].map(|setting| setting.split_once('=').unwrap()) {
            author.git(&["config", key, value]);
        }
        author.write(".gitattributes", "ui/1.png filter=text\n");
    });
    check_edit_back(&ci, &picture, &["--depth=2", "--config", CLEAN, "--config", SMUDGE]);
}

/// Writes the picture of the earliest commit into such a clone, where it waits.
#[track_caller]
fn check_edit_back(ci: &Ci, picture: &[u8], clone: &[&str]) {
    // Not in CI: a run after one with nothing to do looks at what changed alone.
    let machine = ci.hub.clone_partly("build-box", clone);
    let sync = || Ran::of(ci.command(&machine, &ONCE).output().unwrap());
    sync().expect(0);
    std::thread::sleep(std::time::Duration::from_millis(300)); // so that no file is too recent for its times to tell
    sync().expect(0);
    std::fs::write(machine.path.join("ui/1.png"), picture).unwrap();
    let ran = sync().expect(1);
    assert!(ran.stdout.contains("ui/1.png") && ran.stdout.contains("this is a shallow clone"), "{}", ran.stdout);
    assert_eq!(ci.creates(), 3);
}

/// An earlier commit may have had the lockfile.
#[test]
fn the_first_sync_of_a_shallow_clone_waits_for_the_history_or_a_person() {
    let ci = Ci::new(12);
    let machine = ci.hub.clone_partly("pipeline", &["--depth=1"]);
    let ran = ci.run(&machine, &ONCE).expect(1);
    for word in ["this is a shallow clone", "`git fetch --unshallow`", "`fetch-depth: 0`", "--accept-new-lockfile"] {
        assert!(ran.stdout.contains(word), "{word}: {}", ran.stdout);
    }
    assert!(!machine.path.join(LOCKFILE).exists());
    assert_eq!(ci.creates(), 0);
    ci.run(&machine, &["sync", "--once", "--accept-new-lockfile"]).expect(0);
    assert_eq!(ci.creates(), 12);
    push(&machine, "synced");
    add(&machine, "ui/new.png", 20);
    assert_eq!(ci.json(&machine, &ONCE, 0)["in_sync"], json!(true));
    assert_eq!(ci.creates(), 13);
}

/// It has all commits, and of the lockfile only the newest content.
#[test]
fn a_partial_clone_uploads_nothing_that_an_earlier_lockfile_may_have() {
    let ci = dropped();
    let machine = ci.hub.clone_partly("partial", &["--filter=blob:none"]);
    add(&machine, "ui/new.png", 20);
    let ran = ci.run(&machine, &ONCE).expect(1);
    assert!(ran.stdout.contains("ui/0.png") && ran.stdout.contains("this is a partial clone"), "{}", ran.stdout);
    assert_eq!(ci.creates(), 3);
    let way_on = format!("git log --full-history -m -p -- {LOCKFILE}");
    assert!(ran.stdout.contains(&format!("`{way_on}`")), "{}", ran.stdout);
    machine.git(&way_on.split(' ').skip(1).collect::<Vec<_>>());
    ci.run(&machine, &ONCE).expect(0);
    assert!(machine.read(LOCKFILE).contains("ui/0.png"));
    assert_eq!(ci.creates(), 3);
}

/// The configuration forgets a remote, and a clone of the clone never had it.
#[test]
fn a_partial_clone_without_its_remote_and_a_clone_of_it_upload_nothing_that_an_earlier_lockfile_may_have() {
    let ci = dropped();
    let check = |machine: &Clone| {
        let document = ci.json(machine, &ONCE, 1);
        assert_eq!(held(&document), [("ui/0.png", "history_unseen")], "{document:#}");
        assert_eq!(ci.creates(), 2);
    };
    let machine = ci.hub.clone_partly("partial", &["--filter=blob:none"]);
    for how in ["--shared", "--local"] {
        machine.git(&["clone", "-q", how, ".", &format!("../of-{how}")]);
        check(&Clone { path: machine.path.with_file_name(format!("of-{how}")) });
    }
    machine.git(&["remote", "remove", "origin"]);
    check(&machine);
}

/// Git shows a history that somebody replaced here in place of the one that was committed.
#[test]
fn a_history_that_was_cut_in_one_clone_is_whole() {
    let ci = dropped();
    for how in ["replaced", "grafted"] {
        let machine = ci.hub.clone(how);
        if how == "replaced" {
            machine.git(&["replace", "--graft", "HEAD~1"]);
        } else {
            std::fs::create_dir_all(machine.path.join(".git/info")).unwrap();
            machine.write(".git/info/grafts", &machine.git(&["rev-parse", "HEAD~1"]));
        }
        ci.run(&machine, &ONCE).expect(0);
        assert!(machine.read(LOCKFILE).contains("ui/0.png"), "{how}");
        assert_eq!(ci.creates(), 2, "{how}");
    }
}

/// What a filter keeps of one name is not what git keeps of the same bytes under another.
#[cfg(unix)]
#[test]
fn known_bytes_wait_in_a_shallow_clone_where_a_filter_kept_them() {
    const CLEAN: &str = "filter.text.clean=base64";
    const SMUDGE: &str = "filter.text.smudge=base64 -d";
    for (place, rule, other) in [("ui/0.png", "filter=text", ""), ("ui/*.png", "filter=text", "# none\n")] {
        let ci = Ci::new(2);
        let author = ci.machine();
        for (key, value) in [CLEAN, SMUDGE].map(|setting| setting.split_once('=').unwrap()) {
            author.git(&["config", key, value]);
        }
        author.write(".gitattributes", &format!("{place} {rule}\n"));
        ci.run(&author, &ONCE).expect(0);
        push(&author, "synced");
        author.write(LOCKFILE, &without(&author.read(LOCKFILE), "ui/0.png"));
        push(&author, "dropped");
        let machine = ci.hub.clone_partly("pipeline", &["--depth=1", "--config", CLEAN, "--config", SMUDGE]);
        if !other.is_empty() {
            machine.write(".gitattributes", other);
        }
        machine.git(&["mv", "ui/0.png", "ui/moved.png"]);
        assert_eq!(held(&ci.json(&machine, &ONCE, 1)), [("ui/moved.png", "history_unseen")], "{place}");
        assert_eq!(ci.creates(), 2, "{place}");
    }
}

/// The repository may come from a stranger.
#[cfg(unix)]
#[test]
fn a_plan_in_a_shallow_clone_runs_no_program_that_the_repository_names() {
    let ci = dropped();
    let author = ci.machine();
    author.write(".gitattributes", "* filter=evil diff=evil\n");
    push(&author, "attributes");
    let machine = ci.hub.clone_partly("pipeline", &["--depth=1"]);
    let mark = machine.path.join("ran");
    let command = format!("touch '{}'; cat", mark.display());
    for key in ["filter.evil.clean", "filter.evil.process", "diff.evil.textconv", "diff.evil.command", "diff.external"]
    {
        machine.git(&["config", key, &command]);
    }
    // The same bytes at another time.
    std::fs::write(machine.path.join("ui/0.png"), std::fs::read(machine.path.join("ui/0.png")).unwrap()).unwrap();
    std::fs::write(machine.path.join("ui/1.png"), png(40)).unwrap();
    machine.write(".gitattributes", "* filter=evil\n");
    ci.json(&machine, &["plan"], 0);
    assert!(!mark.exists());
}

/// A clone with so many commits, for a service.
fn clone_at(ci: &Ci, depth: &str) -> Project {
    let project = Project::new("").at(&ci.remote.url());
    project.remove("assets.toml");
    let hub = format!("file://{}", ci.hub.folder.path().join("hub.git").display());
    project.git(&["clone", "-q", depth, &hub, "."]);
    project
}

#[test]
fn a_service_in_a_shallow_clone_holds_an_edit_back() {
    let (ci, picture) = lost_revision();
    let project = clone_at(&ci, "--depth=2");
    let service = Service::start(&project, &[]);
    service.says("all 2 assets are up to date");
    project.write("ui/1.png", picture);
    service.says("on hold: this is a shallow clone");
    service.end();
    assert_eq!(ci.creates(), 3);
}

#[test]
fn a_service_in_a_shallow_clone_names_what_waits() {
    let ci = dropped();
    let project = clone_at(&ci, "--depth=1");
    let service = Service::start(&project, &[]);
    service.says("on hold: this is a shallow clone");
    let log = service.log();
    assert!(log.contains("address=ui/0.png") && log.contains("`git fetch --unshallow`"), "{log}");
    // What is made from now on is new.
    project.write("ui/new.png", png(20));
    service.until_synced("ui/new.png");
    assert_eq!(ci.creates(), 3);
    project.git(&["fetch", "-q", "--unshallow"]);
    project.write("ui/newer.png", png(21));
    service.until_synced("ui/0.png");
    service.until_synced("ui/newer.png");
    service.end();
    assert_eq!(ci.creates(), 4);
}

/// The lockfile has no times: git has.
#[test]
fn history_names_the_commit_that_brought_a_revision_of_another_machine() {
    let ci = Ci::new(2);
    let author = ci.machine();
    ci.run(&author, &ONCE).expect(0);
    push(&author, "first sync");
    add(&author, "ui/0.png", 9);
    ci.run(&author, &ONCE).expect(0);
    push(&author, "second sync");
    author.write("readme.md", "a game\n");
    push(&author, "later");
    let commit = |at: &str| author.git(&["rev-parse", at]).trim().to_owned();
    let machine = ci.machine();
    let revisions = ci.json(&machine, &["history", "ui/0.png"], 0)["revisions"].clone();
    let named = |at: usize| revisions[at]["lockfile_commit"]["commit"].as_str().unwrap().to_owned();
    assert_eq!([named(0), named(1)], [commit("HEAD~2"), commit("HEAD~1")], "{revisions:#}");
    let time = author.git(&["log", "-1", "--format=%ct", "HEAD~1"]).trim().parse::<i64>().unwrap();
    let at = revisions[1]["lockfile_commit"]["at"].as_str().unwrap().parse::<jiff::Timestamp>().unwrap();
    assert_eq!(at.as_second(), time);
    let told = ci.run(&machine, &["history", "ui/0.png"]).expect(0).stdout;
    assert!(told.contains(&format!("UTC  commit {}", &commit("HEAD~1")[..7])), "{told}");
    assert!(told.contains("the one that brought it into the lockfile") && !told.contains("`-`"), "{told}");
    // The history of a large lockfile isn't read.
    let text = machine.read("assets.lock.toml");
    machine.write("assets.lock.toml", &text.replacen("\n\n", &format!("\n# {}\n\n", "-".repeat(1 << 20)), 1));
    let told = ci.run(&machine, &["history", "ui/0.png"]).expect(0).stdout;
    assert!(told.contains("; `git log -S <ASSET ID> -- assets.lock.toml` shows the commit that brought it"), "{told}");
    // The end of a shallow clone brought nothing.
    let shallow = ci.hub.clone_partly("shallow", &["--depth=2"]);
    let revisions = ci.json(&shallow, &["history", "ui/0.png"], 0)["revisions"].clone();
    let all = revisions.as_array().unwrap().iter();
    assert!(all.clone().all(|revision| revision["lockfile_commit"].is_null()), "{revisions:#}");
    assert!(ci.run(&shallow, &["history", "ui/0.png"]).stdout.contains("`-`: another machine uploaded it"));
    // Who uploaded it has its own time.
    let own = ci.json(&author, &["history", "ui/0.png"], 0)["revisions"].clone();
    assert!(own[0]["lockfile_commit"].is_null() && own[0]["created_at"].is_string(), "{own:#}");
}
