//! Measured facts about the remote's speed: the rest of each rate limit, and the duration of
//! operations.

use jiff::Timestamp;
use rusqlite::Result;

use super::{Store, rows};
use crate::model::latency::LatencySample;
use crate::state::error::StateError;

/// The most samples of each kind: enough for a median and a 90th percentile that follow a changed
/// remote within a day.
const SAMPLES: usize = 64;

/// The rest of one rate limit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LimitRow {
    /// The endpoint of the limit.
    pub endpoint: String,
    /// The key's owner, whose requests are counted.
    pub owner: String,
    /// Requests per window.
    pub limit: u32,
    /// Requests left in the window.
    pub remaining: u32,
    /// When the window ends.
    pub window_ends_at: Timestamp,
}

/// The durations of earlier operations of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LatencyRow {
    /// The kind, for example `create Image`.
    pub kind: String,
    /// Their durations, the oldest first.
    pub samples: Vec<LatencySample>,
}

impl Store {
    /// Loads the last saved limits.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn load_limits(&self) -> Result<Vec<LimitRow>, StateError> {
        let read = || -> Result<Vec<_>> {
            let mut all = self.connection.prepare_cached(
                "SELECT endpoint, owner, budget, remaining, window_ends_at FROM limits ORDER BY endpoint, owner",
            )?;
            all.query_map([], |row| {
                Ok(LimitRow {
                    endpoint: row.get(0)?,
                    owner: row.get(1)?,
                    limit: row.get(2)?,
                    remaining: row.get(3)?,
                    window_ends_at: rows::time(row, 4)?,
                })
            })?
            .collect()
        };
        read().map_err(|error| self.failed("read the limits", error))
    }

    /// Saves all limits, and replaces the earlier ones.
    ///
    /// # Errors
    /// When the database can't be written; the earlier ones stay.
    pub fn save_limits(&mut self, limits: &[LimitRow]) -> Result<(), StateError> {
        let mut write = || -> Result<()> {
            let transaction = self.connection.transaction()?;
            transaction.execute("DELETE FROM limits", [])?;
            let mut insert = transaction.prepare_cached(
                "INSERT INTO limits (endpoint, owner, budget, remaining, window_ends_at) VALUES (?1, ?2, ?3, ?4, ?5)",
            )?;
            for LimitRow { endpoint, owner, limit, remaining, window_ends_at } in limits {
                insert.execute((endpoint, owner, limit, remaining, window_ends_at.to_string()))?;
            }
            drop(insert);
            transaction.commit()
        };
        write().map_err(|error| self.failed("write the limits", error))
    }

    /// Loads the samples of every kind, the oldest first.
    ///
    /// # Errors
    /// When the database can't be read.
    pub fn load_latencies(&self) -> Result<Vec<LatencyRow>, StateError> {
        let read = || -> Result<Vec<LatencyRow>> {
            let mut all = self
                .connection
                .prepare_cached("SELECT kind, running, millis FROM latencies ORDER BY kind, position")?;
            let mut found = all.query([])?;
            let mut latencies: Vec<LatencyRow> = Vec::new();
            while let Some(row) = found.next()? {
                let (kind, sample) = (rows::text(row, 0)?, LatencySample { running: row.get(1)?, done: row.get(2)? });
                match latencies.last_mut().filter(|last| last.kind == kind) {
                    Some(last) => last.samples.push(sample),
                    None => latencies.push(LatencyRow { kind: kind.to_owned(), samples: vec![sample] }),
                }
            }
            Ok(latencies)
        };
        read().map_err(|error| self.failed("read the latencies", error))
    }

    /// Saves the newest 64 samples of each given kind, and replaces the earlier ones of that kind.
    /// Other kinds stay.
    ///
    /// # Errors
    /// When the database can't be written; the earlier ones stay.
    pub fn save_latencies(&mut self, latencies: &[LatencyRow]) -> Result<(), StateError> {
        let mut write = || -> Result<()> {
            let transaction = self.connection.transaction()?;
            let mut clear = transaction.prepare_cached("DELETE FROM latencies WHERE kind = ?1")?;
            let mut insert = transaction
                .prepare_cached("INSERT INTO latencies (kind, position, running, millis) VALUES (?1, ?2, ?3, ?4)")?;
            for LatencyRow { kind, samples } in latencies {
                clear.execute([kind])?;
                let newest = samples.iter().skip(samples.len().saturating_sub(SAMPLES));
                for (position, LatencySample { running, done }) in (0_u32..).zip(newest) {
                    insert.execute((kind, position, running, done))?;
                }
            }
            drop((clear, insert));
            transaction.commit()
        };
        write().map_err(|error| self.failed("write the latencies", error))
    }
}
