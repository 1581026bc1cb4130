//! A local Open Cloud Assets API: for trying a manifest without a key, quota or moderation, and as
//! the remote of the tests.
//!
//! It is an independent reading of the API and imports nothing of this crate but `platform`: a
//! shared struct would make the same mistake on both sides. It must never reach out to the network, keep the
//! bytes of an upload, or write a key anywhere.
//!
//! It serves the nine endpoints of `/assets/v1` and `/api-keys/v1/introspect` as Roblox does:
//! operations take their time, owners have rate limits, texts are filtered, content is moderated.
//! Each unknown about the remote is a switch ([`Switches::table`]) with two profiles.
//!
//! Read `service.rs` for the way of a request, `world/` for the data, `wire/` for its encoding,
//! `faults.rs` for scripted faults.
//!
//! docs/emulator.md documents the control API under `/emulator/` and the fault scripts. It is
//! closed to web pages (`browser.rs`); [`Control`] is the same API in process.

mod body;
mod browser;
mod clock;
mod config;
mod connection;
mod control;
mod control_api;
mod delivery;
mod endpoint;
mod faults;
mod gateway;
mod log;
mod persist;
mod refusal;
mod request_head;
mod server;
mod service;
mod shared;
mod switches;
mod wire;
mod world;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use clock::{ClockKind, ClockReport};
pub use config::Config;
pub use control::{AssetReport, Control, OperationReport};
pub use endpoint::ApiEndpoint;
pub use faults::{Conditions, FaultAction, FaultReport, FaultRule, Point, RetryAfter, ScriptError, ScriptedReply};
pub use log::{Counters, RequestReport};
pub use persist::WorldFileError;
pub use switches::{Profile, SwitchError, SwitchRow, Switches};
pub use wire::error::BodyShape;
pub use world::account::{Creators, EmulatedKey, Principal};
pub use world::asset::{Asset, AssetLink, AssetMetadata, PreviewImage, Version, VersionOrigin};
pub use world::content::{Content, CreatableType, UploadFormat};
pub use world::edit::ForeignEdit;
pub use world::latency::{LatencyError, LatencyModel};
pub use world::limits::{EndpointLimits, Limit};
pub use world::moderation::{
    ModerationRule, ModerationTimeline, ModerationVerdict, TextAction, TextField, TextRule, VerdictStep,
};
pub use world::operation::OperationFault;

use clock::EmulatorClock;
use persist::WorldFile;
use shared::{Inner, Shared};
use world::account::Keys;
use world::limits::Limiter;
use world::{Settings, World};

/// An emulator could not be started.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A switch of the configuration is invalid.
    #[error("could not set the emulator's switches")]
    Switch(#[from] SwitchError),
    /// The world file can't be used.
    #[error("could not open the emulator's world")]
    World(#[from] WorldFileError),
    /// The address is taken, or not this machine's.
    #[error("could not listen on {addr}")]
    Listen {
        /// The address.
        addr: SocketAddr,
        /// The cause.
        #[source]
        source: std::io::Error,
    },
}

impl StartError {
    /// Returns a person's next step, if there is one.
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            StartError::Switch(_) => "`macadam emulator --list-switches` lists all switches and their values",
            StartError::World(WorldFileError::InUse { .. }) => "end the other emulator, or use it with --api-url",
            StartError::World(WorldFileError::Damaged { .. }) => "delete the file to begin with an empty world",
            StartError::World(_) => return None,
            StartError::Listen { .. } => "choose another address, or port 0 for any free one",
        })
    }
}

/// A running emulator. Dropping it stops it too, but may lose the last changes of the world file;
/// [`Running::shutdown`] doesn't.
#[derive(Debug)]
pub struct Running {
    addr: SocketAddr,
    control: Control,
    stop: CancellationToken,
    tasks: TaskTracker,
    keeper_stop: CancellationToken,
    keeper: Option<tokio::task::JoinHandle<()>>,
}

/// Starts an emulator. It listens when this returns, and serves in tasks of the current runtime.
///
/// # Errors
/// When a switch, the world file or the address can't be used.
pub async fn start(config: Config) -> Result<Running, StartError> {
    let mut switches = Switches::of(config.profile);
    config.switches.iter().try_for_each(|(name, value)| switches.set(name, value))?;
    let mut file = config.world_file.as_deref().map(WorldFile::open).transpose()?;
    let saved = file.as_mut().map(WorldFile::load).transpose()?.flatten();

    let listen_error = |source| StartError::Listen { addr: config.listen, source };
    let listener = TcpListener::bind(config.listen).await.map_err(listen_error)?;
    let addr = listener.local_addr().map_err(listen_error)?;
    if let Some(file) = &mut file {
        file.announce(&url(addr))?;
    }

    let shared = Arc::new(assemble(&config, switches, saved, file.is_some()));
    let control = Control { shared: Arc::clone(&shared) };

    let (stop, keeper_stop, tasks) = (CancellationToken::new(), CancellationToken::new(), TaskTracker::new());
    let keeper = file.map(|file| tokio::spawn(persist::keep(file, Arc::clone(&shared), keeper_stop.clone())));
    let router = browser::guarded(server::router(&shared, control_api::router(&control)), addr);
    tasks.spawn(server::serve(listener, router, shared, stop.clone()));
    tasks.close();
    Ok(Running { addr, control, stop, tasks, keeper_stop, keeper })
}

/// Assembles the state that the connections share.
fn assemble(config: &Config, switches: Switches, saved: Option<World>, with_file: bool) -> Shared {
    let settings = Settings {
        switches,
        latency: config.latency,
        fees: config.fees.clone(),
        rejections_allowed: config.rejections_allowed,
    };
    let mut world = saved.unwrap_or_else(|| World::new(config.seed, config.first_asset_id, Settings::default()));
    world.settings = settings;
    let inner = Inner {
        world,
        keys: Keys::new(config.keys.clone()),
        limits: config.limits.clone(),
        limiter: Limiter::default(),
        faults: faults::FaultRules::new(config.seed),
        log: log::Log::default(),
    };
    Shared::new(inner, EmulatorClock::new(config.clock), config.seed, config.first_asset_id, with_file)
}

fn url(addr: SocketAddr) -> String {
    let host = match addr {
        SocketAddr::V4(addr) if addr.ip().is_unspecified() => format!("127.0.0.1:{}", addr.port()),
        SocketAddr::V6(addr) if addr.ip().is_unspecified() => format!("[::1]:{}", addr.port()),
        other => other.to_string(),
    };
    format!("http://{host}")
}

impl Running {
    /// Returns the address it listens on.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// Returns the base URL that replaces `https://apis.roblox.com`, without a trailing slash.
    pub fn url(&self) -> String {
        url(self.addr)
    }

    /// Returns the in-process control API.
    pub fn control(&self) -> &Control {
        &self.control
    }

    /// Ends all connections at once, and writes the world file a last time.
    pub async fn shutdown(mut self) {
        self.stop.cancel();
        self.tasks.wait().await;
        self.keeper_stop.cancel();
        if let Some(keeper) = self.keeper.take() {
            // A panic of the keeper was reported where it happened.
            keeper.await.ok();
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop.cancel();
        self.keeper_stop.cancel();
    }
}
