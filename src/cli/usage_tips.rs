//! Tips for words that other tools have and Macadam doesn't, in place of clap's nearest word.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::help;
use crate::model::proposed::quoted;
use crate::model::shown::foreign;

/// Commands of other tools, and what to type instead.
const COMMANDS: [(&str, &str); 33] = [
    (
        "undo",
        "`macadam pin ADDRESS REVISION` goes back to an earlier revision, `macadam unpin` to the file, `macadam restore` undoes `macadam archive`",
    ),
    ("revert", "`macadam pin ADDRESS REVISION` goes back to an earlier revision; `macadam history ADDRESS` lists them"),
    (
        "add",
        "list the file in assets.toml, under [assets.NAME], or many under [globs.NAME]; then `macadam sync --once`",
    ),
    ("new", "`macadam init` starts a project; list files in assets.toml, and `macadam sync --once` uploads them"),
    ("create", "`macadam init` starts a project; list files in assets.toml, and `macadam sync --once` uploads them"),
    (
        "login",
        "there is no login: Macadam takes an API key, from the variable ROBLOX_API_KEY or a .env file beside the manifest",
    ),
    (
        "auth",
        "there is no login: Macadam takes an API key, from the variable ROBLOX_API_KEY or a .env file beside the manifest",
    ),
    (
        "logout",
        "there is no login: take the API key out of the variable ROBLOX_API_KEY or the .env file beside the manifest",
    ),
    ("update", "`macadam sync --once` uploads what changed"),
    ("show", "`macadam status ADDRESS` shows an asset, `macadam history ADDRESS` its revisions"),
    ("info", "`macadam status ADDRESS` shows an asset, `macadam history ADDRESS` its revisions"),
    ("get", "`macadam open ADDRESS` prints an asset's page and ID; Macadam downloads nothing"),
    ("pull", "Macadam downloads nothing: `macadam import` takes over assets that are on Roblox, by their IDs"),
    ("download", "Macadam downloads nothing: `macadam import` takes over assets that are on Roblox, by their IDs"),
    (
        "clean",
        "Macadam leaves nothing to clean up; `macadam forget` makes it forget an asset, `macadam archive` archives one",
    ),
    ("upload", "`macadam sync --once` uploads what changed"),
    ("push", "`macadam sync --once` uploads what changed"),
    ("apply", "`macadam sync --once` uploads what changed; `macadam plan` previews it"),
    ("deploy", "`macadam sync --once` uploads what changed; `macadam plan` previews it"),
    ("publish", "`macadam sync --once` uploads what changed"),
    ("run", "`macadam sync --once` uploads what changed; `macadam sync` keeps running"),
    ("build", "`macadam sync --once` uploads what changed; `macadam outputs` writes the asset IDs for your code"),
    ("codegen", "`macadam outputs` writes the asset IDs for your code"),
    ("watch", "`macadam sync` keeps running, and uploads whatever changes"),
    (
        "serve",
        "`macadam sync` keeps running, and uploads whatever changes; `macadam emulator` serves a copy of the Roblox API",
    ),
    ("delete", "Roblox can't delete assets: `macadam archive` archives one, `macadam forget` makes Macadam forget it"),
    ("remove", "Roblox can't delete assets: `macadam archive` archives one, `macadam forget` makes Macadam forget it"),
    ("rm", "Roblox can't delete assets: `macadam archive` archives one, `macadam forget` makes Macadam forget it"),
    ("rollback", "`macadam pin ADDRESS REVISION` goes back to an earlier revision"),
    ("log", "`macadam history ADDRESS` shows the revisions of an asset"),
    ("validate", "`macadam check` checks the manifest and every file"),
    ("migrate", "`macadam import --from FILE` moves in from another tool"),
    ("migrate-lockfile", "`macadam import --from FILE` moves in from another tool"),
];

/// Options of other tools, and what to type instead.
const OPTIONS: [(&str, &str); 3] = [
    ("--dry-run", "`macadam plan` shows what a sync would do, and changes nothing"),
    (
        "--api-key",
        "a key on the command line is seen by others: set ROBLOX_API_KEY, or name a file with --api-key-file",
    ),
    ("--watch", "without --once, `macadam sync` keeps running, and uploads whatever changes"),
];

/// What there is in place of `--force`: for `init`, and for every other command.
const FORCE: [&str; 2] = [
    "`macadam init` never overwrites a file: move yours away first",
    "`macadam plan` shows what is in the way, and how to go on",
];

/// The tip for a wrong command line, if it has a word of another tool.
pub(super) fn tip(error: &clap::Error, arguments: &[OsString]) -> Option<String> {
    let wrong = |kind| match error.get(kind) {
        Some(ContextValue::String(word)) => Some(word.as_str()),
        _ => None,
    };
    let known = |table: &[(&str, &str)], word: &str| {
        table.iter().find(|(known, _)| *known == word).map(|(_, tip)| (*tip).to_owned())
    };
    match error.kind() {
        ErrorKind::ValueValidation if command_of(arguments).as_deref() == Some("import") => swapped(arguments),
        ErrorKind::InvalidSubcommand => known(&COMMANDS, wrong(ContextKind::InvalidSubcommand)?),
        ErrorKind::UnknownArgument => {
            let word = wrong(ContextKind::InvalidArg)?;
            let name = word.split('=').next().unwrap_or(word);
            let command = command_of(arguments);
            let [for_init, for_others] = FORCE;
            match (name, command.as_deref()) {
                ("--force" | "-f", Some("init")) => return Some(for_init.to_owned()),
                ("--force" | "-f", _) => return Some(for_others.to_owned()),
                ("--all", command) => return Some(all(command)),
                (name, Some(command @ ("check" | "doctor"))) if !name.starts_with('-') => {
                    return Some(format!(
                        "`macadam {command}` takes no names; `macadam status {name}` shows one asset"
                    ));
                }
                _ => {}
            }
            known(&OPTIONS, name).or_else(|| elsewhere(name)).or_else(|| one_dash(word, arguments))
        }
        _ => None,
    }
}

/// The right order, where an asset ID stands before a name.
fn swapped(arguments: &[OsString]) -> Option<String> {
    let words = arguments.iter().filter_map(|word| word.to_str()).skip_while(|word| *word != "import").skip(1);
    let mut words = words.filter(|word| !word.starts_with('-'));
    let (id, name) = (words.next()?, words.next()?);
    let is_id = |word: &str| word.bytes().all(|byte| byte.is_ascii_digit());
    (is_id(id) && !is_id(name))
        .then(|| format!("the name comes first: `macadam import {} {id}`", quoted(&foreign(name))))
}

/// What there is in place of `--all`.
fn all(command: Option<&str>) -> String {
    match command {
        Some("sync") => "without a name, `macadam sync --once` is about all assets".to_owned(),
        Some(command @ ("status" | "list" | "ls" | "plan" | "diff")) => {
            format!("without a name, `macadam {command}` is about all assets")
        }
        Some(command @ ("history" | "pin" | "unpin" | "archive" | "restore" | "forget")) => {
            format!("'**', in quotes, stands for all assets: `macadam {command} '**'`")
        }
        Some(command) => format!("`macadam {command}` has no `--all`; `macadam {command} --help` shows its options"),
        None => "`macadam --help` shows the commands".to_owned(),
    }
}

/// The command that was typed, if there is one.
pub(super) fn command_of(arguments: &[OsString]) -> Option<String> {
    let commands = help::command();
    let words = arguments.iter().skip(1).filter_map(|word| word.to_str());
    words.filter(|word| commands.find_subcommand(word).is_some()).map(str::to_owned).next()
}

/// An option of other commands than the one that was typed.
fn elsewhere(option: &str) -> Option<String> {
    let long = option.strip_prefix("--")?;
    let commands = help::command();
    let has_it = |command: &&clap::Command| command.get_arguments().any(|known| known.get_long() == Some(long));
    let names: Vec<String> =
        commands.get_subcommands().filter(has_it).map(|command| format!("`macadam {}`", command.get_name())).collect();
    match names.as_slice() {
        [] => None,
        [one] => Some(format!("`{option}` is an option of {one}")),
        [first, rest @ ..] if rest.len() < 4 => {
            Some(format!("`{option}` is an option of {first}, {}", rest.join(", ")))
        }
        _ => None,
    }
}

/// An option with one dash, which is read letter by letter.
fn one_dash(word: &str, arguments: &[OsString]) -> Option<String> {
    let letter = word.strip_prefix('-').filter(|letter| !letter.starts_with('-'))?;
    let meant = arguments.iter().filter_map(|argument| argument.to_str()?.strip_prefix('-')).find(|name| {
        name.len() > 1 && name.contains(letter) && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    })?;
    (!meant.starts_with('-')).then(|| format!("an option of several letters has two dashes: `--{meant}`"))
}
