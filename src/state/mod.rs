//! The data that outlives a process: the state database and the lockfile. The only code that knows
//! SQL.
//!
//! It never decides what to do, calls no remote and reads no asset. Memory and disk change by the
//! same [`Change`](crate::model::change::Change) values. So [`store::Store::load`] returns exactly
//! what [`Recorded::apply`](crate::model::recorded::Recorded::apply) made of them.
//!
//! Read next: [`store`] for the database, [`handle`] for how async code reaches it, [`lock`] for
//! which process may write it, [`write_lock`] for whether it still may, [`lockfile`] for the text
//! in git.

mod error;
pub(crate) mod handle;
pub(crate) mod lock;
pub(crate) mod lockfile;
mod spelling;
pub(crate) mod stoppage;
pub(crate) mod store;
pub(crate) mod write_lock;

pub use error::StateError;
