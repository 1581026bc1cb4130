//! Whole outputs as a person sees them, in files of `snapshots/`: a changed sentence is one line of
//! a diff there.
//!
//! `INSTA_UPDATE=always cargo test --test it snapshots::` writes them again. Read next: `output`,
//! for the parts that depend on a situation.

use std::path::Path;

use serde_json::Value;

use super::output::{asset_id, stable};
use super::schema;
use super::support::{Project, Ran, Remote, png, rbxmx};
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
    transcript.push_str(&format!(
        "$ macadam {}\n{}{code}\n",
        args.join(" "),
        without_times(&in_order(&stable(&printed)))
    ));
}

/// The same text with results, which are printed as they happen, in the order of their addresses.
fn in_order(text: &str) -> String {
    let is_result = |line: &&str| line.contains(" (rbxassetid:") && !line.contains("[rehearsal]   ");
    let address = |line: &str| {
        line.split(" (rbxassetid:").next().and_then(|start| start.split(' ').next_back()).map(str::to_owned)
    };
    let mut lines: Vec<&str> = text.lines().collect();
    for results in lines.chunk_by_mut(|one, next| is_result(one) && is_result(next)) {
        results.sort_by_key(|line| (address(line), line.contains("changed ")));
    }
    lines.iter().map(|line| format!("{line}\n")).collect()
}

/// The same text with `WHEN` for each time.
fn without_times(text: &str) -> String {
    let is_time =
        |word: &str| word.len() == 10 && word.starts_with("20") && word.as_bytes().get(4).copied() == Some(b'-');
    let lines = text.lines().map(|line| match line.split(' ').find(|word| is_time(word)) {
        Some(day) => {
            let at = line.find(day).unwrap();
            let rest = &line[at + 10..];
            let clock = if rest.get(6..10) == Some(" UTC") { 10 } else { rest.len().min(9) };
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

/// Prints a document with `ID` for each asset ID and `WHEN` for each time.
fn redacted(document: &mut Value) {
    match document {
        Value::Object(fields) => fields.values_mut().for_each(redacted),
        Value::Array(all) => all.iter_mut().for_each(redacted),
        Value::Number(number) if number.as_u64().is_some_and(|number| number >= 100_000_000) => {
            *document = Value::from("ID");
        }
        Value::String(text) if text.parse::<jiff::Timestamp>().is_ok() => *text = "WHEN".to_owned(),
        Value::String(text) => *text = without_times(&stable(text)).trim_end().to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[test]
fn the_json_of_every_command() {
    let remote = Remote::start();
    let project = Project::new(
        "[creator]\nuser_id = 1\n\n[[outputs]]\npath = \"ids.json\"\n\n[assets.coin]\npath = \"coin.png\"\n\n\
         [assets.crate]\npath = \"crate.rbxmx\"\ndisplay_name = \"Crate\"\n",
    )
    .at(&remote.url());
    project.write("coin.png", png(1));
    project.write("crate.rbxmx", rbxmx("crate"));
    let mut transcript = String::new();
    let mut type_all = |project: &Project, commands: &[&[&str]]| {
        for args in commands {
            let (code, mut document) = project.json(args);
            schema::check(args, &document);
            redacted(&mut document);
            let code = if code == 0 { String::new() } else { format!("[exit code {code}]\n") };
            let command = stable(&args.join(" "));
            transcript.push_str(&format!("$ macadam {command} --json\n{document:#}\n{code}\n"));
        }
    };
    type_all(&project, &[&["check"], &["plan"], &["sync", "--once"], &["outputs", "--check"]]);
    project.write("crate.rbxmx", rbxmx("crate 2"));
    project.sync();
    let status: &[&str] = &["status"];
    type_all(&project, &[status, &["history", "crate"], &["history", "crate", "--remote"]]);
    type_all(&project, &[&["pin", "crate", "1"], &["sync", "--once"], &["unpin", "crate"]]);
    project.sync();
    type_all(&project, &[&["archive", "coin", "--yes"], status, &["restore", "coin"], &["retry", "coin"]]);
    type_all(&project, &[&["resolve", "coin", "--recreate"], &["recreate"]]);
    let asset_id = asset_id(&project, "crate").to_string();
    type_all(&project, &[&["forget", "--yes", "crate"], &["import", "crate", &asset_id]]);
    // A file that is no picture, and a manifest with a mistake.
    project.write("coin.png", "no picture");
    type_all(&project, &[&["check"], &["plan"], &["sync", "--once"], &["sync", "--once", "--locked"]]);
    let lockfile = project.read("assets.lock.toml");
    project.write("base.toml", &lockfile);
    project.write("theirs.toml", lockfile);
    type_all(&project, &[&["lockfile", "merge", "base.toml", "assets.lock.toml", "theirs.toml"]]);
    project.write("assets.toml", "[creator]\nuser = 1\n");
    type_all(&project, &[&["check"], &["status"]]);
    let empty = Project::new("");
    empty.remove("assets.toml");
    type_all(&empty, &[&["init"]]);
    insta::assert_snapshot!("json", transcript);
}
