//! A commit between two runs: the second one loads and plans only what changed, wherever a run that
//! looks at everything would say and do the same.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use super::changed::{ONLY_WHAT_CHANGED, forget_the_proof, looks, state, sync, written};
use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

/// A synced project in git, with the proof that there is nothing to do.
fn proved() -> (Remote, Project) {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.git(&["init", "-q", "-b", "main"]);
    for number in 0..3_u8 {
        project.write(&format!("ui/{number}.png"), png(number));
        project.write(&format!("models/in/{number}.rbxmx"), rbxmx(&number.to_string()));
    }
    project.write("code/game.luau", "return 1");
    commit(&project, "first");
    sync(&project);
    commit(&project, "synced");
    // Times that are too recent prove nothing.
    project.pass(1);
    sync(&project);
    (remote, project)
}

/// A change of a project, and what it is.
type Change<'a> = (&'a str, &'a (dyn Fn(&Project) + Sync));

fn commit(project: &Project, message: &str) {
    project.git(&["add", "-A"]);
    project.git(&["commit", "-q", "--allow-empty", "-m", message]);
}

fn edit(project: &Project, text: &str) {
    project.write("models/in/1.rbxmx", rbxmx(text));
}

/// Puts another version of a file into git's index, and leaves the disk as it is.
fn stage(project: &Project, name: &str, content: &str) {
    project.write(".git/other", content);
    let blob = project.git(&["hash-object", "-w", "--no-filters", ".git/other"]);
    project.git(&["update-index", "--add", "--cacheinfo", &format!("100644,{},{name}", blob.trim())]);
}

/// The lockfile without its entry of a picture.
fn without_a_picture(project: &Project) -> String {
    let all = project.read("assets.lock.toml");
    let at = all.find("[assets.\"ui/2.png\"]").unwrap();
    let after = all[at + 1..].find("\n[").map_or(all.len(), |end| at + 1 + end + 1);
    format!("{}{}", &all[..at], &all[after..])
}

#[test]
fn an_edit_after_a_commit_loads_and_plans_only_what_it_can_touch() {
    let (_remote, project) = proved();
    for round in 0..3 {
        edit(&project, &format!("edited {round}"));
        commit(&project, "edited");
        assert_eq!(looks(&sync(&project)), ONLY_WHAT_CHANGED, "after the commit of the edit");
        commit(&project, "the lockfile");
        edit(&project, &format!("edited again {round}"));
        assert_eq!(looks(&sync(&project)), ONLY_WHAT_CHANGED, "after the commit of the lockfile");
        commit(&project, "both");
    }
    // Nothing to do after a commit needs the proof alone.
    let ran = project.run(&["sync", "--once"]).expect(0);
    assert_eq!(ran.stdout, "Done. 6 assets are up to date, nothing to do.\n");
    rusqlite::Connection::open(project.state()).unwrap().execute("DELETE FROM revisions", []).unwrap();
    for round in 0..2 {
        for command in [&["sync", "--once"][..], &["plan"], &["status"]] {
            project.run(command).expect(0);
        }
        commit(&project, &format!("nothing but code, {round}"));
    }
}

/// What a run says that isn't told about how it works.
fn told(ran: &Ran) -> String {
    let levels = ["DEBUG", "INFO", "TRACE"];
    let is_told = |line: &&str| !levels.iter().any(|level| line.contains(level));
    let without_a_time = |line: &str| line.split_once(" WARN ").map_or(line, |(_, said)| said).to_owned();
    ran.stderr.lines().filter(is_told).map(without_a_time).collect()
}

/// Changes two projects in the same way, one of which has no proof any more, and checks that a run,
/// and the next one after an edit, say and do the same in both. Returns whether the first began
/// with what changed.
fn check(what: &str, change: &dyn Fn(&Project)) -> bool {
    let [(remote, project), (other_remote, whole)] = [proved(), proved()];
    let mut began = None;
    for (round, edited) in ["first", "second"].into_iter().enumerate() {
        for project in [&project, &whole] {
            if round == 0 {
                change(project);
            } else {
                commit(project, "next");
                edit(project, edited);
            }
            project.let_reads_catch_up();
        }
        let _ = std::panic::catch_unwind(|| forget_the_proof(&whole));
        let [ran, expected] = [&project, &whole].map(|project| project.run(&["sync", "--once", "-vv"]));
        let what = format!("{what}, {edited}: {}", ran.stderr);
        assert_eq!(looks(&expected)[0], 0, "{what}");
        assert_eq!((ran.code, &ran.stdout), (expected.code, &expected.stdout), "{what}");
        let hide = |text: String, project: &Project| text.replace(&project.path().display().to_string(), "");
        assert_eq!(hide(told(&ran), &project), hide(told(&expected), &whole), "{what}");
        let text = |project: &Project, remote: &Remote| project.read("assets.lock.toml").replace(&remote.url(), "");
        assert_eq!(text(&project, &remote), text(&whole, &other_remote), "{what}");
        assert_eq!(state(&project), state(&whole), "{what}");
        assert_eq!(written(&remote), written(&other_remote), "{what}");
        let document = |project: &Project| -> Value {
            let (code, status) = project.json(&["status"]);
            serde_json::json!([code, status["assets"], status["warnings"]])
        };
        assert_eq!(document(&project), document(&whole), "{what}");
        began.get_or_insert(looks(&ran)[..2] == [1, 0]);
    }
    began.unwrap()
}

/// Checks each change, several at once: each takes a dozen runs. Those of all begin with what changed,
/// or none does.
fn check_all(changes: &[Change<'_>], began: bool) {
    let next = AtomicUsize::new(0);
    let work = || {
        while let Some((what, change)) = changes.get(next.fetch_add(1, Ordering::Relaxed)) {
            assert_eq!(check(what, change), began, "{what}");
        }
    };
    std::thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(work))));
}

#[test]
fn plain_commits_need_no_look_at_everything() {
    let plain: &[Change<'_>] = &[
        ("a commit of the edit", &|project| {
            edit(project, "edited");
            commit(project, "edited");
        }),
        ("two commits, and code that came and went", &|project| {
            edit(project, "edited");
            commit(project, "edited");
            project.remove("code/game.luau");
            project.write("code/other.luau", "return 2");
            commit(project, "code");
        }),
        ("an edit that is staged", &|project| {
            edit(project, "edited");
            project.git(&["add", "-A"]);
        }),
        ("an edit that is taken back by a revert", &|project| {
            edit(project, "edited");
            commit(project, "edited");
            sync(project);
            project.git(&["commit", "-q", "-m", "nothing", "--allow-empty"]);
            let before = project.git(&["show", "HEAD~2:models/in/1.rbxmx"]);
            project.write("models/in/1.rbxmx", before);
            commit(project, "as before");
        }),
        ("a branch that is merged without a commit", &|project| {
            project.git(&["switch", "-q", "-c", "side"]);
            edit(project, "edited");
            commit(project, "edited");
            project.git(&["switch", "-q", "main"]);
            project.git(&["merge", "-q", "--ff-only", "side"]);
        }),
        ("a new rule about what git ignores", &|project| {
            edit(project, "edited");
            project.write(".gitignore", "*.tmp\n");
            commit(project, "ignored");
        }),
        ("an index that was only read anew", &|project| {
            edit(project, "edited");
            project.git(&["update-index", "-q", "--really-refresh"]);
            project.git(&["read-tree", "HEAD"]);
        }),
    ];
    check_all(plain, true);
}

#[test]
fn whatever_git_may_say_something_else_of_takes_a_look_at_everything() {
    let other: &[Change<'_>] = &[
        ("a commit in place of another", &|project| {
            edit(project, "edited");
            project.git(&["commit", "-q", "-a", "--amend", "-m", "amended"]);
        }),
        ("another branch", &|project| {
            project.git(&["switch", "-q", "-c", "side"]);
            edit(project, "edited");
            commit(project, "edited");
        }),
        ("a merge", &|project| {
            project.git(&["switch", "-q", "-c", "side"]);
            edit(project, "edited");
            commit(project, "edited");
            project.git(&["switch", "-q", "main"]);
            project.git(&["merge", "-q", "--no-ff", "-m", "merged", "side"]);
        }),
        ("a commit whose lockfile lacks an asset", &|project| {
            edit(project, "edited");
            stage(project, "assets.lock.toml", &without_a_picture(project));
            project.git(&["commit", "-q", "-m", "lacks"]);
        }),
        ("a commit whose lockfile has another asset, and one without it", &|project| {
            edit(project, "edited");
            let more = project.read("assets.lock.toml").replacen("asset_id = ", "asset_id = 9", 1);
            stage(project, "assets.lock.toml", &more);
            project.git(&["commit", "-q", "-m", "more"]);
            project.git(&["add", "assets.lock.toml"]);
            project.git(&["commit", "-q", "-m", "less"]);
        }),
        ("a lockfile in the index that has another asset", &|project| {
            edit(project, "edited");
            let more = project.read("assets.lock.toml").replacen("asset_id = ", "asset_id = 9", 1);
            stage(project, "assets.lock.toml", &more);
        }),
        ("a file that git doesn't have any more", &|project| {
            edit(project, "edited");
            project.git(&["rm", "-q", "--cached", "ui/0.png"]);
            project.git(&["commit", "-q", "-m", "without"]);
        }),
        ("a file that the next commit won't have", &|project| {
            edit(project, "edited");
            project.git(&["rm", "-q", "--cached", "ui/0.png"]);
        }),
        ("a project that left git", &|project| {
            edit(project, "edited");
            project.git(&["rm", "-q", "--cached", "assets.toml"]);
            project.git(&["commit", "-q", "-m", "without"]);
        }),
        #[cfg(unix)]
        ("a commit of a link", &|project| {
            edit(project, "edited");
            std::os::unix::fs::symlink("game.luau", project.file("code/link.luau")).unwrap();
            commit(project, "a link");
        }),
        ("more commits than are looked at", &|project| {
            edit(project, "edited");
            for number in 0..65 {
                commit(project, &number.to_string());
            }
        }),
        ("a history that is not whole", &|project| {
            edit(project, "edited");
            commit(project, "edited");
            project.write(".git/shallow", project.git(&["rev-parse", "HEAD~1"]));
        }),
        ("a merge of the lockfile that isn't finished", &|project| {
            edit(project, "edited");
            let blob = project.git(&["rev-parse", "HEAD:assets.lock.toml"]);
            let sides = (1..=3).map(|side| format!("100644 {} {side}\tassets.lock.toml\n", blob.trim()));
            project.write(".git/sides", sides.collect::<String>());
            project.git(&["update-index", "--force-remove", "assets.lock.toml"]);
            project.git(&["-c", "alias.sides=!git update-index --index-info <.git/sides", "sides"]);
        }),
        ("a renamed file", &|project| {
            project.git(&["mv", "ui/0.png", "ui/9.png"]);
            commit(project, "renamed");
        }),
        ("a new and a removed file", &|project| {
            project.write("ui/9.png", png(9));
            project.remove("ui/0.png");
            commit(project, "another");
        }),
    ];
    check_all(other, false);
}

#[test]
fn a_file_that_was_only_staged_and_then_left_git_is_told() {
    let (_remote, project) = proved();
    project.write("ui/new.png", png(9));
    project.git(&["add", "ui/new.png"]);
    sync(&project);
    project.pass(1);
    sync(&project);
    let warns = || {
        edit(&project, &fastrand::u64(..).to_string());
        let ran = project.run(&["sync", "--once", "-vv"]).expect(0);
        (looks(&ran)[0], told(&ran).contains("ui/new.png") || ran.stdout.contains("ui/new.png"))
    };
    assert_eq!(warns(), (1, false));
    // Neither the old commit nor the new index has it.
    project.git(&["reset", "-q", "--", "ui/new.png"]);
    assert_eq!(warns(), (0, true));
    // What is only to be added later is in the index too.
    project.git(&["add", "--intent-to-add", "ui/new.png"]);
    sync(&project);
    project.pass(1);
    sync(&project);
    assert_eq!(warns(), (1, false));
    project.git(&["reset", "-q", "--", "ui/new.png"]);
    assert_eq!(warns(), (0, true));
}
