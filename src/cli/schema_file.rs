//! `assets.schema.json` beside a manifest, by which editors complete and check it.

use std::io::{self, Write as _};
use std::path::Path;

use super::exit::{CommandFailure, Exit};
use crate::manifest::schema;
use crate::platform::own_file::{self, How};

/// The name of the file, to which the first line of a manifest leads editors.
pub(super) const SCHEMA: &str = "assets.schema.json";

/// Returns the text of the file.
pub(super) fn text() -> String {
    format!("{:#}\n", schema())
}

/// Writes it into the folder of a manifest, unless it is there.
///
/// # Errors
/// When it can't be written.
pub(super) fn write(folder: &Path) -> Result<(), CommandFailure> {
    let path = folder.join(SCHEMA);
    let written = own_file::open(&path, How::New)
        .and_then(|mut file| file.write_all(text().as_bytes()).and_then(|()| file.sync_all()));
    match written {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(CommandFailure::new(Exit::Unusable, format!("can't write {}: {error}", path.display())))
        }
        Ok(()) | Err(_) => Ok(()),
    }
}
