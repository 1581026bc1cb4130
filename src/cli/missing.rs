//! What a person is told who leaves out a word that a command needs: what to write, with an example
//! of this very project where it has one.
//!
//! Read next: [`super::usage_tips`], for words that are wrong.

use std::collections::BTreeSet;
use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use super::completions::TypedLine;
use super::exit::{CommandFailure, Exit};
use super::help;
use super::usage_tips::command_of;
use crate::manifest::AddressPattern;
use crate::model::proposed::quoted;

/// A command, what it needs, and what to write. `{}` stands for the name of an asset.
type Need = (&'static str, &'static str, &'static str);

/// In the order of `macadam --help`.
const NEEDS: [Need; 13] = [
    ("history", "the name of an asset", "`macadam history {}`"),
    ("open", "the name of an asset", "`macadam open {}`"),
    (
        "pin",
        "the name of an asset and the number of a revision",
        "`macadam pin {} 1`; `macadam history {}` shows the revisions",
    ),
    ("unpin", "the name of a pinned asset", "`macadam unpin {}`"),
    (
        "import",
        "an asset's name in the manifest and its ID on Roblox, or another tool's file",
        "`macadam import {} 1234567890`, or `macadam import --from asphalt.toml`",
    ),
    ("forget", "the name of an asset", "`macadam forget {}`"),
    ("archive", "the name of an asset", "`macadam archive {}`"),
    ("restore", "the name of an asset", "`macadam restore {}`"),
    (
        "resolve",
        "the name of an asset and what became of its upload",
        "`macadam resolve {} --asset-id 1234567890` if it is on Roblox, or `macadam resolve {} --recreate` if it isn't; `macadam status` shows which uploads need it",
    ),
    (
        "retry",
        "the name of an asset, or --all",
        "`macadam retry {}`, or `macadam retry --all` for everything that Roblox refused",
    ),
    (
        "lockfile",
        "the three files that git gives a merge driver",
        "`git config merge.macadam.driver \"macadam lockfile merge %O %A %B\"`, and git runs it",
    ),
    ("completions", "the name of a shell: bash, elvish, fish, powershell or zsh", "`macadam completions bash`"),
    ("man", "the folder to write the pages into", "`macadam man share/man/man1`"),
];

/// A value of each option that takes one, as an example.
const VALUES: [(&str, &str); 28] = [
    ("manifest", "game/assets.toml"),
    ("state", "game.db"),
    ("api-url", "http://127.0.0.1:8080"),
    ("api-key-file", "key.txt"),
    ("format", "markdown"),
    ("color", "never"),
    ("log-format", "json"),
    ("creator", "user:1234567"),
    ("glob", "'ui/**/*.png'"),
    ("output", "src/assets.luau"),
    ("interval", "10m"),
    ("require-branch", "main"),
    ("on-change", "macadam-commit-push"),
    ("listen", "9400"),
    ("timeout", "30m"),
    ("uploads", "8"),
    ("overwrite", "sword"),
    ("confirm", "CODE"),
    ("wait-moderation", "30m"),
    ("from", "asphalt.toml"),
    ("environment", "production"),
    ("asset-id", "1234567890"),
    ("table", "ids.csv"),
    ("profile", "observed"),
    ("switch", "rollback=repoint"),
    ("faults", "faults.json"),
    ("world", "world.json"),
    ("latency", "250"),
];

/// The failure for a command line that lacks a word, if that is what is wrong with it.
pub(super) fn told(error: &clap::Error, arguments: &[OsString]) -> Option<CommandFailure> {
    let command = command_of(arguments);
    match error.kind() {
        // Options alone, such as `macadam -q`.
        ErrorKind::MissingSubcommand if command.is_none() => Some(
            CommandFailure::new(Exit::Usage, "the command is missing")
                .hint("write one, such as `macadam plan`; `macadam --help` lists them"),
        ),
        ErrorKind::MissingSubcommand => needs(&command?, arguments),
        ErrorKind::MissingRequiredArgument => {
            let Some(ContextValue::Strings(missing)) = error.get(ContextKind::InvalidArg) else { return None };
            let command = command?;
            let option = missing.iter().find_map(|missing| missing.strip_prefix("--"));
            match option {
                Some(_) if command == "recreate" => Some(without_creator(arguments)),
                Some(option) => Some(belongs_to(&command, option, arguments)),
                None => needs(&command, arguments),
            }
        }
        ErrorKind::InvalidValue => {
            let Some(ContextValue::String(arg)) = error.get(ContextKind::InvalidArg) else { return None };
            let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return None };
            match (arg.strip_prefix("--"), value.as_str()) {
                (Some(option), "") => without_value(option),
                _ => None,
            }
        }
        // `macadam pin sword`: the only word is taken for the revision.
        ErrorKind::ValueValidation if command.as_deref() == Some("pin") => {
            let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) else { return None };
            match TypedLine::of_whole(arguments).names.as_slice() {
                [only] if only == value => Some(without_revision(value)),
                [first, names @ ..] if first.parse::<u64>().is_ok() && names.last() == Some(value) => {
                    Some(revision_first(first, names))
                }
                _ => None,
            }
        }
        _ => None,
    }
}

/// A command without what it is about.
fn needs(command: &str, arguments: &[OsString]) -> Option<CommandFailure> {
    let (name, needs, write) = NEEDS.into_iter().find(|(name, ..)| *name == command)?;
    let failure = CommandFailure::new(Exit::Usage, format!("`macadam {name}` needs {needs}"));
    if !write.contains("{}") {
        return Some(failure.hint(format!("write {write}")));
    }
    // One that was typed is the best example.
    let line = TypedLine::of_whole(arguments);
    let (typed, known) = (&line.names, line.known_addresses());
    // One that needs no quotes shows best what a name is.
    let is_plain = |name: &&String| quoted(name) == **name;
    let plain = || known.iter().flatten().find(is_plain).or(known.iter().flatten().next());
    let example = typed.first().or_else(plain).map_or("sword", String::as_str);
    let write = write.replace("{}", &quoted(example));
    // Whoever typed a name knows where they stand.
    let names =
        if typed.is_empty() && !write.contains("`macadam status`") { "; `macadam status` shows all names" } else { "" };
    let has_none = known.as_ref().is_some_and(BTreeSet::is_empty);
    Some(failure.hint(match command {
        "unpin" if has_none => "no asset is pinned".to_owned(),
        _ => format!("for example {write}{names}"),
    }))
}

/// An address is there, and the revision isn't.
fn without_revision(name: &str) -> CommandFailure {
    let name = quoted(name);
    CommandFailure::new(Exit::Usage, format!("`macadam pin {name}` needs the number of a revision"))
        .hint(format!("`macadam history {name}` shows the revisions; then, for example, `macadam pin {name} 1`"))
}

/// The revision stands before the addresses.
fn revision_first(revision: &str, names: &[String]) -> CommandFailure {
    let names: Vec<_> = names.iter().map(|name| quoted(name)).collect();
    CommandFailure::new(Exit::Usage, "the number of the revision comes last")
        .hint(format!("write `macadam pin {} {revision}`", names.join(" ")))
}

/// A new start for every asset, or for those that were typed, that nobody confirmed.
fn without_creator(arguments: &[OsString]) -> CommandFailure {
    let line = TypedLine::of_whole(arguments);
    let again = match line.names.as_slice() {
        [] => "everything",
        [name] if !AddressPattern::is_meant(name) => "only this asset",
        _ => "only these assets",
    };
    let message = "`macadam recreate` needs --creator, which confirms that the owner in the manifest changed";
    CommandFailure::new(Exit::Usage, message).hint(format!(
        "write `{}`; it uploads {again} again for the new owner",
        with_option("recreate", "creator", &line)
    ))
}

/// An option that only goes along with another one.
fn belongs_to(command: &str, needed: &str, arguments: &[OsString]) -> CommandFailure {
    let needed = needed.split([' ', '=']).next().unwrap_or(needed);
    let line = TypedLine::of_whole(arguments);
    let typed = line.options.iter().find_map(|word| word.strip_prefix("--"));
    let typed = typed.map(|word| word.split('=').next().unwrap_or(word));
    let what = typed.map_or_else(|| format!("`macadam {command}`"), |option| format!("`--{option}`"));
    CommandFailure::new(Exit::Usage, format!("{what} works only together with `--{needed}`"))
        .hint(format!("write `{}`", with_option(command, needed, &line)))
}

/// The line that was typed, with one more option; the options of every command are added where it
/// is printed.
fn with_option(command: &str, option: &str, line: &TypedLine) -> String {
    let commands = help::command();
    let mut known = commands.find_subcommand(command).into_iter().flat_map(clap::Command::get_arguments);
    let takes_value = known.any(|arg| arg.get_long() == Some(option) && arg.get_action().takes_values());
    let example = VALUES.into_iter().find(|(name, _)| takes_value && *name == option);
    // A name that begins like an option.
    let names_begin = line.names.iter().any(|name| name.starts_with('-')).then(|| "--".to_owned());
    let typed = line.options.iter().chain(&names_begin).chain(&line.names).map(|word| quoted(word));
    let words = [command.to_owned(), format!("--{option}")].into_iter();
    let words = words.chain(example.map(|(_, value)| value.to_owned())).chain(typed);
    format!("macadam {}", words.collect::<Vec<_>>().join(" "))
}

/// An option that ends the line, or is followed by another one.
fn without_value(option: &str) -> Option<CommandFailure> {
    let name = option.split([' ', '=', '[']).next()?;
    let (_, value) = VALUES.into_iter().find(|(known, _)| *known == name)?;
    let failure = CommandFailure::new(Exit::Usage, format!("`--{name}` needs a value"));
    Some(failure.hint(format!("such as `--{name} {value}`")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_that_needs_a_word_and_every_option_with_a_value_has_an_example() {
        let commands = help::command();
        let all = commands.get_subcommands().chain(std::iter::once(&commands));
        for command in all {
            let name = command.get_name();
            for arg in command.get_arguments().filter(|arg| arg.get_long() != Some("patience")) {
                if arg.is_positional() && arg.is_required_set() {
                    assert!(NEEDS.iter().any(|(known, ..)| *known == name), "{name} {arg}");
                }
                if let (Some(long), true) = (arg.get_long(), arg.get_action().takes_values()) {
                    assert!(VALUES.iter().any(|(known, _)| *known == long), "{name} --{long}");
                }
            }
        }
    }
}
