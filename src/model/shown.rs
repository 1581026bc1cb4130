//! The one rule for text that others made and people read: names of files and assets, what Roblox
//! said, the text of a manifest. Everything that goes to standard output, standard error or the
//! log passes here; JSON doesn't, because it must stay exact and has an escape of its own.
//!
//! Three things are defended:
//!
//! - **The terminal.** Control characters (C0, DEL, C1) can move the cursor, hide text and answer
//!   for the person. Only colours pass, which are Macadam's own.
//! - **The eye.** Characters that turn the direction of text can make one name look like another.
//! - **The build log.** CI systems take commands from lines: GitHub from `::name` at the beginning
//!   of a line and `##[name` anywhere, Azure from `##vso[`, TeamCity from `##teamcity[`. No text
//!   may give one: <https://docs.github.com/actions/reference/workflow-commands-for-github-actions>
//!   and `ActionCommand.cs` of actions/runner, which skips white space before `::`.
//!
//! An escaped character becomes `\u{…}`, so that it can be seen, and no text is lost.

use std::borrow::Cow;
use std::fmt::Write as _;

/// Returns an error and its causes in one line.
pub(crate) fn with_causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // Some libraries repeat their cause in their own message.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

/// Makes an output of one or more lines fit to be shown: its line breaks and colours stay.
pub(crate) fn lines(output: &str) -> Cow<'_, str> {
    if is_harmless(output) {
        return Cow::Borrowed(output);
    }
    let mut shown = String::with_capacity(output.len() + 16);
    for (number, line) in output.split('\n').enumerate() {
        if number > 0 {
            shown.push('\n');
        }
        push_line(&mut shown, line, colour);
    }
    Cow::Owned(shown)
}

/// Makes an output of one line fit to be shown: its colours stay, line breaks are escaped.
pub(crate) fn line(output: &str) -> Cow<'_, str> {
    if !output.contains('\n') {
        return lines(output);
    }
    let broken = output.replace('\n', "\\n");
    Cow::Owned(lines(&broken).into_owned())
}

/// Makes a text that others made fit to stand within an output: line breaks are escaped, and it
/// has no colours.
pub(crate) fn foreign(text: &str) -> Cow<'_, str> {
    if is_harmless(text) && !text.contains('\n') {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    push_line(&mut shown, &text.replace('\n', "\\n"), |_| None);
    Cow::Owned(shown)
}

/// Nearly every text is plain: letters and no colour.
fn is_harmless(text: &str) -> bool {
    let printable = |c: char| c == '\n' || c == '\t' || !(c.is_control() || turns_text(c));
    text.chars().all(printable) && !text.contains("::") && !text.contains("##")
}

/// Whether a character changes the direction of the text around it, or breaks lines without being
/// a control character (UAX #9; U+2028 and U+2029).
pub(crate) const fn turns_text(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn push_line(shown: &mut String, line: &str, colour: impl Fn(&str) -> Option<&str>) {
    let mut rest = line;
    // Nothing but white space and colours came before.
    let mut at_start = true;
    while let Some(c) = rest.chars().next() {
        // Most of a text is plain: neither a control character nor the beginning of a command.
        let is_plain = |byte: &u8| (b' '..=b'~').contains(byte) && !matches!(byte, b':' | b'#');
        let (plain, after) = rest.split_at(rest.bytes().take_while(is_plain).count());
        if !plain.is_empty() {
            shown.push_str(plain);
            at_start &= plain.bytes().all(|byte| byte == b' ');
            rest = after;
            continue;
        }
        let taken = if let Some(colour) = colour(rest) {
            shown.push_str(colour);
            colour.len()
        } else if at_start && rest.starts_with("::") {
            escape(shown, ':');
            1
        } else if gives_command(rest) {
            shown.push('#');
            escape(shown, '#');
            2
        } else if c != '\t' && (c.is_control() || turns_text(c)) {
            escape(shown, c);
            c.len_utf8()
        } else {
            shown.push(c);
            c.len_utf8()
        };
        at_start &= c == '\u{1b}' || c.is_whitespace();
        rest = rest.get(taken..).unwrap_or_default();
    }
}

fn escape(shown: &mut String, c: char) {
    // Writing to a string can't fail.
    let _ = write!(shown, "{}", c.escape_unicode());
}

/// The colour that a text begins with: `ESC [`, digits and semicolons, `m` (ECMA-48, SGR). Never
/// the codes that hide text (8) or make it blink (5, 6).
fn colour(text: &str) -> Option<&str> {
    let codes = text.strip_prefix("\u{1b}[")?;
    let end = codes.find(|c: char| !(c.is_ascii_digit() || c == ';'))?;
    let (codes, end) = (codes.get(..end)?, codes.get(end..)?);
    let hides = !codes.starts_with("38;5;") && codes.split(';').any(|code| matches!(code, "5" | "6" | "8"));
    if !end.starts_with('m') || hides { None } else { text.get(..codes.len() + 3) }
}

/// Whether a text begins with `##[` or `##name[`.
fn gives_command(text: &str) -> bool {
    text.strip_prefix("##")
        .map(|command| command.trim_start_matches(|c: char| c.is_ascii_alphabetic()))
        .is_some_and(|command| command.starts_with('['))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn foreign_text_steers_no_terminal_and_no_build_log() {
        let check = |text: &str, wanted: &str| assert_eq!(lines(text), wanted, "{text:?}");
        check("ui/close.png", "ui/close.png");
        check("é 日本 👩‍👩‍👧 a\tb", "é 日本 👩‍👩‍👧 a\tb");
        check("a\nb", "a\nb");
        check("a\r\nb", "a\\u{d}\nb");
        check("\u{1b}]0;title\u{7}", "\\u{1b}]0;title\\u{7}");
        check("\u{1b}[2Ja\u{9b}31m\u{7f}\0", "\\u{1b}[2Ja\\u{9b}31m\\u{7f}\\u{0}");
        check("\u{1b}[1;31mred\u{1b}[0m", "\u{1b}[1;31mred\u{1b}[0m");
        check("\u{1b}[38;5;9mred", "\u{1b}[38;5;9mred");
        check("\u{1b}[8mhidden", "\\u{1b}[8mhidden");
        check("\u{1b}[0;5mblinks", "\\u{1b}[0;5mblinks");
        check("\u{1b}[", "\\u{1b}[");
        check("gnp\u{202e}.exe\u{2066}\u{200f}\u{61c}\u{2028}", "gnp\\u{202e}.exe\\u{2066}\\u{200f}\\u{61c}\\u{2028}");
        check("::add-mask::x", "\\u{3a}:add-mask::x");
        check("a: b\n  ::error::x", "a: b\n  \\u{3a}:error::x");
        check("\u{1b}[32m::warning::x", "\u{1b}[32m\\u{3a}:warning::x");
        check("std::fs a ::b", "std::fs a ::b");
        check("a ##[add-mask]x", "a #\\u{23}[add-mask]x");
        check("##vso[task.x]", "#\\u{23}vso[task.x]");
        check("###[x", "##\\u{23}[x");
        check("## heading [x]", "## heading [x]");
        assert_eq!(line("a\n\u{1b}[1m::b"), "a\\n\u{1b}[1m::b");
        assert_eq!(foreign("a\n\u{1b}[1m::b"), "a\\n\\u{1b}[1m::b");
        assert_eq!(foreign("::b"), "\\u{3a}:b");
    }

    proptest! {
        #[test]
        fn no_text_gets_past(text in "(\\PC|[\\n\\r\\x1b#:\\[ ]|::|##|\\u{202e}|vso){0,24}") {
            let shown = lines(&text).into_owned();
            for line in shown.split('\n') {
                let plain = line.replace("\u{1b}[m", "");
                prop_assert!(!plain.trim_start().starts_with("::"), "{shown:?}");
                prop_assert!(!plain.contains("##[") && !plain.contains("##vso["), "{shown:?}");
                prop_assert!(!plain.chars().any(|c| c == '\r' || turns_text(c)), "{shown:?}");
            }
            prop_assert_eq!(shown.matches('\n').count(), text.matches('\n').count());
            let breaks = line(&text).contains('\n') || foreign(&text).contains(['\n', '\u{1b}']);
            prop_assert!(!breaks, "{:?}", text);
            prop_assert_eq!(lines(&shown), shown.as_str(), "what was shown once is harmless");
        }
    }
}
