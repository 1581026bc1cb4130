//! What Macadam costs on this machine, beside what anybody pays for the same work: `git status` for
//! a look at every file, `openssl` for a hash of each.
//!
//! `cargo bench --bench speed`; docs/speed.md holds the table of one run, benches/README.md explains
//! it. Read next: [`rows`], the table, then one section each: [`commands`], [`watching`].
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stdout,
    clippy::disallowed_methods,
    reason = "a bench may fail loudly, sets up files, clocks and processes by hand, and prints"
)]

mod child;
mod commands;
#[allow(dead_code, missing_docs, reason = "of the bench of the service, of which this one needs a part")]
#[path = "../service/process.rs"]
mod process;
#[allow(dead_code, missing_docs, reason = "of the bench of the service, of which this one needs a part")]
#[path = "../service/relay.rs"]
mod relay;
mod rows;
#[allow(dead_code, missing_docs, reason = "of the bench of the service, of which this one needs a part")]
#[path = "../service/running.rs"]
mod running;
#[allow(dead_code, missing_docs, reason = "the harness of tests/it, of which the bench needs a part")]
#[path = "../../tests/it/support.rs"]
mod support;
#[allow(dead_code, missing_docs, reason = "of the bench of the service, of which this one needs a part")]
#[path = "../service/tree.rs"]
mod tree;
mod watching;

use std::path::{Path, PathBuf};

use rows::Table;
use tree::Tree;

const USAGE: &str = "usage: cargo bench --bench speed -- [SECTION]… [--files N]… [--runs N] [--previous PROGRAM]

nothing   `plan` and `sync --once` with nothing to do, beside `git status`
status    `status` of all assets and of one, beside `git status`
edit      `sync --once` after one edit
hash      the first hash of all files, beside `openssl dgst -sha256`
service   from a save to the wire, processor time a save, and idle
together  a tenth of the files at once, with `sync --once` and beside the service (at Roblox's limits: an
          hour with 10,000 files); only if it is named
history   `plan` after one edit, before and after each of 2,000 assets was changed ten times; only if it is named

Without a section all are measured but the last two, without --files with 1,000 and 10,000 files. --previous
measures each section with another build of Macadam as well, such as the last release.";

/// The requested measurements.
struct Args {
    sections: Vec<String>,
    files: Vec<usize>,
    runs: usize,
    previous: Option<PathBuf>,
}

impl Args {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self { sections: Vec::new(), files: Vec::new(), runs: 9, previous: None };
        while let Some(arg) = given.next() {
            let mut number = || {
                let number = given.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
                number.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "nothing" | "status" | "edit" | "hash" | "service" | "together" | "history" => args.sections.push(arg),
                "--previous" => {
                    let program = given.next().map(PathBuf::from).filter(|program| program.is_file());
                    args.previous = Some(program.ok_or("--previous needs a program")?);
                }
                "--files" => args.files.push(number()?),
                "--runs" => args.runs = number()?,
                // Cargo passes this flag.
                "--bench" => {}
                _ => return Err(format!("what is `{arg}`?")),
            }
        }
        if args.files.is_empty() {
            args.files = vec![1_000, 10_000];
        }
        Ok(args)
    }

    fn wants(&self, section: &str) -> bool {
        self.sections.is_empty() || self.names(section)
    }

    fn names(&self, section: &str) -> bool {
        self.sections.iter().any(|wanted| wanted == section)
    }
}

fn main() {
    match Args::parse(std::env::args().skip(1)) {
        Ok(args) => measure(&args),
        Err(wrong) => {
            println!("{wrong}\n\n{USAGE}");
            std::process::exit(64);
        }
    }
}

/// A program with a project of its own, since builds need not share a state.
struct Subject {
    table: Table,
    tree: Tree,
    relay: relay::Relay,
}

impl Subject {
    fn new(label: &'static str, program: &Path, files: usize) -> Self {
        let mut relay = None;
        let tree = Tree::grow(program, files, tree::MODEL_EVERY, |remote| {
            let address = remote.url().trim_start_matches("http://").parse().expect("an address");
            relay.insert(relay::Relay::start(address)).url()
        });
        let relay = relay.expect("it was started");
        commands::commit(&tree.project);
        commands::settle(&tree.project);
        Self { table: Table::of(label), tree, relay }
    }
}

/// The programs, with what is said behind their rows.
fn programs(args: &Args) -> impl Iterator<Item = (&'static str, &Path)> {
    let previous = args.previous.as_deref().map(|program| (" (previous)", program));
    std::iter::once(("", Path::new(tree::PROGRAM))).chain(previous)
}

fn measure(args: &Args) {
    Table::begin();
    let trees = args.sections.is_empty() || args.sections.iter().any(|section| section != "history");
    for files in args.files.iter().filter(|_| trees) {
        let subjects: Vec<_> = programs(args).map(|(label, program)| Subject::new(label, program, *files)).collect();
        let each = |section: &str, measure: &dyn Fn(&Subject)| {
            if args.wants(section) {
                subjects.iter().for_each(measure);
            }
        };
        each("nothing", &|Subject { table, tree, .. }| commands::nothing(table, tree, args.runs));
        each("status", &|Subject { table, tree, .. }| commands::status(table, tree, args.runs));
        each("hash", &|Subject { table, tree, .. }| commands::hash(table, tree, args.runs));
        each("edit", &|Subject { table, tree, relay }| commands::edit(table, tree, relay, args.runs));
        each("service", &|Subject { table, tree, relay }| watching::measure(table, tree, relay));
        if args.names("together") {
            subjects.iter().for_each(|Subject { table, tree, .. }| watching::together(table, tree));
        }
    }
    if args.names("history") {
        programs(args).for_each(|(label, program)| commands::history(&Table::of(label), program, args.runs));
    }
}
