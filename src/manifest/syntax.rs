//! From bytes to a TOML document: encoding, merge conflicts and syntax, before any key means
//! anything.
//!
//! Must never hand on a document whose recovery guessed. Read next: `read`.

use std::collections::BTreeSet;
use std::ops::Range;

use toml::de::{DeTable, Error};

use super::diagnostic::{BOM, Diagnostic, ErrorSink, ManifestError, ManifestSource};

/// The largest manifest in bytes: 100,000 entries of 160 bytes. A bound for memory, which parsing
/// multiplies.
pub(crate) const MAX_BYTES: usize = 16 * 1024 * 1024;
/// The most lines: 100,000 entries of ten. The parser keeps each.
const MAX_LINES: usize = 1_000_000;
/// From this size on only the first syntax error is told: garbage of 16 MiB would give millions.
const MAX_RECOVERED_BYTES: usize = 1024 * 1024;
/// The parser's words for values that are wrong in themselves: their extent is known, and the rest
/// of the document is as written.
const WRONG_VALUES: [&str; 7] = [
    "invalid boolean",
    "invalid float",
    "invalid integer",
    "invalid mantissa",
    "invalid fraction",
    "invalid exponent",
    "invalid date",
];
/// Likewise for numbers that no word is taken for.
const WRONG_NUMBERS: [&str; 3] =
    ["unexpected leading zero", "`_` may only go between digits", "radix must be lowercase"];

/// The kinds of syntax errors that Macadam tells apart.
///
/// The parser has no codes. So [`SyntaxErrorKind::of`] reads its words, and nothing else does; a
/// test holds each kind against the parser.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum SyntaxErrorKind {
    /// A key that is set again; the parser keeps the first.
    Duplicate,
    /// A text without quotes; the parser takes it as the text.
    Unquoted,
    /// A value that is wrong in itself, and may be a text without quotes.
    WrongValue,
    /// A number that is wrong in itself.
    WrongNumber,
    /// A backslash that begins no escape.
    WrongEscape,
    /// A text whose closing quote is missing.
    OpenText,
    /// A header whose closing bracket is missing, or comes after a space in a name.
    OpenHeader,
    /// A key with characters that need quotes.
    UnquotedKey,
    /// Another token that may be a text without quotes.
    WrongToken,
    /// More after a value, in the same line.
    AfterValue,
    /// Another error.
    Other,
}

impl SyntaxErrorKind {
    fn of(error: &Error) -> Self {
        let message = error.message();
        let begins = |words: &[&str]| words.iter().any(|word| message.starts_with(word));
        match message {
            "duplicate key" => Self::Duplicate,
            _ if begins(&["string values must be quoted"]) => Self::Unquoted,
            _ if begins(&WRONG_VALUES) => Self::WrongValue,
            _ if begins(&WRONG_NUMBERS) => Self::WrongNumber,
            _ if begins(&["missing escaped value"]) => Self::WrongEscape,
            _ if begins(&["invalid basic string", "invalid literal string"]) => Self::OpenText,
            _ if begins(&["unclosed table"]) => Self::OpenHeader,
            _ if begins(&["invalid unquoted key"]) => Self::UnquotedKey,
            _ if begins(&["invalid "]) => Self::WrongToken,
            _ if begins(&["unexpected key or value"]) => Self::AfterValue,
            _ => Self::Other,
        }
    }

    /// Whether the extent of the error is known, and the rest of the document is as written.
    const fn is_local(self) -> bool {
        match self {
            Self::Duplicate | Self::Unquoted | Self::WrongValue | Self::WrongNumber | Self::WrongEscape => true,
            Self::OpenText
            | Self::OpenHeader
            | Self::UnquotedKey
            | Self::WrongToken
            | Self::AfterValue
            | Self::Other => false,
        }
    }
}

/// The text of a manifest.
///
/// # Errors
/// When it is too large, no UTF-8, empty, or in the middle of a merge.
pub(super) fn decode(bytes: &[u8], file: &str) -> Result<ManifestSource, Vec<Diagnostic>> {
    let refuse = |text: &str, fault: ManifestError| Err(ManifestSource::new(file, text.to_owned()).only(fault));
    if bytes.len() > MAX_BYTES {
        let message = format!("the manifest has {} bytes, at most {MAX_BYTES} are read", bytes.len());
        return refuse(
            "",
            ManifestError::of_file(message).hint("find many files with [globs] in place of an entry for each"),
        );
    }
    let lines = bytes.iter().filter(|byte| **byte == b'\n').count();
    if lines > MAX_LINES {
        let message = format!("the manifest has {lines} lines, at most {MAX_LINES} are read");
        return refuse(
            "",
            ManifestError::of_file(message).hint("find many files with [globs] in place of an entry for each"),
        );
    }
    let text = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => {
            let at = error.valid_up_to();
            let before = bytes.get(..at).and_then(|valid| std::str::from_utf8(valid).ok()).unwrap_or("");
            let fault = ManifestError::new(at..at + 1, "the manifest is not UTF-8 here").hint("save the file as UTF-8");
            return refuse(before, fault.unquoted());
        }
    };
    if text.strip_prefix(BOM).unwrap_or(text).trim().is_empty() {
        let fault = ManifestError::new(0..0, "the manifest is empty");
        return refuse(text, fault.hint("`macadam init` writes a manifest to start from"));
    }
    let source = ManifestSource::new(file, text.to_owned());
    let mut conflicts = ErrorSink::default();
    report_conflicts(source.text(), &mut conflicts);
    if conflicts.is_empty() { Ok(source) } else { Err(conflicts.into_diagnostics(&source)) }
}

/// One fault for each conflict that git left.
fn report_conflicts(text: &str, report: &mut ErrorSink) {
    let mut ours: Option<Range<usize>> = None;
    let message = "a merge conflict is not resolved here";
    let hint = "resolve it in git first";
    let mut at = 0;
    for line in text.split_inclusive('\n') {
        let place = at..at + line.trim_end().len();
        at += line.len();
        if line.starts_with("<<<<<<< ") {
            if let Some(before) = ours.replace(place) {
                report.add(ManifestError::new(before, message).hint(hint));
            }
        } else if line.starts_with(">>>>>>> ") {
            report.add(match ours.take() {
                Some(start) => ManifestError::new(start, message).also(place, "it ends here").hint(hint),
                None => ManifestError::new(place, message).hint(hint),
            });
        }
    }
    if let Some(start) = ours {
        report.add(ManifestError::new(start, message).hint(hint));
    }
}

/// Parses the document and reports its syntax errors, one a line. Gives it back unless an error's
/// recovery is a guess: then nothing can be said of the rest.
pub(super) fn parse<'t>(source: &'t ManifestSource, report: &mut ErrorSink) -> Option<DeTable<'t>> {
    let text = source.text();
    let (document, errors) = if text.len() > MAX_RECOVERED_BYTES {
        match DeTable::parse(text) {
            Ok(document) => (document, Vec::new()),
            Err(error) => (toml::Spanned::new(0..0, DeTable::new()), vec![error]),
        }
    } else {
        DeTable::parse_recoverable(text)
    };
    let sure = text.len() <= MAX_RECOVERED_BYTES || errors.is_empty();
    let sure = sure && errors.iter().all(is_local);
    let mut last_line = None;
    let mut errors: Vec<(Range<usize>, Error)> = errors.into_iter().map(|e| (e.span().unwrap_or(0..0), e)).collect();
    errors.sort_by_key(|(span, _)| span.start);
    for (span, error) in errors {
        let line = source.line_of(span.start);
        if last_line.replace(line) != Some(line) {
            // The search goes through the whole text: it is left out where nobody will read of it.
            let kind = SyntaxErrorKind::of(&error);
            let first = if kind != SyntaxErrorKind::Duplicate || report.is_crowded() {
                None
            } else {
                first_of_duplicate(text, span.start)
            };
            report.add(syntax_fault(text, span, &error, first));
        }
    }
    sure.then(|| document.into_inner())
}

/// The tables of a manifest: a file in which the parser finds none of them may be anything.
const TABLES: [&str; 9] = ["creator", "policy", "defaults", "assets", "globs", "existing", "outputs", "notify", "pins"];

/// The one fault of a file with syntax errors that may be no manifest at all; `None` where it is
/// one but for the lines with these errors, which may be shown then. A key file, a `.env` or a
/// script isn't repeated in the log of a build.
pub(super) fn foreign_file(source: &ManifestSource, report: &ErrorSink) -> Option<ManifestError> {
    let lines: BTreeSet<usize> = report.spans().map(|span| source.line_of(span.start)).collect();
    let first = report.spans().min_by_key(|span| span.start)?;
    let numbered = source.text().split_inclusive('\n').zip(1..);
    let rest: String = numbered.map(|(line, number)| if lines.contains(&number) { "\n" } else { line }).collect();
    let tables = if rest.len() > MAX_RECOVERED_BYTES {
        DeTable::parse(&rest).map(toml::Spanned::into_inner).unwrap_or_default()
    } else {
        let (document, errors) = DeTable::parse_recoverable(&rest);
        if errors.iter().all(is_local) { document.into_inner() } else { DeTable::new() }
    };
    if TABLES.iter().any(|table| tables.contains_key(*table)) {
        return None;
    }
    let fault = ManifestError::new(first.start..first.start, "the file is not TOML from here on").unquoted();
    Some(fault.hint("Macadam doesn't show its lines, in case this isn't a manifest"))
}

fn is_local(error: &Error) -> bool {
    SyntaxErrorKind::of(error).is_local()
}

fn syntax_fault(text: &str, span: Range<usize>, error: &Error, first: Option<Range<usize>>) -> ManifestError {
    let kind = SyntaxErrorKind::of(error);
    if kind == SyntaxErrorKind::Duplicate {
        let key = text.get(span.clone()).unwrap_or("");
        let fault = ManifestError::new(span.clone(), format!("{} is set twice", super::diagnostic::shown(key)));
        let fault = fault.hint("remove one of the two");
        return match first {
            Some(first) => fault.also(first, "it is set here first"),
            None => fault,
        };
    }
    if let SyntaxErrorKind::Unquoted
    | SyntaxErrorKind::WrongValue
    | SyntaxErrorKind::UnquotedKey
    | SyntaxErrorKind::WrongToken = kind
    {
        match unquoted_word(text, span.start) {
            Some("") => return ManifestError::new(span, "the value is missing"),
            Some(word) => return unquoted(text, span.start, word),
            None => {}
        }
    }
    let around = line_around(text, span.start);
    let rest = text.get(span.start..).unwrap_or_default();
    let line = text.get(around.clone()).unwrap_or_default();
    let told = |message: &str| ManifestError::new(span.clone(), message);
    let is_of_other_languages =
        matches!(kind, SyntaxErrorKind::Unquoted | SyntaxErrorKind::UnquotedKey | SyntaxErrorKind::AfterValue);
    if let Some(fault) = other_languages(text, span.start..around.end).filter(|_| is_of_other_languages) {
        return fault;
    }
    match kind {
        SyntaxErrorKind::UnquotedKey if rest.trim_start().starts_with(':') => {
            let key = line.split(':').next().unwrap_or_default().trim();
            told("a value follows `=`, not `:`").hint(format!("write {key} = …"))
        }
        SyntaxErrorKind::UnquotedKey => told(error.message()).hint(
            "a key with other characters than letters, digits, `-` and `_` is written in quotes: \"ui/close.png\"",
        ),
        SyntaxErrorKind::OpenText => {
            let quote = if line.contains('"') { '"' } else { '\'' };
            told("the closing quote is missing").hint(format!("end the text with {quote} in the same line"))
        }
        SyntaxErrorKind::OpenHeader => open_header(span.clone(), line),
        SyntaxErrorKind::WrongEscape => {
            let fault = told("a backslash has a special meaning in \"…\", and can't be used here");
            match slashed_text(line) {
                Some(path) => fault.hint(format!("write `/` between folders on every system: \"{path}\"")),
                None => fault.hint("write `/` between folders on every system"),
            }
        }
        _ => told(error.message()),
    }
}

/// A comment or an end of a line as other languages write them, in the part of a line that is wrong.
fn other_languages(text: &str, place: Range<usize>) -> Option<ManifestError> {
    let part = text.get(place.clone())?;
    let before = text.get(..place.start).unwrap_or_default();
    let slashes = part.find("//").map(|at| place.start + at);
    // Not in the middle of a word, such as a URL.
    let begins =
        |at: &usize| text.get(..*at).is_some_and(|before| before.is_empty() || before.ends_with([' ', '\t', '\n']));
    if let Some(at) = slashes.filter(begins) {
        let fault = ManifestError::new(at..place.end, "a comment begins with `#` here");
        return Some(fault.hint("write `#` in place of `//`"));
    }
    let sign = part.chars().next().filter(|sign| matches!(sign, ';' | ','))?;
    let rest = part.trim_start_matches([';', ',']).trim_start();
    let is_last = (rest.is_empty() || rest.starts_with('#')) && !before.is_empty();
    let fault = ManifestError::new(place.start..place.start + 1, format!("a line doesn't end with `{sign}` here"));
    is_last.then(|| fault.hint(format!("remove the `{sign}`")))
}

/// The longest text that a hint repeats.
const MAX_HINTED: usize = 60;

/// A header without its end: a name with a space, or no bracket at all.
fn open_header(span: Range<usize>, line: &str) -> ManifestError {
    let header = line.trim();
    let name = header.trim_start_matches('[').split(']').next().unwrap_or_default().trim();
    let is_short = name.len() <= MAX_HINTED && !name.contains(['"', '\'']);
    match (header.contains(']'), name.split_once('.')) {
        (true, Some((table, inside))) if is_short && inside.contains(' ') => {
            ManifestError::new(span, "a name with a space is written in quotes")
                .hint(format!("write [{table}.\"{}\"]", inside.trim()))
        }
        (true, _) => ManifestError::new(span, "a name with a space is written in quotes"),
        (false, _) if is_short => {
            ManifestError::new(span, "the closing `]` is missing").hint(format!("write [{name}]"))
        }
        (false, _) => ManifestError::new(span, "the closing `]` is missing"),
    }
}

/// The text in quotes of a line, with `/` in place of each backslash.
fn slashed_text(line: &str) -> Option<String> {
    let (_, inside) = line.split_once('"')?;
    let (inside, _) = inside.rsplit_once('"')?;
    let is_plain = inside.len() <= MAX_HINTED && !inside.contains(['"', '#']) && !inside.contains(char::is_control);
    is_plain.then(|| inside.replace("\\\\", "/").replace('\\', "/"))
}

/// The word at `at`, if it stands where a value begins and is none: the parser takes some for
/// numbers, by their first letter.
fn unquoted_word(text: &str, at: usize) -> Option<&str> {
    let begins = text.get(..at)?.trim_end_matches([' ', '\t']).ends_with(['=', ',', '[']);
    let rest = text.get(at..)?;
    let word = rest.split([' ', '\t', '\r', '\n', ',', ']', '}', '#']).next().unwrap_or("");
    let texts =
        word.is_empty() || word.starts_with(|c: char| !c.is_ascii_digit()) || word.ends_with(char::is_alphabetic);
    (begins && texts && !word.starts_with(['"', '\''])).then_some(word)
}

/// The keys whose value is a number.
const NUMBERS: [&str; 6] = ["user_id", "group_id", "asset_id", "expected_price", "universe", "revision"];

/// Quotes of a word processor.
const CURLY: [char; 6] = ['“', '”', '„', '‘', '’', '«'];

fn unquoted(text: &str, at: usize, word: &str) -> ManifestError {
    let line = line_around(text, at);
    let (before, after) = (text.get(line.start..at).unwrap_or_default(), text.get(at..line.end).unwrap_or_default());
    let fault = |message: &str| ManifestError::new(at..at + word.len(), message);
    if after.starts_with(CURLY) {
        let inside = after.trim().trim_matches(|c| CURLY.contains(&c) || c == '»');
        let fault = ManifestError::new(at..at + after.trim_end().len(), "curly quotes don't work here");
        let is_plain = inside.len() <= MAX_HINTED && !inside.contains(['"', '\\', '#']);
        return if is_plain { fault.hint(format!("write \"{inside}\"")) } else { fault.hint("write \" on both sides") };
    }
    let key = before.rsplit([',', '{']).next().unwrap_or_default().split('=').next().unwrap_or_default().trim();
    if NUMBERS.contains(&key) {
        let fault = fault(&format!("`{key}` must be a number"));
        return match super::owner::where_to_find(key) {
            Some(place) => fault.hint(place),
            None => fault,
        };
    }
    for literal in ["true", "false"] {
        if word.eq_ignore_ascii_case(literal) {
            return fault("true and false are written in lower case").hint(format!("write {literal}"));
        }
    }
    let plain = word.len() <= 60 && !word.chars().any(|c| c.is_control() || c == '"' || c == '\\');
    let fault = fault("text must be in quotes");
    if plain { fault.hint(format!("write \"{word}\"")) } else { fault }
}

fn line_around(text: &str, at: usize) -> Range<usize> {
    let at = text.floor_char_boundary(at);
    let start = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |br| br + 1);
    let end = text.get(at..).and_then(|after| after.find('\n')).map_or(text.len(), |br| at + br);
    start..end
}

/// Finds the first occurrence of the key or header that is repeated at `at`, which the parser
/// doesn't say. Compares whole lines only, because people write one key per line.
fn first_of_duplicate(text: &str, at: usize) -> Option<Range<usize>> {
    let plain = |part: &str| -> String { part.chars().filter(|c| !matches!(c, '"' | '\'' | ' ' | '\t')).collect() };
    let is_header = |line: &str| line.trim_start().starts_with('[');
    let header = |line: &str| line.split_once(']').map(|(name, _)| plain(name));
    let key = |line: &str| line.split_once('=').map(|(name, _)| plain(name));
    let line = line_around(text, at);
    let repeated = text.get(line.clone())?;
    let mut end = line.start;
    let mut first = None;
    for earlier in text.get(..line.start)?.split_inclusive('\n').rev() {
        let start = end - earlier.len();
        let found = if is_header(repeated) {
            is_header(earlier) && header(earlier) == header(repeated)
        } else if is_header(earlier) {
            break;
        } else {
            key(earlier).is_some() && key(earlier) == key(repeated)
        };
        if found {
            let indent = earlier.len() - earlier.trim_start().len();
            let name = earlier.find(if is_header(earlier) { ']' } else { '=' }).unwrap_or(earlier.len());
            let length = earlier.get(indent..name).map_or(0, |name| name.trim_end().len());
            first = Some(start + indent..start + indent + length + usize::from(is_header(earlier)));
        }
        end = start;
    }
    first
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Each fault as `line:column message`, further places after it.
    fn check(text: &str, sure: bool, expected: &[&str]) {
        let source = ManifestSource::new("m", text.to_owned());
        let mut report = ErrorSink::default();
        assert_eq!(parse(&source, &mut report).is_some(), sure, "{text:?}");
        assert_eq!(told(report.into_diagnostics(&source), &source), expected, "{text:?}");
    }

    fn told(all: Vec<Diagnostic>, source: &ManifestSource) -> Vec<String> {
        let also = |d: &Diagnostic| -> String {
            d.also.iter().map(|(span, _)| format!(" @{:?}", source.place(span.start))).collect()
        };
        all.iter().map(|d| format!("{}:{} {}{}", d.line.unwrap(), d.column.unwrap(), d.message, also(d))).collect()
    }

    /// Whoever updates the parser learns here that it changed its words.
    #[test]
    fn each_kind_of_syntax_error_is_distinguished() {
        let check = |text: &str, expected: SyntaxErrorKind| {
            let (_, errors) = DeTable::parse_recoverable(text);
            let kinds: Vec<SyntaxErrorKind> = errors.iter().map(SyntaxErrorKind::of).collect();
            assert_eq!(kinds.first(), Some(&expected), "{text:?}: {errors:?}");
        };
        check("a = 1\na = 2\n", SyntaxErrorKind::Duplicate);
        check("a = Model\n", SyntaxErrorKind::Unquoted);
        check("a = image\n", SyntaxErrorKind::WrongValue);
        check("a = 1.2.3\n", SyntaxErrorKind::WrongValue);
        check("a = 01\n", SyntaxErrorKind::WrongNumber);
        check("b = \"\\q\"\n", SyntaxErrorKind::WrongEscape);
        check("[assets.ui/x.png]\n", SyntaxErrorKind::UnquotedKey);
        check("a = \"x\n", SyntaxErrorKind::OpenText);
        check("a = 'x\n", SyntaxErrorKind::OpenText);
        check("[assets.my sword]\n", SyntaxErrorKind::OpenHeader);
        check("[assets.sword\n", SyntaxErrorKind::OpenHeader);
        check("a = \"x\";\n", SyntaxErrorKind::AfterValue);
    }

    #[test]
    fn comments_and_ends_of_lines_of_other_languages_are_told() {
        check("a = \"x\";\n", false, &["1:8 a line doesn't end with `;` here"]);
        check("a = \"x\"; # why\n", false, &["1:8 a line doesn't end with `;` here"]);
        check("a = 1,\r\n", false, &["1:6 a line doesn't end with `,` here"]);
        check("a = \"x\" // why\n", false, &["1:9 a comment begins with `#` here"]);
        check("a = 1 // why\n", true, &["1:7 a comment begins with `#` here"]);
        check("// why\na = 1\n", false, &["1:1 a comment begins with `#` here"]);
        check("a = https://x\n", true, &["1:5 text must be in quotes"]);
    }

    #[test]
    fn syntax_errors_are_reported_line_by_line() {
        check("a = 1\n", true, &[]);
        check("a = Model\nb = \n", true, &["1:5 text must be in quotes", "2:5 the value is missing"]);
        check("a = 1\nb = 2\n a = 3\n", true, &["3:2 `a` is set twice @(1, 1)"]);
        check(
            "a = image\nb = True\nc = ./x.png\nd = 14d # x\n",
            true,
            &[
                "1:5 text must be in quotes",
                "2:5 true and false are written in lower case",
                "3:5 text must be in quotes",
                "4:5 text must be in quotes",
            ],
        );
        check(
            "a = 01\nb = [1.2.3, x]\n",
            true,
            &["1:5 unexpected leading zero, expected nothing", "2:9 invalid float, expected nothing"],
        );
        check("[a.b]\nx = 1\n[c]\n[ a.\"b\" ]\n", true, &["4:5 `\"b\"` is set twice @(1, 1)"]);
        check("[a]\nx = 1\n[b]\nx = 1\ny = { z = 1, z = 2 }\n", true, &["5:14 `z` is set twice"]);
        check(
            "a = 'x\nb = \"\\q\"\n[assets.ui/x.png]\n",
            false,
            &[
                "1:7 the closing quote is missing",
                "2:7 a backslash has a special meaning in \"…\", and can't be used here",
                "3:11 invalid unquoted key, expected letters, numbers, `-`, `_`",
            ],
        );
    }

    #[test]
    fn lines_are_shown_only_of_a_file_that_is_a_manifest_otherwise() {
        let check = |text: &str, shown: bool| {
            let source = ManifestSource::new("m", text.to_owned());
            let mut report = ErrorSink::default();
            parse(&source, &mut report);
            assert!(!report.is_empty(), "{text:?}");
            let fault = foreign_file(&source, &report);
            assert_eq!(fault.is_none(), shown, "{text:?}");
            for told in fault.map(|fault| source.only(fault)).unwrap_or_default() {
                assert!(!told.quoted && !format!("{told:?}").contains("hunter2"), "{told:?}");
            }
        };
        for manifest in [
            "[creator]\nuser_id = hunter2\n",
            "[creator]\nuser_id = 1\n[assets.ui/x.png]\npath = 'x.png'\n[assets.y]\npath = 'x.png'\n",
            "[creator]\nuser_id = 1\n[assets.x]\npath = 'x.png\n",
            "[creator]\nuser_id = 1\nuser_id = 2\n",
            "[assets.a]\nhunter2\n",
        ] {
            check(manifest, true);
        }
        for other in [
            "hunter2\n",
            "PASSWORD=hunter2\n",
            "PORT=1\nPASSWORD=hunter2\n",
            "export PASSWORD=hunter2\n",
            "user:hunter2@host\n[assets\n",
            "-----BEGIN PRIVATE KEY-----\nhunter2==\n",
            "{\"assets\": \"hunter2\"}\n",
            "hunter2 = 1\nhunter2 = 2\n",
        ] {
            check(other, false);
        }
    }

    #[test]
    fn encodings_and_conflicts_have_messages_of_their_own() {
        let check = |bytes: &[u8], expected: &[&str]| {
            let source = ManifestSource::new("m", String::from_utf8_lossy(bytes).into_owned());
            assert_eq!(told(decode(bytes, "m").err().unwrap_or_default(), &source), expected);
        };
        check(b"\xef\xbb\xbfa = 1\r\n", &[]);
        check(b"", &["1:1 the manifest is empty"]);
        check(b"\xef\xbb\xbf \n", &["1:1 the manifest is empty"]);
        check(b"a = 1\nb = \"\xff\"\n", &["2:6 the manifest is not UTF-8 here"]);
        check(
            b"a = 1\r\n<<<<<<< HEAD\r\nb = 1\r\n=======\r\nb = 2\r\n>>>>>>> other\r\n",
            &["2:1 a merge conflict is not resolved here @(6, 1)"],
        );
        check(
            b">>>>>>> x\n<<<<<<< y\n",
            &["1:1 a merge conflict is not resolved here", "2:1 a merge conflict is not resolved here"],
        );
    }

    #[test]
    fn a_huge_manifest_is_refused_before_it_is_parsed() {
        let all = decode(&vec![b' '; MAX_BYTES + 1], "m").unwrap_err();
        assert_eq!((all.len(), all[0].line), (1, None));
        assert!(all[0].message.contains("16777217 bytes"), "{}", all[0].message);
        let all = decode(&vec![b'\n'; MAX_LINES + 1], "m").unwrap_err();
        assert_eq!((all.len(), all[0].line), (1, None));
        assert!(all[0].message.contains("1000001 lines"), "{}", all[0].message);
    }

    #[test]
    fn garbage_of_many_megabytes_gives_one_error() {
        let mut report = ErrorSink::default();
        let source = ManifestSource::new("m", "@\n".repeat(MAX_RECOVERED_BYTES));
        assert!(parse(&source, &mut report).is_none());
        assert_eq!(report.into_diagnostics(&source).len(), 1);
    }
}
