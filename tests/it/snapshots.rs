//! Whole outputs as a person sees them, in files of `snapshots/`: a changed sentence is one line of
//! a diff there.
//!
//! `INSTA_UPDATE=always cargo test --test it snapshots::` writes them again. Read next: `output`,
//! for the parts that depend on a situation.

use std::path::Path;

use super::output::stable;
use super::support::{Project, Ran, png};
use super::sync::copy;

/// A terminal of 80 columns.
fn at_80_columns(project: &Project, args: &[&str]) -> Ran {
    Ran::of(project.command(args).env("COLUMNS", "80").output().unwrap())
}

/// Runs a command, and adds it with its output and a bad exit code to the transcript.
fn typed(project: &Project, args: &[&str], transcript: &mut String) {
    let ran = at_80_columns(project, args);
    let printed = format!("{}{}", ran.stdout, ran.stderr);
    let code = if ran.code == 0 { String::new() } else { format!("[exit code {}]\n", ran.code) };
    transcript.push_str(&format!("$ macadam {}\n{}{code}\n", args.join(" "), without_times(&stable(&printed))));
}

/// The same text with `WHEN` for each time.
fn without_times(text: &str) -> String {
    let is_time =
        |word: &str| word.len() == 10 && word.starts_with("20") && word.as_bytes().get(4).copied() == Some(b'-');
    let lines = text.lines().map(|line| match line.split(' ').find(|word| is_time(word)) {
        Some(day) => {
            let at = line.find(day).unwrap();
            let clock = line[at + 10..].len().min(9);
            format!("{}WHEN{}\n", &line[..at], &line[at + 10 + clock..])
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

#[test]
fn help() {
    let project = Project::new("");
    let commands = [
        "init",
        "check",
        "plan",
        "sync",
        "outputs",
        "status",
        "history",
        "open",
        "pin",
        "unpin",
        "import",
        "forget",
        "archive",
        "restore",
        "recreate",
        "resolve",
        "retry",
        "doctor",
        "lockfile merge",
        "emulator",
        "completions",
        "man",
        "schema",
    ];
    let all = at_80_columns(&project, &["--help"]).expect(0).stdout;
    for command in all.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty()) {
        let name =
            command.split_whitespace().next().filter(|_| command.starts_with("  ") && !command.starts_with("   "));
        let is_shown = |name: &str| commands.iter().any(|shown| shown.split(' ').next() == Some(name));
        assert!(name.is_none_or(|name| name == "help" || is_shown(name)), "the help of `{command}` is not shown here");
    }
    let mut transcript = format!("$ macadam --help\n{all}\n");
    let options = at_80_columns(&project, &["help", "options"]).expect(0).stdout;
    transcript.push_str(&format!("$ macadam help options\n{options}\n"));
    for command in commands {
        let words: Vec<&str> = command.split(' ').chain(["--help"]).collect();
        // The options for every command are shown once, above.
        let text = at_80_columns(&project, &words).expect(0).stdout;
        let own = text.split("Options for every command:").next().unwrap();
        transcript.push_str(&format!("$ macadam {command} --help\n{}\n\n", own.trim_end()));
    }
    insta::assert_snapshot!("help", transcript);
}

#[test]
fn the_quickstart_in_a_rehearsal() {
    let project = Project::new("");
    copy(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/examples/quickstart")), project.path());
    project.remove_state();
    let mut transcript = String::new();
    let mut type_all = |commands: &[&[&str]], project: &Project| {
        for args in commands {
            typed(project, args, &mut transcript);
        }
    };
    type_all(
        &[
            &["check"],
            &["plan", "--emulator"],
            &["sync", "--once", "--emulator"],
            &["sync", "--once", "--emulator"],
            &["status", "--emulator"],
            &["history", "crate", "--emulator"],
        ],
        &project,
    );
    project.write("ui/coin.png", png(9));
    project.write("ui/new.png", png(10));
    project.remove("ui/close.png");
    let manifest = project.read("assets.toml").replace("Wooden crate", "Crate");
    project.write("assets.toml", manifest);
    type_all(
        &[
            &["plan", "--emulator"],
            &["sync", "--once", "--emulator", "--locked"],
            &["sync", "--once", "--emulator"],
            &["plan", "--emulator"],
            &["status", "--emulator"],
            &["retry", "crate", "--emulator"],
            &["resolve", "crate", "--recreate", "--emulator"],
            &["forget", "ui/close.png", "--emulator"],
            &["archive", "wave", "--yes", "--emulator"],
            &["restore", "wave", "--emulator"],
            &["status", "nothing", "--emulator"],
        ],
        &project,
    );
    project.write("ui/coin.png", "no picture");
    type_all(&[&["check"], &["plan", "--emulator"], &["sync", "--once", "--emulator"]], &project);
    project.write("assets.toml", project.read("assets.toml").replace("display_name", "displayname"));
    type_all(&[&["check"]], &project);
    insta::assert_snapshot!("quickstart", transcript);
}
