//! The tests of the whole program: the real binary, real files, and the emulator on a real port.
//!
//! One binary, so that it links once. Read next: `support`, the harness.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stderr,
    missing_docs,
    reason = "tests may fail loudly, and set up files, clocks and processes by hand"
)]

mod archivings;
mod arguments;
mod asset_words;
mod beside;
mod branches;
mod byhand;
mod changed;
mod ci;
mod ci_pages;
mod circles;
mod cli;
mod clones;
mod commit_push;
mod commits;
mod completions;
mod crash;
mod desired;
mod displaced;
mod doctor;
mod edit;
mod everyday;
mod facts;
mod faults;
mod finished_elsewhere;
mod first_minutes;
mod fuzz;
mod github;
mod history;
mod hostile_server;
mod hostile_text;
mod identity;
mod in_use;
mod inputs;
mod installers;
mod interval;
mod key;
mod logs;
mod lost_entries;
mod lost_lockfile;
mod merge_advice;
mod merges;
mod mistakes;
mod moving;
mod narrow;
mod newcomers;
mod observations;
mod once_ends;
mod other_users;
mod output;
mod outputs;
mod own_files;
mod part;
mod part_of_history;
mod planted;
mod profiles;
mod progress;
mod property;
#[cfg(target_os = "linux")]
mod questions;
mod rebases;
mod regressions;
mod release;
mod remotes;
mod required_branch;
mod same_words;
mod schema;
mod service;
mod settled;
mod several_manifests;
mod snapshots;
mod state_folder;
mod status;
mod support;
mod switching;
mod sync;
mod systemd;
mod tidy;
mod uncommitted;
mod underway;
mod unpublished;
mod unreported;
mod urgency;
mod version;
mod way_on;
mod windows;
