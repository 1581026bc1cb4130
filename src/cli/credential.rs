//! Finds the API key: in a file, in the systemd credential, in the environment, in `.env` beside the
//! manifest, in this order. The key is never an argument.
//!
//! A link to the file is followed, since whoever starts Macadam names it: secrets are often mounted
//! as links. But nothing is waited for, so a FIFO is refused, `<(…)` of a shell included.
#![expect(clippy::disallowed_methods, reason = "this module reads the environment")]

use std::path::{Path, PathBuf};

use super::env_file::{self, ENV_FILE, EnvFileError, KEY_VARIABLE, MAX_KEY_BYTES, NearMiss, TOKEN_VARIABLE};
use super::exit::{CommandFailure, Exit};
use crate::cloud::secret::{Credential, CredentialError};
use crate::engine::reconcile::service::KeyChange;
use crate::engine::workspace::git::ask::{Tracking, tracking};
use crate::engine::workspace::git::tracked::was_committed;
use crate::engine::workspace::project::Project;
use crate::platform::own_file::{self, PathRefusal};
use crate::platform::plain_file;

const CREDENTIAL_NAME: &str = "roblox-api-key";

/// What is wrong with a `.env` that holds a key, and that git neither tracks nor ignores.
const NOT_IGNORED: &str = "git doesn't ignore .env, which holds the API key, and the next commit of all files takes it";

/// The remedy. Windows has no such command that each of its shells takes: PowerShell's `>>` writes
/// UTF-16, which git doesn't read.
const IGNORE_IT: &str = if cfg!(windows) { "add the line `.env` to .gitignore" } else { "`echo .env >> .gitignore`" };

/// The remedy where .gitignore itself is the fault.
const SAVE_AS_UTF_8: &str = "git can't read .gitignore, which is UTF-16 (PowerShell's `>>` writes that): save it as UTF-8, with the line `.env`";

/// The most that is read of a .gitignore, in bytes.
const MAX_IGNORE_BYTES: u64 = 1 << 20;

/// What there is to warn of a key in a `.env` that the next commit may take, whether or not the key
/// is used: the message and what to do. `None` too where git can't be asked.
pub(super) fn exposed_env_file(project: &Project) -> Option<(&'static str, &'static str)> {
    let path = project.root.join(ENV_FILE);
    let bytes = own_file::read(&path, MAX_KEY_BYTES).ok()?;
    let has_key =
        !matches!(env_file::key_in(&bytes), Ok(None)) || env_file::is_only_a_key(&plain_file::text_of(&bytes));
    (has_key && tracking(&path) == Ok(Some(Tracking::Untracked))).then(|| (NOT_IGNORED, how_to_ignore(&project.root)))
}

/// Whether no `git add .` takes a new `.env` in the folder `root`, now or once there is a
/// repository.
pub(super) fn stays_out_of_git(root: &Path) -> bool {
    match tracking(&root.join(ENV_FILE)) {
        Ok(Some(tracking)) => tracking != Tracking::Untracked,
        Ok(None) | Err(_) => {
            let ignored = ignore_file(root);
            String::from_utf8_lossy(&ignored).lines().any(|line| matches!(line.trim_end(), ".env" | "/.env"))
        }
    }
}

/// Returns what keeps `.env` in the folder `root` out of git.
pub(super) fn how_to_ignore(root: &Path) -> &'static str {
    if ignore_file(root).contains(&0) { SAVE_AS_UTF_8 } else { IGNORE_IT }
}

/// The content of the .gitignore in the folder `root`; empty if there is none.
fn ignore_file(root: &Path) -> Vec<u8> {
    plain_file::read(&root.join(".gitignore"), MAX_IGNORE_BYTES).unwrap_or_default()
}

/// The file of the systemd credential, if there is one.
fn systemd_file() -> Option<PathBuf> {
    let folder = std::env::var_os("CREDENTIALS_DIRECTORY")?;
    Some(Path::new(&folder).join(CREDENTIAL_NAME)).filter(|file| file.exists())
}

/// Whether a variable has a value.
fn is_set(variable: &str) -> bool {
    std::env::var_os(variable).is_some_and(|text| !text.to_string_lossy().trim().is_empty())
}

/// Returns how to give a running service another key, by where it finds the one that it has.
pub(super) fn how_to_change(file: Option<&Path>, project: &Project) -> KeyChange {
    let reread = |how: String| KeyChange { how, needs_restart: false };
    let restart = |how: String| KeyChange { how, needs_restart: true };
    let reload = if cfg!(unix) {
        let again =
            format!("at the next full scan (`--interval`), or at once after `kill -HUP {}`", std::process::id());
        format!("; Macadam reads it again {again}, and goes on by itself")
    } else {
        "; Macadam reads it again at the next full scan (`--interval`), and goes on by itself".to_owned()
    };
    if let Some(file) = file {
        return reread(format!("write the new key into {}{reload}", name_of(file).0));
    }
    if systemd_file().is_some() {
        let how =
            format!("replace the credential {CREDENTIAL_NAME}, then restart the unit: `systemctl restart macadam`");
        return restart(how);
    }
    for variable in [KEY_VARIABLE, TOKEN_VARIABLE] {
        if is_set(variable) {
            let how = format!("it comes from the variable {variable}: set the new one, and start `macadam sync` again");
            return restart(how);
        }
    }
    reread(format!("write the new key into {}{reload}", project.root.join(ENV_FILE).display()))
}

/// Finds the credential, if there is one.
///
/// # Errors
/// When the credential that it found can't be used.
pub(super) fn find_any(file: Option<&Path>, project: &Project) -> Result<Option<Credential>, CommandFailure> {
    if file.is_some() || systemd_file().is_some() || is_set(KEY_VARIABLE) || is_set(TOKEN_VARIABLE) {
        return find(file, project).map(Some);
    }
    of_env_file(&project.root.join(ENV_FILE)).map(|found| found.map(|(credential, _)| credential))
}

/// Finds the credential.
///
/// # Errors
/// Exit code 4 when there is none, or it can't be used. The message never contains the key.
pub(super) fn find(file: Option<&Path>, project: &Project) -> Result<Credential, CommandFailure> {
    if let Some(path) = file {
        return read(path);
    }
    if let Some(path) = systemd_file() {
        return read(&path);
    }
    let from = |variable: &str, make: fn(&str) -> Result<Credential, CredentialError>| {
        let text = std::env::var(variable).ok().filter(|text| !text.trim().is_empty())?;
        Some(make(&text).map_err(|error| {
            CommandFailure::of(Exit::Credential, &error, Some(format!("it comes from the variable {variable}")))
        }))
    };
    let in_environment =
        from(KEY_VARIABLE, Credential::api_key).or_else(|| from(TOKEN_VARIABLE, Credential::oauth)).transpose()?;
    match in_environment {
        Some(credential) => Ok(credential),
        None => {
            let (credential, is_exposed) =
                of_env_file(&project.root.join(ENV_FILE))?.ok_or_else(|| missing(project))?;
            if is_exposed {
                tracing::warn!("{NOT_IGNORED}: {}", how_to_ignore(&project.root));
            }
            Ok(credential)
        }
    }
}

/// There is no key. Names the mistake that kept one from being found, or else every place for one.
fn missing(project: &Project) -> CommandFailure {
    if let Some(NearMiss { fault, remedy }) = env_file::near_miss(&project.root) {
        return CommandFailure::new(Exit::Credential, format!("no API key: {fault}")).hint(remedy);
    }
    // In CI, a secret that doesn't exist makes an empty variable.
    let message = if std::env::var_os(KEY_VARIABLE).is_some() {
        format!("no API key: the variable {KEY_VARIABLE} is set, but empty")
    } else {
        "no API key".to_owned()
    };
    CommandFailure::new(Exit::Credential, message).hint(format!(
        "set the variable {KEY_VARIABLE}, write `{KEY_VARIABLE}=…` into {ENV_FILE} beside the manifest, or name a file with \
         --api-key-file; in CI, pass a secret of the repository as {KEY_VARIABLE}. Make a key with asset:read and \
         asset:write at create.roblox.com/dashboard/credentials. A rehearsal needs none: `--emulator`"
    ))
}

/// Reads the key, and no other variable, from a `.env` file. One that git tracks is refused: the
/// key in it is known to everybody who has the repository. Also returns whether the next commit may
/// take it.
fn of_env_file(path: &Path) -> Result<Option<(Credential, bool)>, CommandFailure> {
    let bytes = match own_file::read(path, MAX_KEY_BYTES) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        // It may be of another program, and hold no key: `missing` tells of it.
        Err(error) => {
            tracing::debug!("{} can't be read: {error}", path.display());
            return Ok(None);
        }
    };
    let unusable = |error: EnvFileError| {
        CommandFailure::new(Exit::Credential, format!("{KEY_VARIABLE} in {}: {error}", path.display()))
            .hint(error.hint())
    };
    let Some(key) = env_file::key_in(&bytes).map_err(unusable)? else { return Ok(None) };
    let root = path.parent().unwrap_or(Path::new(""));
    let is_exposed = match tracking(path) {
        // Staged, and not yet in any commit.
        Ok(Some(Tracking::Tracked)) if was_committed(path) == Ok(false) => {
            let message = format!("{} is staged, so the next commit takes the API key in it", path.display());
            let hint = format!(
                "`git rm --cached {ENV_FILE}`, then {}; no commit has the key, so it can stay",
                how_to_ignore(root)
            );
            return Err(CommandFailure::new(Exit::Credential, message).hint(hint));
        }
        Ok(Some(Tracking::Tracked)) => {
            let message = format!("{} is in git, so the API key in it isn't secret", path.display());
            let hint = format!(
                "revoke the key and make a new one; `git rm --cached {ENV_FILE}`, then {}",
                how_to_ignore(root)
            );
            return Err(CommandFailure::new(Exit::Credential, message).hint(hint));
        }
        Ok(Some(Tracking::Untracked)) => true,
        Ok(Some(Tracking::Ignored) | None) => false,
        Err(why) => {
            tracing::warn!("couldn't check that git doesn't have {}, which holds the API key: {why}", path.display());
            false
        }
    };
    Credential::api_key(&key).map(|key| Some((key, is_exposed))).map_err(|error| {
        CommandFailure::of(Exit::Credential, &error, Some(format!("it comes from {}", path.display())))
    })
}

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
            problem.message = format!("can't read the API key from {name}: {}", problem.message);
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
        if let (true, Some(problem)) = (error.kind() == std::io::ErrorKind::NotFound, failure.problems.last_mut()) {
            problem.hint.get_or_insert_with(|| {
                format!(
                    "name a file that holds just the key; its path begins at the folder in which you run the command. Or \
                     set {KEY_VARIABLE}"
                )
            });
        }
        failure
    })?;
    let text = plain_file::text_of(&bytes);
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(wrong(&NoText));
    }
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
