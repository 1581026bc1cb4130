//! The keys of a file that Macadam made, read back from its text: which ones the game's code may use.
//!
//! A file that somebody formatted otherwise may seem to have fewer. Read next: [`mod@super::print`],
//! which writes these lines.

use std::collections::BTreeSet;

use super::tree::JSON_MARK_KEY;
use crate::model::output::Language;

/// The parts of a key, one for each table.
pub(crate) type KeyPath = Vec<String>;

/// Returns the keys that have a value in the text of an output.
pub(crate) fn keys(language: Language, text: &str) -> BTreeSet<KeyPath> {
    let (mut keys, mut tables) = (BTreeSet::new(), KeyPath::new());
    for line in text.lines() {
        let entry = line.trim_start_matches('\t');
        let depth = line.len() - entry.len();
        let entry = entry.strip_prefix("readonly ").unwrap_or(entry);
        let Some((key, value)) = depth.checked_sub(1).and_then(|above| {
            tables.truncate(above);
            (tables.len() == above).then(|| split(entry))?
        }) else {
            continue;
        };
        if language == Language::Json && tables.is_empty() && key == JSON_MARK_KEY {
            continue;
        }
        let mut path = tables.clone();
        path.push(key);
        if value.trim_end() == "{" {
            tables = path;
        } else {
            keys.insert(path);
        }
    }
    keys
}

/// Splits a line into its key and its value; `None` if it has no key.
fn split(entry: &str) -> Option<(String, &str)> {
    let inside = entry.strip_prefix('[').unwrap_or(entry);
    let (key, rest) = match inside.chars().next()? {
        quote @ ('"' | '\'') => unquoted(inside.get(1..)?, quote)?,
        _ => {
            let end = inside.find([' ', ':'])?;
            let (key, rest) = inside.split_at_checked(end)?;
            (key.to_owned(), rest)
        }
    };
    let rest = if inside.len() < entry.len() { rest.strip_prefix(']')? } else { rest };
    let value = rest.strip_prefix(" = ").or_else(|| rest.strip_prefix(": "))?;
    Some((key, value))
}

/// Reads a string up to its `quote`. Returns it without escapes, and what follows.
fn unquoted(text: &str, quote: char) -> Option<(String, &str)> {
    let (mut string, mut rest) = (String::new(), text.chars());
    loop {
        match rest.next()? {
            '\\' => match rest.next()? {
                'u' => {
                    let (digits, after) = match rest.as_str().strip_prefix('{') {
                        Some(braced) => braced.split_once('}')?,
                        None => rest.as_str().split_at_checked(4)?,
                    };
                    string.push(u32::from_str_radix(digits, 16).ok().and_then(char::from_u32)?);
                    rest = after.chars();
                }
                escaped => string.push(escaped),
            },
            end if end == quote => return Some((string, rest.as_str())),
            other => string.push(other),
        }
    }
}
