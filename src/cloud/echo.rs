//! The credential as a remote may send it back: as it is, cut, or with its characters escaped as in
//! JSON or a URL.
//!
//! An answer is cleaned before anything reads it, so that nothing of the credential can become a
//! name, an operation or a message that is kept. Read next: [`super::secret`], which knows the text
//! to look for.

use std::collections::HashSet;

use serde_json::Value;

/// A piece of the credential this long is hidden wherever it appears.
const HIDDEN_PIECE: usize = 8;
pub(super) const HIDDEN: &str = "[redacted]";
/// How many layers of escapes are looked through.
const LAYERS: usize = 3;

/// What a text is, and so how much of it may be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// A message for people: rather too much is hidden than too little.
    Message,
    /// A value that the program goes on with. Nothing is hidden for a text that is too short to be
    /// a secret, nor for digits alone: an asset ID that is lost for them would be worse.
    Value,
}

/// One byte as it is meant, and where it is written.
#[derive(Clone, Copy)]
struct Meant {
    byte: u8,
    from: usize,
    to: usize,
}

/// `text` without `secret`, and without any longer piece of it.
pub(super) fn hide(secret: &[u8], text: &str, what: TextKind) -> Option<String> {
    let piece = secret.len().min(HIDDEN_PIECE);
    if piece == 0 || (what == TextKind::Value && piece < HIDDEN_PIECE) {
        return None;
    }
    let pieces: HashSet<&[u8]> = secret.windows(piece).collect();
    let mut hidden = vec![false; text.len()];
    let mut meant: Vec<Meant> =
        text.bytes().enumerate().map(|(from, byte)| Meant { byte, from, to: from + 1 }).collect();
    for _ in 0..=LAYERS {
        let bytes: Vec<u8> = meant.iter().map(|meant| meant.byte).collect();
        for (start, end) in runs(&bytes, &pieces, piece) {
            let found = meant.get(start..end).unwrap_or_default();
            let counts = what == TextKind::Message || !found.iter().all(|meant| meant.byte.is_ascii_digit());
            if let (Some(first), Some(last), true) = (found.first(), found.last(), counts) {
                hidden.iter_mut().take(last.to).skip(first.from).for_each(|byte| *byte = true);
            }
        }
        let below = unescape(&meant);
        if below.len() == meant.len() {
            break;
        }
        meant = below;
    }
    hidden.contains(&true).then(|| without(text, &hidden))
}

/// Where pieces of the credential are, each with all that overlaps it: a piece of digits alone is
/// one of the credential where others go on from it.
fn runs(bytes: &[u8], pieces: &HashSet<&[u8]>, piece: usize) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for (start, _) in bytes.windows(piece).enumerate().filter(|(_, window)| pieces.contains(window)) {
        match runs.last_mut() {
            Some((_, end)) if start < *end => *end = start + piece,
            _ => runs.push((start, start + piece)),
        }
    }
    runs
}

fn without(text: &str, hidden: &[bool]) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut inside = false;
    // The credential and every escape are ASCII, so a hidden byte is a whole character.
    for (at, character) in text.char_indices() {
        let hide = hidden.get(at).copied().unwrap_or(false);
        match (hide, inside) {
            (true, false) => shown.push_str(HIDDEN),
            (true, true) => {}
            (false, _) => shown.push(character),
        }
        inside = hide;
    }
    shown
}

/// One layer of escapes less: `%2F`, `\u002f`, `\x2f`, `\/`.
fn unescape(meant: &[Meant]) -> Vec<Meant> {
    let mut below = Vec::with_capacity(meant.len());
    let mut rest = meant;
    while let Some((first, after)) = rest.split_first() {
        let escape = match (first.byte, after.first().map(|meant| meant.byte)) {
            (b'%', _) => hex(after, 2).map(|byte| (byte, 3)),
            (b'\\', Some(b'u')) => hex(after.get(1..).unwrap_or_default(), 4).map(|byte| (byte, 6)),
            (b'\\', Some(b'x')) => hex(after.get(1..).unwrap_or_default(), 2).map(|byte| (byte, 4)),
            (b'\\', Some(byte)) if byte.is_ascii_punctuation() => Some((byte, 2)),
            _ => None,
        };
        let (byte, length) = escape.unwrap_or((first.byte, 1));
        let to = rest.get(length - 1).map_or(first.to, |last| last.to);
        below.push(Meant { byte, from: first.from, to });
        rest = rest.get(length..).unwrap_or_default();
    }
    below
}

/// The ASCII character that so many hexadecimal digits mean.
fn hex(digits: &[Meant], count: usize) -> Option<u8> {
    let mut digits = digits.get(..count)?.iter().map(|meant| char::from(meant.byte).to_digit(16));
    let number = digits.try_fold(0_u32, |number, digit| Some(number * 16 + digit?))?;
    u8::try_from(number).ok().filter(u8::is_ascii)
}

/// A body without the credential: each text of a JSON document, or else the whole as a message.
pub(super) fn clean_body(secret: &[u8], body: Vec<u8>) -> Vec<u8> {
    match serde_json::from_slice::<Value>(&body) {
        Ok(mut document) => {
            let mut changed = false;
            clean(secret, &mut document, &mut changed);
            if changed { document.to_string().into_bytes() } else { body }
        }
        Err(_) => match std::str::from_utf8(&body).ok().and_then(|text| hide(secret, text, TextKind::Value)) {
            Some(clean) => clean.into_bytes(),
            None => body,
        },
    }
}

/// Goes no deeper than the parser did.
fn clean(secret: &[u8], value: &mut Value, changed: &mut bool) {
    match value {
        Value::String(text) => {
            if let Some(clean) = hide(secret, text, TextKind::Value) {
                (*text, *changed) = (clean, true);
            }
        }
        Value::Array(items) => items.iter_mut().for_each(|item| clean(secret, item, changed)),
        Value::Object(fields) => {
            let named: Vec<(String, String)> =
                fields.keys().filter_map(|name| Some((name.clone(), hide(secret, name, TextKind::Value)?))).collect();
            for (name, clean) in named {
                if let Some(field) = fields.remove(&name) {
                    fields.insert(clean, field);
                    *changed = true;
                }
            }
            fields.values_mut().for_each(|field| clean(secret, field, changed));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &[u8] = b"abcdefgh/ijklmnop+12345678";

    #[test]
    fn a_credential_in_an_answer_is_hidden_however_it_is_written() {
        let check = |body: &str, wanted: &str| {
            let cleaned = String::from_utf8(clean_body(SECRET, body.as_bytes().to_vec())).unwrap();
            assert_eq!(cleaned, wanted, "{body}");
        };
        let every = |escape: &dyn Fn(u8) -> String| SECRET.iter().map(|byte| escape(*byte)).collect::<String>();
        let whole = "abcdefgh/ijklmnop+12345678";
        check(&format!(r#"{{"displayName":"x {whole} y"}}"#), r#"{"displayName":"x [redacted] y"}"#);
        check(&format!(r#"{{"path":"operations/{whole}"}}"#), r#"{"path":"operations/[redacted]"}"#);
        check(&format!(r#"{{"a":[{{"{whole}":1}}]}}"#), r#"{"a":[{"[redacted]":1}]}"#);
        let escaped = every(&|byte| format!("\\u{byte:04x}"));
        check(&format!(r#"{{"message":"{escaped}"}}"#), r#"{"message":"[redacted]"}"#);
        check(&format!(r#"{{"message":"{}"}}"#, escaped.replace('\\', "\\\\")), r#"{"message":"[redacted]"}"#);
        let percent = every(&|byte| format!("%{byte:02X}"));
        check(&format!(r#"{{"message":"{percent}"}}"#), r#"{"message":"[redacted]"}"#);
        check(&format!(r#"{{"message":"{}"}}"#, percent.replace('%', "%25")), r#"{"message":"[redacted]"}"#);
        check(&format!("not JSON: {whole}!"), "not JSON: [redacted]!");
        check(&format!("not JSON: {percent}!"), "not JSON: [redacted]!");
    }

    #[test]
    fn nothing_else_of_an_answer_is_touched() {
        for body in [
            r#"{"assetId":"12345678","path":"assets/1234567890"}"#,
            r#"{"a": 1.0,  "b":"\u00e9%zz\\u12 %2"}"#,
            "<html>%41</html>",
            "\u{fffd}",
            "",
        ] {
            assert_eq!(clean_body(SECRET, body.as_bytes().to_vec()), body.as_bytes(), "{body}");
        }
        assert_eq!(clean_body(b"key", br#"{"a":"key"}"#.to_vec()), br#"{"a":"key"}"#, "no secret is so short");
        assert_eq!(clean_body(SECRET, vec![0xff, b'a']), [0xff, b'a']);
    }

    #[test]
    fn an_asset_id_is_never_lost_for_digits_that_a_key_has_too() {
        let body = br#"{"path":"assets/9123456780","assetId":"9123456780"}"#;
        assert_eq!(clean_body(b"9123456780-key", body.to_vec()), body);
    }
}
