//! What only one operating system has, and the two things that no pure code may touch: the clock and sudden death.
//!
//! Nothing here knows of assets. Read next: [`clock`].

pub mod atomic_file;
pub mod clock;
pub mod failpoint;
pub mod file_id;
pub mod fingerprint;
pub mod folder;
pub mod lock;
pub mod mount;
pub mod own_file;
pub mod owner;
pub mod plain_file;
pub mod process;
pub mod program;
pub mod secrecy;
pub mod signals;
pub mod wakeup;
