//! Names in the game's code: what Luau and TypeScript both take as an identifier.

/// The words that Luau reserves (its grammar's list): no variable and no bare key can be called so.
pub(crate) const LUAU_RESERVED: [&str; 21] = [
    "and", "break", "do", "else", "elseif", "end", "false", "for", "function", "if", "in", "local", "nil", "not", "or",
    "repeat", "return", "then", "true", "until", "while",
];

/// More words that a constant of an output can't be called: TypeScript reserves them (ECMAScript
/// 2024, strict mode, modules), or the file that Macadam writes uses them.
const OTHER_RESERVED: [&str; 46] = [
    "Content",
    "any",
    "arguments",
    "as",
    "async",
    "await",
    "boolean",
    "case",
    "catch",
    "class",
    "const",
    "continue",
    "debugger",
    "declare",
    "default",
    "delete",
    "enum",
    "eval",
    "export",
    "extends",
    "finally",
    "implements",
    "import",
    "instanceof",
    "interface",
    "let",
    "new",
    "null",
    "number",
    "package",
    "private",
    "protected",
    "public",
    "static",
    "string",
    "super",
    "switch",
    "this",
    "throw",
    "try",
    "typeof",
    "undefined",
    "var",
    "void",
    "with",
    "yield",
];

/// Whether a text has the letters of an identifier: of a bare key, where no reserved word is meant.
pub(crate) fn has_identifier_letters(text: &str) -> bool {
    let first = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
    first && text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

/// Whether a text is a name that both Luau and TypeScript take for a constant.
pub(crate) fn is_identifier(text: &str) -> bool {
    has_identifier_letters(text) && !is_reserved(text)
}

fn is_reserved(text: &str) -> bool {
    LUAU_RESERVED.contains(&text) || OTHER_RESERVED.contains(&text)
}

/// A text made into such a name: every other character becomes `_`, and a digit at its start or a
/// reserved word gets one in front.
pub(crate) fn identifier_of(text: &str) -> String {
    let letter = |c: char| if c.is_ascii_alphanumeric() { c } else { '_' };
    let name: String = text.chars().map(letter).collect();
    if is_identifier(&name) { name } else { format!("_{name}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_text_becomes_an_identifier() {
        let check = |text: &str, expected: &str| {
            assert_eq!(identifier_of(text), expected, "{text}");
            assert!(is_identifier(expected), "{expected}");
            assert_eq!(is_identifier(text), text == expected, "{text}");
        };
        check("assets", "assets");
        check("my-assets", "my_assets");
        check("2d", "_2d");
        check("end", "_end");
        check("class", "_class");
        check("Content", "_Content");
        check("ui.v2", "ui_v2");
        check("été", "_t_");
        check("", "_");
        check("_", "_");
        check("yield", "_yield");
    }
}
