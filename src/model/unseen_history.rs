//! What a clone lacks of its lockfile's history in git, and which uploads that leaves open.
//!
//! A merge or an edit may have dropped an entry from the lockfile. Git's history shows that, and the
//! entry is taken back. A clone without that history can't tell a new asset from one whose entry was
//! dropped, and would make a second one.

use std::collections::BTreeSet;
use std::fmt;

use super::path::ProjectPath;
use super::proposed::quoted;

/// The part of the lockfile's history that a clone lacks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnseenHistory {
    /// Why it is not here.
    pub gap: HistoryGap,
    /// The files of which it may tell something.
    pub files: OpenFiles,
}

/// Why a part of the lockfile's history is not here.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum HistoryGap {
    /// The clone has only the newest commits.
    Shallow,
    /// The clone lacks the contents of earlier lockfiles.
    Partial {
        /// The lockfile's name.
        lockfile: String,
    },
    /// Git could not be asked.
    Unread {
        /// Why: lower case, no full stop.
        why: String,
        /// The lockfile's name in a partial clone, which may lack what git needs for that.
        partial: Option<String>,
    },
}

/// The files of which an unseen part of the lockfile's history may tell something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OpenFiles {
    /// All of them.
    All,
    /// Those that were there already where the known history begins, or whose content was.
    Of {
        /// The first.
        existed: BTreeSet<ProjectPath>,
        /// Those whose content was there, by whatever name.
        known_content: BTreeSet<ProjectPath>,
    },
}

impl UnseenHistory {
    /// Returns whether `path`, or the content that it has now, may have been uploaded before as an asset
    /// that the lockfile lacks. Of a file that has assets in the lockfile, only the `content_alone`
    /// counts.
    pub fn may_have(&self, path: &ProjectPath, content_alone: bool) -> bool {
        match &self.files {
            OpenFiles::All => true,
            OpenFiles::Of { existed, known_content } => {
                known_content.contains(path) || (!content_alone && existed.contains(path))
            }
        }
    }
}

/// Why: lower case, no full stop.
impl fmt::Display for HistoryGap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Shallow => {
                f.write_str("this is a shallow clone, and an earlier lockfile that it lacks may have its asset ID")
            }
            Self::Partial { lockfile } => {
                write!(f, "this is a partial clone, and an earlier {lockfile} that it lacks may have its asset ID")
            }
            Self::Unread { why, .. } => {
                write!(f, "an earlier lockfile may have its asset ID, and git can't show it: {why}")
            }
        }
    }
}

impl HistoryGap {
    /// The ways to go on.
    pub fn hint(&self) -> String {
        const TRUST: &str = "if it is certainly new, `macadam sync --once --trust-lockfile` uploads it";
        match self {
            Self::Shallow => format!("{FETCH_ALL}; {TRUST}"),
            Self::Partial { lockfile } => format!("fetch them: {}; {TRUST}", fetch_versions(lockfile)),
            Self::Unread { partial: Some(lockfile), .. } => {
                format!("fetch what this partial clone lacks: {}; {TRUST}", fetch_versions(lockfile))
            }
            Self::Unread { partial: None, .. } => format!("make git work here; {TRUST}"),
        }
    }
}

/// How to get the versions of the lockfile that a partial clone lacks.
pub(crate) fn fetch_versions(lockfile: &str) -> String {
    format!("`git log --full-history -m -p -- {}`, or clone anew", quoted(lockfile))
}

/// How to get the commits that a shallow clone lacks.
pub(crate) const FETCH_ALL: &str = "fetch the whole history: `git fetch --unshallow`, `fetch-depth: 0` for actions/checkout, \
                             `GIT_DEPTH: 0` on GitLab";
