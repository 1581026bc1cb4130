//! `macadam completions`: scripts for shells, and the words that these scripts ask Macadam for.
//!
//! A script runs Macadam with [`VARIABLE`] set to the shell's name, and with the words of the line
//! after `--`. Addresses come from the lockfile, the manifest and the one folder that is being typed,
//! revisions from the lockfile, a code from a plan. Nothing is written, locked or sent, and a failure
//! completes nothing: a person is typing. Read next: [`super::help`] for the definition that is
//! completed.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use clap::{Parser as _, ValueHint};
use clap_complete::Shell;
use clap_complete::engine::{ArgValueCompleter, CompletionCandidate};
use clap_complete::env::{Bash, Elvish, EnvCompleter, Fish, Powershell, Zsh};

use super::args::{Cli, CompletionsArgs, Global};
use super::exit::{CommandFailure, Exit};
use super::output::{self, Printer};
use super::{help, target};
use crate::engine::report::progress::silent;
use crate::engine::workspace::gather::read_manifest;
use crate::engine::workspace::project::Project;
use crate::engine::workspace::snapshot;
use crate::files::{self, FolderContents};
use crate::model::address::Address;
use crate::model::path::ProjectPath;
use crate::model::proposed::quoted;
use crate::model::recorded::Recorded;
use crate::plan::PlanOptions;
use crate::plan::current::last;
use crate::plan::reason::hold::HoldReason;
use crate::platform::clock;
use crate::state::lockfile;

/// Says which shell asks for words.
const VARIABLE: &str = "MACADAM_COMPLETE";

/// With more addresses than this, their folders are offered first.
const MOST_OFFERED: usize = 200;

/// Prints the script of a shell to standard output.
pub(super) fn run(output: Printer, args: &CompletionsArgs) -> Result<Exit, CommandFailure> {
    let mut script = Vec::new();
    let registration = completer(args.shell).write_registration(VARIABLE, "macadam", "macadam", "macadam", &mut script);
    registration.map_err(|error| CommandFailure::defect(format!("write the script: {error}")))?;
    let script = String::from_utf8_lossy(&script);
    let script = match args.shell {
        Shell::Bash => with_whole_words(&script),
        Shell::Zsh => with_first_answer(&script),
        _ => script.into_owned(),
    };
    let place = place(args.shell);
    output::put(&mut std::io::stdout(), &format!("{script}\n# {place}\n"));
    if std::io::stdout().is_terminal() {
        output.say(place);
    }
    Ok(Exit::Success)
}

/// Words of a line as bash splits them, and as a person means them: bash splits at colons and at
/// `@`, which URLs and addresses have.
const WORDS: [&str; 2] = [
    r#"    local words=("${COMP_WORDS[@]}")
    if [[ "${BASH_VERSINFO[0]}" -ge 4 ]]; then
        words[COMP_CWORD]="$2"
    fi
"#,
    r#"    # bash splits words at colons and at @, which URLs and addresses have.
    local words=() word before='' at
    for ((at = 0; at < ${#COMP_WORDS[@]}; at++)); do
        word="${COMP_WORDS[at]}"
        if ((at == COMP_CWORD)) && [[ "${BASH_VERSINFO[0]}" -ge 4 && "$word" != [:@]* ]]; then
            word="$2"
        fi
        if ((at > 1)) && [[ "${COMP_WORDS[at]}" == [:@]* || "${words[${#words[@]} - 1]}" == *[:@] ]]; then
            if ((at == COMP_CWORD)); then
                before="${words[${#words[@]} - 1]}"
                if [[ "$word" == [:@]* ]]; then before+="$word"; fi
            fi
            words[${#words[@]} - 1]+="$word"
        else
            words+=("$word")
        fi
        if ((at == COMP_CWORD)); then
            _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1))
        fi
    done
"#,
];

/// The end of bash's function, and the same where only the end of a word is replaced.
const REPLIES: [&str; 2] = [
    "        compopt -o nospace\n    fi\n}\n",
    "        compopt -o nospace\n    fi\n    if [[ -n \"$before\" ]]; then\n        \
     COMPREPLY=(\"${COMPREPLY[@]#\"$before\"}\")\n    fi\n}\n",
];

/// Bash's script, for words as a person means them.
fn with_whole_words(script: &str) -> String {
    let [split, whole] = WORDS;
    let [all, end] = REPLIES;
    script.replace(split, whole).replace(all, end)
}

/// The end of zsh's script, and the same where zsh reads the file only for the first line that it
/// completes: it then wants an answer too.
const ZSH_END: [&str; 2] = [
    "compdef _clap_dynamic_completer_macadam macadam\n",
    "compdef _clap_dynamic_completer_macadam macadam\nif [[ $funcstack[1] == _macadam ]]; then\n    \
     _clap_dynamic_completer_macadam \"$@\"\nfi\n",
];

/// Zsh's script, for a file from which zsh loads it by itself.
fn with_first_answer(script: &str) -> String {
    let [registers, answers] = ZSH_END;
    script.replace(registers, answers)
}

/// Where a person puts the script of a shell.
const fn place(shell: Shell) -> &'static str {
    match shell {
        Shell::Bash => {
            "Put this into ~/.local/share/bash-completion/completions/macadam, and open a new shell. It needs the package bash-completion."
        }
        Shell::Fish => "Put this into ~/.config/fish/completions/macadam.fish, and open a new shell.",
        Shell::Zsh => {
            "Put this into ~/.zfunc/_macadam, write `fpath+=~/.zfunc` above `compinit` in ~/.zshrc, and open a new shell."
        }
        Shell::PowerShell => "Add this to the file that $PROFILE names, and open a new shell.",
        Shell::Elvish => "Add this to ~/.config/elvish/rc.elv, and open a new shell.",
        _ => "Put this where your shell reads completions.",
    }
}

fn completer(shell: Shell) -> &'static dyn EnvCompleter {
    match shell {
        Shell::Elvish => &Elvish,
        Shell::Fish => &Fish,
        Shell::PowerShell => &Powershell,
        Shell::Zsh => &Zsh,
        _ => &Bash,
    }
}

/// Answers a shell's question, if that is what the program was started for.
#[expect(clippy::disallowed_methods, reason = "the shell's script says in the environment that it asks")]
pub(super) fn answer(arguments: &[OsString]) -> Option<u8> {
    let shell = std::env::var(VARIABLE).ok()?;
    let all: [&dyn EnvCompleter; 5] = [&Bash, &Elvish, &Fish, &Powershell, &Zsh];
    let completer = all.into_iter().find(|completer| completer.is(&shell))?;
    let words: Vec<OsString> = arguments.iter().skip_while(|word| *word != "--").skip(1).cloned().collect();
    // A message would end up in the line that the person is typing.
    std::panic::set_hook(Box::new(|_| {}));
    let complete = || {
        let mut answer = Vec::new();
        let here = std::env::current_dir().ok();
        completer.write_complete(&mut definition(&words), words.clone(), here.as_deref(), &mut answer)?;
        Ok::<_, std::io::Error>(answer)
    };
    match std::panic::catch_unwind(AssertUnwindSafe(complete)) {
        Ok(Ok(answer)) if !words.is_empty() => {
            output::put(&mut std::io::stdout(), &String::from_utf8_lossy(&answer));
            Some(Exit::Success.code())
        }
        _ => Some(Exit::Unreconciled.code()),
    }
}

/// The definition of the command line, with the values that only this project knows.
fn definition(words: &[OsString]) -> clap::Command {
    let line = Arc::new(TypedLine::of(words));
    let mut command = help::command();
    let names: Vec<String> = command.get_subcommands().map(|below| below.get_name().to_owned()).collect();
    for name in names {
        let line = Arc::clone(&line);
        command = command.mut_subcommand(name, |below| {
            // Of names that mean the same, shells are offered only one: it must be the command's own.
            // The process ends with the answer, and clap keeps only names that live as long.
            let aliases: Vec<&'static str> = below.get_all_aliases().map(|name| &*name.to_owned().leak()).collect();
            let below = below.visible_alias(None::<&'static str>).aliases(aliases);
            below.mut_args(|arg| with_values(arg, &line))
        });
    }
    command.mut_args(|arg| with_values(arg, &line))
}

fn with_values(arg: clap::Arg, line: &Arc<TypedLine>) -> clap::Arg {
    let line = Arc::clone(line);
    let name = arg.get_value_names().and_then(|names| names.first()).map(ToString::to_string).unwrap_or_default();
    match name.as_str() {
        "ADDRESS" => arg.add(ArgValueCompleter::new(move |current: &OsStr| line.addresses_or_revisions(current))),
        "CODE" => arg.add(ArgValueCompleter::new(move |_: &OsStr| line.codes())),
        "PATH" | "FILE" => arg.value_hint(ValueHint::FilePath),
        "DIR" => arg.value_hint(ValueHint::DirPath),
        _ => arg,
    }
}

/// The words that were typed so far.
#[derive(Debug)]
pub(super) struct TypedLine {
    command: String,
    /// Words after the command that are no options.
    pub names: Vec<String>,
    /// Options of the command, each followed by its value.
    pub options: Vec<String>,
    /// The options that say which project and server it is about.
    pub global: Option<Global>,
}

impl TypedLine {
    fn of(words: &[OsString]) -> Self {
        let words: Vec<String> = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        // The last one is being typed.
        Self::of_done(words.split_last().map(|(_, done)| done).unwrap_or_default())
    }

    /// A line of which nothing is being typed any more.
    pub(super) fn of_whole(words: &[OsString]) -> Self {
        let words: Vec<String> = words.iter().skip(1).map(|word| word.to_string_lossy().into_owned()).collect();
        Self::of_done(&words)
    }

    fn of_done(done: &[String]) -> Self {
        let known = KnownOptions::read();
        let (mut plain, mut options) = (Vec::new(), Vec::new());
        let mut global = vec!["macadam".to_owned()];
        let mut rest = done.iter().peekable();
        while let Some(word) = rest.next() {
            let name = word.split('=').next().unwrap_or_default();
            let takes_next = name == word && known.with_value.contains(name);
            let value = if takes_next { rest.next_if(|next| !next.starts_with('-')) } else { None };
            let both = std::iter::once(word).chain(value).cloned();
            match name {
                "--emulator" | "--manifest" | "--state" | "--api-url" | "--api-key-file" => global.extend(both),
                "--" => plain.extend(rest.by_ref().cloned()),
                name if known.global.contains(name) => {}
                name if name.starts_with('-') => options.extend(both),
                _ => plain.push(word.clone()),
            }
        }
        global.push("check".to_owned());
        let mut plain = plain.into_iter();
        let command = plain.next().unwrap_or_default();
        let global = Cli::try_parse_from(global).ok().map(|cli| cli.global);
        Self { command, names: plain.collect(), options, global }
    }

    /// The addresses that the command could be for; `None` if no manifest and no lockfile tells.
    pub(super) fn known_addresses(&self) -> Option<BTreeSet<String>> {
        let project = self.project()?;
        self.addresses(&project, &recorded_in_lockfile(&project))
    }

    /// The project, found without a look at its state.
    fn project(&self) -> Option<Project> {
        let (global, here) = (self.global.as_ref()?, target::here().ok()?);
        let manifest = global.manifest.as_deref();
        if global.emulator {
            return Project::find(manifest, None, &here).ok()?.for_emulator().ok();
        }
        Project::find_files(manifest, &here).ok()
    }

    fn addresses_or_revisions(&self, current: &OsStr) -> Vec<CompletionCandidate> {
        let Some(current) = current.to_str() else { return Vec::new() };
        let Some(project) = self.project() else { return Vec::new() };
        let recorded = recorded_in_lockfile(&project);
        let takes_revision = matches!(self.command.as_str(), "pin" | "history");
        if takes_revision && current.bytes().all(|byte| byte.is_ascii_digit()) {
            let revisions = self.names.first().and_then(|name| revisions(&recorded, name)).unwrap_or_default();
            if !revisions.is_empty() {
                return revisions.into_iter().filter(|one| starts_with(one, current)).collect();
            }
        }
        let typed = |address: &str| self.names.iter().any(|name| name == address);
        let mut known = self.addresses(&project, &recorded).unwrap_or_default();
        if self.command != "unpin" {
            known.extend(files_of_globs(&project, current));
        }
        offered(known.iter().map(String::as_str).filter(|address| !typed(address)), current)
    }

    /// The addresses that the command can be for; `None` if what it needs for them can't be read.
    fn addresses(&self, project: &Project, recorded: &Recorded) -> Option<BTreeSet<String>> {
        let manifest = read_manifest(project).ok().map(|(manifest, _)| manifest);
        let shown = |address: &Address| address.to_string();
        if self.command == "unpin" {
            return manifest.map(|manifest| manifest.pinned().map(shown).collect());
        }
        let explicit = manifest.iter().flat_map(|manifest| manifest.named()).map(shown);
        Some(recorded.assets.keys().map(shown).chain(explicit).collect())
    }

    /// The code that the plan asks for.
    fn codes(&self) -> Vec<CompletionCandidate> {
        let Some(target) = self.global.as_ref().and_then(|global| target::find(global).ok()) else { return Vec::new() };
        let preview = snapshot::preview(&target.project, &target.remote, &silent(), &PlanOptions::default());
        let codes = preview.into_iter().flat_map(|preview| preview.plan.held).filter_map(|hold| match hold.reason {
            HoldReason::ManyArchivings { code, .. } => Some(code),
            _ => None,
        });
        codes.collect::<BTreeSet<String>>().into_iter().map(CompletionCandidate::new).collect()
    }
}

/// The addresses of files in the folder that is being typed, and the folders in it that can have
/// some: only uploaded ones are in the lockfile, and a look at all files could take seconds.
fn files_of_globs(project: &Project, current: &str) -> Vec<String> {
    let Ok((manifest, _)) = read_manifest(project) else { return Vec::new() };
    let selection = manifest.selection();
    let folder = current.rsplit_once('/').map_or("", |(folder, _)| folder);
    let FolderContents { files, folders } = files::one_folder(&project.root, &selection, folder);
    // A file that an entry names has that entry's address.
    let address = |path: &ProjectPath| Address::of_path(path).ok();
    let named: BTreeSet<Address> = selection.explicit.iter().filter_map(address).collect();
    let found = files.iter().filter_map(address).filter(|address| !named.contains(address));
    found.map(|address| address.to_string()).chain(folders).collect()
}

/// The names of options, with their dashes.
struct KnownOptions {
    /// Those that take the next word as their value.
    with_value: BTreeSet<String>,
    /// Those of every command.
    global: BTreeSet<String>,
}

impl KnownOptions {
    fn read() -> Self {
        let whole = help::command();
        let (mut with_value, mut global) = (BTreeSet::new(), BTreeSet::new());
        for arg in std::iter::once(&whole).chain(whole.get_subcommands()).flat_map(clap::Command::get_arguments) {
            let long = arg.get_long().map(|long| format!("--{long}"));
            let short = arg.get_short().map(|short| format!("-{short}"));
            for name in long.into_iter().chain(short) {
                if arg.get_action().takes_values() {
                    with_value.insert(name.clone());
                }
                if arg.is_global_set() {
                    global.insert(name);
                }
            }
        }
        Self { with_value, global }
    }
}

/// Reads the lockfile. None, and one that can't be used, tell nothing.
fn recorded_in_lockfile(project: &Project) -> Recorded {
    let bytes = lockfile::read(&project.lockfile).ok().flatten();
    let ledger = bytes.and_then(|bytes| lockfile::parse(&bytes, &project.lockfile).ok());
    let (mut recorded, now) = (Recorded::default(), clock::now());
    let changes = ledger.map(|ledger| lockfile::import(&recorded, &ledger, now)).unwrap_or_default();
    // They fit: nothing is known yet.
    changes.iter().for_each(|change| drop(recorded.apply(change, now)));
    recorded
}

/// The revisions of an address, newest first; `None` if it is unknown.
fn revisions(recorded: &Recorded, name: &str) -> Option<Vec<CompletionCandidate>> {
    let record = recorded.assets.get(&Address::new(name).ok()?)?;
    let newest = last(record).map(|(key, _)| key);
    let numbers = record.history.numbers();
    let all = record.history.in_order().into_iter().rev().map(|(key, _)| {
        let is_newest = if Some(key) == newest { ", the newest" } else { "" };
        // Each has words of its own: zsh puts those with the same words after all others.
        let number = numbers.of(key);
        let help = format!("revision {number}{is_newest}: {}", key.asset_id.uri());
        CompletionCandidate::new(number.to_string()).help(Some(help.into()))
    });
    Some(all.collect())
}

fn starts_with(candidate: &CompletionCandidate, current: &str) -> bool {
    candidate.get_value().to_str().is_some_and(|value| value.starts_with(current))
}

/// The addresses that begin with `current`; of many, the folders that lead to them. One that a
/// shell would read otherwise than it is written is left out: nobody should run what a lockfile
/// holds.
fn offered<'a>(known: impl Iterator<Item = &'a str>, current: &str) -> Vec<CompletionCandidate> {
    let fitting: Vec<&str> = known.filter(|name| name.starts_with(current) && quoted(name) == *name).collect();
    if fitting.len() <= MOST_OFFERED {
        return fitting.into_iter().map(CompletionCandidate::new).collect();
    }
    let next = |name: &'a str| match name.get(current.len()..).and_then(|rest| rest.find('/')) {
        Some(at) => name.get(..=current.len() + at).unwrap_or(name),
        None => name,
    };
    fitting.into_iter().map(next).collect::<BTreeSet<_>>().into_iter().map(CompletionCandidate::new).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn values(candidates: &[CompletionCandidate]) -> Vec<String> {
        candidates.iter().map(|candidate| candidate.get_value().to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn what_a_shell_reads_otherwise_is_not_offered() {
        let known = ["a.png", "ab c.png", "a$(id).png", "a;id", "b.png", "a`id`"];
        assert_eq!(values(&offered(known.into_iter(), "a")), ["a.png"]);
    }

    #[test]
    fn of_many_addresses_the_folders_come_first() {
        let names: Vec<String> = (0..900).map(|number| format!("ui/{}/{number}.png", number % 3)).collect();
        let offer = |current: &str| values(&offered(names.iter().map(String::as_str), current));
        assert_eq!(offer(""), ["ui/"]);
        assert_eq!(offer("ui/"), ["ui/0/", "ui/1/", "ui/2/"]);
        assert_eq!(offer("ui/0/89"), ["ui/0/891.png", "ui/0/894.png", "ui/0/897.png"]);
    }

    #[test]
    fn the_words_before_tell_command_project_and_names() {
        let line = |words: &[&str]| TypedLine::of(&words.iter().map(OsString::from).collect::<Vec<_>>());
        let typed = line(&["macadam", "--manifest", "game/assets.toml", "pin", "--no-sync", "sword", "--emulator", ""]);
        assert_eq!((typed.command.as_str(), typed.names.as_slice()), ("pin", &["sword".to_owned()][..]));
        let global = typed.global.unwrap();
        assert_eq!((global.manifest.unwrap().to_str().unwrap(), global.emulator), ("game/assets.toml", true));
        assert_eq!(line(&["macadam", "st"]).command, "");
        assert_eq!(line(&[]).command, "");
    }

    #[test]
    fn the_script_of_bash_takes_words_whole() {
        let mut script = Vec::new();
        completer(Shell::Bash).write_registration(VARIABLE, "macadam", "macadam", "macadam", &mut script).unwrap();
        let script = String::from_utf8(script).unwrap();
        assert!(script.contains(WORDS[0]) && script.contains(REPLIES[0]), "{script}");
        let whole = with_whole_words(&script);
        assert!(whole.contains(WORDS[1]) && whole.contains(REPLIES[1]), "{whole}");
    }

    #[test]
    fn the_script_of_zsh_answers_the_first_time_too() {
        let mut script = Vec::new();
        completer(Shell::Zsh).write_registration(VARIABLE, "macadam", "macadam", "macadam", &mut script).unwrap();
        let script = with_first_answer(&String::from_utf8(script).unwrap());
        assert!(script.contains(ZSH_END[1]), "{script}");
    }

    #[test]
    fn every_shell_has_a_script_and_a_place() {
        for shell in [Shell::Bash, Shell::Elvish, Shell::Fish, Shell::PowerShell, Shell::Zsh] {
            let mut script = Vec::new();
            completer(shell).write_registration(VARIABLE, "macadam", "macadam", "macadam", &mut script).unwrap();
            let script = String::from_utf8(script).unwrap();
            assert!(script.contains(VARIABLE) && script.contains("macadam"), "{shell}: {script}");
            assert!(completer(shell).is(&shell.to_string()) && !place(shell).is_empty());
        }
    }
}
