//! Requests of other commands: taken one after another, carried out alongside everything else, then
//! answered.
//!
//! A request that needs the remote is a job of the workers, so the loop goes on scanning. At
//! shutdown the job has as long as any upload. It begins when no worker is busy with its addresses,
//! which are kept free for it from the start.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::{Service, ServiceError};
use crate::engine::commands::by_hand::{self, ByHandError, Direction, Prepared};
use crate::engine::commands::error::CommandError;
use crate::engine::commands::forget::{self, ForgetError};
use crate::engine::commands::import::{self, ImportError};
use crate::engine::commands::recreate::{self, RecreateError};
use crate::engine::commands::resolve::{self, RepairError};
use crate::engine::execute::context::ExecutionContext;
use crate::engine::report::run_report::Outcome;
use crate::engine::workspace::lockfile::KeepError;
use crate::model::address::Address;
use crate::model::desired::Desired;
use crate::model::file::FileProblem;
use crate::model::ids::AssetId;
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::request::{ProblemKind, Request, RequestDone, RequestId, RequestProblem, Resolution};
use crate::model::shown::with_causes;
use crate::platform::clock;

/// The longest time for a request: others wait behind it. The waiting command has the same limit.
const PATIENCE: Duration = Duration::from_mins(10);

/// A request that was taken from the request queue and is not answered yet.
pub(super) struct ActiveRequest {
    id: RequestId,
    request: Request,
    stage: RequestStage,
    /// The scan that it needs first: its address may be new in the manifest.
    scan: RequestScan,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum RequestScan {
    Needed,
    /// A scan that began after the request was taken.
    InProgress,
    Over,
}

enum RequestStage {
    /// Waits until its addresses are free and their files settled.
    Waits,
    /// A worker carries it out.
    Begun,
    Ended(Result<RequestDone, RequestProblem>),
}

impl ActiveRequest {
    pub(super) const fn is_begun(&self) -> bool {
        !matches!(self.stage, RequestStage::Waits)
    }

    /// Notes that a scan begins.
    pub(super) fn scan_began(&mut self) {
        if self.scan == RequestScan::Needed {
            self.scan = RequestScan::InProgress;
        }
    }

    /// Notes that a scan is over. If it `counts`, the request needs no other one.
    pub(super) fn scan_ended(&mut self, counts: bool) {
        if self.scan == RequestScan::InProgress {
            self.scan = if counts { RequestScan::Over } else { RequestScan::Needed };
        }
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, RequestStage::Ended(_))
    }
}

/// The part of a request that needs the remote.
enum CommandJob {
    Settle(Address, AssetId),
    Import { address: Address, asset_id: AssetId, content_matches: bool },
    ByHand { address: Address, direction: Direction, together: BTreeSet<Address> },
    Recreate { addresses: BTreeSet<Address>, missing: Option<MissingLockfile> },
}

impl Service<'_> {
    /// Takes requests, as far as they may begin.
    pub(super) async fn take_requests(&mut self) -> Result<(), ServiceError> {
        self.recover().await?;
        self.answer_request().await?;
        while !self.ending.is_triggered() && !self.request.as_ref().is_some_and(ActiveRequest::is_begun) {
            if self.request.is_none() && !self.take_request().await? {
                return Ok(());
            }
            self.needs.requests = true;
            if !self.may_begin_request() {
                return Ok(());
            }
            self.begin_request().await?;
            self.answer_request().await?;
        }
        Ok(())
    }

    /// Takes the next request from the request queue. Returns `false` if there is none.
    async fn take_request(&mut self) -> Result<bool, ServiceError> {
        if !std::mem::take(&mut self.needs.requests) {
            return Ok(false);
        }
        let Some((id, request)) = self.queue.next().await? else { return Ok(false) };
        tracing::info!(command = request.command(), "running a command");
        self.reconciler.workers.keep_free(addresses(&request));
        let needs_scan = matches!(request, Request::Import { .. } | Request::Recreate { .. });
        let scan = if needs_scan { RequestScan::Needed } else { RequestScan::Over };
        self.request = Some(ActiveRequest { id, request, stage: RequestStage::Waits, scan });
        if needs_scan {
            (self.needs.scan, self.needs.all) = (true, true);
        }
        Ok(true)
    }

    /// Returns whether no worker is busy with its addresses, and its file is not being written.
    fn may_begin_request(&self) -> bool {
        let Some(ActiveRequest { request, scan, .. }) = &self.request else { return false };
        let waits = match request {
            Request::Import { address, .. } => {
                let want = self.reconciler.wanted.desired.assets.get(address);
                let written = want.is_some_and(|want| want.content.as_ref().is_err_and(FileProblem::is_being_written));
                // The import may take over the assets of an address that left the manifest.
                written
                    || self
                        .reconciler
                        .workers
                        .in_progress()
                        .iter()
                        .any(|other| other != address && !self.reconciler.wanted.desired.assets.contains_key(other))
            }
            _ => false,
        };
        self.times.git.is_none() && *scan == RequestScan::Over && self.reconciler.workers.are_free() && !waits
    }

    async fn begin_request(&mut self) -> Result<(), ServiceError> {
        let Some(asked) = &mut self.request else { return Ok(()) };
        let job = match &asked.request {
            Request::Resolve { address, found: Resolution::Asset(asset_id) } => {
                CommandJob::Settle(address.clone(), *asset_id)
            }
            Request::Import { address, asset_id, content_matches } => {
                CommandJob::Import { address: address.clone(), asset_id: *asset_id, content_matches: *content_matches }
            }
            Request::Archive { address, together } => CommandJob::ByHand {
                address: address.clone(),
                direction: Direction::Archive,
                together: together.iter().cloned().collect(),
            },
            Request::Restore { address } => {
                let together = BTreeSet::new();
                CommandJob::ByHand { address: address.clone(), direction: Direction::Restore, together }
            }
            // The other requests need only the state.
            Request::Resolve { address, found: found @ (Resolution::Nothing | Resolution::NoDuplicate) } => {
                let result = match found {
                    Resolution::NoDuplicate => {
                        resolve::no_duplicate(&self.reconciler.session.state_cache, address).await
                    }
                    Resolution::Nothing | Resolution::Asset(_) => {
                        resolve::recreate(&self.reconciler.session.state_cache, address).await
                    }
                };
                asked.stage = RequestStage::Ended(result.map(|()| RequestDone::default()).map_err(Into::into));
                return Ok(());
            }
            Request::Retry { addresses } => {
                let result = resolve::retry(&self.reconciler.session.state_cache, addresses).await;
                asked.stage = RequestStage::Ended(result.map(|()| RequestDone::default()).map_err(Into::into));
                return Ok(());
            }
            Request::Recreate { addresses } => CommandJob::Recreate {
                addresses: addresses.iter().cloned().collect(),
                missing: self.reconciler.session.lockfile.missing().cloned(),
            },
            Request::Forget { addresses } => {
                let forgotten = forget::forget(self.reconciler.session, addresses).await;
                asked.stage = RequestStage::Ended(forgotten.map(|forgotten| answer(&forgotten)).map_err(Into::into));
                return Ok(());
            }
        };
        if let Some(message) = &self.refused {
            asked.stage = RequestStage::Ended(Err(RequestProblem {
                kind: ProblemKind::Credential,
                message: format!("Roblox refused the key of the service: {message}"),
                hint: Some("give the service another key, and reload it".to_owned()),
            }));
            return Ok(());
        }
        asked.stage = RequestStage::Begun;
        self.reconciler.cancel_observation();
        let (context, desired) = (self.reconciler.context.clone(), Arc::clone(&self.reconciler.wanted.desired));
        self.reconciler.workers.run_job(async move {
            let job = run(&job, &context, &desired);
            tokio::time::timeout(PATIENCE, job).await.unwrap_or_else(|_| Err(unanswered()))
        });
        Ok(())
    }

    /// Records the result of a request's job.
    pub(super) fn job_ended(&mut self, result: Result<Result<RequestDone, RequestProblem>, String>) {
        let result = result.unwrap_or_else(|message| {
            tracing::error!("a bug in Macadam stopped a command: {message}");
            Err(refused(&message))
        });
        // A job that broke off leaves open attempts to recover; a finished one leaves none.
        self.needs.recovery.extend(self.request.iter().flat_map(|asked| addresses(&asked.request)));
        if let Some(asked) = &mut self.request {
            asked.stage = RequestStage::Ended(result);
        }
    }

    /// Answers the request that is over, after writing the lockfile.
    pub(super) async fn answer_request(&mut self) -> Result<(), ServiceError> {
        let (id, request, mut result) = match self.request.take() {
            Some(ActiveRequest { id, request, stage: RequestStage::Ended(result), .. }) => (id, request, result),
            other => {
                self.request = other;
                return Ok(());
            }
        };
        self.reconciler.workers.release();
        if let Ok(answer) = &mut result
            && let Err(problem) = self.keep_answer(&request, answer).await?
        {
            result = Err(problem);
        }
        if let Err(problem) = &result {
            tracing::warn!(command = request.command(), "a request was refused: {}", problem.message);
        }
        self.queue.answer(id, result).await?;
        (self.needs.scan, self.needs.plan, self.needs.requests) = (true, true, true);
        // Even a failed request may have recorded something.
        self.needs.lockfile.get_or_insert(clock::elapsed());
        Ok(())
    }

    /// Writes the lockfile for the request's changes. While git is busy, the lockfile follows
    /// later.
    async fn keep_answer(
        &mut self,
        request: &Request,
        answer: &mut RequestDone,
    ) -> Result<Result<(), RequestProblem>, ServiceError> {
        if self.must_wait() {
            self.needs.lockfile = Some(clock::elapsed());
            answer.notes.push("Macadam writes the lockfile once git is done, or on the right branch again".to_owned());
            return Ok(Ok(()));
        }
        let kept = match request {
            Request::Retry { .. } => return Ok(Ok(())),
            Request::Forget { .. } | Request::Recreate { .. } => None,
            Request::Resolve { address, .. } | Request::Import { address, .. } => Some(address),
            Request::Archive { address, .. } | Request::Restore { address } => {
                Some(address).filter(|address| self.reconciler.wanted.desired.assets.contains_key(*address))
            }
        };
        match self.reconciler.session.keep(kept).await {
            Ok(written) => {
                answer.lockfile_written |= written;
                if answer.lockfile_written {
                    self.lockfile_written();
                }
                Ok(Ok(()))
            }
            Err(KeepError::StateCache(error)) => Err(error.into()),
            Err(KeepError::Lockfile(error)) => Ok(Err(unusable(&error))),
        }
    }

    /// Answers the waiting command that its request will not be carried out.
    pub(super) async fn end_request(&mut self) -> Result<(), ServiceError> {
        self.answer_request().await?;
        let Some(ActiveRequest { id, stage, .. }) = self.request.take() else { return Ok(()) };
        let (message, hint) = match stage {
            RequestStage::Waits => {
                ("the running `macadam sync` was stopped before it started this", "nothing was done; try again")
            }
            RequestStage::Begun | RequestStage::Ended(_) => (
                "the running `macadam sync` was stopped before Roblox answered",
                "`macadam status` shows what is done; run the same command again for the rest",
            ),
        };
        let problem =
            RequestProblem { kind: ProblemKind::Interrupted, message: message.to_owned(), hint: Some(hint.to_owned()) };
        Ok(self.queue.answer(id, Err(problem)).await?)
    }
}

/// Returns the addresses that a request concerns.
fn addresses(request: &Request) -> BTreeSet<Address> {
    match request {
        Request::Resolve { address, .. }
        | Request::Import { address, .. }
        | Request::Archive { address, .. }
        | Request::Restore { address } => [address.clone()].into(),
        Request::Retry { addresses } | Request::Forget { addresses } | Request::Recreate { addresses } => {
            addresses.iter().cloned().collect()
        }
    }
}

async fn run(job: &CommandJob, context: &ExecutionContext, desired: &Desired) -> Result<RequestDone, RequestProblem> {
    match job {
        CommandJob::Settle(address, asset_id) => {
            resolve::resolve_with(context, address, *asset_id).await?;
            Ok(RequestDone { asset_id: Some(*asset_id), ..RequestDone::default() })
        }
        CommandJob::Import { address, asset_id, content_matches } => {
            let wish = import::ImportRequest { address, asset_id: *asset_id, content_matches: *content_matches };
            let imported = import::import(context, desired, wish).await?;
            let (asset_id, revision) = (Some(imported.key.asset_id), Some(imported.number));
            Ok(RequestDone { asset_id, revision, notes: imported.notes(address), ..RequestDone::default() })
        }
        CommandJob::Recreate { addresses, missing } => {
            let choice = recreate::begin(context, desired, Some(addresses), missing.as_ref()).await?;
            let left_out = choice.left_out.iter().map(|(address, why)| format!("{address} is unchanged: {why}"));
            Ok(RequestDone { notes: left_out.collect(), ..RequestDone::default() })
        }
        CommandJob::ByHand { address, direction, together } => {
            let prepared = by_hand::prepare(context, desired, address, *direction, together).await?;
            by_hand(context, desired, &prepared).await
        }
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
        Outcome::Refused { message, hint } => Err(RequestProblem { kind: ProblemKind::Refused, message, hint }),
        Outcome::NotBegun => Err(refused("the running `macadam sync` could not start it")),
        Outcome::Running { reason: message }
        | Outcome::TryLater { message }
        | Outcome::InDoubt { message }
        | Outcome::Superseded { reason: message } => Err(refused(&message)),
    }
}

fn answer(forgotten: &forget::ForgetReport) -> RequestDone {
    let names: Vec<String> = forgotten.each.iter().flat_map(|one| &one.asset_ids).map(ToString::to_string).collect();
    let kept = Some(names).filter(|names| !names.is_empty());
    let kept = kept.map(|names| format!("Roblox keeps {}", names.join(", ")));
    let advice = forgotten.each.iter().filter_map(|one| Some(format!("{}: {}", one.address, one.advice()?)));
    let notes = kept.into_iter().chain(advice).collect();
    RequestDone { lockfile_written: forgotten.lockfile_written, notes, ..RequestDone::default() }
}

fn unanswered() -> RequestProblem {
    RequestProblem {
        kind: ProblemKind::Interrupted,
        message: format!("Roblox has not answered within {} minutes", PATIENCE.as_secs() / 60),
        hint: Some("`macadam status` shows what is done; run the same command again for the rest".to_owned()),
    }
}

fn refused(message: &str) -> RequestProblem {
    RequestProblem { kind: ProblemKind::Refused, message: message.to_owned(), hint: None }
}

fn unusable(error: &dyn std::error::Error) -> RequestProblem {
    RequestProblem { kind: ProblemKind::Unusable, message: with_causes(error), hint: None }
}

/// Converts the errors of commands.
macro_rules! problem_from {
    ($($error:ty),+) => {$(
        impl From<$error> for RequestProblem {
            fn from(error: $error) -> Self {
                let kind = error.shared().map_or(ProblemKind::Refused, CommandError::kind);
                Self { kind, message: with_causes(&error), hint: error.hint() }
            }
        }
    )+};
}

problem_from!(RepairError, ForgetError, ImportError, ByHandError);

impl From<RecreateError> for RequestProblem {
    fn from(error: RecreateError) -> Self {
        let kind = match &error {
            RecreateError::Stopped { is_credential: true, .. } => ProblemKind::Credential,
            error => error.shared().map_or(ProblemKind::Refused, CommandError::kind),
        };
        Self { kind, message: with_causes(&error), hint: error.hint() }
    }
}
