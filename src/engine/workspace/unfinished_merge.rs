//! A merge of the lockfile that git hasn't finished: whether the lockfile has everything that both
//! sides have, and what a person does next. Reads the lockfile and asks git; writes nothing.

use std::path::Path;

use super::git::ask::{self, MergeSides};
use super::project::Project;
use crate::state::lockfile::{self, Digests, Ledger, driver};

/// The state of a merge of the lockfile that git hasn't finished.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnfinishedMerge {
    /// The lockfile has all assets of both sides.
    Complete,
    /// It lacks some of them.
    Incomplete,
    /// It can't be read, for example because of conflict markers.
    Unreadable,
}

impl UnfinishedMerge {
    /// Returns what a person is told: lower case, no full stop.
    pub(crate) fn message(self, name: &str) -> String {
        let here = match self {
            Self::Complete => "the one here has all assets of both sides",
            Self::Incomplete => "the one here lacks assets of one side",
            Self::Unreadable => "the one here can't be read",
        };
        format!("git has several versions of {name} from a merge that isn't finished; {here}")
    }

    /// Returns what to do.
    pub(crate) fn hint(self, name: &str) -> String {
        match self {
            Self::Complete => driver::end_merge(name),
            Self::Incomplete | Self::Unreadable => driver::merge_again(name),
        }
    }
}

/// Looks for an unfinished merge of the lockfile; `None` if there is none. Blocks: it runs git.
///
/// # Errors
/// Returns why this is unknown: lower case, no full stop.
pub(crate) fn look(project: &Project) -> Result<Option<UnfinishedMerge>, String> {
    let Some(sides) = ask::merge_sides(&project.lockfile)? else { return Ok(None) };
    let here = lockfile::read(&project.lockfile).ok().flatten();
    Ok(Some(compare(&sides, here.as_deref(), &project.lockfile)))
}

/// Compares the lockfile `here` with what a merge of both sides has.
fn compare(sides: &MergeSides, here: Option<&[u8]>, file: &Path) -> UnfinishedMerge {
    let parse = |text: &[u8]| lockfile::parse(text, file).ok();
    let Some(here) = here else { return UnfinishedMerge::Incomplete };
    let Some(here) = parse(here) else { return UnfinishedMerge::Unreadable };
    match merged(sides, parse) {
        Some(merged) if Digests::of(&merged).are_in(&Digests::of(&here)) => UnfinishedMerge::Complete,
        Some(_) | None => UnfinishedMerge::Incomplete,
    }
}

/// The merge of both sides; `None` if there is no merging them.
fn merged(MergeSides { base, ours, theirs }: &MergeSides, parse: impl Fn(&[u8]) -> Option<Ledger>) -> Option<Ledger> {
    match (ours, theirs) {
        (Some(ours), Some(theirs)) => {
            let base = base.as_deref().and_then(&parse);
            lockfile::merge(base.as_ref(), &parse(ours)?, &parse(theirs)?).ok()
        }
        // One side deleted it.
        (Some(side), None) | (None, Some(side)) => parse(side),
        (None, None) => None,
    }
}
