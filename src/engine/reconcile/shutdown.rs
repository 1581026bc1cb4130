//! The switch that ends a run: thrown once, seen by everybody, by nobody in the middle of writing
//! something down.

use std::any::Any;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::engine::report::run_report::Stop;
use crate::platform::clock;

/// Ends a run: nothing new is begun, what is on the wire is finished and recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Shutdown {
    token: CancellationToken,
    /// What is on the wire is not waited for any longer.
    cut: CancellationToken,
    why: Arc<Mutex<Option<Stop>>>,
    /// When a signal first asked for the end, also where something else ended the run before.
    signalled: Arc<watch::Sender<Option<Duration>>>,
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

    /// Ends what waits on it without a reason that anybody is told.
    pub(crate) fn trigger_quietly(&self) {
        self.token.cancel();
    }

    /// Whether the run is to end.
    pub(crate) fn is_triggered(&self) -> bool {
        self.token.is_cancelled()
    }

    /// Why the run is to end.
    pub(crate) fn why(&self) -> Option<Stop> {
        self.why.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// When a signal first asked for the end ([`clock::elapsed`]); `None` while none did.
    pub(crate) fn signalled(&self) -> watch::Receiver<Option<Duration>> {
        self.signalled.subscribe()
    }

    /// Waits until the run is to end.
    pub(crate) async fn triggered(&self) {
        self.token.cancelled().await;
    }

    /// Breaks off what is on the wire too, as a crash would: the journal has it. For a run that was
    /// told to end and has no time left.
    pub(crate) fn cut_off(&self) {
        self.cut.cancel();
    }

    /// Waits until what is on the wire is to be broken off.
    pub(crate) async fn is_cut_off(&self) {
        self.cut.cancelled().await;
    }

    /// Runs `work` unless or until the run is to end. Only for what may be given up at any point:
    /// waiting and reading, never writing down.
    pub(crate) async fn or<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        self.token.run_until_cancelled(work).await
    }

    /// Runs one task of many. A panic in it is a defect of Macadam: it ends the run in order, for
    /// others may wait for what this one was to do. Nothing that it held is trusted any more:
    /// its change of the remote is recovered from the journal, as after a crash.
    ///
    /// # Errors
    /// What it panicked with.
    pub(crate) async fn catch<T>(&self, task: impl Future<Output = T>) -> Result<T, String> {
        AssertUnwindSafe(task).catch_unwind().await.map_err(|panic| self.trigger_defect(panic.as_ref()))
    }

    /// Ends the run for a panic, and tells what it was about.
    pub(crate) fn trigger_defect(&self, panic: &(dyn Any + Send)) -> String {
        let message = panic_message(panic);
        self.trigger(Stop::Defect { message: message.clone() });
        message
    }
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("for no reason given");
    format!("macadam panicked: {text}")
}
