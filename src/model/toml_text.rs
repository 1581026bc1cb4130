//! Texts as TOML writes them, for the manifest, the lockfile and hints.

use std::fmt::{self, Write as _};

/// A text as a basic string: in quotes, with control characters as `\u0007`.
pub(crate) struct TomlText<'a>(pub &'a str);

impl fmt::Display for TomlText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        for character in self.0.chars() {
            match character {
                '"' => f.write_str("\\\"")?,
                '\\' => f.write_str("\\\\")?,
                control if control.is_control() => write!(f, "\\u{:04X}", u32::from(control))?,
                other => f.write_char(other)?,
            }
        }
        f.write_char('"')
    }
}

/// A text as a key: in quotes only where it needs them.
pub(crate) struct TomlKey<'a>(pub &'a str);

impl fmt::Display for TomlKey<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_bare = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if !self.0.is_empty() && self.0.bytes().all(is_bare) { f.write_str(self.0) } else { TomlText(self.0).fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_written_as_toml_reads_them() {
        let check = |text: &str, key: &str, string: &str| {
            assert_eq!(TomlKey(text).to_string(), key);
            assert_eq!(TomlText(text).to_string(), string);
        };
        check("a-B_7", "a-B_7", r#""a-B_7""#);
        check("", r#""""#, r#""""#);
        check("a.b", r#""a.b""#, r#""a.b""#);
        check(r#"a"b\c"#, r#""a\"b\\c""#, r#""a\"b\\c""#);
        check("a\n\u{7f}\u{85}", r#""a\u000A\u007F\u0085""#, r#""a\u000A\u007F\u0085""#);
        // No letter is escaped, whatever it combines with.
        check("हिन्दी\u{301}", "\"हिन्दी\u{301}\"", "\"हिन्दी\u{301}\"");
    }
}
