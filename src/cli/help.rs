//! The command line as it is parsed and shown: clap's definition, with an example for each command,
//! and with the options of every command in one place, `macadam help options`.

use std::ffi::OsString;

use clap::{CommandFactory as _, FromArgMatches as _};

use super::args::{Cli, Global};
use super::style::{EXIT_CODES, KEY_SOURCES};
use crate::state::lockfile::driver;

/// An example for each command.
const EXAMPLES: [(&str, &str); 23] = [
    ("init", "macadam init --creator group:7654321 --glob 'ui/**/*.png'"),
    ("check", "macadam check"),
    ("plan", "macadam plan --refresh"),
    ("sync", "macadam sync --once\n  macadam sync --require-branch main --on-change macadam-commit-push"),
    ("outputs", "macadam outputs --check"),
    ("status", "macadam status 'ui/**'\n  macadam status rbxassetid://1234567890"),
    ("history", "macadam history sword\n  macadam history sword 3 --remote"),
    ("open", "macadam open sword"),
    ("pin", "macadam pin sword 3"),
    ("unpin", "macadam unpin sword"),
    ("import", "macadam import sword 1234567890 --content-matches\n  macadam import --from asphalt.toml"),
    ("forget", "macadam forget 'old/**'"),
    ("archive", "macadam archive sword"),
    ("restore", "macadam restore sword"),
    ("recreate", "macadam recreate --creator --table ids.csv"),
    ("resolve", "macadam resolve sword --asset-id 1234567890\n  macadam resolve sword --recreate"),
    ("retry", "macadam retry --all"),
    ("lockfile", driver::SET_UP),
    ("emulator", "macadam emulator --latency 250"),
    (
        "completions",
        "macadam completions bash > ~/.local/share/bash-completion/completions/macadam\n  \
         macadam completions fish > ~/.config/fish/completions/macadam.fish\n  \
         macadam completions zsh > ~/.zfunc/_macadam",
    ),
    ("man", "macadam man ~/.local/share/man/man1"),
    ("schema", "macadam schema > assets.schema.json"),
    ("doctor", "macadam doctor"),
];

const OPTIONS: &str = "Options for every command: `macadam help options` lists them.";

/// Returns the definition with its examples. The options of every command are parsed, and shown by
/// [`options`] only.
pub(super) fn command() -> clap::Command {
    let mut command = Cli::command().mut_args(|arg| if arg.is_global_set() { arg.hide(true) } else { arg });
    let codes: String = EXIT_CODES.iter().map(|(code, about)| format!("  {code:<8}  {about}\n")).collect();
    command = command.after_help(format!("{OPTIONS}\n\nExit codes:\n{codes}\n{KEY_SOURCES}"));
    for (name, example) in EXAMPLES {
        let after = format!("Example:\n  {example}\n\n{OPTIONS}");
        if command.find_subcommand(name).is_some() {
            command = command.mut_subcommand(name, |below| match below.find_subcommand("merge").is_some() {
                true => {
                    below.mut_subcommand("merge", |merge| merge.after_help(after.clone())).after_help(after.clone())
                }
                false => below.after_help(after.clone()),
            });
        }
    }
    // clap knows no number that may follow a list of names.
    command.mut_subcommand("history", |below| below.override_usage("macadam history [OPTIONS] <ADDRESS>... [REVISION]"))
}

/// Parses the arguments.
///
/// # Errors
/// clap's, for wrong usage, help and the version.
pub(super) fn parse(arguments: &[OsString]) -> Result<Cli, clap::Error> {
    // clap takes it for the name of a command.
    let arguments = match arguments {
        [program, help, option] if help == "help" && (option == "--help" || option == "-h") => {
            &[program.clone(), "help".into(), "help".into()]
        }
        arguments => arguments,
    };
    Cli::from_arg_matches(&command().try_get_matches_from(arguments)?)
}

/// Returns whether the arguments ask for the options of every command.
pub(super) fn asks_for_options(arguments: &[OsString]) -> bool {
    matches!(arguments, [_, help, options] if help == "help" && options == "options")
}

/// Returns the list of the options that every command has.
pub(super) fn options() -> clap::builder::StyledStr {
    options_alone().help_template("{all-args}").render_help()
}

/// Returns a command that has the options of every command, and nothing else.
pub(super) fn options_alone() -> clap::Command {
    use clap::Args as _;
    let options =
        clap::Command::new("macadam").styles(super::style::STYLES).disable_help_flag(true).max_term_width(100);
    Global::augment_args(options)
}

/// Returns the example of a command, one a line.
pub(super) fn example(command: &str) -> Option<&'static str> {
    EXAMPLES.iter().find(|(name, _)| *name == command).map(|(_, example)| *example)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_command_has_an_example_that_is_parsed() {
        let all = command();
        for below in all.get_subcommands().filter(|below| below.get_name() != "help") {
            let (_, example) = EXAMPLES.iter().find(|(name, _)| *name == below.get_name()).unwrap();
            for line in example.lines().map(str::trim).filter(|line| line.starts_with("macadam ")) {
                let words =
                    line.split(" > ").next().unwrap().split_whitespace().map(|word| word.replace('\'', "").into());
                let words: Vec<OsString> = words.collect();
                assert!(parse(&words).is_ok(), "{line}");
            }
        }
    }

    #[test]
    fn the_options_of_every_command_are_listed_in_one_place() {
        let shown = options().to_string();
        for option in ["--manifest", "--emulator", "--api-url", "--json", "--quiet"] {
            assert!(shown.contains(option), "{option}: {shown}");
        }
        let plan = command().find_subcommand_mut("plan").unwrap().render_help().to_string();
        assert!(plan.contains("--refresh") && !plan.contains("--emulator"), "{plan}");
    }

    #[test]
    fn the_help_of_every_command_has_one_layout() {
        let mut all = command();
        all.build();
        for below in all.get_subcommands_mut().filter(|below| below.get_name() != "help") {
            let (short, long) = (below.render_help().to_string(), below.render_long_help().to_string());
            assert!(short.contains(OPTIONS) && short.contains("Example:"), "{short}");
            // An argument with more to say turns every line of `--help` into a block.
            assert!(!long.contains("(see a summary with"), "{long}");
        }
    }
}
