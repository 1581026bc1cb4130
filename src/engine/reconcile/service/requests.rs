//! Requests of other commands: taken one after another, carried out alongside everything else, then
//! answered.
//!
//! A request that needs the remote is a job of the workers, so the loop goes on scanning. At
//! shutdown the job has as long as any upload. It begins when no worker is busy with its addresses,
//! which are kept free for it from the start, and only if its command still waits for it then. What
//! it leaves to the plan is followed, and the next request is taken meanwhile.
//!
//! Read next: [`jobs`], then [`followed`].

mod followed;
mod jobs;

use std::collections::BTreeSet;
use std::sync::Arc;

pub(super) use self::followed::FollowedRequest;
use self::followed::Standing;
use self::jobs::{CommandJob, key_refused, refused, unusable};
use super::{Service, ServiceError};
use crate::engine::commands::by_hand::Direction;
use crate::engine::commands::pins;
use crate::engine::commands::{forget, resolve, retry};
use crate::engine::reconcile::reconciler::Reconciler;
use crate::engine::reconcile::workers::JobDone;
use crate::engine::workspace::lockfile::KeepError;
use crate::model::address::Address;
use crate::model::desired::Pin;
use crate::model::file::FileProblem;
use crate::model::missing_lockfile::MissingLockfile;
use crate::model::request::{ProblemKind, Request, RequestDone, RequestId, RequestProblem, Resolution};
use crate::platform::clock;
use crate::state::store::RequestStart;

/// A request that was taken from the request queue and is not answered yet.
pub(super) struct ActiveRequest {
    id: RequestId,
    request: Request,
    stage: RequestStage,
    /// The scan that it needs first: its address may be new in the manifest.
    scan: RequestScan,
    /// The pins that it wrote into the manifest, and took away.
    pins: Vec<(Address, Option<Pin>)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RequestScan {
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
    /// Nothing speaks against it: the manifest is to be edited.
    Decided(JobDone),
    Ended(Result<JobDone, RequestProblem>),
}

impl ActiveRequest {
    /// Returns whether the loop can do something for it.
    pub(super) const fn is_due(&self) -> bool {
        matches!(self.stage, RequestStage::Waits | RequestStage::Decided(_))
    }

    pub(super) const fn is_over(&self) -> bool {
        matches!(self.stage, RequestStage::Ended(_))
    }
}

impl Service<'_> {
    /// Notes that a scan begins.
    pub(super) fn requests_scan_began(&mut self) {
        for scan in self.request_scans().filter(|scan| **scan == RequestScan::Needed) {
            *scan = RequestScan::InProgress;
        }
    }

    /// Notes that a scan is over. If it `counts`, the requests need no other one.
    pub(super) fn requests_scan_ended(&mut self, counts: bool) {
        for scan in self.request_scans().filter(|scan| **scan == RequestScan::InProgress) {
            *scan = if counts { RequestScan::Over } else { RequestScan::Needed };
        }
    }

    fn request_scans(&mut self) -> impl Iterator<Item = &mut RequestScan> {
        let followed = self.followed.iter_mut().map(|followed| &mut followed.scan);
        self.request.iter_mut().map(|asked| &mut asked.scan).chain(followed)
    }

    /// Takes requests, as far as they may begin.
    pub(super) async fn take_requests(&mut self) -> Result<(), ServiceError> {
        self.recover().await?;
        self.answer_requests().await?;
        while !self.ending.is_triggered() {
            match self.request.as_ref().map(|asked| &asked.stage) {
                None => {
                    if !self.take_request().await? {
                        return Ok(());
                    }
                }
                Some(RequestStage::Waits) => {
                    self.needs.requests = true;
                    let may_begin = self.may_begin_request();
                    if self.is_wanted(may_begin).await? {
                        if !may_begin {
                            return Ok(());
                        }
                        self.begin_request().await?;
                    }
                }
                Some(RequestStage::Begun) => return Ok(()),
                Some(RequestStage::Decided(_)) => self.edit_manifest(),
                Some(RequestStage::Ended(_)) => self.answer_requests().await?,
            }
        }
        Ok(())
    }

    /// Takes the next request from the request queue. Returns `false` if there is none.
    async fn take_request(&mut self) -> Result<bool, ServiceError> {
        if !std::mem::take(&mut self.needs.requests) {
            return Ok(false);
        }
        let Some((id, request)) = self.queue.next().await? else { return Ok(false) };
        let kept = addresses(&request);
        let needs_scan = match &request {
            Request::Import { .. } | Request::Recreate { .. } | Request::Pin { .. } | Request::Unpin { .. } => true,
            Request::Resolve { .. }
            | Request::Retry { .. }
            | Request::Forget { .. }
            | Request::Archive { .. }
            | Request::Restore { .. } => false,
        };
        let scan = if needs_scan { RequestScan::Needed } else { RequestScan::Over };
        self.request = Some(ActiveRequest { id, request, stage: RequestStage::Waits, scan, pins: Vec::new() });
        if !self.is_wanted(false).await? {
            return Ok(true);
        }
        self.reconciler.workers.keep_free(kept);
        if needs_scan {
            (self.needs.scan, self.needs.all) = (true, true);
        }
        Ok(true)
    }

    /// Returns whether a command waits for the request that was taken, and drops it if none does. If
    /// it `begins`, it can't be taken back from now on.
    async fn is_wanted(&mut self, begins: bool) -> Result<bool, ServiceError> {
        let Some(ActiveRequest { id, request, .. }) = &self.request else { return Ok(false) };
        let start = if begins { self.queue.start(*id).await? } else { self.queue.may_start(*id).await? };
        let typed = request.typed();
        match start {
            RequestStart::Wanted if begins => tracing::info!("running `{typed}`, typed in another terminal"),
            RequestStart::Wanted => {}
            RequestStart::Withdrawn => tracing::info!("`{typed}` was taken back in the other terminal"),
            RequestStart::Abandoned => {
                tracing::info!("`{typed}` was not done: the command in the other terminal has ended");
            }
        }
        let is_wanted = start == RequestStart::Wanted;
        if !is_wanted {
            self.request = None;
            self.reconciler.workers.release();
            // The next request, and what waited for its addresses.
            (self.needs.requests, self.needs.plan) = (true, true);
        }
        Ok(is_wanted)
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
        // The key was refused to all addresses, or to an owner's, and to none for itself.
        let is_retry = self.request.as_ref().is_some_and(|asked| matches!(asked.request, Request::Retry { .. }));
        let was_stopped = is_retry && self.reconciler.context.uploads_stop().is_some();
        if was_stopped {
            self.try_key_again().await?;
        }
        let is_archiving =
            |asked: &ActiveRequest| matches!(asked.request, Request::Archive { .. } | Request::Restore { .. });
        // Another manifest may have begun to use the asset since the last scan.
        if self.request.as_ref().is_some_and(is_archiving) {
            self.reconciler.look_at_neighbours();
        }
        let Some(asked) = &mut self.request else { return Ok(()) };
        let session = &mut *self.reconciler.session;
        let state_cache = &session.state_cache;
        // Some requests need only the state.
        let result: Result<RequestDone, RequestProblem> = match &asked.request {
            Request::Resolve { address, found: Resolution::Nothing } => {
                let settled = resolve::recreate(state_cache, address).await;
                let settled = settled.map_err(|error| error.for_wanted(&self.reconciler.wanted.desired));
                settled.map(|()| RequestDone::default()).map_err(Into::into)
            }
            Request::Resolve { address, found: Resolution::NoDuplicate } => {
                let settled = resolve::no_duplicate(state_cache, address).await;
                let settled = settled.map_err(|error| error.for_wanted(&self.reconciler.wanted.desired));
                settled.map(|()| RequestDone::default()).map_err(Into::into)
            }
            Request::Retry { addresses } => {
                self.reconciler.context.reset_backoff();
                self.reconciler.workers.reset_backoff();
                match retry::retry(state_cache, &self.reconciler.wanted.desired, addresses).await {
                    Err(error) if was_stopped && error.is_still_to_be_sent() => Ok(RequestDone::default()),
                    retried => retried.map(|()| RequestDone::default()).map_err(Into::into),
                }
            }
            Request::Forget { addresses } => {
                forget::forget(session, addresses).await.map(|forgotten| answer(&forgotten)).map_err(Into::into)
            }
            _ => match (&self.refused, job(&asked.request, session.lockfile.missing())) {
                (Some(message), _) => Err(key_refused(message)),
                (None, Some(job)) => {
                    asked.stage = RequestStage::Begun;
                    self.reconciler.cancel_observation();
                    let context = self.reconciler.context.clone();
                    let desired = Arc::clone(&self.reconciler.wanted.desired);
                    self.reconciler.workers.run_job(async move { job.run(&context, &desired).await });
                    return Ok(());
                }
                (None, None) => {
                    let follows = addresses(&asked.request);
                    asked.stage = RequestStage::Decided(JobDone { follows, ..JobDone::default() });
                    return Ok(());
                }
            },
        };
        asked.stage = RequestStage::Ended(result.map(JobDone::from));
        Ok(())
    }

    /// Records the result of a request's job.
    pub(super) fn job_ended(&mut self, result: Result<Result<JobDone, RequestProblem>, String>) {
        let result = result.unwrap_or_else(|message| {
            tracing::error!("a bug in Macadam stopped a command: {message}");
            Err(refused(&message))
        });
        // A job that broke off leaves open attempts to recover; a finished one leaves none.
        self.needs.recovery.extend(self.request.iter().flat_map(|asked| addresses(&asked.request)));
        if let Some(asked) = &mut self.request {
            asked.stage = match result {
                Ok(done) if matches!(asked.request, Request::Pin { .. }) => RequestStage::Decided(done),
                result => RequestStage::Ended(result),
            };
        }
    }

    /// Edits the manifest for the request that is decided. If the disk has another one than the
    /// last scan found, the request begins anew.
    fn edit_manifest(&mut self) {
        let is_in_force = self.manifest_is_in_force();
        let Some(asked) = &mut self.request else { return };
        let RequestStage::Decided(done) = &mut asked.stage else { return };
        if matches!(asked.request, Request::Pin { .. }) && self.invalid.is_none() && !is_in_force {
            (asked.stage, asked.scan) = (RequestStage::Waits, RequestScan::Needed);
            (self.needs.scan, self.needs.all) = (true, true);
            return;
        }
        let done = std::mem::take(done);
        let Reconciler { session, wanted, .. } = &self.reconciler;
        let project = &session.project;
        let edit = || -> Result<Vec<(Address, Option<Pin>)>, RequestProblem> {
            match &asked.request {
                Request::Pin { addresses, revision } => {
                    if let Some(problem) = &self.invalid {
                        let message = format!("the manifest has an error: {problem}");
                        return Err(RequestProblem::new(ProblemKind::Unusable, message, None));
                    }
                    let choose = |recorded: &_| pins::choose(&wanted.desired, recorded, addresses, *revision);
                    let chosen = session.state_cache.read(choose)?;
                    let chosen: Vec<(Address, Pin)> =
                        chosen.into_iter().map(|(address, pin, _)| (address, pin)).collect();
                    pins::write(project, &chosen)?;
                    Ok(chosen.into_iter().map(|(address, pin)| (address, Some(pin))).collect())
                }
                Request::Unpin { addresses } => {
                    let bytes = project.read_manifest().map_err(|error| unusable(&error))?;
                    pins::require_pinned(&String::from_utf8_lossy(&bytes), addresses)?;
                    pins::remove(project, addresses)?;
                    Ok(addresses.iter().map(|address| (address.clone(), None)).collect())
                }
                _ => Ok(Vec::new()),
            }
        };
        match tokio::task::block_in_place(edit) {
            Ok(pins) => (asked.pins, asked.stage) = (pins, RequestStage::Ended(Ok(done))),
            Err(problem) => asked.stage = RequestStage::Ended(Err(problem)),
        }
        (self.needs.scan, self.needs.all) = (true, true);
    }

    /// Returns whether manifest, lockfile and commit are still the ones of the last scan.
    fn manifest_is_in_force(&self) -> bool {
        let Reconciler { session, wanted, .. } = &self.reconciler;
        let is_other = session.lockfile.is_changed().unwrap_or(false) || session.lockfile.is_of_another_commit();
        let text = wanted.manifest.as_ref().map(|(_, text)| text.as_str());
        let found = session.project.read_manifest();
        !is_other && found.is_ok_and(|found| Some(String::from_utf8_lossy(&found).as_ref()) == text)
    }

    /// Answers the requests that are over, after writing the lockfile.
    pub(super) async fn answer_requests(&mut self) -> Result<(), ServiceError> {
        if let Some(ended) = self.request.take_if(|asked| asked.is_over()) {
            self.request_ended(ended).await?;
        }
        self.answer_followed().await
    }

    /// Answers a request, or follows its steps.
    async fn request_ended(&mut self, ended: ActiveRequest) -> Result<(), ServiceError> {
        let ActiveRequest { id, request, stage, pins, .. } = ended;
        let RequestStage::Ended(result) = stage else { return Ok(()) };
        self.reconciler.workers.release();
        // Even a failed request may have recorded something.
        (self.needs.scan, self.needs.plan, self.needs.requests) = (true, true, true);
        self.needs.lockfile.get_or_insert(clock::elapsed());
        let JobDone { mut answer, follows } = match result {
            Ok(done) => done,
            Err(problem) => return self.send_answer(id, &request, Err(problem)).await,
        };
        match self.keep_answer(&request, &mut answer).await? {
            Ok(()) if !follows.is_empty() => {
                let (scan, standing) = (RequestScan::Needed, Standing::Acts);
                self.followed.push(FollowedRequest { id, request, answer, addresses: follows, pins, scan, standing });
                Ok(())
            }
            kept => self.send_answer(id, &request, kept.map(|()| answer)).await,
        }
    }

    async fn send_answer(
        &self,
        id: RequestId,
        request: &Request,
        result: Result<RequestDone, RequestProblem>,
    ) -> Result<(), ServiceError> {
        if let Err(problem) = &result {
            tracing::warn!("refused `{}`: {}", request.typed(), problem.message);
        }
        Ok(self.queue.answer(id, result).await?)
    }

    /// Writes the lockfile for the request's changes. While git is busy, the lockfile follows
    /// later.
    async fn keep_answer(
        &mut self,
        request: &Request,
        answer: &mut RequestDone,
    ) -> Result<Result<(), RequestProblem>, ServiceError> {
        answer.has_command = self.on_change.is_some();
        if self.must_wait() {
            self.needs.lockfile = Some(clock::elapsed());
            let note = "Macadam writes the lockfile once git is done, or on the right branch again".to_owned();
            if !answer.notes.contains(&note) {
                answer.notes.push(note);
            }
            return Ok(Ok(()));
        }
        let kept = match request {
            Request::Retry { .. } => return Ok(Ok(())),
            Request::Forget { .. } | Request::Recreate { .. } | Request::Pin { .. } | Request::Unpin { .. } => None,
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

    /// Answers the waiting commands that their requests will not be carried out.
    pub(super) async fn end_requests(&mut self) -> Result<(), ServiceError> {
        self.answer_requests().await?;
        let (nothing, rest) = (
            ("the running `macadam sync` was stopped before it started this", "nothing was done; try again"),
            (
                "the running `macadam sync` was stopped before Roblox answered",
                "`macadam status` shows what is done; run the same command again for the rest",
            ),
        );
        let active = self.request.take().map(|ActiveRequest { id, stage, .. }| match stage {
            RequestStage::Waits | RequestStage::Decided(_) => (id, nothing),
            RequestStage::Begun | RequestStage::Ended(_) => (id, rest),
        });
        let followed = std::mem::take(&mut self.followed).into_iter().map(|followed| (followed.id, rest));
        for (id, (message, hint)) in active.into_iter().chain(followed) {
            let (message, hint) = (message.to_owned(), Some(hint.to_owned()));
            self.queue.answer(id, Err(RequestProblem::new(ProblemKind::Interrupted, message, hint))).await?;
        }
        Ok(())
    }
}

/// Returns the addresses that a request concerns.
fn addresses(request: &Request) -> BTreeSet<Address> {
    match request {
        Request::Resolve { address, .. }
        | Request::Import { address, .. }
        | Request::Archive { address, .. }
        | Request::Restore { address } => [address.clone()].into(),
        Request::Retry { addresses }
        | Request::Forget { addresses }
        | Request::Recreate { addresses }
        | Request::Pin { addresses, .. }
        | Request::Unpin { addresses } => addresses.iter().cloned().collect(),
    }
}

/// Returns the job of a request, if it needs one. `missing` is the evidence found in place of the
/// lockfile.
fn job(request: &Request, missing: Option<&MissingLockfile>) -> Option<CommandJob> {
    Some(match request {
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
            CommandJob::ByHand { address: address.clone(), direction: Direction::Restore, together: BTreeSet::new() }
        }
        Request::Recreate { addresses } => {
            CommandJob::Recreate { addresses: addresses.iter().cloned().collect(), missing: missing.cloned() }
        }
        Request::Pin { addresses, revision } => CommandJob::Pin { addresses: addresses.clone(), revision: *revision },
        Request::Resolve { found: Resolution::Nothing | Resolution::NoDuplicate, .. }
        | Request::Retry { .. }
        | Request::Forget { .. }
        | Request::Unpin { .. } => return None,
    })
}

fn answer(forgotten: &forget::ForgetReport) -> RequestDone {
    let names: Vec<String> = forgotten.each.iter().flat_map(|one| &one.asset_ids).map(ToString::to_string).collect();
    let kept = Some(names).filter(|names| !names.is_empty());
    let kept = kept.map(|names| format!("Roblox keeps {}", names.join(", ")));
    let advice = forgotten.each.iter().filter_map(|one| Some(format!("{}: {}", one.address, one.advice()?)));
    let notes = kept.into_iter().chain(advice).collect();
    RequestDone { lockfile_written: forgotten.lockfile_written, notes, ..RequestDone::default() }
}
