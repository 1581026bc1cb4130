//! Warnings about what manifest and files may mean otherwise than they say.

use super::errors::problem;
use super::output::Printer;
use crate::manifest::{Diagnostic, Matter};

/// Warns of likely mistakes of manifest and files, as every command does that reads them.
pub(super) fn warn(output: Printer, notes: &[Diagnostic]) {
    notes.iter().filter(|note| note.matter.is_none()).for_each(|note| output.warning_at(&problem(note)));
}

/// Warns of files that are not in git. Nothing is wrong with them on this machine, so a command says
/// it after its result, and only one that is about all assets.
pub(super) fn warn_of_untracked(output: Printer, notes: &[Diagnostic]) {
    let untracked = notes.iter().filter(|note| note.matter == Some(Matter::Untracked));
    untracked.for_each(|note| output.warning_at(&problem(note)));
}
