//! The switch that ends a run: thrown once, seen by everybody, by nobody in the middle of writing something down.

use std::sync::{Arc, Mutex, PoisonError};

use tokio_util::sync::CancellationToken;

use super::report::Stop;

/// Ends a run: nothing new is begun, what is on the wire is finished and recorded.
#[derive(Debug, Clone, Default)]
pub struct StopSwitch {
    token: CancellationToken,
    why: Arc<Mutex<Option<Stop>>>,
}

impl StopSwitch {
    /// Ends the run; the first reason stays.
    pub fn throw(&self, why: Stop) {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.token.cancel();
    }

    /// Whether the run is to end.
    pub fn is_thrown(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why the run is to end.
    pub fn why(&self) -> Option<Stop> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the run is to end.
    pub async fn thrown(&self) {
        self.token.cancelled().await;
    }

    /// Runs `work` unless or until the run is to end. Only for what may be given up at any point: waiting and reading, never writing down.
    pub async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.token.run_until_cancelled(work).await
    }
}
