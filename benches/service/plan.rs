//! `macadam plan` with nothing to do, compared to `git status` in the same tree. Both examine every
//! file and find it unchanged.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::figures::{Section, Spread};
use super::support::Project;
use super::tree::Tree;

/// The number of runs of each, in turns.
const RUNS: usize = 15;

/// The most times longer that a plan may take.
const MOST: f64 = 2.0;

/// Measures both, or returns `None` if git is missing.
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
    // The first run of each is not counted: it warms the caches.
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

/// Measures a command as a whole process. It must succeed.
fn time(command: &mut Command) -> Duration {
    command.stdin(Stdio::null()).stdout(Stdio::null());
    let began = Instant::now();
    let status = command.status().expect("it starts");
    let time = began.elapsed();
    assert!(status.success(), "{command:?}: {status}");
    time
}
