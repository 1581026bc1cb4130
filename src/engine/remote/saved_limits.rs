//! Saves learned limits and latencies, between the schedules of `cloud` and the rows of `state`:
//! neither room knows the other.

use crate::cloud::{limits, poll};
use crate::engine::workspace::state_cache::StateCacheError;
use crate::state::handle::StoreHandle;
use crate::state::store::{LatencyRow, LimitRow};

/// Loads what the last run learned.
pub(crate) async fn load(
    store: &StoreHandle,
) -> Result<(Vec<limits::LimitRecord>, Vec<poll::LatencyRecord>), StateCacheError> {
    let limits = budgets(store.load_limits().await?);
    let latencies = store.load_latencies().await?.into_iter().map(|row| {
        let LatencyRow { kind, samples } = row;
        poll::LatencyRecord { kind, samples }
    });
    Ok((limits, latencies.collect()))
}

/// Converts the rows of the state into records of the limits.
pub(crate) fn budgets(rows: Vec<LimitRow>) -> Vec<limits::LimitRecord> {
    let budget = |row: LimitRow| {
        let LimitRow { endpoint, owner, limit, remaining, window_ends_at } = row;
        limits::LimitRecord { budget: endpoint, owner, limit, remaining, window_ends_at }
    };
    rows.into_iter().map(budget).collect()
}

/// Saves what this run learned, for the next.
pub(crate) async fn save(
    store: &StoreHandle,
    limits: Vec<limits::LimitRecord>,
    latencies: Vec<poll::LatencyRecord>,
) -> Result<(), StateCacheError> {
    let limits = limits.into_iter().map(|row| {
        let limits::LimitRecord { budget, owner, limit, remaining, window_ends_at } = row;
        LimitRow { endpoint: budget, owner, limit, remaining, window_ends_at }
    });
    let latencies = latencies.into_iter().map(|row| {
        let poll::LatencyRecord { kind, samples } = row;
        LatencyRow { kind, samples }
    });
    store.save_limits(limits.collect()).await?;
    store.save_latencies(latencies.collect()).await?;
    Ok(())
}
