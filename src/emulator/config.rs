//! The configuration of an emulator.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::clock::ClockKind;
use super::switches::Profile;
use super::world::account::EmulatedKey;
use super::world::content::CreatableType;
use super::world::latency::LatencyModel;
use super::world::limits::EndpointLimits;

/// The configuration of an emulator. The default suits a person who tries a manifest: observed
/// behaviour, observed latencies, documented limits, any key, no moderation, nothing saved, any
/// free port of this machine.
#[derive(Clone, Debug)]
pub struct Config {
    /// The address to listen on; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The values of the switches for everything that is unknown about the remote.
    pub profile: Profile,
    /// Switches set on top of the profile: name and value, in order.
    pub switches: Vec<(String, String)>,
    /// The file that keeps the world between runs; `None` keeps it in memory only.
    pub world_file: Option<PathBuf>,
    /// The seed of IDs, latencies and probabilities.
    pub seed: u64,
    /// How long operations take.
    pub latency: LatencyModel,
    /// The rate limits.
    pub limits: EndpointLimits,
    /// The keys that work. If there are none, any key works and may do everything.
    pub keys: Vec<EmulatedKey>,
    /// The kind of clock.
    pub clock: ClockKind,
    /// The first asset ID; `None` starts about where Roblox's IDs are.
    pub first_asset_id: Option<u64>,
    /// The fee of an upload in Robux, by type. The default is 2000 for a Video, as documented.
    pub fees: BTreeMap<CreatableType, u64>,
    /// The rejected versions after which an account is sanctioned; `None` means never.
    pub rejections_allowed: Option<u32>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            profile: Profile::default(),
            switches: Vec::new(),
            world_file: None,
            seed: 1,
            latency: LatencyModel::default(),
            limits: EndpointLimits::default(),
            keys: Vec::new(),
            clock: ClockKind::default(),
            first_asset_id: None,
            // creator-docs: ui/video-frames.md
            fees: BTreeMap::from([(CreatableType::Video, 2000)]),
            rejections_allowed: None,
        }
    }
}
