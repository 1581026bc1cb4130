//! Code that differs between operating systems, and the two things that no pure code may touch: the
//! clock and sudden death.
//!
//! Nothing here knows of assets. Read next: [`clock`].

mod access;
pub(crate) mod atomic_file;
pub(crate) mod below;
pub(crate) mod clock;
pub(crate) mod creatable;
pub(crate) mod failpoint;
pub(crate) mod file_id;
pub(crate) mod fingerprint;
pub(crate) mod folder;
pub(crate) mod lock;
pub(crate) mod mount;
pub(crate) mod own_file;
pub(crate) mod owner;
pub(crate) mod plain_file;
pub(crate) mod process;
pub(crate) mod program;
pub(crate) mod secrecy;
pub(crate) mod signals;
pub(crate) mod space;
pub(crate) mod terminal;
pub(crate) mod wakeup;
