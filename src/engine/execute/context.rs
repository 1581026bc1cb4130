//! The execution context of one run or command: client, throttle and poller, and what they learn.
//!
//! Read next: [`crate::engine::reconcile::once`] for a run, [`crate::engine::commands::by_hand`]
//! for steps that a person requests.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use futures_util::future::join_all;

use crate::cloud::client::Client;
use crate::cloud::endpoint::Endpoint;
use crate::cloud::limits::Budget;
use crate::engine::execute::executor::{Executor, Forbidden, LookedAt, Panics};
use crate::engine::execute::heads::FetchedHeads;
use crate::engine::execute::step_result::forbidden_hint;
use crate::engine::execute::upload_slots::UploadSlots;
use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::remote::breaker::ResultBreaker;
use crate::engine::remote::fetch::{AssetQuery, fetch_with};
use crate::engine::remote::key;
use crate::engine::remote::outages::Outages;
use crate::engine::remote::poller::Poller;
use crate::engine::remote::saved_limits;
use crate::engine::remote::throttle::{self, Throttle};
use crate::engine::report::estimate::Workload;
use crate::engine::report::progress::{Listener, ProgressEvent};
use crate::engine::report::run_report::Stop;
use crate::engine::workspace::finished_uploads::FinishedUploads;
use crate::engine::workspace::session::Session;
use crate::engine::workspace::state_cache::{StateCache, StateCacheError};
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::ids::{AssetId, Creator};
use crate::model::urgency::Urgency;
use crate::plan::{Action, Step, input_digest};
use crate::platform::clock;

/// The changes that abandon creates in doubt, by address: recorded when the next create begins.
pub(in crate::engine) type AbandonedCreates = BTreeMap<Address, Vec<Change>>;

/// Everything that a request needs. Clones share it.
#[derive(Clone)]
pub(crate) struct ExecutionContext {
    pub(in crate::engine) state_cache: Arc<StateCache>,
    root: PathBuf,
    finished: FinishedUploads,
    pub(in crate::engine) client: Arc<Client>,
    pub(in crate::engine) throttle: Throttle,
    poller: Poller,
    uploads: UploadSlots,
    forbidden: Forbidden,
    outages: Outages,
    results: ResultBreaker,
    heads: FetchedHeads,
    pub(in crate::engine) listener: Listener,
    pub(in crate::engine) stop: Shutdown,
    panics: Panics,
}

impl ExecutionContext {
    /// Creates a context with the limits and latencies that earlier runs learned, and with
    /// `uploads` uploads at once.
    ///
    /// # Errors
    /// When the state can't be read.
    pub(crate) async fn new(
        session: &Session,
        client: Arc<Client>,
        listener: Listener,
        stop: Shutdown,
        uploads: usize,
    ) -> Result<Self, StateCacheError> {
        let (state_cache, root) = (Arc::clone(&session.state_cache), session.project.root.clone());
        let (limits, latencies) = saved_limits::load(state_cache.store()).await?;
        let throttle = if client.is_rehearsal() {
            Throttle::without_documented(throttle::OWNER, listener.clone())
        } else {
            Throttle::new(&limits, throttle::OWNER, listener.clone())
        };
        let poller = Poller::start(Arc::clone(&client), throttle.clone(), &latencies, stop.clone());
        let uploads = UploadSlots::new(uploads);
        Ok(Self {
            state_cache,
            root,
            finished: session.lockfile.finished_uploads(),
            client,
            throttle,
            poller,
            uploads,
            forbidden: Forbidden::default(),
            outages: Outages::default(),
            results: ResultBreaker::default(),
            heads: FetchedHeads::default(),
            listener,
            stop,
            panics: Panics::EndTheRun,
        })
    }

    /// Lets a panic in a step propagate to its caller, and steps wait for what only a person can mend.
    pub(in crate::engine) fn for_a_service(self) -> Self {
        Self { panics: Panics::GoOn, outages: Outages::of_a_service(), ..self }
    }

    /// Checks what the key may do for these creators. Returns `false` if the run must end.
    pub(in crate::engine) async fn may_begin(&self, creators: &BTreeSet<Creator>) -> bool {
        let verdict = key::check(&self.client, &self.throttle, &self.stop, creators, clock::now()).await;
        let key::KeyVerdict { stop, forbidden, warning, expires_at } = verdict;
        (self.listener)(ProgressEvent::KeyExpires { at: expires_at });
        if let Some(warning) = warning {
            tracing::warn!("{warning}");
        }
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).extend(forbidden);
        if let Some(stop) = stop {
            self.stop.trigger(stop);
        }
        !self.stop.is_triggered()
    }

    /// Fetches assets that are about to be updated. Cancelling is harmless: the update fetches its
    /// asset itself.
    pub(in crate::engine) async fn fetch_heads(&self, assets: Vec<AssetId>) {
        let fetch = async |asset_id| {
            let permit = self.throttle.acquire(Endpoint::GetAsset, Urgency::Live).await;
            let asked = clock::elapsed();
            let answer = fetch_with(permit, &self.client, &self.throttle, AssetQuery::plain(asset_id)).await;
            self.heads.put(asset_id, answer, asked);
        };
        join_all(assets.into_iter().map(fetch)).await;
    }

    /// Returns why the key may not create assets for a creator, if that is known.
    pub(in crate::engine) fn forbidden(&self, creator: Creator) -> Option<String> {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).get(&creator).cloned()
    }

    /// Returns an executor for these steps of a plan for `desired`, made for the state of
    /// `generation`. It knows nothing of other addresses.
    pub(in crate::engine) fn steps(
        &self,
        steps: &[Step],
        desired: &Desired,
        abandoned_creates: AbandonedCreates,
        generation: u64,
    ) -> Executor {
        let addresses: BTreeSet<&Address> = steps.iter().map(|step| &step.address).collect();
        let wanted = addresses.iter().filter_map(|address| desired.assets.get_key_value(*address));
        let files: LookedAt = wanted
            .filter_map(|(address, want)| {
                Some((address.clone(), (want.path.clone(), want.content.as_ref().ok()?.clone())))
            })
            .collect();
        let input_digests =
            self.state_cache.read(|recorded| input_digest::of_each(addresses.iter().copied(), desired, recorded));
        Executor {
            state_cache: Arc::clone(&self.state_cache),
            client: Arc::clone(&self.client),
            throttle: self.throttle.clone(),
            poller: self.poller.clone(),
            listener: self.listener.clone(),
            stop: self.stop.clone(),
            root: self.root.clone(),
            finished: self.finished.clone(),
            uploads: self.uploads.clone(),
            // A person waits; a worker has the urgency of its steps.
            urgency: Urgency::Rescue,
            files: Arc::new(files),
            input_digests: Arc::new(input_digests),
            forbidden: Arc::clone(&self.forbidden),
            outages: self.outages.clone(),
            results: self.results.clone(),
            heads: self.heads.clone(),
            abandoned_creates: Arc::new(abandoned_creates),
            superseded: Shutdown::default(),
            panics: self.panics,
            generation,
            checkout: desired.checkout.clone(),
            by_hand: false,
        }
    }

    /// Returns what these steps ask of Roblox.
    pub(in crate::engine) fn workload(&self, steps: &[Step]) -> Workload {
        let count = |is_meant: fn(&Action) -> bool| steps.iter().filter(|step| is_meant(&step.action)).count() as u64;
        Workload {
            steps: steps.len() as u64,
            creates: count(Action::creates_asset),
            operations: count(|action| {
                matches!(
                    action,
                    Action::Create(_) | Action::Replace { .. } | Action::UpdateContent { .. } | Action::Wait { .. }
                )
            }),
            creates_a_minute: self.throttle.a_minute(Budget::CreateAsset),
            polls_a_minute: self.throttle.a_minute(Budget::Operations),
        }
    }

    /// Returns why nothing is uploaded, or nothing of an owner's, and what to do about it.
    pub(in crate::engine) fn uploads_stop(&self) -> Option<(String, String)> {
        if let Some(Stop::Credential { message, hint }) = self.stop.why() {
            return Some((format!("nothing is uploaded: {message}"), hint));
        }
        let forbidden = self.forbidden.lock().unwrap_or_else(PoisonError::into_inner);
        let (creator, message) = forbidden.iter().next()?;
        Some((format!("nothing is uploaded for {}: {message}", creator.in_words()), forbidden_hint(*creator)))
    }

    /// Forgets refused permissions: they may have been granted.
    pub(in crate::engine) fn reset_backoff(&self) {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Saves limits and latencies for the next run.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(in crate::engine) async fn save_limits(&self) -> Result<(), StateCacheError> {
        saved_limits::save(self.state_cache.store(), self.throttle.snapshot(clock::now()), self.poller.latencies())
            .await
    }
}
