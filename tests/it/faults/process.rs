//! The process: too few open files, and stopped for longer than its patience.

use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::json;

use super::{Trial, side_by_side};
use crate::support::system::{Signal, send};
use crate::support::{Ran, SECRET, png};

#[test]
#[cfg_attr(windows, ignore = "no limit of open files")]
fn without_a_descriptor_left_nothing_is_lost() {
    let cases = [("4", 4), ("7", 7), ("10", 10), ("13", 13), ("16", 16), ("20", 20), ("24", 24), ("32", 32)];
    side_by_side(&cases, |count| {
        let trial = Trial::new();
        (0..20).for_each(|shade| trial.project.write(&format!("ui/more-{shade}.png"), png(100 + shade)));
        let inner = trial.project.command(&["sync", "--once", "--json", "--timeout", "5s"]);
        let mut command = Command::new("sh");
        // Whoever runs the tests may have left some open.
        let close = "exec 3>&- 4>&- 5>&- 6>&- 7>&- 8>&- 9>&-";
        command
            .arg("-c")
            .arg(format!("{close}; ulimit -n {count}; exec \"$0\" \"$@\""))
            .arg(inner.get_program())
            .args(inner.get_args());
        command.current_dir(trial.project.path()).env("ROBLOX_API_KEY", SECRET);
        let ran = Ran::of(command.output().unwrap());
        assert!(!ran.stderr.contains("panicked"), "{count}: {}", ran.stderr);
        assert!(matches!(ran.code, 0 | 1 | 3), "{count}: {} {} {}", ran.code, ran.stdout, ran.stderr);
        let fired = ran.code == 3 || ran.stderr.contains("Too many open files");
        assert!(fired || *count >= 24, "{count} were enough: {}", ran.stdout);
        trial.settle();
        assert_eq!(trial.events("in_doubt"), 0, "what found no descriptor was never sent");
        assert_eq!(trial.remote.assets().len(), 23);
    });
}

#[test]
#[cfg_attr(windows, ignore = "no signal stops a process for a while")]
fn a_process_stopped_for_longer_than_its_patience_continues() {
    let slow = json!({"match": {"endpoint": "create_asset"}, "times": 4, "action": {"kind": "delay", "before_commit_ms": 500}});
    let trial = Trial::new().fault(slow);
    (0..20).for_each(|shade| trial.project.write(&format!("ui/more-{shade}.png"), png(100 + shade)));
    let mut command = trial.project.command(&["sync", "--once", "--json", "--patience", "2s"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while trial.remote.control().counters().in_flight == 0 && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_millis(2));
    }
    send(&child, Signal::STOP);
    std::thread::sleep(Duration::from_secs(3));
    send(&child, Signal::CONT);
    let ran = Ran::of(child.wait_with_output().unwrap());
    assert!(matches!(ran.code, 0 | 1), "{} {}", ran.stdout, ran.stderr);
    trial.converge();
}
