//! Failures that concern every request alike, such as a missing connection: each is told once, until
//! a step succeeds again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cloud::failure::Failure;

/// The failures of this run that concern every request. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outages {
    /// By their messages.
    seen: Arc<Mutex<BTreeMap<String, Outage>>>,
    /// Whether to wait for what only a person can mend, as a service does.
    waits: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Outage {
    is_told: bool,
    /// It lasts until somebody sets the clock.
    is_untimely: bool,
}

impl Outages {
    /// Those of a service, which waits for what only a person can mend.
    pub(crate) fn of_a_service() -> Self {
        Self { waits: true, ..Self::default() }
    }

    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, Outage>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the message of a failure, and remembers one that any other request would have met
    /// too.
    pub(crate) fn message(&self, failure: &Failure) -> String {
        let message = failure.cause();
        if failure.is_without_connection() {
            let is_untimely = failure.is_untimely();
            self.seen().entry(message.clone()).or_insert(Outage { is_told: false, is_untimely });
        }
        message
    }

    /// Returns whether this message concerns every request.
    pub(crate) fn is_one(&self, message: &str) -> bool {
        self.seen().contains_key(message)
    }

    /// Returns whether it is told now for the first time.
    pub(crate) fn is_news(&self, message: &str) -> bool {
        self.seen().get_mut(message).is_some_and(|outage| !std::mem::replace(&mut outage.is_told, true))
    }

    /// Returns whether a run need not try again after this message: it can't succeed before somebody
    /// sets the clock.
    pub(crate) fn ends_the_run(&self, message: &str) -> bool {
        !self.waits && self.seen().get(message).is_some_and(|outage| outage.is_untimely)
    }

    /// Records that something succeeded.
    pub(crate) fn end(&self) {
        self.seen().clear();
    }
}
