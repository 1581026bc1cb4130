//! Why a part of the work stands still, and since when: uploads that Roblox refuses, a command of
//! `--on-change` that fails, or a service that waits for its branch.
//!
//! A file for each beside the state, for commands that only read: no address has such a failure for
//! itself, so the database has none. It serves messages alone. Whoever syncs writes it, and removes it
//! once it no longer holds.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::lock;
use crate::platform::own_file;

/// The most bytes to read of one.
const MAX_BYTES: u64 = 16 << 10;

/// The part of the work that stands still.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StoppedWork {
    /// Uploads: when Roblox was last asked, it refused the key, or the key for an owner.
    Uploads,
    /// What `--on-change` does with a changed lockfile: its command failed when it last ran.
    Publishing,
    /// All that the service does: it waits for its branch, or until what it uploads could be published.
    Service,
}

impl StoppedWork {
    const fn extension(self) -> &'static str {
        match self {
            Self::Uploads => ".stopped",
            Self::Publishing => ".unpublished",
            Self::Service => ".waiting",
        }
    }
}

/// Why it stands still.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Stoppage {
    /// Since when.
    pub since: Timestamp,
    /// What is in the way.
    pub message: String,
    /// What to do.
    pub hint: String,
    /// How to give the running service another key, if it can't read one by itself.
    pub restart: Option<String>,
}

#[derive(Serialize, Deserialize)]
struct StoppageText {
    since: String,
    message: String,
    hint: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    restart: Option<String>,
}

/// Returns why `work` stands still by what is written beside the state at `database`; `None` where it
/// goes on, or that can't be read. Blocks.
pub(crate) fn read(database: &Path, work: StoppedWork) -> Option<Stoppage> {
    // A service that was killed left it behind.
    if work == StoppedWork::Service && !lock::holder(database).is_ok_and(|holder| holder.is_service()) {
        return None;
    }
    let text = own_file::read(&beside(database, work), MAX_BYTES).ok()?;
    let StoppageText { since, message, hint, restart } = serde_json::from_slice(&text).ok()?;
    Some(Stoppage { since: since.parse().ok()?, message, hint, restart })
}

/// Writes why `work` stands still since `now`, as a message and a hint; `None` where it goes on. It keeps
/// its time, also where there is another reason by now: of several owners each is refused for itself.
/// Blocks.
pub(crate) fn write(database: &Path, work: StoppedWork, stopped: Option<(String, String)>, now: Timestamp) {
    write_with_restart(database, work, stopped, None, now);
}

/// The same for a service that can't read another key: `restart` is how to give it one. Blocks.
pub(crate) fn write_with_restart(
    database: &Path,
    work: StoppedWork,
    stopped: Option<(String, String)>,
    restart: Option<String>,
    now: Timestamp,
) {
    let path = beside(database, work);
    let Some((message, hint)) = stopped else {
        let _ = own_file::remove(&path); // it only serves messages
        return;
    };
    // A clock that was ahead for a while must not put it off.
    let since = read(database, work).map_or(now, |known| known.since.min(now));
    let text =
        serde_json::to_vec(&StoppageText { since: since.to_string(), message, hint, restart }).unwrap_or_default();
    let _ = own_file::replace_private(&path, &text); // as above
}

/// Whether a file says that `work` stands still. Blocks.
pub(crate) fn is_written(database: &Path, work: StoppedWork) -> bool {
    own_file::read(&beside(database, work), MAX_BYTES).is_ok()
}

fn beside(database: &Path, work: StoppedWork) -> PathBuf {
    own_file::with_ending(database, work.extension())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stoppage_keeps_its_time_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.db");
        let at = |second| Timestamp::from_second(second).unwrap();
        let stopped = |message: &str| Some((message.to_owned(), "do this".to_owned()));
        let work = StoppedWork::Uploads;
        let found = || read(&database, work).map(|stoppage| (stoppage.since, stoppage.message));
        assert_eq!(found(), None);
        for (message, second) in [("refused", 1), ("refused", 2), ("refused otherwise", 3)] {
            write(&database, work, stopped(message), at(second));
            assert_eq!(found(), Some((at(1), message.to_owned())));
        }
        assert_eq!(read(&database, StoppedWork::Publishing), None, "each is for itself");
        write(&database, work, None, at(4));
        write(&database, work, None, at(5));
        assert_eq!(found(), None);
        write(&database, work, stopped("refused"), at(6));
        assert_eq!(found(), Some((at(6), "refused".to_owned())));
        // The clock was ahead.
        write(&database, work, stopped("refused"), at(5));
        assert_eq!(found(), Some((at(5), "refused".to_owned())));
    }
}
