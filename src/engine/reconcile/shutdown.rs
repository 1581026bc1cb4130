//! The switch that ends a run. It is triggered once and seen by every task, but never interrupts a
//! write.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use jiff::Timestamp;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::engine::report::run_report::Stop;
use crate::platform::clock;

/// Ends a run: no new work begins; requests in flight are finished and recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    token: CancellationToken,
    /// Set when requests in flight are no longer waited for.
    cut: CancellationToken,
    why: Arc<Mutex<Option<Stop>>>,
    /// When a signal first requested the end, even if the run was ending already.
    signalled: Arc<watch::Sender<Option<Duration>>>,
    /// When the run ends whatever is left, if that is known.
    ends_at: Arc<OnceLock<Timestamp>>,
}

impl Shutdown {
    /// Ends the run; the first reason stays.
    pub(crate) fn trigger(&self, why: Stop) {
        if matches!(why, Stop::Signal(_)) {
            self.signalled.send_if_modified(|at| at.is_none() && at.replace(clock::elapsed()).is_none());
        }
        self.why.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(why);
        self.token.cancel();
    }

    /// Says when the run ends whatever is left.
    pub(crate) fn will_end_at(&self, at: Timestamp) {
        let _ = self.ends_at.set(at); // the first limit counts
    }

    /// Returns when the run ends whatever is left, if that is known.
    pub(crate) fn ends_at(&self) -> Option<Timestamp> {
        self.ends_at.get().copied()
    }

    /// Ends waits on this switch without a reason.
    pub(crate) fn trigger_quietly(&self) {
        self.token.cancel();
    }

    /// Returns whether the run should end.
    pub(crate) fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Returns why the run should end.
    pub(crate) fn why(&self) -> Option<Stop> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Watches for the first signal's time ([`clock::elapsed`]); `None` until there is one.
    pub(crate) fn signalled(&self) -> watch::Receiver<Option<Duration>> {
        self.signalled.subscribe()
    }

    /// Cancels requests in flight too, as a crash would; the journal has them. For a run that was
    /// asked to end and has no time left.
    pub(crate) fn cut_off(&self) {
        self.cut.cancel();
    }

    /// Waits until requests in flight are to be cancelled.
    pub(crate) async fn is_cut_off(&self) {
        self.cut.cancelled().await;
    }

    /// Runs `work` until it completes or the run should end. Only for work that may be cancelled at
    /// any point: waits and reads, never writes.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.token.run_until_cancelled(work).await
    }

    /// Runs one task of many. A panic in it is a defect of Macadam and ends the run in order, since
    /// other tasks may wait for this one. Its data is not trusted any more: its attempts are
    /// recovered from the journal, as after a crash.
    ///
    /// # Errors
    /// The panic's message.
    pub(crate) async fn catch<T>(&self, task: impl Future<Output = T>) -> Result<T, String> {
        AssertUnwindSafe(task).catch_unwind().await.map_err(|panic| self.trigger_defect(panic.as_ref()))
    }

    /// Ends the run because of a panic, and returns the panic's message.
    pub(crate) fn trigger_defect(&self, panic: &(dyn Any + Send)) -> String {
        let message = panic_message(panic);
        self.trigger(Stop::Defect { message: message.clone() });
        message
    }
}

/// Returns why a task has no result: the message of its panic, as a rule.
pub(super) fn ended_message(ended: tokio::task::JoinError) -> String {
    match ended.try_into_panic() {
        Ok(panic) => panic_message(panic.as_ref()),
        Err(ended) => ended.to_string(),
    }
}

/// Returns the message of a panic.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("for no reason given");
    format!("macadam panicked: {text}")
}
