//! Keys and strings in each language.

use std::fmt::Write as _;

use crate::model::identifier::{LUAU_RESERVED, has_identifier_letters};
use crate::model::shown::turns_text;

/// Returns a key of a Luau table, for use before ` = `. It is bare only if Luau's grammar allows
/// that.
pub(super) fn luau_key(key: &str) -> String {
    if has_identifier_letters(key) && !LUAU_RESERVED.contains(&key) {
        return key.to_owned();
    }
    format!("[{}]", luau_string(key))
}

/// Returns a Luau string, with the quotes that need fewer escapes; double quotes if both are equal,
/// like StyLua.
pub(super) fn luau_string(text: &str) -> String {
    let count = |quote: char| text.chars().filter(|c| *c == quote).count();
    let quote = if count('"') > count('\'') { '\'' } else { '"' };
    let mut string = String::with_capacity(text.len() + 2);
    string.push(quote);
    for c in text.chars() {
        match c {
            '\\' => string.push_str("\\\\"),
            c if c == quote => string.extend(['\\', c]),
            c if is_unsafe(c) => {
                let _ = write!(string, "\\u{{{:X}}}", u32::from(c)); // writing to a String can't fail
            }
            c => string.push(c),
        }
    }
    string.push(quote);
    string
}

/// Returns a TypeScript property name. Reserved words are allowed there.
pub(super) fn typescript_key(key: &str) -> String {
    match key {
        // A plain `__proto__` would set the object's prototype.
        "__proto__" => "[\"__proto__\"]".to_owned(),
        key if has_identifier_letters(key) => key.to_owned(),
        key => typescript_string(key),
    }
}

/// Returns a TypeScript string that roblox-ts turns into the same Luau string. roblox-ts copies the
/// text between the quotes; if it contains both kinds of quotes, it writes a long string, in which
/// escapes have no meaning. So this writes only escapes that both languages have, and never both
/// quotes.
fn typescript_string(text: &str) -> String {
    let quote = if text.contains('"') && !text.contains('\'') { '\'' } else { '"' };
    let mut string = String::with_capacity(text.len() + 2);
    string.push(quote);
    for c in text.chars() {
        match c {
            '\\' => string.push_str("\\\\"),
            c if c == quote || is_unsafe(c) => {
                let _ = write!(string, "\\u{{{:X}}}", u32::from(c)); // writing to a String can't fail
            }
            c => string.push(c),
        }
    }
    string.push(quote);
    string
}

/// Returns a JSON string.
pub(super) fn json_string(text: &str) -> String {
    let mut string = String::with_capacity(text.len() + 2);
    string.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => string.extend(['\\', c]),
            // Every unsafe character has one UTF-16 unit.
            c if is_unsafe(c) => {
                let _ = write!(string, "\\u{:04X}", u32::from(c)); // writing to a String can't fail
            }
            c => string.push(c),
        }
    }
    string.push('"');
    string
}

/// Returns whether a character would break a line, or make code look like other code.
const fn is_unsafe(c: char) -> bool {
    c.is_ascii_control() || turns_text(c) || matches!(c, '\u{80}'..='\u{9f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_bare_only_where_the_language_takes_it() {
        let check = |key: &str, luau: &str, typescript: &str| {
            assert_eq!((luau_key(key).as_str(), typescript_key(key).as_str()), (luau, typescript), "{key:?}");
        };
        check("close", "close", "close");
        check("_a1", "_a1", "_a1");
        check("continue", "continue", "continue");
        check("class", "class", "class");
        check("1up", "[\"1up\"]", "\"1up\"");
        check("42", "[\"42\"]", "\"42\"");
        check("", "[\"\"]", "\"\"");
        check("ui/close.png", "[\"ui/close.png\"]", "\"ui/close.png\"");
        check("__proto__", "__proto__", "[\"__proto__\"]");
        check("$x", "[\"$x\"]", "\"$x\"");
        check("été", "[\"été\"]", "\"été\"");
        for word in LUAU_RESERVED {
            check(word, &format!("[\"{word}\"]"), word);
        }
    }

    #[test]
    fn strings_are_escaped_and_quoted_with_fewest_escapes() {
        let check = |text: &str, luau: &str, typescript: &str, json: &str| {
            let written = [luau_string(text), typescript_string(text), json_string(text)];
            assert_eq!(written, [luau, typescript, json], "{text:?}");
        };
        check("it's", r#""it's""#, r#""it's""#, r#""it's""#);
        check("say \"hi\"", r#"'say "hi"'"#, r#"'say "hi"'"#, r#""say \"hi\"""#);
        check("'\"", r#""'\"""#, r#""'\u{22}""#, r#""'\"""#);
        check("''\"\"\"", r#"'\'\'"""'"#, r#""''\u{22}\u{22}\u{22}""#, r#""''\"\"\"""#);
        check("a\\n", r#""a\\n""#, r#""a\\n""#, r#""a\\n""#);
        check("]]--", r#""]]--""#, r#""]]--""#, r#""]]--""#);
        check("😀", r#""😀""#, r#""😀""#, r#""😀""#);
        check("a\u{202e}b", r#""a\u{202E}b""#, r#""a\u{202E}b""#, r#""a\u202Eb""#);
        check("a\u{2028}b", r#""a\u{2028}b""#, r#""a\u{2028}b""#, r#""a\u2028b""#);
        check("\u{feff}", r#""\u{FEFF}""#, r#""\u{FEFF}""#, r#""\uFEFF""#);
        check("a\nb", r#""a\u{A}b""#, r#""a\u{A}b""#, r#""a\u000Ab""#);
    }
}
