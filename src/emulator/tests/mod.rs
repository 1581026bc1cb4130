//! Tests of the whole emulator: in process for its responses, over sockets for how connections end.

mod api;
mod client;
mod control_api;
mod faults;
pub(super) mod files;
mod fixture;
mod sockets;
mod switches;
mod world_file;
