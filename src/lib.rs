//! Macadam keeps a game's assets on Roblox in step with files in git.

pub mod emulator;
pub mod model;
