//! Misleading text and surroundings: names that give commands to a build log, an output that can't
//! be written, an environment that makes a library panic.

use std::fs::File;
use std::process::Stdio;

use crate::support::{Project, Ran, png};

/// Names that a stranger's pull request may hold.
const NAMES: [&str; 4] = ["::add-mask::x", "##[add-mask]x", "##vso[task.complete]", "gnp\u{202e}.exe"];

fn hostile() -> Project {
    let mut manifest = "[creator]\nuser_id = 1\n".to_owned();
    for (number, name) in NAMES.iter().enumerate() {
        manifest += &format!("[assets.\"{name}\"]\npath = \"{number}.png\"\n");
    }
    let project = Project::new(&manifest);
    for number in 0..NAMES.len() {
        project.write(&format!("{number}.png"), png(u8::try_from(number).unwrap()));
    }
    project
}

#[test]
fn no_name_gives_a_command_to_a_build_log_or_turns_text() {
    let project = hostile();
    let check = |args: &[&str]| {
        let Ran { stdout, stderr, .. } = project.run(args);
        for line in stdout.lines().chain(stderr.lines()) {
            let start = line.trim_start();
            assert!(!start.starts_with("::") && !line.contains("##[") && !line.contains("##vso["), "{args:?}: {line}");
            assert!(!line.contains('\u{202e}'), "{args:?}: {line}");
        }
        stdout + &stderr
    };
    let plan = check(&["plan", "--emulator"]);
    assert!(plan.contains("\\u{3a}:add-mask::x") && plan.contains("\\u{202e}.exe"), "it is shown, escaped: {plan}");
    check(&["sync", "--once", "--emulator"]);
    check(&["status", "--emulator"]);
    for name in NAMES {
        check(&["history", "--emulator", "--", name]);
        check(&["pin", "--emulator", "--", name, "7"]);
    }
    project.write("assets.toml", "[creator]\nuser_id = 1\n[assets.\"::error::\\u202e\"]\npaht = \"::x\"\n");
    check(&["check"]);
    let (_, document) = hostile().json(&["status", "--emulator"]);
    let exact = document["assets"].as_array().unwrap().iter().map(|asset| asset["address"].as_str().unwrap());
    let mut wanted = NAMES.to_vec();
    wanted.sort_unstable();
    assert_eq!(exact.collect::<Vec<_>>(), wanted, "JSON stays exact");
}

#[test]
#[cfg_attr(not(target_os = "linux"), ignore = "no /dev/full")]
fn a_result_that_can_not_be_written_is_no_success() {
    let project = hostile();
    for args in [&["check"][..], &["check", "--json"], &["plan", "--emulator"], &["completions", "bash"], &["--help"]] {
        let full = File::options().write(true).open("/dev/full").unwrap();
        let output = project.command(args).stdout(full).stderr(Stdio::piped()).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        let told = String::from_utf8(output.stderr).unwrap();
        assert!(told.contains("standard output: No space left"), "{args:?}: {told}");
    }
}

#[test]
fn no_number_of_threads_in_the_environment_makes_it_panic() {
    for threads in ["0", "-1", "many", ""] {
        let mut project = hostile();
        project.set_env("TOKIO_WORKER_THREADS", threads);
        project.run(&["plan", "--emulator"]).expect(0);
    }
}
