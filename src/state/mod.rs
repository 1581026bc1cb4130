//! The state database and the lockfile.
