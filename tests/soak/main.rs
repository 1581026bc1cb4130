//! The soak: the real service over a git checkout against a real emulator, each a process of its
//! own, for as long as told.
//!
//! ```text
//! cargo test --release --test soak -- --for 30m [--seed N]
//! ```
//!
//! A story of random actions (files, branches, commands, faults, kills) goes in phases: a *storm*,
//! then a *calm* in which the faults are over, the service must get in step with the files, and
//! what must always hold is checked. Everything random comes from one number, which is printed;
//! `--seed N` takes the same actions again, though not what happens at the same time; `--without
//! Hang,Pin` leaves out kinds of actions (`deck.rs` has them all). Without `--for` a short story of
//! some seconds shows that all of this still works.
//!
//! It has no test harness, so that it can run for hours and print its figures; it takes the
//! arguments of one, so that `cargo test` can call it.
//!
//! Read next: `story.rs`, what happens; `processes.rs`, to whom; `runners.rs`, a CI beside it;
//! `invariants.rs`, what must hold; `figures.rs`, what is counted. `docs/soak.md` is for people.
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

mod calm;
mod content;
mod deck;
mod endless;
mod figures;
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
mod stage;
mod story;
mod support;
mod trouble;

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
        Mode::Run => stage::run(&options),
    }
}
