//! What it means that git is in the middle of something. Pure.

use crate::engine::doctor::check_result::{CheckResult, CheckTopic};
use crate::engine::workspace::git::GitWork;
use crate::model::shown::foreign;

/// A service does nothing meanwhile; a git that died, or a merge that nobody finished, never ends.
pub(in crate::engine::doctor) fn git_work(work: Option<&GitWork>) -> Option<CheckResult> {
    let work = work.filter(|work| work.takes_a_while())?;
    let hint = "until then a service uploads nothing, and git commits nothing";
    Some(CheckResult::warning(CheckTopic::Git, foreign(&work.to_string()), hint))
}
