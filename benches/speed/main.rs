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

use rows::Table;
use tree::Tree;

const USAGE: &str =
    "usage: cargo bench --bench speed -- [nothing] [status] [edit] [hash] [service] [--files N]… [--runs N]

nothing   `plan` and `sync --once` with nothing to do, beside `git status`
status    `status` of all assets and of one, beside `git status`
edit      `sync --once` after one edit
hash      the first hash of all files, beside `openssl dgst -sha256`
service   from a save to the wire, processor time a save, idle, and a tenth of the files at once

Without a section all are measured, without --files with 1,000 and 10,000 files.";

/// The requested measurements.
struct Args {
    sections: Vec<String>,
    files: Vec<usize>,
    runs: usize,
}

impl Args {
    fn parse(mut given: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut args = Self { sections: Vec::new(), files: Vec::new(), runs: 9 };
        while let Some(arg) = given.next() {
            let mut number = || {
                let number = given.next().and_then(|text| text.parse().ok()).filter(|number| *number > 0);
                number.ok_or_else(|| format!("{arg} needs a number"))
            };
            match arg.as_str() {
                "nothing" | "status" | "edit" | "hash" | "service" => args.sections.push(arg),
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
        self.sections.is_empty() || self.sections.iter().any(|wanted| wanted == section)
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

fn measure(args: &Args) {
    let table = Table::begin();
    for files in &args.files {
        let mut relay = None;
        let tree = Tree::grow(*files, tree::MODEL_EVERY, |remote| {
            let address = remote.url().trim_start_matches("http://").parse().expect("an address");
            relay.insert(relay::Relay::start(address)).url()
        });
        let relay = relay.expect("it was started");
        commands::commit(&tree.project);
        commands::settle(&tree.project);
        if args.wants("nothing") {
            commands::nothing(&table, &tree, args.runs);
        }
        if args.wants("status") {
            commands::status(&table, &tree, args.runs);
        }
        if args.wants("hash") {
            commands::hash(&table, &tree, args.runs);
        }
        if args.wants("edit") {
            commands::edit(&table, &tree, &relay, args.runs);
        }
        if args.wants("service") {
            watching::measure(&table, &tree, &relay);
        }
    }
}
