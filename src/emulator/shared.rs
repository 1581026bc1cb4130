//! The state that all connections of one emulator share: the world and everything around it, behind
//! one lock that is never held across an await.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::clock::EmulatorClock;
use super::faults::FaultRules;
use super::log::Log;
use super::world::World;
use super::world::account::Keys;
use super::world::limits::{EndpointLimits, Limiter};

/// The mutable state.
#[derive(Debug)]
pub(super) struct Inner {
    pub(super) world: World,
    pub(super) keys: Keys,
    pub(super) limits: EndpointLimits,
    pub(super) limiter: Limiter,
    pub(super) faults: FaultRules,
    pub(super) log: Log,
}

/// One emulator.
#[derive(Debug)]
pub(super) struct Shared {
    inner: Mutex<Inner>,
    pub(super) clock: EmulatorClock,
    pub(super) seed: u64,
    pub(super) first_asset: Option<u64>,
    /// The number of the newest change of the world.
    changed: watch::Sender<u64>,
    /// The number of the newest change in the world file; `None` without a file.
    saved: Option<watch::Sender<u64>>,
}

impl Shared {
    pub(super) fn new(
        inner: Inner,
        clock: EmulatorClock,
        seed: u64,
        first_asset: Option<u64>,
        with_file: bool,
    ) -> Self {
        let saved = with_file.then(|| watch::Sender::new(0));
        Shared { inner: Mutex::new(inner), clock, seed, first_asset, changed: watch::Sender::new(0), saved }
    }

    /// Locks the state. A panic elsewhere leaves consistent values behind, so a poisoned lock stays
    /// usable.
    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Locks the state and brings the world up to date. Also returns the current time.
    pub(super) fn settled(&self) -> (MutexGuard<'_, Inner>, u64) {
        let mut inner = self.lock();
        let now = self.clock.now();
        inner.world.settle(now);
        (inner, now)
    }

    /// Records that the world changed.
    pub(super) fn touch(&self) {
        self.changed.send_modify(|number| *number += 1);
    }

    pub(super) fn changes(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    pub(super) fn mark_saved(&self, number: u64) {
        if let Some(saved) = &self.saved {
            saved.send_if_modified(|newest| {
                let newer = number > *newest;
                *newest = (*newest).max(number);
                newer
            });
        }
    }

    /// Waits until every change so far is in the world file, if there is one.
    pub(super) async fn wait_saved(&self) {
        let Some(saved) = &self.saved else { return };
        let wanted = *self.changed.borrow();
        // An error means that the sender is gone; it lives in self.
        saved.subscribe().wait_for(|newest| *newest >= wanted).await.ok();
    }
}
