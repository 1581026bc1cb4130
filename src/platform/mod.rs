//! Code that differs between operating systems: files, folders and their owners, locks, processes
//! and signals, the terminal, the wakeup between processes. Also what no pure code may touch: the
//! clock, and the points at which a test lets the program die (`failpoint`).
//!
//! It must never know of assets. Read next: [`own_file`], the only door to the project's files and
//! Macadam's own; [`plain_file`] for the files of other programs; [`clock`].

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
