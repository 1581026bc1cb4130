//! The options of a run, and why one could not start or continue.

use std::sync::Arc;
use std::time::Duration;

use crate::engine::reconcile::shutdown::Shutdown;
use crate::engine::report::progress::Listener;
use crate::engine::report::run_report::RunReport;
use crate::engine::workspace::gather::GatherError;
use crate::engine::workspace::lockfile::KeepError;
use crate::engine::workspace::state_cache::StateCacheError;
use crate::plan::{Plan, PlanOptions};

/// Decides whether a plan may be carried out.
pub(crate) type Confirm = Arc<dyn Fn(&Plan) -> bool + Send + Sync>;

/// The options of a run.
pub(crate) struct OnceOptions {
    /// The number of files uploaded at once.
    pub uploads: usize,
    /// Called once, before the first plan is carried out; `false` ends the run with every step
    /// left. May block: it may ask a person.
    pub confirm: Confirm,
    /// Receives the run's events.
    pub listener: Listener,
    /// The options of the plan.
    pub plan_options: PlanOptions,
    /// Whether to fetch every asset first.
    pub refresh: bool,
    /// How long to wait for moderation; `None` for not at all.
    pub wait_moderation: Option<Duration>,
    /// Ends the run.
    pub stop: Shutdown,
}

/// Why a run could not start or continue.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SyncError {
    /// The desired state is unknown.
    #[error(transparent)]
    Gather(#[from] GatherError),
    /// Manifest, state or lockfile became unusable during the run.
    #[error("the run had to stop")]
    Midway {
        source: Box<SyncError>,
        /// The work done before it.
        report: Box<RunReport>,
    },
    /// The state could not be written.
    #[error(transparent)]
    StateCache(#[from] StateCacheError),
    /// The lockfile could not be kept.
    #[error(transparent)]
    Lockfile(#[from] KeepError),
}
