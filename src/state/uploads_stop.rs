//! Why Roblox took no upload when it was last asked: the key was refused, or may not act for an owner.
//!
//! A file beside the state, for commands that only read: no address has such a refusal for itself, so
//! the database has none. It serves messages alone. Whoever syncs writes it, and removes it once it
//! no longer holds.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::platform::own_file;

/// The most bytes to read of it.
const MAX_BYTES: u64 = 16 << 10;

/// Why nothing is uploaded, or nothing of an owner's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct UploadsStop {
    /// Since when.
    pub since: Timestamp,
    /// What Roblox refused.
    pub message: String,
    /// What to do.
    pub hint: String,
}

#[derive(Serialize, Deserialize)]
struct StopText {
    since: String,
    message: String,
    hint: String,
}

/// Returns what is written beside the state at `database`; `None` where uploads go on, or it can't be
/// read. Blocks.
pub(crate) fn read(database: &Path) -> Option<UploadsStop> {
    let text = own_file::read(&beside(database), MAX_BYTES).ok()?;
    let StopText { since, message, hint } = serde_json::from_slice(&text).ok()?;
    Some(UploadsStop { since: since.parse().ok()?, message, hint })
}

/// Writes why nothing is uploaded since `now`; `None` where uploads go on. A stop keeps its time, also
/// where there is another reason by now: of several owners each is refused for itself. Blocks.
pub(crate) fn write(database: &Path, stop: Option<(String, String)>, now: Timestamp) {
    let path = beside(database);
    let Some((message, hint)) = stop else {
        let _ = own_file::remove(&path); // it only serves messages
        return;
    };
    let since = read(database).map_or(now, |known| known.since);
    let text = serde_json::to_vec(&StopText { since: since.to_string(), message, hint }).unwrap_or_default();
    let _ = own_file::replace_private(&path, &text); // as above
}

fn beside(database: &Path) -> PathBuf {
    let mut path = database.as_os_str().to_owned();
    path.push(".stopped");
    path.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stop_keeps_its_time_until_it_is_over() {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("s.db");
        let at = |second| Timestamp::from_second(second).unwrap();
        let stop = |message: &str| Some((message.to_owned(), "do this".to_owned()));
        let found = || read(&database).map(|stop| (stop.since, stop.message));
        assert_eq!(found(), None);
        for (message, second) in [("refused", 1), ("refused", 2), ("refused otherwise", 3)] {
            write(&database, stop(message), at(second));
            assert_eq!(found(), Some((at(1), message.to_owned())));
        }
        write(&database, None, at(4));
        write(&database, None, at(5));
        assert_eq!(found(), None);
        write(&database, stop("refused"), at(6));
        assert_eq!(found(), Some((at(6), "refused".to_owned())));
    }
}
