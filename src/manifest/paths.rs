//! Paths of files in the project, as a manifest writes them.

use super::diagnostic::ErrorSink;
use super::read::KeyValue;
use crate::model::path::{PathError, ProjectPath};

/// Reads a path of a file in the project.
pub(super) fn read_path(field: &KeyValue<'_>, report: &mut ErrorSink) -> Option<ProjectPath> {
    let text = field.text(report)?;
    if let Some(control) = text.chars().find(|c| c.is_control()) {
        let fault = format!("a path can't hold the control character U+{:04X}", u32::from(control));
        report.add(field.fault(fault).hint("rename the file, and write its new name"));
        return None;
    }
    let path = ProjectPath::new(text);
    path.map_err(|error| {
        let fault = field.fault(error.to_string());
        report.add(match &error {
            PathError::Absolute { .. } => fault.hint(inside_hint(text)),
            PathError::Backslash { .. } if is_on_a_drive(text) => fault.hint(inside_hint(text)),
            PathError::Backslash { .. } => fault.hint(format!("write \"{}\"", slashed(text))),
            PathError::Parent { .. } => {
                fault.hint("move the file into the manifest's folder, or the manifest into a folder above both")
            }
            PathError::Folder { .. } => fault.hint(format!(
                "name a file; for all pictures in the folder, write a glob: [globs.NAME] with path = \"{}**/*.png\"",
                slashed(text)
            )),
            PathError::Doubled { .. } => fault.hint(format!("write \"{}\"", single_slashes(text))),
            PathError::Empty | PathError::BadPart { .. } => fault,
        });
    })
    .ok()
}

fn is_on_a_drive(text: &str) -> bool {
    text.as_bytes().get(1) == Some(&b':') && text.as_bytes().first().is_some_and(u8::is_ascii_alphabetic)
}

/// For a path from the root of a disk: the part that a manifest deep inside would name.
fn inside_hint(text: &str) -> String {
    let slashed = slashed(text);
    let parts: Vec<&str> = slashed.split('/').filter(|part| !part.is_empty()).collect();
    let last = parts.get(parts.len().saturating_sub(2)..).unwrap_or_default().join("/");
    format!("write only the part below the manifest's folder, such as \"{last}\"")
}

/// A path without its empty parts, as far as a hint repeats it.
pub(super) fn single_slashes(text: &str) -> String {
    let parts: Vec<&str> = text.split('/').filter(|part| !part.is_empty()).collect();
    slashed(&parts.join("/"))
}

fn slashed(text: &str) -> String {
    text.replace('\\', "/").chars().take(60).filter(|c| !c.is_control()).collect()
}

/// A path as paths are compared: one file has one spelling.
pub(super) fn normalized(path: &ProjectPath) -> String {
    path.composed().into_owned()
}
