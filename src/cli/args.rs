//! The command line as clap reads it. Nothing is decided here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::style::STYLES;
use super::values::{asset_id, creator, duration, name_and_value, revision, uploads};
use crate::model::ids::{AssetId, Creator};

/// The version, commit and target, which `build.rs` found out.
const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("MACADAM_BUILD"), ")");

/// Keep a game's assets on Roblox up to date with the files in git
#[derive(Debug, Parser)]
#[command(name = "macadam", version = VERSION, styles = STYLES, max_term_width = 100)]
pub(super) struct Cli {
    /// Options for every command.
    #[command(flatten)]
    pub global: Global,
    /// The command.
    #[command(subcommand)]
    pub command: Command,
}

/// Options for every command.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Options for every command")]
pub(super) struct Global {
    /// Manifest file [default: assets.toml here or in a parent folder]
    #[arg(long, global = true, value_name = "PATH")]
    pub manifest: Option<PathBuf>,
    /// State database [default: .git/macadam/assets.toml.db, or .macadam/assets.db without git]
    #[arg(long, global = true, value_name = "PATH")]
    pub state: Option<PathBuf>,
    /// Address of the Roblox API: https://…, or http:// for a server on this machine
    #[arg(long, global = true, value_name = "URL", conflicts_with = "emulator")]
    pub api_url: Option<String>,
    /// Rehearse: use the built-in emulator instead of Roblox; needs no key, uploads nothing
    #[arg(long, global = true)]
    pub emulator: bool,
    /// File with the API key
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "emulator")]
    pub api_key_file: Option<PathBuf>,
    /// Print the result, or the error, as one JSON document
    #[arg(long, global = true)]
    pub json: bool,
    /// How to print: `text`; `github` adds annotations and a job summary, and is the default on
    /// GitHub Actions; `markdown` is for `plan`
    #[arg(long, global = true, value_enum, value_name = "FORMAT", conflicts_with = "json")]
    pub format: Option<Format>,
    /// Longest time for each part of a request, such as 2s, and for an answer of the service.
    /// Hidden, because the outcome is unknown of an upload that is given up too early. The tests
    /// of a server that hangs need it.
    #[arg(long, global = true, hide = true, value_name = "DURATION", value_parser = duration)]
    pub patience: Option<Duration>,
    /// When to use colours
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// Log format
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// -v shows long lists whole and the rule of each action, and logs more; -vv also logs each
    /// request with method, path, status and milliseconds
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only errors and results
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// How to print.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Format {
    /// For people
    Text,
    /// The same, with annotations and a job summary for GitHub Actions
    Github,
    /// A plan for a comment
    Markdown,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The format of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// Lines for people
    Text,
    /// One JSON object per line
    Json,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Start a project: write assets.toml, its schema for editors and .gitattributes; overwrites nothing
    Init(InitArgs),
    /// Check the manifest and every file, offline and without a key
    Check,
    /// Preview what `sync` would do, and why
    #[command(visible_alias = "diff")]
    Plan(PlanArgs),
    /// Upload what changed, until Roblox matches your files
    Sync(SyncArgs),
    /// Write the files with asset IDs for your game's code, offline and without a key
    Outputs(OutputsArgs),
    /// List your assets: asset ID, state, moderation, and what is left to do
    #[command(visible_aliases = ["list", "ls"])]
    Status(StatusArgs),
    /// Show the revisions of assets, with their asset IDs
    History(HistoryArgs),
    /// Print the address of an asset's page on Roblox, and the ID for your code
    Open(OpenArgs),
    /// Go back to an earlier revision of assets, and stay there
    Pin(PinArgs),
    /// Undo `pin`: go back to the files
    Unpin(UnpinArgs),
    /// Use assets that are on Roblox already: one by its ID, or all of another tool's project
    Import(ImportArgs),
    /// Make Macadam forget assets, which stay on Roblox
    Forget(ForgetArgs),
    /// Archive assets on Roblox: games can't use them until you restore them
    Archive(ArchiveArgs),
    /// Restore archived assets
    Restore(RestoreArgs),
    /// Upload everything again for a new owner, and list the old and new asset IDs
    Recreate(RecreateArgs),
    /// Say whether an interrupted upload arrived on Roblox
    Resolve(ResolveArgs),
    /// Try again to upload an asset that Roblox refused
    Retry(RetryArgs),
    /// Look for what may be wrong with key, network, state, lockfile, git and files; changes nothing
    Doctor,
    /// Merge lockfiles, for git
    #[command(subcommand)]
    Lockfile(LockfileCommand),
    /// Run a local copy of the Roblox API, for development and tests
    Emulator(EmulatorArgs),
    /// Print the script with which your shell completes commands, addresses and revisions
    Completions(CompletionsArgs),
    /// Write the manual pages into a folder
    Man(ManArgs),
    /// Print the JSON schema of the manifest, for editors
    Schema,
}

/// `init`.
#[derive(Debug, Clone, Args)]
pub(super) struct InitArgs {
    /// The assets' owner: user:ID, group:ID, or the address of the profile or the group's page
    #[arg(long, value_name = "OWNER", value_parser = creator)]
    pub creator: Option<Creator>,
    /// List these files in the manifest, such as 'ui/**/*.png'; can be given several times
    #[arg(long = "glob", value_name = "PATTERN")]
    pub globs: Vec<String>,
    /// Write the asset IDs into this file for your code, such as src/assets.luau
    #[arg(long, value_name = "FILE")]
    pub output: Option<String>,
    /// Let git merge the lockfile by Macadam in this clone (sets `git config`)
    #[arg(long)]
    pub merge_driver: bool,
    /// Start anew where another tool's files are, without asking; everything is uploaded again
    #[arg(short, long)]
    pub yes: bool,
}

/// `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Plan only for these assets and whatever they need: names such as `sword`, or patterns such
    /// as 'ui/**'
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
    /// Exit with 2 if anything would change: on Roblox, in the lockfile or in outputs
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// First ask Roblox about every asset, to find changes made elsewhere; needs a key
    #[arg(long)]
    pub refresh: bool,
}

/// The headings of options that only one way of syncing has.
const WITH_ONCE: &str = "With --once";
const WITHOUT_ONCE: &str = "Without --once";

/// `sync`.
#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    /// With --once: sync only these assets and whatever they need: names such as `sword`, or
    /// patterns such as 'ui/**'
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
    /// Sync once, then exit; otherwise keep running and sync again whenever a file changes
    #[arg(long)]
    pub once: bool,
    /// Check all files at least this often
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = duration, conflicts_with = "once",
          help_heading = WITHOUT_ONCE)]
    pub interval: Duration,
    /// Do nothing while git is on another branch; with --once, exit with 1 then
    #[arg(long, value_name = "BRANCH")]
    pub require_branch: Option<String>,
    /// Run this shell command after the lockfile or outputs changed, even if the sync failed, such
    /// as macadam-commit-push
    #[arg(long, value_name = "COMMAND", conflicts_with = "locked")]
    pub on_change: Option<String>,
    /// Serve /healthz, /readyz and /metrics at this address (a bare port: localhost only)
    #[arg(long, value_name = "ADDR", value_parser = crate::telemetry::listen::parse_listen, conflicts_with = "once",
          help_heading = WITHOUT_ONCE)]
    pub listen: Option<SocketAddr>,
    /// Change nothing, and exit with 1 if anything would change: on Roblox, in the lockfile or in
    /// outputs
    #[arg(long, requires = "once", help_heading = WITH_ONCE)]
    pub locked: bool,
    /// Stop after this long, such as 90s, 30m or 2h
    #[arg(long, default_value = "60m", value_name = "DURATION", value_parser = duration, requires = "once",
          help_heading = WITH_ONCE)]
    pub timeout: Duration,
    /// Upload this many files at once
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = uploads)]
    pub uploads: u32,
    /// First ask Roblox about every asset, to find changes made elsewhere
    #[arg(long, requires = "once", help_heading = WITH_ONCE)]
    pub refresh: bool,
    /// Upload the file of this asset although its content was changed on Roblox
    #[arg(long, value_name = "ADDRESS", requires = "once", help_heading = WITH_ONCE)]
    pub overwrite: Vec<String>,
    /// Approve a large archiving, with the code that `plan` printed
    #[arg(long, value_name = "CODE", requires = "once", help_heading = WITH_ONCE)]
    pub confirm: Option<String>,
    /// The lockfile is gone on purpose: start a new one from what this machine knows, and upload the rest
    #[arg(long, requires = "once", help_heading = WITH_ONCE)]
    pub accept_new_lockfile: bool,
    /// Upload new assets although a part of the lockfile's history in git isn't here
    #[arg(long, requires = "once", help_heading = WITH_ONCE)]
    pub trust_lockfile: bool,
    /// Wait for moderation to finish, at most this long (default 30m)
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30m",
          value_parser = duration, requires = "once", help_heading = WITH_ONCE)]
    pub wait_moderation: Option<Duration>,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `outputs`.
#[derive(Debug, Args)]
pub(super) struct OutputsArgs {
    /// Write nothing, and exit with 1 if a file is out of date
    #[arg(long)]
    pub check: bool,
    /// Also overwrite files that other tools generated; asks before any other file
    #[arg(long, conflicts_with = "check")]
    pub adopt: bool,
    /// Don't ask for confirmation
    #[arg(long, short = 'y', requires = "adopt")]
    pub yes: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Show only these assets: names such as `sword`, patterns such as 'ui/**', or asset IDs
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
}

/// `history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Names such as `sword`, patterns such as 'ui/**' or asset IDs, then perhaps a revision's number
    /// to show only that one
    #[arg(value_name = "ADDRESS", required = true)]
    pub words: Vec<String>,
    /// Also ask Roblox: finds versions made elsewhere, missing ones and moderation; needs a key
    #[arg(long)]
    pub remote: bool,
}

/// `open`.
#[derive(Debug, Args)]
pub(super) struct OpenArgs {
    /// Names such as `sword`, patterns such as 'ui/**', or asset IDs
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
}

/// `pin`.
#[derive(Debug, Args)]
pub(super) struct PinArgs {
    /// Names such as `sword`, or patterns such as 'ui/**'; if one can't be pinned, none is
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// The revision's number, as `macadam history` shows it
    #[arg(value_name = "REVISION", required = true, value_parser = revision)]
    pub revision: u64,
    /// Only write it into the manifest; the next sync does the rest
    #[arg(long)]
    pub no_sync: bool,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `unpin`.
#[derive(Debug, Args)]
pub(super) struct UnpinArgs {
    /// Names of pinned assets, or patterns such as 'ui/**'; if one can't be unpinned, none is
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// Only write it into the manifest; the next sync does the rest
    #[arg(long)]
    pub no_sync: bool,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The asset's name in assets.toml, such as `sword` or `ui/close.png`
    #[arg(value_name = "ADDRESS", required_unless_present = "from")]
    pub address: Option<String>,
    /// The asset's ID on Roblox; Macadam checks its owner and type
    #[arg(value_name = "ASSET_ID", required_unless_present = "from", value_parser = asset_id)]
    pub asset_id: Option<AssetId>,
    /// The asset was made from this very file, so it needs no upload
    #[arg(long, conflicts_with = "from")]
    pub content_matches: bool,
    /// Move here from another tool: asphalt.toml, tarmac.toml, .mantle-state.yml,
    /// .rbx-sync-cache.json or tungsten.toml; or from your own list, a CSV file with the columns
    /// `path` and `asset_id`. Writes assets.toml and assets.lock.toml, uploads nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "asset_id", "emulator"])]
    pub from: Option<PathBuf>,
    /// The environment to take from a Mantle state
    #[arg(long, value_name = "NAME", requires = "from")]
    pub environment: Option<String>,
    /// The assets' owner, if the tool's files don't name it: user:ID or group:ID
    #[arg(long, value_name = "OWNER", requires = "from", value_parser = creator)]
    pub creator: Option<Creator>,
}

/// `forget`.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// Names such as `sword`, or patterns such as 'ui/**'; if one can't be forgotten, none is
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// Forget also what is still in the manifest: the next sync uploads it as a new asset
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `archive`.
#[derive(Debug, Args)]
pub(super) struct ArchiveArgs {
    /// Names such as `sword`, or patterns such as 'ui/**'; works for removed assets too
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// Names such as `sword`, or patterns such as 'ui/**'; works for removed assets too
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
}

/// `recreate`.
#[derive(Debug, Args)]
pub(super) struct RecreateArgs {
    /// Confirm that the owner in the manifest changed
    #[arg(long, required = true)]
    pub creator: bool,
    /// Only these assets: names such as `sword`, or patterns such as 'ui/**'
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
    /// Also write the old and new asset IDs into this file, as comma-separated values
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Don't ask for confirmation
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `resolve`.
#[derive(Debug, Args)]
#[command(group(clap::ArgGroup::new("answer").required(true).args(["asset_id", "recreate", "no_duplicate"])))]
pub(super) struct ResolveArgs {
    /// The asset's name in assets.toml, such as `sword` or `ui/close.png`
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// The upload arrived, and this is its asset ID; or this is a duplicate that you found
    #[arg(long, value_name = "N", value_parser = asset_id)]
    pub asset_id: Option<AssetId>,
    /// The upload didn't arrive, or Roblox never finishes it: upload it again
    #[arg(long)]
    pub recreate: bool,
    /// You looked, and there is no duplicate on Roblox
    #[arg(long)]
    pub no_duplicate: bool,
}

/// `retry`.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// Names of refused or waiting assets, or patterns such as 'ui/**'
    #[arg(value_name = "ADDRESS", required_unless_present = "all", conflicts_with = "all")]
    pub addresses: Vec<String>,
    /// All assets that Roblox refused or that wait for another try
    #[arg(long)]
    pub all: bool,
}

/// `lockfile`.
#[derive(Debug, Subcommand)]
pub(super) enum LockfileCommand {
    /// The merge driver: combine OURS and THEIRS, and write the result to OURS
    Merge {
        /// The common ancestor (%O)
        base: PathBuf,
        /// Our side, which gets the result (%A)
        ours: PathBuf,
        /// Their side (%B)
        theirs: PathBuf,
    },
}

/// `emulator`.
#[derive(Debug, Args)]
pub(super) struct EmulatorArgs {
    /// Address to listen on
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDR",
          value_parser = crate::telemetry::listen::parse_listen)]
    pub listen: SocketAddr,
    /// What to imitate where they differ: Roblox's documentation, or what public clients have seen
    #[arg(long, value_enum, default_value_t = EmulatorProfile::Observed)]
    pub profile: EmulatorProfile,
    /// Override a switch (see --list-switches)
    #[arg(long = "switch", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub switches: Vec<(String, String)>,
    /// List all switches with their values, and exit
    #[arg(long)]
    pub list_switches: bool,
    /// How long uploads take to process: `observed`, milliseconds, or `polls:N`
    #[arg(long, default_value = "observed", value_name = "LATENCY")]
    pub latency: String,
    /// Keep assets in this file between runs
    #[arg(long, value_name = "PATH")]
    pub world: Option<PathBuf>,
    /// JSON file of faults to simulate
    #[arg(long, value_name = "PATH")]
    pub faults: Option<PathBuf>,
}

/// Behaviour of the emulator. A doc comment of a value would give `--help` another layout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EmulatorProfile {
    // As Roblox's documentation says.
    Documented,
    // As public clients have seen it.
    Observed,
}

/// `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// Your shell
    pub shell: clap_complete::Shell,
}

/// `man`.
#[derive(Debug, Args)]
pub(super) struct ManArgs {
    /// The folder, which is created if it doesn't exist
    #[arg(value_name = "DIR")]
    pub folder: PathBuf,
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;
    use proptest::prelude::*;
    use std::ffi::OsString;

    #[test]
    fn the_definition_is_sound() {
        Cli::command().debug_assert();
    }

    proptest! {
        /// Words of the command line in any order, and any bytes between them, are a command or
        /// wrong usage.
        #[test]
        fn no_arguments_panic(words in prop::collection::vec(any_word(), 0..8)) {
            let arguments = std::iter::once(OsString::from("macadam")).chain(words);
            match Cli::try_parse_from(arguments) {
                Ok(cli) => drop(format!("{cli:?}")),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }

        #[test]
        fn no_duration_panics(text in "[0-9]{0,25}\\PC{0,3}") {
            let _ = duration(&text);
        }
    }

    /// A word that the command line knows, or any bytes.
    fn any_word() -> impl Strategy<Value = OsString> {
        let mut known =
            vec!["=".to_owned(), "-".to_owned(), "--".to_owned(), "7".to_owned(), "1s".to_owned(), "a=b".to_owned()];
        let mut commands = vec![Cli::command()];
        while let Some(command) = commands.pop() {
            known.push(command.get_name().to_owned());
            known.extend(command.get_arguments().filter_map(|argument| Some(format!("--{}", argument.get_long()?))));
            commands.extend(command.get_subcommands().cloned());
        }
        let glued = (prop::sample::select(known.clone()), "\\PC{0,8}")
            .prop_map(|(word, value)| format!("{word}={value}").into());
        let bytes = prop::collection::vec(any::<u8>(), 0..12);
        prop_oneof![
            4 => prop::sample::select(known).prop_map(OsString::from),
            1 => glued,
            1 => "\\PC{0,12}".prop_map(OsString::from),
            1 => bytes.prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned().into()),
            1 => any_os_bytes(),
        ]
    }

    #[cfg(unix)]
    fn any_os_bytes() -> impl Strategy<Value = OsString> {
        use std::os::unix::ffi::OsStringExt as _;
        prop::collection::vec(any::<u8>(), 0..12).prop_map(OsString::from_vec)
    }

    #[cfg(not(unix))]
    fn any_os_bytes() -> impl Strategy<Value = OsString> {
        Just(OsString::new())
    }

    #[test]
    fn durations() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("2h"), Ok(Duration::from_secs(7200)));
        for bad in ["", "m", "0s", "1.5h", "-1m", "10", "10 m", "99999999999999999999s", "400d", "3é"] {
            assert!(duration(bad).is_err(), "{bad:?}");
        }
    }
}
