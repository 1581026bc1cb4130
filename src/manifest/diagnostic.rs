//! The errors of a manifest and their places: the ones that the readers collect, and the
//! diagnostics that people see.
//!
//! Must never show a text from the manifest unescaped: a key may hold an escape sequence of the
//! terminal. Read next: `render`.

use std::ops::Range;

use crate::model::ids::IdError;
use crate::model::shown::foreign;

/// The most diagnostics that one look at a manifest gives; nobody reads further.
pub(super) const MAX_DIAGNOSTICS: usize = 100;
/// The most faults that are kept before they are sorted by place: a bound for memory, far above
/// [`MAX_DIAGNOSTICS`].
const MAX_FAULTS: usize = 10_000;
/// The most characters of a text from the manifest that a message repeats.
const MAX_SHOWN: usize = 60;
/// The bytes of a byte order mark in UTF-8.
pub(super) const BOM: &str = "\u{feff}";

/// How much a diagnostic matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// The manifest can't be used.
    Error,
    /// The manifest can be used, but something in it looks like a mistake.
    Note,
}

/// One error or note about a manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Whether the manifest can be used all the same.
    pub severity: Severity,
    /// The problem: lower case, no full stop.
    pub message: String,
    /// How to correct it.
    pub hint: Option<String>,
    /// The manifest, as it was named to [`super::parse`].
    pub file: String,
    /// Its place in bytes from the start of the file; `None`: the whole file.
    pub span: Option<Range<usize>>,
    /// The line in which the span starts, from 1.
    pub line: Option<usize>,
    /// The column in which the span starts, in characters from 1.
    pub column: Option<usize>,
    /// Whether its line may be shown. Not where the file may be no manifest: then it may be
    /// somebody's secret.
    pub quoted: bool,
    /// The other places of a clash, in bytes from the file's start, with a word to each.
    pub also: Vec<(Range<usize>, String)>,
    /// The matter that it is about, if it may be said in other words while it goes on.
    pub matter: Option<Matter>,
}

/// A matter that goes on while its note changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Matter {
    /// Wanted files are not in git.
    Untracked,
}

impl Diagnostic {
    /// A note about the files of the project around the manifest `file`.
    pub(crate) fn of_project(message: String, hint: String, file: String) -> Self {
        let (severity, hint) = (Severity::Note, Some(hint));
        let (span, line, column, quoted, also) = (None, None, None, false, Vec::new());
        Self { severity, message, hint, file, span, line, column, quoted, also, matter: None }
    }

    /// Returns whether both say the same, or speak of the same matter.
    pub(crate) fn is_like(&self, other: &Self) -> bool {
        match (self.matter, other.matter) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => self.message == other.message,
        }
    }
}

/// A fault while it is collected: a [`Diagnostic`] without its file and line.
#[derive(Debug, Clone)]
pub(super) struct ManifestError {
    pub(super) span: Option<Range<usize>>,
    message: String,
    hint: Option<String>,
    quoted: bool,
    also: Vec<(Range<usize>, String)>,
}

impl ManifestError {
    pub(super) fn new(span: Range<usize>, message: impl Into<String>) -> Self {
        Self { span: Some(span), message: message.into(), hint: None, quoted: true, also: Vec::new() }
    }

    pub(super) fn of_file(message: impl Into<String>) -> Self {
        Self { span: None, message: message.into(), hint: None, quoted: true, also: Vec::new() }
    }

    pub(super) fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same, without the line that it speaks of.
    pub(super) fn unquoted(self) -> Self {
        Self { quoted: false, ..self }
    }

    pub(super) fn also(mut self, span: Range<usize>, word: impl Into<String>) -> Self {
        self.also.push((span, word.into()));
        self
    }
}

/// Collects faults.
#[derive(Debug, Default)]
pub(super) struct ErrorSink {
    faults: Vec<ManifestError>,
    dropped: usize,
}

impl ErrorSink {
    pub(super) fn add(&mut self, fault: ManifestError) {
        if self.faults.len() < MAX_FAULTS {
            self.faults.push(fault);
        } else {
            self.dropped = self.dropped.saturating_add(1);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.faults.is_empty()
    }

    /// The places of all faults.
    pub(super) fn spans(&self) -> impl Iterator<Item = &Range<usize>> {
        self.faults.iter().filter_map(|fault| fault.span.as_ref())
    }

    /// Whether more faults than anybody will see are here: what costs something, such as a hint,
    /// can be left out.
    pub(super) fn is_crowded(&self) -> bool {
        self.faults.len() >= MAX_DIAGNOSTICS
    }

    /// Adds the faults of another report.
    pub(super) fn append(&mut self, other: Self) {
        other.faults.into_iter().for_each(|fault| self.add(fault));
        self.dropped = self.dropped.saturating_add(other.dropped);
    }

    /// Adds the faults of another report, without those on a line where this one has a fault
    /// already: after a syntax error the rest of its line means nothing.
    pub(super) fn add_elsewhere(&mut self, other: Self, source: &ManifestSource) {
        let line_of = |fault: &ManifestError| fault.span.as_ref().map(|span| source.line_of(span.start));
        let taken: std::collections::BTreeSet<_> = self.faults.iter().map(line_of).collect();
        let free = |fault: &ManifestError| !taken.contains(&line_of(fault));
        other.faults.into_iter().filter(free).for_each(|fault| self.add(fault));
        self.dropped = self.dropped.saturating_add(other.dropped);
    }

    /// All faults as notes, in the form of [`ErrorSink::into_diagnostics`].
    pub(super) fn into_notes(self, source: &ManifestSource) -> Vec<Diagnostic> {
        let all = self.into_diagnostics(source).into_iter();
        all.map(|diagnostic| Diagnostic { severity: Severity::Note, ..diagnostic }).collect()
    }

    /// All faults by place, at most [`MAX_DIAGNOSTICS`] of them and a last one that counts the
    /// rest.
    pub(super) fn into_diagnostics(mut self, source: &ManifestSource) -> Vec<Diagnostic> {
        self.faults.sort_by_key(|fault| fault.span.as_ref().map_or((0, 0), |span| (span.start, span.end)));
        let more = self.faults.len().saturating_sub(MAX_DIAGNOSTICS).saturating_add(self.dropped);
        self.faults.truncate(MAX_DIAGNOSTICS);
        if more > 0 {
            self.faults.push(ManifestError::of_file(format!("and {more} more")));
        }
        self.faults.into_iter().map(|fault| source.diagnostic(fault)).collect()
    }
}

/// The text of a manifest with the places of its lines.
#[derive(Debug, Clone)]
pub(super) struct ManifestSource {
    file: String,
    text: String,
    line_starts: Vec<usize>,
}

impl ManifestSource {
    pub(super) fn new(file: &str, text: String) -> Self {
        let after_breaks = text.match_indices('\n').map(|(at, _)| at + 1);
        let line_starts = std::iter::once(0).chain(after_breaks).collect();
        Self { file: file.to_owned(), text, line_starts }
    }

    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// The line of a byte, from 1.
    pub(super) fn line_of(&self, at: usize) -> usize {
        self.line_starts.partition_point(|start| *start <= at).max(1)
    }

    /// Line and column of a byte, both from 1, the column in characters; a byte order mark is none.
    pub(super) fn place(&self, at: usize) -> (usize, usize) {
        let line = self.line_of(at);
        let start = self.line_starts.get(line - 1).copied().unwrap_or(0);
        let before = self.text.get(start..self.text.floor_char_boundary(at)).unwrap_or("");
        let marked = line == 1 && before.starts_with(BOM);
        (line, before.chars().count() + 1 - usize::from(marked))
    }

    fn diagnostic(&self, fault: ManifestError) -> Diagnostic {
        let ManifestError { span, message, hint, quoted, also } = fault;
        let place = span.as_ref().map(|span| self.place(span.start));
        Diagnostic {
            severity: Severity::Error,
            message,
            hint,
            file: self.file.clone(),
            span,
            line: place.map(|(line, _)| line),
            column: place.map(|(_, column)| column),
            quoted,
            also,
            matter: None,
        }
    }

    /// A diagnostic that stops everything else.
    pub(super) fn only(&self, fault: ManifestError) -> Vec<Diagnostic> {
        vec![self.diagnostic(fault)]
    }
}

/// A text from the manifest as a message may repeat it: in backquotes, escaped, cut.
pub(super) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(MAX_SHOWN).collect();
    let mut cut = foreign(&cut).into_owned();
    if text.chars().nth(MAX_SHOWN).is_some() {
        cut.push('…');
    }
    format!("`{cut}`")
}

/// Why a number is no ID, without its Rust type's words.
pub(super) fn id_fault(span: Range<usize>, error: &IdError) -> ManifestError {
    ManifestError::new(span, error.to_string()).hint("an ID is a positive number that Roblox gave")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_count_characters_from_one() {
        let check = |text: &str, at: usize, expected: (usize, usize)| {
            assert_eq!(ManifestSource::new("m", text.to_owned()).place(at), expected, "{text:?} at {at}");
        };
        check("", 0, (1, 1));
        check("ab\ncd", 4, (2, 2));
        check("é = 1\r\nx", 3, (1, 3));
        check("é = 1\r\nx", 8, (2, 1));
        check("\u{feff}a = 1", 3, (1, 1));
        check("a", 99, (1, 2));
        check("é", 1, (1, 1));
    }

    #[test]
    fn texts_are_shown_harmless_and_short() {
        assert_eq!(shown("a\u{1b}[31mb"), "`a\\u{1b}[31mb`");
        assert_eq!(shown("\u{202e}x"), "`\\u{202e}x`");
        assert_eq!(shown(&"x".repeat(61)), format!("`{}…`", "x".repeat(60)));
    }

    #[test]
    fn more_faults_than_anybody_reads_are_counted() {
        let mut report = ErrorSink::default();
        (0..MAX_FAULTS + 5).for_each(|n| report.add(ManifestError::new(n..n, "x")));
        let all = report.into_diagnostics(&ManifestSource::new("m", String::new()));
        assert_eq!(all.len(), MAX_DIAGNOSTICS + 1);
        assert_eq!(all.last().unwrap().message, format!("and {} more", MAX_FAULTS + 5 - MAX_DIAGNOSTICS));
    }
}
