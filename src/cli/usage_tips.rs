//! Tips for words that other tools have and Macadam doesn't, in place of clap's nearest word.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};

/// Commands of other tools, and what to type instead.
const COMMANDS: [(&str, &str); 18] = [
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
const OPTIONS: [(&str, &str); 4] = [
    ("--dry-run", "`macadam plan` shows what a sync would do, and changes nothing"),
    (
        "--api-key",
        "a key on the command line is seen by others: set ROBLOX_API_KEY, or name a file with --api-key-file",
    ),
    ("--watch", "without --once, `macadam sync` keeps running, and uploads whatever changes"),
    ("--force", "`macadam plan` says what is in the way, and what frees it"),
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
        ErrorKind::InvalidSubcommand => known(&COMMANDS, wrong(ContextKind::InvalidSubcommand)?),
        ErrorKind::UnknownArgument => {
            let word = wrong(ContextKind::InvalidArg)?;
            known(&OPTIONS, word).or_else(|| one_dash(word, arguments))
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
