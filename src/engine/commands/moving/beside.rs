//! Finds the files of other tools from which Macadam can move in.

use std::fs::DirEntry;
use std::path::Path;

use crate::moving::Tool;

/// Returns the names of the files in `folder` that `import --from` takes, in order; it takes no link.
/// None where the folder can't be read: whoever writes into it reports that.
pub(crate) fn files_of_tools(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let is_file = |entry: &DirEntry| entry.file_type().is_ok_and(|kind| kind.is_file());
    let names = entries.filter(is_file).filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| Tool::of_file_name(name).is_some()).collect();
    names.sort();
    names
}
