//! Finds the API key: in a file, in the systemd credential, in the environment, in this order. The
//! key is never an argument.
//!
//! A link to the file is followed, since whoever starts Macadam names it: secrets are often mounted
//! as links. But nothing is waited for, so a FIFO is refused, `<(…)` of a shell included.
#![expect(clippy::disallowed_methods, reason = "this module reads the environment")]

use std::path::Path;

use super::exit::{CommandFailure, Exit};
use crate::cloud::secret::{Credential, CredentialError};
use crate::platform::own_file::{self, PathRefusal};
use crate::platform::plain_file;

const CREDENTIAL_NAME: &str = "roblox-api-key";
const KEY_VARIABLE: &str = "ROBLOX_API_KEY";
const TOKEN_VARIABLE: &str = "ROBLOX_OAUTH_TOKEN";

/// Finds the credential, if there is one.
///
/// # Errors
/// When the credential that it found can't be used.
pub(super) fn find_any(file: Option<&Path>) -> Result<Option<Credential>, CommandFailure> {
    let is_set =
        |variable: &str| std::env::var_os(variable).is_some_and(|text| !text.to_string_lossy().trim().is_empty());
    let in_systemd = std::env::var_os("CREDENTIALS_DIRECTORY")
        .is_some_and(|folder| Path::new(&folder).join(CREDENTIAL_NAME).exists());
    let is_there = file.is_some() || in_systemd || is_set(KEY_VARIABLE) || is_set(TOKEN_VARIABLE);
    if is_there { find(file).map(Some) } else { Ok(None) }
}

/// Finds the credential.
///
/// # Errors
/// Exit code 4 when there is none, or it can't be used. The message never contains the key.
pub(super) fn find(file: Option<&Path>) -> Result<Credential, CommandFailure> {
    if let Some(path) = file {
        return read(path);
    }
    if let Some(folder) = std::env::var_os("CREDENTIALS_DIRECTORY") {
        let path = Path::new(&folder).join(CREDENTIAL_NAME);
        if path.exists() {
            return read(&path);
        }
    }
    let from = |variable: &str, make: fn(&str) -> Result<Credential, CredentialError>| {
        let text = std::env::var(variable).ok().filter(|text| !text.trim().is_empty())?;
        Some(make(&text).map_err(|error| {
            CommandFailure::of(Exit::Credential, &error, Some(format!("it comes from the variable {variable}")))
        }))
    };
    from(KEY_VARIABLE, Credential::api_key).or_else(|| from(TOKEN_VARIABLE, Credential::oauth)).unwrap_or_else(|| {
        Err(CommandFailure::new(Exit::Credential, "no API key").hint(format!(
            "set {KEY_VARIABLE}, or name a file with --api-key-file; make a key with asset:read and asset:write at \
                 create.roblox.com/dashboard/credentials; `--emulator` needs none"
        )))
    })
}

/// The most that is read of the key's file. A key has about 900 bytes, a token a few thousand.
const MAX_KEY_BYTES: u64 = 64 << 10;

/// The file holds something else than a key. Says nothing of what.
#[derive(Debug, thiserror::Error)]
#[error("it is not text")]
struct NoText;

/// A path this long in which no folder exists is more likely a key than the name of a file.
const LONG_AS_A_KEY: usize = 32;

fn read(path: &Path) -> Result<Credential, CommandFailure> {
    let wrong = |error: &dyn std::error::Error| {
        let mut failure = CommandFailure::of(Exit::Credential, error, None);
        if let Some(problem) = failure.problems.last_mut() {
            let (name, hint) = name_of(path);
            problem.message = format!("read the API key from {name}: {}", problem.message);
            problem.hint = hint.map(str::to_owned);
        }
        failure
    };
    let bytes = plain_file::read(path, MAX_KEY_BYTES).map_err(|error| {
        let mut failure = wrong(&error);
        if let (Some(PathRefusal::NotAFile { .. }), Some(problem)) =
            (own_file::refusal(&error), failure.problems.last_mut())
        {
            problem.hint = Some(format!("name a plain file that holds the key, or set {KEY_VARIABLE}"));
        }
        failure
    })?;
    let text = String::from_utf8(bytes).map_err(|_| wrong(&NoText))?;
    let credential = Credential::api_key(&text).map_err(|error| wrong(&error))?;
    if others_can_read(path) {
        let path = path.display();
        tracing::warn!("every user of this machine can read the API key in {path}: `chmod 600 {path}`");
    }
    Ok(credential)
}

/// The file as a message may name it, and a hint: not at all where it may be the key itself.
fn name_of(path: &Path) -> (String, Option<&'static str>) {
    let in_a_folder = path.parent().is_some_and(|folder| !folder.as_os_str().is_empty() && folder.exists());
    if in_a_folder || path.exists() || path.as_os_str().len() < LONG_AS_A_KEY {
        return (path.display().to_string(), None);
    }
    let hint = "--api-key-file takes the name of a file that holds the key, not the key itself; the name is not \
                repeated here, in case it is the key";
    ("the file that --api-key-file names".to_owned(), Some(hint))
}

/// Whether the path names a file, and so is no key that was given in its place.
pub(super) fn is_file(path: &Path) -> bool {
    path.is_file()
}

#[cfg(unix)]
fn others_can_read(path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    std::fs::metadata(path).is_ok_and(|file| file.mode() & 0o004 != 0)
}

#[cfg(not(unix))]
const fn others_can_read(_path: &Path) -> bool {
    false
}

/// The embedded emulator takes any key.
pub(super) fn for_emulator() -> Result<Credential, CommandFailure> {
    Credential::api_key("emulator").map_err(|error| CommandFailure::of(Exit::Credential, &error, None))
}
