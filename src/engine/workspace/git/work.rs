//! What git is in the middle of, and for how long.

use std::fmt;
use std::fs::Metadata;
use std::path::Path;

use jiff::Timestamp;

use crate::model::minute::Minute;

/// The age in seconds at which an index lock was probably left by a git that died, and a merge by a
/// person or a timer that doesn't know of it. `git commit` holds a lock while its editor is open and a
/// checkout while it writes, both usually for less.
pub(super) const LONG_SECONDS: i64 = 5 * 60;

/// The age in seconds at which a person who looks for what is wrong wants to know of it.
pub(super) const A_WHILE_SECONDS: i64 = 60;

/// What git is in the middle of, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct GitWork {
    what: String,
    /// For how many seconds, as far as its files say.
    seconds: i64,
}

impl GitWork {
    pub(super) fn just_now(what: &str) -> Self {
        Self { what: what.to_owned(), seconds: 0 }
    }

    /// An operation whose sign is this file.
    pub(super) fn since(what: String, sign: &Metadata, now: Timestamp) -> Self {
        Self { what, seconds: age(sign, now).1 }
    }

    /// The lock of git's index.
    pub(super) fn index_lock(lock: &Path, metadata: &Metadata, now: Timestamp) -> Self {
        let (since, seconds) = age(metadata, now);
        let what = match since.filter(|_| seconds > A_WHILE_SECONDS) {
            Some(since) => {
                let (lock, since) = (lock.display(), Minute(since));
                format!("git holds {lock} since {since}; if no git runs here, remove that file")
            }
            None => "git is writing the checkout (index.lock)".to_owned(),
        };
        Self { what, seconds }
    }

    /// Returns whether it has taken so long that nobody may know of it.
    pub(crate) const fn is_long(&self) -> bool {
        self.seconds > LONG_SECONDS
    }

    /// Returns whether it has taken longer than a command of git's does.
    pub(crate) const fn takes_a_while(&self) -> bool {
        self.seconds > A_WHILE_SECONDS
    }
}

impl fmt::Display for GitWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.what)
    }
}

/// Returns when a file was written, and its age in seconds; 0 where nothing says it.
fn age(metadata: &Metadata, now: Timestamp) -> (Option<Timestamp>, i64) {
    let since = metadata.modified().ok().and_then(|time| Timestamp::try_from(time).ok());
    (since, since.map_or(0, |since| now.as_second().saturating_sub(since.as_second())))
}
