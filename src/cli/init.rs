//! `macadam init`: writes the files of a new project, and overwrites nothing.

use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde_json::json;

use super::exit::{CommandFailure, Exit};
use super::output::{Printer, TextStyle, paint};
use crate::engine::workspace::project::{DEFAULT_MANIFEST, PRIVATE_IGNORE};
use crate::engine::workspace::state_folder::StateFolder;
use crate::platform::own_file::{self, How};

const MANIFEST: &str = include_str!("init/assets.toml");
const ATTRIBUTES: &str = include_str!("init/gitattributes");

/// The name under which git knows the merge driver.
const DRIVER: &str = "git config merge.macadam.driver \"macadam lockfile merge %O %A %B\"";

/// Writes what is missing in `folder`.
pub(super) fn run(output: Printer, folder: &Path, manifest: Option<&Path>) -> Result<Exit, CommandFailure> {
    let manifest = manifest.unwrap_or(Path::new(DEFAULT_MANIFEST));
    let manifest = own_file::named(&folder.join(manifest));
    let root = manifest.parent().unwrap_or(folder).to_owned();
    let mut written = Vec::new();
    let mut kept = Vec::new();
    let mut files = vec![(manifest, MANIFEST, How::New), (root.join(".gitattributes"), ATTRIBUTES, How::New)];
    // In a git checkout the state isn't here. The command that makes the state reports problems.
    let existing = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(folder);
    if let Ok(StateFolder::Beside(_)) = StateFolder::of(existing) {
        own_file::create_usual_folder(&root).map_err(|error| failed(&root, &error))?;
        let private = StateFolder::beside(&root);
        own_file::create_private_folder(private.path()).map_err(|error| failed(private.path(), &error))?;
        files.push((private.path().join(".gitignore"), PRIVATE_IGNORE, How::NewPrivate));
    }
    for (path, content, how) in files {
        let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        if create(&path, content, how)? { written.push(shown) } else { kept.push(shown) }
    }
    if output.is_json() {
        output.document(&json!({ "written": written, "kept": kept }));
        return Ok(Exit::Success);
    }
    for path in &written {
        output.line(format!("{} {path}", paint(TextStyle::Good, "wrote")));
    }
    for path in &kept {
        output.line(format!("{} {path} (already there, not overwritten)", paint(TextStyle::Quiet, "kept")));
    }
    output.line("");
    output.line("Next:");
    output.line("  1. put your user or group ID into assets.toml, and list your assets");
    output.line("  2. macadam check                      # checks everything, offline");
    output.line("  3. macadam sync --once --emulator     # a rehearsal: sends nothing to Roblox");
    output.line("  4. ROBLOX_API_KEY=… macadam sync --once");
    output.line("");
    output.line("Run this once in each clone, so that git can merge the lockfile:");
    output.line(format!("  {DRIVER}"));
    Ok(Exit::Success)
}

fn failed(path: &Path, error: &std::io::Error) -> CommandFailure {
    let failure = CommandFailure::new(Exit::Unusable, format!("write {}: {error}", path.display()));
    match own_file::hint(error) {
        Some(hint) => failure.hint(hint),
        None => failure,
    }
}

/// Creates a file unless there is one.
fn create(path: &Path, content: &str, how: How) -> Result<bool, CommandFailure> {
    let failed = |error: &std::io::Error| failed(path, error);
    if let Some(folder) = path.parent() {
        own_file::create_usual_folder(folder).map_err(|error| failed(&error))?;
    }
    match own_file::open(path, how) {
        Ok(mut file) => {
            file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}
