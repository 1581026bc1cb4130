//! Failures that concern every request alike, such as a missing connection: each is told once, until
//! a step succeeds again.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::cloud::failure::Failure;

/// The failures of this run that concern every request. Clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outages {
    /// By their messages, and whether each was told.
    seen: Arc<Mutex<BTreeMap<String, bool>>>,
}

impl Outages {
    fn seen(&self) -> MutexGuard<'_, BTreeMap<String, bool>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the message of a failure, and remembers one that any other request would have met
    /// too.
    pub(crate) fn message(&self, failure: &Failure) -> String {
        let message = failure.cause();
        if failure.is_without_connection() {
            self.seen().entry(message.clone()).or_default();
        }
        message
    }

    /// Returns whether this message concerns every request.
    pub(crate) fn is_one(&self, message: &str) -> bool {
        self.seen().contains_key(message)
    }

    /// Returns whether it is told now for the first time.
    pub(crate) fn is_news(&self, message: &str) -> bool {
        self.seen().get_mut(message).is_some_and(|told| !std::mem::replace(told, true))
    }

    /// Records that something succeeded.
    pub(crate) fn end(&self) {
        self.seen().clear();
    }
}
