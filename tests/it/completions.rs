//! What a shell is told while a person types: addresses, revisions and codes of the project.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::SystemTime;

use super::support::{GLOBS, Project, Ran, Remote, png, rbxmx};

/// A project with three revisions of a model and a picture; nothing else runs.
fn project(remote: &Remote) -> Project {
    let project = Project::new(&format!("{GLOBS}\n[assets.sword]\npath = \"sword.rbxmx\"\n")).at(&remote.url());
    project.write("ui/close.png", png(1));
    project.write("ui/odd $(id).png", png(2));
    for content in ["one", "two", "three"] {
        project.write("sword.rbxmx", rbxmx(content));
        project.sync();
    }
    project
}

/// The words that are offered for the last one of a line.
fn offered(project: &Project, words: &[&str]) -> Vec<String> {
    let line: Vec<&str> = ["--", "macadam"].into_iter().chain(words.iter().copied()).collect();
    let mut command = project.command(&[]);
    let index = (line.len() - 2).to_string();
    command.env("MACADAM_COMPLETE", "bash").env("_CLAP_COMPLETE_INDEX", index).env("_CLAP_IFS", "\n");
    let mut plain = Command::new(command.get_program());
    plain.current_dir(project.path()).env_clear().args(line);
    plain.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    let ran = Ran::of(plain.output().unwrap());
    assert_eq!(ran.stderr, "");
    ran.stdout.lines().map(str::to_owned).filter(|word| !word.starts_with('-')).collect()
}

/// Every file of the project, with its length and time.
fn files(project: &Project) -> BTreeMap<PathBuf, (u64, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut open = vec![project.path().to_owned()];
    while let Some(folder) = open.pop() {
        for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let about = entry.metadata().unwrap();
            if about.is_dir() {
                open.push(entry.path());
            } else {
                found.insert(entry.path(), (about.len(), about.modified().unwrap()));
            }
        }
    }
    found
}

#[test]
fn commands_are_offered_by_their_own_names() {
    let project = Project::new(GLOBS);
    let all = offered(&project, &[""]);
    let has = |name: &str| all.iter().any(|word| word == name);
    assert!(has("plan") && has("status") && !has("diff") && !has("list"), "{all:?}");
    assert_eq!(offered(&project, &["dif"]), ["diff"]);
}

#[test]
fn addresses_and_revisions_of_the_project_are_offered() {
    let remote = Remote::start();
    let project = project(&remote);
    let (before, requests) = (files(&project), remote.all_requests());
    for command in [
        "pin", "status", "list", "diff", "retry", "forget", "open", "history", "archive", "restore", "resolve",
        "recreate",
    ] {
        assert_eq!(offered(&project, &[command, ""]), ["sword", "ui/", "ui/close.png"], "{command}");
        assert_eq!(offered(&project, &[command, "ui/"]), ["ui/close.png"], "{command}");
    }
    assert_eq!(offered(&project, &["pin", "sword", ""]), ["3", "2", "1"]);
    assert_eq!(offered(&project, &["history", "sword", "2"]), ["2"]);
    assert_eq!(offered(&project, &["pin", "ui/close.png", "s"]), ["sword"]);
    assert_eq!(offered(&project, &["sync", "--once", "--overwrite", ""]), ["sword", "ui/", "ui/close.png"]);
    assert!(offered(&project, &["unpin", ""]).is_empty());
    assert!(offered(&project, &["sta"]).contains(&"status".to_owned()));
    assert_eq!(files(&project), before, "completing wrote something");
    assert_eq!(remote.all_requests(), requests);
    project.run(&["pin", "sword", "1"]).expect(0);
    assert_eq!(offered(&project, &["unpin", ""]), ["sword"]);
}

/// Nothing was uploaded, so no lockfile names a file.
#[test]
fn files_that_a_glob_finds_are_offered_before_they_are_uploaded() {
    let project = Project::new(&format!("{GLOBS}\n[assets.sword]\npath = \"ui/sword.png\"\n"));
    for name in ["ui/a.png", "ui/icons/b.png", "ui/odd $(id).png", "ui/sword.png", "doc/c.png", "ui/notes.txt"] {
        project.write(name, png(1));
    }
    assert_eq!(offered(&project, &["plan", ""]), ["sword", "ui/"]);
    assert_eq!(offered(&project, &["plan", "ui/"]), ["ui/a.png", "ui/icons/"]);
    assert_eq!(offered(&project, &["plan", "ui/icons/"]), ["ui/icons/b.png"]);
    assert_eq!(offered(&project, &["plan", "ui/a.png", "ui/"]), ["ui/icons/"]);
    for nothing in ["doc/", "../", "ui/../", "/"] {
        assert!(offered(&project, &["plan", nothing]).is_empty(), "{nothing}");
    }
}

#[test]
fn the_code_of_a_held_archiving_is_offered() {
    let remote = Remote::start();
    remote.control().set_switch("operation_visible_after_ms", "0").unwrap();
    let project = Project::new(&format!("{GLOBS}\n[policy]\nremoved = \"archive\"\narchive_after = \"0d\"\n"));
    let project = project.at(&remote.url());
    (1..=6).for_each(|shade| project.write(&format!("ui/{shade}.png"), png(shade)));
    project.sync();
    project.let_reads_catch_up();
    (1..=4).for_each(|shade| project.remove(&format!("ui/{shade}.png")));
    project.run(&["sync", "--once"]).expect(1);
    let url = remote.url();
    let codes = offered(&project, &["--api-url", &url, "sync", "--once", "--confirm", ""]);
    assert_eq!(codes.len(), 1, "{codes:?}");
    project.run(&["sync", "--once", "--confirm", &codes[0]]).expect(0);
}

#[test]
fn nothing_is_offered_and_nothing_said_where_nothing_can_be_known() {
    let remote = Remote::start();
    let project = project(&remote);
    for (manifest, lockfile) in [("[", None), ("", Some("<<<<<<< ours\n")), ("[[assets]]", Some("\u{0}\u{1}"))] {
        project.write("assets.toml", manifest);
        if let Some(text) = lockfile {
            project.write("assets.lock.toml", text);
        }
        for words in [&["pin", ""][..], &["pin", "sword", ""], &["sync", "--once", "--confirm", ""], &["unpin", ""]] {
            offered(&project, words);
        }
    }
    project.remove("assets.toml");
    assert!(offered(&project, &["pin", ""]).is_empty());
}

#[cfg(unix)]
#[test]
fn bash_completes_by_the_script() {
    let Ok(bash) = Command::new("bash").arg("--version").output() else { return };
    assert!(bash.status.success());
    let remote = Remote::start();
    let project = project(&remote);
    let script = project.run(&["completions", "bash"]).expect(0).stdout;
    assert!(script.trim_end().lines().last().unwrap().contains("bash-completion/completions/macadam"), "{script}");
    project.write("macadam.bash", script);
    let lockfile = project.read("assets.lock.toml");
    project.write("assets.lock.toml", lockfile.replace("[assets.\"ui/close.png\"]", "[assets.\"close@user:1\"]"));
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_macadam")).parent().unwrap().display().to_string();
    // As bash splits the line, and the words that it offers in place of the last one.
    let typed = |words: &str, index: usize| {
        let line = format!(
            "PATH={bin}:$PATH; source macadam.bash; COMP_WORDS=(macadam {words}); COMP_CWORD={index}; COMP_TYPE=9; \
             last=${{COMP_WORDS[COMP_CWORD]}}; case $last in :|@) last='';; esac; \
             _clap_complete_macadam macadam \"$last\" x; printf '%s\\n' \"${{COMPREPLY[@]}}\""
        );
        let ran = Command::new("bash").args(["--norc", "-c", &line]).current_dir(project.path()).output().unwrap();
        let words = Ran::of(ran).expect(0).stdout;
        words.lines().map(str::to_owned).filter(|word| !word.starts_with('-')).collect::<Vec<_>>()
    };
    assert_eq!(typed("pin sw", 2), ["sword"]);
    assert_eq!(typed("pin sword ''", 3), ["3", "2", "1"]);
    assert_eq!(typed("--api-url http : //127.0.0.1 : 9 pin sw", 8), ["sword"]);
    assert_eq!(typed("--api-url http : //127.0.0.1 : 9 pin sword ''", 9), ["3", "2", "1"]);
    assert_eq!(typed("sta", 1), ["status"]);
    for (words, index, rest) in [
        ("clo", 2, "close@user:1"),
        ("close @", 3, "user:1"),
        ("close @ us", 4, "user:1"),
        ("close @ user :", 5, "1"),
        ("close @ user : 1", 6, "1"),
    ] {
        assert_eq!(typed(&format!("pin {words}"), index), [rest], "{words}");
    }
}

#[cfg(unix)]
#[test]
fn fish_completes_by_the_script() {
    if Command::new("fish").arg("--version").output().is_err() {
        return;
    }
    let remote = Remote::start();
    let project = project(&remote);
    project.write("macadam.fish", project.run(&["completions", "fish"]).expect(0).stdout);
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_macadam")).parent().unwrap().display().to_string();
    let typed = |line: &str| {
        let script = format!("set -x PATH {bin} $PATH; source macadam.fish; complete -C '{line}'");
        let mut fish = Command::new("fish");
        fish.args(["--no-config", "-c", &script]).current_dir(project.path()).env("HOME", project.path());
        let words = Ran::of(fish.output().unwrap()).expect(0).stdout;
        let words = words.lines().map(|line| line.split('\t').next().unwrap().to_owned());
        words.filter(|word| !word.starts_with('-')).collect::<Vec<_>>()
    };
    assert_eq!(typed("macadam pin sw"), ["sword"]);
    assert_eq!(typed("macadam --api-url http://127.0.0.1:9 pin sword "), ["3", "2", "1"]);
    assert_eq!(typed("macadam sta"), ["status"]);
}

/// An interactive zsh with nothing but the script, as the place that the script names loads it.
#[cfg(unix)]
const ZSHRC: &str = "TMOUT=30\nPS1='ready> '\nfpath=($ZDOTDIR $fpath)\nautoload -U compinit && compinit -u -D\n\
    show() { print -r -- \"<<$BUFFER>>\"; exit }\nzle -N show\nbindkey '^X' show\nbindkey '^I' menu-complete\n";

/// Types a line and a tab into it, and prints what the line is then.
#[cfg(unix)]
const TYPE: &str = "zmodload zsh/zpty || exit 77\nzpty shell \"env ZDOTDIR=$PWD TERM=vt100 zsh -d -i\"\n\
    zpty -r shell seen '*ready> *' || exit 1\nzpty -w -n shell \"$1\"$'\\t\\x18'\n\
    zpty -r shell seen '*<<*>>*' || exit 1\nprint -r -- ${${seen##*<<}%%>>*}\n";

#[cfg(unix)]
#[test]
fn zsh_completes_by_the_script() {
    if Command::new("zsh").args(["-f", "-c", "zmodload zsh/zpty"]).output().is_err() {
        eprintln!("skipped: there is no zsh here");
        return;
    }
    let remote = Remote::start();
    let project = project(&remote);
    let script = project.run(&["completions", "zsh"]).expect(0).stdout;
    assert!(script.trim_end().lines().last().unwrap().contains("~/.zfunc/_macadam"), "{script}");
    for (name, content) in [("_macadam", script.as_str()), (".zshrc", ZSHRC), ("type.zsh", TYPE)] {
        project.write(name, content);
    }
    let bin = std::path::Path::new(env!("CARGO_BIN_EXE_macadam")).parent().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let path = std::env::join_paths(std::iter::once(bin.to_owned()).chain(std::env::split_paths(&path))).unwrap();
    // Each in a shell of its own, so that each is the first one.
    let typed = |line: &str| {
        let mut zsh = Command::new("zsh");
        zsh.args(["-f", "type.zsh", line]).current_dir(project.path()).env("PATH", &path).env("HOME", project.path());
        let line = Ran::of(zsh.output().unwrap()).expect(0).stdout;
        line.trim_end_matches('\n').to_owned()
    };
    assert_eq!(typed("macadam pin sw").trim_end(), "macadam pin sword");
    assert_eq!(
        typed("macadam --api-url http://127.0.0.1:9 pin sword ").trim_end(),
        "macadam --api-url http://127.0.0.1:9 pin sword 3"
    );
    assert_eq!(typed("macadam sta").trim_end(), "macadam status");
}
