//! Diagnostics as people read them: each with its line of the manifest and what would be right
//! below it.
//!
//! Must never show what could be a credential, even one that was put into the manifest by mistake,
//! nor a line of a file that may be no manifest.

use std::ops::Range;

use annotate_snippets::renderer::DecorStyle;
use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

use super::diagnostic::{BOM, Diagnostic, Severity};
use super::read::CREDENTIAL_WORDS;
use crate::model::steps::step;

/// The diagnostics as text, sorted by place, with a line break at the end of each. `source` is the
/// manifest that was parsed; where that isn't UTF-8, its lossy form will do. A line of the manifest
/// that is wider than the terminal, of so many columns, is cut around the mistake.
pub fn render(diagnostics: &[Diagnostic], source: &str, color: bool, columns: Option<usize>) -> String {
    let renderer = if color { Renderer::styled() } else { Renderer::plain() }.decor_style(DecorStyle::Ascii);
    let renderer = columns.map_or_else(|| renderer.clone(), |columns| renderer.clone().term_width(columns));
    let mut sorted: Vec<&Diagnostic> = diagnostics.iter().collect();
    // The message about the whole file, which counts the rest, comes last.
    sorted.sort_by_key(|d| d.span.as_ref().map_or((usize::MAX, usize::MAX), |span| (span.start, span.end)));
    let mut text = String::new();
    for diagnostic in sorted {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(&render_one(diagnostic, source, &renderer));
        text.push('\n');
    }
    text
}

fn render_one(diagnostic: &Diagnostic, source: &str, renderer: &Renderer) -> String {
    let level = match diagnostic.severity {
        Severity::Error => Level::ERROR,
        Severity::Note => Level::NOTE,
    };
    let mut group = Group::with_title(level.primary_title(&diagnostic.message));
    if let Some(span) = diagnostic.span.as_ref().filter(|_| diagnostic.quoted) {
        let spans = std::iter::once(span).chain(diagnostic.also.iter().map(|(span, _)| span));
        let cut = Excerpt::around(source, spans, diagnostic.line.map(|line| (line, span.start)));
        let others = diagnostic
            .also
            .iter()
            .map(|(span, word)| AnnotationKind::Context.span(cut.shift(span)).label(word.as_str()));
        let snippet = Snippet::source(cut.text.clone())
            .line_start(cut.first_line)
            .path(diagnostic.file.as_str())
            .annotation(AnnotationKind::Primary.span(cut.shift(span)))
            .annotations(others);
        group = group.element(snippet);
    } else {
        let mut origin = annotate_snippets::Origin::path(diagnostic.file.as_str());
        if let (Some(line), Some(column)) = (diagnostic.line, diagnostic.column) {
            origin = origin.line(line).char_column(column);
        }
        group = group.element(origin);
    }
    if let Some(hint) = &diagnostic.hint {
        group = group.element(Level::HELP.with_name("hint").message(hint));
    }
    renderer.render(&[group])
}

/// The lines of the manifest that a diagnostic speaks of.
struct Excerpt {
    text: String,
    first_line: usize,
    start: usize,
}

impl Excerpt {
    /// `known` is a line and a byte in it, at or behind the first span.
    fn around<'s>(source: &str, spans: impl Iterator<Item = &'s Range<usize>>, known: Option<(usize, usize)>) -> Self {
        let spans = spans.map(|span| clamp(source, span));
        let (from, to) = spans.fold((source.len(), 0), |(from, to), span| (from.min(span.start), to.max(span.end)));
        let before = source.get(..from).unwrap_or("");
        let start = before.rfind('\n').map_or(0, |at| at + 1);
        let end = source.get(to..).and_then(|rest| rest.find('\n')).map_or(source.len(), |at| to + at);
        // Counted from the line that is known: from the file's start, a hundred mistakes at its end
        // would go through all of it a hundred times.
        let first_line = known.and_then(|(line, at)| {
            let between = source.get(start..source.floor_char_boundary(at))?;
            line.checked_sub(between.matches('\n').count())
        });
        let lines = source.get(start..end).unwrap_or("");
        let lines = lines.strip_suffix('\r').unwrap_or(lines);
        let marked = if start == 0 { lines.strip_prefix(BOM) } else { None };
        Self {
            text: marked
                .unwrap_or(lines)
                .split_inclusive('\n')
                .map(without_secret)
                .collect::<String>()
                .replace("\r\n", " \n"),
            first_line: first_line.unwrap_or_else(|| before.matches('\n').count() + 1),
            start: if marked.is_some() { BOM.len() } else { start },
        }
    }

    /// A span of the whole manifest as one of the cut.
    fn shift(&self, span: &Range<usize>) -> Range<usize> {
        clamp(&self.text, &(span.start.saturating_sub(self.start)..span.end.saturating_sub(self.start)))
    }
}

/// The span as one that begins and ends inside the text, between characters.
fn clamp(text: &str, span: &Range<usize>) -> Range<usize> {
    let start = text.floor_char_boundary(span.start.min(text.len()));
    let end = text.floor_char_boundary(span.end.min(text.len()));
    start..end.max(start)
}

/// The line with what follows a key starred out, byte for byte, where the key speaks of a
/// credential or of a webhook with a URL.
fn without_secret(line: &str) -> String {
    let Some((before, after)) = secret_from(line).and_then(|at| Some((line.get(..at)?, line.get(at + 1..)?))) else {
        return line.to_owned();
    };
    let starred = after.chars().flat_map(|c| {
        let (shown, times) = if c.is_ascii_whitespace() { (c, 1) } else { ('*', c.len_utf8()) };
        std::iter::repeat_n(shown, times)
    });
    format!("{before}={}", starred.collect::<String>())
}

/// Finds the first `=` after the key of a credential; a key is the letters since the last `,` or
/// `{`. Reads the line once, because a line may be a whole manifest.
fn secret_from(line: &str) -> Option<usize> {
    const WEBHOOK: &str = "webhook";
    let last_slash = line.rfind('/');
    let longest = CREDENTIAL_WORDS.iter().map(|word| word.len()).max().unwrap_or(0);
    // The last letters of the key, as many as a word has.
    let mut letters = String::new();
    let (mut credential, mut webhook) = (false, false);
    for (at, character) in line.char_indices() {
        step();
        match character {
            ',' | '{' => {
                letters.clear();
                (credential, webhook) = (false, false);
            }
            '=' if credential || (webhook && last_slash > Some(at)) => return Some(at),
            letter if letter.is_ascii_alphanumeric() => {
                if letters.len() >= longest {
                    letters.remove(0);
                }
                letters.push(letter.to_ascii_lowercase());
                credential |= CREDENTIAL_WORDS.iter().any(|word| letters.ends_with(word));
                webhook |= letters.ends_with(WEBHOOK);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::steps::grows_with_its_input;

    #[test]
    fn secrets_are_looked_for_once_in_each_line() {
        for part in ["x=\"\"\"", "=", "webhook=", "a,", "token"] {
            grows_with_its_input(part, |times| {
                secret_from(&part.repeat(usize::try_from(times).unwrap()));
            });
        }
    }

    fn diagnostic(span: Option<Range<usize>>, also: Option<Range<usize>>) -> Diagnostic {
        Diagnostic {
            severity: Severity::Error,
            message: "this is wrong".to_owned(),
            hint: Some("this would be right".to_owned()),
            file: "assets.toml".to_owned(),
            span,
            line: None,
            column: None,
            quoted: true,
            also: also.into_iter().map(|span| (span, "here first".to_owned())).collect(),
            matter: None,
        }
    }

    fn check(source: &str, diagnostics: &[Diagnostic], expected: &str) {
        assert_eq!(render(diagnostics, source, false, None), expected);
    }

    #[test]
    fn a_line_that_is_wider_than_the_terminal_is_cut_around_the_mistake() {
        let line = format!("a = \"{}\"\n", "word ".repeat(30));
        let text = render(&[diagnostic(Some(100..104), None)], &line, false, Some(40));
        let quoted = text.lines().find(|line| line.starts_with("1 |")).unwrap();
        assert!(quoted.contains("...") && quoted.chars().count() <= 40, "{text}");
    }

    #[test]
    fn the_line_stands_under_the_message() {
        check(
            "\u{feff}a = 1\r\n\tbé = 22\r\n",
            &[diagnostic(Some(17..19), None)],
            "error: this is wrong
 --> assets.toml:2:7
  |
2 |     bé = 22
  |          ^^
  |
  = hint: this would be right
",
        );
    }

    #[test]
    fn a_clash_shows_both_places_and_the_byte_order_mark_none() {
        check(
            "\u{feff}a = 1\nb = 2\nc = 3\nd = 4\ne = 5\nf = 6\na = 2\n",
            &[diagnostic(Some(39..40), Some(3..4))],
            "error: this is wrong
 --> assets.toml:7:1
  |
1 | a = 1
  | - here first
...
7 | a = 2
  | ^
  |
  = hint: this would be right
",
        );
    }

    #[test]
    fn errors_are_sorted_and_the_one_of_the_whole_file_comes_last() {
        let all = [diagnostic(None, None), diagnostic(Some(6..7), None), diagnostic(Some(0..1), None)];
        let text = render(&all, "a = 1\nb = 2\n", false, None);
        let places: Vec<&str> = text.lines().filter(|line| line.contains("-->")).collect();
        assert_eq!(places, [" --> assets.toml:1:1", " --> assets.toml:2:1", "--> assets.toml"]);
    }

    #[test]
    fn secrets_are_starred_out() {
        let check = |line: &str, expected: &str| assert_eq!(without_secret(line), expected);
        check("api_key = \"kéy\"\n", "api_key = ******\n");
        check("X-API-Key=\"k\"", "X-API-Key=***");
        check("webhook_env = \"https://hooks\"", "webhook_env = ***************");
        check("webhook_env = \"HOOK\"", "webhook_env = \"HOOK\"");
        check("creator = { user_id = 1, token = \"k\" }", "creator = { user_id = 1, token = *** *");
        check("path = \"token.png\"", "path = \"token.png\"");
    }

    #[test]
    fn impossible_spans_are_no_panic() {
        for span in [0..0, Range { start: 5, end: 2 }, 1..2, 900..1000, 0..usize::MAX] {
            for source in ["", "é", "é\né\n", "\u{feff}", "\u{feff}x"] {
                render(&[diagnostic(Some(span.clone()), Some(3..4))], source, true, Some(20));
            }
        }
    }
}
