//! How a try of a step ends, and the parts that the steps' files share.

use std::pin::Pin;

use crate::cloud::endpoint::Endpoint;
use crate::cloud::failure::RecordError;
use crate::engine::execute::upload_slots::UploadSlot;
use crate::engine::report::run_report::{Outcome, Stop};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::model::address::Address;
use crate::model::ids::Creator;
use crate::model::phase::Intent;
use crate::model::recorded::Identity;
use crate::model::remote::RemoteAsset;
use crate::model::shown::with_causes;

/// The result of one try of a step.
#[derive(Debug)]
pub(in crate::engine) enum StepResult {
    /// The step is over.
    Ended(Outcome),
    /// It may succeed later: the state says when it is due.
    Again {
        /// The failure.
        message: String,
    },
}

/// Why a try of a step went no further.
#[derive(Debug)]
pub(in crate::engine) enum StepError {
    /// Its result is known already.
    Over(StepResult),
    /// The state could not be written.
    StateCache(StateCacheError),
}

impl From<StepResult> for StepError {
    fn from(result: StepResult) -> Self {
        Self::Over(result)
    }
}

impl From<StateCacheError> for StepError {
    fn from(error: StateCacheError) -> Self {
        Self::StateCache(error)
    }
}

/// The result of fetching an asset for a step.
pub(in crate::engine) enum Lookup {
    Present(Box<RemoteAsset>),
    Gone,
}

/// Records that the last byte is about to be sent. The client awaits it before that byte.
pub(in crate::engine) type HandOver = Pin<Box<dyn Future<Output = Result<(), RecordError>> + Send>>;

/// One write to the remote.
pub(in crate::engine) struct Write<'a> {
    pub(in crate::engine) address: &'a Address,
    pub(in crate::engine) identity: Identity,
    pub(in crate::engine) intent: Intent,
    pub(in crate::engine) endpoint: Endpoint,
    /// The slot to upload in, and the number of bytes.
    pub(in crate::engine) upload: Option<(UploadSlot, u64)>,
}

/// Returns the outcome for a creator that the key has no permission for. Its assets wait for the
/// rest of the run.
pub(in crate::engine) fn forbidden_outcome(creator: Creator, message: String) -> Outcome {
    Outcome::Refused { message, hint: Some(forbidden_hint(creator)) }
}

/// Returns what to do about a creator that the key has no permission for.
pub(in crate::engine) fn forbidden_hint(creator: Creator) -> String {
    format!(
        "give the key access to {}, or set another creator: https://create.roblox.com/dashboard/credentials",
        creator.in_words()
    )
}

/// Returns why a run ends when its state can't be written.
pub(in crate::engine) fn stop_for(error: &StateCacheError) -> Stop {
    let message = with_causes(error);
    match error {
        StateCacheError::Lost(lost) if lost.is_taken() => {
            Stop::Taken { message, hint: lost.hint().unwrap_or_default() }
        }
        StateCacheError::State(state) => {
            let hint = state.hint().map(|hint| format!(": {hint}")).unwrap_or_default();
            Stop::State { message: format!("{message}{hint}") }
        }
        StateCacheError::Lost(_) | StateCacheError::Apply(_) | StateCacheError::Closed => Stop::State { message },
    }
}

pub(in crate::engine) fn run_ends() -> StepResult {
    StepResult::Ended(Outcome::NotBegun)
}

/// Returns the result of a step that was planned for a state that was written anew since. Another
/// process may have worked in between: the next plan decides whether it is still wanted.
pub(in crate::engine) fn written_anew() -> StepResult {
    superseded("the state was written anew, and everything is planned again")
}

/// Why a step of an attempt is over that went on meanwhile: another machine's lockfile tells more of it.
pub(in crate::engine) const WENT_ON: &str = "a lockfile tells more of it by now";

pub(in crate::engine) fn superseded(reason: &str) -> StepResult {
    StepResult::Ended(Outcome::Superseded { reason: reason.to_owned() })
}
