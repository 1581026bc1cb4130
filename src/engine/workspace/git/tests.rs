//! The traces that git leaves in its folder, written by hand and by the real git.

use std::process::Command;

use super::work::{A_WHILE_SECONDS, LONG_SECONDS};
use super::*;

/// Runs git in a folder, as somebody, with no configuration but the folder's own.
#[track_caller]
pub(super) fn git(folder: &Path, args: &[&str]) -> String {
    let settings = ["-c", "user.name=t", "-c", "user.email=t@t", "-c", "commit.gpgsign=false"];
    let mut git = Command::new("git");
    git.arg("-C").arg(folder).args(settings).args(args);
    let ran = git.env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null").output().unwrap();
    assert!(ran.status.success(), "{args:?} {ran:?}");
    String::from_utf8_lossy(&ran.stdout).trim().to_owned()
}

#[test]
fn a_flag_is_read_as_git_reads_it() {
    let check = |config: &str, expected: Option<bool>| {
        assert_eq!(flag(config, "core", "sparsecheckout"), expected, "{config:?}");
    };
    check("", None);
    check("[core]\n\tsparseCheckout = true\n", Some(true));
    check("[Core] SPARSECHECKOUT=\"yes\" # x\r\n", Some(true));
    check("[core]\nsparseCheckout\n", Some(true));
    check("[core]\nsparseCheckout = 1 ; x\n", Some(true));
    check("[core]\nsparseCheckout =\n", Some(false));
    check("[core]\nsparseCheckout = off\n", Some(false));
    check("[core]\nsparseCheckout = true\n[core]\nsparseCheckout = false\n", Some(false));
    check("[core \"x\"]\nsparseCheckout = true\n[x]\nsparseCheckout = true\n", None);
    check("[core]\n# sparseCheckout = true\nsparseCheckoutCone = true\n", None);
}

/// Writes files below a new folder and checks whether `at` is complete.
fn check(at: &str, files: &[(&str, &str)], expected: bool) {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(at)).unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let why = partial(&root.path().join(at));
    assert_eq!(why == Some(AbsenceReason::SparseCheckout), expected, "{why:?}: {files:?}");
    assert!(expected || why.is_none(), "{why:?}");
}

#[test]
fn a_sparse_checkout_is_found_however_git_keeps_it() {
    const ON: &str = "[core]\nsparseCheckout = true\n";
    let list = |folder: &str| format!("{folder}/info/sparse-checkout");
    check("a", &[(".git/HEAD", "")], false);
    check("a/b", &[(".git/config", ON)], false);
    check("a/b", &[(".git/config", ON), (&list(".git"), "/*\n")], true);
    check("a", &[(".git/config", "[core]\n"), (&list(".git"), "/*\n")], false);
    let own = "[extensions]\nworktreeConfig = true\n";
    check("a", &[(".git/config", own), (".git/config.worktree", ON), (&list(".git"), "")], true);
    check("a", &[(".git/config", "[core]\n"), (".git/config.worktree", ON), (&list(".git"), "")], false);
    let off = "[core]\nsparseCheckout = false\n";
    let on = format!("{ON}{own}");
    check("a", &[(".git/config", &on), (".git/config.worktree", off), (&list(".git"), "")], false);

    let worktree = "main/.git/worktrees/w";
    let (common, own_config) = (format!("{worktree}/commondir"), format!("{worktree}/config.worktree"));
    let linked =
        [("w/.git", "gitdir: ../main/.git/worktrees/w\n"), ("main/.git/config", own), (common.as_str(), "../..\n")];
    check("w/game", &[&linked[..], &[(&own_config, ON), (&list(worktree), "")]].concat(), true);
    check("w/game", &[&linked[..], &[(&own_config, ON), (&list("main/.git"), "")]].concat(), false);
    check("main", &[&linked[..], &[(&own_config, ON), (&list(worktree), "")]].concat(), false);

    let module = [("a/sub/.git", "gitdir: ../../.git/modules/sub\n"), (".git/modules/sub/config", ON)];
    check("a/sub", &[&module[..], &[(&list(".git/modules/sub"), "")]].concat(), true);
    check("a", &[&module[..], &[(&list(".git/modules/sub"), "")]].concat(), false);
}

#[test]
fn an_unreadable_checkout_does_not_count_as_complete() {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join(".git/config")).unwrap();
    let why = partial(root.path());
    assert!(matches!(&why, Some(AbsenceReason::CheckoutUnread { error }) if error.contains("config")), "{why:?}");
}

/// Creates these files; a name that ends in `/` is a folder.
fn place(files: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = root.path().join(name);
        if name.ends_with('/') {
            fs::create_dir_all(path).unwrap();
            continue;
        }
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

#[test]
fn git_is_busy_while_its_marker_exists() {
    let check = |at: &str, files: &[(&str, &str)], expected: Option<&str>| {
        let root = place(files);
        let why = busy(&root.path().join(at)).map(|work| work.to_string());
        match expected {
            None => assert_eq!(why, None, "{files:?}"),
            Some(part) => assert!(why.as_deref().is_some_and(|why| why.contains(part)), "{why:?}: {files:?}"),
        }
    };
    check("a", &[("a/", "")], None);
    check("a", &[("a/", ""), (".git/HEAD", "")], None);
    check("a", &[("a/", ""), (".git/index.lock", "")], Some("index.lock"));
    check("a", &[("a/", ""), (".git/MERGE_HEAD", "")], Some("a merge"));
    check("a", &[("a/", ""), (".git/rebase-merge/", "")], Some("a rebase"));
    check("a", &[("a/", ""), (".git/rebase-apply/", "")], Some("an `am`"));
    check("a", &[("a/", ""), (".git/rebase-merge/", ""), (".git/CHERRY_PICK_HEAD", "")], Some("a rebase"));
    check("a", &[("a/", ""), (".git/sequencer/", "")], Some("cherry-pick"));
    check("a", &[("a/", ""), (".git/REVERT_HEAD", "")], Some("a revert"));
    check("a", &[("a/", ""), (".git/BISECT_LOG", "")], Some("git bisect reset"));
    check("a", &[("a/MERGE_HEAD", ""), (".git/HEAD", ""), (".git/ORIG_HEAD", "")], None);
    // A worktree and a submodule have their own traces.
    let linked = ("w/.git", "gitdir: ../main/.git/worktrees/w\n");
    check("w", &[linked, ("main/.git/worktrees/w/MERGE_HEAD", "")], Some("a merge"));
    check("main", &[linked, ("main/.git/worktrees/w/MERGE_HEAD", "")], None);
    check("w", &[linked, ("main/.git/worktrees/w/HEAD", ""), ("main/.git/MERGE_HEAD", "")], None);
    let module = ("a/sub/.git", "gitdir: ../../.git/modules/sub\n");
    check("a/sub", &[module, (".git/modules/sub/index.lock", "")], Some("index.lock"));
    check("a/sub", &[module, (".git/modules/sub/HEAD", ""), (".git/index.lock", "")], None);
    // A checkout that is gone, or misstates its repository.
    check("none", &[("a/", "")], Some("unknown"));
    check("a", &[("a/.git", "gitdir: ../gone\n")], None);
}

#[test]
fn a_stale_index_lock_is_reported_as_old() {
    let root = place(&[(".git/index.lock", "")]);
    let at = |seconds: i64| {
        let now = Timestamp::from_second(clock::now().as_second() + seconds).unwrap();
        let work = busy_at(root.path(), now).unwrap();
        (work.to_string(), work.takes_a_while(), work.is_long())
    };
    for (seconds, said, takes_a_while, is_long) in [
        (0, "is writing", false, false),
        (A_WHILE_SECONDS * 2, "remove that file", true, false),
        (LONG_SECONDS * 2, "remove that file", true, true),
        // A clock that went back.
        (-LONG_SECONDS * 2, "is writing", false, false),
    ] {
        let (work, while_, long) = at(seconds);
        assert!(work.contains(said), "{work}");
        assert_eq!((while_, long), (takes_a_while, is_long), "{work}");
    }
}

#[test]
fn the_branch_is_what_head_says() {
    let check = |files: &[(&str, &str)], expected: Option<Branch>| {
        let root = place(files);
        fs::create_dir_all(root.path().join("a")).unwrap();
        assert_eq!(branch(&root.path().join("a")), expected, "{files:?}");
    };
    let named = |name: &str| Some(Branch::Named(name.to_owned()));
    check(&[], None);
    check(&[(".git/config", "")], None);
    check(&[(".git/HEAD", "ref: refs/heads/main\n")], named("main"));
    check(&[(".git/HEAD", "ref: refs/heads/feature/Ä b\n")], named("feature/Ä b"));
    check(&[(".git/HEAD", "ref: refs/other/x")], named("refs/other/x"));
    let commit = "0123456789abcdef0123456789abcdef01234567";
    check(&[(".git/HEAD", &format!("{commit}\n"))], Some(Branch::Detached { at: commit.to_owned() }));
    // The text that a link in its place leads to is not repeated.
    let why = "HEAD names neither a branch nor a commit".to_owned();
    check(&[(".git/HEAD", "hunter2\n")], Some(Branch::Unknown { why }));
    check(&[("a/.git", "gitdir: ../g"), ("g/HEAD", "ref: refs/heads/w"), (".git/HEAD", "x")], named("w"));
    let root = place(&[(".git/HEAD", "")]);
    fs::write(root.path().join(".git/HEAD"), b"ref: refs/heads/\xff\n").unwrap();
    assert_eq!(branch(root.path()), Some(Branch::Unknown { why: "HEAD is not UTF-8".to_owned() }));
    let root = place(&[(".git/HEAD", "ref: refs/heads/.invalid\n")]);
    assert!(branch(root.path()).unwrap().to_string().contains("reftable"));
    assert!(matches!(branch(&root.path().join("gone")), Some(Branch::Unknown { .. })));
    let main = Branch::Named("main".to_owned());
    assert!(main.is("main") && !main.is("Main") && !Branch::Detached { at: "main".to_owned() }.is("main"));
    assert_eq!(Branch::Detached { at: "0123456789abcdef".to_owned() }.to_string(), "no branch, at 0123456789");
}

/// A real repository whose branch `other` conflicts with `main`.
struct Real(tempfile::TempDir);

impl Real {
    fn new() -> Self {
        let real = Self(tempfile::tempdir().unwrap());
        fs::create_dir_all(real.main()).unwrap();
        real.git(&["init", "-q", "-b", "main"]);
        real.commit("base");
        real.git(&["checkout", "-q", "-b", "other"]);
        real.commit("theirs");
        real.git(&["checkout", "-q", "main"]);
        real.commit("ours");
        real
    }

    fn main(&self) -> PathBuf {
        self.0.path().join("main")
    }

    fn try_git(&self, folder: &Path, args: &[&str]) -> bool {
        let mut git = Command::new("git");
        git.args(args).current_dir(folder).env("GIT_CONFIG_GLOBAL", "/dev/null").env("GIT_CONFIG_SYSTEM", "/dev/null");
        for who in ["AUTHOR", "COMMITTER"] {
            git.env(format!("GIT_{who}_NAME"), "a").env(format!("GIT_{who}_EMAIL"), "a@example.com");
        }
        // A hook that runs the tests must not lead git to its own repository.
        git.env_remove("GIT_DIR").env_remove("GIT_INDEX_FILE").env_remove("GIT_WORK_TREE").env("GIT_EDITOR", "true");
        git.output().unwrap().status.success()
    }

    #[track_caller]
    fn git(&self, args: &[&str]) {
        assert!(self.try_git(&self.main(), args), "{args:?}");
    }

    fn commit(&self, text: &str) {
        fs::write(self.main().join("file"), text).unwrap();
        self.git(&["add", "file"]);
        self.git(&["commit", "-q", "-m", text]);
    }

    /// Runs a command that git stops halfway.
    #[track_caller]
    fn stops(&self, args: &[&str], sign: &str, back: &[&str]) {
        assert_eq!(busy(&self.main()), None);
        assert!(!self.try_git(&self.main(), args), "{args:?} was no conflict");
        let why = busy(&self.main()).map(|work| work.to_string());
        assert!(why.as_deref().is_some_and(|why| why.contains(sign)), "{args:?}: {why:?}");
        self.git(back);
        assert_eq!(busy(&self.main()), None, "after {back:?}");
    }
}

#[test]
fn the_real_git_leaves_these_signs() {
    let real = Real::new();
    assert!(branch(&real.main()).unwrap().is("main"));
    real.stops(&["merge", "-q", "other"], "a merge", &["merge", "--abort"]);
    real.stops(&["rebase", "-q", "other"], "a rebase", &["rebase", "--abort"]);
    real.stops(&["rebase", "-q", "--apply", "other"], "a rebase", &["rebase", "--abort"]);
    real.stops(&["cherry-pick", "other"], "a cherry-pick", &["cherry-pick", "--abort"]);
    real.stops(&["revert", "--no-edit", "other"], "a revert", &["revert", "--abort"]);

    assert!(!real.try_git(&real.main(), &["rebase", "-q", "other"]));
    assert!(matches!(branch(&real.main()), Some(Branch::Detached { .. })), "a rebase leaves the branch");
    real.git(&["rebase", "--abort"]);
    real.git(&["bisect", "start", "HEAD", "HEAD~1"]);
    assert!(busy(&real.main()).unwrap().to_string().contains("a bisection"));
    real.git(&["bisect", "reset"]);
    assert_eq!(busy(&real.main()), None);

    // A worktree is busy on its own.
    let tree = real.0.path().join("tree");
    real.git(&["worktree", "add", "-q", tree.to_str().unwrap(), "other"]);
    assert!(branch(&tree).unwrap().is("other"));
    assert!(!real.try_git(&tree, &["merge", "-q", "main"]));
    assert!(busy(&tree).unwrap().to_string().contains("a merge"));
    assert_eq!(busy(&real.main()), None);
    real.git(&["checkout", "-q", "--detach"]);
    assert!(matches!(branch(&real.main()), Some(Branch::Detached { .. })));
}

/// However git keeps the branch, and in every kind of checkout.
#[test]
fn the_head_tells_when_another_commit_is_checked_out() {
    let folder = tempfile::tempdir().unwrap();
    let main = folder.path().join("main");
    fs::create_dir_all(&main).unwrap();
    let git = |at: &Path, args: &[&str]| {
        let who = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "init.defaultBranch=main"];
        let ran = Command::new("git").args(who).args(args).current_dir(at).output().unwrap();
        assert!(ran.status.success(), "{args:?}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8_lossy(&ran.stdout).trim().to_owned()
    };
    assert_eq!(head(&main), "", "no repository");
    git(&main, &["init", "--quiet"]);
    assert_eq!(head(&main), "", "no commit");
    let commit = |at: &Path| git(at, &["commit", "--quiet", "--allow-empty", "--message", "x"]);
    commit(&main);
    assert_eq!(head(&main), git(&main, &["rev-parse", "HEAD"]));
    git(&main, &["pack-refs", "--all"]);
    assert_eq!(head(&main), git(&main, &["rev-parse", "HEAD"]), "packed");
    let linked = folder.path().join("linked");
    git(&main, &["worktree", "add", "--quiet", "../linked"]);
    let before = head(&main);
    commit(&linked);
    assert_eq!((head(&linked), head(&main)), (git(&linked, &["rev-parse", "HEAD"]), before));
    git(&linked, &["checkout", "--quiet", "--detach", "HEAD~1"]);
    assert_eq!(head(&linked), head(&main));
    #[cfg(target_os = "linux")]
    for packed in [false, true] {
        use std::os::unix::ffi::OsStrExt as _;

        let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
        let ran = Command::new("git").args(["checkout", "--quiet", "-B"]).arg(name).current_dir(&main).output();
        assert!(ran.unwrap().status.success());
        commit(&main);
        if packed {
            git(&main, &["pack-refs", "--all"]);
        }
        assert_eq!(head(&main), git(&main, &["rev-parse", "HEAD"]), "a name that is not UTF-8");
    }
    // A lockfile that was compared with a part of its history is compared again with all of it.
    git(&main, &["checkout", "--quiet", "-B", "long"]);
    commit(&main);
    let url = format!("file://{}", main.display());
    git(folder.path(), &["clone", "--quiet", "--depth", "1", "--branch", "long", &url, "shallow"]);
    let shallow = folder.path().join("shallow");
    let (partly, name) = (head(&shallow), git(&shallow, &["rev-parse", "HEAD"]));
    assert!(partly != name && partly.starts_with(&name), "{partly}");
    git(&shallow, &["fetch", "--quiet", "--unshallow"]);
    assert_eq!(head(&shallow), name);
}

/// A service scanned between git's new index and its new `HEAD`, and archived what the other branch
/// lacked.
#[test]
fn git_is_not_done_until_head_has_followed_the_index() {
    let place = place(&[(".git/HEAD", "ref: refs/heads/main"), (".git/index", "")]);
    let index = std::fs::metadata(place.path().join(".git/index")).unwrap().modified().unwrap();
    let after = |milliseconds: u64| {
        let now = Timestamp::try_from(index + std::time::Duration::from_millis(milliseconds)).unwrap();
        just_was(place.path(), now).is_some()
    };
    assert!(after(0) && after(199));
    assert!(!after(200) && !after(60_000));
}
