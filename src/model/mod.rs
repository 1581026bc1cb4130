//! The nouns that every room shares: addresses, ids, types, facts, phases and changes.
//!
//! No I/O, no async, no serialization: each boundary (wire, SQL, lockfile, JSON output) has its own form and converts here through
//! checked constructors. Nothing in this room reads a clock; times are arguments.
//!
//! Read next: [`address`] and [`ids`] for identity, [`asset`] for what Roblox knows of types, [`desired`] for what the manifest wants,
//! [`history`] and [`recorded`] for what is known, [`phase`] and [`change`] for how it comes to be known.

pub mod address;
pub mod asset;
pub mod change;
pub mod desired;
pub mod digest;
pub mod file;
pub mod foreign_hash;
pub mod forgotten;
pub mod history;
pub mod identifier;
pub mod ids;
pub mod metadata;
pub mod missing_lockfile;
pub mod observation;
pub mod output;
pub mod path;
pub mod phase;
pub mod policy;
pub mod recorded;
pub mod remote;
pub mod request;
pub mod shown;
pub mod steps;
