//! Dying at a named step, for tests.
