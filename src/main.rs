//! The `macadam` program: parse, run, exit code; nothing else.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(macadam::cli::run(std::env::args_os()))
}
