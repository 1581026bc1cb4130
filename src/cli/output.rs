//! The one way to standard output and standard error: text for people, or exactly one JSON
//! document.
//!
//! Text for people is made fit to be shown here ([`crate::model::shown`]), so that no name and no
//! answer can steer a terminal or a build log; JSON stays exact.

use std::borrow::Cow;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use anstyle::{AnsiColor, Style};
use serde_json::{Value, json};

use super::exit::{CommandFailure, Exit, ReportedProblem};
use super::github::{self, AnnotationLevel, Transcript};
use super::{fit, invocation};
use crate::model::shown;
use crate::platform::terminal;

const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default().bold();
const GREEN: Style = AnsiColor::Green.on_default();
const CYAN: Style = AnsiColor::Cyan.on_default();
const DIM: Style = Style::new().dimmed();

/// The meaning of a text, which decides its colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextStyle {
    /// Success.
    Good,
    /// A change.
    Change,
    /// A warning.
    Warning,
    /// An error.
    Bad,
    /// A detail.
    Quiet,
}

/// Prints the result of a command.
#[derive(Debug, Clone, Copy)]
pub(super) struct Printer {
    json: bool,
    quiet: bool,
    verbose: bool,
    /// Whoever reads the log finds in it all that there is to say.
    logs: bool,
}

impl Printer {
    /// Text or JSON.
    pub(super) const fn new(json: bool, quiet: bool, verbose: bool) -> Self {
        Self { json, quiet, verbose, logs: false }
    }

    /// Puts warnings, and why and how the command ended, into the log, which programs read.
    pub(super) const fn logging(self) -> Self {
        Self { logs: true, ..self }
    }

    /// Says that the command ended as it was told to.
    pub(super) fn ended(self, text: &str) {
        if self.logs {
            tracing::info!("{text}");
        } else {
            self.line(text);
        }
    }

    /// Whether details are wanted: the rules of actions, and a log.
    pub(super) const fn is_verbose(self) -> bool {
        self.verbose
    }

    /// Whether the result is one JSON document.
    pub(super) const fn is_json(self) -> bool {
        self.json
    }

    /// Whether only errors and what was asked for are wanted.
    pub(super) const fn is_quiet(self) -> bool {
        self.quiet
    }

    /// Prints the result as JSON; nothing else may be printed to standard output then.
    pub(super) fn document(self, document: &Value) {
        let mut document = document.clone();
        invocation::complete(&mut document);
        print(&format!("{document:#}\n"));
    }

    /// Prints a line of the result; with `--json` nothing.
    pub(super) fn line(self, text: impl AsRef<str>) {
        self.result(text.as_ref(), Transcript::push, stdout_columns());
    }

    /// Prints a line of the result that a person copies whole: a terminal breaks it without adding
    /// to it.
    pub(super) fn to_copy(self, text: impl AsRef<str>) {
        self.result(text.as_ref(), Transcript::push, None);
    }

    /// Begins a result of many lines, which are written together.
    pub(super) fn page(self) -> Page {
        Page { printer: self, text: String::new(), columns: stdout_columns() }
    }

    /// Prints the line that sums the result up; with `--json` nothing.
    pub(super) fn summary(self, text: impl AsRef<str>) {
        self.result(text.as_ref(), Transcript::sum_up, stdout_columns());
    }

    fn result(self, text: &str, record: fn(&mut Transcript, &str), columns: Option<usize>) {
        let mut printed = String::new();
        self.record(text, record, columns, &mut printed);
        if !printed.is_empty() {
            print(&printed);
        }
    }

    /// Records a line of the result where a run is collected, and adds it to what is to be printed on
    /// a terminal of so many columns, if it is.
    fn record(self, text: &str, record: fn(&mut Transcript, &str), columns: Option<usize>, printed: &mut String) {
        if self.json {
            return;
        }
        let text = presentable(text);
        let mut collected = collected();
        if let Some(Collected { transcript, .. }) = collected.as_mut() {
            record(transcript, &plain(&text));
        }
        if collected.as_ref().is_none_or(|collected| !collected.is_markdown) {
            printed.push_str(&invocation::marked(&fit::lines(&text, columns)));
            printed.push('\n');
        }
    }

    /// Prints a warning to standard error.
    pub(super) fn warning(self, text: impl AsRef<str>) {
        let message = text.as_ref().to_owned();
        self.warning_at(&ReportedProblem { message, ..ReportedProblem::default() });
    }

    /// The same for a problem with a hint, whose place only an annotation shows.
    pub(super) fn warning_at(self, problem: &ReportedProblem) {
        if self.logs {
            let ReportedProblem { message, hint, .. } = problem;
            tracing::warn!(hint, "{message}");
        } else if !self.json {
            let hint = problem.hint.as_ref().map(|hint| format!("; {hint}")).unwrap_or_default();
            to_people(&presentable(&format!("{YELLOW}warning{YELLOW:#}: {}{hint}", problem.message)), fit::lines);
            annotate(AnnotationLevel::Warning, problem.clone());
        }
    }

    /// Prints a warning, and on a line of its own what to do.
    pub(super) fn warning_with_hint(self, message: String, hint: String) {
        let problem = ReportedProblem { message, hint: Some(hint), ..ReportedProblem::default() };
        if self.logs || self.json {
            self.warning_at(&problem);
        } else {
            let ReportedProblem { message, hint, .. } = &problem;
            to_people(&presentable(&format!("{YELLOW}warning{YELLOW:#}: {message}")), fit::lines);
            let hint = hint.as_deref().unwrap_or_default();
            to_people(&presentable(&format!("  {CYAN}hint{CYAN:#}: {hint}")), fit::lines);
            annotate(AnnotationLevel::Warning, problem);
        }
    }

    /// Prints how far the run is, where no terminal shows it.
    pub(super) fn progress(self, text: &str) {
        say(&format!("{DIM}macadam{DIM:#}: {text}"));
    }

    /// Says something to a person at a terminal that is no part of the result.
    pub(super) fn say(self, text: impl AsRef<str>) {
        say(text.as_ref());
    }

    /// Passes on a line of another program to standard error, with `--json` too.
    pub(super) fn aside(self, line: &str) {
        let _ = writeln!(anstream::stderr(), "{line}");
    }

    /// Prints the result of a command that was stopped on the way: what it did, and why it ended,
    /// in one document.
    pub(super) fn stopped(self, mut document: Value, failure: &CommandFailure) {
        if let Some(fields) = document.as_object_mut() {
            fields.insert("errors".to_owned(), problems_json(failure));
        }
        self.document(&document);
    }

    /// Prints why the command failed.
    pub(super) fn failure(self, failure: &CommandFailure) {
        if self.logs {
            failure.problems.iter().for_each(log_problem);
            return;
        }
        if self.json {
            self.document(&json!({ "errors": problems_json(failure) }));
            return;
        }
        if let Some(rendered) = &failure.rendered {
            to_people(&presentable(rendered.trim_end()), fit::excerpt);
            failure.problems.iter().for_each(|problem| annotate(AnnotationLevel::Error, problem.clone()));
            return;
        }
        failure.problems.iter().for_each(Self::problem);
    }

    /// Prints one error for a person.
    pub(super) fn problem(problem: &ReportedProblem) {
        let place = place(problem).map(|place| format!("{place}: ")).unwrap_or_default();
        let message = format!("{place}{}", problem.message);
        let message = invocation::with_options(&message);
        to_people(&format!("{RED}error{RED:#}: {}", shown::foreign(&message)), fit::lines);
        if let Some(hint) = &problem.hint {
            let hint = invocation::with_options(hint);
            to_people(&format!("  {CYAN}hint{CYAN:#}: {}", shown::foreign(&hint)), fit::lines);
        }
        annotate(AnnotationLevel::Error, problem.clone());
    }
}

/// Puts an error into the log, with its place and what to do in fields of their own.
fn log_problem(ReportedProblem { message, hint, file, line, column }: &ReportedProblem) {
    let [line, column] = [line, column].map(|number| number.map(|number| number as u64));
    tracing::error!(hint, file, line, column, "{message}");
}

/// How much of a page is written at once, in bytes.
const PAGE: usize = 64 * 1024;

/// A result of many lines. What is left of it is written at the end, when it is dropped.
#[derive(Debug)]
pub(super) struct Page {
    printer: Printer,
    text: String,
    columns: Option<usize>,
}

impl Page {
    /// Adds a line; with `--json` nothing.
    pub(super) fn line(&mut self, text: impl AsRef<str>) {
        self.printer.record(text.as_ref(), Transcript::push, self.columns, &mut self.text);
        if self.text.len() >= PAGE {
            self.write();
        }
    }

    fn write(&mut self) {
        print(&std::mem::take(&mut self.text));
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        if !self.text.is_empty() {
            self.write();
        }
    }
}

/// Breaks lines for a terminal: [`fit::lines`] or [`fit::excerpt`].
type Fit = fn(&str, Option<usize>) -> Cow<'_, str>;

/// Prints to standard error what is presentable.
fn to_people(text: &str, fit: Fit) {
    let _ = writeln!(anstream::stderr(), "{}", invocation::marked(&fit(text, stderr_columns())));
    if let Some(Collected { transcript, .. }) = collected().as_mut() {
        transcript.push(&plain(text));
    }
}

/// Says in the report of this command why it needs a person although it succeeds.
pub(super) fn caution(text: &str) {
    if let Some(Collected { transcript, .. }) = collected().as_mut() {
        transcript.caution(text);
    }
}

/// Prints to standard error what belongs to no result.
fn say(text: &str) {
    let text = presentable(text);
    let _ = writeln!(anstream::stderr(), "{}", invocation::marked(&fit::lines(&text, stderr_columns())));
}

/// A line of the log or a question, broken for the terminal behind standard error.
pub(super) fn fitted(text: &str) -> String {
    fit::lines(text, stderr_columns()).into_owned()
}

/// The text of a transcript: without colours, with the mark of a rehearsal.
fn plain(text: &str) -> String {
    invocation::marked(&anstream::adapter::strip_str(text).to_string()).into_owned()
}

/// The columns of the terminal behind standard output, beside the mark of a rehearsal.
pub(super) fn stdout_columns() -> Option<usize> {
    terminal::stdout_columns().map(beside_the_mark)
}

/// The columns of the terminal behind standard error, beside the mark of a rehearsal.
pub(super) fn stderr_columns() -> Option<usize> {
    terminal::stderr_columns().map(beside_the_mark)
}

fn beside_the_mark(columns: usize) -> usize {
    columns.saturating_sub(fit::width(invocation::mark()))
}

/// What is collected of a run for GitHub Actions, or for a plan in Markdown.
#[derive(Debug, Default)]
struct Collected {
    transcript: Transcript,
    problems: Vec<(AnnotationLevel, ReportedProblem)>,
    /// The folder that paths of problems begin at.
    root: Option<PathBuf>,
    /// The result is printed as Markdown at the end, instead of each line.
    is_markdown: bool,
}

static COLLECTED: Mutex<Option<Collected>> = Mutex::new(None);

fn collected() -> MutexGuard<'static, Option<Collected>> {
    COLLECTED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Collects everything that is printed from now on.
pub(super) fn collect(is_markdown: bool) {
    *collected() = Some(Collected { is_markdown, ..Collected::default() });
}

/// Whether annotations are collected, so that finding their lines is worth its time.
pub(super) fn annotates() -> bool {
    collected().as_ref().is_some_and(|collected| !collected.is_markdown)
}

/// Says where the paths of problems begin.
pub(super) fn paths_begin_at(root: &Path) {
    if let Some(collected) = collected().as_mut() {
        collected.root = Some(root.to_owned());
    }
}

/// Collects an annotation.
pub(super) fn annotate(level: AnnotationLevel, mut problem: ReportedProblem) {
    problem.hint = problem.hint.map(|hint| invocation::with_options(&hint).into_owned());
    if let Some(collected) = collected().as_mut() {
        collected.problems.push((level, problem));
    }
}

/// Prints what was collected: Markdown to standard output, or annotations and the job's summary,
/// which only a command with a name has.
#[expect(clippy::disallowed_methods, reason = "the runner says in the environment where its files are")]
pub(super) fn pass_on(command: Option<&str>, exit: Exit) {
    let Some(Collected { transcript, problems, root, is_markdown }) = collected().take() else { return };
    if is_markdown {
        let markdown = transcript.markdown(command.unwrap_or_default(), exit, github::COMMENT_LIMIT);
        print(&markdown);
        return;
    }
    let workspace = std::env::var_os("GITHUB_WORKSPACE").and_then(|path| std::fs::canonicalize(path).ok());
    let commands = github::annotations(&problems, root.as_deref(), workspace.as_deref());
    let _ = io::stderr().write_all(commands.as_bytes());
    let (Some(command), Some(path)) = (command, std::env::var_os("GITHUB_STEP_SUMMARY")) else { return };
    if let Err(error) = github::append(Path::new(&path), |room| transcript.markdown(command, exit, room)) {
        let _ = writeln!(anstream::stderr(), "{YELLOW}warning{YELLOW:#}: couldn't write the job summary: {error}");
    }
}

/// Lines that may be shown to a person, with the options of this run in each proposed command.
fn presentable(text: &str) -> Cow<'_, str> {
    match invocation::with_options(text) {
        Cow::Borrowed(text) => shown::lines(text),
        Cow::Owned(text) => Cow::Owned(shown::lines(&text).into_owned()),
    }
}

/// Prints a help page, as clap makes it.
pub(super) fn help(text: &str) {
    print(&fit::help(text, stdout_columns()));
}

/// Prints wrong usage, as clap says it.
pub(super) fn usage(text: &str) {
    let _ = write!(anstream::stderr(), "{}", fit::lines(text, stderr_columns()));
}

/// Why standard output did not take all of the result.
static LOST: OnceLock<String> = OnceLock::new();

/// Prints to standard output, with colors where it takes them.
fn print(text: &str) {
    let stdout = io::stdout();
    // Where it doesn't, `anstream` would write each piece between two colors on its own.
    if anstream::AutoStream::choice(&stdout) == anstream::ColorChoice::Never {
        put(&mut stdout.lock(), &anstream::adapter::strip_str(text).to_string());
    } else {
        put(&mut anstream::stdout(), text);
    }
}

/// Writes to standard output, and remembers when that fails. A closed pipe is the reader's choice.
pub(super) fn put(to: &mut dyn Write, text: &str) {
    match to.write_all(text.as_bytes()).and_then(|()| to.flush()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            let _ = LOST.set(error.to_string());
        }
        Ok(()) | Err(_) => {}
    }
}

/// The exit code of a command, which is not success if its result could not be written.
pub(super) fn exit_after_writing(exit: Exit) -> Exit {
    let Some(why) = LOST.get() else { return exit };
    let _ = writeln!(anstream::stderr(), "{RED}error{RED:#}: write the result to standard output: {why}");
    if exit == Exit::Success { Exit::Unreconciled } else { exit }
}

fn place(problem: &ReportedProblem) -> Option<String> {
    let file = problem.file.as_ref()?;
    Some(match (problem.line, problem.column) {
        (Some(line), Some(column)) => format!("{file}:{line}:{column}"),
        (Some(line), None) => format!("{file}:{line}"),
        (None, _) => file.clone(),
    })
}

pub(super) fn problems_json(failure: &CommandFailure) -> Value {
    failure.problems.iter().map(problem_json).collect()
}

/// One error in the JSON form.
fn problem_json(problem: &ReportedProblem) -> Value {
    let ReportedProblem { message, hint, file, line, column } = problem;
    json!({ "message": message, "hint": hint, "file": file, "line": line, "column": column })
}

/// Colours a text. The streams strip colours where nobody sees them.
pub(super) fn paint(tone: TextStyle, text: impl std::fmt::Display) -> String {
    let style = match tone {
        TextStyle::Good => GREEN,
        TextStyle::Change => CYAN,
        TextStyle::Warning => YELLOW,
        TextStyle::Bad => RED,
        TextStyle::Quiet => DIM,
    };
    format!("{style}{text}{style:#}")
}

/// `1 asset`, `2 assets`.
pub(super) fn plural(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn listed(names: &[String]) -> String {
    match names {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
