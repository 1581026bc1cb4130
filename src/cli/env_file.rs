//! The file `.env` beside the manifest: the API key in it, or why a key that somebody wrote down
//! isn't found.
//!
//! It must never show a value. A message names a variable only if its name, without separators, is
//! in a list here: a line of the file may be the bare key.

use std::io;
use std::path::Path;

use crate::platform::own_file::{self, PathRefusal};
use crate::platform::plain_file::text_of;

/// The file beside the manifest that may hold the key.
pub(super) const ENV_FILE: &str = ".env";

/// The variable with the key, in the environment and in the file.
pub(super) const KEY_VARIABLE: &str = "ROBLOX_API_KEY";

/// The variable with an OAuth token, in the environment alone.
pub(super) const TOKEN_VARIABLE: &str = "ROBLOX_OAUTH_TOKEN";

/// The most that is read of a file with a key. A key has about 900 bytes, a token a few thousand.
pub(super) const MAX_KEY_BYTES: u64 = 64 << 10;

/// A word without spaces of this length in a file of variables is more likely a key than a word.
const LONG_AS_A_KEY: usize = 32;

/// A word of this length that is all of a file of variables is probably a key: no word that somebody
/// writes there alone is as long.
const SHORTEST_KEY: usize = 12;

/// Names that people and other tools give the variable, in capitals and without separators.
const NEAR_NAMES: [&str; 25] = [
    "ROBLOXAPIKEY",
    "ROBLOXKEY",
    "ROBLOXAPI",
    "ROBLOXTOKEN",
    "ROBLOXAPITOKEN",
    "ROBLOXAPISECRET",
    "ROBLOXASSETKEY",
    "ROBLOXASSETSKEY",
    "ROBLOXCLOUDKEY",
    "ROBLOXCLOUDAPIKEY",
    "ROBLOXOPENCLOUDKEY",
    "ROBLOXOPENCLOUDAPIKEY",
    "OPENCLOUDKEY",
    "OPENCLOUDAPIKEY",
    "RBXKEY",
    "RBXAPIKEY",
    "RBXCLOUDKEY",
    "RBXCLOUDAPIKEY",
    "RBLXKEY",
    "RBLXAPIKEY",
    "MACADAMKEY",
    "MACADAMAPIKEY",
    "ASPHALTAPIKEY",
    "TARMACAPIKEY",
    "MANTLEOPENCLOUDAPIKEY",
];

/// What Windows' editor, and other tools, make of the file's name.
const NEAR_FILES: [&str; 5] = [".env.txt", "env.txt", "env", ".env.local", "_env"];

/// Why a variable of a `.env` file has no value that could be meant. Says nothing of the value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum EnvFileError {
    #[error("the closing quote is missing")]
    OpenQuote,
    #[error("`=` has to follow the name, not `:`")]
    Colon,
    #[error("`$` in it isn't replaced: Macadam reads the value as it is written")]
    Expansion,
    #[error("the file isn't saved as UTF-8")]
    Encoding,
}

impl EnvFileError {
    /// What to do about it.
    pub(super) const fn hint(self) -> &'static str {
        match self {
            Self::Colon => "write ROBLOX_API_KEY= and the key after it",
            Self::OpenQuote => "close the quote in the same line, or write the key without quotes",
            Self::Expansion => "write the key itself, or leave the file out and set the variable before the command",
            Self::Encoding => "save it with the encoding UTF-8, which editors offer under \"Save as\"",
        }
    }
}

/// Why there is no key though somebody seems to have written one down: what is wrong, and what to
/// do.
#[derive(Debug)]
pub(super) struct NearMiss {
    /// The fault. Lower case, no full stop.
    pub(super) fault: String,
    /// The remedy.
    pub(super) remedy: String,
}

impl NearMiss {
    fn new(fault: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { fault: fault.into(), remedy: remedy.into() }
    }
}

/// The API key in a file of variables, if it has one. The last one counts, as in a shell.
///
/// # Errors
/// When the value has no closing quote, names another variable, follows a colon, or is no text. No
/// key holds a `$`.
pub(super) fn key_in(bytes: &[u8]) -> Result<Option<String>, EnvFileError> {
    let text = text_of(bytes);
    // UTF-16 without its mark. Another program's file is none of our business.
    if text.contains('\0') && text.replace('\0', "").contains(KEY_VARIABLE) {
        return Err(EnvFileError::Encoding);
    }
    let value = |line: &str| {
        let rest = assignment(line).strip_prefix(KEY_VARIABLE)?.trim_start();
        if rest.starts_with(':') {
            return Some(Err(EnvFileError::Colon));
        }
        let value = rest.strip_prefix('=')?.trim();
        let Some(quote) = value.chars().next().filter(|first| matches!(first, '"' | '\'')) else {
            return Some(Ok(value.split(" #").next().unwrap_or_default().trim().to_owned()));
        };
        let inside = value.get(1..).and_then(|rest| rest.split_once(quote));
        Some(inside.map(|(inside, _)| inside.to_owned()).ok_or(EnvFileError::OpenQuote))
    };
    let mut values = text.lines().filter_map(value);
    match values.rfind(|value| value.as_ref().map_or(true, |value| !value.is_empty())).transpose()? {
        Some(value) if value.contains('$') => Err(EnvFileError::Expansion),
        Some(value) if value.contains(char::REPLACEMENT_CHARACTER) => Err(EnvFileError::Encoding),
        value => Ok(value),
    }
}

/// A line without the word that a shell has before an assignment.
fn assignment(line: &str) -> &str {
    let line = line.trim();
    line.strip_prefix("export ").unwrap_or(line).trim_start()
}

/// Why no key was found in the folder `root` of the manifest, if that can be seen: in its `.env`,
/// in a file with a similar name, in a folder above, or in the environment.
pub(super) fn near_miss(root: &Path) -> Option<NearMiss> {
    let in_file = match own_file::read(&root.join(ENV_FILE), MAX_KEY_BYTES) {
        Ok(bytes) => of_text(&text_of(&bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => Some(unreadable(&error)),
    };
    in_file.or_else(|| misnamed(root)).or_else(|| in_folder_above(root)).or_else(in_environment)
}

/// What is wrong with a `.env` without a usable key.
fn of_text(text: &str) -> Option<NearMiss> {
    let write = format!("write {KEY_VARIABLE}= and the key after it, in a line of its own");
    let mut near = None;
    for line in text.lines().map(assignment) {
        let (is_comment, content) = match line.strip_prefix('#') {
            Some(comment) => (true, assignment(comment)),
            None => (false, line),
        };
        let name = content.split(['=', ':']).next().unwrap_or_default().trim();
        let found = if is_comment {
            let is_key = name == KEY_VARIABLE && content.contains('=');
            is_key.then(|| {
                NearMiss::new(
                    format!("{ENV_FILE} beside the manifest has {KEY_VARIABLE} only in a comment"),
                    "take the `#` at the beginning of that line away",
                )
            })
        } else if name == KEY_VARIABLE && content.contains('=') {
            Some(NearMiss::new(format!("{KEY_VARIABLE} in {ENV_FILE} beside the manifest is empty"), &write))
        } else if content.contains(KEY_VARIABLE) {
            let fault = format!(
                "{ENV_FILE} beside the manifest has {KEY_VARIABLE}, but no line that begins with `{KEY_VARIABLE}=`"
            );
            Some(NearMiss::new(fault, &write))
        } else if name == TOKEN_VARIABLE {
            Some(NearMiss::new(
                format!(
                    "{ENV_FILE} beside the manifest has {TOKEN_VARIABLE}, which Macadam takes from the environment alone"
                ),
                format!("set the variable {TOKEN_VARIABLE} before the command, or {write}"),
            ))
        } else if is_near(name) {
            Some(NearMiss::new(
                format!("{ENV_FILE} beside the manifest has `{name}`, and Macadam reads only {KEY_VARIABLE}"),
                format!("write {KEY_VARIABLE} in place of `{name}`"),
            ))
        } else if is_bare_key(content) {
            Some(NearMiss::new(
                format!("{ENV_FILE} beside the manifest has a line without a name"),
                format!("if that line is the API key, write {KEY_VARIABLE}= in front of it"),
            ))
        } else {
            None
        };
        // A comment is the least likely reason.
        near = match (near, found) {
            (Some((true, _)) | None, Some(found)) => Some((is_comment, found)),
            (near, _) => near,
        };
    }
    if text.trim().is_empty() {
        return Some(NearMiss::new(format!("{ENV_FILE} beside the manifest is empty"), write));
    }
    if is_only_a_key(text) {
        return Some(NearMiss::new(
            format!(
                "{ENV_FILE} beside the manifest holds one word, probably the API key, without the name of a variable"
            ),
            format!("write {KEY_VARIABLE}= in front of it"),
        ));
    }
    near.map(|(_, near)| near)
}

/// Whether all that a file holds, beside comments, may be a key.
pub(super) fn is_only_a_key(text: &str) -> bool {
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    let (Some(line), None) = (lines.next(), lines.next()) else { return false };
    let word = line.trim_matches(['"', '\'']).trim_end_matches('=');
    word.len() >= SHORTEST_KEY && word.bytes().all(is_of_a_key) && !word.contains(KEY_VARIABLE)
}

/// Whether a line may be nothing but a key.
fn is_bare_key(line: &str) -> bool {
    let line = line.trim_matches(['"', '\'']);
    line.len() >= LONG_AS_A_KEY && line.trim_end_matches('=').bytes().all(is_of_a_key)
}

const fn is_of_a_key(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'-' | b'_' | b'.')
}

/// Whether a variable of this name is meant to be [`KEY_VARIABLE`].
fn is_near(name: &str) -> bool {
    let plain: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let is_a_name = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' '));
    is_a_name && name != KEY_VARIABLE && NEAR_NAMES.contains(&plain.to_ascii_uppercase().as_str())
}

fn unreadable(error: &io::Error) -> NearMiss {
    let beside = format!("{ENV_FILE} beside the manifest");
    match own_file::refusal(error) {
        Some(PathRefusal::NotAFile { kind, .. }) => NearMiss::new(
            format!("{beside} is {kind}, not a file"),
            format!(
                "write {KEY_VARIABLE}= and the key into a file of another name, and load it into the environment; or name a file with just the key: `--api-key-file key.txt`"
            ),
        ),
        Some(PathRefusal::Link { .. }) => NearMiss::new(
            format!("{beside} is a link, which Macadam doesn't follow"),
            format!("set the variable {KEY_VARIABLE}, or name a file with just the key: `--api-key-file key.txt`"),
        ),
        _ => NearMiss::new(
            format!("{beside} can't be read: {}", crate::model::shown::with_causes(error)),
            format!("make it readable for this user, or set the variable {KEY_VARIABLE}"),
        ),
    }
}

/// Whether a file of variables has a usable key.
fn has_key(path: &Path) -> bool {
    own_file::read(path, MAX_KEY_BYTES).is_ok_and(|bytes| matches!(key_in(&bytes), Ok(Some(_))))
}

fn misnamed(root: &Path) -> Option<NearMiss> {
    let name = NEAR_FILES.into_iter().find(|name| has_key(&root.join(name)))?;
    let explorer = if name.ends_with(".txt") {
        ". Windows hides the ending .txt, unless Explorer shows file name extensions"
    } else {
        ""
    };
    Some(NearMiss::new(
        format!("the file with {KEY_VARIABLE} is called {name}, and Macadam reads {ENV_FILE}"),
        format!("rename {name} to {ENV_FILE}{explorer}"),
    ))
}

/// A `.env` in a folder above, up to the top of the git checkout.
fn in_folder_above(root: &Path) -> Option<NearMiss> {
    let top = root.ancestors().find(|folder| folder.join(".git").exists())?;
    let above = root.ancestors().skip(1).take_while(|folder| folder.starts_with(top));
    let steps = above.map(|folder| folder.join(ENV_FILE)).position(|path| has_key(&path))?;
    let path = format!("{}{ENV_FILE}", "../".repeat(steps + 1));
    Some(NearMiss::new(
        format!(
            "{KEY_VARIABLE} is in {path}, seen from the manifest, and Macadam reads the {ENV_FILE} beside the manifest"
        ),
        format!("move or copy {path} to the folder of the manifest"),
    ))
}

fn in_environment() -> Option<NearMiss> {
    let names =
        std::env::vars_os().filter(|(_, value)| !value.is_empty()).filter_map(|(name, _)| name.into_string().ok());
    let name = names.filter(|name| is_near(name)).min()?;
    Some(NearMiss::new(
        format!("the variable `{name}` is set, and Macadam reads only {KEY_VARIABLE}"),
        format!("set {KEY_VARIABLE} in place of `{name}`"),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_is_found_in_a_file_of_variables() {
        let check = |text: &str, wanted: Option<&str>| {
            assert_eq!(key_in(text.as_bytes()), Ok(wanted.map(str::to_owned)), "{text:?}");
        };
        check("ROBLOX_API_KEY=abc", Some("abc"));
        check("\u{feff}ROBLOX_API_KEY=abc", Some("abc"));
        check("# ROBLOX_API_KEY=old\r\nexport ROBLOX_API_KEY = 'a b'\r\n", Some("a b"));
        check("A=1\nROBLOX_API_KEY=\"abc\" # mine\nB=2", Some("abc"));
        check("ROBLOX_API_KEY=abc # mine", Some("abc"));
        check("ROBLOX_API_KEY=a\nROBLOX_API_KEY=b", Some("b"));
        check("ROBLOX_API_KEY_OLD=a\nMY_ROBLOX_API_KEY=b\nROBLOX_API_KEY=\n", None);
        check("", None);
        let refused = |text: &str, wanted: EnvFileError| {
            assert_eq!(key_in(text.as_bytes()), Err(wanted), "{text:?}");
        };
        refused("ROBLOX_API_KEY: abc\n", EnvFileError::Colon);
        check("ROBLOX_API_KEY: abc\nROBLOX_API_KEY=b", Some("b"));
        refused("ROBLOX_API_KEY=\"abc\n", EnvFileError::OpenQuote);
        refused("ROBLOX_API_KEY='abc\"\n", EnvFileError::OpenQuote);
        refused("ROBLOX_API_KEY=${MY_KEY}\n", EnvFileError::Expansion);
        refused("ROBLOX_API_KEY=\"$MY_KEY\"\n", EnvFileError::Expansion);
        check("ROBLOX_API_KEY=\"abc\nROBLOX_API_KEY=b", Some("b"));
    }

    #[test]
    fn a_file_in_utf_16_is_read_if_it_begins_with_a_mark() {
        let units = |text: &str| text.encode_utf16().collect::<Vec<_>>();
        let little: Vec<u8> = units("\u{feff}ROBLOX_API_KEY=abc\r\n").into_iter().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = units("\u{feff}ROBLOX_API_KEY=abc\r\n").into_iter().flat_map(u16::to_be_bytes).collect();
        for bytes in [&little, &big] {
            assert_eq!(key_in(bytes), Ok(Some("abc".to_owned())));
            assert_eq!(key_in(&bytes[..bytes.len() - 1]), Err(EnvFileError::Encoding), "cut");
            assert_eq!(key_in(&bytes[2..]), Err(EnvFileError::Encoding), "without the mark");
        }
        assert_eq!(key_in(b"A=1\0\0"), Ok(None), "another program's");
    }

    #[test]
    fn a_file_without_a_usable_key_says_why_and_shows_no_value() {
        const KEY: &str = "AbCd1234efgh5678IjKl9012mnop3456QrSt7890uvwx==";
        let check = |text: &str, fault: &str, remedy: &str| {
            let text = text.replace("KEY!", KEY);
            let near = of_text(&text).unwrap_or_else(|| panic!("{text:?}"));
            assert!(near.fault.contains(fault), "{text:?}: {near:?}");
            assert!(near.remedy.contains(remedy), "{text:?}: {near:?}");
            assert!(!format!("{near:?}").contains(&KEY[..8]), "{near:?}");
        };
        let write = "write ROBLOX_API_KEY= and the key after it";
        check("ROBLOX_API_KEY\n", "no line that begins with `ROBLOX_API_KEY=`", write);
        check("ROBLOX_API_KEY KEY!\n", "no line that begins with `ROBLOX_API_KEY=`", write);
        check("$env:ROBLOX_API_KEY=KEY!\n", "no line that begins with `ROBLOX_API_KEY=`", write);
        check("set ROBLOX_API_KEY=KEY!\n", "no line that begins with `ROBLOX_API_KEY=`", write);
        check("ROBLOX_API_KEY=\n", "is empty", write);
        check("ROBLOX_API_KEY=\"\"\nA=1\n", "is empty", write);
        check("#ROBLOX_API_KEY=KEY!\n", "only in a comment", "take the `#`");
        check("# ROBLOX_API_KEY=KEY!\nROBLOX_KEY=KEY!\n", "has `ROBLOX_KEY`", "in place of `ROBLOX_KEY`");
        check("RBX_API_KEY=KEY!\n", "has `RBX_API_KEY`", "write ROBLOX_API_KEY in place");
        check("export roblox-api-key: KEY!\n", "has `roblox-api-key`", "write ROBLOX_API_KEY in place");
        check("ROBLOX_OAUTH_TOKEN=KEY!\n", "takes from the environment alone", "set the variable");
        check("A=1\nKEY!\n", "a line without a name", "write ROBLOX_API_KEY= in front");
        for text in ["KEY!", "KEY!\n", "# mine\n\nKEY!\r\n", "\"KEY!\"\n"] {
            check(text, "holds one word, probably the API key", "write ROBLOX_API_KEY= in front");
        }
        check("AbCd1234efgh5", "holds one word, probably the API key", "write ROBLOX_API_KEY= in front");
        check(" \r\n", "is empty", write);
        for text in ["A=1\n", "later\n", "KEY=KEY!\n", "API_KEY=KEY!\n", "# the key of this project\n", "A_ROBLOX=1\n"]
        {
            let text = text.replace("KEY!", KEY);
            assert!(of_text(&text).is_none(), "{text:?}");
        }
    }
}
