//! The branch of `--require-branch`, on which alone anything is uploaded.

use std::path::Path;

use crate::engine::workspace::git;
use crate::model::proposed::quoted;

/// Why nothing is uploaded: another branch is checked out than the required one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct OffBranch {
    /// Which one: lower case, no full stop.
    pub message: String,
    /// What to do.
    pub hint: String,
}

/// Looks whether `wanted` is checked out around `root`; `None` if it is.
pub(crate) fn look(root: &Path, wanted: &str) -> Option<OffBranch> {
    match git::branch(root) {
        Some(branch) if branch.is(wanted) => None,
        Some(branch) => Some(OffBranch {
            message: format!("the checkout is on {branch}, not on {wanted}"),
            hint: format!("`git switch {}` checks it out", quoted(wanted)),
        }),
        None => Some(OffBranch {
            message: format!("there is no git checkout, and so no branch {wanted}"),
            hint: "run it in a checkout, or leave out --require-branch".to_owned(),
        }),
    }
}
