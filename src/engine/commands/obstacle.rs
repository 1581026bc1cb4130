//! What the next sync would not get past: the hold that keeps an address from having an asset, or
//! from being changed. A command that can't go on names it, and not a sync that wouldn't help.
//!
//! Pure. Read next: `src/plan/reason/hold/text.rs` for what helps against each.

use std::fmt;

use jiff::Timestamp;

use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::phase::Phase;
use crate::model::recorded::Recorded;
use crate::plan::{PlanOptions, plan};

/// A hold, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Obstacle {
    /// The reason: lower case, no full stop.
    reason: String,
    /// What helps.
    hint: Option<String>,
}

impl Obstacle {
    /// Returns what is in the way of an address; `None` where a sync goes on by itself.
    pub(crate) fn of(address: &Address, desired: &Desired, recorded: &Recorded, now: Timestamp) -> Option<Self> {
        let held = plan(desired, recorded, &PlanOptions::default(), now).held;
        let first = held.into_iter().filter(|hold| hold.address == *address).min_by_key(|hold| hold.part)?;
        Some(Self { reason: first.reason.to_string(), hint: first.hint() })
    }

    /// Returns why an address can't change its owner while an upload of it is open, and the way on;
    /// `None` if nothing is open.
    pub(crate) fn still_changing(
        address: &Address,
        desired: &Desired,
        recorded: &Recorded,
        now: Timestamp,
    ) -> Option<String> {
        let mut open = recorded.attempts.values().filter(|attempt| attempt.address == *address).peekable();
        open.peek()?;
        // The plan waits for none of these, so that its way on would be the change of the owner.
        if open.all(|attempt| matches!(attempt.phase, Phase::SetAside(_))) {
            return Some(
                "Macadam doesn't wait any longer for an upload of it that Roblox hasn't ended: each `macadam sync` asks \
                 what came of it, and its owner can change after that"
                    .to_owned(),
            );
        }
        let way_on = Self::of(address, desired, recorded, now);
        let way_on = way_on.map_or_else(|| "run `macadam sync --once` first".to_owned(), |way_on| way_on.to_string());
        Some(format!("Macadam is still changing it: {way_on}"))
    }

    /// Returns what helps: against the obstacle, or where there is none `otherwise`.
    pub(crate) fn hint_or(obstacle: Option<&Self>, otherwise: &str) -> Option<String> {
        obstacle.map_or_else(|| Some(otherwise.to_owned()), |obstacle| obstacle.hint.clone())
    }

    /// Returns the end of a message: a colon and the reason, if there is one.
    pub(crate) fn ending(obstacle: Option<&Self>) -> String {
        obstacle.map(|obstacle| format!(": {}", obstacle.reason)).unwrap_or_default()
    }
}

/// The reason and what helps, in one sentence.
impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { reason, hint } = self;
        f.write_str(reason)?;
        hint.as_ref().map_or(Ok(()), |hint| write!(f, "; {hint}"))
    }
}
