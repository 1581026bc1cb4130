//! What carries out steps: a client, the gate and the poller of one run or command, and what they learn.
//!
//! Read next: [`super::sync`] for a run, [`super::by_hand`] for steps that a person asks for.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::{Arc, PoisonError};

use tokio::sync::Semaphore;

use super::state_cache::{StateCache, StateCacheError};
use super::breaker::ResultBreaker;
use super::throttle::{self, Throttle};
use super::key;
use super::saved_limits;
use super::poller::Poller;
use super::progress::{Listener, ProgressEvent};
use super::session::Session;
use super::executor::{Forbidden, LookedAt, Panics, Executor};
use super::stop::Shutdown;
use crate::cloud::client::Client;
use crate::model::address::Address;
use crate::model::change::Change;
use crate::model::desired::Desired;
use crate::model::ids::Creator;
use crate::plan::input_digest;
use crate::platform::clock;

/// What ends creates in doubt, by address: written down when the next create begins.
pub(super) type GivenUp = BTreeMap<Address, Vec<Change>>;

/// Everything that requests go through. A clone is the same hands.
#[derive(Clone)]
pub struct ExecutionContext {
    pub(super) book: Arc<StateCache>,
    root: PathBuf,
    pub(super) client: Arc<Client>,
    pub(super) gate: Throttle,
    poller: Poller,
    uploads: Arc<Semaphore>,
    forbidden: Forbidden,
    results: ResultBreaker,
    pub(super) listener: Listener,
    pub(super) stop: Shutdown,
    panics: Panics,
}

impl ExecutionContext {
    /// Hands that know what earlier runs learned of limits and latencies, and upload so many files at once.
    ///
    /// # Errors
    /// When the state can't be read.
    pub async fn new(
        session: &Session,
        client: Arc<Client>,
        listener: Listener,
        stop: Shutdown,
        uploads: usize,
    ) -> Result<Self, StateCacheError> {
        let (book, root) = (Arc::clone(&session.book), session.project.root.clone());
        let (limits, latencies) = saved_limits::load(book.store()).await?;
        let gate = Throttle::new(&limits, throttle::OWNER, listener.clone());
        let poller = Poller::start(Arc::clone(&client), throttle.clone(), &latencies, stop.clone());
        let uploads = Arc::new(Semaphore::new(uploads));
        Ok(Self {
            book,
            root,
            client,
            throttle,
            poller,
            uploads,
            forbidden: Forbidden::default(),
            results: ResultBreaker::default(),
            listener,
            stop,
            panics: Panics::EndTheRun,
        })
    }

    /// The same, but that a panic in a step goes on to whoever runs it.
    pub(super) fn letting_panics_go_on(self) -> Self {
        Self { panics: Panics::GoOn, ..self }
    }

    /// Looks at what the key may do for these creators; false ends the run.
    pub(super) async fn may_begin(&self, creators: &BTreeSet<Creator>) -> bool {
        let looked = key::look(&self.client, &self.gate, &self.stop, creators, clock::now()).await;
        let key::KeyVerdict { stop, forbidden, warning, expires_at } = looked;
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

    /// Why the key may make nothing for a creator, as far as is known.
    pub(super) fn forbidden(&self, creator: Creator) -> Option<String> {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).get(&creator).cloned()
    }

    /// What runs the steps of a plan for `desired`, made for the state of `generation`.
    pub(super) fn steps(&self, desired: &Desired, given_up: GivenUp, generation: u64) -> Executor {
        let files: LookedAt = desired
            .assets
            .iter()
            .filter_map(|(address, want)| {
                Some((address.clone(), (want.path.clone(), want.content.as_ref().ok()?.clone())))
            })
            .collect();
        let subjects = self.book.read(|recorded| input_digest::of_all(desired, recorded));
        Executor {
            book: Arc::clone(&self.book),
            client: Arc::clone(&self.client),
            gate: self.gate.clone(),
            poller: self.poller.clone(),
            listener: self.listener.clone(),
            stop: self.stop.clone(),
            root: self.root.clone(),
            uploads: Arc::clone(&self.uploads),
            files: Arc::new(files),
            subjects: Arc::new(subjects),
            forbidden: Arc::clone(&self.forbidden),
            results: self.results.clone(),
            given_up: Arc::new(given_up),
            superseded: Shutdown::default(),
            panics: self.panics,
            generation,
            by_hand: false,
        }
    }

    /// What was refused to a creator may be allowed by now.
    pub(super) fn reset_backoff(&self) {
        self.forbidden.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Limits and latencies, for the next run.
    ///
    /// # Errors
    /// When the state can't be written.
    pub(super) async fn remember_pace(&self) -> Result<(), StateCacheError> {
        saved_limits::save(self.book.store(), self.gate.snapshot(clock::now()), self.poller.latencies()).await
    }
}
