//! Files that others put where Macadam looks: a state with foreign views and triggers, a manifest
//! above the project, folders that everybody may enter.

use std::path::Path;
use std::process::Command;

use rusqlite::Connection;

#[cfg(unix)]
use super::ci::{Ci, push};
use super::state_folder::checkout;
use super::support::{GLOBS, Project, Ran, Remote, SECRET, png, system};

#[test]
fn a_state_with_a_schema_of_somebody_elses_is_refused_with_the_way_on() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    let good = std::fs::read(project.state()).unwrap();
    let planted = [
        ("CREATE VIEW spy AS SELECT * FROM assets", "the view `spy`"),
        ("CREATE TRIGGER t AFTER INSERT ON attempts BEGIN DELETE FROM revisions; END", "the trigger `t`"),
        // Before the table in the schema, whose name it has.
        (
            "CREATE TRIGGER latencies AFTER INSERT ON revisions BEGIN DELETE FROM files; END; PRAGMA writable_schema = ON;
             UPDATE sqlite_schema SET rowid = 1000 WHERE type = 'table' AND name = 'latencies'; PRAGMA writable_schema = OFF",
            "the trigger `latencies`",
        ),
        ("CREATE TABLE more (x)", "the table `more`"),
        ("CREATE INDEX more ON assets (path)", "the index `more`"),
        ("ALTER TABLE files ADD COLUMN more TEXT", "table `files`"),
        ("DROP TABLE latencies", "table `latencies`"),
        ("ALTER TABLE meta RENAME TO hidden; CREATE VIEW meta AS SELECT * FROM hidden", "`hidden`"),
        (
            "DROP TABLE limits; CREATE TABLE limits (endpoint, owner, budget, remaining, window_ends_at)",
            "table `limits`",
        ),
        ("CREATE VIEW \"\u{1b}[2J::add-mask::\" AS SELECT 1", "the view `\\u{1b}[2J"),
    ];
    for (sql, says) in planted {
        let state = Connection::open(project.state()).unwrap();
        state.execute_batch(sql).unwrap();
        drop(state);
        let before = (std::fs::read(project.state()).unwrap(), remote.writes());
        project.write("ui/a.png", png(2));
        for args in [&["sync", "--once"][..], &["status"], &["plan"], &["history", "ui/a.png"]] {
            let ran = project.run(args).expect(3);
            for part in [says, "was changed by another program", "rebuilds the state from the lockfile"] {
                assert!(ran.stderr.contains(part), "`{part}` is not in: {}", ran.stderr);
            }
            assert!(!ran.stderr.contains('\u{1b}'), "{:?}", ran.stderr);
        }
        assert!(std::fs::read(project.state()).unwrap() == before.0, "{sql}: the state was changed");
        assert_eq!(remote.writes(), before.1, "{sql}");
        std::fs::write(project.state(), &good).unwrap();
        project.write("ui/a.png", png(1));
    }
    // Leftovers of a person's `sqlite3` don't count as planted.
    Connection::open(project.state()).unwrap().execute_batch("ANALYZE").unwrap();
    assert_eq!(project.sync()["actions"], serde_json::json!([]));
    // The reported remedy works.
    Connection::open(project.state()).unwrap().execute_batch("CREATE TABLE more (x)").unwrap();
    project.run(&["sync", "--once"]).expect(3);
    std::fs::rename(project.state(), project.file("aside.db")).unwrap();
    assert_eq!(project.sync()["actions"], serde_json::json!([]));
}

/// Every folder and file below, with what is open to others.
fn others_may(below: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![below.to_owned()];
    while let Some(path) = left.pop() {
        let metadata = path.symlink_metadata().unwrap();
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        let mode = system::mode_of(&metadata);
        if mode != wanted {
            found.push(format!("{} {mode:o}", path.display()));
        }
        if metadata.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

/// Runs the program under this umask.
fn run_under(project: &Project, umask: &str, args: &[&str]) -> Ran {
    let original = project.command(args);
    let mut command = Command::new("sh");
    command.args(["-c", "umask \"$0\"; exec \"$@\"", umask]).arg(original.get_program()).args(original.get_args());
    command.current_dir(project.path()).env_clear();
    command.envs(original.get_envs().filter_map(|(name, value)| Some((name, value?))));
    Ran::of(command.output().unwrap()).expect(0)
}

#[test]
#[cfg_attr(windows, ignore = "files have no such permissions")]
fn the_state_and_everything_beside_it_is_the_users_alone_whatever_the_umask() {
    let remote = Remote::start();
    for (umask, ways) in [("000", &[false, true][..]), ("077", &[false])] {
        for &in_git in ways {
            let project = if in_git { checkout(&remote) } else { Project::new(GLOBS).at(&remote.url()) };
            project.write("ui/a.png", png(1));
            if !in_git {
                run_under(&project, umask, &["init"]);
                assert_eq!(others_may(&project.file(".macadam")), Vec::<String>::new(), "{umask}");
            }
            run_under(&project, umask, &["sync", "--once"]);
            // Open while it is looked at, so that what SQLite keeps beside it is there, too.
            let open = Connection::open(project.state()).unwrap();
            open.query_row("SELECT count(*) FROM assets", [], |row| row.get::<_, i64>(0)).unwrap();
            assert_eq!(others_may(&project.state_folder()), Vec::<String>::new(), "{umask}, in git: {in_git}");
            drop(open);
            let mut rehearsal = Command::new("sh");
            rehearsal.args(["-c", "umask \"$0\"; exec \"$@\" sync --once --emulator", umask]);
            rehearsal.arg(env!("CARGO_BIN_EXE_macadam")).current_dir(project.path()).env_clear();
            Ran::of(rehearsal.env("PATH", std::env::var_os("PATH").unwrap()).output().unwrap()).expect(0);
            assert_eq!(others_may(&project.state_folder()), Vec::<String>::new(), "{umask}, in git: {in_git}");
            // The lockfile goes to git, and to whom the umask lets in.
            let lockfile = system::mode_of(&project.file("assets.lock.toml").metadata().unwrap());
            assert_eq!(lockfile, 0o666 & !u32::from_str_radix(umask, 8).unwrap());
        }
    }
}

#[test]
#[cfg_attr(windows, ignore = "files have no such permissions")]
fn a_state_folder_that_was_open_to_others_is_closed() {
    let remote = Remote::start();
    let project = Project::new(GLOBS).at(&remote.url());
    project.write("ui/a.png", png(1));
    project.sync();
    system::set_mode(project.file(".macadam"), 0o777);
    system::set_mode(project.state(), 0o666);
    project.sync();
    assert_eq!(others_may(&project.file(".macadam")), Vec::<String>::new());
}

#[test]
fn a_manifest_above_that_is_another_users_is_refused_and_may_be_named() {
    let outer = tempfile::tempdir().unwrap();
    let above = outer.path().canonicalize().unwrap().join("shared");
    let here = above.join("mine/deep");
    std::fs::create_dir_all(&here).unwrap();
    std::fs::write(above.join("assets.toml"), GLOBS).unwrap();
    let run = |folder: &Path, args: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_macadam"));
        command.args(args).current_dir(folder).env_clear().env("ROBLOX_API_KEY", SECRET);
        system::prepare(&mut command);
        Ran::of(command.output().unwrap())
    };
    run(&here, &["check"]).expect(0);
    let manifest = above.join("assets.toml");
    let give = |path: &Path, owner: u32| system::give(path, owner, None);
    if give(&manifest, 12345).is_err() {
        // Only root gives files away.
        return;
    }
    let refused = || {
        let ran = run(&here, &["check"]).expect(3);
        for part in ["another user (uid 12345)", &format!("--manifest {}", manifest.display())] {
            assert!(ran.stderr.contains(part), "`{part}` is not in: {}", ran.stderr);
        }
        run(&here, &["sync", "--once", "--emulator"]).expect(3);
        assert!(!above.join(".macadam").exists());
    };
    refused();
    // The folder alone is enough: whoever owns it puts any file there.
    give(&manifest, 0).unwrap();
    give(&above, 12345).unwrap();
    refused();
    run(&here, &["check", "--manifest", manifest.to_str().unwrap()]).expect(0);
    // A person who stands in the folder chose it.
    run(&above, &["check"]).expect(0);
}

/// Settings of git's that name a program, and one that has it check signatures.
#[cfg(unix)]
const PROGRAMS: [&str; 32] = [
    "alias.cat-file=!",
    "alias.rev-list=!",
    "core.alternateRefsCommand=",
    "core.askPass=",
    "core.editor=",
    "core.fsmonitor=",
    "core.gitProxy=",
    "core.pager=",
    "core.sshCommand=",
    "credential.helper=!",
    "diff.evil.command=",
    "diff.evil.textconv=",
    "diff.external=",
    "filter.evil.clean=",
    "filter.evil.process=",
    "filter.evil.smudge=",
    "gpg.program=",
    "gpg.openpgp.program=",
    "gpg.ssh.defaultKeyCommand=",
    "gpg.ssh.program=",
    "gpg.x509.program=",
    "interactive.diffFilter=",
    "man.evil.cmd=",
    "merge.evil.driver=",
    "pager.cat-file=",
    "pager.diff-tree=",
    "pager.log=",
    "pager.ls-files=",
    "pager.rev-list=",
    "remote.origin.uploadpack=",
    "sequence.editor=",
    "uploadpack.packObjectsHook=",
];

/// Every commit is signed, the clone lacks contents that it would have to fetch, and a file that a
/// commit removed has its entry in the lockfile still.
#[cfg(unix)]
#[test]
fn no_command_runs_a_program_that_the_repository_names() {
    let ci = Ci::new(3);
    let author = ci.machine();
    let signer = author.path.join(".git/signer");
    let signs = "cat > /dev/null\nprintf '\\n[GNUPG:] SIG_CREATED \\n' >&2\necho '-----BEGIN PGP SIGNATURE-----'\n";
    std::fs::write(&signer, format!("#!/bin/sh\n{signs}")).unwrap();
    system::make_executable(&signer);
    for (name, value) in [("gpg.program", signer.to_str().unwrap()), ("commit.gpgSign", "true")] {
        author.git(&["config", name, value]);
    }
    std::fs::write(author.path.join("ui/gone.png"), png(9)).unwrap();
    ci.run(&author, &["sync", "--once"]).expect(0);
    author.write(".gitattributes", "* filter=evil diff=evil merge=evil\n");
    push(&author, "synced");
    std::fs::remove_file(author.path.join("ui/gone.png")).unwrap();
    std::fs::write(author.path.join("ui/1.png"), png(40)).unwrap();
    push(&author, "removed");
    assert!(author.git(&["cat-file", "commit", "HEAD"]).contains("gpgsig"));
    ci.hub_git(&["config", "uploadpack.allowFilter", "true"]);
    let machine = ci.hub.clone_partly("stranger", &["--filter=blob:none"]);
    let (evil, mark) = (machine.path.join(".git/evil"), machine.path.join(".git/ran"));
    std::fs::write(&evil, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\n", mark.display())).unwrap();
    system::make_executable(&evil);
    for hook in ["post-checkout", "post-index-change", "pre-auto-gc", "query-watchman", "reference-transaction"] {
        std::fs::copy(&evil, machine.path.join(".git/hooks").join(hook)).unwrap();
    }
    for setting in PROGRAMS {
        let (name, value) = setting.split_once('=').unwrap();
        machine.git(&["config", name, &format!("{value}{}", evil.display())]);
    }
    machine.git(&["config", "log.showSignature", "true"]);
    for url in ["ssh://example.invalid/game", &format!("ext::{} %S", evil.display())] {
        machine.git(&["config", "remote.origin.url", url]);
        // The same bytes at another time.
        std::fs::write(machine.path.join("ui/2.png"), std::fs::read(machine.path.join("ui/2.png")).unwrap()).unwrap();
        let asset = ["history", "ui/gone.png"];
        for args in [&["plan"][..], &["status"], &["doctor"], &["check"], &asset, &["outputs"], &["sync", "--once"]] {
            let _ = std::fs::remove_file(&mark);
            ci.run(&machine, args);
            assert!(!mark.exists(), "{args:?}: {}", std::fs::read_to_string(&mark).unwrap());
        }
    }
}

/// Files of a pull request that make a folder look like a repository ("embedded bare repository"): git finds that one
/// first, and runs the programs that its `config` names.
#[cfg(unix)]
#[test]
fn files_that_look_like_a_repository_lead_git_to_no_other_one() {
    let ci = Ci::new(0);
    let machine = ci.machine();
    let (evil, mark) = (machine.path.join(".git/evil"), machine.path.join(".git/ran"));
    std::fs::write(&evil, format!("#!/bin/sh\necho \"$0 $*\" >> '{}'\n", mark.display())).unwrap();
    system::make_executable(&evil);
    let config = format!("[core]\n\tbare = false\n\tworktree = ..\n\tfsmonitor = {}\n", evil.display());
    for (name, text) in [
        ("assets.toml", "[creator]\nuser_id = 1\n[globs.ui]\npath = \"*.png\"\n"),
        ("HEAD", "ref: refs/heads/main\n"),
        ("objects/x", ""),
        ("refs/x", ""),
        ("config", &config),
    ] {
        machine.write(&format!("game/{name}"), text);
    }
    std::fs::write(machine.path.join("game/a.png"), png(1)).unwrap();
    push(&machine, "planted");
    let manifest = ["--manifest", "game/assets.toml"];
    let publishes = ["sync", "--once", "--on-change", "macadam-commit-push"];
    let refused = ci.run(&machine, &[&publishes[..], &manifest].concat()).expect(3);
    assert!(
        refused.stderr.contains("if `HEAD`, `objects` and `refs` are files of the project there"),
        "{}",
        refused.stderr
    );
    assert_eq!(ci.creates(), 0, "told before anything is uploaded");
    ci.run(&machine, &[&["init", "--merge-driver"], &manifest[..]].concat()).expect(0);
    assert_eq!(machine.read("game/config"), config);
    assert!(machine.git(&["config", "merge.macadam.driver"]).contains("lockfile merge"));
    assert!(!mark.exists(), "{}", std::fs::read_to_string(&mark).unwrap());
    for name in ["HEAD", "objects", "refs"] {
        machine.git(&["rm", "-q", "-r", &format!("game/{name}")]);
    }
    push(&machine, "taken out");
    ci.run(&machine, &[&publishes[..], &manifest].concat()).expect(0);
    assert_eq!((ci.creates(), machine.git(&["log", "-1", "--format=%s"])), (1, "assets: sync\n".to_owned()));
}
