//! `macadam init`: the files of a new project, overwriting nothing.

use std::fs::OpenOptions;
use std::io::{ErrorKind, Write as _};
use std::path::Path;

use serde_json::json;

use super::exit::{Exit, Failure};
use super::output::{Output, Tone, paint};
use crate::engine::project::{DEFAULT_MANIFEST, PRIVATE_IGNORE};
use crate::engine::state_folder::StateFolder;

const MANIFEST: &str = include_str!("init/assets.toml");
const ATTRIBUTES: &str = include_str!("init/gitattributes");

/// The name under which git knows the merge driver.
const DRIVER: &str = "git config merge.macadam.driver \"macadam lockfile merge %O %A %B\"";

/// Writes what is missing in `folder`.
pub fn run(output: Output, folder: &Path, manifest: Option<&Path>) -> Result<Exit, Failure> {
    let manifest = manifest.unwrap_or(Path::new(DEFAULT_MANIFEST));
    let manifest = folder.join(manifest);
    let root = manifest.parent().unwrap_or(folder).to_owned();
    let mut written = Vec::new();
    let mut kept = Vec::new();
    let mut files = vec![(manifest, MANIFEST), (root.join(".gitattributes"), ATTRIBUTES)];
    // In a git checkout the state isn't here. Where that can't be told, whoever makes the state says so.
    let existing = root.ancestors().find(|folder| folder.is_dir()).unwrap_or(folder);
    if let Ok(StateFolder::Beside(_)) = StateFolder::of(existing) {
        files.push((StateFolder::beside(&root).path().join(".gitignore"), PRIVATE_IGNORE));
    }
    for (path, content) in files {
        let shown = path.strip_prefix(folder).unwrap_or(&path).display().to_string();
        if create(&path, content)? { written.push(shown) } else { kept.push(shown) }
    }
    if output.is_json() {
        output.document(&json!({ "written": written, "kept": kept }));
        return Ok(Exit::Success);
    }
    for path in &written {
        output.line(format!("{} {path}", paint(Tone::Good, "wrote")));
    }
    for path in &kept {
        output.line(format!("{} {path} (it was there before; nothing is overwritten)", paint(Tone::Quiet, "kept")));
    }
    output.line("");
    output.line("Next:");
    output.line("  1. set your user or group ID in assets.toml, and list your assets");
    output.line("  2. macadam check                      # validates everything, offline");
    output.line("  3. macadam sync --once --emulator     # a rehearsal, without a key");
    output.line("  4. ROBLOX_API_KEY=… macadam sync --once");
    output.line("");
    output.line("In each clone, once, so that git can merge the lockfile:");
    output.line(format!("  {DRIVER}"));
    Ok(Exit::Success)
}

/// Creates a file unless there is one.
fn create(path: &Path, content: &str) -> Result<bool, Failure> {
    let failed = |error: &std::io::Error| Failure::new(Exit::Unusable, format!("write {}: {error}", path.display()));
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).map_err(|error| failed(&error))?;
    }
    match OpenOptions::new().write(true).create_new(true).open(path) {
        Ok(mut file) => {
            file.write_all(content.as_bytes()).and_then(|()| file.sync_all()).map_err(|error| failed(&error))?;
            Ok(true)
        }
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(failed(&error)),
    }
}
