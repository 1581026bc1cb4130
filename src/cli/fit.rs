//! Fits text for people into a terminal: a line that is too long is broken between words.
//!
//! A command in backquotes stays on one line, as does whatever has no spaces: an asset ID, a path,
//! an address. A person copies them. Where one of them is wider than the terminal itself, it gets a
//! line of its own, and the terminal breaks it without adding to it. Pure; [`super::output`] knows
//! the width. Read next: [`super::table`] for columns.

use std::borrow::Cow;

use unicode_width::UnicodeWidthChar as _;

/// Below this many columns, lines that stand under another are indented by [`NARROW_INDENT`] at
/// most, so that there is room for words.
const NARROW: usize = 60;

/// See [`NARROW`].
const NARROW_INDENT: usize = 4;

/// What follows the first line of a broken one stands this much further right.
const HANG: usize = 2;

/// A terminal below this width has no room for words, and gets every line as it is.
const TOO_NARROW: usize = 16;

/// Returns the text with every line broken to fit into this many columns; `None`: as it is.
pub(super) fn lines(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    fit(text, columns, |_| false)
}

/// The same for an excerpt of a manifest, whose quoted lines stay as they are: their signs point at
/// each other.
pub(super) fn excerpt(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    fit(text, columns, is_quoted)
}

/// The same for a help page, whose examples stay as they are: a person copies them.
pub(super) fn help(text: &str, columns: Option<usize>) -> Cow<'_, str> {
    fit(text, columns, |line| ["macadam ", "git "].iter().any(|start| line.trim_start().starts_with(start)))
}

fn fit(text: &str, columns: Option<usize>, stays: fn(&str) -> bool) -> Cow<'_, str> {
    let Some(columns) = columns.filter(|columns| *columns >= TOO_NARROW) else { return Cow::Borrowed(text) };
    let fits = |line: &str| width(line) <= columns && (columns >= NARROW || indent(line) <= NARROW_INDENT);
    if text.split('\n').all(fits) {
        return Cow::Borrowed(text);
    }
    let mut fitted = String::with_capacity(text.len() + 16);
    for (number, line) in text.split('\n').enumerate() {
        if number > 0 {
            fitted.push('\n');
        }
        if stays(line) || fits(line) {
            fitted.push_str(line);
        } else {
            push_broken(&mut fitted, line, columns);
        }
    }
    Cow::Owned(fitted)
}

/// A line of an excerpt: `5 | path = …`, or the signs below it.
fn is_quoted(line: &str) -> bool {
    let plain = anstream::adapter::strip_str(line).to_string();
    plain.trim_start().trim_start_matches(|c: char| c.is_ascii_digit()).trim_start().starts_with('|')
}

/// How many spaces a line begins with.
fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

fn push_broken(fitted: &mut String, line: &str, columns: usize) {
    let start = indent(line);
    let start = if columns < NARROW { start.min(NARROW_INDENT) } else { start };
    let hang = (start + HANG).min(columns / 2);
    let words = words(line.trim_start_matches(' '));
    // What is wider than the room under a line begins at the edge.
    let begin = |start: usize, word: &str| if start + width(word) <= columns { start } else { 0 };
    let start = words.first().map_or(0, |(_, word)| begin(start, word));
    fitted.extend(std::iter::repeat_n(' ', start));
    let (mut at, mut is_first) = (start, true);
    for (gap, word) in words {
        let taken = width(word);
        if is_first || at + gap + taken <= columns {
            let gap = if is_first { 0 } else { gap };
            fitted.extend(std::iter::repeat_n(' ', gap));
            at += gap;
        } else {
            at = begin(hang, word);
            fitted.push('\n');
            fitted.extend(std::iter::repeat_n(' ', at));
        }
        fitted.push_str(word);
        at += taken;
        is_first = false;
    }
}

/// The words of a line, each with the spaces before it. A command in backquotes is one word.
fn words(line: &str) -> Vec<(usize, &str)> {
    let mut words = Vec::new();
    let mut rest = line;
    loop {
        let gap = indent(rest);
        rest = rest.get(gap..).unwrap_or_default();
        if rest.is_empty() {
            return words;
        }
        let end = word_end(rest);
        let (word, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
        words.push((gap, word));
        rest = after;
    }
}

/// Where the first word of a text ends: at a space that is in no backquotes. A backquote without
/// another one in the line quotes nothing.
fn word_end(text: &str) -> usize {
    let mut quoted = false;
    for (at, character) in text.char_indices() {
        match character {
            '`' if quoted => quoted = false,
            '`' => quoted = text.get(at + 1..).is_some_and(|rest| rest.contains('`')),
            ' ' if !quoted => return at,
            _ => {}
        }
    }
    text.len()
}

/// The columns that a text takes: its colours take none.
pub(super) fn width(text: &str) -> usize {
    // Nearly every text is plain.
    if text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
        return text.len();
    }
    let mut width = 0;
    let mut in_colour = false;
    for character in text.chars() {
        match character {
            '\u{1b}' => in_colour = true,
            'm' if in_colour => in_colour = false,
            _ if in_colour => {}
            character => width += character.width().unwrap_or(0),
        }
    }
    width
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(columns: usize, text: &str, expected: &str) {
        assert_eq!(lines(text, Some(columns)), expected);
    }

    #[test]
    fn a_long_line_is_broken_between_words() {
        check(20, "one two three four five", "one two three four\n  five");
        check(20, "  one two three four five", "  one two three four\n    five");
        check(80, "one two three", "one two three");
        check(20, "uploaded        ui/close.png (rbxassetid://1)", "uploaded\n  ui/close.png\n  (rbxassetid://1)");
        check(20, "first line\nsecond one is too long", "first line\nsecond one is too\n  long");
        assert_eq!(lines(&"x ".repeat(200), None), "x ".repeat(200));
    }

    #[test]
    fn commands_paths_and_ids_stay_whole() {
        check(31, "please look at `macadam history sword` again", "please look at\n  `macadam history sword` again");
        let wide = "`macadam resolve ui/close.png --asset-id 1`";
        check(30, &format!("then {wide}, or not"), &format!("then\n{wide},\n  or not"));
        check(18, "    a/path/of/16/cols, and more", "a/path/of/16/cols,\n      and more");
        let path = "a/very/long/path/that/is/wider/than/all.png";
        check(30, &format!("see {path} there"), &format!("see\n{path}\n  there"));
        check(20, "a lone ` quotes nothing at all", "a lone ` quotes\n  nothing at all");
    }

    #[test]
    fn little_room_means_little_indentation() {
        check(40, "             a remark that stands under its row", "    a remark that stands under its row");
        check(80, "             a remark", "             a remark");
    }

    #[test]
    fn colours_and_wide_characters_are_measured_as_they_are_seen() {
        assert_eq!(width("\u{1b}[1;31merror\u{1b}[0m: é"), 8);
        assert_eq!(width("日本"), 4);
        check(16, "\u{1b}[31mone two three\u{1b}[0m four", "\u{1b}[31mone two three\u{1b}[0m\n  four");
    }

    #[test]
    fn the_quoted_lines_of_an_excerpt_stay() {
        let text = "error: a message that is long\n  |\n5 | path = \"a long line of it\"\n  |        ^^^^\n  = hint: write something else";
        assert_eq!(
            excerpt(text, Some(20)),
            "error: a message\n  that is long\n  |\n5 | path = \"a long line of it\"\n  |        ^^^^\n  = hint: write\n    something else"
        );
    }

    proptest! {
        #[test]
        fn nothing_but_spaces_and_line_breaks_changes(text in "[a-z`. \\n]{0,80}", columns in 16_usize..90) {
            let fitted = lines(&text, Some(columns)).into_owned();
            let plain = |text: &str| text.split_whitespace().collect::<Vec<_>>().join(" ");
            prop_assert_eq!(plain(&fitted), plain(&text));
            for line in fitted.split('\n').filter(|line| width(line) > columns) {
                prop_assert_eq!(words(line.trim()).len(), 1, "{:?}", line);
            }
        }
    }
}
