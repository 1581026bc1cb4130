//! `macadam-commit-push` where the branch has moved on: whatever it can't put together leaves the
//! checkout as it was, and commits that somebody took off the branch stay off.

use super::commit_push::{Clone, Hub, said};
#[cfg(unix)]
use super::support::system;

const LOCKFILE: &[&str] = &["assets.lock.toml"];

/// Takes the last commit of `clone` back, there and at the hub.
fn take_back(clone: &Clone) {
    clone.git(&["fetch", "-q"]);
    clone.git(&["reset", "-q", "--hard", "origin/main~1"]);
    clone.git(&["push", "-q", "--force"]);
}

#[test]
fn commits_that_somebody_took_off_the_branch_are_not_published_again() {
    // The box may have heard of it, the branch may have something else by now, and a variable may name the branch.
    let cases = [(false, false, ""), (false, true, ""), (true, false, ""), (true, true, "")];
    let named = [(false, false, "main"), (true, true, "main")];
    for (has_heard, has_more, branch) in cases.into_iter().chain(named) {
        let hub = Hub::new();
        let (a, b) = (hub.clone("a"), hub.clone("b"));
        b.commit_and_push("secret.txt", "hunter2\n");
        a.git(&["pull", "-q"]);
        take_back(&b);
        if has_more {
            b.commit_and_push("good.txt", "good\n");
        }
        if has_heard {
            a.git(&["fetch", "-q"]);
        }
        a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
        a.write("note.txt", "local\n");
        let told = said(&a.script(LOCKFILE).env("MACADAM_BRANCH", branch).output().unwrap());
        assert!(told.contains("somebody took commits off origin/main") && told.contains("secret.txt"), "{told}");
        let expected = if has_more { &["assets: sync", "good.txt", "first"][..] } else { &["assets: sync", "first"] };
        assert_eq!(hub.log(), expected, "heard {has_heard}, more {has_more}, branch {branch}");
        assert_eq!(hub.show("game/assets.lock.toml"), "one = 1\ntwo = 2\n");
        assert!(!a.path.join("secret.txt").exists());
        assert_eq!(a.read("note.txt"), "local\n");
    }
}

/// Somebody pushes in the moment before the push, and another script in this checkout hears of it.
#[cfg(unix)]
#[test]
fn a_push_that_only_another_script_heard_of_stays() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    b.write("other.txt", "from b\n");
    b.git(&["add", "--all"]);
    b.git(&["commit", "-q", "-m", "other"]);
    let (path, folder) = (std::env::var("PATH").unwrap(), hub.folder.path());
    // The last question before the push is whether it would lose a commit.
    let git = format!(
        "#!/bin/sh
        PATH='{path}'
        git \"$@\" || exit
        [ \"$1\" = merge-base ] && [ \"$4\" = \"$(git rev-parse HEAD)\" ] && [ ! -e '{0}/pushed' ] || exit 0
        touch '{0}/pushed'
        git -C '{0}/b' push -q && git fetch -q || exit
        for ref in $(git for-each-ref --format='%(refname)' refs/macadam refs/worktree); do
            git update-ref $ref refs/remotes/origin/main
        done
        ",
        folder.display()
    );
    let program = folder.join("bin/git");
    std::fs::create_dir(folder.join("bin")).unwrap();
    std::fs::write(&program, git).unwrap();
    system::make_executable(&program);
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    let path = format!("{}:{path}", folder.join("bin").display());
    let pushed = a.script(LOCKFILE).env("PATH", path).output().unwrap();
    assert!(pushed.status.success() && folder.join("pushed").exists(), "{}", said(&pushed));
    assert_eq!(hub.log(), ["assets: sync", "other", "first"]);
}

#[test]
fn a_lockfile_that_somebody_took_off_the_branch_is_published_again() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    a.run(LOCKFILE, true);
    take_back(&b);
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\nthree = 3\n");
    a.run(LOCKFILE, true);
    assert_eq!(hub.log(), ["assets: sync", "assets: sync", "first"]);
    assert_eq!(hub.show("game/assets.lock.toml"), "one = 1\ntwo = 2\nthree = 3\n");
}

#[test]
fn a_branch_that_somebody_removed_is_not_made_again() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    for clone in [&b, &a] {
        clone.git(&["fetch", "-q"]);
        clone.git(&["switch", "-q", "-c", "side"]);
        clone.git(&["push", "-q", "-u", "origin", "side"]);
    }
    b.git(&["push", "-q", "origin", "--delete", "side"]);
    a.write("game/assets.lock.toml", "two = 2\n");
    let told = a.run(LOCKFILE, false);
    assert!(told.contains("origin has no branch side any more"), "{told}");
}

#[test]
fn an_edit_of_a_file_that_the_upstream_renamed_or_changed_stays() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    let lines = |changed: &str| (0..30).map(|line| format!("{line}\n")).collect::<String>().replace("15\n", changed);
    b.commit_and_push("plan.txt", &lines("15\n"));
    b.commit_and_push("other.txt", "a\n");
    a.git(&["pull", "-q"]);
    b.git(&["mv", "plan.txt", "text.txt"]);
    b.commit_and_push("text.txt", &lines("theirs\n"));
    a.write("plan.txt", &lines("mine\n"));
    a.write("game/assets.lock.toml", "two = 2\n");
    let stays = |named: &str, unless: &str| {
        let before = a.git(&["status", "--porcelain", "--", "plan.txt", "mine.txt", "other.txt"]);
        let told = a.run(LOCKFILE, false);
        assert!(told.contains("origin/main changes what is modified here") && told.contains(named), "{unless}: {told}");
        assert_eq!(a.git(&["status", "--porcelain", "--", "plan.txt", "mine.txt", "other.txt"]), before, "{unless}");
        assert_eq!(a.git(&["stash", "list"]), "");
    };
    stays("plan.txt", "renamed upstream");
    a.git(&["mv", "plan.txt", "mine.txt"]);
    stays("plan.txt", "renamed here");
    a.git(&["mv", "mine.txt", "plan.txt"]);
    a.git(&["checkout", "-q", "--", "plan.txt"]);
    a.git(&["reset", "-q", "--hard"]);
    // Where git shows only a part.
    a.git(&["config", "diff.relative", "true"]);
    b.commit_and_push("other.txt", "theirs\n");
    a.write("other.txt", "mine\n");
    stays("other.txt", "outside of the project's folder");
    assert_eq!(a.read("other.txt"), "mine\n");
}

#[test]
fn a_local_branch_is_no_upstream_to_push_to() {
    let hub = Hub::new();
    let a = hub.clone("a");
    a.git(&["switch", "-q", "-c", "feature", "--track", "main"]);
    a.write("game/assets.lock.toml", "two = 2\n");
    let told = said(&a.script(LOCKFILE).arg("--check").output().unwrap());
    assert!(told.contains("the local branch main") && told.contains("`git push -u origin feature`"), "{told}");
    let told = a.run(LOCKFILE, false);
    assert!(told.contains("the local branch main") && told.contains("stays here"), "{told}");
    assert_eq!(a.git(&["log", "--format=%s", "main"]), "first\n");
    assert_eq!(hub.log(), ["first"]);
    let pushed = a.script(LOCKFILE).env("MACADAM_BRANCH", "main").output().unwrap();
    assert!(pushed.status.success(), "{}", said(&pushed));
    assert_eq!(hub.log(), ["assets: sync", "first"]);
}

#[test]
fn a_lockfile_that_a_merge_damages_is_not_pushed() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    b.commit_and_push(".gitattributes", "*.toml merge=union\n");
    a.git(&["pull", "-q"]);
    b.commit_and_push("game/assets.lock.toml", "one = 1\ntheirs = [\n");
    a.write("game/assets.lock.toml", "one = 1\nmine = [\n");
    a.write("note.txt", "local\n");
    let told = said(&a.script(LOCKFILE).arg("--check").output().unwrap());
    assert!(told.contains("`assets.lock.toml merge=macadam`"), "{told}");
    for _ in 0..2 {
        let told = a.run(LOCKFILE, false);
        assert!(told.contains("assets.lock.toml would be damaged"), "{told}");
        assert_eq!(a.read("game/assets.lock.toml"), "one = 1\nmine = [\n");
        assert_eq!(a.git(&["status", "--porcelain"]), " M note.txt\n");
        assert_eq!(a.git(&["log", "--format=%s"]), "assets: sync\n.gitattributes\nfirst\n");
    }
    assert_eq!(hub.log(), ["game/assets.lock.toml", ".gitattributes", "first"]);
}

#[cfg(unix)]
#[test]
fn a_signal_in_the_middle_of_a_rebase_leaves_the_checkout_as_it_was() {
    use std::os::unix::process::CommandExt as _;

    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    b.commit_and_push("other.txt", "from b\n");
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    a.write("note.txt", "local\n");
    let hook = a.path.join(".git/hooks/post-checkout");
    let hook_that_sends = |signal: &str| {
        std::fs::write(&hook, format!("#!/bin/sh\nkill -{signal} 0\nsleep 60\n")).unwrap();
        system::make_executable(&hook);
    };
    hook_that_sends("TERM");
    let output = a.script(LOCKFILE).process_group(0).output().unwrap();
    let told = said(&output);
    assert_eq!(output.status.code(), Some(143), "{told}");
    assert!(told.contains("which it took back: the commit stays here"), "{told}");
    assert_eq!(
        a.git(&["status", "--porcelain", "--branch"]),
        "## main...origin/main [ahead 1, behind 1]\n M note.txt\n"
    );
    assert_eq!((a.read("note.txt"), a.git(&["stash", "list"])), ("local\n".to_owned(), String::new()));

    // Killed, it can take nothing back: the next run says how to.
    hook_that_sends("KILL");
    a.script(LOCKFILE).process_group(0).output().unwrap();
    std::fs::remove_file(&hook).unwrap();
    let told = said(&a.script(LOCKFILE).arg("--check").output().unwrap());
    assert!(told.contains("`git rebase --abort`"), "{told}");
    a.git(&["rebase", "--abort"]);
    a.run(LOCKFILE, true);
    assert_eq!((a.read("note.txt"), hub.log().len()), ("local\n".to_owned(), 3));
}

/// Two services share the checkout.
#[cfg(unix)]
#[test]
fn a_script_waits_for_the_rebase_of_another_one() {
    use std::process::Stdio;
    use std::time::Duration;

    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    b.commit_and_push("other.txt", "from b\n");
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    a.write("game/dev.lock.toml", "three = 3\n");
    let hook = a.path.join(".git/hooks/post-checkout");
    std::fs::write(&hook, "#!/bin/sh\ntouch .git/begun\nuntil [ -e .git/go ]; do sleep 0.1; done\n").unwrap();
    system::make_executable(&hook);
    let start =
        |mut script: std::process::Command| script.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let wait = || std::thread::sleep(Duration::from_millis(20));
    let first = start(a.script(LOCKFILE));
    while !a.path.join(".git/begun").exists() {
        wait();
    }
    let mut second = a.script(&["dev.lock.toml"]);
    let trace = hub.folder.path().join("trace");
    second.env("MACADAM_LOCKFILE", a.path.join("game/dev.lock.toml")).env("GIT_TRACE", &trace);
    let mut second = start(second);
    // Once it has asked where the lock is.
    while !std::fs::read_to_string(&trace).is_ok_and(|trace| trace.contains("--git-common-dir")) {
        assert!(second.try_wait().unwrap().is_none(), "{}", said(&second.wait_with_output().unwrap()));
        wait();
    }
    a.write(".git/go", "");
    for script in [first, second] {
        let output = script.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", said(&output));
    }
    assert_eq!(hub.log(), ["assets: sync", "assets: sync", "other.txt", "first"]);
}

/// Git has put the edit aside then, and not yet written down what it rebases.
#[cfg(unix)]
#[test]
fn a_signal_at_the_very_beginning_of_a_rebase_leaves_the_edit_in_its_file() {
    use std::os::unix::process::CommandExt as _;

    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    b.commit_and_push(".gitattributes", "note.txt filter=slow\n");
    a.git(&["pull", "-q"]);
    b.commit_and_push("other.txt", "from b\n");
    a.write("game/assets.lock.toml", "one = 1\ntwo = 2\n");
    a.write("note.txt", "local\n");
    a.git(&["config", "filter.slow.clean", "cat"]);
    let once = "[ -e .git/once ] || { touch .git/once; kill -TERM 0; sleep 60; }; cat";
    a.git(&["config", "filter.slow.smudge", once]);
    let output = a.script(LOCKFILE).process_group(0).output().unwrap();
    assert_eq!(output.status.code(), Some(143), "{}", said(&output));
    assert!(a.path.join(".git/once").exists());
    assert_eq!(
        a.git(&["status", "--porcelain", "--branch"]),
        "## main...origin/main [ahead 1, behind 1]\n M note.txt\n"
    );
    assert_eq!((a.read("note.txt"), a.git(&["stash", "list"])), ("local\n".to_owned(), String::new()));
    a.run(LOCKFILE, true);
    assert_eq!((a.read("note.txt"), hub.log().len()), ("local\n".to_owned(), 4));
}

#[cfg(unix)]
#[test]
fn a_file_name_begins_no_line_of_a_build_log() {
    let hub = Hub::new();
    let (a, b) = (hub.clone("a"), hub.clone("b"));
    for name in ["::error title=one::", "::stop-commands::two"] {
        b.commit_and_push(name, "b\n");
    }
    a.git(&["pull", "-q"]);
    for name in ["::error title=one::", "::stop-commands::two", "::add-mask::three"] {
        b.commit_and_push(name, "b again\n");
    }
    let begins_with_a_command = |told: &str| told.lines().any(|line| line.trim_start().starts_with("::"));
    a.write("game/assets.lock.toml", "two = 2\n");
    for name in ["::error title=one::", "::stop-commands::two"] {
        a.write(name, "a\n");
    }
    let told = a.run(LOCKFILE, false);
    assert!(!begins_with_a_command(&told), "{told}");
    let last = told.trim_end().lines().next_back().unwrap();
    assert!(last.contains("::error title=one:: ::stop-commands::two"), "{told}");
    // Git itself names a file that is in its way.
    a.git(&["checkout", "-q", "."]);
    a.write("::add-mask::three", "a\n");
    let told = a.run(LOCKFILE, false);
    assert!(told.contains("::add-mask::three") && !begins_with_a_command(&told), "{told}");
}
