//! What the user typed, as clap reads it. Nothing is decided here.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::model::ids::Creator;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const EXIT_CODES: &str = "\
Exit codes:
  0         in sync, or done
  1         some assets could not be reconciled, an output was not written or is out of date,
            --locked was violated, or a command was refused
  2         plan --detailed-exitcode: there are changes
  3         manifest, lockfile or state can't be used: nothing was attempted
  4         no API key, or Roblox refused it
  5         another process holds the state
  64        wrong usage
  130, 143  interrupted with work left

The API key comes from --api-key-file, the systemd credential `roblox-api-key` or the variable
ROBLOX_API_KEY, in this order; ROBLOX_OAUTH_TOKEN holds an OAuth 2.0 access token instead.";

/// Keeps a game's assets on Roblox in step with files in git
#[derive(Debug, Parser)]
#[command(name = "macadam", version, styles = STYLES, after_help = EXIT_CODES, max_term_width = 100)]
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
    /// The manifest; otherwise assets.toml in this folder or one above
    #[arg(long, global = true, value_name = "PATH")]
    pub manifest: Option<PathBuf>,
    /// The state database; otherwise .git/macadam/MANIFEST.db, or without git .macadam/STEM.db
    /// beside the manifest
    #[arg(long, global = true, value_name = "PATH")]
    pub state: Option<PathBuf>,
    /// The API's address: https, or http to this machine
    #[arg(long, global = true, value_name = "URL", conflicts_with = "emulator")]
    pub api_url: Option<String>,
    /// Run against the embedded emulator, without a key, with a state and lockfile of its own
    #[arg(long, global = true)]
    pub emulator: bool,
    /// A file that holds the API key
    #[arg(long, global = true, value_name = "PATH", conflicts_with = "emulator")]
    pub api_key_file: Option<PathBuf>,
    /// Print one JSON document to standard output, also for errors
    #[arg(long, global = true)]
    pub json: bool,
    /// No part of a request to the API takes longer than this, for example 2s, nor the answer of a
    /// service that is asked. Hidden, because an upload that is given up too early is in doubt;
    /// the tests of a remote that hangs need it.
    #[arg(long, global = true, hide = true, value_name = "DURATION", value_parser = duration)]
    pub patience: Option<Duration>,
    /// When to colour
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
    /// The form of the log on standard error
    #[arg(long, global = true, value_enum, default_value_t = LogFormat::Text, value_name = "FORMAT")]
    pub log_format: LogFormat,
    /// Log more; twice for every request
    #[arg(short, long, global = true, action = clap::ArgAction::Count)]
    pub verbose: u8,
    /// Print only errors and what was asked for
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
}

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LogFormat {
    /// For people
    Text,
    /// One JSON object a line
    Json,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(super) enum Command {
    /// Write a commented assets.toml and .gitattributes, and outside of git .macadam/.gitignore;
    /// overwrites nothing
    Init,
    /// Validate the manifest and every file, without network, key or state
    Check,
    /// Show what `sync` would do, from what to what, why and by which rule; changes nothing, sends
    /// nothing; -v shows all
    Plan(PlanArgs),
    /// Reconcile until the remote matches the files
    Sync(SyncArgs),
    /// Write the files with asset IDs for the game's code, from what is known here; needs no key
    /// and no network
    Outputs(OutputsArgs),
    /// Show what is known: asset ID, revision, state, moderation, what waits and why
    Status(StatusArgs),
    /// Show every revision of addresses, or one of them
    History(HistoryArgs),
    /// Hold addresses at an earlier revision: written into the manifest, and carried out at once
    Pin(PinArgs),
    /// Take a pin out of the manifest, and go back to the file
    Unpin(UnpinArgs),
    /// Take an existing asset under management, or with --from those of another tool's project;
    /// changes nothing at Roblox
    Import(ImportArgs),
    /// Drop addresses from state and lockfile, leaving their assets at Roblox alone
    Forget(ForgetArgs),
    /// Archive the assets of addresses: games that use them lose them, until they are restored
    Archive(ArchiveArgs),
    /// Restore the assets of addresses, whatever archived them
    Restore(RestoreArgs),
    /// Make new assets for a new owner, after the manifest's creator changed, and list old and new
    /// asset IDs
    Recreate(RecreateArgs),
    /// Settle a create whose outcome is unknown
    Resolve(ResolveArgs),
    /// Try a refused asset again though nothing changed
    Retry(RetryArgs),
    /// Work with the lockfile
    #[command(subcommand)]
    Lockfile(LockfileCommand),
    /// Serve a local Open Cloud Assets API for development and tests
    Emulator(EmulatorArgs),
    /// Print shell completions
    Completions(CompletionsArgs),
}

/// `plan`.
#[derive(Debug, Args)]
pub(super) struct PlanArgs {
    /// Exit with 2 when there are changes at the remote, in the lockfile or in outputs
    #[arg(long)]
    pub detailed_exitcode: bool,
    /// Read every asset at Roblox first, to see what somebody else changed; needs a key
    #[arg(long)]
    pub refresh: bool,
}

/// `sync`.
#[derive(Debug, Args)]
pub(super) struct SyncArgs {
    /// Reconcile, then exit; without it Macadam is a service that watches files and manifest until
    /// a signal
    #[arg(long)]
    pub once: bool,
    /// The service looks at everything at least this often
    #[arg(long, default_value = "10m", value_name = "DURATION", value_parser = duration, conflicts_with = "once")]
    pub interval: Duration,
    /// The service changes nothing while the checkout is on another branch
    #[arg(long, value_name = "BRANCH", conflicts_with = "once")]
    pub require_branch: Option<String>,
    /// Run this, by the shell, after the lockfile or outputs changed, however the sync ended: for
    /// example macadam-commit-push
    #[arg(long, value_name = "COMMAND", conflicts_with = "locked")]
    pub on_change: Option<String>,
    /// The service answers /healthz, /readyz and /metrics here; a port alone is one of this machine
    /// only
    #[arg(long, value_name = "ADDR", value_parser = crate::telemetry::listen::parse_listen, conflicts_with = "once")]
    pub listen: Option<SocketAddr>,
    /// Change nothing: exit with 1 if anything would change at the remote, in the lockfile or in
    /// outputs
    #[arg(long, requires = "once")]
    pub locked: bool,
    /// Give up after this long, for example 90s, 30m or 2h
    #[arg(long, default_value = "60m", value_name = "DURATION", value_parser = duration, requires = "once")]
    pub timeout: Duration,
    /// How many files to upload at once
    #[arg(long, default_value_t = 8, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=64))]
    pub uploads: u32,
    /// Read every asset at Roblox first, to see what somebody else changed
    #[arg(long, requires = "once")]
    pub refresh: bool,
    /// Put the file of this address over content that somebody else made
    #[arg(long, value_name = "ADDRESS", requires = "once")]
    pub overwrite: Vec<String>,
    /// Agree to the archiving that a plan holds, by the code that it names
    #[arg(long, value_name = "CODE", requires = "once")]
    pub confirm: Option<String>,
    /// Agree to a new lockfile, and new assets, where the lockfile of before is missing
    #[arg(long, requires = "once")]
    pub accept_new_lockfile: bool,
    /// Wait until moderation has decided on everything, at most so long
    #[arg(long, value_name = "DURATION", num_args = 0..=1, require_equals = true, default_missing_value = "30m",
          value_parser = duration, requires = "once")]
    pub wait_moderation: Option<Duration>,
    /// Don't ask before many creates or a fee
    #[arg(long, short = 'y', requires = "once")]
    pub yes: bool,
}

/// `outputs`.
#[derive(Debug, Args)]
pub(super) struct OutputsArgs {
    /// Write nothing: exit with 1 if a file is out of date
    #[arg(long)]
    pub check: bool,
    /// Also write over files that another tool made; of a file without a known mark you are asked
    /// first
    #[arg(long, conflicts_with = "check")]
    pub adopt: bool,
    /// Don't ask before a file without a known mark is overwritten
    #[arg(long, short = 'y', requires = "adopt")]
    pub yes: bool,
}

/// `status`.
#[derive(Debug, Args)]
pub(super) struct StatusArgs {
    /// Only these: addresses, or globs such as 'ui/**'
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
}

/// `history`.
#[derive(Debug, Args)]
pub(super) struct HistoryArgs {
    /// Addresses or globs such as 'ui/**'; a number after them is a revision, and only that is
    /// shown
    #[arg(value_name = "ADDRESS… [REVISION]", required = true)]
    pub words: Vec<String>,
    /// Read Roblox's own list too: what was made elsewhere, what is missing there, moderation;
    /// needs a key, changes nothing
    #[arg(long)]
    pub remote: bool,
}

/// `pin`.
#[derive(Debug, Args)]
pub(super) struct PinArgs {
    /// Addresses or globs such as 'ui/**'; all of them are pinned, or none
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// The number that `macadam history` shows
    #[arg(value_name = "REVISION", required = true)]
    pub revision: u64,
    /// Only write the manifest; the next sync, or a running service, carries it out
    #[arg(long)]
    pub no_sync: bool,
    /// Don't ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `unpin`.
#[derive(Debug, Args)]
pub(super) struct UnpinArgs {
    /// Addresses, or globs over what is pinned; all of them are unpinned, or none
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// Only write the manifest; the next sync, or a running service, carries it out
    #[arg(long)]
    pub no_sync: bool,
    /// Don't ask before a fee
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `import`.
#[derive(Debug, Args)]
pub(super) struct ImportArgs {
    /// The address that is to have it, as the manifest has it
    #[arg(value_name = "ADDRESS", required_unless_present = "from")]
    pub address: Option<String>,
    /// The asset: its creator and type are checked at Roblox
    #[arg(value_name = "ASSET_ID", required_unless_present = "from")]
    pub asset_id: Option<u64>,
    /// The file is what the asset holds; otherwise the next sync updates or replaces it
    #[arg(long, conflicts_with = "from")]
    pub content_matches: bool,
    /// Move in from another tool: writes assets.toml and assets.lock.toml from its asphalt.toml,
    /// tarmac.toml, .mantle-state.yml, .rbx-sync-cache.json or tungsten.toml; overwrites
    /// nothing, uploads nothing
    #[arg(long, value_name = "FILE", conflicts_with_all = ["address", "asset_id", "emulator"])]
    pub from: Option<PathBuf>,
    /// Which environment of a Mantle state
    #[arg(long, value_name = "NAME", requires = "from")]
    pub environment: Option<String>,
    /// Who owns the assets, where the tool's files don't say: user:ID or group:ID
    #[arg(long, value_name = "OWNER", requires = "from", value_parser = creator)]
    pub creator: Option<Creator>,
}

/// `forget`.
#[derive(Debug, Args)]
pub(super) struct ForgetArgs {
    /// Addresses or globs, also of what left the manifest; all of them are forgotten, or none
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
}

/// `archive`.
#[derive(Debug, Args)]
pub(super) struct ArchiveArgs {
    /// Addresses or globs, also of what left the manifest; one after another, and each that can be
    /// is archived
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
    /// Don't ask
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `restore`.
#[derive(Debug, Args)]
pub(super) struct RestoreArgs {
    /// Addresses or globs, also of what left the manifest; one after another, and each that can be
    /// is restored
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
}

/// `recreate`.
#[derive(Debug, Args)]
pub(super) struct RecreateArgs {
    /// For those that are held because their creator changed
    #[arg(long, required = true)]
    pub creator: bool,
    /// Only these of them: addresses or globs
    #[arg(value_name = "ADDRESS")]
    pub addresses: Vec<String>,
    /// Write the table of old and new asset IDs into this file, as comma-separated values
    #[arg(long, value_name = "FILE")]
    pub table: Option<PathBuf>,
    /// Don't ask before many creates or a fee
    #[arg(long, short = 'y')]
    pub yes: bool,
}

/// `resolve`.
#[derive(Debug, Args)]
pub(super) struct ResolveArgs {
    /// The asset's name in assets.toml, such as `sword` or `ui/close.png`
    #[arg(value_name = "ADDRESS")]
    pub address: String,
    /// The upload arrived and made this asset, which is checked at Roblox (creator, type and name);
    /// also a duplicate that you found
    #[arg(
        long,
        value_name = "N",
        required_unless_present_any = ["recreate", "no_duplicate"],
        conflicts_with_all = ["recreate", "no_duplicate"]
    )]
    pub asset_id: Option<u64>,
    /// The upload didn't arrive, or Roblox never finishes it: upload it again
    #[arg(long, conflicts_with = "no_duplicate")]
    pub recreate: bool,
    /// There is no duplicate of it at Roblox: you looked
    #[arg(long)]
    pub no_duplicate: bool,
}

/// `retry`.
#[derive(Debug, Args)]
pub(super) struct RetryArgs {
    /// Addresses, or globs over what was refused or waits; all of them are due again, or none
    #[arg(value_name = "ADDRESS", required = true)]
    pub addresses: Vec<String>,
}

/// `lockfile`.
#[derive(Debug, Subcommand)]
pub(super) enum LockfileCommand {
    /// The merge driver: write the union of OURS and THEIRS to OURS
    Merge {
        /// The common ancestor (%O)
        base: PathBuf,
        /// Our side, overwritten with the result (%A)
        ours: PathBuf,
        /// Their side (%B)
        theirs: PathBuf,
    },
}

/// `emulator`.
#[derive(Debug, Args)]
pub(super) struct EmulatorArgs {
    /// Where to listen
    #[arg(long, default_value = "127.0.0.1:8787", value_name = "ADDR")]
    pub listen: SocketAddr,
    /// What is assumed where Roblox's documentation and reports differ
    #[arg(long, value_enum, default_value_t = EmulatorProfile::Observed)]
    pub profile: EmulatorProfile,
    /// Answer one of these questions otherwise than the profile
    #[arg(long = "switch", value_name = "NAME=VALUE", value_parser = name_and_value)]
    pub switches: Vec<(String, String)>,
    /// List all switches with their values, and exit
    #[arg(long)]
    pub list_switches: bool,
    /// How long operations take: `observed`, milliseconds, or `polls:N`
    #[arg(long, default_value = "observed", value_name = "LATENCY")]
    pub latency: String,
    /// Keep the world in this file between runs
    #[arg(long, value_name = "PATH")]
    pub world: Option<PathBuf>,
    /// A JSON file of faults to script
    #[arg(long, value_name = "PATH")]
    pub faults: Option<PathBuf>,
}

/// What the emulator assumes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum EmulatorProfile {
    /// What Roblox's documents say
    Documented,
    /// What public clients saw
    Observed,
}

/// `completions`.
#[derive(Debug, Args)]
pub(super) struct CompletionsArgs {
    /// For which shell
    pub shell: clap_complete::Shell,
}

/// Reads `user:ID` or `group:ID`.
fn creator(text: &str) -> Result<Creator, String> {
    text.parse().map_err(|_| "user:ID or group:ID, for example user:1234567".to_owned())
}

/// Reads `NAME=VALUE`.
fn name_and_value(text: &str) -> Result<(String, String), String> {
    let (name, value) = text.split_once('=').ok_or("a name and a value, for example rollback=repoint")?;
    Ok((name.to_owned(), value.to_owned()))
}

/// Reads `90s`, `30m`, `2h` or `1d`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || "a whole number and a unit: s, m, h or d, for example 30m".to_owned();
    let unit = text.chars().next_back().ok_or_else(wrong)?;
    let number: u64 = text.strip_suffix(unit).and_then(|n| n.parse().ok()).ok_or_else(wrong)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 60 * 60,
        'd' => 24 * 60 * 60,
        _ => return Err(wrong()),
    };
    number
        .checked_mul(seconds)
        .filter(|s| (1..=366 * 24 * 60 * 60).contains(s))
        .map(Duration::from_secs)
        .ok_or_else(wrong)
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
        /// Words of the command line in any order, and any bytes between them, are a command or wrong usage.
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
