//! `macadam completions`: shell completions.

use clap::CommandFactory as _;

use super::args::{Cli, CompletionsArgs};
use super::exit::{Exit, Failure};

/// Prints them to standard output.
pub fn run(args: &CompletionsArgs) -> Result<Exit, Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "macadam", &mut script);
    // A closed pipe is the reader's choice.
    let _ = std::io::Write::write_all(&mut std::io::stdout(), &script);
    Ok(Exit::Success)
}
