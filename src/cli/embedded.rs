//! The emulator within this process, for `--emulator`. Read next: [`super::emulator`], for the one
//! that a person starts.

use std::path::Path;

use super::exit::{CommandFailure, Exit};
use crate::emulator::{self, Config, EndpointLimits, LatencyModel, Running, StartError};
use crate::platform::own_file;

/// The first asset ID of a rehearsal. Roblox's have at most 15 digits (2026), so that one with 16 is
/// visibly none of them. Still below 2^53, above which JavaScript loses digits.
const FIRST_REHEARSED: u64 = 9_000_000_000_000_001;

/// The emulator within this process, with a world that outlives it.
#[derive(Debug)]
pub(super) struct Embedded {
    running: Running,
}

impl Embedded {
    /// Starts one that keeps its world in `folder`.
    pub(super) async fn start(folder: &Path) -> Result<Self, CommandFailure> {
        own_file::create_folder(folder)
            .map_err(|error| CommandFailure::new(Exit::Unusable, format!("create {}: {error}", folder.display())))?;
        let config = Config {
            world_file: Some(folder.join("world.json")),
            // Nobody waits for a rehearsal as for Roblox.
            latency: LatencyModel::Fixed(0),
            switches: vec![("operation_visible_after_ms".to_owned(), "0".to_owned())],
            limits: EndpointLimits::none(),
            first_asset_id: Some(FIRST_REHEARSED),
            ..Config::default()
        };
        let running = emulator::start(config).await.map_err(|error| not_started(&error))?;
        Ok(Self { running })
    }

    /// Its address.
    pub(super) fn url(&self) -> String {
        self.running.url()
    }

    /// Stops it and saves its assets.
    pub(super) async fn stop(self) {
        self.running.shutdown().await;
    }
}

/// Why the emulator didn't start, for a person.
pub(super) fn not_started(error: &StartError) -> CommandFailure {
    let exit = if matches!(error, StartError::Switch(_)) { Exit::Usage } else { Exit::Unusable };
    CommandFailure::of(exit, error, error.hint().map(str::to_owned))
}
