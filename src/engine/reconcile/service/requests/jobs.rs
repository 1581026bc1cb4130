//! The part of a request that needs Roblox: a job of the workers. Its problems are the answer's.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::engine::commands::by_hand::{self, ByHandError, Direction, Prepared};
use crate::engine::commands::error::CommandError;
use crate::engine::commands::forget::ForgetError;
use crate::engine::commands::import::{self, ImportError};
use crate::engine::commands::pins::{self, CheckError, PinError, UnpinError};
use crate::engine::commands::recreate::{self, RecreateError};
use crate::engine::commands::resolve::{self, RepairError};
use crate::engine::commands::retry::RetryError;
use crate::engine::execute::context::ExecutionContext;
use crate::engine::reconcile::workers::JobDone;
use crate::engine::report::run_report::Outcome;
use crate::engine::workspace::project::EditManifestError;
use crate::manifest::EditError;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::ids::AssetId;
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::request::{ProblemKind, RequestDone, RequestProblem};
use crate::model::shown::with_causes;

/// The longest time for a job: other requests wait behind it. The waiting command has the same
/// limit.
const PATIENCE: Duration = Duration::from_mins(10);

/// The part of a request that needs Roblox.
pub(super) enum CommandJob {
    Settle(Address, AssetId),
    Import { address: Address, asset_id: AssetId, content_matches: bool },
    ByHand { address: Address, direction: Direction, together: BTreeSet<Address> },
    Recreate { addresses: BTreeSet<Address>, missing: Option<MissingLockfile> },
    Pin { addresses: Vec<Address>, revision: u64 },
}

impl CommandJob {
    /// Runs it, for at most [`PATIENCE`].
    pub(super) async fn run(&self, context: &ExecutionContext, desired: &Desired) -> Result<JobDone, RequestProblem> {
        let job = self.until_done(context, desired);
        tokio::time::timeout(PATIENCE, job).await.unwrap_or_else(|_| Err(unanswered()))
    }

    async fn until_done(&self, context: &ExecutionContext, desired: &Desired) -> Result<JobDone, RequestProblem> {
        Ok(match self {
            Self::Settle(address, asset_id) => {
                let settled = resolve::resolve_with(context, address, *asset_id).await;
                settled.map_err(|error| error.for_wanted(desired))?;
                RequestDone { asset_id: Some(*asset_id), ..RequestDone::default() }.into()
            }
            Self::Import { address, asset_id, content_matches } => {
                let wish = import::ImportRequest { address, asset_id: *asset_id, content_matches: *content_matches };
                let imported = import::import(context, desired, wish, &|_| ()).await?;
                let (asset_id, revision) = (Some(imported.key.asset_id), Some(imported.number));
                RequestDone { asset_id, revision, notes: imported.notes(address), ..RequestDone::default() }.into()
            }
            Self::Recreate { addresses, missing } => {
                let choice = recreate::begin(context, desired, Some(addresses), missing.as_ref()).await?;
                let notes = choice.left_out.iter().map(|(address, why)| format!("{address} is unchanged: {why}"));
                let answer = RequestDone { notes: notes.collect(), ..RequestDone::default() };
                // Those whose owner changes now, and those that an earlier command left.
                let left = addresses.iter().filter(|address| {
                    !choice.separated.contains_key(*address) && !choice.left_out.contains_key(*address)
                });
                JobDone { answer, follows: choice.changed().chain(left).cloned().collect() }
            }
            Self::Pin { addresses, revision } => {
                let chosen = pins::prepare(context, desired, addresses, *revision).await?;
                let asset_id = match chosen.as_slice() {
                    [(_, _, key)] => Some(key.asset_id),
                    _ => None,
                };
                let answer = RequestDone { asset_id, revision: Some(*revision), ..RequestDone::default() };
                JobDone { answer, follows: addresses.iter().cloned().collect() }
            }
            Self::ByHand { address, direction, together } => {
                let prepared = by_hand::prepare(context, desired, address, *direction, together).await?;
                by_hand(context, desired, &prepared).await?.into()
            }
        })
    }
}

async fn by_hand(
    context: &ExecutionContext,
    desired: &Desired,
    prepared: &Prepared,
) -> Result<RequestDone, RequestProblem> {
    let ended = by_hand::carry_out(context, desired, prepared).await?;
    match ended.outcome {
        Outcome::Done { asset_id, revision } => {
            Ok(RequestDone { asset_id: Some(asset_id), revision, ..RequestDone::default() })
        }
        Outcome::Refused { message, hint } => Err(RequestProblem::new(ProblemKind::Refused, message, hint)),
        Outcome::NotBegun => Err(refused("the running `macadam sync` could not start it")),
        Outcome::Running { reason: message }
        | Outcome::TryLater { message }
        | Outcome::InDoubt { message }
        | Outcome::Superseded { reason: message } => Err(refused(&message)),
    }
}

fn unanswered() -> RequestProblem {
    RequestProblem::new(
        ProblemKind::Interrupted,
        format!("Roblox has not answered within {} minutes", PATIENCE.as_secs() / 60),
        Some("`macadam status` shows what is done; run the same command again for the rest".to_owned()),
    )
}

pub(super) fn refused(message: &str) -> RequestProblem {
    RequestProblem::new(ProblemKind::Refused, message.to_owned(), None)
}

pub(super) fn unusable(error: &dyn std::error::Error) -> RequestProblem {
    RequestProblem::new(ProblemKind::Unusable, with_causes(error), None)
}

/// The service's key was refused, with this message.
pub(super) fn key_refused(message: &str) -> RequestProblem {
    RequestProblem::new(
        ProblemKind::Credential,
        format!("Roblox refused the key of the service: {message}"),
        Some("give the service another key, and reload it".to_owned()),
    )
}

/// Converts the errors of commands.
macro_rules! problem_from {
    ($($error:ty),+) => {$(
        impl From<$error> for RequestProblem {
            fn from(error: $error) -> Self {
                let kind = error.shared().map_or(ProblemKind::Refused, CommandError::kind);
                let unknown = error.unknown().cloned();
                Self { unknown, ..Self::new(kind, with_causes(&error), error.hint()) }
            }
        }
    )+};
}

problem_from!(RepairError, RetryError, ForgetError, ImportError, ByHandError);

impl From<RecreateError> for RequestProblem {
    fn from(error: RecreateError) -> Self {
        let kind = match &error {
            RecreateError::Stopped { is_credential: true, .. } => ProblemKind::Credential,
            error => error.shared().map_or(ProblemKind::Refused, CommandError::kind),
        };
        Self::new(kind, with_causes(&error), error.hint())
    }
}

impl From<PinError> for RequestProblem {
    fn from(error: PinError) -> Self {
        let unknown = error.unknown().cloned();
        Self { unknown, ..Self::new(ProblemKind::Refused, with_causes(&error), error.hint()) }
    }
}

impl From<CheckError> for RequestProblem {
    fn from(error: CheckError) -> Self {
        match error {
            CheckError::Pin(error) => error.into(),
            CheckError::StateCache(error) => unusable(&error),
        }
    }
}

impl From<UnpinError> for RequestProblem {
    fn from(error: UnpinError) -> Self {
        let kind = match &error {
            UnpinError::NotPinned { .. } => ProblemKind::Refused,
            UnpinError::Edit(_) => ProblemKind::Unusable,
        };
        Self::new(kind, with_causes(&error), Some(error.hint()))
    }
}

impl From<EditManifestError<EditError>> for RequestProblem {
    fn from(error: EditManifestError<EditError>) -> Self {
        let kind = match &error {
            EditManifestError::Busy { .. } => ProblemKind::Refused,
            _ => ProblemKind::Unusable,
        };
        Self::new(kind, with_causes(&error), pins::edit_hint(&error))
    }
}
