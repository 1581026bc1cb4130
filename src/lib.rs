//! Macadam keeps a game's assets on Roblox in step with files in git.
//!
//! ARCHITECTURE.md is the map; the modules stand here in reading order.

pub mod model;

pub mod files;
pub mod manifest;
pub mod moving;
pub mod outputs;
pub mod plan;

pub mod cloud;
pub mod state;

pub mod engine;

pub mod platform;
pub mod telemetry;

pub mod cli;

pub mod emulator;
