//! The command line: clap, printers, exit codes; one file a command.
//!
//! Results go to standard output, as text or as one JSON document; logs and everything else to
//! standard error. It knows no SQL, no HTTP and no grammar of the manifest. Read next: [`args`] for
//! what can be typed, [`exit`] for how it ends.

mod archive;
mod args;
mod asset_words;
mod check;
mod ci;
mod command_context;
mod completions;
mod consent;
mod credential;
mod doctor;
mod document;
mod embedded;
mod emulator;
mod env_file;
mod errors;
mod exit;
mod fit;
mod forget;
mod github;
mod help;
mod history;
mod import;
mod init;
mod interruption;
mod invocation;
mod lockfile;
mod man;
mod missing;
mod move_in;
mod on_change;
mod open;
mod output;
mod outputs;
mod owner;
mod part;
mod pin;
mod plan;
mod plan_text;
mod progress;
mod progress_line;
mod question;
mod recreate;
mod renamed;
mod resolve;
mod schema_file;
mod second_copies;
mod selection;
mod service;
mod service_client;
mod status;
mod style;
mod sync;
mod sync_results;
mod table;
mod tally;
mod target;
mod unknown;
mod usage_tips;
mod values;
mod warnings;

use std::ffi::OsString;
use std::panic::AssertUnwindSafe;
use std::path::Path;

use clap::error::{ContextKind, ContextValue, ErrorKind};

use crate::engine::reconcile::shutdown::panic_message;
use crate::manifest;
use crate::platform::secrecy;
use crate::telemetry::logs;
use args::{Cli, Color, Command, Format, LogFormat};
use completions::TypedLine;
use exit::{CommandFailure, Exit};
use output::Printer;

/// Runs the program with these arguments and gives its exit code.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> u8 {
    // First, because the key may stand in the environment.
    secrecy::keep_memory_private();
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    if let Some(code) = completions::answer(&arguments) {
        return code;
    }
    if help::asks_for_options(&arguments) {
        output::help(&format!("{}\n", help::options().ansi()));
        return output::exit_after_writing(Exit::Success).code();
    }
    let cli = match help::parse(&arguments) {
        Ok(cli) => cli,
        Err(error) => return wrong_usage(error, &arguments),
    };
    let output = Printer::new(cli.global.json, cli.global.quiet, cli.global.verbose > 0);
    // The service has no result but its log.
    let is_logged = is_service(&cli.command) && cli.global.log_format == LogFormat::Json && !cli.global.json;
    let output = if is_logged { output.logging() } else { output };
    colour(cli.global.color);
    invocation::remember(&cli.global);
    start_log(&cli);
    let name = name_in_reports(&cli.command).map(|name| with_manifest(name, cli.global.manifest.as_deref()));
    if cli.global.format == Some(Format::Markdown) && !matches!(cli.command, Command::Plan(_)) {
        let failure = CommandFailure::new(Exit::Usage, "`--format markdown` is only for `macadam plan`");
        output.failure(&failure);
        return failure.exit.code();
    }
    match cli.global.format {
        Some(Format::Markdown) => output::collect(true),
        Some(Format::Github) => output::collect(false),
        None if !cli.global.json && github::is_runner() => output::collect(false),
        Some(Format::Text) | None => {}
    }
    // A panic that nothing nearer caught: the hook has told where, and whoever reads the document
    // learns it too.
    let global = cli.global.clone();
    let ended = std::panic::catch_unwind(AssertUnwindSafe(|| {
        dispatch(output, cli).map_err(|failure| renamed::explain(&global, failure))
    }));
    let ended = ended.unwrap_or_else(|panic| Err(CommandFailure::defect(panic_message(panic.as_ref()))));
    let exit = ended.unwrap_or_else(|failure| {
        output.failure(&failure);
        failure.exit
    });
    output::pass_on(name.as_deref(), exit);
    output::exit_after_writing(exit).code()
}

/// The name of a command that has a part of a job's summary.
const fn name_in_reports(command: &Command) -> Option<&'static str> {
    match command {
        Command::Check => Some("macadam check"),
        Command::Plan(_) => Some("macadam plan"),
        Command::Sync(args) if args.locked => Some("macadam sync --once --locked"),
        Command::Sync(args) if args.once => Some("macadam sync --once"),
        Command::Outputs(_) => Some("macadam outputs"),
        Command::Doctor => Some("macadam doctor"),
        _ => None,
    }
}

/// The name of a command in reports, with its manifest where the command line names one: a project
/// may have a report of each.
fn with_manifest(name: &str, manifest: Option<&Path>) -> String {
    match manifest {
        Some(path) => format!("{name} --manifest {}", github::plain(&path.to_string_lossy())),
        None => name.to_owned(),
    }
}

/// Help and version are no errors; the rest is wrong usage, which clap would end with 2.
fn wrong_usage(mut error: clap::Error, arguments: &[OsString]) -> u8 {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        output::help(&error.render().ansi().to_string());
        return output::exit_after_writing(Exit::Success).code();
    }
    let is_json = arguments.iter().any(|argument| argument == "--json");
    if let Some(failure) = missing::told(&error, arguments) {
        if let Some(global) = TypedLine::of_whole(arguments).global {
            invocation::remember(&global);
        }
        Printer::new(is_json, false, false).failure(&failure);
        return Exit::Usage.code();
    }
    drop_unlike(&mut error);
    let tip = usage_tips::tip(&error, arguments);
    if is_json {
        let text = error.to_string();
        let message = text.lines().next().unwrap_or_default().trim_start_matches("error: ");
        Printer::new(true, false, false).failure(
            &CommandFailure::new(Exit::Usage, message)
                .hint(tip.or_else(|| similar(&error)).unwrap_or_else(|| "see `macadam --help`".to_owned())),
        );
    } else {
        if let Some(tip) = tip {
            // The nearest word by its letters is another one.
            for kind in [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg] {
                error.remove(kind);
            }
            error.insert(ContextKind::Suggested, ContextValue::StyledStrs(vec![tip.into()]));
        }
        output::usage(&with_hints(&error.render().ansi().to_string()));
    }
    Exit::Usage.code()
}

/// Takes back the commands that clap proposes for a word that only shares some letters with them.
fn drop_unlike(error: &mut clap::Error) {
    let Some(ContextValue::String(word)) = error.get(ContextKind::InvalidSubcommand) else { return };
    let word = word.to_lowercase();
    let names = match error.get(ContextKind::SuggestedSubcommand) {
        Some(ContextValue::String(name)) => vec![name.clone()],
        Some(ContextValue::Strings(names)) => names.clone(),
        _ => return,
    };
    let is_like = |name: &String| {
        let begins = name.starts_with(&word) || word.starts_with(name.as_str());
        begins || strsim::osa_distance(&word, name) <= (word.chars().count() / 3).max(1)
    };
    let alike: Vec<String> = names.into_iter().filter(is_like).collect();
    error.remove(ContextKind::SuggestedSubcommand);
    if !alike.is_empty() {
        error.insert(ContextKind::SuggestedSubcommand, ContextValue::Strings(alike));
    }
}

/// What clap thinks was meant by a word that doesn't exist.
fn similar(error: &clap::Error) -> Option<String> {
    let kinds = [ContextKind::SuggestedSubcommand, ContextKind::SuggestedArg, ContextKind::SuggestedValue];
    let names = kinds.into_iter().find_map(|kind| match error.get(kind)? {
        ContextValue::String(name) => Some(vec![name.clone()]),
        ContextValue::Strings(names) if !names.is_empty() => Some(names.clone()),
        _ => None,
    })?;
    let quoted: Vec<String> = names.iter().map(|name| format!("`{name}`")).collect();
    Some(format!("did you mean {}?", quoted.join(" or ")))
}

/// Clap's text, in which its tips are called as everywhere else.
fn with_hints(text: &str) -> String {
    let line = |line: &str| {
        let is_tip = anstream::adapter::strip_str(line).to_string().trim_start().starts_with("tip:");
        if is_tip { line.replacen("tip:", "hint:", 1) } else { line.to_owned() }
    };
    text.split_inclusive('\n').map(line).collect()
}

fn colour(color: Color) {
    match color {
        Color::Auto => {}
        Color::Always => anstream::ColorChoice::Always.write_global(),
        Color::Never => anstream::ColorChoice::Never.write_global(),
    }
}

const fn is_service(command: &Command) -> bool {
    matches!(command, Command::Sync(args) if !args.once)
}

fn start_log(cli: &Cli) {
    let global = &cli.global;
    // The service has no other output.
    let service = is_service(&cli.command);
    let form = match global.log_format {
        LogFormat::Text => logs::LogForm::Text,
        LogFormat::Json => logs::LogForm::Json,
    };
    let level = match (global.quiet, global.verbose) {
        (true, _) => logs::Level::Error,
        (false, 0) if !service => logs::Level::Warn,
        (false, 1) if !service => logs::Level::Info,
        (false, 0) => logs::Level::Info,
        (false, _) => logs::Level::Debug,
    };
    // Whoever asks for a log gets all of it.
    let prints_outcomes = !service && !global.json && global.verbose == 0;
    let reader = match log_reader() {
        logs::Reader::Terminal if service && global.verbose == 0 => logs::Reader::Person,
        // The few warnings among a command's results.
        logs::Reader::Terminal | logs::Reader::Plain if prints_outcomes => logs::Reader::Person,
        reader => reader,
    };
    let (mark, options) = (invocation::mark(), invocation::repeated());
    logs::start(form, level, reader, logs::Wording { mark, options, fit: Some(output::fitted), prints_outcomes });
}

#[expect(clippy::disallowed_methods, reason = "systemd says in the environment where its journal listens")]
fn log_reader() -> logs::Reader {
    if logs::stderr_is_journal(std::env::var_os("JOURNAL_STREAM").as_deref()) {
        return logs::Reader::Journal;
    }
    // Also says no where NO_COLOR is set, and where standard error is no terminal unless `--color
    // always` was typed.
    match anstream::AutoStream::choice(&std::io::stderr()) {
        anstream::ColorChoice::Never => logs::Reader::Plain,
        _ => logs::Reader::Terminal,
    }
}

fn dispatch(output: Printer, cli: Cli) -> Result<Exit, CommandFailure> {
    let Cli { global, command } = cli;
    match command {
        Command::Init(_) if global.emulator => Err(init::no_rehearsal()),
        Command::Init(args) => init::run(output, &target::here()?, global.manifest.as_deref(), &args),
        Command::Check => check::run(output, &global),
        Command::Plan(args) => on_runtime(plan::run(output, &global, &args)),
        Command::Outputs(args) => outputs::run(output, &global, &args),
        Command::Status(args) => status::run(output, &global, &args),
        Command::Open(args) => open::run(output, &global, &args),
        Command::History(args) if args.remote => on_runtime(history::run_remote(output, &global, &args)),
        Command::History(args) => history::run(output, &global, &args),
        Command::Doctor => on_runtime(doctor::run(output, &global)),
        Command::Lockfile(command) => lockfile::run(output, &command),
        Command::Completions(args) => completions::run(output, &args),
        Command::Man(args) => man::run(output, &target::here()?, &args),
        Command::Schema => {
            output.document(&manifest::schema());
            Ok(Exit::Success)
        }
        Command::Sync(args) => on_runtime(sync::run(output, &global, &args)),
        Command::Pin(args) => on_runtime(pin::pin(output, &global, &args)),
        Command::Unpin(args) => on_runtime(pin::unpin(output, &global, &args)),
        Command::Import(args) => on_runtime(import::run(output, &global, &args)),
        Command::Forget(args) => on_runtime(forget::run(output, &global, &args)),
        Command::Archive(args) => on_runtime(archive::archive(output, &global, &args)),
        Command::Restore(args) => on_runtime(archive::restore(output, &global, &args)),
        Command::Recreate(args) => on_runtime(recreate::run(output, &global, &args)),
        Command::Resolve(args) => on_runtime(resolve::resolve(output, &global, &args)),
        Command::Retry(args) => on_runtime(resolve::retry(output, &global, &args)),
        Command::Emulator(args) => on_runtime(emulator::run(output, args)),
    }
}

fn on_runtime(command: impl Future<Output = Result<Exit, CommandFailure>>) -> Result<Exit, CommandFailure> {
    descriptors().map_err(|error| {
        let hint = "raise its limit of open files: `ulimit -n`, or LimitNOFILE= of the unit";
        CommandFailure::new(Exit::Unusable, format!("start the runtime: {error}")).hint(hint)
    })?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        // Said here, because tokio panics at a TOKIO_WORKER_THREADS that is no number of threads.
        .worker_threads(std::thread::available_parallelism().map_or(1, usize::from))
        .enable_all()
        .build()
        .map_err(|error| CommandFailure::new(Exit::Unusable, format!("start the runtime: {error}")))?;
    let result = runtime.block_on(command);
    // A thread that still reads a slow disk must not keep the program from ending.
    runtime.shutdown_background();
    result
}

/// Whether the process may open what the runtime needs, which panics where it has no descriptor for
/// its signals.
#[cfg(unix)]
fn descriptors() -> std::io::Result<()> {
    let pairs = [(); 3].map(|()| std::os::unix::net::UnixStream::pair());
    pairs.into_iter().try_for_each(|pair| pair.map(drop))
}

#[cfg(not(unix))]
const fn descriptors() -> std::io::Result<()> {
    Ok(())
}

/// Ends the process at once: a person asked twice. The journal is made for this.
#[expect(
    clippy::disallowed_methods,
    reason = "the second signal means now; what is durable is recovered by the next run"
)]
fn die(code: u8) -> ! {
    std::process::exit(i32::from(code))
}
