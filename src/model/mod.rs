//! The nouns that every room shares: addresses, ids, types, facts, phases and changes.
//!
//! No I/O, no async, no serialization: each boundary (wire, SQL, lockfile, JSON output) has its own
//! form and converts here through checked constructors. Nothing in this room reads a clock; times
//! are arguments.
//!
//! Read next: [`address`] and [`ids`] for identity, [`asset`] for what Roblox knows of types,
//! [`desired`] for what the manifest wants, [`history`] and [`recorded`] for what is known,
//! [`phase`] and [`change`] for how it comes to be known.

pub(crate) mod address;
pub(crate) mod along;
pub(crate) mod ascending;
pub(crate) mod asset;
pub(crate) mod change;
pub(crate) mod checkout;
pub(crate) mod desired;
pub(crate) mod digest;
pub(crate) mod event;
pub(crate) mod file;
pub(crate) mod foreign_hash;
pub(crate) mod forgotten;
pub(crate) mod former;
pub(crate) mod history;
pub(crate) mod identifier;
pub(crate) mod ids;
pub(crate) mod latency;
pub(crate) mod metadata;
pub(crate) mod metadata_digest;
pub(crate) mod minute;
pub(crate) mod missing_lockfile;
pub(crate) mod neighbours;
pub(crate) mod observation;
pub(crate) mod output;
pub(crate) mod path;
pub(crate) mod phase;
pub(crate) mod policy;
pub(crate) mod proposed;
pub(crate) mod rare;
pub(crate) mod recorded;
pub(crate) mod remote;
pub(crate) mod request;
pub(crate) mod shown;
pub(crate) mod steps;
pub(crate) mod ties;
pub(crate) mod toml_text;
pub(crate) mod unseen_history;
pub(crate) mod urgency;
