//! Finds the files of other tools from which Macadam can move in.

use std::path::Path;

use crate::moving::Tool;

/// Returns the names of the files in `folder` that `import --from` takes, in order. None where the
/// folder can't be read: whoever writes into it reports that.
pub(crate) fn files_of_tools(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    let names = entries.filter(|entry| entry.path().is_file()).filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| Tool::of_file_name(name).is_some()).collect();
    names.sort();
    names
}
