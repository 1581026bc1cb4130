//! What an emulator is started with.

use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use super::clock::ClockKind;
use super::switches::Profile;
use super::world::account::EmulatedKey;
use super::world::content::CreatableType;
use super::world::latency::LatencyModel;
use super::world::limits::EndpointLimits;

/// What an emulator is started with. The default is what a person wants who tries a manifest:
/// observed behaviour, observed latencies, documented limits, any key, no moderation, nothing
/// saved, any free port of this machine.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where to listen; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The answers to what is unknown about the remote.
    pub profile: Profile,
    /// Switches set on top of the profile: name and value, in order.
    pub switches: Vec<(String, String)>,
    /// Where the world is kept between runs; none: in memory only.
    pub world_file: Option<PathBuf>,
    /// What ids, latencies and chances are drawn from.
    pub seed: u64,
    /// How long operations take.
    pub latency: LatencyModel,
    /// The rate limits.
    pub limits: EndpointLimits,
    /// The keys that work; none: any key works and may do everything.
    pub keys: Vec<EmulatedKey>,
    /// Which clock it runs on.
    pub clock: ClockKind,
    /// The first asset id; none: about where Roblox's ids are.
    pub first_asset_id: Option<u64>,
    /// What an upload costs in Robux, by type; by default 2000 for a Video, as documented.
    pub fees: BTreeMap<CreatableType, u64>,
    /// An account with so many rejected versions is sanctioned; none: never.
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
