//! Questions to a person at a terminal.

use std::io::{BufRead as _, IsTerminal as _, Write as _};

use super::output::Printer;

/// Whether there is a person to ask.
pub(super) fn asks(output: Printer, yes: bool) -> bool {
    !yes && !output.is_json() && std::io::stdin().is_terminal() && std::io::stderr().is_terminal()
}

/// Asks before Macadam changes anything on Roblox.
pub(super) fn ask(output: Printer, questions: &[String]) -> bool {
    ask_or(output, questions, "Nothing was changed on Roblox.")
}

/// Asks, and prints `declined` if the person doesn't agree.
pub(super) fn ask_or(output: Printer, questions: &[String], declined: &str) -> bool {
    for question in questions {
        output.warning(question);
    }
    let _ = write!(std::io::stderr(), "Continue? [y/N] ");
    let mut answer = String::new();
    let read = std::io::stdin().lock().read_line(&mut answer);
    let agreed = read.is_ok() && matches!(answer.trim(), "y" | "Y" | "yes");
    if !agreed {
        output.say(format!("Cancelled. {declined}"));
    }
    agreed
}
