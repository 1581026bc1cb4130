//! Hides the credential in text that the remote sends back: verbatim, cut, or with its characters
//! escaped as in JSON or a URL.
//!
//! Every response is cleaned before anything reads it, so that no part of the credential becomes a
//! stored name, operation or message. Read next: [`super::secret`], which holds the text to look
//! for.

use std::collections::HashSet;

use serde_json::Value;

/// The length, in bytes, from which a piece of the credential is hidden wherever it appears.
const HIDDEN_PIECE: usize = 8;
pub(super) const HIDDEN: &str = "[redacted]";
/// The number of nested escapes that are decoded.
const LAYERS: usize = 3;

/// The use of a text, which decides how much of it may be hidden.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TextKind {
    /// A message for people. Hiding too much is better than too little.
    Message,
    /// A value that the program uses. Nothing is hidden if the credential is too short to be a
    /// secret, and digits alone never are: losing an asset ID would be worse.
    Value,
}

/// One decoded byte, and the range in which it is written.
#[derive(Clone, Copy)]
struct DecodedByte {
    byte: u8,
    from: usize,
    to: usize,
}

/// Returns `text` without `secret` and without any longer piece of it, or `None` if nothing is to
/// be hidden.
pub(super) fn hide(secret: &[u8], text: &str, what: TextKind) -> Option<String> {
    let piece = secret.len().min(HIDDEN_PIECE);
    if piece == 0 || (what == TextKind::Value && piece < HIDDEN_PIECE) {
        return None;
    }
    let pieces: HashSet<&[u8]> = secret.windows(piece).collect();
    let mut hidden = vec![false; text.len()];
    let mut decoded: Vec<DecodedByte> =
        text.bytes().enumerate().map(|(from, byte)| DecodedByte { byte, from, to: from + 1 }).collect();
    for _ in 0..=LAYERS {
        let bytes: Vec<u8> = decoded.iter().map(|decoded| decoded.byte).collect();
        for (start, end) in runs(&bytes, &pieces, piece) {
            let found = decoded.get(start..end).unwrap_or_default();
            let counts = what == TextKind::Message || !found.iter().all(|decoded| decoded.byte.is_ascii_digit());
            if let (Some(first), Some(last), true) = (found.first(), found.last(), counts) {
                hidden.iter_mut().take(last.to).skip(first.from).for_each(|byte| *byte = true);
            }
        }
        let below = unescape(&decoded);
        if below.len() == decoded.len() {
            break;
        }
        decoded = below;
    }
    hidden.contains(&true).then(|| without(text, &hidden))
}

/// Returns the ranges of pieces of the credential, overlapping ones merged. Digits alone count as a
/// piece of the credential where other pieces overlap them.
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

/// Decodes one layer of escapes: `%2F`, `\u002f`, `\x2f`, `\/`.
fn unescape(decoded: &[DecodedByte]) -> Vec<DecodedByte> {
    let mut below = Vec::with_capacity(decoded.len());
    let mut rest = decoded;
    while let Some((first, after)) = rest.split_first() {
        let escape = match (first.byte, after.first().map(|decoded| decoded.byte)) {
            (b'%', _) => hex(after, 2).map(|byte| (byte, 3)),
            (b'\\', Some(b'u')) => hex(after.get(1..).unwrap_or_default(), 4).map(|byte| (byte, 6)),
            (b'\\', Some(b'x')) => hex(after.get(1..).unwrap_or_default(), 2).map(|byte| (byte, 4)),
            (b'\\', Some(byte)) if byte.is_ascii_punctuation() => Some((byte, 2)),
            _ => None,
        };
        let (byte, length) = escape.unwrap_or((first.byte, 1));
        let to = rest.get(length - 1).map_or(first.to, |last| last.to);
        below.push(DecodedByte { byte, from: first.from, to });
        rest = rest.get(length..).unwrap_or_default();
    }
    below
}

/// Returns the ASCII character that `count` hexadecimal digits encode.
fn hex(digits: &[DecodedByte], count: usize) -> Option<u8> {
    let mut digits = digits.get(..count)?.iter().map(|decoded| char::from(decoded.byte).to_digit(16));
    let number = digits.try_fold(0_u32, |number, digit| Some(number * 16 + digit?))?;
    u8::try_from(number).ok().filter(u8::is_ascii)
}

/// Removes the credential from a body: from each string of a JSON document, or from the whole text
/// if it isn't JSON.
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

/// Recurses no deeper than the JSON parser did.
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
    fn a_credential_in_a_response_is_hidden_in_every_encoding() {
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
    fn everything_else_in_a_response_is_unchanged() {
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
    fn an_asset_id_that_shares_digits_with_the_key_is_kept() {
        let body = br#"{"path":"assets/9123456780","assetId":"9123456780"}"#;
        assert_eq!(clean_body(b"9123456780-key", body.to_vec()), body);
    }
}
