//! The cost of the service, measured from outside: the real program against the emulator on a real
//! port.
//!
//! `cargo bench --bench service`; benches/README.md explains the figures. Read next: [`tree`], the
//! measured project, then one section each: [`wire`], [`idle`], [`plan`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench may fail loudly, sets up files, clocks and processes by hand, and prints"
)]

mod bare;
mod figures;
mod idle;
mod plan;
mod process;
mod relay;
mod running;
#[allow(dead_code, missing_docs, reason = "the harness of tests/it, of which the bench needs a part")]
#[path = "../../tests/it/support.rs"]
mod support;
mod tree;
mod wire;

use std::process::Command;
use std::time::Duration;

use figures::Section;
use tree::Tree;

const USAGE: &str =
    "usage: cargo bench --bench service -- [wire] [idle] [plan] [--saves N] [--files N] [--seconds N] [--json]

wire   from a save to the first byte at the remote
idle   memory, processor time and wakes while nothing changes
plan   `macadam plan` with nothing to do, beside `git status`

Without a section all are measured.";

/// The requested measurements.
struct Args {
    sections: Vec<String>,
    saves: usize,
    files: usize,
    seconds: usize,
    json: bool,
}

fn main() {
    let mut args = std::env::args_os().skip(1);
    if std::env::args_os().nth(1).is_some_and(|first| first == bare::ARGUMENT) {
        args.next();
        return bare::run(args.map(Into::into));
    }
    match Args::parse(std::env::args().skip(1)) {
        Ok(args) => measure(&args),
        Err(wrong) => {
            println!("{wrong}\n\n{USAGE}");
            std::process::exit(64);
        }
    }
}

impl Args {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self { sections: Vec::new(), saves: 300, files: 10_000, seconds: 60, json: false };
        while let Some(arg) = given.next() {
            let mut number = || {
                let number = given.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
                number.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "wire" | "idle" | "plan" => args.sections.push(arg),
                "--saves" => args.saves = number()?,
                "--files" => args.files = number()?,
                "--seconds" => args.seconds = number()?,
                "--json" => args.json = true,
                // Cargo passes this flag.
                "--bench" => {}
                _ => return Err(format!("what is `{arg}`?")),
            }
        }
        Ok(args)
    }

    fn wants(&self, section: &str) -> bool {
        self.sections.is_empty() || self.sections.iter().any(|wanted| wanted == section)
    }
}

fn measure(args: &Args) {
    let mut sections = Vec::new();
    let mut done = |section: Section| {
        if !args.json {
            section.print();
        }
        sections.push(section.json());
    };
    if !args.json {
        machine().iter().for_each(|(name, value)| println!("{name}: {value}"));
    }
    if args.wants("idle") || args.wants("plan") {
        let tree = Tree::of_a_game(args.files);
        tree.project.sync();
        tree.check_synced();
        if args.wants("idle") {
            done(idle::run(&tree, Duration::from_secs(args.seconds as u64)));
        }
        if args.wants("plan") {
            plan::run(&tree).into_iter().for_each(&mut done);
        }
    }
    if args.wants("wire") {
        done(wire::run(args.saves));
    }
    if args.json {
        let machine: serde_json::Map<_, _> =
            machine().into_iter().map(|(name, value)| (name.to_owned(), value.into())).collect();
        println!("{}", serde_json::json!({ "machine": machine, "sections": sections }));
    }
}

/// Describes the machine that was measured.
fn machine() -> Vec<(&'static str, String)> {
    let cores = std::thread::available_parallelism().map_or(0, Into::into);
    let says = |program: &str, args: &[&str]| {
        let output = Command::new(program).args(args).output().ok().filter(|output| output.status.success());
        output.map_or_else(|| "none".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    vec![
        ("macadam", env!("CARGO_PKG_VERSION").to_owned()),
        ("cores", cores.to_string()),
        ("system", says("uname", &["-s", "-r", "-m"])),
        ("rustc", says("rustc", &["--version"])),
        ("git", says("git", &["--version"])),
    ]
}
