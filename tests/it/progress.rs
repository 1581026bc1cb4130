//! The progress of a long run: what it waits for, counted down, in any terminal; and what a person
//! is told after Ctrl-C.

use std::process::Stdio;

use macadam::emulator::{ApiEndpoint, FaultAction, FaultRule, Point};
use serde_json::json;

use super::everyday::pictures;
use super::support::Ran;
use super::support::system::{self, Signal};

/// The run before spent Roblox's limit, so nothing happens until its window ends.
#[test]
#[cfg(target_os = "linux")]
fn a_terminal_of_80_columns_counts_a_rate_limit_down_while_nothing_happens() {
    use super::support::{GLOBS, Project, Remote, png};
    use macadam::emulator::{Config, EndpointLimits, Limit};

    let mut limits = EndpointLimits::documented();
    limits.endpoints.insert(ApiEndpoint::CreateAsset, Limit::of(2));
    let remote = Remote::with(Config { limits, ..Config::default() });
    let mut project = Project::new(GLOBS).at(&remote.url());
    project.set_env("MACADAM_COLUMNS", "80");
    project.set_env("TERM", "xterm");
    (1..8).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    let wait = || {
        project.run(&["sync", "--once", "--timeout", "4s"]).expect(1);
        project.at_terminal(&["sync", "--once", "--yes", "--timeout", "7s"], "").expect(1).stdout
    };
    let words = |shown: &str| shown.split_whitespace().collect::<Vec<_>>().join(" ");
    let waited = "assets were not started, because Macadam was waiting for Roblox's rate limit";
    let seconds = |shown: &str| {
        let counts = shown.split("rate limit, ").skip(1);
        let mut seconds: Vec<String> =
            counts.filter_map(|rest| rest.split_once(" s").map(|(left, _)| left.to_owned())).collect();
        seconds.dedup();
        seconds
    };
    let mut shown = wait();
    if !words(&shown).contains(waited) || seconds(&shown).len() < 3 {
        // The remote's minute ended meanwhile, so that another one has just begun.
        shown = wait();
    }
    let seconds = seconds(&shown);
    assert!(seconds.len() >= 3 && seconds.iter().all(|left| left.parse::<u8>().is_ok()), "{seconds:?} in {shown}");
    assert!(shown.contains("░ 0 of ") && !shown.contains("0 uploading") && !shown.contains("0 proc"), "{shown}");
    assert!(words(&shown).contains(waited), "{shown}");
}

#[test]
fn after_a_lost_answer_the_line_says_what_it_waits_for_and_its_total_stays() {
    let (remote, mut project) = pictures(&["a", "b"]);
    project.set_env("MACADAM_PROGRESS", "100");
    project.set_env("MACADAM_REST", "4");
    let rule = json!({"match": {"endpoint": "create_asset", "name": "b"}, "times": 1,
                      "action": {"kind": "reset", "at": "after_commit"}});
    remote.control().add_faults(vec![serde_json::from_value(rule).unwrap()]).unwrap();
    let told = project.run(&["sync", "--once"]).expect(0).stderr;
    let waits = |left: &u32| {
        let rest = "before ui/b.png is uploaded again (its first answer got lost)";
        told.contains(&format!("macadam: 1 of 2 done · waiting {left} s {rest}\n"))
    };
    assert!((1..=4).filter(waits).count() > 1, "{told}");
    assert!(!told.contains("of 1 done") && !told.contains("failed"), "{told}");
    assert!(!told.contains("WARN") && !told.contains("it may exist twice"), "the plan's note says it: {told}");
}

/// What a run says that gets Ctrl-C twice while Roblox doesn't answer.
fn interrupted_twice(args: &[&str]) -> String {
    let (remote, mut project) = pictures(&["a"]);
    // A command of `--on-change` is for the real remote.
    project.set_env("MACADAM_STAND_IN", "1");
    let hang = FaultRule::on(ApiEndpoint::CreateAsset, FaultAction::Hang { at: Point::AfterCommit });
    let hang = remote.control().add_faults(vec![hang]).unwrap()[0];
    let mut child = project.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while remote.control().fired(hang) == 0 {
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    system::send(&child, Signal::INT);
    // Two signals that come together are one to the kernel, so the second is repeated.
    while child.try_wait().unwrap().is_none() {
        std::thread::sleep(std::time::Duration::from_millis(300));
        system::send(&child, Signal::INT);
    }
    assert!(!project.file("ran").exists());
    Ran::of(child.wait_with_output().unwrap()).expect(130).stderr
}

#[test]
#[cfg_attr(windows, ignore = "no such signal")]
fn ctrl_c_says_what_is_finished_and_a_second_one_what_may_have_arrived() {
    let told = interrupted_twice(&["sync", "--once"]);
    assert!(told.contains("Stopping: finishing 1 upload. Ctrl-C again stops at once.\n"), "{told}");
    assert!(told.ends_with("Stopped. 1 upload may have arrived; run it again to go on.\n"), "{told}");
}

#[test]
#[cfg_attr(windows, ignore = "no such signal")]
fn a_second_ctrl_c_says_that_the_lockfile_was_not_published() {
    let told = interrupted_twice(&["sync", "--once", "--on-change", "touch ran"]);
    let stopped = "Stopped before the command of --on-change ran. 1 upload may have arrived. Keep this folder";
    assert!(told.contains(stopped) && told.contains("gets no assets.lock.toml of this run"), "{told}");
}
