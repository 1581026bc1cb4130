//! The `macadam` program: parse, run, exit code; nothing else.

use std::process::ExitCode;

/// A service in a large project looks at everything now and then, and this one gives the room for
/// that back (docs/speed.md).
#[cfg(target_os = "linux")]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    ExitCode::from(macadam::cli::run(std::env::args_os()))
}
