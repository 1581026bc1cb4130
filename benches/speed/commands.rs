//! Commands that end: nothing to do, status, one edit, the first hash.

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use super::child::{Cost, timed, watched};
use super::relay::Relay;
use super::rows::{Goal, Row, Table, median};
use super::support::{GLOBS, Project};
use super::tree::{FOLDERS, Kind, Tree};

/// How long a time stamp must be past for git and Macadam to trust it.
const RACY: Duration = Duration::from_millis(2100);

/// A number of content that no file of the tree has.
const FRESH: u32 = 2_000_000;

/// Another one.
const COMMITTED: u32 = 7_000_000;

/// Puts everything into a repository.
pub fn commit(project: &Project) {
    for args in [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message=all"]] {
        assert_eq!(timed(&mut git(project, args)).code, 0, "git {args:?}");
    }
}

/// Syncs until there is nothing to do and that is proved.
pub fn settle(project: &Project) {
    for _ in 0..3 {
        assert_eq!(timed(&mut project.command(&["sync", "--once"])).code, 0, "it syncs");
        std::thread::sleep(RACY);
    }
    assert_eq!(timed(&mut git(project, &["add", "--all"])).code, 0);
    assert_eq!(timed(&mut project.command(&["sync", "--once"])).code, 0, "it syncs");
}

/// `plan` and `sync --once` with nothing to do.
pub fn nothing(table: &Table, tree: &Tree, runs: usize) {
    let goal = Goal::Ratio { times: 2.0, memory: Some(if tree.files.len() > 10_000 { 100.0 } else { 30.0 }) };
    for (work, args) in [
        ("nothing to do: `plan`", &["plan"][..]),
        ("nothing to do: `plan --json`", &["plan", "--json"]),
        ("nothing to do: `sync --once`", &["sync", "--once"]),
    ] {
        beside_git(table, tree, runs, work, args, goal);
    }
}

/// `status` of all addresses and of one.
pub fn status(table: &Table, tree: &Tree, runs: usize) {
    let one = tree.files[tree.files.len() / 2].0.clone();
    beside_git(table, tree, runs, "`status`", &["status"], Goal::Ratio { times: 2.0, memory: None });
    let goal = Goal::Time { ms: 50.0, memory: Some(30.0) };
    for (work, command) in
        [("one address: `status`", "status"), ("one address: `history`", "history"), ("one address: `open`", "open")]
    {
        beside_git(table, tree, runs, work, &[command, &one], goal);
    }
}

/// Measures a command and `git status` in turns.
fn beside_git(table: &Table, tree: &Tree, runs: usize, work: &'static str, args: &[&str], goal: Goal) {
    let project = &tree.project;
    let (mut own, mut others) = (Vec::new(), Vec::new());
    // The first run of each warms the caches.
    for round in 0..=runs {
        let ours = succeeded(timed(&mut project.command(args)));
        let theirs = succeeded(timed(&mut git(project, &["status", "--porcelain"])));
        if round > 0 {
            own.push(ours.wall);
            others.push(theirs.wall);
        }
    }
    let memory = Some(succeeded(watched(&mut project.command(args))).memory);
    let (time, beside) = (median(own), Some(("`git status`", median(others))));
    table.row(Row { work, files: tree.files.len(), time, beside, memory, goal });
}

/// One edit, `sync --once`: in all, in processor time, and until the request is on the wire.
pub fn edit(table: &Table, tree: &Tree, relay: &Relay, runs: usize) {
    let project = &tree.project;
    let (mut walls, mut cpus, mut wires, mut memory) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for run in 0..runs.min(5) {
        let (path, kind) = &tree.files[run * 7 % tree.files.len()];
        project.write(path, kind.bytes(FRESH + u32::try_from(run).expect("few runs")));
        let began = Instant::now();
        let cost = succeeded(watched(&mut project.command(&["sync", "--once"])));
        let arrival = relay.arrivals().try_iter().last().expect("it was uploaded");
        walls.push(cost.wall);
        cpus.push(cost.cpu);
        wires.push((arrival.at - began).as_secs_f64() * 1000.0);
        memory = memory.max(cost.memory);
    }
    let files = tree.files.len();
    let git_status =
        median((0..5).map(|_| succeeded(timed(&mut git(project, &["status", "--porcelain"]))).wall).collect());
    let beside = Some(("`git status`", git_status));
    let goal = Goal::Time { ms: 1000.0, memory: Some(150.0) };
    table.row(Row {
        work: "one edit: `sync --once`, processor time",
        files,
        time: median(cpus),
        beside: None,
        memory: Some(memory),
        goal,
    });
    table.row(Row {
        work: "one edit: `sync --once`, in all",
        files,
        time: median(walls),
        beside,
        memory: None,
        goal: Goal::None,
    });
    let goal = Goal::Ratio { times: 2.0, memory: None };
    table.row(Row {
        work: "one edit: until the request is out",
        files,
        time: median(wires),
        beside,
        memory: None,
        goal,
    });
    settle(project);
    edit_after_a_commit(table, tree, runs);
}

/// One edit that is committed, with the lockfile of the one before, and then synced.
fn edit_after_a_commit(table: &Table, tree: &Tree, runs: usize) {
    let project = &tree.project;
    let (mut cpus, mut memory) = (Vec::new(), 0);
    for run in 0..runs.min(5) {
        let (path, kind) = &tree.files[run * 11 % tree.files.len()];
        project.write(path, kind.bytes(COMMITTED + u32::try_from(run).expect("few runs")));
        succeeded(timed(&mut git(project, &["commit", "--quiet", "--all", "--message=edited"])));
        let cost = succeeded(watched(&mut project.command(&["sync", "--once"])));
        cpus.push(cost.cpu);
        memory = memory.max(cost.memory);
    }
    table.row(Row {
        work: "one edit after a commit: `sync --once`, processor time",
        files: tree.files.len(),
        time: median(cpus),
        beside: None,
        memory: Some(memory),
        goal: Goal::Time { ms: 1000.0, memory: Some(150.0) },
    });
    settle(project);
}

/// The first hash of all files, with two processes of `openssl` beside it: in a new project, and in a
/// clone, whose lockfile is read too.
pub fn hash(table: &Table, tree: &Tree, runs: usize) {
    let project = &tree.project;
    let lockfile = project.read("assets.lock.toml");
    project.remove("assets.lock.toml");
    hash_of(table, tree, runs, "first hash: `check`");
    project.write("assets.lock.toml", lockfile);
    hash_of(table, tree, runs, "first hash in a clone: `check`");
    settle(project);
}

fn hash_of(table: &Table, tree: &Tree, runs: usize, work: &'static str) {
    let project = &tree.project;
    let folders = FOLDERS.join(" ");
    let openssl = || {
        let mut command = Command::new("sh");
        let script = format!("find {folders} -type f -print0 | xargs -0 -P 2 -n 2500 openssl dgst -sha256");
        command.args(["-c", &script]).current_dir(project.path());
        command
    };
    let (mut own, mut others) = (Vec::new(), Vec::new());
    for round in 0..=runs.min(5) {
        // Without a state nothing is known of any file.
        project.remove_state();
        let ours = succeeded(timed(&mut project.command(&["check"])));
        let theirs = succeeded(timed(&mut openssl()));
        if round > 0 {
            own.push(ours.wall);
            others.push(theirs.wall);
        }
    }
    let beside = Some(("`openssl dgst`, 2 at once", median(others)));
    let goal = Goal::Ratio { times: 1.1, memory: None };
    table.row(Row { work, files: tree.files.len(), time: median(own), beside, memory: None, goal });
}

/// How often each asset is changed before the history is called long.
const CHANGES: u32 = 10;

/// `plan` after one edit among 2,000 models, before and after each was changed some times. In a
/// rehearsal, so that no limit counts.
pub fn history(table: &Table, program: &Path, runs: usize) {
    const MODELS: u32 = 2_000;
    let project = Project::new(GLOBS).run_by(program);
    let write = |model: u32, change: u32| {
        let content = Kind::Model.bytes(change * MODELS + model);
        project.write(&format!("models/{:02}/{model}.rbxmx", model / 50), content);
    };
    for change in 0..=CHANGES {
        (0..MODELS).for_each(|model| write(model, change));
        let sync = timed(project.command(&["sync", "--once", "--emulator", "--yes"]).env_remove("MACADAM_REST"));
        assert_eq!(sync.code, 0, "change {change} is synced");
        if change == 0 || change == CHANGES {
            write(0, CHANGES + 1);
            let plan = || succeeded(timed(&mut project.command(&["plan", "--emulator"])));
            plan();
            let time = median((0..runs).map(|_| plan().wall).collect());
            let work = if change == 0 { "`plan` of an edit, new" } else { "`plan` of an edit, each changed 10 times" };
            let memory = Some(succeeded(watched(&mut project.command(&["plan", "--emulator"]))).memory);
            table.row(Row { work, files: MODELS as usize, time, beside: None, memory, goal: Goal::None });
        }
    }
}

fn succeeded(cost: Cost) -> Cost {
    assert_eq!(cost.code, 0, "a command failed");
    cost
}

pub fn git(project: &Project, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0"]).args(args);
    command.current_dir(project.path()).env_clear().env("HOME", project.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}
