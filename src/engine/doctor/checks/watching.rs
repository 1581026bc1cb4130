//! What the system's limit of watched folders means for the service. Pure.

use super::count;
use crate::engine::doctor::check_result::{CheckResult, CheckTopic};

/// The watches that the service needs, against what the system allows a user.
pub(in crate::engine::doctor) fn watching(folders: usize, limit: Option<usize>) -> CheckResult {
    let topic = CheckTopic::Watching;
    match limit {
        None => CheckResult::unchecked(topic, "this system has no limit that Macadam knows of"),
        // Other programs of this user, such as editors, take from the same limit.
        Some(limit) if folders > limit / 2 => CheckResult::warning(
            topic,
            format!(
                "the service watches {}, and the system allows {limit} for all programs of this user",
                count(folders, "folder")
            ),
            "raise it: `sudo sysctl fs.inotify.max_user_watches=524288`, and the same in /etc/sysctl.d; without that, changes \
             are found by the scan of --interval",
        ),
        Some(limit) => CheckResult::fine(topic, format!("{} to watch, {limit} allowed", count(folders, "folder"))),
    }
}
