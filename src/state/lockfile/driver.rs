//! Git's part in merging lockfiles: the merge driver, and what a person types to use it. Every
//! message about it takes its words from here.

use crate::model::proposed::quoted;

/// The setting of git that names the merge driver.
pub(crate) const SETTING: &str = "merge.macadam.driver";

/// The merge driver, as git runs it.
pub(crate) const COMMAND: &str = "macadam lockfile merge %O %A %B";

/// What a person types once in each clone.
pub(crate) const SET_UP: &str = "git config merge.macadam.driver \"macadam lockfile merge %O %A %B\"";

/// Returns the line of .gitattributes that has git merge the lockfile `name` with the driver.
pub(crate) fn attribute(name: &str) -> String {
    format!("{name} merge=macadam text eol=lf")
}

/// Returns what brings both sides of a conflict into the lockfile `name`, which is in the folder
/// where this is typed.
pub(crate) fn merge_again(name: &str) -> String {
    let (file, attribute) = (quoted(name), attribute(name));
    format!(
        "let Macadam's merge driver merge it, which keeps both sides: `{SET_UP}`, then `git checkout --merge -- {file}`, \
         then `git add {file}`. If .gitattributes lacks the line `{attribute}`, add it first"
    )
}

/// Returns what ends a merge whose result is already in the lockfile `name`.
pub(crate) fn end_merge(name: &str) -> String {
    format!("`git add {}`, and commit it", quoted(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_the_setting_and_the_command() {
        assert_eq!(SET_UP, format!("git config {SETTING} \"{COMMAND}\""));
    }
}
