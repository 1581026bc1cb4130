//! What it means that a part of the work stands still. Pure.

use crate::engine::doctor::check_result::{CheckResult, CheckTopic};
use crate::model::minute::Minute;
use crate::model::shown::foreign;
use crate::state::stoppage::Stoppage;

/// The command of `--on-change` fails: what other machines don't have, they upload again.
pub(in crate::engine::doctor) fn on_change(found: Option<&Stoppage>) -> Option<CheckResult> {
    let Stoppage { since, message, hint } = found?;
    let message = format!("{} (since {})", foreign(message), Minute(*since));
    Some(CheckResult::error(CheckTopic::Git, message, Some(hint.clone())))
}
