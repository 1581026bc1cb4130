//! The soak: the real service over a git checkout against a real emulator, each a process of its
//! own, for as long as requested.
//!
//! ```text
//! cargo test --release --test soak -- --for 30m [--seed N]
//! ```
//!
//! A scenario of random actions (files, branches, commands, faults, kills) goes in phases: a
//! *storm*, then a *calm*. In the calm the faults are over, the service must get in step with the
//! files, and the invariants are checked. All randomness comes from one number, which is printed.
//! `--seed N` repeats the actions, though not their exact timing. `--without Hang,Pin` leaves out
//! kinds of actions (`actions.rs` lists them all). Without `--for` a short scenario of some seconds
//! shows that all of this still works.
//!
//! It has no test harness, so that it can run for hours and print its figures; it accepts the
//! arguments of one, so that `cargo test` can call it.
//!
//! Read next: `scenario/` for the actions, `processes/` for the processes, `runners.rs` for a CI
//! beside them, `invariants.rs` for the checks, `figures.rs` for the counts. `docs/soak.md` is for
//! people.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::disallowed_methods,
    clippy::print_stdout,
    clippy::print_stderr,
    missing_docs,
    reason = "tests may fail loudly, and set up files, clocks and processes by hand"
)]

mod actions;
mod calm;
mod content;
mod endless;
mod faults;
mod figures;
mod fixture;
#[path = "../it/git.rs"]
mod git;
mod http;
mod invariants;
#[path = "../it/property/known.rs"]
mod known;
mod manifest;
mod options;
mod pace;
#[path = "../it/png.rs"]
mod png;
mod processes;
mod runners;
mod scenario;
mod support;
#[path = "../it/system.rs"]
#[allow(dead_code, reason = "the soak needs a part of it")]
mod system;

fn main() -> std::process::ExitCode {
    use options::{Mode, Options};

    if !cfg!(target_os = "linux") {
        println!("soak: it looks at its processes through /proc, so it runs on Linux alone");
        return std::process::ExitCode::SUCCESS;
    }
    let options = match Options::read(std::env::args().skip(1)) {
        Ok(options) => options,
        Err(wrong) => {
            eprintln!(
                "{wrong}\nusage: cargo test --release --test soak -- [--for 30m] [--seed N] [--without Hang,Pin]"
            );
            return std::process::ExitCode::FAILURE;
        }
    };
    match options.mode {
        Mode::Nothing => std::process::ExitCode::SUCCESS,
        Mode::List => {
            println!("soak: test");
            std::process::ExitCode::SUCCESS
        }
        Mode::Run => fixture::run(&options),
    }
}
