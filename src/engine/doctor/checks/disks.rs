//! What the facts about the disks of project and state mean. Pure.

use crate::engine::doctor::check_result::{CheckResult, CheckTopic};
use crate::engine::doctor::facts::FreeSpace;
use crate::model::shown::foreign;

/// The free space that a sync needs, in bytes: without room to record an upload it sends none. See
/// `state/store/room.rs`.
const NEEDED_SPACE: u64 = 10_000_000;

/// The kinds of network disk that project and state lie on, and what is free there.
pub(in crate::engine::doctor) fn disks(
    project: Option<&str>,
    state: Option<&str>,
    free: &[FreeSpace],
) -> Vec<CheckResult> {
    let topic = CheckTopic::Disk;
    let full = free.iter().filter(|space| space.bytes < NEEDED_SPACE).map(|FreeSpace { folder, bytes }| {
        let bytes = if *bytes < 1_000_000 { format!("{bytes} bytes") } else { format!("{} MB", bytes / 1_000_000) };
        let folder = folder.display().to_string();
        CheckResult::error(
            topic,
            format!(
                "the disk is full: {bytes} free at `{}`, and without room to record an upload a sync sends none",
                foreign(&folder)
            ),
            Some("free 10 MB on this disk, then run it again".to_owned()),
        )
    });
    let of_project = project.map(|kind| {
        CheckResult::warning(
            topic,
            format!("the project is on a network disk ({kind}), where changes by other machines aren't seen at once"),
            "the service finds them by its scan: choose --interval for it, or keep the checkout on this machine",
        )
    });
    let of_state = state.map(|kind| {
        CheckResult::warning(
            topic,
            format!("the state is on a network disk ({kind}), where locks may fail and two Macadams may run at once"),
            "keep the state on this machine: --state PATH",
        )
    });
    let results: Vec<_> = full.chain(of_project).chain(of_state).collect();
    if results.is_empty() {
        vec![CheckResult::fine(topic, "project and state are on disks of this machine")]
    } else {
        results
    }
}
