//! When commits were made.

use std::collections::BTreeMap;
use std::path::Path;

use jiff::Timestamp;

use super::ask::{CheckoutFile, why};

/// The limit for a list of commits and times, in bytes: some of the commits that a history has.
const LIST: u64 = 4 << 20;

/// Returns the times of these commits of the repository around `file`, as their committers' clocks
/// told them.
///
/// # Errors
/// Returns why they are unknown: lower case, no full stop.
pub(crate) fn commit_times<'a>(
    file: &Path,
    commits: impl Iterator<Item = &'a str>,
) -> Result<BTreeMap<String, Timestamp>, String> {
    let Some(place) = CheckoutFile::of(file)? else { return Ok(BTreeMap::new()) };
    let commits: String = commits.map(|commit| format!("{commit}\n")).collect();
    if commits.is_empty() {
        return Ok(BTreeMap::new());
    }
    let answer = place.ask_for(&["rev-list", "--no-walk", "--timestamp", "--stdin"], commits.as_bytes(), LIST)?;
    if !answer.status.success() {
        return Err(why(&answer));
    }
    let time = |line: &str| {
        let (seconds, commit) = line.split_once(' ')?;
        Some((commit.to_owned(), Timestamp::from_second(seconds.parse().ok()?).ok()?))
    };
    Ok(answer.said()?.lines().filter_map(time).collect())
}
