//! Logs on standard error: for people, as one JSON object per line, and with priorities for the
//! journal of systemd.
//!
//! Only terminals get escape codes; a file, a pipe, the journal and JSON get none. To follow one
//! change through the log see [`super::change`].

use std::ffi::OsStr;
use std::fmt;
use std::io::{self, Write};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, MakeWriter};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::model::proposed::RepeatedOptions;
use crate::model::shown;

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LogForm {
    /// For people.
    Text,
    /// For machines.
    Json,
}

/// The amount of logging.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Errors alone.
    Error,
    /// Problems that a person should look into.
    Warn,
    /// Everything that happened to the assets.
    Info,
    /// Every request.
    Debug,
}

/// The reader of standard error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reader {
    /// A terminal that shows colours.
    Terminal,
    /// A file, a pipe, or a terminal without colours.
    Plain,
    /// A person who watches the service at a terminal, or reads a command's results: what happened,
    /// in words, without times.
    Person,
    /// The journal of systemd. It adds the time itself, and reads `<N>` before a line as its
    /// priority.
    Journal,
}

/// Returns whether standard error goes to the journal. systemd names the journal's socket in
/// `JOURNAL_STREAM` as device and inode. A process whose standard error was redirected since then
/// inherits the variable but not the socket.
#[cfg(unix)]
pub(crate) fn stderr_is_journal(journal_stream: Option<&OsStr>) -> bool {
    use std::os::fd::AsFd as _;
    use std::os::unix::fs::MetadataExt as _;

    let Some(named) = journal_stream.and_then(device_and_inode) else { return false };
    // A copy, because closing it must not close standard error.
    let copy = std::io::stderr().as_fd().try_clone_to_owned();
    let stderr = copy.and_then(|copy| std::fs::File::from(copy).metadata());
    stderr.is_ok_and(|stderr| (stderr.dev(), stderr.ino()) == named)
}

/// Returns `false`: this system has no journal.
#[cfg(not(unix))]
pub(crate) fn stderr_is_journal(_journal_stream: Option<&OsStr>) -> bool {
    false
}

#[cfg(unix)]
fn device_and_inode(journal_stream: &OsStr) -> Option<(u64, u64)> {
    let (device, inode) = journal_stream.to_str()?.split_once(':')?;
    Some((device.parse().ok()?, inode.parse().ok()?))
}

/// The target of lines that tell how a step ended. A command that prints these results itself
/// doesn't log them too.
pub(crate) const OUTCOMES: &str = "macadam::outcomes";

/// Starts to log; a second call changes nothing.
pub(crate) fn start(form: LogForm, level: Level, reader: Reader, wording: Wording) {
    // It fails only if a log was started before, by a test in the same process.
    drop(subscriber(form, level, reader, wording, std::io::stderr).try_init());
}

/// What a line of text says about the run that it is of.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wording {
    /// Stands before each line.
    pub mark: &'static str,
    /// The options that a proposed command repeats.
    pub options: RepeatedOptions,
    /// The results of steps are printed, and not logged.
    pub prints_outcomes: bool,
    /// Breaks a line for the terminal that it is shown on, if that is given.
    pub fit: Option<fn(&str) -> String>,
}

fn subscriber<W>(
    form: LogForm,
    level: Level,
    reader: Reader,
    wording: Wording,
    to: W,
) -> Box<dyn Subscriber + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let level = match level {
        Level::Error => "error",
        Level::Warn => "warn",
        Level::Info => "info",
        Level::Debug => "debug",
    };
    // Only Macadam's own lines: those of the libraries may contain headers.
    let outcomes = if wording.prints_outcomes { ",macadam::outcomes=off" } else { "" };
    let filter = EnvFilter::new(format!("off,macadam={level}{outcomes}"));
    let color = reader == Reader::Terminal && form == LogForm::Text;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(color);
    if form == LogForm::Text {
        let builder = builder.with_target(false).with_writer(OneLine(to, wording));
        return match reader {
            Reader::Journal => Box::new(builder.without_time().map_event_format(Prioritized).finish()),
            Reader::Person => Box::new(builder.event_format(InWords).finish()),
            Reader::Terminal | Reader::Plain => Box::new(builder.finish()),
        };
    }
    let builder = builder.with_writer(to).json().flatten_event(true);
    match reader {
        // JSON keeps its time, because a collector reads it out of the journal.
        Reader::Journal => Box::new(builder.map_event_format(Prioritized).finish()),
        Reader::Terminal | Reader::Plain | Reader::Person => Box::new(builder.finish()),
    }
}

/// A format for a person: `uploaded     sword (rbxassetid://123, revision 1)`.
struct InWords;

/// The fields of an event, sorted for a sentence.
#[derive(Debug, Default)]
struct EventWords {
    message: String,
    address: Option<String>,
    /// The message is the word for what was done to the address.
    is_done: bool,
    details: Vec<String>,
}

impl Visit for EventWords {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.take(field, format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.take(field, value.to_owned());
    }
}

impl EventWords {
    fn take(&mut self, field: &Field, value: String) {
        match field.name() {
            "message" => self.message = value,
            "address" => self.address = Some(value),
            // The word of the message, and the kind of request, for programs.
            "action" | "endpoint" => {}
            "seconds" => self.details.push(format!("{value} s")),
            "outcome" => self.is_done = true,
            "asset_id" => self.details.push(format!("rbxassetid://{value}")),
            "revision" => self.details.push(format!("revision {value}")),
            "assets" if value == "1" => self.details.push("1 asset".to_owned()),
            "assets" => self.details.push(format!("{value} assets")),
            name => self.details.push(format!("{}: {value}", name.replace('_', " "))),
        }
    }

    fn sentence(self) -> String {
        let Self { message, address, is_done, details } = self;
        let start = match address {
            Some(address) if is_done => format!("{message:<12} {address}"),
            Some(address) => format!("{address}: {message}"),
            None => message,
        };
        let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
        format!("{start}{details}")
    }
}

impl<S, N> FormatEvent<S, N> for InWords
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(&self, _: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut words = EventWords::default();
        event.record(&mut words);
        let level = match *event.metadata().level() {
            tracing::Level::ERROR => "error: ",
            tracing::Level::WARN => "warning: ",
            tracing::Level::INFO | tracing::Level::DEBUG | tracing::Level::TRACE => "",
        };
        writeln!(writer, "{level}{}", words.sentence())
    }
}

/// A format with the journal's priority before each of its lines (sd-daemon(3)); a line without one
/// would count as information.
struct Prioritized<F>(F);

impl<S, N, F> FormatEvent<S, N> for Prioritized<F>
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
    F: FormatEvent<S, N>,
{
    fn format_event(&self, context: &FmtContext<'_, S, N>, mut writer: Writer<'_>, event: &Event<'_>) -> fmt::Result {
        let mut text = String::new();
        self.0.format_event(context, Writer::new(&mut text), event)?;
        let priority = match *event.metadata().level() {
            tracing::Level::ERROR => 3,
            tracing::Level::WARN => 4,
            tracing::Level::INFO => 6,
            tracing::Level::DEBUG | tracing::Level::TRACE => 7,
        };
        write!(writer, "<{priority}>{text}")
    }
}

/// A log with one printable line for each event. For text only: JSON has its own escapes.
struct OneLine<W>(W, Wording);

impl<'a, W: MakeWriter<'a>> MakeWriter<'a> for OneLine<W> {
    type Writer = LineWriter<'a, W::Writer>;

    fn make_writer(&'a self) -> Self::Writer {
        LineWriter(self.0.make_writer(), &self.1)
    }

    fn make_writer_for(&'a self, metadata: &tracing::Metadata<'_>) -> Self::Writer {
        LineWriter(self.0.make_writer_for(metadata), &self.1)
    }
}

/// Takes one event with each write, as the subscriber writes them.
struct LineWriter<'a, W>(W, &'a Wording);

impl<W: Write> Write for LineWriter<'_, W> {
    fn write(&mut self, event: &[u8]) -> io::Result<usize> {
        let text = String::from_utf8_lossy(event);
        let Wording { mark, options, fit, prints_outcomes: _ } = self.1;
        let text = options.add_to(text.trim_end_matches('\n'));
        // A priority of the journal comes first.
        let (priority, text) = match text.split_once('>') {
            Some((priority, rest)) if priority.len() == 2 && priority.starts_with('<') => {
                text.split_at(text.len() - rest.len())
            }
            _ => ("", text.as_ref()),
        };
        let shown = shown::line(text);
        let shown = fit.map_or_else(|| shown.to_string(), |fit| fit(&shown).replace('\n', &format!("\n{mark}")));
        let line = format!("{priority}{mark}{shown}\n");
        self.0.write_all(line.as_bytes())?;
        Ok(event.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::telemetry::change::ChangeIds;

    #[derive(Clone, Default)]
    struct LogBuffer(Arc<Mutex<Vec<u8>>>);

    impl Write for LogBuffer {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn logged(form: LogForm, level: Level, reader: Reader) -> String {
        let buffer = LogBuffer::default();
        let to = buffer.clone();
        tracing::subscriber::with_default(
            subscriber(form, level, reader, Wording::default(), move || to.clone()),
            || {
                tracing::error!(target: "macadam::x", address = "sword", "refused\n::error::\u{202e}\u{9b}2J");
                ChangeIds::new(0).next_id().span().in_scope(|| {
                    tracing::warn!(target: "macadam::x", "slow");
                    tracing::info!(target: "macadam::x", "done");
                });
                tracing::debug!(target: "macadam::x", "asked");
                tracing::error!(target: "hyper", "authorization: secret");
            },
        );
        String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_person_reads_what_happened_in_words() {
        let buffer = LogBuffer::default();
        let to = buffer.clone();
        let subscriber = subscriber(LogForm::Text, Level::Info, Reader::Person, Wording::default(), move || to.clone());
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "macadam::x", address = "sword", outcome = "done", asset_id = 5, revision = 1, "uploaded");
            tracing::warn!(target: "macadam::x", address = %"sword", "it is refused");
            tracing::info!(target: "macadam::x", assets = 6, "files or manifest changed");
            tracing::info!(target: "macadam::x", endpoint = "create_asset", seconds = 16, "waiting");
        });
        let text = String::from_utf8(buffer.0.lock().unwrap().clone()).unwrap();
        let wanted = "uploaded     sword (rbxassetid://5, revision 1)\nwarning: sword: it is refused\nfiles or manifest changed (6 assets)\nwaiting (16 s)\n";
        assert_eq!(text, wanted);
    }

    #[test]
    fn the_journal_gets_a_priority_on_every_line_and_no_time() {
        let text = logged(LogForm::Text, Level::Debug, Reader::Journal);
        let expected = "\
<3>ERROR refused\\n::error::\\u{202e}\\u{9b}2J address=\"sword\"
<4> WARN following{change=bbbb-1}: slow
<6> INFO following{change=bbbb-1}: done
<7>DEBUG asked
";
        assert_eq!(text, expected);
    }

    #[test]
    fn lines_of_every_level_carry_the_change() {
        let text = logged(LogForm::Text, Level::Warn, Reader::Plain);
        let lines: Vec<&str> = text.lines().filter(|line| line.contains("slow")).collect();
        assert!(matches!(lines.as_slice(), [line] if line.contains("change=bbbb-1")), "{text}");
    }

    #[test]
    fn json_has_one_object_per_line() {
        for reader in [Reader::Terminal, Reader::Plain, Reader::Journal] {
            let text = logged(LogForm::Json, Level::Debug, reader);
            assert_eq!(text.lines().count(), 4, "{text}");
            for line in text.lines() {
                let object = if reader == Reader::Journal { line.get(3..).unwrap() } else { line };
                let object: serde_json::Value = serde_json::from_str(object).unwrap();
                assert!(object["timestamp"].is_string() && object["level"].is_string(), "{line}");
                if object["message"] == "slow" {
                    assert_eq!(object["span"]["change"], "bbbb-1", "{line}");
                }
            }
        }
    }

    #[test]
    fn only_terminals_get_escape_codes() {
        for form in [LogForm::Text, LogForm::Json] {
            for reader in [Reader::Terminal, Reader::Plain, Reader::Journal] {
                let text = logged(form, Level::Debug, reader);
                let expected = form == LogForm::Text && reader == Reader::Terminal;
                assert_eq!(text.contains('\u{1b}'), expected, "{form:?} {reader:?} {text}");
                assert!(!text.contains("secret"), "{text}");
            }
        }
    }

    #[cfg(unix)]
    #[test]
    fn the_journal_is_recognized_by_device_and_inode() {
        use std::os::unix::fs::MetadataExt as _;
        let stderr = std::fs::metadata("/dev/stderr").unwrap();
        let of = |device: u64, inode: u64| stderr_is_journal(Some(OsStr::new(&format!("{device}:{inode}"))));
        assert!(of(stderr.dev(), stderr.ino()));
        assert!(!of(stderr.dev(), stderr.ino() + 1));
        assert!(!of(stderr.dev() + 1, stderr.ino()));
        for text in ["", ":", "1", "1:", "a:b", "-1:2"] {
            assert!(!stderr_is_journal(Some(OsStr::new(text))), "{text}");
        }
        assert!(!stderr_is_journal(None));
    }
}
