//! `macadam plan` with nothing to do, beside `git status` in the same tree: both look at every file
//! and find it as it was.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::figures::{Section, Spread};
use super::support::Project;
use super::tree::Tree;

/// Each is run so often, in turns.
const RUNS: usize = 15;

/// So much longer may a plan take, in times.
const MOST: f64 = 2.0;

/// Measures both; `None`: there is no git.
pub fn run(tree: &Tree) -> Option<Section> {
    Command::new("git").arg("--version").stdout(Stdio::null()).status().ok().filter(|status| status.success())?;
    let project = &tree.project;
    for args in [&["init", "--quiet"][..], &["add", "--all"], &["commit", "--quiet", "--message=all"]] {
        time(&mut git(project, args));
    }
    // In a checkout the state is in git's folder.
    project.sync();
    let mut plans = Vec::new();
    let mut statuses = Vec::new();
    // The first of each is not counted: it warms the caches.
    for round in 0..=RUNS {
        let plan = time(&mut project.command(&["plan", "--detailed-exitcode"]));
        let status = time(&mut git(project, &["status", "--porcelain"]));
        if round > 0 {
            plans.push(plan);
            statuses.push(status);
        }
    }
    let (plan, status) = (Spread::of(plans), Spread::of(statuses));
    let mut section = Section::new(format!("plan: nothing to do with {} files, {RUNS} runs", tree.files.len()));
    section.add("macadam plan: median", plan.median(), "ms");
    section.add("macadam plan: least", plan.percentile(0), "ms");
    section.add("git status: median", status.median(), "ms");
    section.add("git status: least", status.percentile(0), "ms");
    section.measure("macadam plan / git status", plan.median() / status.median(), "times", MOST);
    Some(section)
}

fn git(project: &Project, args: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=bench", "-c", "user.email=bench@example.com", "-c", "gc.auto=0"]).args(args);
    command.current_dir(project.path()).env_clear().env("HOME", project.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// How long a command takes as a whole process. It must succeed.
fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status().expect("it starts");
    let time = began.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    time
}
