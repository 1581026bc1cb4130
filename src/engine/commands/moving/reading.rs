//! The files of another tool as they are read: below the folder that the user named, through no link.

use std::io;
use std::path::Path;

use super::MoveError;
use crate::manifest::{self, Diagnostic};
use crate::model::path::ProjectPath;
use crate::moving::{ReadError, Source, SourceOptions, Tool};
use crate::platform::own_file;
use crate::platform::plain_file::text_of;

/// The largest file of another tool that is read, in bytes: no tool writes a larger one.
const MAX_FILE: u64 = 256 << 20;

/// Reads the files of a tool. `main` is the file that the user named. None of them is read through a
/// link below the folder that the user named: a pull request may have brought it.
///
/// # Errors
/// When they can't be read.
pub(crate) fn read(tool: Tool, main: &Path, options: &SourceOptions) -> Result<Source, MoveError> {
    let main = own_file::named(main);
    let text = read_text(&main)?
        .ok_or_else(|| MoveError::File { path: main.clone(), source: io::Error::from(io::ErrorKind::NotFound) })?;
    let folder = main.parent().unwrap_or(Path::new("."));
    let fetch = |path: &str| {
        // A path outside the project's folder is not a file of the project.
        let Ok(path) = ProjectPath::new(path) else { return Ok(None) };
        read_text(&folder.join(path.as_str())).map_err(|error| ReadError::malformed(path.as_str(), chain(&error)))
    };
    crate::moving::read(tool, &text, options, &fetch).map_err(|error| match syntax_mistake_in(folder, &error) {
        Some(mistake) => MoveError::Syntax(Box::new(mistake)),
        None => error.into(),
    })
}

/// Returns the mistake for which a file is no TOML, if it is one that should be.
fn syntax_mistake_in(folder: &Path, error: &ReadError) -> Option<Diagnostic> {
    let ReadError::Malformed { file, .. } = error else { return None };
    let is_toml = Path::new(file).extension().is_some_and(|extension| extension == "toml");
    let text = read_text(&folder.join(file)).ok().flatten().filter(|_| is_toml)?;
    manifest::syntax_mistake(&text, file)
}

fn chain(error: &MoveError) -> String {
    match error {
        MoveError::File { source, .. } => source.to_string(),
        other => other.to_string(),
    }
}

fn read_text(path: &Path) -> Result<Option<String>, MoveError> {
    let failed = |source: io::Error| MoveError::File { path: path.to_owned(), source };
    let is_no_file =
        |kind| matches!(kind, io::ErrorKind::NotFound | io::ErrorKind::NotADirectory | io::ErrorKind::IsADirectory);
    match own_file::read(path, MAX_FILE) {
        // A table that Excel saved as "Unicode text" begins with such a mark.
        Ok(bytes) if bytes.starts_with(&[0xff, 0xfe]) || bytes.starts_with(&[0xfe, 0xff]) => {
            Ok(Some(text_of(&bytes).into_owned()))
        }
        Ok(bytes) => match String::from_utf8(bytes) {
            Ok(text) => Ok(Some(text)),
            Err(_) => Err(MoveError::Encoding { path: path.to_owned() }),
        },
        Err(error) if is_no_file(error.kind()) => Ok(None),
        Err(error) => Err(failed(error)),
    }
}
