//! Tests of the whole emulator: in process for what it answers, over sockets for how connections
//! end.

mod api;
mod bench;
mod client;
mod faults;
pub(super) mod files;
mod side_door;
mod sockets;
mod switches;
