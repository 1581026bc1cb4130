//! How wide the terminals are that standard output and standard error lead to.
//!
//! Must never guess: without a terminal there is no width, so that a pipe and a file get each line
//! whole.

use terminal_size::{Width, terminal_size_of};

use super::failpoint;

/// Returns the columns of the terminal behind standard output; `None` where it is none.
pub(crate) fn stdout_columns() -> Option<usize> {
    failpoint::columns().or_else(|| columns(terminal_size_of(std::io::stdout())))
}

/// Returns the columns of the terminal behind standard error; `None` where it is none.
pub(crate) fn stderr_columns() -> Option<usize> {
    failpoint::columns().or_else(|| columns(terminal_size_of(std::io::stderr())))
}

fn columns(size: Option<(Width, terminal_size::Height)>) -> Option<usize> {
    size.map(|(Width(columns), _)| usize::from(columns))
}
