//! `macadam completions`: shell completions.

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::exit::{CommandFailure, Exit};
use super::output;

/// Prints them to standard output.
pub(super) fn run(args: &CompletionsArgs) -> Result<Exit, CommandFailure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "macadam", &mut script);
    output::put(&mut std::io::stdout(), &String::from_utf8_lossy(&script));
    Ok(Exit::Success)
}
