//! What it means that a part of the work stands still. Pure.

use crate::engine::commands::retry;
use crate::engine::doctor::check_result::{CheckResult, CheckTopic};
use crate::engine::doctor::facts::KeyLookup;
use crate::model::minute::Minute;
use crate::model::shown::foreign;
use crate::state::stoppage::Stoppage;

/// The command of `--on-change` fails: what other machines don't have, they upload again.
pub(in crate::engine::doctor) fn on_change(found: Option<&Stoppage>) -> Option<CheckResult> {
    let Stoppage { since, message, hint, .. } = found?;
    let message = format!("{} (since {})", foreign(message), Minute(*since));
    Some(CheckResult::error(CheckTopic::Git, message, Some(hint.clone())))
}

/// Roblox refused the key when a sync last asked; `key` is what it says now of the one that is here.
pub(in crate::engine::doctor) fn uploads(
    found: Option<&Stoppage>,
    key: &KeyLookup,
    is_served: bool,
) -> Option<CheckResult> {
    let stoppage @ Stoppage { since, message, .. } = found?;
    let message = format!("{} (since {})", foreign(message), Minute(*since));
    let hint = retry::way_on(stoppage, is_served);
    Some(match key {
        // Whoever made another key needs no advice about the old one.
        KeyLookup::Known(_) => {
            let message =
                format!("the last sync was refused, maybe with another key than the one that is here now: {message}");
            CheckResult::warning(CheckTopic::Key, message, retry::try_again(stoppage, is_served))
        }
        _ => CheckResult::error(CheckTopic::Key, message, Some(hint)),
    })
}

/// A service waits for its branch.
pub(in crate::engine::doctor) fn service(found: Option<&Stoppage>) -> Option<CheckResult> {
    let Stoppage { since, message, hint, .. } = found?;
    let message = format!("the running `macadam sync` does nothing: {} (since {})", foreign(message), Minute(*since));
    Some(CheckResult::warning(CheckTopic::Git, message, hint))
}
